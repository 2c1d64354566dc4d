/*
 * Operations: what is asked of the state, as values. A task makes one, the queue (queue.c) carries it, the database
 * (sqlite.c) runs it on a worker. What it says is copied, so the task need not stay.
 */
#ifndef DRAY_STORE_OPERATION_H
#define DRAY_STORE_OPERATION_H

#include "base/list.h"
#include "scheduler/latch.h"

#include <stdint.h>

/* The values of each, in order, are the parameters of its row in sqlite.c. */
enum operation_kind {
	OPERATION_RUN_FORGET_OLD,
	OPERATION_RUN_BEGIN,
	OPERATION_RUN_END,
	OPERATION_JOB,
	OPERATION_TAG_FIND,
	OPERATION_TAG_SOURCE,
	OPERATION_TAG_WRITTEN,
	OPERATION_DIFF_ID_FIND,
	OPERATION_DIFF_ID_PROVEN,
	OPERATION_DIFF_ID_FORGET_OLD,
	OPERATION_LOCATION_FIND,
	OPERATION_LOCATION_SEEN,
	OPERATION_LOCATION_GONE,
	OPERATION_LOCATION_FORGET_OLD,
	OPERATION_KIND_COUNT,
};

#define OPERATION_VALUES_MAX 11

struct operation_value {
	bool is_number;
	bool is_run; /* the number of the run that was begun last: known when the operation runs, and not before */
	int64_t number;
	char *text; /* NULL: a null */
};

struct operation {
	struct list node;
	enum operation_kind kind;
	struct operation_value values[OPERATION_VALUES_MAX];
	size_t value_count;

	/* What the database says. */
	bool failed;
	char *answer; /* the first column of the first row, or NULL */

	/* What the queue knows. */
	int failures;
	bool is_waited;    /* a task will want the answer; it frees the operation ... */
	bool is_abandoned; /* ... unless it was cancelled meanwhile */
	struct latch answered;
};

struct operation *operation_new(enum operation_kind kind);
void operation_free(struct operation *operation);

/** Add the next value; @text may be NULL. */
void operation_add_text(struct operation *operation, const char *text);
void operation_add_number(struct operation *operation, int64_t number);
void operation_add_run(struct operation *operation);

/** It changes nothing, and somebody waits for what it finds. */
bool operation_is_question(const struct operation *operation);

/** Can what @record says change the answer to @question? */
bool operation_concerns(const struct operation *record, const struct operation *question);

#endif
