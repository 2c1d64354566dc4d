#include "cli/history_text.h"
#include "cli/report_json.h"
#include "cli/session.h"

#include "base/log.h"

#include <stdio.h>

static bool add_jobs(struct run *run, struct session *session, struct error *err)
{
	const struct history *history = session->context;
	struct run_failure *failures = memory_new(history->job_count, sizeof *failures);
	for (size_t i = 0; i < history->job_count; i++)
		failures[i] = (struct run_failure){history->jobs[i].source, history->jobs[i].target};
	run_retry(run, failures, history->job_count);
	free(failures);
	return run_add_config(run, err);
}

/* It is no run: nothing is recorded, so that the last run stays what it is. */
static int nothing_to_do(const struct arguments *arguments, const struct history *history)
{
	const struct report report = {.started_ms = history->run.started_ms, .finished_ms = history->run.started_ms};
	if (arguments->given[OPTION_JSON])
		report_print_json(&report, EXIT_DONE);
	if (!arguments->given[OPTION_QUIET])
		fprintf(arguments->given[OPTION_JSON] ? stderr : stdout, "run %lld: nothing failed\n",
			(long long)history->run.id);
	return EXIT_DONE;
}

static int retry(const struct arguments *arguments, const struct config *config, struct history *history)
{
	struct session session = {
		.arguments = arguments,
		.config = config,
		.state_file = config->state_file,
		.add_jobs = add_jobs,
		.context = history,
	};
	if (history->run.finished_ms == 0 && history->held && history->job_count == 0) {
		log_error("run %lld is at work (%s): nothing has failed so far", (long long)history->run.id,
			history->holder);
		return EXIT_BUSY;
	}
	if (history->run.finished_ms == 0 && !history->held)
		log_warning(
			"run %lld was killed: what it had not come to is for dray sync", (long long)history->run.id);
	if (history->job_count == 0)
		return nothing_to_do(arguments, history);
	return session_execute(&session);
}

int command_retry(const struct arguments *arguments)
{
	struct config *config;
	struct history history;
	struct error err;
	int64_t id;
	if (!history_run_number(arguments, &id) || !history_config(arguments, &config))
		return EXIT_USAGE;
	int code;
	if (history_of_failures(config->state_file, id, &history, &err)) {
		code = retry(arguments, config, &history);
		history_release(&history);
	} else {
		code = history_fail(&err);
	}
	config_free(config);
	return code;
}
