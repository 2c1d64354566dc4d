/* covers: ERR-11 */
#include "scheduler/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WINDOW_MS = 21600 * 1000 };

static void without_a_quota_all_goes(void **state)
{
	struct quota quota = {.planned = 1000};
	(void)state;
	assert_int_equal(quota_ask(&quota, 50, 0), QUOTA_GO);
}

static void what_is_planned_is_not_given_twice(void **state)
{
	static const struct {
		int64_t left, planned, cost;
		enum quota_advice advice;
		const char *why;
	} rows[] = {
		{10, 0, 10, QUOTA_GO, "all of it"},
		{10, 9, 1, QUOTA_GO, "the last one"},
		{10, 9, 2, QUOTA_WAIT, "others may give some back"},
		{10, 10, 1, QUOTA_WAIT, "all is planned"},
		{0, 5, 1, QUOTA_WAIT, "those in flight may have it all from memory"},
		{0, 0, 1, QUOTA_USED_UP, "nobody gives any back"},
		{4, 0, 5, QUOTA_USED_UP, "what cannot be finished is not begun"},
		{0, 0, 0, QUOTA_GO, "it costs nothing"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct quota quota = {0};
		quota_told(&quota, rows[i].left, 100, WINDOW_MS, 1000);
		quota.planned = rows[i].planned;
		if (quota_ask(&quota, rows[i].cost, 2000) != rows[i].advice)
			fail_msg("%s", rows[i].why);
	}
}

static void older_answers_and_new_windows_are_told_apart(void **state)
{
	struct quota quota = {0};
	(void)state;
	quota_told(&quota, 50, 100, WINDOW_MS, 0);
	quota_told(&quota, 48, 100, WINDOW_MS, 10);
	quota_told(&quota, 49, 100, WINDOW_MS, 20); /* sent before, came later */
	assert_int_equal(quota.left, 48);
	quota_told(&quota, 0, 100, WINDOW_MS, 30);
	assert_int_equal(quota_ends_ms(&quota), WINDOW_MS);
	assert_int_equal(quota_ask(&quota, 1, WINDOW_MS - 1), QUOTA_USED_UP);
	assert_int_equal(quota_ask(&quota, 1, WINDOW_MS), QUOTA_GO);
	quota_told(&quota, 100, 100, WINDOW_MS, 5000); /* the window ended before we thought */
	assert_int_equal(quota.left, 100);
	assert_int_equal(quota_ends_ms(&quota), WINDOW_MS + 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_quota_all_goes),
		cmocka_unit_test(what_is_planned_is_not_given_twice),
		cmocka_unit_test(older_answers_and_new_windows_are_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
