#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "oci/template.h"

/* covers: TAG-14 */

static void prefix_covers_what_is_below_it(void **state)
{
	static const struct {
		const char *prefix, *repository;
		bool covers;
	} rows[] = {
		{"team", "team/app", true},
		{"team", "team/sub/app", true},
		{"team", "team", false},
		{"team", "teams/app", false},
		{"team/sub", "team/app", false},
		{"", "app", true},
		{"", "team/app", true},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		if (prefix_covers(rows[i].prefix, rows[i].repository) != rows[i].covers)
			fail_msg("%s %s", rows[i].prefix, rows[i].repository);
}

static void template_is_filled_and_read_back(void **state)
{
	static const struct {
		const char *template, *repository, *text;
	} rows[] = {
		{"{repository}", "a/b", "a/b"},
		{"mirror/{repository}", "a/b", "mirror/a/b"},
		{"x-{repository}-y", "a", "x-a-y"},
	};
	static const char *const others[] = {"mirror/", "mirror", "other/a", ""};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text = template_fill(rows[i].template, rows[i].repository);
		auto_free char *back = template_match(rows[i].template, text);
		assert_string_equal(text, rows[i].text);
		assert_string_equal(back, rows[i].repository);
	}
	for (size_t i = 0; i < array_count(others); i++)
		assert_null(template_match("mirror/{repository}", others[i]));
	assert_null(template_match("a{repository}a", "a"));
	assert_null(template_match("a{repository}a", "aa"));
}

static void patterns_meet_where_one_text_may_be_of_both(void **state)
{
	static const struct {
		const char *prefix, *template, *other_prefix, *other;
		bool meet;
	} rows[] = {
		{"team", "m/{repository}", "team", "m/{repository}", true},
		{"team", "m/{repository}", "team/sub", "m/{repository}", true},
		{"team", "m/{repository}", "crew", "m/{repository}", false},
		{"team", "m/{repository}", "crew", "{repository}", false},
		{"team", "m/{repository}", "m/team", "{repository}", true},
		{"", "m/{repository}", "", "n/{repository}", false},
		{"", "m/{repository}", "", "{repository}", true},
		{"a", "{repository}-x", "a", "{repository}-y", false},
		{"a", "{repository}-x", "a", "{repository}", true},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		for (int turned = 0; turned < 2; turned++) {
			bool meet = turned ? templates_may_meet(rows[i].other_prefix, rows[i].other, rows[i].prefix,
						     rows[i].template)
					   : templates_may_meet(rows[i].prefix, rows[i].template, rows[i].other_prefix,
						     rows[i].other);
			if (meet != rows[i].meet)
				fail_msg("%s %s", rows[i].template, rows[i].other);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefix_covers_what_is_below_it),
		cmocka_unit_test(template_is_filled_and_read_back),
		cmocka_unit_test(patterns_meet_where_one_text_may_be_of_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
