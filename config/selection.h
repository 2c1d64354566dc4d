/*
 * Which tags are taken: `tags: {allow: [...], deny: [...]}`. A pattern is a glob on the whole tag, or between slashes a
 * regular expression on the whole tag (PCRE2, with match limits). A tag is taken if it matches one of allow (none
 * given: all do) and none of deny.
 */
#ifndef DRAY_CONFIG_SELECTION_H
#define DRAY_CONFIG_SELECTION_H

#include "base/error.h"

#include <stddef.h>

struct tag_filter;

struct tag_filter *tag_filter_new(void);
void tag_filter_free(struct tag_filter *filter);

/** Add a pattern. ERR_INVALID: empty, longer than LIMIT_PATTERN_BYTES, or PCRE2's message with the offset. */
must_check bool tag_filter_allow(struct tag_filter *filter, const char *pattern, struct error *err);
must_check bool tag_filter_deny(struct tag_filter *filter, const char *pattern, struct error *err);

/** NULL takes everything. ERR_INVALID: a match limit was hit, which is never a "no match" (T-77). */
must_check bool tag_filter_match(const struct tag_filter *filter, const char *tag, bool *taken, struct error *err);

/** Does the glob (`*`, `?`, `[a-z]`, `[!a]`, `\` escapes) match the whole text? At most n*m steps. */
bool selection_glob(const char *glob, const char *text);

/** The version of PCRE2, into @out, which is returned. */
const char *selection_library_version(char out[64]);

#endif
