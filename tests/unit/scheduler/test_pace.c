#include "in_loop.h"

#include "scheduler/pace.h"

/* covers: ERR-4, ERR-8, ERR-10, T-6, T-7 */

static struct error limit(int64_t retry_after_ms)
{
	return (struct error){.kind = ERR_RATE_LIMITED, .retry_after_ms = retry_after_ms};
}

static void first_limit_stops_everyone_and_one_goes_first(void **state)
{
	struct pace pace;
	struct error err = limit(5000);
	(void)state;
	pace_init(&pace, 16);
	assert_int_equal(pace_ask(&pace, 0), PACE_GO);
	pace_refused(&pace, 0, 100, &err, 0);
	assert_int_equal(pace_ask(&pace, 101), PACE_WAIT_UNTIL);
	assert_int_equal(pace.not_before_ms, 5100);
	assert_int_equal(pace_ask(&pace, 5099), PACE_WAIT_UNTIL);
	assert_int_equal(pace_ask(&pace, 5100), PACE_GO_FIRST);
	assert_int_equal(pace_ask(&pace, 5100), PACE_WAIT_FOR_FIRST);
	pace_first_ended(&pace);
	pace_answered(&pace);
	assert_int_equal(pace_ask(&pace, 5101), PACE_GO);
}

/* The one that goes first may come back with nothing, as from a connection that broke: the next one goes. */
static void first_that_fails_is_followed_by_another(void **state)
{
	struct pace pace;
	struct error err = limit(0);
	(void)state;
	pace_init(&pace, 16);
	pace_refused(&pace, 0, 0, &err, 0);
	assert_int_equal(pace_ask(&pace, 5000), PACE_GO_FIRST);
	pace_first_ended(&pace);
	pace_failed(&pace, 0, 0);
	assert_int_equal(pace_ask(&pace, 5000), PACE_GO_FIRST);
}

/* Now and then a 5xx says nothing of the load; a storm of them does, and is one congestion. */
static void storm_of_failures_halves_the_width_once(void **state)
{
	struct pace pace;
	(void)state;
	pace_init(&pace, 16);
	pace_failed(&pace, 10, 20);
	pace_failed(&pace, 10, 20);
	assert_int_equal(pace.width, 16);
	for (int i = 0; i < 16; i++)
		pace_failed(&pace, 30, 100 + i);
	assert_int_equal(pace.width, 8);
	pace_failed(&pace, 200, 210);
	assert_int_equal(pace.width, 4);
	for (int i = 0; i < 100; i++)
		pace_failed(&pace, 1000 + i * 10, 1005 + i * 10);
	assert_int_equal(pace.width, 2); /* every host keeps two */
	for (int i = 0; i < 200; i++)
		pace_answered(&pace);
	assert_int_equal(pace.width, 16);
}

static void one_congestion_halves_the_width_once(void **state)
{
	struct pace pace;
	struct error err = limit(0);
	(void)state;
	pace_init(&pace, 16);
	for (int i = 0; i < 16; i++)
		pace_refused(&pace, 10, 20 + i, &err, 0);
	assert_int_equal(pace.width, 8);
	assert_int_equal(pace.refused_in_a_row, 1);
	pace_refused(&pace, 3000, 3010, &err, 0);
	assert_int_equal(pace.width, 4);
	pace_refused(&pace, 9000, 9010, &err, 0);
	pace_refused(&pace, 20000, 20010, &err, 0);
	assert_int_equal(pace.width, 2); /* every host keeps two */
	for (int i = 0; i < 2 + 3 + 4; i++)
		pace_answered(&pace);
	assert_int_equal(pace.width, 5); /* one more for each round of answers */
	for (int i = 0; i < 1000; i++)
		pace_answered(&pace);
	assert_int_equal(pace.width, 16);
	pace_init(&pace, 1);
	pace_refused(&pace, 10, 20, &err, 0);
	assert_int_equal(pace.width, 1);
}

static void pause_is_a_second_at_least_and_grows(void **state)
{
	static const struct {
		int64_t retry_after_ms;
		int refusals;
		int64_t least, most;
		const char *why;
	} rows[] = {
		{0, 1, 1000, 2000, "nothing is said"},
		{1, 1, 1000, 2000, "GHCR's millisecond"},
		{7000, 1, 7000, 7000, "what is asked for"},
		{0, 2, 2000, 3000, "again"},
		{0, 3, 4000, 5000, "and again"},
		{0, 5, 600000, 600000, "the fifth in a row closes the host"},
		{3600000, 1, 3600000, 3600000, "so does an hour"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		for (uint64_t random = 0; random < 3000; random += 7) {
			struct pace pace;
			struct error err = limit(rows[i].retry_after_ms);
			int64_t now = 1;
			pace_init(&pace, 16);
			for (int k = 0; k < rows[i].refusals; k++) {
				now = pace.not_before_ms + 1;
				pace_refused(&pace, now, now, &err, random);
			}
			int64_t wait = pace.not_before_ms - now;
			if (wait < rows[i].least || wait > rows[i].most)
				fail_msg("%s: %ld", rows[i].why, (long)wait);
			assert_int_equal(pace.closed, wait >= 600000);
			assert_int_equal(pace_ask(&pace, now), pace.closed ? PACE_CLOSED : PACE_WAIT_UNTIL);
			assert_int_equal(pace_ask(&pace, pace.not_before_ms), PACE_GO_FIRST);
		}
}

/* --- retries ------------------------------------------------------------------------------------------------------ */

struct outcome {
	int requests, done;
};

/* 1,000 items, 32 at a time, one request each; @fails_per_thousand of them fail, and the first @first all do. */
static struct outcome ask_for_a_thousand(unsigned fails_per_thousand, int first)
{
	struct {
		bool busy;
		int attempts;
		uint64_t answers;
	} slots[32] = {0};
	struct outcome outcome = {0};
	struct error err = {.kind = ERR_UNAVAILABLE};
	struct pace pace;
	uint64_t random = 1;
	int left = 1000, busy = 0;
	pace_init(&pace, 32);
	while (left + busy > 0)
		for (size_t i = 0; i < array_count(slots); i++) {
			if (!slots[i].busy && left == 0)
				continue;
			if (!slots[i].busy) {
				left--;
				busy++;
				slots[i].busy = true;
				slots[i].attempts = 0;
				slots[i].answers = pace.answers;
			}
			random = random * 6364136223846793005U + 1442695040888963407U;
			bool fails = outcome.requests < first || (random >> 33) % 1000 < fails_per_thousand;
			outcome.requests++;
			slots[i].attempts++;
			if (fails)
				pace_failed(&pace, 0, 0);
			else
				pace_answered(&pace);
			outcome.done += !fails;
			if (fails && pace_may_retry(&pace, &err, slots[i].attempts, slots[i].answers))
				continue;
			slots[i].busy = false;
			busy--;
		}
	return outcome;
}

static void thousand_items_do_not_mean_five_thousand_retries(void **state)
{
	(void)state;
	struct outcome down = ask_for_a_thousand(1000, 0);
	assert_int_equal(down.requests, 1000 + 100);
	struct outcome nearly = ask_for_a_thousand(990, 0);
	assert_in_range(nearly.requests, 1000, 1000 + 100 + 2 * nearly.done);
	struct outcome half = ask_for_a_thousand(500, 0);
	assert_int_equal(half.done, 1000);
	assert_in_range(half.requests, 1800, 2200);
	struct outcome first_fail = ask_for_a_thousand(0, 20);
	assert_int_equal(first_fail.done, 1000);
	assert_int_equal(first_fail.requests, 1020);
}

/* One URL that fails for ever at a host that is well has its five attempts, and no more. */
static void what_always_fails_is_not_a_storm(void **state)
{
	struct pace pace;
	struct error err = {.kind = ERR_UNAVAILABLE};
	int attempts = 0;
	(void)state;
	pace_init(&pace, 16);
	uint64_t answers = pace.answers;
	do {
		for (int i = 0; i < 20; i++)
			pace_answered(&pace);
		pace_failed(&pace, 0, 0);
		attempts++;
	} while (pace_may_retry(&pace, &err, attempts, answers));
	assert_int_equal(attempts, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_limit_stops_everyone_and_one_goes_first),
		cmocka_unit_test(first_that_fails_is_followed_by_another),
		cmocka_unit_test(one_congestion_halves_the_width_once),
		cmocka_unit_test(storm_of_failures_halves_the_width_once),
		cmocka_unit_test(pause_is_a_second_at_least_and_grows),
		cmocka_unit_test(thousand_items_do_not_mean_five_thousand_retries),
		cmocka_unit_test(what_always_fails_is_not_a_storm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
