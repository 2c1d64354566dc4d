/* covers: UPL-9, UPL-11, UPL-12, UPL-13, UPL-15, UPL-30 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/memory.h"
#include "sync/registry/upload_way.h"

static const struct upload_wishes nothing = {0};

static void assert_plan(const struct upload_habits *habits, int64_t size, enum upload_way way, int64_t part)
{
	struct upload_plan plan = upload_plan_for(habits, size, &nothing);
	assert_int_equal(plan.way, way);
	assert_int_equal(plan.part_bytes, part);
}

/* Send a blob of @size until there is no other way, each time refused with @status; how many sessions. */
static int sessions(struct upload_habits *habits, int64_t size, int status)
{
	for (int count = 1;; count++) {
		struct upload_plan before = upload_plan_for(habits, size, &nothing);
		struct upload_refusal refusal = {
			.status = status,
			.begins = true,
			.body_bytes = before.way == UPLOAD_CHUNKS ? before.part_bytes : size,
		};
		assert_true(count < 20);
		upload_learn(habits, &before, &refusal);
		struct upload_plan after = upload_plan_for(habits, size, &nothing);
		if (upload_plan_equal(&before, &after))
			return count;
	}
}

static void a_limit_is_found_by_halving(void **state)
{
	struct upload_habits habits = {0};
	(void)state;
	assert_plan(&habits, (int64_t)(40 * MIB), UPLOAD_PUT, 0);
	assert_int_equal(sessions(&habits, (int64_t)(40 * MIB), 413), 6);
	assert_int_equal(habits.most_bytes, MIB);
	assert_plan(&habits, (int64_t)(40 * MIB), UPLOAD_CHUNKS, (int64_t)MIB);
	assert_plan(&habits, (int64_t)MIB, UPLOAD_PUT, 0); /* what fits is sent as before */
}

static void every_refusal_comes_to_an_end(void **state)
{
	static const int statuses[] = {400, 401, 403, 404, 405, 411, 413, 416, 429, 500, 501, 503};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		struct upload_habits habits = {0};
		assert_true(sessions(&habits, (int64_t)(100 * MIB), statuses[i]) <= 6);
	}
}

static void a_put_that_is_not_taken_becomes_a_patch(void **state)
{
	static const int statuses[] = {404, 405, 411, 501};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		struct upload_habits habits = {0};
		assert_int_equal(sessions(&habits, 1000, statuses[i]), 2);
		assert_plan(&habits, 1000, UPLOAD_PATCH, 0);
	}
}

static void a_session_that_is_gone_teaches_nothing(void **state)
{
	struct upload_habits habits = {0};
	struct upload_plan plan = {.way = UPLOAD_PUT};
	(void)state;
	upload_learn(&habits, &plan, &(struct upload_refusal){.status = 404, .session_is_gone = true});
	upload_learn(&habits, &plan, &(struct upload_refusal){.status = 400, .digest_is_wrong = true});
	assert_plan(&habits, (int64_t)(100 * MIB), UPLOAD_PUT, 0);
}

static void an_empty_put_that_is_refused_gets_the_last_part(void **state)
{
	struct upload_habits habits = {.patches = true};
	struct upload_plan plan = {.way = UPLOAD_PATCH};
	(void)state;
	upload_learn(&habits, &plan, &(struct upload_refusal){.status = 400, .closes = true});
	plan = upload_plan_for(&habits, 1000, &nothing);
	assert_int_equal(plan.way, UPLOAD_CHUNKS);
	assert_true(plan.full_close && plan.part_bytes == 500);
}

static void parts_are_as_the_registry_wishes(void **state)
{
	const struct upload_habits habits = {.most_bytes = (int64_t)MIB};
	const struct upload_wishes least = {.least_bytes = (int64_t)(5 * MIB)}, most = {.most_bytes = 100000};
	const struct upload_wishes silly = {.most_bytes = 1}, both = {.least_bytes = 300000, .most_bytes = 100000};
	(void)state;
	assert_int_equal(upload_plan_for(&habits, (int64_t)(9 * MIB), &least).part_bytes, 5 * MIB);
	assert_int_equal(upload_plan_for(&habits, (int64_t)(9 * MIB), &most).part_bytes, 100000);
	assert_int_equal(upload_plan_for(&habits, (int64_t)(9 * MIB), &silly).part_bytes, 64 * KIB);
	assert_int_equal(upload_plan_for(&habits, (int64_t)(9 * MIB), &both).part_bytes, 300000);
}

static void two_cuts_after_the_same_time_are_a_clock(void **state)
{
	struct upload_habits habits = {0};
	const int64_t size = (int64_t)(100 * MIB);
	(void)state;
	upload_learn_cut(&habits, 5000, size);
	upload_learn_cut(&habits, 5000, size);
	assert_plan(&habits, size, UPLOAD_PUT, 0);
	upload_learn_cut(&habits, 60000, size);
	upload_learn_cut(&habits, 90000, size);
	assert_plan(&habits, size, UPLOAD_PUT, 0);
	upload_learn_cut(&habits, 92000, size);
	assert_plan(&habits, size, UPLOAD_CHUNKS, (int64_t)(16 * MIB));
}

static void a_patch_that_is_not_taken_leaves_the_put(void **state)
{
	const int64_t size = (int64_t)(100 * MIB);
	static const int statuses[] = {405, 501};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		struct upload_habits habits = {0};
		upload_learn_cut(&habits, 60000, size);
		upload_learn_cut(&habits, 60000, size);
		assert_plan(&habits, size, UPLOAD_CHUNKS, (int64_t)(16 * MIB));
		struct upload_plan plan = upload_plan_for(&habits, size, &nothing);
		upload_learn(&habits, &plan, &(struct upload_refusal){.status = statuses[i], .begins = true});
		assert_plan(&habits, size, UPLOAD_PUT, 0);
		upload_learn_cut(&habits, 60000, size);
		upload_learn_cut(&habits, 60000, size);
		assert_plan(&habits, size, UPLOAD_PUT, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_is_found_by_halving),
		cmocka_unit_test(every_refusal_comes_to_an_end),
		cmocka_unit_test(a_put_that_is_not_taken_becomes_a_patch),
		cmocka_unit_test(a_session_that_is_gone_teaches_nothing),
		cmocka_unit_test(an_empty_put_that_is_refused_gets_the_last_part),
		cmocka_unit_test(parts_are_as_the_registry_wishes),
		cmocka_unit_test(two_cuts_after_the_same_time_are_a_clock),
		cmocka_unit_test(a_patch_that_is_not_taken_leaves_the_put),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
