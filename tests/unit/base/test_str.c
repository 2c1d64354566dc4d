/* covers: T-73, MSC-6 */
#include "base/str.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void texts_compare_by_bytes_and_ascii_case(void **state)
{
	(void)state;
	assert_true(str_is("a", "a"));
	assert_false(str_is("a", NULL));
	assert_false(str_is(NULL, NULL));
	assert_true(str_starts_with("docker://x", "docker://"));
	assert_false(str_starts_with("dock", "docker"));
	assert_true(str_ends_with("a+gzip", "+gzip"));
	assert_false(str_ends_with("zip", "+gzip"));
	assert_true(str_is_nocase("Bearer", "bEARER"));
	assert_false(str_is_nocase("Bearer", "Bear"));
	assert_false(str_is_nocase("Bear", "Bearer"));
	assert_false(str_is_nocase("\xc3\x84", "\xc3\xa4"));
}

static void numbers_are_digits_and_nothing_else(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t maximum, value; /* -1: refused */
	} rows[] = {
		{"0", 10, 0},
		{"10", 10, 10},
		{"11", 10, -1},
		{"007", 10, 7},
		{"", 10, -1},
		{"-1", 10, -1},
		{"+1", 10, -1},
		{" 1", 10, -1},
		{"1 ", 10, -1},
		{"1.0", 10, -1},
		{"1e1", 10, -1},
		{"0x1", 10, -1},
		{"9223372036854775807", INT64_MAX, INT64_MAX},
		{"9223372036854775808", INT64_MAX, -1},
		{"99999999999999999999999", INT64_MAX, -1},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		int64_t value = -1;
		assert_int_equal(str_parse_number(rows[i].text, rows[i].maximum, &value), rows[i].value >= 0);
		assert_int_equal(value, rows[i].value);
	}
}

struct unit_row {
	const char *text;
	int64_t value; /* -1: refused */
};

static void check_units(
	const struct unit_row *rows, size_t count, bool (*parse)(const char *text, int64_t *value, struct error *err))
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = -1;
		struct error err = {0};
		assert_int_equal(parse(rows[i].text, &value, &err), rows[i].value >= 0);
		assert_int_equal(value, rows[i].value);
		assert_int_equal(err.kind, rows[i].value >= 0 ? ERR_NONE : ERR_INVALID);
	}
}

static void a_duration_has_a_unit(void **state)
{
	(void)state;
	static const struct unit_row rows[] = {{"500ms", 500}, {"30s", 30000}, {"5m", 300000}, {"1h", 3600000},
		{"2d", 172800000}, {"0s", 0}, {"30", -1}, {"30 s", -1}, {"-1s", -1}, {"1.5h", -1}, {"1w", -1},
		{"s", -1}, {"", -1}, {"1h30m", -1}, {"9223372036854775807d", -1}};
	check_units(rows, array_count(rows), str_parse_duration);
}

static void humans_read_short_numbers(void **state)
{
	(void)state;
	char out[16];
	assert_string_equal(str_format_bytes(0, out), "0 B");
	assert_string_equal(str_format_bytes(1023, out), "1023 B");
	assert_string_equal(str_format_bytes(1536, out), "1.5 KiB");
	assert_string_equal(str_format_bytes(INT64_MAX, out), "8192.0 PiB");
	assert_string_equal(str_format_duration(999, out), "999ms");
	assert_string_equal(str_format_duration(1500, out), "1.5s");
	assert_string_equal(str_format_duration(83500, out), "1m23s");
	assert_string_equal(str_format_duration(7260000, out), "2h01m");
	assert_true(strlen(str_format_duration(INT64_MAX, out)) < sizeof out);
}

static void foreign_text_stays_in_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *out, *why;
	} rows[] = {
		{"3.20-alpine", "3.20-alpine", "ordinary"},
		{"a\r\nerror: forged", "a\\x0d\\x0aerror: forged", "a second line"},
		{"\033[2J", "\\x1b[2J", "a terminal's command"},
		{"\x7f", "\\x7f", "DEL"},
		{"\xc2\x9b", "\\u{9b}", "a C1 control: CSI in one character"},
		{"\xe2\x80\xae"
		 "txt",
			"\\u{202e}txt", "turns the line around"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "letters of others stay"},
		{"\xff", "\\xff", "no UTF-8"},
		{"\xc0\xaf", "\\xc0\\xaf", "overlong"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80", "a surrogate"},
		{"\xe2\x82", "\\xe2\\x82", "cut short"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		char out[64];
		str_sanitize(rows[i].text, strlen(rows[i].text), out, sizeof out);
		assert_string_equal(out, rows[i].out);
	}
}

static void what_does_not_fit_is_cut_at_a_character(void **state)
{
	(void)state;
	char out[4];
	str_sanitize("ab\xe2\x82\xac", 5, out, sizeof out);
	assert_string_equal(out, "ab");
	str_sanitize("\n", 1, out, sizeof out);
	assert_string_equal(out, "");
	str_sanitize("abcdef", 6, out, sizeof out);
	assert_string_equal(out, "abc");
	str_sanitize("abc", 3, NULL, 0);
}

static void near_words_have_a_small_distance(void **state)
{
	(void)state;
	assert_int_equal(str_distance("", ""), 0);
	assert_int_equal(str_distance("", "abc"), 3);
	assert_int_equal(str_distance("platform", "platforms"), 1);
	assert_int_equal(str_distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_compare_by_bytes_and_ascii_case),
		cmocka_unit_test(numbers_are_digits_and_nothing_else),
		cmocka_unit_test(a_duration_has_a_unit),
		cmocka_unit_test(humans_read_short_numbers),
		cmocka_unit_test(foreign_text_stays_in_its_line),
		cmocka_unit_test(what_does_not_fit_is_cut_at_a_character),
		cmocka_unit_test(near_words_have_a_small_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
