/*
 * Replies that say no, as one line: the request, the status, and the server's own words, bounded and escaped (ERR-1,
 * T-73). No query, no header, nothing of ours that is secret.
 */
#ifndef DRAY_SYNC_REGISTRY_ERRORS_H
#define DRAY_SYNC_REGISTRY_ERRORS_H

#include "sync/http/http.h"

/**
 * Fill @err from a reply to @what: "HEAD https://host/v2/x/manifests/1: 401 Unauthorized: UNAUTHORIZED: authentication
 * required". The status decides the kind, a few codes refine it (ERR-3). Pure. Returns false.
 */
bool reply_error(struct error *err, const char *what, int status, const char *body, size_t length);

/** The same of an exchange, with its Retry-After. */
bool reply_error_of(const struct http_exchange *exchange, const char *body, size_t length, struct error *err);

/** Does the body of a refusal have @code ("NAME_UNKNOWN") as its first? Pure. */
bool reply_has_code(const char *body, size_t length, const char *code);

/** Retry-After in milliseconds from @now_s (seconds since 1970): seconds, or a date; 0 for anything else (ERR-8). */
int64_t reply_retry_after_ms(const char *value, int64_t now_s);

#endif
