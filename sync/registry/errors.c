#include "sync/registry/errors.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Above it a wait is no wait (ERR-8 clamps to 10 min, T-7 to 1 h); whoever retries has a lower bound of its own. */
#define RETRY_AFTER_MOST_S ((int64_t)24 * 3600)

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{400, " Bad Request"},
		{401, " Unauthorized"},
		{403, " Forbidden"},
		{404, " Not Found"},
		{405, " Method Not Allowed"},
		{413, " Payload Too Large"},
		{416, " Range Not Satisfiable"},
		{429, " Too Many Requests"},
		{500, " Internal Server Error"},
		{502, " Bad Gateway"},
		{503, " Service Unavailable"},
		{504, " Gateway Timeout"},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "";
}

/* --- the server's words --------------------------------------------------------------------------------------------
 */

struct words {
	char code[64];
	char text[LIMIT_FOREIGN_TEXT + 1]; /* for the line */
};

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* {"errors":[{"code","message"}]}, or the {"details"} and {"error"} of those who do otherwise. */
static bool read_document(const json_t *document, struct words *words)
{
	char line[2 * LIMIT_FOREIGN_TEXT];
	const json_t *first = json_array_get(json_object_get(document, "errors"), 0);
	const char *code = text_at(first, "code"), *message = text_at(first, "message");
	const char *other = text_at(document, "details");
	if (!*other)
		other = text_at(document, "error");
	if (!*code && !*message && !*other)
		return false;
	snprintf(words->code, sizeof words->code, "%s", code);
	if (*code || *message)
		snprintf(line, sizeof line, "%s%s%s", code, *code && *message ? ": " : "", message);
	else
		snprintf(line, sizeof line, "%s", other);
	str_sanitize(line, strlen(line), words->text, sizeof words->text);
	return true;
}

/* Line ends and runs of blanks become one blank each: a page of HTML in one line. */
static void squeeze(const char *body, size_t length, struct words *words)
{
	char line[2 * LIMIT_FOREIGN_TEXT];
	size_t used = 0;
	for (size_t i = 0; i < length && used < sizeof line; i++) {
		char c = strchr(" \t\r\n", body[i]) ? ' ' : body[i];
		if (c != ' ' || (used > 0 && line[used - 1] != ' '))
			line[used++] = c;
	}
	while (used > 0 && line[used - 1] == ' ')
		used--;
	str_sanitize(line, used, words->text, sizeof words->text);
}

static void read_words(const char *body, size_t length, struct words *words)
{
	auto_json json_t *document = NULL;
	*words = (struct words){.code = ""};
	if (!json_parse(body, length, &document, NULL) || !read_document(document, words))
		squeeze(body, length, words);
}

/* ERR-3: the status first, and these only where a status says less than the code. */
static enum error_kind refine(enum error_kind kind, const char *code)
{
	static const struct {
		const char *code;
		enum error_kind said, meant;
	} rows[] = {
		{"UNSUPPORTED", ERR_DENIED, ERR_UNSUPPORTED},
		{"TOOMANYREQUESTS", ERR_DENIED, ERR_RATE_LIMITED},
		{"DENIED", ERR_UNSUPPORTED, ERR_DENIED}, /* Quay's read-only namespaces: 405 */
		{"UNAUTHORIZED", ERR_UNSUPPORTED, ERR_DENIED},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (rows[i].said == kind && str_is_nocase(rows[i].code, code))
			return rows[i].meant;
	return kind;
}

/* Limits told in words alone, whatever the code: how long to wait at least. */
static void refine_by_words(const char *text, enum error_kind *kind, int64_t *least_ms)
{
	static const struct {
		const char *words;
		int64_t least_ms;
	} rows[] = {
		{"secondary rate limit", 60000},  /* GHCR, by 403 (ERR-9) */
		{"Data limit exceeded", 3600000}, /* ECR Public: of the month (ERR-12) */
		{"toomanyrequests: Rate exceeded", 0},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		bool may_be = *kind == ERR_DENIED || *kind == ERR_RATE_LIMITED;
		if (may_be && strstr(text, rows[i].words)) {
			*kind = ERR_RATE_LIMITED;
			*least_ms = rows[i].least_ms;
			return;
		}
	}
}

/* A server that expects TLS and was spoken to without. */
static bool wants_tls(int status, const char *text)
{
	static const char *const rows[] = {
		"plain HTTP request was sent to HTTPS port",        /* nginx */
		"sent an HTTP request to an HTTPS server",          /* Go */
		"speaking plain HTTP to an SSL-enabled server port" /* Apache */
	};
	for (size_t i = 0; status == 400 && i < array_count(rows); i++)
		if (strstr(text, rows[i]))
			return true;
	return false;
}

bool reply_error(struct error *err, const char *what, int status, const char *body, size_t length)
{
	struct words words;
	read_words(body, length, &words);
	enum error_kind kind = http_status_kind(status);
	int64_t least_ms = 0;
	if (kind == ERR_NONE) /* a success where we can use none */
		kind = ERR_PROTOCOL;
	if (wants_tls(status, words.text)) {
		kind = ERR_PROTOCOL;
		snprintf(words.text, sizeof words.text, "%s", HTTP_HINT_TLS);
	}
	kind = refine(kind, words.code);
	refine_by_words(words.text, &kind, &least_ms);
	error_set(err, kind, "%s: %d%s%s%s", what, status, reason(status), *words.text ? ": " : "", words.text);
	if (err) {
		err->http_status = status;
		err->retry_after_ms = least_ms;
	}
	return false;
}

bool reply_has_code(const char *body, size_t length, const char *code)
{
	struct words words;
	read_words(body, length, &words);
	return str_is_nocase(words.code, code);
}

bool reply_error_of(const struct http_exchange *exchange, const char *body, size_t length, struct error *err)
{
	const char *retry_after = http_header(exchange, "Retry-After", 0);
	reply_error(err, http_what(exchange), http_status(exchange), body, length);
	int64_t asked_ms = retry_after ? reply_retry_after_ms(retry_after, (int64_t)time(NULL)) : 0;
	if (err && asked_ms > err->retry_after_ms)
		err->retry_after_ms = asked_ms;
	return false;
}

/* --- Retry-After ---------------------------------------------------------------------------------------------------
 */

static int64_t bounded_ms(int64_t seconds)
{
	if (seconds < 0)
		return 0;
	return 1000 * (seconds > RETRY_AFTER_MOST_S ? RETRY_AFTER_MOST_S : seconds);
}

int64_t reply_retry_after_ms(const char *value, int64_t now_s)
{
	int64_t seconds;
	struct tm date = {0};
	if (str_parse_number(value, INT64_MAX, &seconds))
		return bounded_ms(seconds);
	const char *end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &date);
	if (!end || *end)
		return 0;
	return bounded_ms((int64_t)timegm(&date) - now_s);
}
