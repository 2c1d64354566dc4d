/*
 * An OCI layout as an endpoint: what its files share.
 *
 *     layout.c         the endpoint: open, resolve, put, list, close
 *     layout_names.c   what an image is called in index.json, and which entry a request means
 *     layout_index.c   index.json: snapshots and merging
 *     layout_commit.c  who writes index.json, and when
 *     layout_blob.c    blobs and manifests
 *     layout_referrers.c  what refers to what
 *     layout_file.c    the system calls
 *     layout_gc.c      what nothing reaches is removed
 *
 * The loop's thread owns struct layout. A worker gets the descriptor of the directory and values, nothing else.
 *
 * Order of durability (T-59): the bytes of a blob are synced before it has its name; the directories of blobs are
 * synced before index.json names one; index.json is synced before it replaces the old one, its directory before a flush
 * succeeds. A power loss leaves the old index or the new one, and either names what is there.
 */
#ifndef DRAY_SYNC_ENDPOINT_LAYOUT_H
#define DRAY_SYNC_ENDPOINT_LAYOUT_H

#include "scheduler/pool.h"
#include "scheduler/task.h"
#include "sync/endpoint/internal.h"
#include "sync/endpoint/layout_index.h"

struct pending;
struct relations;

struct layout {
	struct endpoint endpoint;
	char *name;     /* "oci:" and the directory */
	int root;       /* the directory */
	int in_use;     /* of a target: layout_use() */
	bool is_target; /* names are looked up exactly as they would be written */
	bool bare_tags;
	struct gate blob_gate;

	struct index *index; /* the latest snapshot */
	bool loading;
	struct waitqueue loaded;

	struct relations *relations; /* layout_referrers.c: of some snapshot, or NULL */
	bool searching;
	struct waitqueue searched;

	/* layout_commit.c */
	struct pending *pending; /* names put, not yet in index.json; sorted by identity */
	size_t pending_count, pending_capacity;
	struct pending *standing; /* names that we wrote, in that order: should another writer lose them */
	size_t standing_count, standing_capacity;
	struct stat left;       /* index.json as we left it */
	uint64_t put_count;     /* names put so far */
	uint64_t written_count; /* of which so many are durable, */
	uint64_t failed_count;  /* and so many were in the last write that failed, */
	uint64_t failures;      /* which was the how-manieth */
	struct error failure;   /* why it failed */
	struct error broken;    /* a directory could not be synced: what is durable is unknown from now on (T-56) */
	bool writing;
	struct waitqueue written;
	int64_t next_write_ms; /* not before */
};

static inline struct layout *layout_of(struct endpoint *endpoint)
{
	return (struct layout *)endpoint;
}

/* --- work on a worker ------------------------------------------------------------------------------------------ */

/* The head of what a job is handed: it calls its function and keeps the outcome. */
struct layout_job {
	bool (*function)(void *job, struct error *err);
	bool ok;
	struct error err;
};

/** Run @job, a struct that begins with a struct layout_job. Errors of its function get the layout's name in front. */
must_check bool layout_run(
	const struct layout *layout, void *job, bool (*function)(void *job, struct error *err), struct error *err);

/** The same, cancelled or not. */
bool layout_run_always(
	const struct layout *layout, void *job, bool (*function)(void *job, struct error *err), struct error *err);

/* --- layout_names.c -------------------------------------------------------------------------------------------- */

/** Is @reference a digest, and not a tag or another name? */
bool layout_is_digest(const char *reference, struct digest *digest);

/**
 * What the image is called by us: names of @entry are set (LAY-9, LAY-10, LAY-12), new memory. ERR_INVALID: a name that
 * no index.json should have.
 */
must_check bool layout_name_entry(const struct layout *layout, const char *repository, const char *reference,
	const struct digest *digest, struct descriptor *entry, struct error *err);

/** "docker.io/library/x:1", "x@sha256:..", "1": what is asked for, as one text. New memory. */
char *layout_request(const char *repository, const char *reference);

/**
 * The entry that a reader means (LAY-14); borrowed from @index. ERR_NOT_FOUND; ERR_INVALID: more than one, with
 * different digests; the text lists them.
 */
must_check bool layout_select(const struct index *index, const char *repository, const char *reference,
	const struct descriptor **entry, struct error *err);

/** The one entry that is called what @wanted is called; NULL: none, or several. Borrowed. */
const struct descriptor *layout_find(const struct index *index, const struct descriptor *wanted);

/** Start a listing over @layout. @repository NULL: all. */
struct name_pages *layout_list(struct layout *layout, const char *repository, const struct endpoint_ops *ops);
must_check bool layout_pages_next(
	struct name_pages *pages, const struct image_name **names, size_t *count, struct error *err);
void layout_pages_free(struct name_pages *pages);

/* --- layout.c -------------------------------------------------------------------------------------------------- */

/** See to it that layout->index is what index.json says now. ERR_CORRUPT, ERR_IO, ERR_CANCELED. */
must_check bool layout_refresh(struct layout *layout, struct error *err);

/** Take @index as the latest snapshot. */
void layout_set_index(struct layout *layout, struct index *index);

/* --- layout_commit.c ------------------------------------------------------------------------------------------- */

/** Add @entry, which it takes, to what the next write puts into index.json. */
void layout_put(struct layout *layout, struct descriptor *entry);

/** The pending entry with the identity of @wanted, or NULL. Borrowed until the next wait. */
const struct descriptor *layout_find_pending(const struct layout *layout, const struct descriptor *wanted);

/** endpoint_flush() */
must_check bool layout_flush(struct layout *layout, struct error *err);

/** Write what is pending, and what others lost of ours, whatever happens, and forget it: for the end. */
void layout_flush_last(struct layout *layout);

/* --- layout_blob.c: the calls of endpoint.h -------------------------------------------------------------------- */

bool layout_manifest(struct endpoint *endpoint, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, char **media_type, struct error *err);
bool layout_blob_open(struct endpoint *endpoint, const char *repository, const struct descriptor *blob, int64_t offset,
	struct endpoint_reader **reader, struct error *err);
bool layout_reader_read(struct endpoint_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err);
void layout_reader_close(struct endpoint_reader *reader);
bool layout_blob_present(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	bool *present, struct error *err);
bool layout_blob_create(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	struct endpoint_writer **writer, struct error *err);
bool layout_blob_resume(struct endpoint *endpoint, const struct descriptor *blob, struct endpoint_writer **writer,
	struct endpoint_reader **reader, int64_t *length, struct error *err);
int64_t layout_left_bytes(struct endpoint *endpoint);
int64_t layout_make_room(struct endpoint *endpoint, int64_t bytes);
void layout_writer_keep(struct endpoint_writer *writer);
bool layout_writer_write(struct endpoint_writer *writer, const void *bytes, size_t length, struct error *err);
bool layout_writer_commit(struct endpoint_writer *writer, struct error *err);
void layout_writer_free(struct endpoint_writer *writer);

bool layout_manifest_present(struct endpoint *endpoint, const char *repository, const struct digest *digest,
	bool *present, struct error *err);

/** Store the manifest's bytes, synced, unless they are there already. */
must_check bool layout_store_manifest(
	struct layout *layout, const struct descriptor *manifest, const void *bytes, struct error *err);

/* --- layout_referrers.c: the calls of endpoint.h ------------------------------------------------------------------ */

bool layout_referrers(struct endpoint *endpoint, const char *repository, const struct digest *subject, bool with_tags,
	struct referrer_list *list, struct error *err);
bool layout_referrers_note(struct endpoint *endpoint, const char *repository, const struct digest *subject,
	const struct referrer *referrers, size_t count, struct error *err);

/** NULL is fine. */
void layout_relations_free(struct relations *relations);

#endif
