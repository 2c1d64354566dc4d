/*
 * The queue: how operations get from the tasks that make them to the database, and answers back.
 *
 * It has no maximum of its own, since who records must not wait: it holds what tasks record while one batch is on its
 * way to the disk, and the number of tasks is bounded by their groups.
 */
#ifndef DRAY_STORE_QUEUE_H
#define DRAY_STORE_QUEUE_H

#include "base/error.h"
#include "base/list.h"
#include "scheduler/group.h"
#include "scheduler/task.h"

struct database;
struct operation;

struct queue {
	struct database *database; /* borrowed; NULL: nothing is remembered */
	struct list operations;
	bool has_news;  /* something came since the last batch: only then are failed ones tried again */
	int64_t due_ms; /* when that is committed at the latest */
	bool closing;
	struct waitqueue work;
	struct group group; /* of its one task */
	size_t unrecorded_count;
	struct error last_error;
};

/** A queue without a database: what is added is dropped, and every question is answered with nothing. */
void queue_init(struct queue *queue);

/** From now on a task takes what is added to @database, which stays until queue_drain(). ERR_CANCELED. */
must_check bool queue_start(struct queue *queue, struct database *database, struct error *err);

/** Run all that is queued, cancelled or not; then nothing may be added any more. Waits. */
void queue_drain(struct queue *queue);

/** Add @operation, which it takes unless somebody waits for it (is_waited). Returns at once. */
void queue_add(struct queue *queue, struct operation *operation);

/**
 * Wait for the answer to @operation, which was added, is_waited, and is gone afterwards: *answer is new memory, or NULL
 * when there is none. ERR_STORE, ERR_CANCELED.
 */
must_check bool queue_await(struct queue *queue, struct operation *operation, char **answer, struct error *err);

/** queue_add() and queue_await(). */
must_check bool queue_ask(struct queue *queue, struct operation *operation, char **answer, struct error *err);

#endif
