#include "in_loop.h"

#include "scheduler/retry.h"

/* covers: ERR-4, ERR-5, ERR-8, T-6, T-7 */

struct delay_case {
	enum error_kind kind;
	int attempt;
	int64_t retry_after_ms, least, most;
	const char *why;
};

static void delays_follow_the_table(void **state)
{
	static const struct delay_case cases[] = {
		{ERR_UNAVAILABLE, 1, 0, 250, 500, "the first pause"},
		{ERR_UNAVAILABLE, 2, 0, 500, 1000, "doubled"},
		{ERR_TIMEOUT, 4, 0, 2000, 4000, "and again"},
		{ERR_UNAVAILABLE, 5, 0, -1, -1, "five attempts are all"},
		{ERR_RATE_LIMITED, 1, 7000, 7000, 7000, "what the server asks for is obeyed"},
		{ERR_RATE_LIMITED, 1, 10, 1250, 1500, "a useless hint is not (ERR-8)"},
		{ERR_RATE_LIMITED, 1, 3600000, -1, -1, "an hour is not waited for"},
		{ERR_NOT_FOUND, 1, 0, -1, -1, "for good"},
		{ERR_UNAUTHORIZED, 1, 0, -1, -1, "for good"},
		{ERR_DENIED, 1, 0, -1, -1, "for good"},
		{ERR_CORRUPT, 1, 0, -1, -1, "for good"},
		{ERR_REFUSED, 1, 0, -1, -1, "for good"},
		{ERR_CANCELED, 1, 0, -1, -1, "we were told to stop"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		const struct delay_case *c = &cases[i];
		struct error err = {.kind = c->kind, .retry_after_ms = c->retry_after_ms};
		for (uint64_t random = 0; random < 5000; random += 7) {
			int64_t delay = retry_delay_ms(&retry_default, &err, c->attempt, random);
			if (delay < c->least || delay > c->most)
				fail_msg("%s: %ld", c->why, (long)delay);
		}
	}
}

static void fail_five_times(void *argument)
{
	struct error err;
	int attempt = 1;
	int64_t start = loop_now_ms();
	(void)argument;
	for (;; attempt++) {
		error_set(&err, ERR_UNAVAILABLE, "no");
		if (!retry_pause(&retry_default, attempt, &err))
			break;
	}
	assert_int_equal(attempt, 5);
	assert_int_equal(err.kind, ERR_UNAVAILABLE);
	assert_true(loop_now_ms() - start >= 250 + 500 + 1000 + 2000);
}

static void retries_end(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 50; seed++)
		in_virtual_loop(seed, fail_five_times, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_follow_the_table),
		cmocka_unit_test(retries_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
