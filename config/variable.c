#include "config/variable.h"

#include "base/memory.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"

struct braces {
	const char *open, *close;
};

static const struct braces shown = {"{", "}"};
/* For private use: U+E000 and U+E001. */
static const struct braces hidden = {"\xee\x80\x80", "\xee\x80\x81"};

static size_t name_length(const char *text)
{
	return strspn(text, NAME_LETTERS) > 0 ? strspn(text, NAME_LETTERS "0123456789") : 0;
}

/* The name, and its length, where @text is `$`, a name in @braces; else 0. */
static size_t find_name(const char *text, const struct braces *braces, const char **name)
{
	if (*text != '$' || !str_starts_with(text + 1, braces->open))
		return 0;
	*name = text + 1 + strlen(braces->open);
	size_t length = name_length(*name);
	return str_starts_with(*name + length, braces->close) ? length : 0;
}

/* A NUL stands behind the bytes. */
static void swap_braces(
	const char *bytes, size_t length, const struct braces *from, const struct braces *to, struct buf *out)
{
	const char *end = bytes + length;
	struct error err;
	while (bytes < end) {
		const char *dollar = memchr(bytes, '$', (size_t)(end - bytes));
		const char *stop = dollar ? dollar : end, *name;
		size_t found = dollar ? find_name(dollar, from, &name) : 0;
		bool fits = buf_append(out, bytes, (size_t)(stop - bytes), &err);
		bytes = stop;
		if (found > 0) {
			fits = fits && buf_appendf(out, &err, "$%s%.*s%s", to->open, (int)found, name, to->close);
			bytes = name + found + strlen(from->close);
		} else if (dollar) {
			fits = fits && buf_append(out, "$", 1, &err);
			bytes++;
		}
		if (!fits)
			abort();
	}
}

void variable_hide(const char *bytes, size_t length, struct buf *out)
{
	swap_braces(bytes, length, &shown, &hidden, out);
}

char *variable_show(const char *text)
{
	size_t length = strlen(text);
	auto_buf struct buf out;
	buf_init(&out, length);
	swap_braces(text, length, &hidden, &shown, &out);
	return buf_take(&out, NULL);
}

/* @text stands behind `${`; it is moved behind the `}`. */
static bool append_variable(const char **text, struct buf *out, struct error *err)
{
	size_t length = name_length(*text);
	if (length == 0 || (*text)[length] != '}')
		return error_set(
			err, ERR_INVALID, "\"${\" begins a variable, as in ${NAME}; write \"$${\" where it is text");
	auto_free char *name = memory_text_of(*text, length);
	const char *value = getenv(name);
	if (!value)
		return error_set(err, ERR_INVALID, "the environment variable %.80s is not set", name);
	*text += length + 1;
	return buf_append(out, value, strlen(value), err);
}

bool variable_expand(const char *text, struct buf *out, struct error *err)
{
	while (*text) {
		size_t plain = strcspn(text, "$");
		if (!buf_append(out, text, plain, err))
			return false;
		text += plain;
		if (str_starts_with(text, "$${")) {
			if (!buf_append(out, "${", 2, err))
				return false;
			text += 3;
		} else if (str_starts_with(text, "${")) {
			text += 2;
			if (!append_variable(&text, out, err))
				return false;
		} else if (*text) {
			if (!buf_append(out, text, 1, err))
				return false;
			text++;
		}
	}
	return true;
}
