/*
 * A registry: the distribution protocol as blocking-looking calls from a task. One struct a host and identity.
 *
 * Each call finds its token, sends, retries what scheduler/retry.h allows, and answers 401 once with a fresh
 * token (AUTH-18). Errors name host, request, status and the server's own words, bounded and escaped (ERR-1).
 * Metadata requests pass a gate of their own, so that they never wait behind blobs (DESIGN 5.9). Whoever moves blobs
 * holds places in registry_blob_gate() first.
 *
 * Errors of every call, besides what is said there:
 *   ERR_UNAUTHORIZED  401 after a fresh token, or no credentials       ERR_DENIED  403
 *   ERR_RATE_LIMITED, ERR_UNAVAILABLE, ERR_TIMEOUT  after all attempts  ERR_REFUSED  origin policy, certificate
 *   ERR_PROTOCOL      the reply is not what the protocol says           ERR_CANCELED
 */
#ifndef DRAY_SYNC_REGISTRY_REGISTRY_H
#define DRAY_SYNC_REGISTRY_REGISTRY_H

#include "base/buf.h"
#include "oci/referrer.h"
#include "scheduler/gate.h"
#include "scheduler/pace.h"
#include "sync/http/http.h"
#include "sync/registry/credentials.h"
#include "sync/registry/notices.h"

struct registry;

struct registry_options {
	const char *domain; /* "docker.io", "registry.internal:5000" */
	bool plain_http;    /* REF-12: off, but for loopback or where the configuration says so */
	struct http_tls tls;
	const struct credential *credential;  /* from the configuration, or NULL: ask @credentials */
	struct credential_store *credentials; /* or NULL */
	char *const *realms; /* "HOST" or "HOST:PORT": token servers elsewhere that may have the credentials (T-12) */
	size_t realm_count;
	char *const *upload_hosts; /* likewise: where uploads may be sent to, without credentials (T-14) */
	size_t upload_host_count;
	size_t blob_slots;          /* 0: 8 */
	size_t metadata_slots;      /* 0: 16 */
	struct waitqueue *pauses;   /* or NULL: woken when the host asks for a pause; the caller's */
	size_t manifest_bytes_most; /* 0: LIMIT_MANIFEST_BYTES; what a HEAD that is answered by GET may bring */
};

/** All texts are copied; @http and @credentials stay the caller's and outlive the registry. */
struct registry *registry_new(struct http *http, const struct registry_options *options);
void registry_free(struct registry *registry);

const char *registry_domain(const struct registry *registry);
struct gate *registry_blob_gate(struct registry *registry);

/** How fast it may be asked; shared by all who ask it. Borrowed. */
struct pace *registry_pace(struct registry *registry);

/** When the pause ends that the host has asked for; 0: there is none, or nobody waits for its end. */
int64_t registry_pause_ends_ms(const struct registry *registry);

/**
 * Plan to read @cost manifests, of the quota that the host told of (ERR-11). Waits while what others have planned may
 * not leave so many. ERR_RATE_LIMITED: it is used up; ERR_CANCELED. Else registry_plan_end() follows.
 */
must_check bool registry_plan(struct registry *registry, int64_t cost, struct error *err);
void registry_plan_end(struct registry *registry, int64_t cost);

/** What it told us so far beside the answers. Borrowed. */
const struct notices *registry_notices(const struct registry *registry);

/* --- listings -------------------------------------------------------------------------------------------------- */

struct listing;

/** Start listing the tags of @repository, which is borrowed until listing_free(); sends nothing yet. */
struct listing *registry_tags(struct registry *registry, const char *repository);

/** Start listing all repositories; many registries refuse (TAG-14). Sends nothing yet. */
struct listing *registry_catalog(struct registry *registry);

/**
 * The next page: *names is an array of *count texts, borrowed until the next call; what is outside the grammar is
 * skipped (TAG-2), what came before is dropped as far as a bounded memory goes (TAG-11). *count == 0: the end, and the
 * listing is complete. ERR_NOT_FOUND: no such repository (TAG-3). ERR_PROTOCOL: a loop, or no page (TAG-10, ERR-13).
 * ERR_REFUSED: a Link that leads out of the registry (T-15).
 */
must_check bool listing_next(struct listing *listing, char ***names, size_t *count, struct error *err);

/** Was that the last page? */
bool listing_is_over(const struct listing *listing);

/** How many names so far were outside the grammar (T-38). */
size_t listing_skipped(const struct listing *listing);

/** NULL is fine. */
void listing_free(struct listing *listing);

/* --- manifests ------------------------------------------------------------------------------------------------- */

/**
 * HEAD by @reference (a tag or digest text). Fills digest, size (-1: unknown) and media_type of *descriptor, which the
 * caller releases; the digest is empty when the server did not tell (MAN-9). ERR_NOT_FOUND.
 */
must_check bool registry_manifest_head(struct registry *registry, const char *repository, const char *reference,
	struct descriptor *descriptor, struct error *err);

/**
 * GET the manifest @wanted, by its digest, or, where that is not found, by the tag that is its reference_name (MAN-13);
 * its bytes are verified against digest and, if wanted->size >= 0, size.
 * *media_type is what the reply said (new memory, may be NULL). ERR_NOT_FOUND: also where that tag gives something
 * else; ERR_CORRUPT; ERR_TOO_LARGE.
 */
must_check bool registry_manifest_get(struct registry *registry, const char *repository,
	const struct descriptor *wanted, struct buf *bytes, char **media_type, struct error *err);

/**
 * GET by tag where HEAD did not tell a digest: *descriptor gets the digest computed (and, if Docker-Content-Digest is
 * there, compared: MAN-8), size and type; @bytes (or NULL) what was read. Errors as registry_manifest_get().
 */
must_check bool registry_manifest_resolve(struct registry *registry, const char *repository, const char *tag,
	struct descriptor *descriptor, struct buf *bytes, struct error *err);

/**
 * PUT @bytes at @reference (tag or digest text) as @media_type. @digest is theirs: a Docker-Content-Digest that
 * differs is ERR_PROTOCOL; without one the result is confirmed by HEAD (MAN-21). ERR_DENIED also for 4xx refusals; of
 * an immutable tag that points to it already, it is none (MAN-24).
 */
must_check bool registry_manifest_put(struct registry *registry, const char *repository, const char *reference,
	const char *media_type, const void *bytes, size_t length, const struct digest *digest, struct error *err);

/* --- referrers ---------------------------------------------------------------------------------------------------- */

/**
 * What refers to @subject, as the registry lists it: by the referrers API, all its pages, and, if @with_tags, by the
 * tags that list them where there is no API; both may be there (RFR-9). Whether there is an API is found out once. A
 * list may lie: who fetches what it names looks at its subject (RFR-12). An API that is refused to us (401, 403) lists
 * nothing, in that repository. The caller releases *list.
 *
 * ERR_TOO_LARGE: more than LIMIT_REFERRERS. ERR_PROTOCOL: no page, or pages that go in a circle.
 */
must_check bool registry_referrers(struct registry *registry, const char *repository, const struct digest *subject,
	bool with_tags, struct referrer_list *list, struct error *err);

/**
 * @referrers of @subject are in @repository: let readers find them. If the API lists them all that is so (whatever
 * OCI-Subject said: RFR-4); else they are added to what the subject's tag lists, which is read again afterwards,
 * since others may write it at the same time (RFR-7, RFR-8): three times at most, then ERR_UNAVAILABLE. Not to be
 * called twice at once for one subject.
 * ERR_INVALID: the tag is there, and no list of referrers; it is left as it is (RFR-6).
 */
must_check bool registry_referrers_note(struct registry *registry, const char *repository, const struct digest *subject,
	const struct referrer *referrers, size_t count, struct error *err);

/* --- deleting -------------------------------------------------------------------------------------------------- */

/**
 * Delete the tag alone (DEL-1); what it pointed to stays. ERR_UNSUPPORTED: this registry deletes no tags by the
 * protocol. ERR_DENIED. Already gone is a success.
 */
must_check bool registry_tag_delete(
	struct registry *registry, const char *repository, const char *tag, struct error *err);

/**
 * Delete the manifest, and with it every tag that points to it (DEL-2); what it refers to stays. If it has a subject
 * and the registry has no referrers API, it leaves the list of the subject's referrers, too (DEL-6). ERR_NOT_FOUND:
 * there is none. ERR_UNSUPPORTED, ERR_DENIED.
 */
must_check bool registry_manifest_delete(
	struct registry *registry, const char *repository, const struct digest *digest, struct error *err);

/* --- blobs ----------------------------------------------------------------------------------------------------- */

/** HEAD. *present false: 404, 405, or a size that differs; other errors are errors (BLB-11, UPL-1). */
must_check bool registry_blob_head(struct registry *registry, const char *repository, const struct descriptor *blob,
	bool *present, struct error *err);

struct blob_reader;

/**
 * GET from byte @offset on; the reader gives exactly the bytes [offset, size), or fails. A server that ignores the
 * Range has its first @offset bytes thrown away; one that gets it wrong is asked for the whole once more (T-4). What is
 * read is not verified here: that is the stage it goes through. One attempt: who reads resumes, since only it knows
 * what arrived. ERR_NOT_FOUND; ERR_CORRUPT: another length.
 */
must_check bool registry_blob_open(struct registry *registry, const char *repository, const struct descriptor *blob,
	int64_t offset, struct blob_reader **reader, struct error *err);

/**
 * GET from the URLs of @blob's descriptor, in their order, as far as this registry may send us there; without
 * credentials (BLB-14, T-16). The registry has been asked for something before. One attempt at each. ERR_NOT_FOUND:
 * none has it; ERR_REFUSED: the last may not be asked; else as registry_blob_open().
 */
must_check bool registry_foreign_open(struct registry *registry, const struct descriptor *blob, int64_t offset,
	struct blob_reader **reader, struct error *err);

must_check bool blob_reader_read(
	struct blob_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err);
/** Just opened: will it read again, and throw away, what is before the offset? */
bool blob_reader_starts_over(const struct blob_reader *reader);

/** The Content-Encoding that it came with, which is never undone (BLB-9): why its bytes may be wrong; "": none. */
const char *blob_reader_encoding(const struct blob_reader *reader);

void blob_reader_close(struct blob_reader *reader);

struct blob_upload;

/* What a failed upload says about trying again. */
enum upload_advice {
	UPLOAD_NO_ADVICE, /* as its error says */
	UPLOAD_OTHER_WAY, /* the host has taught us another way, which the next session takes: at once, and however
			     often */
	UPLOAD_ONCE_MORE, /* it says that the bytes are wrong, and they are not: one more session (UPL-23) */
	UPLOAD_GONE,      /* the session is unknown to it: another one, a few times (UPL-24) */
	UPLOAD_MOVED,     /* redirected: begin again, with the same upload and its first byte (RED-2) */
};

/**
 * POST ?mount=&from= (UPL-2). *mounted true: done. Else *upload is a session to go on with, or NULL: open one.
 * A mount that fails is no error; only cancellation and ERR_REFUSED are.
 */
must_check bool registry_blob_mount(struct registry *registry, const char *repository, const char *from,
	const struct digest *digest, bool *mounted, struct blob_upload **upload, struct error *err);

/** POST: open a session for the blob @digest (UPL-5 to UPL-8; its algorithm is told if it is not sha256: UPL-29). */
must_check bool registry_upload_open(struct registry *registry, const char *repository, const struct digest *digest,
	struct blob_upload **upload, struct error *err);

/**
 * Start to send the blob, by PUT or in whatever way the host has taught us (upload_way.h); then write exactly
 * blob->size bytes, then commit. After a failure with UPLOAD_MOVED, start again, to where it was redirected.
 */
must_check bool blob_upload_begin(struct blob_upload *upload, const struct descriptor *blob, struct error *err);
must_check bool blob_upload_write(struct blob_upload *upload, const void *bytes, size_t length, struct error *err);

/**
 * After the last byte: wait for the reply. An unclear end (no reply, 5xx, unknown upload) is settled by HEAD
 * (UPL-21, T-45): present is success. ERR_UNAVAILABLE: not there, a new session may succeed.
 */
must_check bool blob_upload_commit(struct blob_upload *upload, struct error *err);

/** After a failure. */
enum upload_advice blob_upload_advice(const struct blob_upload *upload);

/** Free it; a session that was not committed is cut, and left to expire (UPL-25, PSH-12). NULL is fine. */
void blob_upload_free(struct blob_upload *upload);

#endif
