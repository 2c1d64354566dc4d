/*
 * One task takes what was queued, in batches, to the database on a worker. While one batch is on its way, the next
 * gathers.
 */
#include "store/queue.h"

#include "base/memory.h"
#include "scheduler/loop.h"
#include "scheduler/pool.h"
#include "store/database.h"
#include "store/operation.h"

/* What a crash may forget costs a HEAD; a commit for each record would cost five syncs. */
enum { TRIES = 2, GATHER_MS = 250 };

static void move_all(struct list *from, struct list *to)
{
	list_for_each_safe (node, from) {
		list_remove(node);
		list_append(to, node);
	}
}

struct batch_job {
	struct database *database;
	struct list operations;
};

static void run_batch(void *argument)
{
	struct batch_job *job = argument;
	database_run(job->database, &job->operations);
}

/* A task waits for its answer now. */
static bool is_urgent(const struct operation *operation)
{
	return !waitqueue_is_empty(&operation->answered.waiting);
}

/* The operation has run. Returns true when it is to be tried again. */
static bool settle(struct queue *queue, struct operation *operation)
{
	bool has_time = !is_urgent(operation) && !operation->is_abandoned;
	if (operation->failed && has_time && ++operation->failures < TRIES)
		return true;
	if (operation->is_waited && !operation->is_abandoned) {
		latch_open(&operation->answered);
		return false;
	}
	if (operation->failed && !operation->is_waited)
		queue->unrecorded_count++;
	operation_free(operation);
	return false;
}

static void commit(struct queue *queue, struct batch_job *job)
{
	struct list again;
	list_init(&again);
	job->database = queue->database;
	pool_run_always(run_batch, job);
	queue->last_error = *database_last_error(queue->database);
	list_for_each_safe (node, &job->operations) {
		list_remove(node);
		if (settle(queue, list_item(node, struct operation, node)))
			list_append(&again, node);
	}
	/* In front of what came meanwhile: the order of records is the order of events. */
	move_all(&queue->operations, &again);
	move_all(&again, &queue->operations);
}

static void commit_queued(struct queue *queue)
{
	struct batch_job job;
	list_init(&job.operations);
	move_all(&queue->operations, &job.operations);
	queue->has_news = false;
	commit(queue, &job);
}

/* Does anything in front of it in the queue say something of what it asks for? */
static bool waits_for_records(const struct queue *queue, const struct operation *question)
{
	list_for_each (node, &queue->operations) {
		const struct operation *other = list_item(node, struct operation, node);
		if (other == question)
			return false;
		if (!operation_is_question(other) && operation_concerns(other, question))
			return true;
	}
	return false;
}

/* Questions that need not wait for any record are a batch of their own, which syncs nothing. */
static bool answer_questions(struct queue *queue)
{
	struct batch_job job;
	list_init(&job.operations);
	list_for_each_safe (node, &queue->operations) {
		const struct operation *operation = list_item(node, struct operation, node);
		if (!operation_is_question(operation) || waits_for_records(queue, operation))
			continue;
		list_remove(node);
		list_append(&job.operations, node);
	}
	if (list_is_empty(&job.operations))
		return false;
	commit(queue, &job);
	return true;
}

static bool is_due(const struct queue *queue)
{
	if (queue->closing || loop_now_ms() >= queue->due_ms)
		return true;
	list_for_each (node, &queue->operations)
		if (is_urgent(list_item(node, struct operation, node)))
			return true;
	return false;
}

/* It cannot be cancelled: what was queued is recorded, whatever stopped the run. */
static void queue_task(void *argument)
{
	struct queue *queue = argument;
	for (;;) {
		while (!queue->closing && (!queue->has_news || list_is_empty(&queue->operations)))
			waitqueue_wait_uncancelable(&queue->work);
		if (list_is_empty(&queue->operations))
			return;
		if (answer_questions(queue))
			continue;
		if (is_due(queue))
			commit_queued(queue);
		else
			(void)!waitqueue_wait_until(&queue->work, queue->due_ms, NULL);
	}
}

void queue_init(struct queue *queue)
{
	*queue = (struct queue){0};
	list_init(&queue->operations);
	waitqueue_init(&queue->work);
	group_init(&queue->group, 1);
}

bool queue_start(struct queue *queue, struct database *database, struct error *err)
{
	queue->database = database;
	return group_spawn(&queue->group, queue_task, queue, err);
}

void queue_drain(struct queue *queue)
{
	queue->closing = true;
	waitqueue_wake_one(&queue->work);
	group_wait(&queue->group);
}

void queue_add(struct queue *queue, struct operation *operation)
{
	if (!queue->database) {
		operation_free(operation);
		return;
	}
	if (!queue->has_news || list_is_empty(&queue->operations))
		queue->due_ms = loop_now_ms() + GATHER_MS;
	list_append(&queue->operations, &operation->node);
	queue->has_news = true;
	waitqueue_wake_one(&queue->work);
}

bool queue_await(struct queue *queue, struct operation *operation, char **answer, struct error *err)
{
	struct error canceled;
	queue->has_news = true; /* it may have failed once */
	waitqueue_wake_one(&queue->work);
	if (!latch_wait(&operation->answered, &canceled) && !operation->answered.open) {
		operation->is_abandoned = true;
		return error_set(err, canceled.kind, "%s", canceled.text);
	}
	bool ok = !operation->failed;
	if (ok) {
		*answer = operation->answer;
		operation->answer = NULL;
	} else {
		error_set(err, queue->last_error.kind, "%s", queue->last_error.text);
	}
	operation_free(operation);
	return ok;
}

bool queue_ask(struct queue *queue, struct operation *operation, char **answer, struct error *err)
{
	if (!queue->database) {
		operation_free(operation);
		*answer = NULL;
		return true;
	}
	operation->is_waited = true;
	queue_add(queue, operation);
	return queue_await(queue, operation, answer, err);
}
