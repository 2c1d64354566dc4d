/*
 * The store: what survives the process. A memory, never the truth about a target (P5): whoever loses it loses time.
 *
 * Writes are queued and return at once; one task commits all that comes within a quarter of a second as one
 * transaction, so that a thousand tasks cost one commit, and images never wait for their record. A question is answered
 * at once, but behind the records that say something of what it asks for.
 * A store without a file (store_new_empty) remembers nothing and answers every question with "unknown".
 */
#ifndef DRAY_STORE_STORE_H
#define DRAY_STORE_STORE_H

#include "base/error.h"
#include "oci/digest.h"
#include "scheduler/task.h"

struct store;

/**
 * Open (or make) the state file at @path, lock it, bring its schema up to date. Inside loop_run(); waits.
 *
 * ERR_BUSY     another run holds it; the text says who
 * ERR_INVALID  not ours, or written by a newer version
 * ERR_STORE, ERR_IO
 * A damaged file is moved aside to PATH.corrupt-TIME, *moved_to (new memory) says where, and the store starts empty.
 */
must_check bool store_open(const char *path, struct store **store, char **moved_to, struct error *err);

struct store *store_new_empty(void);

/** Commit what is queued, close, unlock. ERR_STORE: something could not be recorded; the store is gone all the same. */
bool store_close(struct store *store, struct error *err);

/* --- runs and jobs --------------------------------------------------------------------------------------------- */

struct run_totals {
	int64_t images, copied, unchanged, failed;
	int64_t downloaded_bytes, uploaded_bytes;
};

/** So many runs are kept, with their jobs; older ones go when the next begins. Default: 100. */
void store_keep_runs(struct store *store, int64_t count);

/** Record the beginning: what is recorded from now on is of this run. Hints and proofs older than 180 days go. */
void store_run_begin(struct store *store);

/** The name of the run that was begun last: "" without a file, else text such as "17". Once for each. Waits. */
must_check bool store_run_id(struct store *store, char run_id[24], struct error *err);
void store_run_end(struct store *store, const struct run_totals *totals, int exit_code);

/* One row a (run, source reference, target); unchanged tags get none. */
struct job_record {
	const char *source, *target;         /* canonical references, borrowed for the call */
	const char *digest;                  /* or NULL */
	const char *outcome;                 /* "copied" or "failed" */
	const char *stage;                   /* where it failed: "resolve", "blob", "publish", ..., or NULL */
	const char *error_kind, *error_text; /* or NULL */
	int64_t duration_ms;
	int64_t bytes; /* of blobs that were sent to the target for it */
};
/** How often it was tried in a row is counted by the store. */
void store_job(struct store *store, const struct job_record *record);

/* --- tags ------------------------------------------------------------------------------------------------------ */

/**
 * What we last wrote at @target ("host/repo:tag"): from the source digest and the wishes of @platforms ("" for all,
 * else canonical text) the digest *written. *found false: unknown. Waits.
 */
must_check bool store_tag_find(struct store *store, const char *target, const struct digest *source,
	const char *platforms, struct digest *written, bool *found, struct error *err);
void store_tag_written(struct store *store, const char *target, const char *source, const struct digest *source_digest,
	const char *platforms, const struct digest *written);

/* Where what we last wrote at a target came from. Texts are new memory. */
struct tag_source {
	char *source; /* "host/repo:tag", "oci:DIR:NAME" */
	struct digest source_digest, written;
	char *platforms; /* "": all */
};

/** *found false: unknown. Waits. */
must_check bool store_tag_source(
	struct store *store, const char *target, struct tag_source *from, bool *found, struct error *err);
void tag_source_release(struct tag_source *from);

/* --- facts about digests --------------------------------------------------------------------------------------- */

/** The diff_id proven for a layer's digest under a decoder ("tar", "gzip", "zstd"). Waits. */
must_check bool store_diff_id_find(struct store *store, const struct digest *blob, const char *decoder,
	struct digest *diff_id, bool *found, struct error *err);
void store_diff_id_proven(struct store *store, const struct digest *blob, int64_t size, const char *decoder,
	const struct digest *diff_id);

/* --- hints for mounts ------------------------------------------------------------------------------------------ */

/** A repository at @registry that held the blob, other than @repository; *from is new memory, NULL: none. Waits. */
must_check bool store_location_find(struct store *store, const char *registry, const char *repository,
	const struct digest *blob, char **from, struct error *err);
void store_location_seen(struct store *store, const char *registry, const char *repository, const struct digest *blob);
void store_location_gone(struct store *store, const char *registry, const char *repository, const struct digest *blob);

/** The version of SQLite. */
const char *store_library_version(void);

#endif
