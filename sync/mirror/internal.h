/*
 * What the files of sync/mirror share: the run, its caches, and the way of one image and of one blob.
 *
 * Everything belongs to the loop's thread. Each level knows the one below: run -> repository -> image -> tree and
 * blob -> transfer.
 */
#ifndef DRAY_SYNC_MIRROR_INTERNAL_H
#define DRAY_SYNC_MIRROR_INTERNAL_H

#include "oci/image_config.h"
#include "oci/manifest.h"
#include "scheduler/group.h"
#include "scheduler/latch.h"
#include "scheduler/loop.h"
#include "sync/mirror/run.h"

/* DESIGN 5 and 6: the widths of one run. */
enum {
	IMAGES_IN_FLIGHT = 32,
	REPOSITORIES_AT_ONCE = 16, /* listing at the same time; their images share IMAGES_IN_FLIGHT */
	BLOBS_PER_IMAGE = 8,       /* that some target waits for; those that only late ones wait for come on top */
	MANIFESTS_AT_ONCE = 8,     /* of one image */
	TRANSFER_CHUNKS = 2,
	CHUNKS_PER_RUN = 32,
	WIDE_DECODERS = 2, /* T-43: each with up to 128 MiB */
	SLOW_TARGET_MS = 10000,
	SESSIONS_GONE_MOST = 3,   /* UPL-24: then no other is opened for that blob at that place */
	PROXY_FETCHES_MS = 1000,  /* MAN-13: before what a proxy cache did not find is asked for again */
	KNOWN_BLOBS = 16384,      /* P6: what a run remembers of blobs it is not using */
	HOLDERS_PER_BLOB = 64,    /* and of who has one; forgetting costs a HEAD */
	CONTENT_BYTES = 16 << 20, /* manifests and configs kept for others that share them */
};

struct content_cache;
struct blob_table;
struct referral;

struct endpoint_slot {
	char *key; /* domain, or how a layout is used and its directory */
	struct endpoint *endpoint;
	size_t behind; /* images that are being brought to it alone, since it held others up */
};

struct run {
	struct run_observer observer;
	bool dry_run;
	bool verifies_layers; /* some job does */
	struct store *store;
	struct http *http;
	struct credential_store *credentials;
	const struct config *config;
	struct endpoint_slot *endpoints;
	size_t endpoint_count;
	struct job *jobs;
	size_t job_count;
	struct retry *retry; /* NULL: all is taken */
	struct group repositories, images;
	size_t images_most;    /* at work at a time */
	struct list in_flight; /* images: admission.c */
	size_t in_flight_count;
	struct waitqueue admitted; /* woken when another may be */
	struct gate chunks;
	struct endpoint *staging;   /* a layout that never gets an image, or NULL */
	int64_t staging_left_bytes; /* room there */
	struct gate wide_decoders;  /* T-43: taken last, and by who needs nothing else that another has */
	size_t manifest_bytes_most; /* MAN-20 */
	struct content_cache *contents;
	struct blob_table *blobs;
	struct list transfers; /* running, for the progress view */
	struct timer grace;    /* of a run that is being stopped */
	bool listing;
	int64_t images_found, images_done;
	struct report report;
};

/* Nothing may be begun any more; what is nearly done has some time left (run_stop()). */
static inline bool run_is_stopping(const struct run *run)
{
	return run->report.stopped_by != 0;
}

/** Of an endpoint of this run's; NULL: of another's. Borrowed until the next endpoint is added. */
struct endpoint_slot *run_slot(const struct run *run, const struct endpoint *endpoint);

/* Neither a dry run nor a look at what is there is one of those that `dray status` tells of. */
static inline bool run_is_recorded(const struct run *run)
{
	return !run->dry_run && !run->report.verifies;
}

/* An error, where it happened, and at which end. */
struct outcome {
	struct error err; /* kind ERR_NONE: well */
	const char *stage;
	enum side side;
};

static inline bool outcome_is_well(const struct outcome *outcome)
{
	return outcome->err.kind == ERR_NONE;
}

/** Keep the first failure. @err is one: kind ERR_NONE would be told as success. */
void outcome_fail(struct outcome *outcome, const char *stage, enum side side, const struct error *err);

/* --- content.c: small content in memory, fetched once ---------------------------------------------------------------
 */

struct content {
	const unsigned char *bytes;
	size_t length;
	const char *media_type; /* what the endpoint said, or NULL */
};

struct content_cache *content_cache_new(void);
void content_cache_free(struct content_cache *cache);

/**
 * The bytes of the manifest @wanted, or of the config blob @wanted, of @repository at @source, verified against it.
 * Who asks for what is being fetched waits for that; what was fetched lately is not fetched again. The content is
 * borrowed until content_release(). Errors as endpoint_manifest().
 */
must_check bool content_manifest(struct run *run, struct endpoint *source, const char *repository,
	const struct descriptor *wanted, const struct content **content, struct error *err);
must_check bool content_config(struct run *run, struct endpoint *source, const char *repository,
	const struct descriptor *wanted, const struct content **content, struct error *err);

/** The content of @wanted if it is there or came with its descriptor, else NULL; borrowed until content_release(). */
const struct content *content_peek(struct run *run, const struct descriptor *wanted);

void content_release(struct run *run, const struct content *content);

/* --- tree.c: all manifests and blobs that one root reaches ----------------------------------------------------------
 */

struct tree_manifest {
	struct descriptor descriptor;
	struct manifest manifest;
	const unsigned char *bytes; /* of @content, or of @rewritten */
	size_t length;
	const struct content *content; /* NULL: rewritten */
	char *rewritten;
	bool is_missing; /* at the source, and that is allowed: nothing of it is known */
	unsigned depth;  /* 0: the root; deeper than every index that names it */
};

struct tree {
	struct tree_manifest *manifests; /* [0] is the root; a child stands behind its first parent */
	size_t manifest_count;
	unsigned depth;           /* of the deepest */
	struct descriptor *blobs; /* borrowed from the manifests; each digest once */
	size_t blob_count;
	int64_t manifest_bytes; /* of all but the root */
	int64_t bytes;          /* of the blobs */
};

struct tree_wishes {
	const struct platform *platforms; /* to which the root, if it is an index, is rewritten */
	size_t platform_count;            /* 0: as it is */
	bool keeps_sparse;                /* children that the source does not have are left out (IDX-5) */
};

/**
 * Fetch everything below @root, verified. Where it was rewritten, tree->manifests[0].descriptor is that of the
 * rewritten one. The caller releases the tree, also after a failure. ERR_CORRUPT, ERR_TOO_LARGE, ERR_NOT_FOUND: indexes
 * name children that the source does not have; they are listed.
 */
must_check bool tree_fetch(struct run *run, struct endpoint *source, const char *repository,
	const struct descriptor *root, const struct tree_wishes *wishes, struct tree *tree, struct error *err);
void tree_release(struct run *run, struct tree *tree);

/* --- blob.c: every blob once
 * ------------------------------------------------------------------------------------------ */

/* What is known about the decoded content of a digest. */
enum fact_state { FACT_UNKNOWN, FACT_PROVEN, FACT_REMEMBERED, FACT_BROKEN };

struct fact {
	enum fact_state state;
	struct digest diff_id; /* FACT_PROVEN, FACT_REMEMBERED */
	struct error broken;   /* FACT_BROKEN: why it cannot be decoded */
};

/* How far the blobs of an image have come at one of its targets. */
struct delivery {
	struct waitqueue *news; /* woken when any of this changes */
	size_t pending;         /* wants that are not settled */
	int64_t sent_bytes;
	bool late; /* it held others up: it is served after them, alone */
};

/** It is late from now on: SLOW_TARGET_MS after others were ready to go on, it was not. */
void delivery_is_late(struct delivery *delivery, const char *image, const struct endpoint *endpoint);

/* One target of an image, as far as one blob is concerned. */
struct want {
	struct endpoint *endpoint;
	const char *repository;
	struct outcome *outcome;         /* the image's, for this target: kept failures */
	struct delivery *delivery;       /* the image's, for this target */
	bool alone;                      /* carried with no other, whom it would hold up */
	struct endpoint_writer *session; /* a session that a failed mount left us, or NULL */
	/* ensure.c and carry.c: */
	struct ensure *ensure;
	struct list waiting; /* in blob->waiting */
	bool settled;        /* present, failed, or to be served later: its delivery is late */
	bool ours;           /* this task decides whether it is there; others wait */
	bool looking;        /* it is being asked */
	bool stale;          /* to be looked at: for the first time, or since a transfer may have brought a neighbour */
	bool carried;        /* a transfer uses it */
	int failed_carries;  /* because of this target */
	int sessions_gone;   /* which it did not know any more when something was sent */
	unsigned looked_at;  /* blob->transfers when it was */
};

struct blob_table *blob_table_new(void);
void blob_table_free(struct blob_table *table);

struct blob_source {
	struct endpoint *endpoint;
	const char *repository;
	const char *image; /* for messages and the progress view */
	bool verify_layers;
};

/**
 * Ensure that @blob is in each want's repository, carrying it over the source link at most once in the run, whoever
 * else asks for it at the same time. Waits. A want is settled as soon as its own place is, with its outcome filled if
 * it failed; afterwards all are. One that held others up is settled without the blob, and its delivery is late.
 */
void blob_ensure(struct run *run, const struct blob_source *source, const struct descriptor *blob, struct want *wants,
	size_t want_count);

/**
 * What is known of the diff_id of @blob: learnt in this run, or remembered from an earlier one. Waits for the store.
 */
void blob_fact(struct run *run, const struct descriptor *blob, struct fact *fact);

/** Nobody knows its diff_id: count it in the report, once. */
void blob_count_unproven(struct run *run, const struct digest *digest);

/* --- image.c and repository.c
 * ------------------------------------------------------------------------------------------ */

struct job {
	struct run *run;
	struct run_job what;
	size_t order;                   /* of the configuration: an earlier one owns what it shares (merge) */
	char *repository;               /* of a pattern: this job's own; NULL: it is one of run->jobs */
	struct run_target *own_targets; /* likewise */
	size_t users;                   /* of those: images, and who lists */
	bool has_no_referrer_tags;      /* its list came whole, and none of its tags is made of a digest (RFR-17) */
	bool warned_of_length;          /* of a target's name */
	bool whole;                     /* of a retry: it could not be listed then, so all of it is taken */
};

/**
 * Whether any tag of its repository is made of a digest (RFR-17), for a job that lists none: one request in place of
 * four for each manifest, where the first page of the list is the last. Waits. Nothing is learnt where it fails.
 */
void job_look_for_referrer_tags(struct job *job);

/** One user less; a job of a pattern goes with the last one. */
void job_release(struct job *job);

/* --- retry.c: what a retry takes; borrowed from who called run_retry() */
void retry_free(struct retry *retry);
/** Did anything fail in @name, of a job? */
bool retry_concerns(const struct retry *retry, const char *name);
/** Could @name not be listed? */
bool retry_takes_list(const struct retry *retry, const char *name);
/** Did the image @source fail at @target? */
bool retry_takes(const struct retry *retry, const char *source, const char *target);
/** Tell of what had failed and was not found again. */
void retry_warn_of_rest(const struct retry *retry);

/** The task of one job: list, select, and start images in run->images. @argument is a struct job. */
void repository_task(void *argument);

/**
 * admission.c: wait until one more image of @job may begin. An image that waits for a paused host has no place: so one
 * host under a long Retry-After never fills them all; and of such a host no other image begins. ERR_CANCELED.
 */
must_check bool image_admit(const struct job *job, struct error *err);

/** Start the copy of one image; waits for a place among the images in flight. Texts are copied. ERR_CANCELED. */
must_check bool image_start(struct job *job, const char *repository, const char *reference, struct error *err);

#endif
