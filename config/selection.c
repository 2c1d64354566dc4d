#define PCRE2_CODE_UNIT_WIDTH 8

#include "config/selection.h"

#include "base/limits.h"
#include "base/memory.h"

#include <pcre2.h>
#include <string.h>

/* What a tag is made of (REF-5). */
#define TAG_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

struct pattern {
	char *text;
	pcre2_code *code; /* NULL: a glob */
	pcre2_match_data *match;
};

struct patterns {
	struct pattern *items;
	size_t count;
};

struct tag_filter {
	struct patterns allow, deny;
	pcre2_match_context *limits;
};

/* --- globs ----------------------------------------------------------------------------------------------------- */

/* The `]` that closes the set which @set begins, or NULL. A `]` that comes first is a member. */
static const char *set_end(const char *set)
{
	const char *p = set + 1;
	if (*p == '!' || *p == '^')
		p++;
	if (*p == ']')
		p++;
	for (; *p && *p != ']'; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p : NULL;
}

static unsigned char set_member(const char **p)
{
	if (**p == '\\')
		++*p;
	return (unsigned char)*(*p)++;
}

static bool set_has(const char *set, const char *end, unsigned char c)
{
	const char *p = set + 1;
	bool negated = *p == '!' || *p == '^';
	bool found = false;
	if (negated)
		p++;
	while (p < end) {
		unsigned char first = set_member(&p), last = first;
		if (*p == '-' && p + 1 < end) {
			p++;
			last = set_member(&p);
		}
		found |= c >= first && c <= last;
	}
	return found != negated;
}

/* The one element at *glob against @c; *glob is moved behind it. A `[` that nothing closes is itself. */
static bool element_matches(const char **glob, char c)
{
	const char *p = *glob;
	const char *end = *p == '[' ? set_end(p) : NULL;
	if (end) {
		*glob = end + 1;
		return set_has(p, end, (unsigned char)c);
	}
	if (*p == '?') {
		*glob = p + 1;
		return true;
	}
	if (*p == '\\' && p[1])
		p++;
	*glob = p + 1;
	return *p == c;
}

/*
 * What one star took can only be given back until the next star begins: the last star alone is remembered, so each
 * place in the text meets each place in the glob at most once.
 */
bool selection_glob(const char *glob, const char *text)
{
	const char *behind_star = NULL, *taken = NULL;
	while (*text) {
		if (*glob == '*') {
			behind_star = ++glob;
			taken = text;
		} else if (*glob && element_matches(&glob, *text)) {
			text++;
		} else if (behind_star) {
			glob = behind_star;
			text = ++taken;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return !*glob;
}

/* A pattern that cannot match any tag is a slip, and would silently select nothing (T-75). */
static bool glob_check(const char *glob, struct error *err)
{
	for (const char *p = glob; *p; p++) {
		if (*p == '*' || *p == '?')
			continue;
		if (*p == '[') {
			const char *end = set_end(p);
			if (!end)
				return error_set(err, ERR_INVALID, "pattern \"%.200s\": \"[\" without \"]\"", glob);
			p = end;
			continue;
		}
		if (*p == '\\' && !*++p)
			return error_set(err, ERR_INVALID, "pattern \"%.200s\": a \"\\\" at the end", glob);
		if (!strchr(TAG_LETTERS, *p))
			return error_set(err, ERR_INVALID,
				"pattern \"%.200s\": no tag has a \"%.1s\"; a regular expression stands between "
				"slashes",
				glob, p);
	}
	return true;
}

/* --- regular expressions --------------------------------------------------------------------------------------- */

/* @text is `/.../`. */
static bool regex_compile(const char *text, pcre2_code **code, struct error *err)
{
	size_t length = strlen(text);
	if (length < 3 || text[length - 1] != '/')
		return error_set(
			err, ERR_INVALID, "pattern \"%.200s\": a regular expression stands between two slashes", text);
	int number;
	PCRE2_SIZE offset;
	*code = pcre2_compile((PCRE2_SPTR)text + 1, length - 2, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_UTF,
		&number, &offset, NULL);
	if (*code)
		return true;
	PCRE2_UCHAR message[128] = "";
	pcre2_get_error_message(number, message, sizeof message);
	return error_set(err, ERR_INVALID, "pattern \"%.200s\": %s at offset %zu", text, (const char *)message, offset);
}

static bool pattern_matches(
	const struct pattern *pattern, pcre2_match_context *limits, const char *tag, bool *matches, struct error *err)
{
	if (!pattern->code) {
		*matches = selection_glob(pattern->text, tag);
		return true;
	}
	int found = pcre2_match(pattern->code, (PCRE2_SPTR)tag, strlen(tag), 0, 0, pattern->match, limits);
	if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
		PCRE2_UCHAR message[128] = "";
		pcre2_get_error_message(found, message, sizeof message);
		return error_set(err, ERR_INVALID, "pattern \"%.200s\" on tag \"%.128s\": %s", pattern->text, tag,
			(const char *)message);
	}
	*matches = found >= 0;
	return true;
}

/* --- filters --------------------------------------------------------------------------------------------------- */

struct tag_filter *tag_filter_new(void)
{
	struct tag_filter *filter = memory_new(1, sizeof *filter);
	filter->limits = pcre2_match_context_create(NULL);
	if (!filter->limits)
		memory_exhausted();
	pcre2_set_match_limit(filter->limits, LIMIT_MATCH_STEPS);
	return filter;
}

static void patterns_release(struct patterns *patterns)
{
	for (size_t i = 0; i < patterns->count; i++) {
		free(patterns->items[i].text);
		pcre2_code_free(patterns->items[i].code);
		pcre2_match_data_free(patterns->items[i].match);
	}
	free(patterns->items);
}

void tag_filter_free(struct tag_filter *filter)
{
	if (!filter)
		return;
	patterns_release(&filter->allow);
	patterns_release(&filter->deny);
	pcre2_match_context_free(filter->limits);
	free(filter);
}

static bool patterns_add(struct patterns *patterns, const char *text, struct error *err)
{
	if (!*text)
		return error_set(err, ERR_INVALID, "an empty pattern");
	if (strlen(text) > LIMIT_PATTERN_BYTES)
		return error_set(err, ERR_INVALID, "a pattern longer than %zu bytes", LIMIT_PATTERN_BYTES);
	struct pattern pattern = {0};
	if (!(*text == '/' ? regex_compile(text, &pattern.code, err) : glob_check(text, err)))
		return false;
	if (pattern.code) {
		pattern.match = pcre2_match_data_create(1, NULL);
		if (!pattern.match)
			memory_exhausted();
	}
	pattern.text = memory_text(text);
	patterns->items = memory_resize(patterns->items, patterns->count + 1, sizeof *patterns->items);
	patterns->items[patterns->count++] = pattern;
	return true;
}

bool tag_filter_allow(struct tag_filter *filter, const char *pattern, struct error *err)
{
	return patterns_add(&filter->allow, pattern, err);
}

bool tag_filter_deny(struct tag_filter *filter, const char *pattern, struct error *err)
{
	return patterns_add(&filter->deny, pattern, err);
}

static bool any_matches(
	const struct patterns *patterns, pcre2_match_context *limits, const char *tag, bool *matches, struct error *err)
{
	*matches = false;
	for (size_t i = 0; i < patterns->count && !*matches; i++)
		if (!pattern_matches(&patterns->items[i], limits, tag, matches, err))
			return false;
	return true;
}

bool tag_filter_match(const struct tag_filter *filter, const char *tag, bool *taken, struct error *err)
{
	bool allowed = true, denied = false;
	if (filter && filter->allow.count > 0 && !any_matches(&filter->allow, filter->limits, tag, &allowed, err))
		return false;
	if (filter && allowed && !any_matches(&filter->deny, filter->limits, tag, &denied, err))
		return false;
	*taken = allowed && !denied;
	return true;
}

const char *selection_library_version(char out[64])
{
	pcre2_config(PCRE2_CONFIG_VERSION, out);
	return out;
}
