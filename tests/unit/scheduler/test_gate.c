#include "in_loop.h"

#include "scheduler/gate.h"

/* covers: T-90 */

struct two_gates {
	struct gate a, b;
	size_t inside, done;
};

struct job {
	struct two_gates *gates;
	bool a_first;
};

static void take_both(void *argument)
{
	struct job *job = argument;
	struct two_gates *g = job->gates;
	struct error err;
	struct gate_claim claims[] = {{job->a_first ? &g->a : &g->b, 1}, {job->a_first ? &g->b : &g->a, 1}};
	assert_true(gate_enter_all(claims, 2, &err));
	assert_int_equal(++g->inside, 1);
	assert_true(task_sleep(1, &err));
	g->inside--;
	g->done++;
	gate_leave_all(claims, 2);
}

static void opposite_orders(void *argument)
{
	struct two_gates gates = {.done = 0};
	struct job jobs[40];
	struct group group;
	struct error err;
	(void)argument;
	gate_init(&gates.a, 1);
	gate_init(&gates.b, 1);
	group_init(&group, array_count(jobs));
	for (size_t i = 0; i < array_count(jobs); i++) {
		jobs[i] = (struct job){&gates, i % 2 == 0};
		assert_true(group_spawn(&group, take_both, &jobs[i], &err));
	}
	group_wait(&group);
	assert_int_equal(gates.done, array_count(jobs));
	assert_int_equal(gates.a.used + gates.b.used, 0);
}

static void what_is_taken_in_one_step_cannot_deadlock(void **state)
{
	(void)state;
	in_both_loops(opposite_orders, NULL);
}

struct starving {
	struct gate narrow, wide;
	bool stop, served;
	size_t passed;
};

static void pass_again_and_again(void *argument)
{
	struct starving *s = argument;
	struct error err;
	while (!s->stop) {
		assert_true(gate_enter(&s->narrow, &err));
		assert_true(task_sleep(1, &err));
		gate_leave(&s->narrow);
		s->passed++;
	}
}

static void need_it_all(void *argument)
{
	struct starving *s = argument;
	struct error err;
	struct gate_claim all = {&s->narrow, 4};
	assert_true(gate_enter_all(&all, 1, &err));
	s->served = true;
	s->stop = true;
	gate_leave_all(&all, 1);
}

static void one_against_many(void *argument)
{
	struct starving s = {.stop = false};
	struct group group;
	struct error err;
	(void)argument;
	gate_init(&s.narrow, 4);
	group_init(&group, 16);
	for (int i = 0; i < 12; i++)
		assert_true(group_spawn(&group, pass_again_and_again, &s, &err));
	assert_true(task_sleep(3, &err));
	assert_true(group_spawn(&group, need_it_all, &s, &err));
	group_wait(&group);
	assert_true(s.served);
	assert_true(s.passed < 400);
}

static void a_large_claim_does_not_starve(void **state)
{
	(void)state;
	in_both_loops(one_against_many, NULL);
}

struct blocked {
	struct gate slow, fast;
	bool entered;
};

static void wait_for_slow_and_fast(void *argument)
{
	struct blocked *b = argument;
	struct error err;
	struct gate_claim both[] = {{&b->fast, 1}, {&b->slow, 1}};
	if (gate_enter_all(both, 2, &err))
		gate_leave_all(both, 2);
}

static void enter_fast(void *argument)
{
	struct blocked *b = argument;
	struct error err;
	assert_true(gate_enter(&b->fast, &err));
	b->entered = true;
	gate_leave(&b->fast);
}

static void pass_those_who_wait_elsewhere(void *argument)
{
	struct blocked b = {.entered = false};
	struct group group;
	struct error err;
	(void)argument;
	gate_init(&b.slow, 1);
	gate_init(&b.fast, 1);
	group_init(&group, 8);
	assert_true(gate_enter(&b.slow, &err));
	for (int i = 0; i < 4; i++)
		assert_true(group_spawn(&group, wait_for_slow_and_fast, &b, &err));
	assert_true(task_sleep(2, &err));
	assert_true(group_spawn(&group, enter_fast, &b, &err));
	assert_true(task_sleep(2, &err));
	assert_true(b.entered);
	gate_leave(&b.slow);
	group_wait(&group);
	assert_int_equal(b.slow.used + b.fast.used, 0);
}

static void who_waits_for_one_gate_does_not_close_another(void **state)
{
	(void)state;
	in_both_loops(pass_those_who_wait_elsewhere, NULL);
}

static void pass_many_who_were_passed_too_often(void *argument)
{
	struct blocked b = {.entered = false};
	struct group group;
	struct error err;
	(void)argument;
	gate_init(&b.slow, 1);
	gate_init(&b.fast, 2);
	group_init(&group, 16);
	assert_true(gate_enter(&b.slow, &err));
	for (int i = 0; i < 8; i++)
		assert_true(group_spawn(&group, wait_for_slow_and_fast, &b, &err));
	assert_true(task_sleep(2, &err));
	for (int i = 0; i < 200; i++) {
		b.entered = false;
		assert_true(group_spawn(&group, enter_fast, &b, &err));
		assert_true(task_sleep(0, &err));
		assert_true(task_sleep(1, &err));
		assert_true(b.entered);
	}
	gate_leave(&b.slow);
	group_wait(&group);
	assert_int_equal(b.slow.used + b.fast.used, 0);
}

static void many_who_wait_for_one_gate_do_not_close_another(void **state)
{
	(void)state;
	in_both_loops(pass_many_who_were_passed_too_often, NULL);
}

static void cancel_all_waiters(void *argument)
{
	struct blocked b = {.entered = false};
	struct group group;
	struct error err;
	(void)argument;
	gate_init(&b.slow, 1);
	gate_init(&b.fast, 1);
	group_init(&group, 8);
	assert_true(gate_enter(&b.slow, &err));
	for (int i = 0; i < 4; i++)
		assert_true(group_spawn(&group, wait_for_slow_and_fast, &b, &err));
	assert_true(task_sleep(2, &err));
	group_cancel(&group);
	gate_leave(&b.slow); /* some are let in and cancelled in the same turn */
	group_wait(&group);
	assert_int_equal(b.slow.used + b.fast.used, 0);
	assert_true(gate_enter(&b.slow, &err));
	gate_leave(&b.slow);
}

static void a_cancelled_waiter_takes_nothing_with_it(void **state)
{
	(void)state;
	in_both_loops(cancel_all_waiters, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_in_one_step_cannot_deadlock),
		cmocka_unit_test(a_large_claim_does_not_starve),
		cmocka_unit_test(who_waits_for_one_gate_does_not_close_another),
		cmocka_unit_test(many_who_wait_for_one_gate_do_not_close_another),
		cmocka_unit_test(a_cancelled_waiter_takes_nothing_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
