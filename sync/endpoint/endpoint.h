/*
 * Endpoints: where images live. One interface over a registry host and an OCI layout directory, both as source and as
 * target; who copies does not know which it has.
 *
 * An endpoint is one host or one directory. Images in it have a name: the repository (in a layout: the name that
 * stands before the tag in index.json, LAY-9), and a tag or a digest.
 *
 * Content is only fetched against a descriptor. Every call may wait, and fails as sync/registry/registry.h lists, or
 * with ERR_IO for a layout's disk. Errors name the endpoint.
 */
#ifndef DRAY_SYNC_ENDPOINT_ENDPOINT_H
#define DRAY_SYNC_ENDPOINT_ENDPOINT_H

#include "base/buf.h"
#include "oci/descriptor.h"
#include "scheduler/gate.h"
#include "sync/registry/registry.h"

struct endpoint;

/** The endpoint of a registry; takes it (frees it with the endpoint). */
struct endpoint *endpoint_new_registry(struct registry *registry);

enum layout_mode {
	LAYOUT_READ,  /* ERR_NOT_FOUND unless it is a layout */
	LAYOUT_WRITE, /* made where there is none: directories, oci-layout, blobs/ (LAY-1, LAY-2) */
};

/**
 * The endpoint of the layout at @directory. @bare_tags: names are tags alone (LAY-10), else canonical references
 * (LAY-9). ERR_IO, ERR_CORRUPT (index.json), ERR_NOT_FOUND. Waits.
 */
must_check bool endpoint_open_layout(
	const char *directory, enum layout_mode mode, bool bare_tags, struct endpoint **endpoint, struct error *err);

/** In the place of a layout that could not be opened: every call fails with @reason. */
struct endpoint *endpoint_new_failing(const char *directory, const struct error *reason);

/** Write what is pending (see endpoint_flush()), close. NULL is fine. */
void endpoint_free(struct endpoint *endpoint);

/** "registry.internal:5000" or "oci:/srv/air-gap". Borrowed. */
const char *endpoint_name(const struct endpoint *endpoint);

/** "host/repo:tag", "host/repo@sha256:..", "oci:/srv/air-gap:docker.io/library/alpine:3.20". New memory. */
char *endpoint_reference(const struct endpoint *endpoint, const char *repository, const char *reference);

bool endpoint_is_layout(const struct endpoint *endpoint);

/** What a registry told beside its answers; NULL: no registry. Borrowed. */
const struct notices *endpoint_notices(const struct endpoint *endpoint);

/**
 * Wait before the next attempt at what failed @attempts times with @err, if another may be made; @answers_before is
 * what endpoint_answers() was when the first was made. False, with @err as it was: give up (or cancelled:
 * ERR_CANCELED).
 */
must_check bool endpoint_retry_pause(
	struct endpoint *endpoint, int attempts, uint64_t answers_before, struct error *err);
uint64_t endpoint_answers(const struct endpoint *endpoint);

/** When the pause ends that the host has asked for; 0: there is none, or nobody waits for its end. */
int64_t endpoint_pause_ends_ms(const struct endpoint *endpoint);

/** Plan to read @cost manifests there, as registry_plan(). Waits. Else endpoint_plan_end() follows. */
must_check bool endpoint_plan(struct endpoint *endpoint, int64_t cost, struct error *err);
void endpoint_plan_end(struct endpoint *endpoint, int64_t cost);

/** Blob transfers hold a place in it. */
struct gate *endpoint_blob_gate(struct endpoint *endpoint);

/* --- reading --------------------------------------------------------------------------------------------------- */

struct image_name {
	char *repository; /* "" where a layout's entry has a bare tag */
	char *reference;  /* tag, or digest text for an entry without a name; NULL: a whole repository */
};

struct name_pages;

/**
 * List the tags of @repository. With @repository NULL, a layout lists its entries, and a registry its repositories
 * (many refuse: ERR_UNSUPPORTED, ERR_DENIED, ERR_UNAUTHORIZED). As listing_next(): pages until *count == 0.
 * ERR_NOT_FOUND: no such repository.
 */
struct name_pages *endpoint_list(struct endpoint *endpoint, const char *repository);
must_check bool name_pages_next(
	struct name_pages *pages, const struct image_name **names, size_t *count, struct error *err);
/** How many names so far were none (T-38). */
size_t name_pages_skipped(const struct name_pages *pages);
void name_pages_free(struct name_pages *pages);

/** Was that the last page? False also where only the next call would tell. */
bool name_pages_are_over(const struct name_pages *pages);

/**
 * What @reference (tag or digest text) points to. Never without a digest: where HEAD does not tell, the manifest is
 * read. The caller releases *root. ERR_NOT_FOUND.
 *
 * A layout opened for reading finds what a reader means (LAY-14), repository "" for a name as it was typed;
 * ERR_INVALID lists the candidates where it is ambiguous. One opened for writing finds only what stands under the name
 * that endpoint_manifest_put() would give it, with its manifest there.
 */
must_check bool endpoint_resolve(struct endpoint *endpoint, const char *repository, const char *reference,
	struct descriptor *root, struct error *err);

/**
 * The same of a source: that it does not have something is believed of a GET alone, since there are registries that
 * answer every HEAD with 404 (MAN-11).
 */
must_check bool endpoint_resolve_source(struct endpoint *endpoint, const char *repository, const char *reference,
	struct descriptor *root, struct error *err);

/** The bytes of the manifest @wanted, verified. *media_type: new memory, what the endpoint calls it, or NULL. */
must_check bool endpoint_manifest(struct endpoint *endpoint, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, char **media_type, struct error *err);

/**
 * What refers to @subject: as registry_referrers(). A layout that is read is searched once, for whatever of it has a
 * subject, and one that is written tells what the tag @subject has there lists. The caller releases *list.
 */
must_check bool endpoint_referrers(struct endpoint *endpoint, const char *repository, const struct digest *subject,
	bool with_tags, struct referrer_list *list, struct error *err);

/** Is the manifest there, whatever its name? Of a registry that forbids what it does not have, no (MAN-14). */
must_check bool endpoint_manifest_present(struct endpoint *endpoint, const char *repository,
	const struct digest *digest, bool *present, struct error *err);

struct endpoint_reader;

/** The bytes of a blob from @offset on; exactly size - offset of them, or an error. One attempt. */
must_check bool endpoint_blob_open(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	int64_t offset, struct endpoint_reader **reader, struct error *err);
must_check bool endpoint_reader_read(
	struct endpoint_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err);
/** Just opened: will it read again, and throw away, what is before @offset? (BLB-5) */
bool endpoint_reader_starts_over(const struct endpoint_reader *reader);

/** The Content-Encoding under which the bytes came, which is never undone; "": none (BLB-9). Until it is closed. */
const char *endpoint_reader_encoding(const struct endpoint_reader *reader);

void endpoint_reader_close(struct endpoint_reader *reader);

/**
 * Another source of blobs: the URLs in their own descriptors, asked without credentials (BLB-14). It only reads, and
 * goes with @endpoint. NULL: a layout, which no URL is followed for.
 */
struct endpoint *endpoint_elsewhere(struct endpoint *endpoint);

/* --- writing --------------------------------------------------------------------------------------------------- */

must_check bool endpoint_blob_present(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	bool *present, struct error *err);

struct endpoint_writer;

/**
 * Make the blob of @from_repository visible in @repository without moving it. A layout has one store for all: then it
 * is present already. *mounted false: upload it, with *writer as the session if it is not NULL. Failing to mount is no
 * error.
 */
must_check bool endpoint_blob_mount(struct endpoint *endpoint, const char *repository, const char *from_repository,
	const struct descriptor *blob, bool *mounted, struct endpoint_writer **writer, struct error *err);

/** A writer for the whole blob. */
must_check bool endpoint_blob_create(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	struct endpoint_writer **writer, struct error *err);

/**
 * The beginning of the blob that an earlier writer left here, dead or told to (endpoint_writer_keep()): *length bytes,
 * which *reader gives, and which *writer has already: it takes the blob from its first byte all the same. Nothing of it
 * is proven. *length 0: there is none, and no reader and no writer. ERR_IO. Waits.
 */
must_check bool endpoint_blob_resume(struct endpoint *endpoint, const struct descriptor *blob,
	struct endpoint_writer **writer, struct endpoint_reader **reader, int64_t *length, struct error *err);

/** The bytes of all beginnings of blobs that lie there. Waits. */
int64_t endpoint_left_bytes(struct endpoint *endpoint);

/**
 * Remove the oldest of them until @bytes of them are gone, but none that a writer has, and none at all if that would
 * not be enough. Returns the bytes that went. Waits.
 */
int64_t endpoint_make_room(struct endpoint *endpoint, int64_t bytes);

/** What was written is right as far as it goes: when the writer is freed it stays, if that is possible. */
void endpoint_writer_keep(struct endpoint_writer *writer);

/** The next bytes, in order. */
must_check bool endpoint_writer_write(
	struct endpoint_writer *writer, const void *bytes, size_t length, struct error *err);

/** After the last byte, and after verification: make it visible (registry: the reply to PUT; layout: fsync, rename). */
must_check bool endpoint_writer_commit(struct endpoint_writer *writer, struct error *err);

/** After a failure: what its target says about another try. NULL: nothing. */
enum upload_advice endpoint_writer_advice(const struct endpoint_writer *writer);

/** After a failure with UPLOAD_MOVED: the same writer again, from the first byte of the blob. */
void endpoint_writer_restart(struct endpoint_writer *writer);

/** Free; what was not committed is not visible, and gone. NULL is fine. */
void endpoint_writer_free(struct endpoint_writer *writer);

/**
 * Store a manifest: @tag NULL stores it by digest alone; else the tag points to it afterwards. In a layout @tag may be
 * digest text, for an entry without a name (LAY-12); the bytes are synced on return, the entry is durable and visible
 * after the next flush, and endpoint_resolve() of a target sees it at once. An image's media type and, if not empty,
 * platform go into the entry (LAY-15). ERR_INVALID: a name that no index.json should have.
 */
must_check bool endpoint_manifest_put(struct endpoint *endpoint, const char *repository, const char *tag,
	const struct descriptor *manifest, const void *bytes, struct error *err);

/**
 * @referrers of @subject were put: let readers find them, as registry_referrers_note(). In a layout the list is the
 * image of the subject's tag (RFR-18), visible after the next flush. Who notes for the same subject waits for his turn.
 */
must_check bool endpoint_referrers_note(struct endpoint *endpoint, const char *repository, const struct digest *subject,
	const struct referrer *referrers, size_t count, struct error *err);

/**
 * Delete @reference: a tag alone, or by digest text a manifest with every tag that points to it. As
 * registry_tag_delete() and registry_manifest_delete(); ERR_UNSUPPORTED in a layout.
 */
must_check bool endpoint_delete(
	struct endpoint *endpoint, const char *repository, const char *reference, struct error *err);

/**
 * Wait until every tag put before is durable and visible. A registry: at once. A layout: index.json is written again
 * under its lock, merged with what others wrote, at a bounded rate (LAY-2, LAY-13); many waiters share one write.
 */
must_check bool endpoint_flush(struct endpoint *endpoint, struct error *err);

#endif
