/*
 * What the runs left in a state file, for people: `dray status` and `dray explain`. Nothing is written and nothing
 * locked; a run may be writing meanwhile, and what is read here is what it has committed (DESIGN 7: everything is read
 * into memory, and the file is let go at once).
 *
 * All of it blocks, and needs no loop.
 */
#ifndef DRAY_STORE_HISTORY_H
#define DRAY_STORE_HISTORY_H

#include "store/store.h"

struct history_run {
	int64_t id;
	int64_t started_ms, finished_ms; /* since 1970; finished 0: it is running, or died */
	int exit_code;                   /* of a finished one */
	struct run_totals totals;        /* of a finished one */
};

/* What a run did with one source at one target. */
struct history_job {
	int64_t run;
	char *source, *target, *outcome;
	char *digest, *stage, *error_kind, *error_text; /* or NULL */
	int64_t duration_ms, finished_ms;
	int64_t attempts; /* in a row, this one among them */
	int64_t bytes;    /* of blobs that were sent for it */
};

/* What dray wrote last at a target. */
struct history_tag {
	char *target, *source, *source_digest, *platforms, *written;
	int64_t first_seen_ms, verified_ms;
};

struct history {
	struct history_run run; /* id 0: there is none */
	struct history_job *jobs;
	size_t job_count;
	struct history_tag *tags;
	size_t tag_count;
	struct { /* of the run's jobs so far, an image at two targets being two */
		int64_t copied, failed, sent_bytes;
		int64_t last_ms; /* when the last one was recorded; 0: none was */
	} jobs_done;
	bool held;       /* a run holds the state now */
	char holder[96]; /* "pid 7, since ..." of who does, or did last; "" if nobody has */
};

/* More lines are no answer to a person. */
enum { HISTORY_MOST = 1000 };

/**
 * The run @id (0: the last) of the state at @path, and the first HISTORY_MOST of its jobs that failed.
 * ERR_NOT_FOUND: no such file or run. ERR_INVALID: not a state of ours, or of a newer version. ERR_STORE.
 */
must_check bool history_of_run(const char *path, int64_t id, struct history *history, struct error *err);

/** The same with all of its jobs that failed, ordered by source and target. */
must_check bool history_of_failures(const char *path, int64_t id, struct history *history, struct error *err);

/**
 * Every run's job whose source or target is @reference, the latest first, and what stands written for it.
 * Errors as above; nothing known of it is a success.
 */
must_check bool history_of_reference(
	const char *path, const char *reference, struct history *history, struct error *err);

void history_release(struct history *history);

#endif
