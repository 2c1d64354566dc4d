/*
 * The worker pool: for what computes (hash, inflate) or blocks (SQLite, fsync, directory scans). A job touches only
 * what it was handed, and never waits for another job.
 */
#ifndef DRAY_SCHEDULER_POOL_H
#define DRAY_SCHEDULER_POOL_H

#include "scheduler/task.h"

/**
 * Run @job(@argument) on a worker and wait until it has run. ERR_CANCELED: it has not run, and never will; a job that
 * has begun is always waited for. In a virtual loop it runs on the loop itself, after a seeded time.
 */
must_check bool pool_run(void (*job)(void *argument), void *argument, struct error *err);

/**
 * As pool_run(), of two jobs at the same time, which touch nothing that the other writes; waits for both. After
 * ERR_CANCELED one of them may have run.
 */
must_check bool pool_run_both(
	void (*job)(void *argument), void (*other)(void *argument), void *argument, struct error *err);

/** As pool_run(), also for a task that was cancelled: for clean-up and for records that must be written. */
void pool_run_always(void (*job)(void *argument), void *argument);

#endif
