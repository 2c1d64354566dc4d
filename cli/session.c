#include "cli/session.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "cli/report_json.h"
#include "cli/view.h"
#include "scheduler/loop.h"
#include "scheduler/signals.h"

#include <unistd.h>

enum { GRACE_MS = 10000 }; /* T-68: the process is gone within 12 s */

static int fail_before_contact(const struct error *err)
{
	bool at_source = err->kind == ERR_NOT_FOUND || err->kind == ERR_CORRUPT; /* a layout that is none */
	int code = common_fail(at_source ? SIDE_SOURCE : SIDE_TARGET, err);
	return code == EXIT_TARGET ? EXIT_USAGE : code;
}

static bool open_store(const struct session *session, struct store **store, struct error *err)
{
	bool dry_run = session->arguments->given[OPTION_DRY_RUN];
	/* A dry run changes nothing, not even a missing state file. */
	if (!session->state_file || (dry_run && access(session->state_file, F_OK) != 0)) {
		*store = store_new_empty();
		return true;
	}
	auto_free char *moved_to = NULL;
	if (!store_open(session->state_file, store, &moved_to, err))
		return false;
	if (session->config)
		store_keep_runs(*store, session->config->keep_runs);
	if (moved_to)
		log_warning("the state file was damaged; it was moved to %s, and this run starts with an empty one",
			moved_to);
	return true;
}

struct stopper {
	struct run *run;
	int64_t grace_ms;
};

static void on_signal(int number, void *argument)
{
	static bool stopping;
	if (stopping)
		_exit(EXIT_SIGNAL + number); /* as safe as a kill */
	stopping = true;
	const struct stopper *stopper = argument;
	char grace[16];
	log_warning(
		"stopped by signal %d: nothing more is begun, and what runs has %s to end; once more leaves at once",
		number, str_format_duration(stopper->grace_ms, grace));
	run_stop(stopper->run, number, stopper->grace_ms);
}

static void execute(struct session *session, struct run *run, struct view *view)
{
	struct stopper stopper = {run, session->grace_ms};
	signals_watch(on_signal, &stopper);
	view_start(view, run);
	run_execute(run);
	view_stop(view);
	signals_unwatch();
	session->exit_code = report_exit_code(run_report(run));
	if (run_report(run)->verifies && session->exit_code == EXIT_DONE && run_report(run)->images.total == 0) {
		log_error("there is no image: nothing was verified"); /* T-86: which is no good news */
		session->exit_code = EXIT_CONTENT;
	}
}

static void report(const struct session *session, const struct run *run, const struct view *view)
{
	view_summary(view, run_report(run));
	if (session->arguments->given[OPTION_JSON])
		report_print_json(run_report(run), session->exit_code);
}

static void session_task(void *argument)
{
	struct session *session = argument;
	struct store *store;
	struct run *run;
	struct view view;
	struct error err;
	if (!open_store(session, &store, &err)) {
		session->exit_code = fail_before_contact(&err);
		return;
	}
	view_init(&view, session->arguments->given[OPTION_QUIET], session->arguments->given[OPTION_JSON]);
	struct run_options options = {
		.config = session->config,
		.store = store,
		.dry_run = session->arguments->given[OPTION_DRY_RUN],
		.observer = {view_image, &view},
	};
	if (!run_new(&options, &run, &err)) {
		session->exit_code = fail_before_contact(&err);
		store_close(store, NULL);
		return;
	}
	bool added = session->add_jobs(run, session, &err);
	if (added)
		execute(session, run, &view);
	else
		session->exit_code = fail_before_contact(&err);
	if (!store_close(store, &err)) {
		log_error("%s", err.text);
		session->exit_code = session->exit_code == EXIT_SECURITY ? EXIT_SECURITY : EXIT_LOCAL;
	}
	if (added)
		report(session, run, &view);
	run_free(run);
}

static bool read_grace(struct session *session, struct error *err)
{
	const char *text = argument_of(session->arguments, OPTION_GRACE);
	session->grace_ms = GRACE_MS;
	return !text || str_parse_duration(text, &session->grace_ms, err) || error_wrap(err, "--grace");
}

int session_execute(struct session *session)
{
	struct error err;
	if (!read_grace(session, &err)) {
		common_fail(SIDE_TARGET, &err);
		return EXIT_USAGE;
	}
	struct loop *loop = loop_new();
	loop_run(loop, session_task, session);
	loop_free(loop);
	return session->exit_code;
}

struct look {
	const struct config *config;
	int (*body)(struct run *run, void *context);
	void *context;
	int exit_code;
};

static void look_task(void *argument)
{
	struct look *look = argument;
	struct error err;
	struct run *run;
	struct store *store = store_new_empty();
	struct run_options options = {.config = look->config, .store = store};
	if (run_new(&options, &run, &err)) {
		look->exit_code = look->body(run, look->context);
		run_free(run);
	} else {
		look->exit_code = fail_before_contact(&err);
	}
	store_close(store, NULL);
}

int session_look(const struct config *config, int (*body)(struct run *run, void *context), void *context)
{
	struct look look = {config, body, context, EXIT_BUG};
	struct loop *loop = loop_new();
	loop_run(loop, look_task, &look);
	loop_free(loop);
	return look.exit_code;
}
