/*
 * What the decoders of this folder share: where their bytes go, and the shape they have.
 */
#ifndef DRAY_SYNC_VERIFY_INFLATE_H
#define DRAY_SYNC_VERIFY_INFLATE_H

#include "base/error.h"
#include "oci/digest.h"

#include <stddef.h>

/* Bytes of a peer, read from the front. */
struct input {
	const unsigned char *next;
	size_t left;
};

/* The end of every decoder: the hash of what came out, and the cap on it. */
struct sink {
	struct hasher *hasher; /* own */
	int64_t produced;      /* bytes */
	int64_t limit;         /* produced never goes above it (T-43) */
	bool is_narrow;        /* a decoder with a window above 8 MiB stops, and asks whether it may go on */
	bool wants_room;       /* it did */
	size_t untaken;        /* the bytes of the last update() that it left for then */
};

/** ERR_TOO_LARGE: that would be more than the limit; nothing is hashed then. */
must_check bool sink_put(struct sink *sink, const void *bytes, size_t length, struct error *err);

/* A decoder of one stream. After an error it is good for nothing but free(). */
struct inflater {
	/** For a stream that goes into @sink, which must outlive it. */
	void *(*new)(struct sink *sink);
	void (*free)(void *self);
	/** The next bytes of the stream, but for sink->untaken of them. ERR_CORRUPT, ERR_TOO_LARGE. */
	bool (*update)(void *self, const void *bytes, size_t length, struct error *err);
	/** There are no more bytes. ERR_CORRUPT: the stream is not complete. */
	bool (*finish)(void *self, struct error *err);
};

extern const struct inflater inflater_gzip;
extern const struct inflater inflater_zstd;

#endif
