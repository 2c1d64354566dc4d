/*
 * Text: strict numbers and durations, and the one sanitiser for text that somebody else wrote.
 */
#ifndef DRAY_BASE_STR_H
#define DRAY_BASE_STR_H

#include "base/error.h"

#include <stddef.h>

static inline bool str_is(const char *a, const char *b)
{
	return a && b && __builtin_strcmp(a, b) == 0;
}

bool str_starts_with(const char *text, const char *prefix);
bool str_ends_with(const char *text, const char *suffix);

/** Equal but for ASCII case; the locale has no say. */
bool str_is_nocase(const char *a, const char *b);

/** Decimal digits only, at most @maximum. False: not such a number; *value is untouched. */
bool str_parse_number(const char *text, int64_t maximum, int64_t *value);

/** "30s", "500ms", "5m", "1h", "2d" -> milliseconds; a number without a unit is refused. ERR_INVALID. */
must_check bool str_parse_duration(const char *text, int64_t *milliseconds, struct error *err);

/** 1536 -> "1.5 KiB". Writes into @out (at least 16 bytes) and returns it. */
const char *str_format_bytes(int64_t bytes, char out[16]);

/** 83500 -> "1m23s". Writes into @out (at least 16 bytes) and returns it. */
const char *str_format_duration(int64_t milliseconds, char out[16]);

/** Milliseconds since 1970 -> "2026-11-25 03:10:20Z". Writes into @out (at least 32 bytes) and returns it. */
const char *str_format_time(int64_t milliseconds, char out[32]);

/**
 * Make foreign text fit for one line of a log or a terminal (T-73): control bytes, DEL, C1, bidirectional controls
 * and bytes that are not UTF-8 become \xNN or \u{N}; what is more than @out_size - 1 bytes is cut at a character.
 */
void str_sanitize(const char *text, size_t length, char *out, size_t out_size);

/** The edit distance of two short words, for "did you mean". */
size_t str_distance(const char *a, const char *b);

#endif
