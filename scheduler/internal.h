/*
 * What the files of scheduler/ share, and nobody else sees.
 */
#ifndef DRAY_SCHEDULER_INTERNAL_H
#define DRAY_SCHEDULER_INTERNAL_H

#include "scheduler/group.h"
#include "scheduler/loop.h"

#include <setjmp.h>
#include <ucontext.h>
#include <uv.h>

struct fiber;
struct slab;

enum { SIGNALS_WATCHED = 3 };
enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING };
enum wake_reason { WAKE_SIGNALED, WAKE_CANCELED, WAKE_DEADLINE };

struct task {
	struct list node;       /* in the ready list, or in the waitqueue it waits in */
	struct list group_node; /* in its group */
	struct group *group;    /* NULL: the main task */
	task_function function;
	void *argument;
	enum task_state state;
	enum wake_reason reason; /* why the last wait ended */
	bool canceled;
	bool cancelable; /* the wait it is in */
	bool done;
	struct timer deadline;
	struct fiber *fiber;
};

struct loop {
	bool is_virtual;
	int64_t virtual_now_ms;
	uint64_t random_state;
	struct list ready;
	struct task *running; /* NULL: the loop itself */
	bool main_done;
	struct timer **heap; /* heap[0] is due first */
	size_t heap_count, heap_capacity;
	struct list gate_waiters;         /* gate.c */
	struct spare_chunk *spare_chunks; /* channel.c */
	size_t spare_chunk_count;
	/* task.c */
	sigjmp_buf home;
	ucontext_t start;       /* of the stack that is being entered for the first time */
	const void *home_stack; /* for the sanitizers */
	size_t home_stack_bytes;
	void *home_fake_stack, *home_tsan;
	struct list idle_fibers;
	struct slab *slabs; /* of stacks; the first may have some left */
	/* real loops only */
	uv_loop_t uv;
	uv_timer_t wake;
	uv_signal_t signals[SIGNALS_WATCHED];
	bool signals_watched;
	void (*on_signal)(int signal, void *argument);
	void *on_signal_argument;
};

/** A new task that is ready; the caller puts it into its group. */
struct task *task_new(struct loop *loop, task_function function, void *argument);

/** Run one ready task until it waits or ends. An ended one has left its group, and is gone. */
void task_resume(struct loop *loop, struct task *task);

/** Mark as cancelled, and end the wait it is in if that can be ended. */
void task_cancel(struct task *task);

/** Called on the loop when a task of @group has ended. */
void group_task_ended(struct group *group, struct task *task);

/** Free all stacks; no task is left. */
void task_release_fibers(struct loop *loop);

/** Free the chunks kept for reuse. */
void channel_release_spare_chunks(struct loop *loop);

#endif
