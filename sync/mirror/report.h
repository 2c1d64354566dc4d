/*
 * What a run did: counts, and every failure with the class that decides the exit code (DESIGN section 9).
 */
#ifndef DRAY_SYNC_MIRROR_REPORT_H
#define DRAY_SYNC_MIRROR_REPORT_H

#include "base/error.h"
#include "oci/digest.h"
#include "sync/endpoint/endpoint.h"

#include <stddef.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_PARTIAL = 1,
	EXIT_USAGE = 2,
	EXIT_AUTHENTICATION = 3,
	EXIT_CONTENT = 4,
	EXIT_TARGET = 5,
	EXIT_LOCAL = 6,
	EXIT_BUSY = 7,
	EXIT_NETWORK = 8,
	EXIT_SECURITY = 9,
	EXIT_BUG = 70,
	EXIT_SIGNAL = 128,
};

/* Which end an error came from: a refusal at the source is not one at the target. */
enum side { SIDE_SOURCE, SIDE_TARGET };

/** The class of one failure. */
enum exit_code exit_code_of(enum side side, enum error_kind kind);

struct failure {
	char *source;      /* canonical reference, or a repository's name when it could not be listed */
	char *target;      /* or NULL: before any target was tried */
	const char *stage; /* "list", "resolve", "manifest", "blob", "verify", "publish", "repair" */
	enum side side;
	struct error err;
};

/* What a registry told beside its answers: warnings, a quota. Borrowed from the run. */
struct host_notices {
	const char *host;
	const struct notices *notices;
};

struct report {
	char run_id[24];
	int64_t started_ms, finished_ms; /* of the wall clock, since 1970 */
	int64_t duration_ms;
	bool dry_run;
	bool verifies;  /* it looked at what is there, and copied only to repair that */
	int stopped_by; /* the signal, or 0 */
	bool has_rest;  /* something that was selected, or would have been, was not done since the run was stopped */
	struct {
		int64_t total, copied, unchanged, failed;
		int64_t pending;   /* a dry run would copy them */
		int64_t stopped;   /* the run was stopped before they were done */
		int64_t gone;      /* listed, and no longer there when they were fetched (TAG-15) */
		int64_t kept;      /* none copied: somebody else moved the tag at a target, and it is left so */
		int64_t sound;     /* verified: everything was seen as it should be */
		int64_t repaired;  /* the same, after something was wrong and was copied again */
		int64_t rewritten; /* among the copied: an index was cut to the wanted platforms */
	} images;
	int64_t unlisted;    /* repositories, or catalogs, that could not be listed */
	int64_t places_done; /* an image at one of its targets, as it should be */
	struct {
		int64_t unique, downloaded, reread, uploaded, mounted, present, unproven;
	} blobs;
	struct {
		int64_t layers;    /* of a target: not to be distributed, and not at the source (BLB-14) */
		int64_t manifests; /* of an index: not at the source (IDX-5) */
		int64_t referrers; /* of a target: a list names them wrongly, or it refuses them (RFR-12) */
	} left_out;
	int64_t referrers; /* copied, or found at a target */
	struct {
		int64_t downloaded, uploaded;
		int64_t resumed; /* of blobs: found at a target, where an earlier run or carry had left them */
	} bytes;
	struct {
		int64_t digests, diff_ids, diff_ids_remembered;
	} verified;
	const struct http_counters *requests; /* borrowed from the run */
	struct host_notices *hosts;           /* that told something */
	size_t host_count;
	struct failure *failures;
	size_t failure_count;
};

enum image_outcome {
	IMAGE_COPIED,
	IMAGE_UNCHANGED,
	IMAGE_FAILED,
	IMAGE_PENDING,
	IMAGE_GONE,
	IMAGE_KEPT,
	IMAGE_SOUND,
	IMAGE_REPAIRED
};

/* One image that is finished, as it is told to the observer. Everything is borrowed for the call. */
struct image_event {
	enum image_outcome outcome;
	const char *source;
	const struct digest *digest; /* of what stands at the targets, or should; empty: never resolved */
	bool rewritten;              /* which is not what the source has, but an index cut to the wanted platforms */
	const char *const *targets;  /* what was written, or failed, or is as it should be */
	size_t target_count;
	const struct failure *failure; /* the first, or NULL */
	int64_t bytes;                 /* of the blobs it reaches, as its manifests say */
	int64_t duration_ms;
};

void report_release(struct report *report);

/** Takes a copy of everything. */
void report_add_failure(struct report *report, const char *source, const char *target, const char *stage,
	enum side side, const struct error *err);

/** The exit code of the whole run. */
int report_exit_code(const struct report *report);

#endif
