/* covers: T-77 */
#include "base/limits.h"
#include "base/memory.h"
#include "config/selection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void a_glob_matches_the_whole_text(void **state)
{
	(void)state;
	static const struct {
		const char *glob, *text;
		bool matches;
		const char *why;
	} rows[] = {
		{"3.20", "3.20", true, "literal"},
		{"3.20", "3x20", false, "a dot is a dot"},
		{"3.2", "3.20", false, "not a prefix"},
		{".20", "3.20", false, "not a suffix"},
		{"", "", true, "nothing is nothing"},
		{"", "a", false, "nothing is not a"},
		{"*", "", true, "a star takes nothing"},
		{"*", "anything", true, "a star takes all"},
		{"**", "", true, "stars in a row"},
		{"3.*", "3.", true, "a star takes nothing at the end"},
		{"3.*", "3.20-rc1", true, "a star takes the rest"},
		{"*-rc*", "3.20-rc1", true, "stars around"},
		{"*-rc*", "3.20", false, "the middle is missing"},
		{"*a*b*c*", "xaybzc", true, "in order"},
		{"*a*b*c*", "xcybza", false, "out of order"},
		{"*ab", "aab", true, "the star gives back"},
		{"*aab", "aaab", true, "gives back more than once"},
		{"a*a", "a", false, "one letter is not two"},
		{"*a", "aaa", true, "the last letter"},
		{"?", "a", true, "one letter"},
		{"?", "", false, "no letter"},
		{"?", "ab", false, "two letters"},
		{"3.?", "3.9", true, "at the end"},
		{"3.?", "3.", false, "nothing at the end"},
		{"[0-9]", "5", true, "a range"},
		{"[0-9]", "a", false, "out of the range"},
		{"[0-9]", "", false, "a set takes a letter"},
		{"[abc]", "b", true, "a set"},
		{"[!abc]", "b", false, "not of the set"},
		{"[!abc]", "d", true, "not of the set"},
		{"[^abc]", "d", true, "as regular expressions write it"},
		{"[!a]", "", false, "a negated set takes a letter, too"},
		{"[a-]", "-", true, "a hyphen at the end is one"},
		{"[-a]", "-", true, "a hyphen at the start is one"},
		{"[]a]", "]", true, "a bracket that comes first is a member"},
		{"[!]a]", "]", false, "also behind the !"},
		{"[!]a]", "b", true, "also behind the !"},
		{"[\\]a]", "]", true, "an escaped bracket"},
		{"[a-c]x", "bx", true, "the set ends"},
		{"[z-a]", "b", false, "an empty range"},
		{"[abc", "[abc", true, "a bracket that nothing closes is itself"},
		{"[abc", "a", false, "a bracket that nothing closes is itself"},
		{"*[0-9]", "v12", true, "a set behind a star"},
		{"*[!0-9]", "v12", false, "a set behind a star"},
		{"*[0-9]-x", "1a2-x", true, "the star gives back to a set"},
		{"\\*", "*", true, "an escaped star"},
		{"\\*", "a", false, "an escaped star"},
		{"\\?", "?", true, "an escaped question mark"},
		{"\\[a]", "[a]", true, "an escaped bracket"},
		{"a\\", "a\\", true, "a backslash at the end is itself"},
		{"A", "a", false, "case counts"},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (selection_glob(rows[i].glob, rows[i].text) != rows[i].matches)
			fail_msg("%s on %s: %s", rows[i].glob, rows[i].text, rows[i].why);
}

static void a_glob_takes_no_more_than_n_times_m_steps(void **state)
{
	(void)state;
	char text[4001], glob[1001];
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (size_t i = 0; i < sizeof glob - 1; i++)
		glob[i] = i % 2 ? 'a' : '*';
	glob[sizeof glob - 1] = '\0';
	glob[sizeof glob - 2] = 'b';
	clock_t before = clock();
	assert_false(selection_glob(glob, text));
	/* 4 million steps; what backtracks takes longer than the universe. */
	assert_true(clock() - before < 2 * CLOCKS_PER_SEC);
}

struct filter_row {
	const char *allow[3], *deny[3];
	const char *tag;
	bool taken;
	const char *why;
};

static struct tag_filter *filter_of(const struct filter_row *row)
{
	struct tag_filter *filter = tag_filter_new();
	struct error err;
	for (size_t i = 0; i < array_count(row->allow) && row->allow[i]; i++)
		if (!tag_filter_allow(filter, row->allow[i], &err))
			fail_msg("%s", err.text);
	for (size_t i = 0; i < array_count(row->deny) && row->deny[i]; i++)
		if (!tag_filter_deny(filter, row->deny[i], &err))
			fail_msg("%s", err.text);
	return filter;
}

static void a_tag_is_taken_if_allowed_and_not_denied(void **state)
{
	(void)state;
	static const struct filter_row rows[] = {
		{{NULL}, {NULL}, "3.20", true, "no pattern: every tag"},
		{{"3.*"}, {NULL}, "3.20", true, "allowed"},
		{{"3.*"}, {NULL}, "4.20", false, "not allowed"},
		{{"3.*", "4.*"}, {NULL}, "4.20", true, "one of them is enough"},
		{{NULL}, {"*-rc*"}, "3.20", true, "not denied"},
		{{NULL}, {"*-rc*"}, "3.20-rc1", false, "denied"},
		{{"3.*"}, {"*-rc*"}, "3.20-rc1", false, "deny stands over allow"},
		{{"3.*"}, {"x", "*-rc*"}, "3.20-rc1", false, "one of them is enough"},
		{{"/3\\.\\d+/"}, {NULL}, "3.20", true, "a regular expression"},
		{{"/3\\.\\d+/"}, {NULL}, "3.20-rc1", false, "anchored at the end"},
		{{"/3\\.\\d+/"}, {NULL}, "v3.20", false, "anchored at the start"},
		{{"/a|ab/"}, {NULL}, "ab", true, "each alternative is anchored"},
		{{"/a|ab/"}, {NULL}, "abc", false, "each alternative is anchored"},
		{{"/(a)(b)(c)/"}, {NULL}, "abc", true, "groups"},
		{{"/.*/"}, {"/.*-rc\\d+/"}, "1.0-rc12", false, "both"},
		{{"/(?i)LATEST/"}, {NULL}, "latest", true, "options"},
		{{"/3\\.20$/"}, {NULL}, "3.20", true, "own anchors do no harm"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct tag_filter *filter = filter_of(&rows[i]);
		bool taken = !rows[i].taken;
		struct error err;
		if (!tag_filter_match(filter, rows[i].tag, &taken, &err))
			fail_msg("%s", err.text);
		if (taken != rows[i].taken)
			fail_msg("%s: %s", rows[i].tag, rows[i].why);
		tag_filter_free(filter);
	}
}

static void no_filter_takes_every_tag(void **state)
{
	(void)state;
	bool taken = false;
	struct error err;
	assert_true(tag_filter_match(NULL, "anything", &taken, &err));
	assert_true(taken);
}

static void a_match_limit_is_an_error_and_no_answer(void **state)
{
	(void)state;
	static const char *const patterns[] = {"/(a+)+$/", "/(a|aa)+$/", "/(.*)*b/", "/(a?){100}a{100}b/"};
	char tag[129];
	memset(tag, 'a', 127);
	tag[127] = '!';
	tag[128] = '\0';
	for (size_t i = 0; i < array_count(patterns); i++) {
		for (int deny = 0; deny < 2; deny++) {
			struct tag_filter *filter = tag_filter_new();
			struct error err = {0};
			bool taken = true;
			assert_true(deny ? tag_filter_deny(filter, patterns[i], &err)
					 : tag_filter_allow(filter, patterns[i], &err));
			clock_t before = clock();
			if (tag_filter_match(filter, tag, &taken, &err))
				assert_int_equal(taken, deny); /* PCRE2 saw through it */
			else
				assert_int_equal(err.kind, ERR_INVALID);
			assert_true(clock() - before < CLOCKS_PER_SEC);
			tag_filter_free(filter);
		}
	}
}

static void the_classic_is_stopped_and_named(void **state)
{
	(void)state;
	char tag[129];
	memset(tag, 'a', 127);
	tag[127] = '!';
	tag[128] = '\0';
	struct tag_filter *filter = tag_filter_new();
	struct error err = {0};
	bool taken = true;
	assert_true(tag_filter_allow(filter, "/(a+)+$/", &err));
	assert_false(tag_filter_match(filter, tag, &taken, &err));
	assert_true(taken);
	assert_int_equal(err.kind, ERR_INVALID);
	assert_non_null(strstr(err.text, "/(a+)+$/"));
	assert_non_null(strstr(err.text, "match limit exceeded"));
	tag_filter_free(filter);
}

static void a_pattern_that_cannot_be_meant_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *says;
	} rows[] = {
		{"", "an empty pattern"},
		{"/", "between two slashes"},
		{"//", "between two slashes"},
		{"/abc", "between two slashes"},
		{"/a(b/", "missing closing parenthesis at offset 3"},
		{"/a[/", "missing terminating ] for character class at offset 2"},
		{"/*/", "quantifier does not follow a repeatable item at offset 0"},
		{"/(*UTF)a/", "offset"},
		{"[abc", "\"[\" without \"]\""},
		{"abc\\", "a \"\\\" at the end"},
		{"{3.19,3.20}", "no tag has a \"{\""},
		{"3.20 ", "no tag has a \" \""},
		{"^3.*$", "no tag has a \"^\""},
		{"a/b", "no tag has a \"/\""},
		{"\\*", "no tag has a \"*\""},
	};
	struct tag_filter *filter = tag_filter_new();
	for (size_t i = 0; i < array_count(rows); i++) {
		struct error err = {0};
		if (tag_filter_allow(filter, rows[i].pattern, &err) || tag_filter_deny(filter, rows[i].pattern, &err))
			fail_msg("%s was taken", rows[i].pattern);
		assert_int_equal(err.kind, ERR_INVALID);
		if (!strstr(err.text, rows[i].says))
			fail_msg("%s: %s", rows[i].pattern, err.text);
	}
	tag_filter_free(filter);
}

static void a_pattern_is_no_longer_than_its_limit(void **state)
{
	(void)state;
	auto_free char *pattern = memory_new(LIMIT_PATTERN_BYTES + 2, 1);
	struct tag_filter *filter = tag_filter_new();
	struct error err = {0};
	memset(pattern, 'a', LIMIT_PATTERN_BYTES);
	assert_true(tag_filter_allow(filter, pattern, &err));
	pattern[LIMIT_PATTERN_BYTES] = 'a';
	assert_false(tag_filter_allow(filter, pattern, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	tag_filter_free(filter);
	tag_filter_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_glob_matches_the_whole_text),
		cmocka_unit_test(a_glob_takes_no_more_than_n_times_m_steps),
		cmocka_unit_test(a_tag_is_taken_if_allowed_and_not_denied),
		cmocka_unit_test(no_filter_takes_every_tag),
		cmocka_unit_test(a_match_limit_is_an_error_and_no_answer),
		cmocka_unit_test(the_classic_is_stopped_and_named),
		cmocka_unit_test(a_pattern_that_cannot_be_meant_is_refused),
		cmocka_unit_test(a_pattern_is_no_longer_than_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
