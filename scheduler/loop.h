/*
 * The loop: one thread that owns the clock, the timers, the tasks that are ready, and the events they wait for.
 *
 * It is real (libuv), or virtual: then time stands still while anything is ready and jumps to the next timer when
 * nothing is, a pool job takes a seeded time of its own, and the order of ready tasks is shuffled by the seed. The
 * same engine runs on both, so a whole day of retries is tested in a millisecond, and a seed that failed is a test.
 */
#ifndef DRAY_SCHEDULER_LOOP_H
#define DRAY_SCHEDULER_LOOP_H

#include "base/error.h"
#include "base/list.h"

#include <stddef.h>

struct loop;

/** A loop on libuv. Free it with loop_free() after loop_run() has returned. */
struct loop *loop_new(void);

/** A loop in virtual time, starting at 1,000,000 ms; @seed decides all that chance decides. */
struct loop *loop_new_virtual(uint64_t seed);

void loop_free(struct loop *loop);

/**
 * Run @main as the first task and everything it starts, until it has returned. While it runs this is the current
 * loop of the thread, which every function of this folder uses.
 */
void loop_run(struct loop *loop, void (*main)(void *argument), void *argument);

/** The loop of the running task; NULL outside loop_run(). */
struct loop *loop_current(void);

/** Milliseconds of the monotonic (or virtual) clock. Works inside loop_run() only. */
int64_t loop_now_ms(void);

/** A number below @bound (> 0), from the seed in a virtual loop: for jitter. */
uint64_t loop_random(uint64_t bound);

bool loop_is_virtual(const struct loop *loop);

/** The uv_loop_t of a real loop, for the glue of sync/http. */
struct uv_loop_s *loop_uv(struct loop *loop);

/* A one-shot timer; @fire runs on the loop, not in a task, and must not wait. */
struct timer {
	int64_t due_ms;
	size_t position; /* in the heap, from 1; 0: not running */
	void (*fire)(void *argument);
	void *argument;
};

/** Start, or start anew, @timer to fire once after @delay_ms. The timer must stay where it is until it fired. */
void timer_start(struct timer *timer, int64_t delay_ms, void (*fire)(void *argument), void *argument);

/** Stop it; harmless if it is not running. */
void timer_stop(struct timer *timer);

/** The version of libuv. */
const char *loop_library_version(void);

#endif
