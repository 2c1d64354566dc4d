/*
 * Streams made for the tests of sync/verify: growing runs of bytes, material to compress, gzip members and zstd frames,
 * and random numbers that are the same in every run.
 */
#ifndef DRAY_TESTS_UNIT_VERIFY_STREAMS_H
#define DRAY_TESTS_UNIT_VERIFY_STREAMS_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"
#include "oci/digest.h"
#include "sync/verify/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#define ZLIB_CONST
#include <string.h>
#include <zlib.h>

#define STREAM_MAX (64 * MIB)

static uint64_t random_state = 88172645463325252U;

/* Not above @bound - 1. */
__attribute__((unused)) static size_t random_below(size_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state % bound);
}

__attribute__((unused)) static void put(struct buf *out, const void *bytes, size_t length)
{
	assert_true(buf_append(out, bytes, length, NULL));
}

__attribute__((unused)) static void put_little_endian(struct buf *out, uint32_t value, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char byte = (unsigned char)(value >> (8 * i));
		put(out, &byte, 1);
	}
}

/* Something like a tar: words, noise, repeats and zeros. */
__attribute__((unused)) static void put_material(struct buf *out, size_t length)
{
	static const char words[] = "usr/lib/libexample.so.0 root 0000644 0000000 ustar GNU_STACK __libc_start_main ";
	size_t end = out->length + length;
	while (out->length < end) {
		unsigned char piece[256];
		size_t kind = random_below(4), size = 1 + random_below(sizeof piece);
		size_t start = random_below(sizeof words - 1);
		for (size_t i = 0; i < size; i++) {
			unsigned char word = (unsigned char)words[(start + i) % (sizeof words - 1)];
			piece[i] = kind == 0 ? 0 : kind == 1 ? (unsigned char)random_below(256) : word;
		}
		put(out, piece, size < end - out->length ? size : end - out->length);
	}
}

struct member {
	unsigned flags; /* of the gzip header; the fields they speak of are made up */
	int level, strategy, flush;
	size_t flush_every; /* 0: never */
};

#define MEMBER_PLAIN ((struct member){0, 6, Z_DEFAULT_STRATEGY, Z_NO_FLUSH, 0})

__attribute__((unused)) static void put_header(struct buf *out, unsigned flags)
{
	size_t start = out->length;
	unsigned char fixed[10] = {0x1f, 0x8b, 8, (unsigned char)flags, 1, 2, 3, 4, 2, 3};
	put(out, fixed, sizeof fixed);
	if (flags & 0x04) {
		put_little_endian(out, 26, 2);
		put(out,
			"SG\x16\0"
			"0000000000000000STARGZ",
			26);
	}
	if (flags & 0x08)
		put(out, "layer.tar", 10);
	if (flags & 0x10)
		put(out, "a comment", 10);
	if (flags & 0x02) {
		uLong crc = crc32(0, (const unsigned char *)out->data + start, (uInt)(out->length - start));
		put_little_endian(out, (uint32_t)crc & 0xffff, 2);
	}
}

__attribute__((unused)) static void put_trailer(struct buf *out, const void *bytes, size_t length)
{
	put_little_endian(out, (uint32_t)crc32(0, bytes, (uInt)length), 4);
	put_little_endian(out, (uint32_t)length, 4);
}

/* One member with @length bytes at @bytes. */
__attribute__((unused)) static void put_member(
	struct buf *out, const void *bytes, size_t length, const struct member *member)
{
	put_header(out, member->flags);
	z_stream zlib = {0};
	assert_int_equal(deflateInit2(&zlib, member->level, Z_DEFLATED, -15, 8, member->strategy), Z_OK);
	zlib.next_in = bytes;
	size_t left = length;
	int status = Z_OK;
	while (status != Z_STREAM_END) {
		size_t piece = member->flush_every > 0 && member->flush_every < left ? member->flush_every : left;
		zlib.avail_in = (uInt)piece;
		left -= piece;
		do {
			unsigned char chunk[4096];
			zlib.next_out = chunk;
			zlib.avail_out = sizeof chunk;
			status = deflate(&zlib, left > 0 ? member->flush : Z_FINISH);
			put(out, chunk, sizeof chunk - zlib.avail_out);
		} while (zlib.avail_out == 0);
	}
	deflateEnd(&zlib);
	put_trailer(out, bytes, length);
}

struct verdict {
	enum diff_id_state state;
	struct digest diff_id;
	struct error error;
	enum decoder decoder;
	bool had_room; /* it asked for it, and was given it */
};

/* Both halves, one after the other; how many bytes were taken. */
__attribute__((unused)) static size_t feed(struct verifier *verifier, const void *bytes, size_t length)
{
	size_t taken = verifier_inflate(verifier, bytes, length);
	verifier_hash(verifier, bytes, taken);
	return taken;
}

/* What the verifier says to these bytes, given in pieces of 1 to @piece_max bytes (0: in one). */
__attribute__((unused)) static struct verdict verdict_on(
	const void *bytes, size_t length, const char *media_type, size_t piece_max)
{
	struct descriptor blob = {.media_type = (char *)media_type, .size = (int64_t)length};
	blob.digest = digest_of(DIGEST_SHA256, bytes, length);
	struct verifier *verifier = verifier_new(&blob, true);
	bool had_room = false;
	verifier_ask_for_room(verifier);
	for (size_t at = 0; at < length;) {
		size_t piece = piece_max > 0 ? 1 + random_below(piece_max) : length;
		if (piece > length - at)
			piece = length - at;
		/* memory of its own, so that a read over its end is seen */
		unsigned char *copy = memory_new(piece, 1);
		memcpy(copy, (const unsigned char *)bytes + at, piece);
		size_t taken = feed(verifier, copy, piece);
		free(copy);
		assert_true(taken == piece || verifier_wants_room(verifier));
		if (verifier_wants_room(verifier)) {
			assert_false(had_room);
			had_room = true;
			verifier_give_room(verifier);
		}
		at += taken;
	}
	assert_true(verifier_check(verifier, NULL));
	struct verdict verdict = {0};
	verdict.state = verifier_diff_id(verifier, &verdict.diff_id, &verdict.error);
	verdict.decoder = verifier_decoder(verifier);
	verdict.had_room = had_room;
	verifier_free(verifier);
	return verdict;
}

__attribute__((unused)) static void assert_proven(
	const struct buf *stream, const struct buf *content, const char *media_type, size_t piece_max)
{
	struct verdict verdict = verdict_on(buf_peek(stream), stream->length, media_type, piece_max);
	assert_string_equal(verdict.error.text, "");
	assert_int_equal(verdict.state, DIFF_ID_PROVEN);
	struct digest right = digest_of(DIGEST_SHA256, buf_peek(content), content->length);
	assert_string_equal(verdict.diff_id.text, right.text);
}

__attribute__((unused)) static void assert_broken(
	const struct buf *stream, const char *media_type, size_t piece_max, const char *text)
{
	struct verdict verdict = verdict_on(buf_peek(stream), stream->length, media_type, piece_max);
	assert_int_equal(verdict.state, DIFF_ID_BROKEN);
	assert_non_null(strstr(verdict.error.text, text));
}

#endif
