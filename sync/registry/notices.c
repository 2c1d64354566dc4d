#include "sync/registry/notices.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <string.h>

/* --- parsing -------------------------------------------------------------------------------------------------------
 */

/* A quoted string from @p (behind its quote) on, without its escapes; *end is behind the closing quote. */
static char *unquote(const char *p, const char **end)
{
	char *text = memory_new(strlen(p) + 1, 1), *out = text;
	for (; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		*out++ = *p;
	}
	*end = *p ? p + 1 : p;
	return text;
}

char *notice_warning(const char **at)
{
	const char *p = *at;
	while (*(p += strspn(p, " \t,"))) {
		bool counts = strncmp(p, "299 ", 4) == 0;
		p += strcspn(p, "\",");
		if (*p != '"')
			continue;
		char *text = unquote(p + 1, &p);
		p += strspn(p, " \t");
		if (*p == '"') { /* a date */
			const char *behind;
			free(unquote(p + 1, &behind));
			p = behind;
		}
		*at = p;
		if (counts && *text)
			return text;
		free(text);
	}
	*at = p;
	return NULL;
}

bool notice_quota(const char *text, int64_t *count, int64_t *window_s)
{
	size_t length = strcspn(text, "; \t");
	auto_free char *digits = memory_text_of(text, length);
	*window_s = 0;
	if (!str_parse_number(digits, INT64_MAX, count) || *count < 0)
		return false;
	const char *window = strstr(text + length, "w=");
	if (window) {
		auto_free char *seconds = memory_text_of(window + 2, strcspn(window + 2, "; \t"));
		if (!str_parse_number(seconds, INT64_MAX, window_s) || *window_s < 0)
			*window_s = 0;
	}
	return true;
}

/* --- keeping -------------------------------------------------------------------------------------------------------
 */

static void keep_warning(struct notices *notices, char *text)
{
	size_t length = strlen(text);
	bool known = false;
	for (size_t i = 0; i < notices->warning_count; i++)
		known |= strcmp(notices->warnings[i], text) == 0;
	bool fits =
		notices->warning_count < NOTICE_WARNINGS_MAX && notices->warning_bytes + length <= LIMIT_WARNING_BYTES;
	if (known || !fits) {
		free(text);
		return;
	}
	notices->warnings[notices->warning_count++] = text;
	notices->warning_bytes += length;
}

static void take_warnings(struct notices *notices, const struct http_exchange *exchange)
{
	const char *header;
	char *text;
	for (size_t i = 0; (header = http_header(exchange, "Warning", i)); i++)
		while ((text = notice_warning(&header)))
			keep_warning(notices, text);
}

static void take_quota(struct notices *notices, const struct http_exchange *exchange)
{
	const char *left = http_header(exchange, "ratelimit-remaining", 0);
	const char *all = http_header(exchange, "ratelimit-limit", 0);
	int64_t count, window_s, unused;
	if (!left || !notice_quota(left, &count, &window_s))
		return;
	if (!notices->has_quota || count < notices->quota_left) {
		notices->quota_left = count;
		notices->quota_window_s = window_s;
	}
	if (!all || !notice_quota(all, &notices->quota, &unused))
		notices->quota = notices->has_quota ? notices->quota : 0;
	notices->has_quota = true;
}

void notices_take(struct notices *notices, const struct http_exchange *exchange)
{
	take_warnings(notices, exchange);
	take_quota(notices, exchange);
}

void notices_release(struct notices *notices)
{
	for (size_t i = 0; i < notices->warning_count; i++)
		free(notices->warnings[i]);
	*notices = (struct notices){0};
}
