/*
 * Switching between stacks.
 *
 * A fiber is a stack that was entered once through makecontext() and from then on runs one task after another; it
 * leaves and is entered again by sigsetjmp()/siglongjmp() without signal masks, which costs no system call. Control
 * goes from the loop to a task and back, never from task to task. The sanitizers and valgrind are told of every
 * stack and every switch. This file is built without _FORTIFY_SOURCE, whose longjmp aborts on a jump between stacks.
 */
#include "scheduler/internal.h"

#include "base/memory.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

enum { STACKS_PER_SLAB = 16 };

struct fiber {
	struct list node;     /* among the idle ones */
	unsigned char *stack; /* TASK_STACK_BYTES, behind a guard page */
	bool entered;
	sigjmp_buf resume;
	struct task *task; /* whom it runs */
	void *fake_stack, *tsan;
	unsigned valgrind_id;
};

/* Stacks are mapped some at a time, and kept as long as the loop: a run that is short has seventy all the same. */
struct slab {
	struct slab *next;
	unsigned char *mapping;
	size_t bytes, used_bytes;
};

/* --- what the tools must be told ------------------------------------------------------------------------------------
 */

static void announce_switch(void **fake_stack, const void *stack, size_t stack_bytes, void *tsan)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(fake_stack, stack, stack_bytes);
#else
	(void)fake_stack, (void)stack, (void)stack_bytes;
#endif
#ifdef __SANITIZE_THREAD__
	__tsan_switch_to_fiber(tsan, 0);
#else
	(void)tsan;
#endif
}

static void announce_arrival(void *fake_stack, const void **from_stack, size_t *from_bytes)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(fake_stack, from_stack, from_bytes);
#else
	(void)fake_stack, (void)from_stack, (void)from_bytes;
#endif
}

static void *tsan_self(void)
{
#ifdef __SANITIZE_THREAD__
	return __tsan_get_current_fiber();
#else
	return NULL;
#endif
}

/* ThreadSanitizer keeps a signal for the fiber that it finds running, which may then wait for ever. So signals come to
 * the loop, and not to tasks. */
static void hold_signals(int how)
{
#ifdef __SANITIZE_THREAD__
	static const int of_programs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	sigset_t held;
	sigfillset(&held);
	for (size_t i = 0; i < sizeof of_programs / sizeof of_programs[0]; i++)
		sigdelset(&held, of_programs[i]);
	pthread_sigmask(how, &held, NULL);
#else
	(void)how;
#endif
}

/* --- fibers ---------------------------------------------------------------------------------------------------------
 */

static void leave_fiber(struct loop *loop, struct fiber *fiber)
{
	if (sigsetjmp(fiber->resume, 0) == 0) {
		announce_switch(&fiber->fake_stack, loop->home_stack, loop->home_stack_bytes, loop->home_tsan);
		siglongjmp(loop->home, 1);
	}
	announce_arrival(fiber->fake_stack, &loop->home_stack, &loop->home_stack_bytes);
}

static void fiber_main(unsigned high, unsigned low)
{
	struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low);
	struct loop *loop = loop_current();
	announce_arrival(NULL, &loop->home_stack, &loop->home_stack_bytes);
	for (;;) {
		struct task *task = fiber->task;
		task->function(task->argument);
		task->done = true;
		leave_fiber(loop, fiber);
	}
}

static void add_slab(struct loop *loop, size_t bytes)
{
	struct slab *slab = memory_new(1, sizeof *slab);
	*slab = (struct slab){.next = loop->slabs, .bytes = bytes};
	slab->mapping = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slab->mapping == MAP_FAILED)
		memory_exhausted();
	loop->slabs = slab;
}

/* The page in front of it stays closed. */
static unsigned char *open_stack(struct loop *loop)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (!loop->slabs || loop->slabs->used_bytes == loop->slabs->bytes)
		add_slab(loop, STACKS_PER_SLAB * (page + TASK_STACK_BYTES));
	unsigned char *stack = loop->slabs->mapping + loop->slabs->used_bytes + page;
	loop->slabs->used_bytes += page + TASK_STACK_BYTES;
	if (mprotect(stack, TASK_STACK_BYTES, PROT_READ | PROT_WRITE) != 0)
		memory_exhausted();
	return stack;
}

static struct fiber *fiber_new(struct loop *loop)
{
	struct fiber *fiber = memory_new(1, sizeof *fiber);
	list_init(&fiber->node);
	fiber->stack = open_stack(loop);
	fiber->valgrind_id = VALGRIND_STACK_REGISTER(fiber->stack, fiber->stack + TASK_STACK_BYTES);
#ifdef __SANITIZE_THREAD__
	fiber->tsan = __tsan_create_fiber(0);
#endif
	return fiber;
}

static void fiber_free(struct fiber *fiber)
{
	VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#ifdef __SANITIZE_THREAD__
	__tsan_destroy_fiber(fiber->tsan);
#endif
	free(fiber);
}

static struct fiber *take_fiber(struct loop *loop)
{
	if (list_is_empty(&loop->idle_fibers))
		return fiber_new(loop);
	struct fiber *fiber = list_item(loop->idle_fibers.prev, struct fiber, node);
	list_remove(&fiber->node);
	return fiber;
}

static void give_fiber_back(struct loop *loop, struct fiber *fiber)
{
	fiber->task = NULL;
	list_append(&loop->idle_fibers, &fiber->node);
}

void task_release_fibers(struct loop *loop)
{
	while (!list_is_empty(&loop->idle_fibers)) {
		struct fiber *fiber = list_item(loop->idle_fibers.next, struct fiber, node);
		list_remove(&fiber->node);
		fiber_free(fiber);
	}
	while (loop->slabs) {
		struct slab *slab = loop->slabs;
		loop->slabs = slab->next;
		munmap(slab->mapping, slab->bytes);
		free(slab);
	}
}

/* Does not return: control comes back to loop->home. */
static void begin_fiber(ucontext_t *start, struct fiber *fiber)
{
	uintptr_t self = (uintptr_t)fiber;
	getcontext(start);
	start->uc_stack.ss_sp = fiber->stack;
	start->uc_stack.ss_size = TASK_STACK_BYTES;
	start->uc_link = NULL;
	makecontext(start, (void (*)(void))fiber_main, 2, (unsigned)(self >> 32), (unsigned)self);
	fiber->entered = true;
	setcontext(start);
}

static __attribute__((noinline)) void enter_fiber(struct loop *loop, struct fiber *fiber)
{
	loop->home_tsan = tsan_self();
	hold_signals(SIG_BLOCK);
	if (sigsetjmp(loop->home, 0) == 0) {
		announce_switch(&loop->home_fake_stack, fiber->stack, TASK_STACK_BYTES, fiber->tsan);
		if (fiber->entered)
			siglongjmp(fiber->resume, 1);
		begin_fiber(&loop->start, fiber);
	}
	announce_arrival(loop->home_fake_stack, NULL, NULL);
	hold_signals(SIG_UNBLOCK);
}

/* --- tasks ----------------------------------------------------------------------------------------------------------
 */

struct task *task_new(struct loop *loop, task_function function, void *argument)
{
	struct task *task = memory_new(1, sizeof *task);
	list_init(&task->group_node);
	task->function = function;
	task->argument = argument;
	task->state = TASK_READY;
	list_append(&loop->ready, &task->node);
	return task;
}

void task_resume(struct loop *loop, struct task *task)
{
	list_remove(&task->node);
	if (!task->fiber) {
		task->fiber = take_fiber(loop);
		task->fiber->task = task;
	}
	task->state = TASK_RUNNING;
	loop->running = task;
	enter_fiber(loop, task->fiber);
	loop->running = NULL;
	if (!task->done)
		return;
	give_fiber_back(loop, task->fiber);
	if (task->group) {
		group_task_ended(task->group, task);
		free(task);
	}
}

struct task *task_self(void)
{
	struct loop *loop = loop_current();
	return loop ? loop->running : NULL;
}

bool task_is_canceled(void)
{
	return task_self()->canceled;
}

static void make_ready(struct task *task, enum wake_reason reason)
{
	list_remove(&task->node);
	task->state = TASK_READY;
	task->reason = reason;
	list_append(&loop_current()->ready, &task->node);
}

void task_cancel(struct task *task)
{
	task->canceled = true;
	if (task->state == TASK_WAITING && task->cancelable)
		make_ready(task, WAKE_CANCELED);
}

static void on_deadline(void *argument)
{
	struct task *task = argument;
	if (task->state == TASK_WAITING)
		make_ready(task, WAKE_DEADLINE);
}

/* The one place where a task stops running without having ended. */
static enum wake_reason park(struct waitqueue *queue, int64_t deadline_ms, bool cancelable)
{
	struct loop *loop = loop_current();
	struct task *self = loop->running;
	if (cancelable && self->canceled)
		return WAKE_CANCELED;
	list_append(&queue->tasks, &self->node);
	self->state = TASK_WAITING;
	self->cancelable = cancelable;
	if (deadline_ms >= 0)
		timer_start(&self->deadline, deadline_ms - loop_now_ms(), on_deadline, self);
	leave_fiber(loop, self->fiber);
	timer_stop(&self->deadline);
	return self->reason;
}

void waitqueue_init(struct waitqueue *queue)
{
	list_init(&queue->tasks);
}

bool waitqueue_wait(struct waitqueue *queue, struct error *err)
{
	return waitqueue_wait_until(queue, -1, err);
}

bool waitqueue_wait_until(struct waitqueue *queue, int64_t deadline_ms, struct error *err)
{
	enum wake_reason reason = park(queue, deadline_ms, true);
	if (reason == WAKE_CANCELED)
		return error_set(err, ERR_CANCELED, "stopped");
	if (reason == WAKE_DEADLINE)
		return error_set(err, ERR_TIMEOUT, "timed out");
	return true;
}

void waitqueue_wait_uncancelable(struct waitqueue *queue)
{
	park(queue, -1, false);
}

bool waitqueue_wake_one(struct waitqueue *queue)
{
	if (list_is_empty(&queue->tasks))
		return false;
	make_ready(list_item(queue->tasks.next, struct task, node), WAKE_SIGNALED);
	return true;
}

void waitqueue_wake_all(struct waitqueue *queue)
{
	while (waitqueue_wake_one(queue))
		;
}

bool waitqueue_is_empty(const struct waitqueue *queue)
{
	return list_is_empty(&queue->tasks);
}

bool task_yield(struct error *err)
{
	return task_sleep(0, err);
}

bool task_sleep(int64_t delay_ms, struct error *err)
{
	struct waitqueue nobody_wakes;
	waitqueue_init(&nobody_wakes);
	enum wake_reason reason = park(&nobody_wakes, loop_now_ms() + delay_ms, true);
	return reason != WAKE_CANCELED || error_set(err, ERR_CANCELED, "stopped");
}
