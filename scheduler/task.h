/*
 * Tasks: stackful coroutines on the one loop, so that waiting code reads from top to bottom (DESIGN section 3).
 *
 * A task lives in a group, runs until it waits or ends, and is never interrupted in between; what two tasks share
 * needs no lock. All waiting goes through a `struct waitqueue`: gate, latch, channel, timer and pool are built on it.
 *
 * Cancellation: a cancelled task's wait returns false with ERR_CANCELED, now and from then on, so that it finds its
 * way out by its ordinary error paths. Only group_wait() goes on waiting, since children may use the parent's stack.
 */
#ifndef DRAY_SCHEDULER_TASK_H
#define DRAY_SCHEDULER_TASK_H

#include "base/error.h"
#include "base/list.h"

#include <stddef.h>

/* jansson's deepest parse takes 165 KiB; sanitizers make frames several times as large. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TASK_STACK_BYTES ((size_t)1024 * 1024)
#else
#define TASK_STACK_BYTES ((size_t)256 * 1024)
#endif

/* What is copied at a time by way of a task's stack: a page of it that was touched once is memory for good, and a run
 * has some hundred stacks. */
#define TASK_STEP_BYTES ((size_t)512)

struct task;

typedef void (*task_function)(void *argument);

/** The running task; NULL on the loop itself. */
struct task *task_self(void);

/** Was the running task cancelled? For work that does not wait. */
bool task_is_canceled(void);

/** Let the others run. ERR_CANCELED. */
must_check bool task_yield(struct error *err);

/** Wait for @delay_ms. ERR_CANCELED. */
must_check bool task_sleep(int64_t delay_ms, struct error *err);

/* Tasks that wait for the same thing, first come first woken. Zero-initialise with waitqueue_init(). */
struct waitqueue {
	struct list tasks;
};

void waitqueue_init(struct waitqueue *queue);

/** Wait until woken. ERR_CANCELED; the task has left the queue then. */
must_check bool waitqueue_wait(struct waitqueue *queue, struct error *err);

/** As waitqueue_wait(), at most until loop_now_ms() reaches @deadline_ms (negative: for ever). ERR_TIMEOUT. */
must_check bool waitqueue_wait_until(struct waitqueue *queue, int64_t deadline_ms, struct error *err);

/** Wait until woken, cancelled or not: for what uses our memory and cannot be called back. */
void waitqueue_wait_uncancelable(struct waitqueue *queue);

/** Wake the first; false: nobody waits. May be called from the loop (a timer, a libuv callback) too. */
bool waitqueue_wake_one(struct waitqueue *queue);

void waitqueue_wake_all(struct waitqueue *queue);

bool waitqueue_is_empty(const struct waitqueue *queue);

#endif
