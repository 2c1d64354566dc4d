/*
 * Child processes, for credential helpers only: no shell, a group of their own, a deadline, bounded output (T-22).
 */
#ifndef DRAY_SCHEDULER_PROCESS_H
#define DRAY_SCHEDULER_PROCESS_H

#include "base/buf.h"
#include "scheduler/task.h"

struct process_result {
	int exit_status; /* of the child; -1: ended by a signal */
};

/**
 * Run @argv (argv[0] an absolute path; NULL ends it) with the environment @environment (NULL: ours), write @input to
 * its stdin, collect its stdout into @output, and wait for its end. Its stderr is ours.
 *
 * ERR_TIMEOUT    longer than @timeout_ms; the whole process group was killed
 * ERR_TOO_LARGE  more output than the maximum of @output; killed
 * ERR_IO         could not be started
 * ERR_CANCELED   killed
 */
must_check bool process_run(char *const argv[], char *const environment[], const char *input, int64_t timeout_ms,
	struct buf *output, struct process_result *result, struct error *err);

#endif
