/*
 * A strict reader of I-JSON (RFC 7493) that keeps nothing: UTF-8, no lone surrogates, no name twice in an object.
 * Written apart from base/json, which it judges: what that takes, this must take, too.
 */
#ifndef DRAY_TESTS_FUZZ_I_JSON_H
#define DRAY_TESTS_FUZZ_I_JSON_H

#include "fuzz.h"

struct i_json {
	const unsigned char *at, *end;
	int depth;
};

/* A name as the code points that it stands for, in UTF-8. */
struct i_json_text {
	char *bytes;
	size_t length;
};

static inline bool i_json_value(struct i_json *json);

static inline void i_json_blanks(struct i_json *json)
{
	while (json->at < json->end &&
		(*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r'))
		json->at++;
}

static inline bool i_json_is(struct i_json *json, char c)
{
	if (json->at == json->end || *json->at != (unsigned char)c)
		return false;
	json->at++;
	return true;
}

static inline bool i_json_word(struct i_json *json, const char *word)
{
	size_t length = strlen(word);
	if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
		return false;
	json->at += length;
	return true;
}

static inline size_t i_json_digits(struct i_json *json)
{
	const unsigned char *from = json->at;
	while (json->at < json->end && *json->at >= '0' && *json->at <= '9')
		json->at++;
	return (size_t)(json->at - from);
}

static inline bool i_json_number(struct i_json *json)
{
	i_json_is(json, '-');
	const unsigned char *from = json->at;
	size_t digits = i_json_digits(json);
	if (digits == 0 || (digits > 1 && *from == '0'))
		return false;
	if (i_json_is(json, '.') && i_json_digits(json) == 0)
		return false;
	if (!i_json_is(json, 'e') && !i_json_is(json, 'E'))
		return true;
	if (!i_json_is(json, '+'))
		i_json_is(json, '-');
	return i_json_digits(json) > 0;
}

static inline bool i_json_hex(struct i_json *json, unsigned *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++, json->at++) {
		if (json->at == json->end)
			return false;
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *found = *json->at ? strchr(digits, *json->at) : NULL;
		if (!found)
			return false;
		size_t digit = (size_t)(found - digits);
		*value = *value << 4 | (unsigned)(digit < 16 ? digit : digit - 6);
	}
	return true;
}

static inline void i_json_put(struct i_json_text *text, unsigned point)
{
	if (point < 0x80) {
		text->bytes[text->length++] = (char)point;
		return;
	}
	int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
	static const unsigned first[] = {0, 0xc0, 0xe0, 0xf0};
	text->bytes[text->length++] = (char)(first[more] | point >> (6 * more));
	while (more-- > 0)
		text->bytes[text->length++] = (char)(0x80 | (point >> (6 * more) & 0x3f));
}

static inline bool i_json_escape(struct i_json *json, struct i_json_text *text)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	unsigned high, low;
	if (json->at == json->end)
		return false;
	char c = (char)*json->at++;
	const char *name = c ? strchr(names, c) : NULL;
	if (name) {
		i_json_put(text, (unsigned char)values[name - names]);
		return true;
	}
	if (c != 'u' || !i_json_hex(json, &high) || (high >= 0xdc00 && high <= 0xdfff))
		return false;
	if (high >= 0xd800 && high <= 0xdbff) {
		if (!i_json_word(json, "\\u") || !i_json_hex(json, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	}
	i_json_put(text, high);
	return true;
}

static inline bool i_json_utf8(struct i_json *json, struct i_json_text *text)
{
	unsigned char c = *json->at++;
	int more = c < 0x80                 ? 0
		   : c >= 0xc2 && c <= 0xdf ? 1
		   : c >= 0xe0 && c <= 0xef ? 2
		   : c >= 0xf0 && c <= 0xf4 ? 3
					    : -1;
	if (more < 0 || c < 0x20)
		return false;
	unsigned point = c & (more == 0 ? 0x7fU : 0x3fU >> more);
	for (int i = 0; i < more; i++, json->at++) {
		if (json->at == json->end || (*json->at & 0xc0) != 0x80)
			return false;
		point = point << 6 | (*json->at & 0x3f);
	}
	static const unsigned least[] = {0, 0x80, 0x800, 0x10000};
	if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return false;
	i_json_put(text, point);
	return true;
}

/* text->bytes is new memory, whatever is returned. */
static inline bool i_json_string(struct i_json *json, struct i_json_text *text)
{
	text->bytes = memory_new((size_t)(json->end - json->at) + 1, 1);
	text->length = 0;
	if (!i_json_is(json, '"'))
		return false;
	while (json->at < json->end) {
		if (i_json_is(json, '"'))
			return true;
		if (!(i_json_is(json, '\\') ? i_json_escape(json, text) : i_json_utf8(json, text)))
			return false;
	}
	return false;
}

/* What stands between brackets or braces; each name of an object is in @names. */
static inline bool i_json_items(struct i_json *json, char end, struct i_json_text **names, size_t *count)
{
	do {
		i_json_blanks(json);
		if (end == '}') {
			*names = memory_resize(*names, *count + 1, sizeof **names);
			struct i_json_text *name = &(*names)[(*count)++];
			if (!i_json_string(json, name))
				return false;
			for (size_t i = 0; i + 1 < *count; i++)
				if ((*names)[i].length == name->length &&
					memcmp((*names)[i].bytes, name->bytes, name->length) == 0)
					return false;
			i_json_blanks(json);
			if (!i_json_is(json, ':'))
				return false;
		}
		if (!i_json_value(json))
			return false;
		i_json_blanks(json);
	} while (i_json_is(json, ','));
	return i_json_is(json, end);
}

static inline bool i_json_container(struct i_json *json, char end)
{
	struct i_json_text *names = NULL;
	size_t count = 0;
	i_json_blanks(json);
	if (i_json_is(json, end))
		return true;
	if (++json->depth > 100)
		return false;
	bool ok = i_json_items(json, end, &names, &count);
	json->depth--;
	for (size_t i = 0; i < count; i++)
		free(names[i].bytes);
	free(names);
	return ok;
}

static inline bool i_json_value(struct i_json *json)
{
	i_json_blanks(json);
	if (json->at == json->end)
		return false;
	switch (*json->at) {
	case '{':
		json->at++;
		return i_json_container(json, '}');
	case '[':
		json->at++;
		return i_json_container(json, ']');
	case '"': {
		struct i_json_text text;
		bool ok = i_json_string(json, &text);
		free(text.bytes);
		return ok;
	}
	case 't':
		return i_json_word(json, "true");
	case 'f':
		return i_json_word(json, "false");
	case 'n':
		return i_json_word(json, "null");
	default:
		return i_json_number(json);
	}
}

static inline bool i_json_is_document(const void *bytes, size_t length)
{
	struct i_json json = {.at = bytes, .end = (const unsigned char *)bytes + length};
	if (!i_json_value(&json))
		return false;
	i_json_blanks(&json);
	return json.at == json.end;
}

#endif
