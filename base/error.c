#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
	if (!err)
		return false;
	struct error fresh = {.kind = kind};
	va_list args;
	va_start(args, format);
	vsnprintf(fresh.text, sizeof fresh.text, format, args);
	va_end(args);
	*err = fresh; /* at the end, since the arguments may point into the old text */
	return false;
}

bool error_wrap(struct error *err, const char *format, ...)
{
	if (!err)
		return false;
	char text[ERROR_TEXT_MAX];
	va_list args;
	va_start(args, format);
	int used = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	size_t at = used < 0 ? 0 : (size_t)used;
	if (at < sizeof text)
		snprintf(text + at, sizeof text - at, ": %s", err->text);
	memcpy(err->text, text, sizeof text); /* at the end, as in error_set() */
	return false;
}

bool error_errno(struct error *err, const char *format, ...)
{
	int saved = errno;
	char what[ERROR_TEXT_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	return error_set(err, ERR_IO, "%s: %s", what, strerror(saved));
}

const char *error_kind_name(enum error_kind kind)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",
		[ERR_NOT_FOUND] = "not_found",
		[ERR_UNAUTHORIZED] = "unauthorized",
		[ERR_DENIED] = "denied",
		[ERR_RATE_LIMITED] = "rate_limited",
		[ERR_UNAVAILABLE] = "unavailable",
		[ERR_TIMEOUT] = "timeout",
		[ERR_PROTOCOL] = "protocol",
		[ERR_CORRUPT] = "corrupt",
		[ERR_INCOMPLETE] = "incomplete",
		[ERR_CONFLICT] = "conflict",
		[ERR_TOO_LARGE] = "too_large",
		[ERR_INVALID] = "invalid",
		[ERR_UNSUPPORTED] = "unsupported",
		[ERR_REFUSED] = "refused",
		[ERR_BUSY] = "busy",
		[ERR_IO] = "io",
		[ERR_STORE] = "store",
		[ERR_CANCELED] = "canceled",
	};
	return kind < sizeof names / sizeof names[0] && names[kind] ? names[kind] : "unknown";
}
