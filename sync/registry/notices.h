/*
 * What a registry tells beside its answers: warnings (ERR-15), and how much of a quota is left (ERR-11). Nothing is
 * done about it but to tell.
 */
#ifndef DRAY_SYNC_REGISTRY_NOTICES_H
#define DRAY_SYNC_REGISTRY_NOTICES_H

#include "sync/http/http.h"

#define NOTICE_WARNINGS_MAX 16

struct notices {
	char *warnings[NOTICE_WARNINGS_MAX]; /* each once, as the server wrote it */
	size_t warning_count, warning_bytes;
	bool has_quota;
	int64_t quota, quota_left, quota_window_s; /* the least seen; window 0: not told */
};

/** Keep what @exchange's headers tell. */
void notices_take(struct notices *notices, const struct http_exchange *exchange);
void notices_release(struct notices *notices);

/**
 * The next text of a Warning header, `299 - "text"`, from *@at on, which is moved behind it; other codes are skipped.
 * New memory, or NULL: there is none. Pure.
 */
char *notice_warning(const char **at);

/** "98;w=21600": 98, in a window of 21600 s (0: not told). False: not such a text. Pure. */
bool notice_quota(const char *text, int64_t *count, int64_t *window_s);

#endif
