#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool str_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);
	return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_is_nocase(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b))
		a++, b++;
	return lower(*a) == lower(*b);
}

/* The digits at *text, which is moved behind them. */
static bool take_number(const char **text, int64_t maximum, int64_t *value)
{
	const char *p = *text;
	int64_t sum = 0;
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, *p - '0', &sum) ||
			sum > maximum)
			return false;
	*text = p;
	*value = sum;
	return true;
}

bool str_parse_number(const char *text, int64_t maximum, int64_t *value)
{
	int64_t number;
	if (!take_number(&text, maximum, &number) || *text)
		return false;
	*value = number;
	return true;
}

struct unit {
	const char *name;
	int64_t factor;
};

static bool parse_with_unit(const char *text, const struct unit *units, int64_t *value)
{
	int64_t number;
	if (!take_number(&text, INT64_MAX, &number))
		return false;
	for (const struct unit *unit = units; unit->name; unit++)
		if (strcmp(text, unit->name) == 0)
			return !__builtin_mul_overflow(number, unit->factor, value);
	return false;
}

bool str_parse_duration(const char *text, int64_t *milliseconds, struct error *err)
{
	static const struct unit units[] = {
		{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
	int64_t value;
	if (!parse_with_unit(text, units, &value))
		return error_set(err, ERR_INVALID, "\"%.40s\" is not a duration; write 500ms, 30s, 5m, 1h or 2d", text);
	*milliseconds = value;
	return true;
}

const char *str_format_bytes(int64_t bytes, char out[16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit < sizeof units / sizeof units[0] - 1)
		value /= 1024, unit++;
	snprintf(out, 16, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return out;
}

const char *str_format_duration(int64_t milliseconds, char out[16])
{
	long seconds = (long)(milliseconds / 1000);
	if (milliseconds < 1000)
		snprintf(out, 16, "%ldms", (long)milliseconds);
	else if (seconds < 60)
		snprintf(out, 16, "%.1fs", (double)milliseconds / 1000);
	else if (seconds < 3600)
		snprintf(out, 16, "%ldm%02lds", seconds / 60, seconds % 60);
	else
		snprintf(out, 16, "%ldh%02ldm", seconds / 3600 % 100000, seconds / 60 % 60);
	return out;
}

const char *str_format_time(int64_t milliseconds, char out[32])
{
	struct tm broken_down;
	time_t seconds = (time_t)(milliseconds / 1000);
	if (!gmtime_r(&seconds, &broken_down) || strftime(out, 32, "%Y-%m-%d %H:%M:%SZ", &broken_down) == 0)
		snprintf(out, 32, "%lld ms", (long long)milliseconds);
	return out;
}

/* The length of the UTF-8 character at @p, and its code point; 0: not a well-formed one. */
static size_t utf8_length(const unsigned char *p, size_t left, unsigned *point)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	if (length == 0 || length > left)
		return 0;
	*point = length == 1 ? p[0] : p[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*point = *point << 6 | (p[i] & 0x3fU);
	}
	bool well_formed = *point >= least[length] && *point <= 0x10ffff && (*point < 0xd800 || *point > 0xdfff);
	return well_formed ? length : 0;
}

/* Controls, and what reorders or hides the text around it. */
static bool is_unsafe(unsigned point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c ||
	       (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2060 && point <= 0x206f) || point == 0xfeff;
}

void str_sanitize(const char *text, size_t length, char *out, size_t out_size)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t used = 0;
	while (length > 0 && used + 1 < out_size) {
		unsigned point = 0;
		char piece[16];
		size_t step = utf8_length(p, length, &point);
		size_t piece_length;
		if (step == 0) {
			step = 1;
			piece_length = (size_t)snprintf(piece, sizeof piece, "\\x%02x", p[0]);
		} else if (is_unsafe(point)) {
			piece_length =
				(size_t)snprintf(piece, sizeof piece, point < 0x80 ? "\\x%02x" : "\\u{%x}", point);
		} else {
			memcpy(piece, p, step);
			piece_length = step;
		}
		if (used + piece_length >= out_size)
			break;
		memcpy(out + used, piece, piece_length);
		used += piece_length;
		p += step;
		length -= step;
	}
	if (out_size > 0)
		out[used] = '\0';
}

size_t str_distance(const char *a, const char *b)
{
	enum { LONGEST = 64 };
	size_t row[LONGEST + 1];
	size_t columns = strnlen(b, LONGEST);
	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < columns; j++) {
			size_t best = diagonal + (a[i] != b[j]);
			diagonal = row[j + 1];
			if (row[j + 1] + 1 < best)
				best = row[j + 1] + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[columns];
}
