/*
 * Raw deflate (RFC 1951): ISA-L inflates, and zlib has the last word.
 *
 * ISA-L is twice as fast, and has refused valid streams (T-42). So nothing is called broken before zlib, started at a
 * checkpoint in front of the trouble, has seen the same bytes. A checkpoint is a place between two blocks, where all
 * that a decoder knows is the last 32 KiB of output and a few bits; what went in since is held, 512 KiB at most. A
 * block that is longer than that is given to zlib at once, which then keeps the rest of the stream.
 */
#ifndef DRAY_SYNC_VERIFY_DEFLATE_H
#define DRAY_SYNC_VERIFY_DEFLATE_H

#include "sync/verify/inflate.h"

struct deflate;

struct deflate_end {
	uint32_t crc;            /* CRC-32 of all output */
	uint32_t length;         /* bytes of output, modulo 2^32 as in a gzip trailer */
	unsigned char behind[8]; /* bytes behind the stream that were taken from the input already */
	size_t behind_count;
};

struct deflate *deflate_new(struct sink *sink);
void deflate_free(struct deflate *deflate);

/** A new stream begins. */
void deflate_begin(struct deflate *deflate);

/** Inflate until the stream ends or @in is empty. ERR_CORRUPT: zlib refuses it as well; ERR_TOO_LARGE: the sink is
 * full. */
must_check bool deflate_update(struct deflate *deflate, struct input *in, struct error *err);

/** What is known at the end of the stream, borrowed until the next deflate_begin(); NULL: it has not ended. */
const struct deflate_end *deflate_end(const struct deflate *deflate);

#endif
