/*
 * A growable run of bytes that cannot be made without its maximum: what a peer sends is bounded where the buffer is
 * declared, not where it is filled. A NUL always stands behind the bytes.
 */
#ifndef DRAY_BASE_BUF_H
#define DRAY_BASE_BUF_H

#include "base/error.h"

#include <stddef.h>

struct buf {
	char *data; /* NULL while empty */
	size_t length;
	size_t capacity;
	size_t maximum; /* length never grows above it */
};

/** A buffer of at most @maximum bytes; allocates nothing yet. */
void buf_init(struct buf *buf, size_t maximum);

/** Free, and leave an empty buffer with the same maximum. */
void buf_release(struct buf *buf);

/** Empty it, keeping the memory. */
void buf_clear(struct buf *buf);

/** Append @length bytes. ERR_TOO_LARGE when that is more than the maximum; nothing is appended then. */
must_check bool buf_append(struct buf *buf, const void *bytes, size_t length, struct error *err);

/**
 * Room behind the bytes for @length more, to be filled by the caller: borrowed until the buffer changes. buf_grow()
 * then makes the first @length of it bytes of the buffer. NULL: ERR_TOO_LARGE, as buf_append().
 */
must_check char *buf_room(struct buf *buf, size_t length, struct error *err);
void buf_grow(struct buf *buf, size_t length);

/** Append formatted text; errors as buf_append. */
must_check bool buf_appendf(struct buf *buf, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Hand the bytes (never NULL, NUL behind them) to the caller, who frees them. The buffer is empty afterwards. */
char *buf_take(struct buf *buf, size_t *length);

/** The bytes as text, "" while empty; borrowed until the buffer changes. */
const char *buf_peek(const struct buf *buf);

#define auto_buf __attribute__((cleanup(buf_release)))

#endif
