/*
 * `${NAME}` in a value stands for an environment variable; `$${` is a literal `${`, and any other `$` is itself.
 */
#ifndef DRAY_CONFIG_VARIABLE_H
#define DRAY_CONFIG_VARIABLE_H

#include "base/buf.h"

/**
 * YAML has no `{` in a plain text inside of braces or brackets, and a variable is written without quotes all the same:
 * `{password: ${NAME}}`. So the braces of each `${NAME}` are hidden from the YAML reader behind characters that mean
 * nothing to it, one for one, so that columns stay. Fills @out, whose maximum is twice @length at least.
 */
void variable_hide(const char *bytes, size_t length, struct buf *out);

/** A text of what was hidden, as it stood in the file. New memory. */
char *variable_show(const char *text);

/**
 * Append @text with its variables replaced. What they hold is text, and is not looked at again.
 * ERR_INVALID: no such variable (an empty one is one), or no name between the braces; the message tells a name, and
 * nothing else of the text, which may be a password. ERR_TOO_LARGE: more than @out takes.
 */
must_check bool variable_expand(const char *text, struct buf *out, struct error *err);

#endif
