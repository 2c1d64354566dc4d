/*
 * The headers of one reply, bounded whatever the server sends (T-10).
 */
#ifndef DRAY_SYNC_HTTP_HEADERS_H
#define DRAY_SYNC_HTTP_HEADERS_H

#include "base/buf.h"
#include "base/limits.h"

#include <stdint.h>

struct headers {
	struct buf text; /* "name\0value\0" of each, in the order of the reply */
	struct {
		uint32_t name, value; /* offsets into the text */
	} at[LIMIT_HEADER_COUNT];
	size_t count;
	size_t seen_count, seen_bytes; /* of all heads of this hop, so that 1xx replies without end do end */
};

void headers_init(struct headers *headers);
void headers_release(struct headers *headers);

/** Forget all, for another hop. */
void headers_clear(struct headers *headers);

/** A status line: forget the fields, not what was seen on this hop. ERR_PROTOCOL: too many (1xx without end). */
must_check bool headers_restart(struct headers *headers, struct error *err);

/** Add one; ERR_PROTOCOL: above the caps of base/limits.h, or a folded or nameless line. */
must_check bool headers_add(struct headers *headers, const char *name, size_t name_length, const char *value,
	size_t value_length, struct error *err);

/** The value of the @nth (from 0) of that name, whatever its case, or NULL. Borrowed until the next change. */
const char *headers_get(const struct headers *headers, const char *name, size_t nth);

/** Content-Length if it is there once and a plain number, else -1. */
int64_t headers_content_length(const struct headers *headers);

#endif
