#include "config/variable.h"

#include "base/memory.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"

/* @text stands behind `${`; it is moved behind the `}`. */
static bool append_variable(const char **text, struct buf *out, struct error *err)
{
	size_t length = strspn(*text, NAME_LETTERS "0123456789");
	if (length == 0 || strspn(*text, NAME_LETTERS) == 0 || (*text)[length] != '}')
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
