#include "sync/http/headers.h"

#include "base/str.h"

#include <string.h>

void headers_init(struct headers *headers)
{
	headers->count = headers->seen_count = headers->seen_bytes = 0;
	buf_init(&headers->text, LIMIT_HEADER_BYTES + (size_t)2 * LIMIT_HEADER_COUNT);
}

void headers_release(struct headers *headers)
{
	buf_release(&headers->text);
	headers->count = 0;
}

static void forget_fields(struct headers *headers)
{
	buf_clear(&headers->text);
	headers->count = 0;
}

void headers_clear(struct headers *headers)
{
	forget_fields(headers);
	headers->seen_count = headers->seen_bytes = 0;
}

static bool count_line(struct headers *headers, size_t line_bytes, struct error *err)
{
	headers->seen_count++;
	headers->seen_bytes += line_bytes;
	if (line_bytes <= LIMIT_HEADER_LINE_BYTES && headers->seen_count <= LIMIT_HEADER_COUNT &&
		headers->seen_bytes <= LIMIT_HEADER_BYTES)
		return true;
	return error_set(err, ERR_PROTOCOL, "the server sent more headers than a reply may have");
}

bool headers_restart(struct headers *headers, struct error *err)
{
	forget_fields(headers);
	return count_line(headers, 0, err);
}

static bool append_text(struct headers *headers, const char *text, size_t length, uint32_t *at, struct error *err)
{
	*at = (uint32_t)headers->text.length;
	return buf_append(&headers->text, text, length, err) && buf_append(&headers->text, "", 1, err);
}

bool headers_add(struct headers *headers, const char *name, size_t name_length, const char *value, size_t value_length,
	struct error *err)
{
	if (!count_line(headers, name_length + value_length, err))
		return false;
	if (name_length == 0 || name[0] == ' ' || name[0] == '\t' || memchr(value, '\0', value_length))
		return error_set(err, ERR_PROTOCOL, "the server sent a malformed header line");
	size_t slot = headers->count;
	if (!append_text(headers, name, name_length, &headers->at[slot].name, err) ||
		!append_text(headers, value, value_length, &headers->at[slot].value, err))
		return false;
	headers->count++;
	return true;
}

const char *headers_get(const struct headers *headers, const char *name, size_t nth)
{
	for (size_t i = 0; i < headers->count; i++)
		if (str_is_nocase(headers->text.data + headers->at[i].name, name) && nth-- == 0)
			return headers->text.data + headers->at[i].value;
	return NULL;
}

int64_t headers_content_length(const struct headers *headers)
{
	int64_t length = -1;
	const char *text = headers_get(headers, "Content-Length", 0);
	if (!text || headers_get(headers, "Content-Length", 1) || !str_parse_number(text, INT64_MAX, &length))
		return -1;
	return length;
}
