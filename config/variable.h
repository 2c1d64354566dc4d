/*
 * `${NAME}` in a value stands for an environment variable; `$${` is a literal `${`, and any other `$` is itself.
 */
#ifndef DRAY_CONFIG_VARIABLE_H
#define DRAY_CONFIG_VARIABLE_H

#include "base/buf.h"

/**
 * Append @text with its variables replaced. What they hold is text, and is not looked at again.
 * ERR_INVALID: no such variable (an empty one is one), or no name between the braces; the message tells a name, and
 * nothing else of the text, which may be a password. ERR_TOO_LARGE: more than @out takes.
 */
must_check bool variable_expand(const char *text, struct buf *out, struct error *err);

#endif
