#include "scheduler/internal.h"

#include "base/memory.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { VIRTUAL_START_MS = 1000000, SHUFFLE_WINDOW = 8, POOL_THREADS_LEAST = 4, POOL_THREADS_MOST = 128 };

static __thread struct loop *current_loop;

/* --- timers: a binary heap by due time, positions from 1 ------------------------------------------------------------
 */

static void heap_set(struct loop *loop, size_t position, struct timer *timer)
{
	loop->heap[position - 1] = timer;
	timer->position = position;
}

static void heap_rise(struct loop *loop, struct timer *timer)
{
	size_t position = timer->position;
	while (position > 1 && loop->heap[position / 2 - 1]->due_ms > timer->due_ms) {
		heap_set(loop, position, loop->heap[position / 2 - 1]);
		position /= 2;
	}
	heap_set(loop, position, timer);
}

static void heap_sink(struct loop *loop, struct timer *timer)
{
	size_t position = timer->position;
	for (;;) {
		size_t child = position * 2;
		if (child > loop->heap_count)
			break;
		if (child < loop->heap_count && loop->heap[child]->due_ms < loop->heap[child - 1]->due_ms)
			child++;
		if (loop->heap[child - 1]->due_ms >= timer->due_ms)
			break;
		heap_set(loop, position, loop->heap[child - 1]);
		position = child;
	}
	heap_set(loop, position, timer);
}

void timer_start(struct timer *timer, int64_t delay_ms, void (*fire)(void *argument), void *argument)
{
	struct loop *loop = current_loop;
	timer_stop(timer);
	timer->due_ms = loop_now_ms() + (delay_ms > 0 ? delay_ms : 0);
	timer->fire = fire;
	timer->argument = argument;
	if (loop->heap_count == loop->heap_capacity) {
		loop->heap_capacity = loop->heap_capacity ? loop->heap_capacity * 2 : 64;
		loop->heap = memory_resize(loop->heap, loop->heap_capacity, sizeof(struct timer *));
	}
	timer->position = ++loop->heap_count;
	heap_rise(loop, timer);
}

void timer_stop(struct timer *timer)
{
	struct loop *loop = current_loop;
	if (timer->position == 0)
		return;
	struct timer *last = loop->heap[--loop->heap_count];
	if (last != timer) {
		heap_set(loop, timer->position, last);
		heap_rise(loop, last);
		heap_sink(loop, last);
	}
	timer->position = 0;
}

static void fire_due_timers(struct loop *loop)
{
	int64_t now = loop_now_ms();
	while (loop->heap_count > 0 && loop->heap[0]->due_ms <= now) {
		struct timer *timer = loop->heap[0];
		timer_stop(timer);
		timer->fire(timer->argument);
	}
}

/* --- the loop -------------------------------------------------------------------------------------------------------
 */

static struct loop *loop_new_blank(void)
{
	struct loop *loop = memory_new(1, sizeof *loop);
	list_init(&loop->ready);
	list_init(&loop->gate_waiters);
	list_init(&loop->idle_fibers);
	return loop;
}

static void size_worker_pool(void)
{
	/* Enough for every core to hash while others wait for a disk; libuv reads it when the first job comes. */
	size_t cores = (size_t)sysconf(_SC_NPROCESSORS_ONLN), count = cores + 2;
	char threads[24];
	if (count < POOL_THREADS_LEAST)
		count = POOL_THREADS_LEAST;
	if (count > POOL_THREADS_MOST)
		count = POOL_THREADS_MOST;
	snprintf(threads, sizeof threads, "%zu", count);
	setenv("UV_THREADPOOL_SIZE", threads, 1);
}

static void do_nothing(uv_work_t *unused)
{
	(void)unused;
}

static void on_abort(int unused)
{
	(void)unused;
	memory_exhausted();
}

/*
 * libuv knows only abort() when it gets no pipe for signals, with the first loop, or no thread for its pool, with the
 * first job (T-71). So both come first, and here, and nothing else aborts meanwhile. Signals are for the loop's thread:
 * the workers inherit a mask that blocks them all.
 */
static void make_loop_and_workers(struct loop *loop)
{
	struct sigaction ours = {.sa_handler = on_abort}, usual;
	sigset_t all, mask;
	uv_work_t first;
	sigaction(SIGABRT, &ours, &usual);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &mask);
	if (uv_loop_init(&loop->uv) != 0 || uv_queue_work(&loop->uv, &first, do_nothing, NULL) != 0 ||
		uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
		memory_exhausted();
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGABRT, &usual, NULL);
}

struct loop *loop_new(void)
{
	uv_replace_allocator(memory_for_library, memory_resized_for_library, memory_zeroed_for_library, free);
	struct loop *loop = loop_new_blank();
	size_worker_pool();
	signal(SIGPIPE, SIG_IGN);
	loop->random_state = uv_hrtime() ^ (uint64_t)getpid() << 32;
	make_loop_and_workers(loop);
	if (uv_timer_init(&loop->uv, &loop->wake) != 0)
		memory_exhausted();
	uv_unref((uv_handle_t *)&loop->wake);
	return loop;
}

struct loop *loop_new_virtual(uint64_t seed)
{
	struct loop *loop = loop_new_blank();
	loop->is_virtual = true;
	loop->random_state = seed * 0x9e3779b97f4a7c15U + 1;
	loop->virtual_now_ms = VIRTUAL_START_MS;
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	channel_release_spare_chunks(loop);
	if (!loop->is_virtual) {
		uv_close((uv_handle_t *)&loop->wake, NULL);
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		if (uv_loop_close(&loop->uv) != 0)
			fprintf(stderr, "dray: internal: the loop is freed while something still uses it\n");
	}
	task_release_fibers(loop);
	free(loop->heap);
	free(loop);
}

static void main_ended(struct loop *loop)
{
	loop->main_done = true;
}

static struct task *next_ready(struct loop *loop)
{
	struct list *node = loop->ready.next;
	if (loop->is_virtual)
		for (uint64_t skip = loop_random(SHUFFLE_WINDOW); skip > 0 && node->next != &loop->ready; skip--)
			node = node->next;
	return list_item(node, struct task, node);
}

/* What is ready now; tasks that become ready meanwhile come after the next look at the events. */
static void run_ready(struct loop *loop, const struct task *main_task)
{
	struct list *last = loop->ready.prev;
	while (!list_is_empty(&loop->ready) && !loop->main_done) {
		struct task *task = next_ready(loop);
		bool was_last = &task->node == last, was_main = task == main_task;
		task_resume(loop, task);
		if (was_main && main_task->done)
			main_ended(loop);
		if (was_last && !loop->is_virtual)
			return;
	}
}

static _Noreturn void stuck(void)
{
	static const char line[] = "dray: internal: every task waits, and nothing can wake one; please report this\n";
	if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
		_exit(70);
	_exit(70);
}

static void on_wake(uv_timer_t *timer)
{
	/* uv_run() runs timers before it polls: if this one came due between arming and running, it must not block. */
	uv_stop(timer->loop);
}

static void wait_for_events(struct loop *loop)
{
	bool idle = list_is_empty(&loop->ready);
	uv_run_mode mode = idle ? UV_RUN_ONCE : UV_RUN_NOWAIT;
	if (idle && loop->heap_count > 0) {
		int64_t delay = loop->heap[0]->due_ms - loop_now_ms();
		uv_update_time(&loop->uv);
		uv_ref((uv_handle_t *)&loop->wake);
		uv_timer_start(&loop->wake, on_wake, delay > 0 ? (uint64_t)delay : 0, 0);
	} else if (idle && !uv_loop_alive(&loop->uv)) {
		stuck();
	}
	uv_run(&loop->uv, mode);
	uv_timer_stop(&loop->wake);
	uv_unref((uv_handle_t *)&loop->wake);
	fire_due_timers(loop);
}

static void jump_to_next_timer(struct loop *loop)
{
	if (!list_is_empty(&loop->ready))
		return;
	if (loop->heap_count == 0)
		stuck();
	if (loop->heap[0]->due_ms > loop->virtual_now_ms)
		loop->virtual_now_ms = loop->heap[0]->due_ms;
	fire_due_timers(loop);
}

void loop_run(struct loop *loop, void (*main)(void *argument), void *argument)
{
	struct loop *outer = current_loop;
	current_loop = loop;
	loop->main_done = false;
	struct task *task = task_new(loop, main, argument);
	while (!loop->main_done) {
		run_ready(loop, task);
		if (loop->main_done)
			break;
		if (loop->is_virtual)
			jump_to_next_timer(loop);
		else
			wait_for_events(loop);
	}
	free(task);
	current_loop = outer;
}

struct loop *loop_current(void)
{
	return current_loop;
}

int64_t loop_now_ms(void)
{
	return current_loop->is_virtual ? current_loop->virtual_now_ms : (int64_t)(uv_hrtime() / 1000000);
}

uint64_t loop_random(uint64_t bound)
{
	uint64_t x = current_loop->random_state; /* xorshift64* */
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	current_loop->random_state = x;
	return (x * 0x2545f4914f6cdd1dU >> 11) % bound;
}

bool loop_is_virtual(const struct loop *loop)
{
	return loop->is_virtual;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

const char *loop_library_version(void)
{
	return uv_version_string();
}
