/*
 * Errors as values: what kind, and one line of text for a human.
 *
 * A function that can fail returns bool and takes `struct error *err` last. On success *err is untouched; on failure
 * it is filled and the function returns false, so that `return error_set(err, ...)` reads as one thought. A folder
 * that hands an error upwards puts what it was doing in front (error_wrap). Nobody logs and returns.
 */
#ifndef DRAY_BASE_ERROR_H
#define DRAY_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#define must_check __attribute__((warn_unused_result))

enum error_kind {
	ERR_NONE,
	ERR_NOT_FOUND,    /* 404, and only that */
	ERR_UNAUTHORIZED, /* 401: who are you */
	ERR_DENIED,       /* 403 and other refusals for good; never "gone" */
	ERR_RATE_LIMITED, /* 429 */
	ERR_UNAVAILABLE,  /* 5xx, no connection, no such host */
	ERR_TIMEOUT,      /* one of our clocks ran out */
	ERR_PROTOCOL,     /* the peer speaks, but not the protocol */
	ERR_CORRUPT,      /* bytes and what they should be disagree */
	ERR_INCOMPLETE,   /* the target lacks what a manifest names, and says so (PSH-7) */
	ERR_CONFLICT,     /* somebody else moved what we wrote, and we were told to leave it */
	ERR_TOO_LARGE,    /* a peer's size is above our cap */
	ERR_INVALID,      /* the user's input: configuration, command line, reference */
	ERR_UNSUPPORTED,  /* the peer, or we, cannot do this: 405, 501, unknown algorithm */
	ERR_REFUSED,      /* we will not, on security grounds: origin, downgrade, certificate */
	ERR_BUSY,         /* another run holds the state */
	ERR_IO,           /* local files and system calls */
	ERR_STORE,        /* the state file */
	ERR_CANCELED,     /* somebody asked us to stop */
};

#define ERROR_TEXT_MAX 512

struct error {
	enum error_kind kind;
	int http_status;        /* 0: not an HTTP reply */
	int64_t retry_after_ms; /* what the peer asked for; 0: it said nothing */
	char text[ERROR_TEXT_MAX];
};

/** Fill @err (may be NULL) and return false. Text that does not fit is cut. Status and retry_after_ms become 0. */
bool error_set(struct error *err, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Put "@format: " in front of the text of @err, which keeps its kind; returns false. */
bool error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** error_set(ERR_IO) with ": strerror(errno)" behind the text. */
bool error_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** "not_found", "corrupt", ...: the word used in reports and in the state. Never NULL. */
const char *error_kind_name(enum error_kind kind);

#endif
