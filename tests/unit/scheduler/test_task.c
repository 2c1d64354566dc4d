#include "in_loop.h"

#include "base/json.h"
#include "scheduler/channel.h"
#include "scheduler/gate.h"
#include "scheduler/latch.h"
#include "scheduler/pool.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- groups ---------------------------------------------------------------------------------------------------------
 */

struct crowd {
	struct latch latch;
	size_t arrived, passed, most, width;
};

static void wait_at_latch(void *argument)
{
	struct crowd *crowd = argument;
	struct error err;
	crowd->arrived++;
	assert_true(latch_wait(&crowd->latch, &err));
	crowd->passed++;
}

static void ten_thousand(void *argument)
{
	struct crowd *crowd = argument;
	struct group group;
	struct error err;
	crowd->arrived = crowd->passed = 0;
	latch_init(&crowd->latch);
	group_init(&group, crowd->width);
	for (size_t i = 0; i < crowd->width; i++)
		assert_true(group_spawn(&group, wait_at_latch, crowd, &err));
	while (crowd->arrived < crowd->width)
		assert_true(task_yield(&err));
	assert_int_equal(group.running, crowd->width);
	latch_open(&crowd->latch);
	group_wait(&group);
	assert_int_equal(crowd->passed, crowd->width);
}

static void ten_thousand_tasks_wait_at_once(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	struct crowd crowd = {.width = 2000}; /* ThreadSanitizer itself keeps no more than some 8,000 fibers */
#else
	struct crowd crowd = {.width = 10000};
#endif
	in_real_loop(ten_thousand, &crowd);
}

static void count_width(void *argument)
{
	struct crowd *crowd = argument;
	struct error err;
	crowd->arrived++;
	if (crowd->arrived - crowd->passed > crowd->most)
		crowd->most = crowd->arrived - crowd->passed;
	assert_true(task_sleep(1, &err));
	crowd->passed++;
}

static void narrow_group(void *argument)
{
	struct crowd crowd = {.most = 0};
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 3);
	for (int i = 0; i < 50; i++)
		assert_true(group_spawn(&group, count_width, &crowd, &err));
	group_wait(&group);
	assert_int_equal(crowd.passed, 50);
	assert_int_equal(crowd.most, 3);
}

static void a_group_is_never_wider_than_it_says(void **state)
{
	(void)state;
	in_both_loops(narrow_group, NULL);
}

/* --- cancellation at every wait -------------------------------------------------------------------------------------
 */

struct victim {
	bool (*wait)(struct victim *victim, struct error *err);
	struct latch latch;
	struct gate full;
	struct channel channel;
	struct channel_reader reader;
	struct waitqueue queue;
	struct group narrow;
	struct error err;
	bool ended, job_ran;
};

static bool at_latch(struct victim *v, struct error *err)
{
	return latch_wait(&v->latch, err);
}

static bool at_gate(struct victim *v, struct error *err)
{
	return gate_enter(&v->full, err);
}

static bool at_read(struct victim *v, struct error *err)
{
	const unsigned char *data;
	size_t length;
	return channel_read(&v->reader, &data, &length, err);
}

static bool at_reserve(struct victim *v, struct error *err)
{
	unsigned char *data;
	for (;;) {
		if (!channel_reserve(&v->channel, &data, err))
			return false;
		channel_publish(&v->channel, 1);
	}
}

static bool at_sleep(struct victim *v, struct error *err)
{
	(void)v;
	return task_sleep(1000000, err);
}

static bool at_queue(struct victim *v, struct error *err)
{
	return waitqueue_wait(&v->queue, err);
}

static bool at_deadline(struct victim *v, struct error *err)
{
	return waitqueue_wait_until(&v->queue, loop_now_ms() + 1000000, err);
}

static void sleep_until_canceled(void *argument)
{
	struct error err;
	(void)argument;
	assert_false(task_sleep(1000000, &err));
	assert_int_equal(err.kind, ERR_CANCELED);
}

static bool at_spawn(struct victim *v, struct error *err)
{
	bool ok = group_spawn(&v->narrow, sleep_until_canceled, NULL, err) &&
		  group_spawn(&v->narrow, sleep_until_canceled, NULL, err);
	group_wait(&v->narrow);
	return ok;
}

static bool at_group_wait(struct victim *v, struct error *err)
{
	struct error ignored;
	assert_true(group_spawn(&v->narrow, sleep_until_canceled, NULL, &ignored));
	group_wait(&v->narrow);
	return task_yield(err);
}

static void note_that_it_ran(void *argument)
{
	*(bool *)argument = true;
}

static bool at_pool(struct victim *v, struct error *err)
{
	struct error ignored;
	(void)!task_sleep(1000000, &ignored);
	bool ok = pool_run(note_that_it_ran, &v->job_ran, err);
	assert_false(v->job_ran);
	return ok;
}

static void be_the_victim(void *argument)
{
	struct victim *victim = argument;
	assert_false(victim->wait(victim, &victim->err));
	/* and from then on every wait ends at once */
	struct error again;
	assert_false(task_sleep(1000000, &again));
	assert_int_equal(again.kind, ERR_CANCELED);
	victim->ended = true;
}

static void cancel_while_it_waits(void *argument)
{
	struct victim victim = {.wait = ((struct victim *)argument)->wait};
	struct group group;
	struct error err;
	latch_init(&victim.latch);
	gate_init(&victim.full, 1);
	waitqueue_init(&victim.queue);
	group_init(&victim.narrow, 1);
	channel_init(&victim.channel, 2, 16);
	channel_join(&victim.channel, &victim.reader);
	assert_true(gate_enter(&victim.full, &err));
	group_init(&group, 1);
	assert_true(group_spawn(&group, be_the_victim, &victim, &err));
	for (int i = 0; i < 3; i++)
		assert_true(task_yield(&err));
	assert_false(victim.ended);
	group_cancel(&group);
	group_wait(&group);
	assert_true(victim.ended);
	assert_int_equal(victim.err.kind, ERR_CANCELED);
	gate_leave(&victim.full);
	assert_int_equal(victim.full.used, 0);
	channel_release(&victim.channel);
}

static void every_wait_ends_when_cancelled(void **state)
{
	(void)state;
	bool (*const waits[])(struct victim *, struct error *) = {at_latch, at_gate, at_read, at_reserve, at_sleep,
		at_queue, at_deadline, at_spawn, at_group_wait, at_pool};
	for (size_t i = 0; i < array_count(waits); i++) {
		struct victim victim = {.wait = waits[i]};
		in_both_loops(cancel_while_it_waits, &victim);
	}
}

static void spawn_after_cancel(void *argument)
{
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 4);
	group_cancel(&group);
	assert_false(group_spawn(&group, sleep_until_canceled, NULL, &err));
	assert_int_equal(err.kind, ERR_CANCELED);
	group_wait(&group);
}

static void a_cancelled_group_starts_nothing(void **state)
{
	(void)state;
	in_both_loops(spawn_after_cancel, NULL);
}

struct family {
	struct group inner;
	struct latch latch;
	bool returned;
};

static void wait_for_latch(void *argument)
{
	struct error err;
	assert_true(latch_wait(&((struct family *)argument)->latch, &err));
}

static void wait_for_family(void *argument)
{
	struct family *family = argument;
	struct error err;
	group_init(&family->inner, 1);
	assert_true(group_spawn(&family->inner, wait_for_latch, family, &err));
	group_wait(&family->inner);
	family->returned = true;
}

static void cancel_as_the_last_child_ends(void *argument)
{
	struct family family = {.returned = false};
	struct group group;
	struct error err;
	(void)argument;
	latch_init(&family.latch);
	group_init(&group, 1);
	assert_true(group_spawn(&group, wait_for_family, &family, &err));
	for (int i = 0; i < 3; i++)
		assert_true(task_yield(&err));
	latch_open(&family.latch); /* the child runs next, and ends */
	group_cancel(&group);      /* the waiter is woken in the same turn, and runs after it */
	group_wait(&group);
	assert_true(family.returned);
}

static void a_cancelled_wait_for_a_group_ends_with_its_last_task(void **state)
{
	(void)state;
	in_both_loops(cancel_as_the_last_child_ends, NULL);
}

/* --- deadlines ------------------------------------------------------------------------------------------------------
 */

static void wait_with_deadline(void *argument)
{
	struct waitqueue queue;
	struct error err;
	(void)argument;
	waitqueue_init(&queue);
	int64_t start = loop_now_ms();
	assert_false(waitqueue_wait_until(&queue, start + 20, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_true(loop_now_ms() >= start + 20);
	assert_true(waitqueue_is_empty(&queue));
}

static void a_deadline_ends_a_wait(void **state)
{
	(void)state;
	in_both_loops(wait_with_deadline, NULL);
}

static void sleep_a_day(void *argument)
{
	struct error err;
	assert_true(task_sleep(86400000, &err));
	*(int64_t *)argument = loop_now_ms();
}

static void a_virtual_day_takes_no_time(void **state)
{
	(void)state;
	int64_t now = 0;
	in_virtual_loop(7, sleep_a_day, &now);
	assert_int_equal(now, 1000000 + 86400000);
}

/* --- stacks ---------------------------------------------------------------------------------------------------------
 */

static void parse_deep(void *argument)
{
	/* jansson's own limit of 2,048 levels, which takes some 165 KiB of stack: past our pre-scan, straight into it
	 */
	(void)argument;
	char text[2 * 2047 + 1];
	memset(text, '[', 2047);
	memset(text + 2047, ']', 2047);
	text[2 * 2047] = '\0';
	json_t *root = json_loads(text, 0, NULL);
	assert_non_null(root);
	json_decref(root);
}

static void parse_deep_in_task(void *argument)
{
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 1);
	assert_true(group_spawn(&group, parse_deep, NULL, &err));
	group_wait(&group);
}

static void the_deepest_json_fits_a_stack(void **state)
{
	(void)state;
	in_real_loop(parse_deep_in_task, NULL);
}

static __attribute__((noinline)) int burn_stack(volatile char *above, int depth)
{
	volatile char frame[1024];
	frame[0] = above ? above[0] : 0;
	return depth > 0 ? burn_stack(frame, depth - 1) + frame[0] : frame[0];
}

static void overflow(void *argument)
{
	(void)argument;
	burn_stack(NULL, 1 << 20);
}

static void a_guard_page_stops_an_overflow(void **state)
{
	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(3);
		in_real_loop(overflow, NULL);
		_exit(0); /* it came back: there is no guard */
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_tasks_wait_at_once),
		cmocka_unit_test(a_group_is_never_wider_than_it_says),
		cmocka_unit_test(every_wait_ends_when_cancelled),
		cmocka_unit_test(a_cancelled_group_starts_nothing),
		cmocka_unit_test(a_cancelled_wait_for_a_group_ends_with_its_last_task),
		cmocka_unit_test(a_deadline_ends_a_wait),
		cmocka_unit_test(a_virtual_day_takes_no_time),
		cmocka_unit_test(the_deepest_json_fits_a_stack),
		cmocka_unit_test(a_guard_page_stops_an_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
