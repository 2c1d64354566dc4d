/* covers: ERR-1, ERR-3, ERR-8, ERR-9, ERR-12, T-6, T-7, T-73 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/errors.h"

static void refusal_is_one_line_with_the_servers_words(void **state)
{
	static const struct {
		int status;
		enum error_kind kind;
		const char *body, *text, *why;
	} rows[] = {
		{401, ERR_UNAUTHORIZED,
			"{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"log in\",\"detail\":[1]}]}",
			"what: 401 Unauthorized: UNAUTHORIZED: log in", "docker"},
		{404, ERR_NOT_FOUND, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"},{\"code\":\"OTHER\"}]}",
			"what: 404 Not Found: NAME_UNKNOWN", "no message; the first of several"},
		{403, ERR_DENIED, "{\"errors\":[{\"message\":\"no\"}]}", "what: 403 Forbidden: no", "no code"},
		{429, ERR_RATE_LIMITED, "{\"details\":\"too many\"}", "what: 429 Too Many Requests: too many",
			"the older form of Docker Hub"},
		{403, ERR_DENIED, "{\"error\":\"quota\"}", "what: 403 Forbidden: quota", "others"},
		{502, ERR_UNAVAILABLE, "<html>\r\n<body>\t<h1>Bad   Gateway</h1>\n",
			"what: 502 Bad Gateway: <html> <body> <h1>Bad Gateway</h1>", "HTML in one line"},
		{500, ERR_UNAVAILABLE, "", "what: 500 Internal Server Error", "no body"},
		{418, ERR_DENIED, "", "what: 418", "a status without a name"},
		{403, ERR_DENIED, "{\"errors\":[]}", "what: 403 Forbidden: {\"errors\":[]}", "no errors in it"},
		{403, ERR_DENIED, "{\"errors\":\"x\"}", "what: 403 Forbidden: {\"errors\":\"x\"}", "of another type"},
		{403, ERR_DENIED, "[1]", "what: 403 Forbidden: [1]", "an array"},
		{403, ERR_DENIED, "\x1b[31mred\r\nERROR forged", "what: 403 Forbidden: \\x1B[31mred ERROR forged",
			"control bytes (T-73)"},
		{400, ERR_UNSUPPORTED, "{\"errors\":[{\"code\":\"UNSUPPORTED\"}]}",
			"what: 400 Bad Request: UNSUPPORTED", "ERR-3"},
		{405, ERR_DENIED, "{\"errors\":[{\"code\":\"DENIED\"}]}", "what: 405 Method Not Allowed: DENIED",
			"Quay's read-only mode"},
		{400, ERR_DENIED, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}",
			"what: 400 Bad Request: MANIFEST_UNKNOWN", "not found is 404, and only that"},
		{403, ERR_RATE_LIMITED, "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"slow\"}]}",
			"what: 403 Forbidden: TOOMANYREQUESTS: slow", "a limit by another status"},
		{403, ERR_RATE_LIMITED, "You have exceeded a secondary rate limit. Wait.",
			"what: 403 Forbidden: You have exceeded a secondary rate limit. Wait.", "GHCR (ERR-9)"},
		{400, ERR_RATE_LIMITED, "toomanyrequests: Rate exceeded",
			"what: 400 Bad Request: toomanyrequests: Rate exceeded", "ECR Public (ERR-12)"},
		{404, ERR_NOT_FOUND, "secondary rate limit", "what: 404 Not Found: secondary rate limit",
			"a 404 stays one"},
		{400, ERR_PROTOCOL,
			"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
			"what: 400 Bad Request: " HTTP_HINT_TLS, "nginx"},
		{400, ERR_PROTOCOL, "Client sent an HTTP request to an HTTPS server.\n",
			"what: 400 Bad Request: " HTTP_HINT_TLS, "Go: the registry image, Harbor, Zot"},
		{400, ERR_PROTOCOL, "<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
			"what: 400 Bad Request: " HTTP_HINT_TLS, "Apache"},
		{304, ERR_PROTOCOL, "", "what: 304", "a status that cannot be"},
		{206, ERR_PROTOCOL, "", "what: 206", "a success that is none here"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct error err = {.kind = ERR_NONE};
		assert_false(reply_error(&err, "what", rows[i].status, rows[i].body, strlen(rows[i].body)));
		if (err.kind != rows[i].kind || !str_is_nocase(err.text, rows[i].text) ||
			err.http_status != rows[i].status)
			fail_msg("%s: %s %s", rows[i].why, error_kind_name(err.kind), err.text);
	}
}

static void words_without_end_are_cut(void **state)
{
	char body[5000];
	struct error err;
	(void)state;
	memset(body, 'x', sizeof body);
	reply_error(&err, "", 500, body, sizeof body);
	assert_true(strlen(err.text) < LIMIT_FOREIGN_TEXT + 40);
	auto_free char *json =
		memory_format("{\"errors\":[{\"code\":\"%.*s\",\"message\":\"%.*s\"}]}", 2000, body, 2000, body);
	reply_error(&err, "", 500, json, strlen(json));
	assert_true(strlen(err.text) < LIMIT_FOREIGN_TEXT + 40);
	reply_error(&err, "", 500, "a\0b", 3);
	assert_string_equal(err.text, ": 500 Internal Server Error: a b");
}

static void retry_after_is_bounded(void **state)
{
	static const int64_t now_s = 1784937600; /* Sat, 25 Jul 2026 00:00:00 GMT */
	static const struct {
		const char *value;
		int64_t ms;
		const char *why;
	} rows[] = {
		{"0", 0, "at once"},
		{"7", 7000, "seconds"},
		{"-7", 0, "negative"},
		{"1.5", 0, "a fraction"},
		{"soon", 0, "a word"},
		{"", 0, "empty"},
		{"999999999", 86400000, "years"},
		{"99999999999999999999", 0, "no number at all"},
		{"Sat, 25 Jul 2026 00:00:30 GMT", 30000, "a date"},
		{"Fri, 24 Jul 2026 00:00:30 GMT", 0, "a past date"},
		{"Sat, 25 Jul 2099 00:00:30 GMT", 86400000, "a far date"},
		{"Sat, 25 Jul 2026 00:00:30 GMT+1", 0, "not quite a date"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int64_t ms = reply_retry_after_ms(rows[i].value, now_s);
		if (ms != rows[i].ms)
			fail_msg("%s: %lld", rows[i].why, (long long)ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusal_is_one_line_with_the_servers_words),
		cmocka_unit_test(words_without_end_are_cut),
		cmocka_unit_test(retry_after_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
