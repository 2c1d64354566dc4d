/*
 * What sync and copy share: a run with its view, its signals and its report, from the loop's start to the exit code.
 */
#ifndef DRAY_CLI_SESSION_H
#define DRAY_CLI_SESSION_H

#include "cli/command.h"
#include "sync/mirror/run.h"

struct session {
	const struct arguments *arguments;
	const struct config *config; /* or NULL */
	const char *state_file;      /* or NULL: nothing is remembered */
	/* Adds the jobs; ERR_INVALID is a usage error. Waits. */
	bool (*add_jobs)(struct run *run, struct session *session, struct error *err);
	void *context;    /* of add_jobs */
	int64_t grace_ms; /* for what runs when a signal comes: --grace */
	int exit_code;
};

/** Run the loop, in it the run, and give the exit code. */
int session_execute(struct session *session);

/** Run @body in a loop, with a run that has no jobs: for commands that only look. It returns the exit code. */
int session_look(const struct config *config, int (*body)(struct run *run, void *context), void *context);

#endif
