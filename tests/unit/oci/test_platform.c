/* covers: IDX-7, T-36 */
#include "oci/platform.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_wish_is_two_or_three_words(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool fine;
	} rows[] = {{"linux/amd64", true}, {"linux/arm64/v8", true}, {"wasip1/wasm", true}, {"linux", false},
		{"linux/", false}, {"linux//v8", false}, {"/amd64", false}, {"linux/arm/v7/x", false},
		{"linux/arm/", false}, {"", false}, {"linux /amd64", false}, {"linux/*", false}, {"linux/\033", false},
		{"linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true}, {"linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct platform platform = {0};
		struct error err = {0};
		char out[100];
		assert_int_equal(platform_parse(rows[i].text, &platform, &err), rows[i].fine);
		assert_int_equal(err.kind, rows[i].fine ? ERR_NONE : ERR_INVALID);
		assert_string_equal(platform_format(&platform, out), rows[i].fine ? rows[i].text : "");
		assert_null(strchr(err.text, '\033'));
	}
}

static void a_silent_variant_is_the_usual_one(void **state)
{
	(void)state;
	static const struct {
		const char *wish, *entry;
		bool matches;
	} rows[] = {
		{"linux/amd64", "linux/amd64", true},
		{"linux/amd64", "windows/amd64", false},
		{"linux/amd64", "linux/arm64", false},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm64/v8", "linux/arm64", true},
		{"linux/arm64/v8", "linux/arm64/v9", false},
		{"linux/arm", "linux/arm/v5", true},
		{"linux/arm/v7", "linux/arm", true},
		{"linux/arm/v6", "linux/arm", false},
		{"linux/arm/v6", "linux/arm/v7", false},
		{"linux/amd64/v1", "linux/amd64", true},
		{"linux/amd64/v2", "linux/amd64", false},
		{"linux/riscv64/x", "linux/riscv64", false},
		{"unknown/unknown", "unknown/unknown", false},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct platform wish, entry;
		assert_true(platform_parse(rows[i].wish, &wish, NULL));
		assert_true(platform_parse(rows[i].entry, &entry, NULL));
		if (platform_matches(&wish, &entry) != rows[i].matches)
			fail_msg("%s, %s", rows[i].wish, rows[i].entry);
	}
	struct platform empty = {0}, wish;
	assert_true(platform_parse("linux/amd64", &wish, NULL));
	assert_false(platform_matches(&wish, &empty));
	assert_false(platform_matches(&empty, &empty));
	assert_true(platform_is_empty(&empty));
}

static bool reads(const char *text, struct platform *platform, struct error *err)
{
	auto_json json_t *object = NULL;
	return json_parse(text, strlen(text), &object, err) && platform_read(object, platform, err);
}

static void odd_platforms_do_not_fail_a_copy(void **state)
{
	(void)state;
	struct platform platform = {0};
	struct error err = {0};
	char out[100];
	assert_true(reads(
		"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\",\"os.features\":[1]}", &platform, &err));
	assert_string_equal(platform_format(&platform, out), "linux/arm/v7");
	assert_true(reads("{}", &platform, &err));
	assert_true(platform_is_empty(&platform));
	assert_true(reads("{\"os\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", &platform, &err));
	assert_int_equal(strlen(platform.os), sizeof platform.os - 1);
	assert_false(reads("{\"os\":1}", &platform, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_false(reads("{\"OS\":\"linux\"}", &platform, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wish_is_two_or_three_words),
		cmocka_unit_test(a_silent_variant_is_the_usual_one),
		cmocka_unit_test(odd_platforms_do_not_fail_a_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
