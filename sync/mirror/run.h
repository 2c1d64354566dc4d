/*
 * A run: repositories -> images -> blobs, all stages overlapping (DESIGN sections 5 and 6).
 *
 * Who starts one (cli) makes it from the configuration or adds jobs by hand, executes it, and reads the report.
 * Everything here happens inside loop_run().
 *
 *     run_new() -> run_add_config() or run_add() ... -> run_execute() -> run_report() -> run_free()
 */
#ifndef DRAY_SYNC_MIRROR_RUN_H
#define DRAY_SYNC_MIRROR_RUN_H

#include "config/config.h"
#include "store/store.h"
#include "sync/endpoint/endpoint.h"
#include "sync/mirror/report.h"

struct run;
struct transport;

/* What is told while the run goes on; each may be NULL. Called from a task, and must not wait. */
struct run_observer {
	void (*image)(void *context, const struct image_event *event);
	void *context;
};

struct run_options {
	const struct config *config; /* registries and limits; NULL: the defaults */
	struct store *store;         /* the caller's, outlives the run; store_new_empty() where there is no file */
	bool dry_run;                /* resolve and compare, and change nothing */
	struct run_observer observer;
	struct transport *transport; /* taken; NULL: libcurl. A simulation puts registries in memory here */
};

/** Set up the HTTP client and read the credential files. ERR_INVALID, ERR_IO. Waits. */
must_check bool run_new(const struct run_options *options, struct run **run, struct error *err);

/** Close connections and endpoints. NULL is fine. Waits. */
void run_free(struct run *run);

/** The endpoint of a registry domain, with its settings; made at the first call, one for all who ask. Borrowed. */
struct endpoint *run_registry(struct run *run, const char *domain);

/** The endpoint of a layout directory, likewise. Errors as endpoint_open_layout(). Waits. */
must_check bool run_layout(struct run *run, const char *directory, enum layout_mode mode, bool bare_tags,
	struct endpoint **endpoint, struct error *err);

/** The largest manifest that is read (MAN-20). */
size_t run_manifest_bytes_most(const struct run *run);

struct run_target {
	struct endpoint *endpoint;
	const char *repository; /* NULL: the source's own names, below @prefix; of a pattern: with {repository} in it */
	const char *prefix;     /* with repository NULL: "" or "mirror" */
	const char *tag;        /* NULL: as at the source */
};

/* What is done with the images of a job. */
enum run_check {
	RUN_COPIES,
	RUN_LOOKS, /* no targets: is everything there? Manifests are read, blobs are asked for */
	RUN_READS, /* and is it right? Blobs are read, too, and diff_ids compared */
};

/* One repository to its targets. Everything is borrowed until run_execute() has returned. */
struct run_job {
	struct endpoint *source;
	const char *repository; /* NULL: every entry of a layout */
	bool is_pattern;        /* @repository is a prefix: every repository below it that the catalog names */
	const char *reference;  /* tag or digest text; NULL: every tag that @selects takes */
	bool (*selects)(const void *filter, const char *tag, bool *taken, struct error *err); /* NULL: all */
	const void *filter;
	const struct run_target *targets;
	size_t target_count;
	const struct platform *platforms;
	size_t platform_count;
	bool verify_layers;
	enum run_check check;
	bool repairs; /* of RUN_LOOKS and RUN_READS: what is wrong is copied again from where the store says it came */
	bool again;   /* what a target says that it has is not believed, if it was seen to be wrong */
	enum config_foreign foreign;
	enum config_referrers referrers;
	enum config_conflict on_conflict;
	bool keeps_sparse;
	bool merge; /* a tag that an earlier job with merge writes to the same place is that job's */
};

void run_add(struct run *run, const struct run_job *job);

/**
 * Add every repository of the configuration. A layout that cannot be opened fails the images that need it, when they
 * come to it. ERR_INVALID, ERR_CANCELED. Waits.
 */
must_check bool run_add_config(struct run *run, struct error *err);

/* What failed in an earlier run. */
struct run_failure {
	const char *source; /* an image, or what could not be listed */
	const char *target; /* "": a list */
};

/** Of the jobs, take only what is among @failures; texts are borrowed until run_free(). */
void run_retry(struct run *run, const struct run_failure *failures, size_t count);

/** Do it all. Waits. One image that fails never stops the others; what failed is in the report. */
void run_execute(struct run *run);

/**
 * Stop because of @signal: start no image and no large blob any more, and at the end of @grace_ms cut what still runs
 * at its next wait; the report says so. May be called from the loop, as a signal handler of signals_watch() is.
 */
void run_stop(struct run *run, int signal, int64_t grace_ms);

/** Borrowed; final after run_execute(). */
const struct report *run_report(const struct run *run);

/* A look at what is going on, for a progress view. */
struct progress_transfer {
	char digest[24];
	char image[128];
	int64_t bytes, size;
};

struct progress {
	int64_t images_done, images_found;
	int64_t downloaded_bytes, uploaded_bytes;
	int64_t transfer_bytes_left; /* of all that run */
	bool listing;                /* more images may be found */
	struct progress_transfer transfers[16];
	size_t transfer_count, transfers_in_all;
};

void run_progress(const struct run *run, struct progress *progress);

#endif
