/* covers: ERR-11, ERR-15 */
#include "model.h"

#include "sync/registry/notices.h"

static void warnings_of_code_299_are_read(void **state)
{
	static const struct {
		const char *header, *texts;
	} rows[] = {
		{"299 - \"old API\"", "old API|"},
		{"299 r.test:5000 \"a\" \"Sat, 25 Jul 2026 00:00:00 GMT\", 299 - \"b\"", "a|b|"},
		{"299 - \"say \\\"hi\\\", \\\\o/\"", "say \"hi\", \\o/|"},
		{"199 - \"no\", 299 - \"yes\"", "yes|"},
		{"110 - \"no\"", ""},
		{"299 - unquoted, 299 - \"quoted\"", "quoted|"},
		{"299 - \"never ends", "never ends|"},
		{"299 - \"\"", ""},
		{"299", ""},
		{"", ""},
		{"\"\\", ""},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *all = memory_text("");
		const char *at = rows[i].header;
		char *text;
		while ((text = notice_warning(&at))) {
			char *longer = memory_format("%s%s|", all, text);
			free(all);
			free(text);
			all = longer;
		}
		assert_string_equal(all, rows[i].texts);
	}
}

static void quotas_are_read(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t count, window_s;
	} rows[] = {
		{"98;w=21600", true, 98, 21600},
		{"100", true, 100, 0},
		{"0;w=21600", true, 0, 21600},
		{"5 ; w=60; x=1", true, 5, 60},
		{"5;w=x", true, 5, 0},
		{"-1;w=60", false, 0, 0},
		{"many", false, 0, 0},
		{"", false, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int64_t count = 0, window_s = 0;
		assert_int_equal(notice_quota(rows[i].text, &count, &window_s), rows[i].ok);
		if (rows[i].ok)
			assert_true(count == rows[i].count && window_s == rows[i].window_s);
	}
}

static void resolve(struct model *model, const char *tag)
{
	struct descriptor found = {0};
	struct error err;
	assert_true(registry_manifest_head(model->registry, "a/b", tag, &found, &err));
	descriptor_release(&found);
}

static void look_at_notices(struct model *model)
{
	const struct notices *notices = registry_notices(model->registry);
	resolve(model, "1");
	resolve(model, "2");
	resolve(model, "3");
	assert_int_equal(notices->warning_count, 2);
	assert_string_equal(notices->warnings[0], "old");
	assert_string_equal(notices->warnings[1], "older");
	assert_true(notices->has_quota);
	assert_int_equal(notices->quota, 100);
	assert_int_equal(notices->quota_left, 97);
	assert_int_equal(notices->quota_window_s, 21600);
}

#define DIGEST "Docker-Content-Digest: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void notices_are_kept_once_each(void **state)
{
	const struct row rows[] = {
		{"GET https://r.test/v2/", NULL, 200, {"Warning: 299 - \"of the ping\""}},
		{"HEAD https://r.test/v2/a/b/manifests/1", NULL, 200,
			{DIGEST, "Warning: 299 - \"old\"", "ratelimit-limit: 100;w=21600",
				"ratelimit-remaining: 98;w=21600"}},
		{"HEAD https://r.test/v2/a/b/manifests/2", NULL, 200,
			{DIGEST, "Warning: 299 - \"older\", 299 - \"old\"", "RateLimit-Remaining: 97;w=21600"}},
		{"HEAD https://r.test/v2/a/b/manifests/3", NULL, 200, {DIGEST, "ratelimit-remaining: 99;w=21600"}},
	};
	(void)state;
	PLAY(look_at_notices, NULL, rows, NULL);
}

static void look_at_the_cap(struct model *model)
{
	resolve(model, "1");
	resolve(model, "2");
	assert_int_equal(registry_notices(model->registry)->warning_count, 1);
}

static void warnings_are_capped(void **state)
{
	char long_one[3000], one[3100], two[3100];
	(void)state;
	memset(long_one, 'x', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = '\0';
	snprintf(one, sizeof one, "Warning: 299 - \"%s\"", long_one);
	snprintf(two, sizeof two, "Warning: 299 - \"%sy\"", long_one);
	const struct row rows[] = {
		{"GET https://r.test/v2/", NULL, 200, {NULL}},
		{"HEAD https://r.test/v2/a/b/manifests/1", NULL, 200, {DIGEST, one}},
		{"HEAD https://r.test/v2/a/b/manifests/2", NULL, 200, {DIGEST, two}},
	};
	PLAY(look_at_the_cap, NULL, rows, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warnings_of_code_299_are_read),
		cmocka_unit_test(quotas_are_read),
		cmocka_unit_test(notices_are_kept_once_each),
		cmocka_unit_test(warnings_are_capped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
