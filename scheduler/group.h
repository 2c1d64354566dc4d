/*
 * Groups: every task is in one, and whoever made the group waits for it, so that no task outlives what it uses.
 */
#ifndef DRAY_SCHEDULER_GROUP_H
#define DRAY_SCHEDULER_GROUP_H

#include "scheduler/task.h"

struct group {
	struct list tasks;
	size_t running;
	size_t width;
	bool canceled;
	struct waitqueue room; /* spawners above the width */
	struct waitqueue idle; /* who waits for running == 0 */
};

/** A group in the caller's memory, at most @width tasks at a time. */
void group_init(struct group *group, size_t width);

/** Start a task; waits while the group is full. ERR_CANCELED: the caller or the group was cancelled; nothing runs. */
must_check bool group_spawn(struct group *group, task_function function, void *argument, struct error *err);

/**
 * Wait until no task of the group runs. If the caller is cancelled meanwhile (or was), so is the group, and the wait
 * goes on.
 */
void group_wait(struct group *group);

/** Cancel every task of the group, and refuse new ones. Does not wait. */
void group_cancel(struct group *group);

#endif
