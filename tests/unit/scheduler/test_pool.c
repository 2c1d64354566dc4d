#include "in_loop.h"

#include "scheduler/pool.h"
#include "scheduler/process.h"
#include "scheduler/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static void add_one(void *argument)
{
	atomic_fetch_add((atomic_int *)argument, 1);
}

static void use_pool(void *argument)
{
	struct error err;
	assert_true(pool_run(add_one, argument, &err));
}

static void many_jobs(void *argument)
{
	atomic_int sum = 0;
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 50);
	for (int i = 0; i < 500; i++)
		assert_true(group_spawn(&group, use_pool, &sum, &err));
	group_wait(&group);
	assert_int_equal(atomic_load(&sum), 500);
}

static void every_job_runs_once(void **state)
{
	(void)state;
	in_both_loops(many_jobs, NULL);
}

struct slow_job {
	atomic_bool begun, go, ended;
	bool result;
	struct error err;
};

static void spin_until_told(void *argument)
{
	struct slow_job *slow = argument;
	atomic_store(&slow->begun, true);
	while (!atomic_load(&slow->go))
		usleep(100);
	atomic_store(&slow->ended, true);
}

static void run_slow_job(void *argument)
{
	struct slow_job *slow = argument;
	slow->result = pool_run(spin_until_told, slow, &slow->err);
	assert_true(atomic_load(&slow->ended)); /* its memory is ours: it must be over */
}

static void cancel_a_running_job(void *argument)
{
	struct slow_job slow = {.result = false};
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 1);
	assert_true(group_spawn(&group, run_slow_job, &slow, &err));
	while (!atomic_load(&slow.begun))
		assert_true(task_sleep(1, &err));
	group_cancel(&group);
	assert_true(task_sleep(5, &err));
	assert_int_equal(group.running, 1);
	atomic_store(&slow.go, true);
	group_wait(&group);
	assert_true(slow.result);
}

static void a_job_that_has_begun_is_waited_for(void **state)
{
	(void)state;
	in_real_loop(cancel_a_running_job, NULL);
}

struct meeting {
	atomic_int here;
	bool result;
	struct error err;
};

static void meet_the_other(void *argument)
{
	struct meeting *meeting = argument;
	atomic_fetch_add(&meeting->here, 1);
	while (atomic_load(&meeting->here) < 2)
		usleep(100);
}

static void run_both(void *argument)
{
	struct meeting *meeting = argument;
	meeting->result = pool_run_both(meet_the_other, meet_the_other, meeting, &meeting->err);
}

static void two_that_wait_for_each_other(void *argument)
{
	struct meeting meeting = {.result = false};
	(void)argument;
	run_both(&meeting);
	assert_true(meeting.result);
}

static void both_jobs_run_at_the_same_time(void **state)
{
	(void)state;
	in_real_loop(two_that_wait_for_each_other, NULL);
}

static void add_to_both(void *argument)
{
	struct meeting meeting = {.result = false};
	struct error err;
	(void)argument;
	assert_true(pool_run_both(add_one, add_one, &meeting.here, &err));
	assert_int_equal(atomic_load(&meeting.here), 2);
}

static void both_jobs_have_run_afterwards(void **state)
{
	(void)state;
	in_both_loops(add_to_both, NULL);
}

static void cancel_both(void *argument)
{
	struct meeting meeting = {.result = true};
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 1);
	assert_true(group_spawn(&group, run_both, &meeting, &err));
	group_cancel(&group);
	group_wait(&group);
	assert_false(meeting.result);
	assert_int_equal(meeting.err.kind, ERR_CANCELED);
	assert_int_equal(atomic_load(&meeting.here), 0);
}

static void a_cancelled_task_begins_neither(void **state)
{
	(void)state;
	in_both_loops(cancel_both, NULL);
}

/* --- processes ------------------------------------------------------------------------------------------------------
 */

struct process_case {
	const char *script, *input, *output;
	int64_t timeout_ms;
	enum error_kind kind;
	int status;
	const char *why;
};

static void run_cases(void *argument)
{
	static const struct process_case cases[] = {
		{"cat", "hello", "hello", 5000, ERR_NONE, 0, "input goes in, output comes out"},
		{"printf x; exit 3", "", "x", 5000, ERR_NONE, 3, "the exit status is told"},
		{"exit 0", "nobody reads this", "", 5000, ERR_NONE, 0, "a child need not read"},
		{"sleep 100", "", "", 100, ERR_TIMEOUT, 0, "a hanging child is killed"},
		{"trap '' TERM; sleep 100 & sleep 100", "", "", 100, ERR_TIMEOUT, 0, "and so is what it started"},
		{"sleep 100 & exit 0", "", "", 100, ERR_TIMEOUT, 0, "a grandchild that holds the pipe is killed"},
		{"while :; do echo 0123456789; done", "", NULL, 5000, ERR_TOO_LARGE, 0, "output is bounded"},
		{"kill -9 $$", "", "", 5000, ERR_NONE, -1, "death by signal is told"},
	};
	(void)argument;
	for (size_t i = 0; i < array_count(cases); i++) {
		const struct process_case *c = &cases[i];
		char *argv[] = {"/bin/sh", "-c", (char *)(uintptr_t)c->script, NULL};
		struct process_result result;
		struct error err = {.kind = ERR_NONE};
		struct buf output;
		buf_init(&output, 4096);
		bool ok = process_run(argv, NULL, c->input, c->timeout_ms, &output, &result, &err);
		if (ok != (c->kind == ERR_NONE) || err.kind != c->kind || (ok && result.exit_status != c->status) ||
			(ok && strcmp(buf_peek(&output), c->output) != 0))
			fail_msg("%s: kind %d, status %d, output %s", c->why, (int)err.kind, result.exit_status,
				buf_peek(&output));
		buf_release(&output);
	}
	char *missing[] = {"/no/such/program", NULL};
	struct process_result result;
	struct error err;
	struct buf output;
	buf_init(&output, 64);
	assert_false(process_run(missing, NULL, "", 1000, &output, &result, &err));
	assert_int_equal(err.kind, ERR_IO);
}

/* covers: T-22 */
static void a_child_is_bounded_in_time_and_output(void **state)
{
	(void)state;
	in_real_loop(run_cases, NULL);
}

/* --- signals --------------------------------------------------------------------------------------------------------
 */

static void note_signal(int number, void *argument)
{
	*(int *)argument = number;
}

static void get_a_signal(void *argument)
{
	int got = 0;
	struct error err;
	(void)argument;
	signals_watch(note_signal, &got);
	kill(getpid(), SIGTERM);
	for (int i = 0; i < 1000 && got == 0; i++)
		assert_true(task_sleep(1, &err));
	assert_int_equal(got, SIGTERM);
	signals_unwatch();
	kill(getpid(), SIGPIPE); /* ignored */
}

static void a_signal_arrives_on_the_loop(void **state)
{
	(void)state;
	in_real_loop(get_a_signal, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_job_runs_once),
		cmocka_unit_test(a_job_that_has_begun_is_waited_for),
		cmocka_unit_test(both_jobs_run_at_the_same_time),
		cmocka_unit_test(both_jobs_have_run_afterwards),
		cmocka_unit_test(a_cancelled_task_begins_neither),
		cmocka_unit_test(a_child_is_bounded_in_time_and_output),
		cmocka_unit_test(a_signal_arrives_on_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
