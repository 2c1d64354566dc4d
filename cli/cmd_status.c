#include "cli/history_text.h"
#include "cli/report_json.h"

#include "base/str.h"

#include <stdio.h>

static void print_unfinished(const struct history *history)
{
	char sent[16], when[32];
	if (history->held)
		printf("running now (%s)\n", history->holder);
	else
		puts("never finished: it was killed; what it had finished is kept");
	if (history->jobs_done.last_ms > 0)
		printf("so far: %lld copied, %lld failed, %s up; the last at %s\n",
			(long long)history->jobs_done.copied, (long long)history->jobs_done.failed,
			str_format_bytes(history->jobs_done.sent_bytes, sent),
			str_format_time(history->jobs_done.last_ms, when));
}

static void print_run(const struct history *history)
{
	const struct history_run *run = &history->run;
	const struct run_totals *totals = &run->totals;
	char when[32], took[16], down[16], up[16];
	printf("run %lld: started %s, ", (long long)run->id, str_format_time(run->started_ms, when));
	if (run->finished_ms == 0) {
		print_unfinished(history);
		return;
	}
	printf("took %s, exit %d\n", str_format_duration(run->finished_ms - run->started_ms, took), run->exit_code);
	printf("%lld images: %lld copied, %lld unchanged, %lld failed; %s down, %s up\n", (long long)totals->images,
		(long long)totals->copied, (long long)totals->unchanged, (long long)totals->failed,
		str_format_bytes(totals->downloaded_bytes, down), str_format_bytes(totals->uploaded_bytes, up));
}

static void print_failures(const struct history *history)
{
	for (size_t i = 0; i < history->job_count; i++) {
		const struct history_job *job = &history->jobs[i];
		printf("failed: %s%s%s\n  ", job->source, *job->target ? " to " : "", job->target);
		history_print_failure(job);
	}
	if (history->job_count == HISTORY_MOST)
		printf("and more; these are the first %d\n", HISTORY_MOST);
}

int command_status(const struct arguments *arguments)
{
	struct history history;
	int64_t id = 0;
	struct error err;
	if (!history_run_number(arguments, &id))
		return EXIT_USAGE;
	auto_free char *path = history_state_file(arguments);
	if (!path)
		return EXIT_USAGE;
	if (!history_of_run(path, id, &history, &err))
		return history_fail(&err);
	if (arguments->given[OPTION_JSON]) {
		report_print_history(&history);
	} else {
		print_run(&history);
		print_failures(&history);
	}
	history_release(&history);
	return EXIT_DONE;
}
