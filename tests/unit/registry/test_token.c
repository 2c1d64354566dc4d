#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "scheduler/task.h"
#include "sync/registry/secret.h"
#include "sync/registry/token.h"

/* --- the reply ------------------------------------------------------------------------------------------------------
 */

#define NOW_S 1700000000 /* 2023-11-14T22:13:20Z */

/* covers: TOK-7, TOK-10, TOK-16, T-25 */
static void token_is_taken_from_what_servers_send(void **state)
{
	static const struct {
		const char *body, *token; /* NULL: refused */
		int64_t life_s;
		const char *why;
	} rows[] = {
		{"{\"token\":\"abc\"}", "abc", 60, "no more than that: Quay"},
		{"{\"access_token\":\"abc\",\"expires_in\":300}", "abc", 300, "the other name"},
		{"{\"token\":\"a\",\"access_token\":\"b\"}", "b", 60, "both (TOK-7)"},
		{"{\"token\":\"a\",\"access_token\":\"\"}", "a", 60, "one of them empty"},
		{"{\"token\":\"a\",\"expires_in\":5}", "a", 60, "less than a minute"},
		{"{\"token\":\"a\",\"expires_in\":0}", "a", 60, "nothing"},
		{"{\"token\":\"a\",\"expires_in\":null}", "a", 60, "null"},
		{"{\"token\":\"a\",\"scope\":[],\"refresh_token\":\"x\",\"issued_at\":\"y\"}", "a", 60, "others"},
		{"{\"token\":\"aZ09-._~+/==\"}", "aZ09-._~+/==", 60, "all of the grammar"},
		{"{\"token\":\"ghp_bm90IGEgSldU==\"}", "ghp_bm90IGEgSldU==", 60, "GHCR: no JWT (TOK-10)"},
		{"{\"token\":\"e30.e30.\"}", "e30.e30.", 60, "a JWT that says nothing is not looked into"},
		{"{\"token\":\"a\",\"refresh_token\":7}", "a", 60, "what we do not keep is not judged (TOK-16)"},
		{"{\"token\":\"a\",\"expires_in\":-1}", NULL, 0, "negative"},
		{"{\"token\":\"a\",\"expires_in\":99999999999999}", NULL, 0, "absurd"},
		{"{\"token\":\"a\",\"expires_in\":1e9}", NULL, 0, "an exponent"},
		{"{\"token\":\"a\",\"expires_in\":\"300\"}", NULL, 0, "a text"},
		{"{\"token\":\"hunter2\\r\\nX: y\"}", NULL, 0, "a line end would be a header (T-25)"},
		{"{\"token\":\"hunter2 x\"}", NULL, 0, "a blank"},
		{"{\"token\":\"hun=ter2\"}", NULL, 0, "padding within"},
		{"{\"token\":\"\"}", NULL, 0, "empty"},
		{"{\"token\":7}", NULL, 0, "a number"},
		{"{\"Token\":\"hunter2\"}", NULL, 0, "another case"},
		{"{}", NULL, 0, "none"},
		{"[\"hunter2\"]", NULL, 0, "an array"},
		{"<html>hunter2", NULL, 0, "a page"},
		{"", NULL, 0, "nothing"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct token_reply reply = {0};
		struct error err = {.kind = ERR_NONE};
		bool ok = token_reply_parse(rows[i].body, strlen(rows[i].body), NOW_S, &reply, &err);
		if (ok != (rows[i].token != NULL))
			fail_msg("%s: %s", rows[i].why, err.text);
		if (!ok && (err.kind != ERR_UNAUTHORIZED || strstr(err.text, "hunter2")))
			fail_msg("%s: %s", rows[i].why, err.text);
		if (ok && (!str_is(reply.token, rows[i].token) || reply.life_s != rows[i].life_s))
			fail_msg("%s: %s", rows[i].why, reply.token);
		token_reply_release(&reply);
	}
}

static void token_longer_than_a_header_is_refused(void **state)
{
	struct token_reply reply = {0};
	(void)state;
	for (size_t over = 0; over <= 1; over++) {
		auto_free char *token = memory_new(LIMIT_TOKEN_BYTES + 2, 1);
		memset(token, 'x', LIMIT_TOKEN_BYTES + over);
		auto_free char *body = memory_format("{\"token\":\"%s\"}", token);
		assert_int_equal(token_reply_parse(body, strlen(body), NOW_S, &reply, NULL), over == 0);
	}
	token_reply_release(&reply);
}

/* covers: TOK-7 */
static void reply_without_a_token_is_told_by_its_keys(void **state)
{
	static const struct {
		const char *body, *says;
	} rows[] = {
		{"{}", "neither token nor access_token, but nothing"},
		{"{\"jwt\":\"hunter2\",\"expires_in\":3}", "neither token nor access_token, but jwt, expires_in"},
		{"{\"a\\u001b[2J\":\"hunter2\"}", "but a\\x1b[2J"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct token_reply reply = {0};
		struct error err = {.kind = ERR_NONE};
		assert_false(token_reply_parse(rows[i].body, strlen(rows[i].body), NOW_S, &reply, &err));
		if (!strstr(err.text, rows[i].says) || strstr(err.text, "hunter2"))
			fail_msg("%s", err.text);
	}
}

/* covers: TOK-8 */
static void issued_at_shortens_a_life_and_never_ends_it(void **state)
{
	static const struct {
		const char *issued_at;
		int64_t life_s;
		const char *why;
	} rows[] = {
		{"\"2023-11-14T22:13:20Z\"", 300, "now"},
		{"\"2023-11-14T22:12:20Z\"", 240, "a minute ago"},
		{"\"2023-11-14T22:12:20.123456789Z\"", 240, "a fraction: distribution"},
		{"\"2023-11-14T23:12:20+01:00\"", 240, "another zone"},
		{"\"2023-11-14T14:42:20-07:30\"", 240, "behind"},
		{"\"2023-11-14T22:08:21Z\"", 1, "a second is left"},
		{"\"2023-11-14T22:08:20Z\"", 300, "over already: the clocks differ"},
		{"\"2001-01-01T00:00:00Z\"", 300, "long over"},
		{"\"0001-01-01T00:00:00Z\"", 300, "Go's zero time"},
		{"\"2023-11-14T22:13:21Z\"", 300, "in the future"},
		{"\"2023-11-14 22:12:20Z\"", 300, "no RFC 3339"},
		{"\"2023-11-14T22:12:20\"", 300, "no zone"},
		{"\"2023-11-14T22:12:20Zx\"", 300, "more behind it"},
		{"\"2023-11-14T22:12:20+1\"", 300, "half a zone"},
		{"\"\"", 300, "nothing"},
		{"1699999940", 300, "a number"},
		{"null", 300, "null"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct token_reply reply = {0};
		struct error err;
		auto_free char *body =
			memory_format("{\"token\":\"a\",\"expires_in\":300,\"issued_at\":%s}", rows[i].issued_at);
		if (!token_reply_parse(body, strlen(body), NOW_S, &reply, &err))
			fail_msg("%s: %s", rows[i].why, err.text);
		if (reply.life_s != rows[i].life_s)
			fail_msg("%s: %d s", rows[i].why, (int)reply.life_s);
		token_reply_release(&reply);
	}
}

/* --- policy ---------------------------------------------------------------------------------------------------------
 */

/* covers: AUTH-14, AUTH-16, T-12, T-18 */
static void credentials_go_to_the_registrys_own_origin_alone(void **state)
{
	static const struct {
		const char *registry, *realm;
		bool anonymous, with_credentials;
		const char *why;
	} rows[] = {
		{"https://r.test/v2/", "https://r.test/token", true, true, "the same origin"},
		{"https://r.test/v2/", "https://r.test/artifactory/api/docker/x/v2/token?a=b", true, true, "AUTH-16"},
		{"https://r.test:5000/v2/", "https://r.test:5000/auth", true, true, "the same port"},
		{"https://r.test:5050/v2/", "https://r.test/jwt/auth", true, true, "GitLab at home: the usual port"},
		{"https://r.test:5000/v2/", "https://r.test:5001/auth", true, false, "anybody's port of the host"},
		{"https://r.test/v2/", "https://r.test:8443/auth", true, false, "from the usual port to another"},
		{"http://r.test:5000/v2/", "http://r.test/auth", true, true, "the usual port, plain"},
		{"http://r.test:5000/v2/", "http://r.test:5001/auth", true, false, "another port, plain"},
		{"http://r.test/v2/", "https://r.test/auth", true, true, "from http up to https"},
		{"https://registry-1.docker.io/v2/", "https://auth.docker.io/token", true, true, "the built-in pair"},
		{"https://registry.gitlab.com/v2/", "https://gitlab.com/jwt/auth", true, true, "another"},
		{"https://registry.gitlab.com/v2/", "https://gitlab.com:8443/jwt/auth", true, false, "another port"},
		{"https://registry.gitlab.com/v2/", "http://gitlab.com/jwt/auth", false, false, "down to http"},
		{"https://registry.gitlab.com/v2/", "https://auth.docker.io/token", true, false, "not crosswise"},
		{"https://registry-1.docker.io/v2/", "https://auth.docker.io.evil/token", true, false, "a look-alike"},
		{"https://registry-1.docker.io.evil/v2/", "https://auth.docker.io/token", true, false, "a look-alike"},
		{"http://registry-1.docker.io/v2/", "http://auth.docker.io/token", true, false, "not over http"},
		{"https://r.test/v2/", "https://auth.test/token", true, false, "another host"},
		{"https://r.test/v2/", "https://r.test.evil/token", true, false, "a look-alike"},
		{"https://r.test/v2/", "https://sub.r.test/token", true, false, "a sub-domain"},
		{"https://r.test/v2/", "https://203.0.113.7/token", true, false, "an address"},
		{"https://r.test/v2/", "http://r.test/token", false, false, "a downgrade (T-18)"},
		{"https://r.test/v2/", "http://auth.test/token", false, false, "a downgrade elsewhere"},
		{"http://r.test/v2/", "http://auth.test/token", true, false, "plain, and another host"},
		{"https://r.test/v2/", "https://r.test@evil/token", false, false, "userinfo"},
		{"https://r.test/v2/", "null://r.test/v2/token", false, false, "Nexus (AUTH-15)"},
		{"https://r.test/v2/", "file:///etc/passwd", false, false, "another scheme"},
		{"https://r.test/v2/", "r.test/token", false, false, "no URL"},
		{"https://r.test/v2/", "", false, false, "nothing"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		for (int with = 0; with <= 1; with++) {
			struct token_server server = {
				.realm = rows[i].realm, .registry_url = rows[i].registry, .domain = "r.test"};
			struct error err = {.kind = ERR_NONE};
			bool want = with ? rows[i].with_credentials : rows[i].anonymous;
			if (token_server_judge(&server, with, &err) != want)
				fail_msg("%s (%d): %s", rows[i].why, with, err.text);
			assert_int_equal(err.kind, want ? ERR_NONE : ERR_REFUSED);
		}
}

/* covers: T-12, T-19 */
static void configuration_may_name_a_token_server(void **state)
{
	static const struct {
		const char *registry, *allowed, *realm;
		bool may;
		const char *why;
	} rows[] = {
		{"https://r.test/", "gitlab.com", "https://gitlab.com/jwt/auth", true, "GitLab"},
		{"https://r.test/", "gitlab.com", "https://GitLab.com./jwt/auth", true, "written otherwise"},
		{"https://r.test/", "gitlab.com", "https://gitlab.com:443/jwt/auth", true, "the usual port"},
		{"https://r.test/", "auth.test:8443", "https://auth.test:8443/t", true, "a port"},
		{"https://r.test/", "[::1]:8443", "https://[::1]:8443/t", true, "IPv6"},
		{"http://r.test/", "auth.test:8080", "http://auth.test:8080/t", true, "plain to plain"},
		{"https://r.test/", "auth.test", "https://auth.test:8443/t", false, "another port"},
		{"https://r.test/", "auth.test:8443", "https://auth.test/t", false, "not the usual port"},
		{"https://r.test/", "gitlab.com", "https://gitlab.com.evil/t", false, "longer"},
		{"https://r.test/", "gitlab.com", "https://x.gitlab.com/t", false, "a sub-domain"},
		{"https://r.test/", "gitlab.com", "https://gitlab.co/t", false, "shorter"},
		{"https://r.test/", "gitlab.com", "https://gitlab.com@evil/t", false, "userinfo"},
		{"https://r.test/", "gitlab.com", "http://gitlab.com/t", false, "never down to http"},
		{"https://r.test/", "other.test", "https://gitlab.com/t", false, "another"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const char *const realms[] = {"first.test", rows[i].allowed};
		struct token_server server = {.realm = rows[i].realm,
			.registry_url = rows[i].registry,
			.domain = "r.test",
			.realms = realms,
			.realm_count = 2};
		if (token_server_judge(&server, true, NULL) != rows[i].may)
			fail_msg("%s", rows[i].why);
	}
}

/* covers: T-12, AUTH-15 */
static void refusal_names_the_realm_and_the_line_to_add(void **state)
{
	static const struct {
		const char *registry, *realm, *says;
	} rows[] = {
		{"https://r.test/", "https://gitlab.com/jwt/auth?x=hunter2",
			"the registry names the token server https://gitlab.com/jwt/auth; credentials are not sent to "
			"another origin; if they belong there, write under registries, r.test: `realms: "
			"[\"gitlab.com\"]`"},
		{"https://r.test/", "https://a.test:8443/t", "`realms: [\"a.test:8443\"]`"},
		{"http://r.test/", "http://a.test/t", "`realms: [\"a.test\"]`"},
		{"https://r.test/", "https://[2001:db8::1]:8443/t", "`realms: [\"[2001:db8::1]:8443\"]`"},
		{"https://r.test/", "null://r.test/v2/token",
			"the registry names the token server null://r.test/v2/token: the URL is neither https nor "
			"http; what it says of itself is wrong"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct token_server server = {
			.realm = rows[i].realm, .registry_url = rows[i].registry, .domain = "r.test"};
		struct error err = {.kind = ERR_NONE};
		assert_false(token_server_judge(&server, true, &err));
		assert_int_equal(err.kind, ERR_REFUSED);
		if (!strstr(err.text, rows[i].says) || strstr(err.text, "hunter2"))
			fail_msg("%s", err.text);
	}
}

/* --- the cache ------------------------------------------------------------------------------------------------------
 */

struct story {
	struct token_cache cache;
	int fetched, failed;
	int64_t life_s, takes_ms;
	enum error_kind fails;
	void (*body)(struct story *story);
};

static bool fetch(void *argument, struct token_reply *reply, struct error *err)
{
	struct story *story = argument;
	int number = ++story->fetched;
	if (story->takes_ms > 0 && !task_sleep(story->takes_ms, err))
		return false;
	if (story->fails != ERR_NONE)
		return error_set(err, story->fails, "refused");
	reply->token = memory_format("t%d", number);
	reply->life_s = story->life_s;
	return true;
}

static void assert_token(struct story *story, const char *key, const char *want)
{
	auto_secret char *token = NULL;
	struct error err;
	if (!token_cache_get(&story->cache, key, fetch, story, &token, &err))
		fail_msg("%s", err.text);
	assert_string_equal(token, want);
}

static void story_main(void *argument)
{
	struct story *story = argument;
	token_cache_init(&story->cache);
	story->body(story);
	token_cache_release(&story->cache);
}

static void tell(struct story *story, void (*body)(struct story *story))
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct story fresh = *story;
		fresh.body = body;
		struct loop *loop = loop_new_virtual(seed);
		loop_run(loop, story_main, &fresh);
		loop_free(loop);
	}
}

static void use_one_for_its_life(struct story *story)
{
	assert_token(story, "a", "t1");
	assert_true(task_sleep(74999, NULL));
	assert_token(story, "a", "t1");
	assert_token(story, "b", "t2");
	assert_true(task_sleep(1, NULL));
	assert_token(story, "a", "t3");
	assert_token(story, "b", "t2");
}

/* covers: TOK-9, TOK-11, T-21 */
static void token_is_renewed_at_three_quarters_of_its_life(void **state)
{
	(void)state;
	tell(&(struct story){.life_s = 100}, use_one_for_its_life);
}

static void drop_what_was_refused(struct story *story)
{
	assert_token(story, "a", "t1");
	token_cache_drop(&story->cache, "a", "t1");
	assert_token(story, "a", "t2");
	token_cache_drop(&story->cache, "a", "t1"); /* a late reply to a request with the old one */
	token_cache_drop(&story->cache, "b", "t2");
	assert_token(story, "a", "t2");
}

static void token_that_was_refused_is_dropped_and_no_other(void **state)
{
	(void)state;
	tell(&(struct story){.life_s = 100}, drop_what_was_refused);
}

static void want_the_first(void *argument)
{
	assert_token(argument, "a", "t1");
}

static void want_at_once(struct story *story)
{
	struct group group;
	group_init(&group, 100);
	for (int i = 0; i < 100; i++)
		assert_true(group_spawn(&group, want_the_first, story, NULL));
	group_wait(&group);
	assert_int_equal(story->fetched, 1);
}

/* covers: TOK-12 */
static void many_who_need_a_token_share_one_fetch(void **state)
{
	(void)state;
	tell(&(struct story){.life_s = 100, .takes_ms = 50}, want_at_once);
}

static void want_and_fail(void *argument)
{
	struct story *story = argument;
	auto_secret char *token = NULL;
	struct error err = {.kind = ERR_NONE};
	assert_false(token_cache_get(&story->cache, "a", fetch, story, &token, &err));
	assert_int_equal(err.kind, ERR_UNAUTHORIZED);
	assert_string_equal(err.text, "refused");
	story->failed++;
}

static void fail_at_once(struct story *story)
{
	struct group group;
	group_init(&group, 100);
	for (int i = 0; i < 100; i++)
		assert_true(group_spawn(&group, want_and_fail, story, NULL));
	group_wait(&group);
	assert_int_equal(story->fetched, 1);
	assert_int_equal(story->failed, 100);
	want_and_fail(story);
	assert_int_equal(story->fetched, 2);
}

static void failure_goes_to_all_who_wait_and_to_nobody_later(void **state)
{
	(void)state;
	tell(&(struct story){.takes_ms = 50, .fails = ERR_UNAUTHORIZED}, fail_at_once);
}

static void want_the_second(void *argument)
{
	assert_token(argument, "a", "t2");
}

static void want_and_be_canceled(void *argument)
{
	struct story *story = argument;
	auto_secret char *token = NULL;
	struct error err = {.kind = ERR_NONE};
	assert_false(token_cache_get(&story->cache, "a", fetch, story, &token, &err));
	assert_int_equal(err.kind, ERR_CANCELED);
}

static void cancel_the_first(struct story *story)
{
	struct group first, others;
	group_init(&first, 1);
	group_init(&others, 10);
	assert_true(group_spawn(&first, want_and_be_canceled, story, NULL));
	assert_true(task_sleep(10, NULL));
	for (int i = 0; i < 10; i++)
		assert_true(group_spawn(&others, want_the_second, story, NULL));
	assert_true(task_sleep(10, NULL));
	group_cancel(&first);
	group_wait(&first);
	group_wait(&others);
	assert_int_equal(story->fetched, 2);
}

static void another_fetches_when_who_fetched_is_canceled(void **state)
{
	(void)state;
	tell(&(struct story){.life_s = 100, .takes_ms = 50}, cancel_the_first);
}

static void want_very_many(struct story *story)
{
	char key[16];
	for (int i = 0; i < 10 * TOKENS_KEPT; i++) {
		snprintf(key, sizeof key, "k%d", i);
		auto_free char *want = memory_format("t%d", i + 2);
		if (i == 0)
			assert_token(story, "often", "t1");
		assert_token(story, key, want);
		assert_token(story, "often", "t1");
		assert_true(story->cache.count <= TOKENS_KEPT);
	}
}

static void tokens_are_bounded_and_those_in_use_stay(void **state)
{
	(void)state;
	tell(&(struct story){.life_s = 100}, want_very_many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_is_taken_from_what_servers_send),
		cmocka_unit_test(token_longer_than_a_header_is_refused),
		cmocka_unit_test(reply_without_a_token_is_told_by_its_keys),
		cmocka_unit_test(issued_at_shortens_a_life_and_never_ends_it),
		cmocka_unit_test(credentials_go_to_the_registrys_own_origin_alone),
		cmocka_unit_test(configuration_may_name_a_token_server),
		cmocka_unit_test(refusal_names_the_realm_and_the_line_to_add),
		cmocka_unit_test(token_is_renewed_at_three_quarters_of_its_life),
		cmocka_unit_test(token_that_was_refused_is_dropped_and_no_other),
		cmocka_unit_test(many_who_need_a_token_share_one_fetch),
		cmocka_unit_test(failure_goes_to_all_who_wait_and_to_nobody_later),
		cmocka_unit_test(another_fetches_when_who_fetched_is_canceled),
		cmocka_unit_test(tokens_are_bounded_and_those_in_use_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
