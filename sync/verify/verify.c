#include "sync/verify/verify.h"

#include "base/limits.h"
#include "base/memory.h"
#include "sync/verify/inflate.h"

#include <isa-l.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define MAGIC_BYTES 4

struct verifier {
	struct digest expected;
	int64_t size;
	/* one half */
	int64_t received;
	struct hasher *hasher; /* NULL: an algorithm that we cannot compute */
	struct digest computed;
	bool finished;

	/* the other */
	int64_t offered;
	bool inflating; /* a diff_id is wanted, and nothing has gone wrong yet */
	enum diff_id_state state;
	struct error broken;
	struct digest diff_id;
	unsigned char magic[MAGIC_BYTES];
	size_t magic_length;
	bool sniffed;
	enum decoder decoder;
	const struct inflater *inflater; /* NULL: plain */
	void *stream;
	struct sink sink; /* no hasher: the diff_id of these bytes is their digest */
};

bool sink_put(struct sink *sink, const void *bytes, size_t length, struct error *err)
{
	if ((int64_t)length > sink->limit - sink->produced)
		return error_set(err, ERR_TOO_LARGE, "inflates to more than %lld bytes", (long long)sink->limit);
	sink->produced += (int64_t)length;
	hasher_update(sink->hasher, bytes, length);
	return true;
}

/*
 * T-43. The ratio is that of the whole blob, whose size is known from the start, so that a verdict never depends on how
 * the bytes were cut on their way.
 */
static int64_t output_limit(int64_t size)
{
	if (size > LIMIT_LAYER_BYTES / LIMIT_INFLATE_RATIO)
		return LIMIT_LAYER_BYTES;
	int64_t steepest = size * LIMIT_INFLATE_RATIO;
	return steepest > (int64_t)MIB ? steepest : (int64_t)MIB;
}

static bool has_diff_id(const char *media_type)
{
	return media_kind(media_type) == MEDIA_LAYER && media_decoder(media_type) != DECODER_IMPOSSIBLE;
}

struct verifier *verifier_new(const struct descriptor *blob, bool want_diff_id)
{
	struct verifier *verifier = memory_new(1, sizeof *verifier);
	verifier->expected = blob->digest;
	verifier->size = blob->size;
	verifier->decoder = DECODER_IMPOSSIBLE;
	if (!digest_is_verifiable(&blob->digest))
		return verifier;
	verifier->hasher = hasher_new(blob->digest.algorithm);
	verifier->inflating = want_diff_id && has_diff_id(blob->media_type);
	return verifier;
}

void verifier_free(struct verifier *verifier)
{
	if (!verifier)
		return;
	if (verifier->stream)
		verifier->inflater->free(verifier->stream);
	hasher_free(verifier->sink.hasher);
	hasher_free(verifier->hasher);
	free(verifier);
}

/* What the bytes are, whatever the media type says (LYR-3). */
static enum decoder sniff(const unsigned char *magic, size_t length)
{
	static const struct {
		unsigned char bytes[MAGIC_BYTES], mask[MAGIC_BYTES];
		size_t length;
		enum decoder decoder;
	} rows[] = {
		{{0x1f, 0x8b}, {0xff, 0xff}, 2, DECODER_GZIP},
		{{0x28, 0xb5, 0x2f, 0xfd}, {0xff, 0xff, 0xff, 0xff}, 4, DECODER_ZSTD},
		{{0x50, 0x2a, 0x4d, 0x18}, {0xf0, 0xff, 0xff, 0xff}, 4, DECODER_ZSTD},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		size_t same = 0;
		while (same < rows[i].length && same < length &&
			(magic[same] & rows[i].mask[same]) == rows[i].bytes[same])
			same++;
		if (same == rows[i].length)
			return rows[i].decoder;
	}
	return DECODER_NONE;
}

static const struct inflater *inflater_of(enum decoder decoder)
{
	static const struct inflater *const inflaters[] = {
		[DECODER_NONE] = NULL,
		[DECODER_GZIP] = &inflater_gzip,
		[DECODER_ZSTD] = &inflater_zstd,
		[DECODER_IMPOSSIBLE] = NULL,
	};
	return inflaters[decoder];
}

/* The digest goes on being computed; only the inflating ends. */
static void give_up(struct verifier *verifier)
{
	verifier->state = DIFF_ID_BROKEN;
	verifier->inflating = false;
}

static void inflate_bytes(struct verifier *verifier, const void *bytes, size_t length)
{
	if (!verifier->inflating || length == 0)
		return;
	if (verifier->inflater) {
		if (!verifier->inflater->update(verifier->stream, bytes, length, &verifier->broken))
			give_up(verifier);
	} else if (verifier->sink.hasher) {
		hasher_update(verifier->sink.hasher, bytes, length);
	}
}

static void inflate_begin(struct verifier *verifier)
{
	verifier->sniffed = true;
	verifier->decoder = sniff(verifier->magic, verifier->magic_length);
	verifier->inflater = inflater_of(verifier->decoder);
	if (verifier->inflater || verifier->expected.algorithm != DIGEST_SHA256)
		verifier->sink.hasher = hasher_new(DIGEST_SHA256);
	verifier->sink.limit = output_limit(verifier->size);
	if (verifier->inflater)
		verifier->stream = verifier->inflater->new (&verifier->sink);
	inflate_bytes(verifier, verifier->magic, verifier->magic_length);
}

/* How many of them it took: all, unless it wants room. */
static size_t inflate_update(struct verifier *verifier, const unsigned char *bytes, size_t length)
{
	size_t all = length;
	if (!verifier->inflating)
		return all;
	verifier->sink.untaken = 0;
	while (!verifier->sniffed && length > 0) {
		verifier->magic[verifier->magic_length++] = *bytes++;
		length--;
		if (verifier->magic_length == MAGIC_BYTES)
			inflate_begin(verifier);
	}
	inflate_bytes(verifier, bytes, length);
	return all - verifier->sink.untaken;
}

void verifier_ask_for_room(struct verifier *verifier)
{
	verifier->sink.is_narrow = true;
}

bool verifier_wants_room(const struct verifier *verifier)
{
	return verifier->sink.wants_room;
}

void verifier_give_room(struct verifier *verifier)
{
	verifier->sink.is_narrow = verifier->sink.wants_room = false;
}

/* Of @length bytes that begin at @at, those that are the blob's. */
static size_t within_size(const struct verifier *verifier, int64_t at, size_t length)
{
	int64_t missing = at < verifier->size ? verifier->size - at : 0;
	return (int64_t)length < missing ? length : (size_t)missing;
}

void verifier_hash(struct verifier *verifier, const void *bytes, size_t length)
{
	size_t useful = within_size(verifier, verifier->received, length);
	if (verifier->hasher && useful > 0)
		hasher_update(verifier->hasher, bytes, useful);
	verifier->received += (int64_t)length;
}

size_t verifier_inflate(struct verifier *verifier, const void *bytes, size_t length)
{
	size_t useful = within_size(verifier, verifier->offered, length);
	size_t taken = useful > 0 ? inflate_update(verifier, bytes, useful) : useful;
	if (taken == useful)
		taken = length;
	verifier->offered += (int64_t)taken;
	return taken;
}

bool verifier_has_halves(const struct verifier *verifier)
{
	return verifier->inflating && verifier->sniffed && verifier->sink.hasher;
}

static void inflate_finish(struct verifier *verifier)
{
	if (!verifier->inflating)
		return;
	if (!verifier->sniffed)
		inflate_begin(verifier);
	if (verifier->inflating && verifier->inflater &&
		!verifier->inflater->finish(verifier->stream, &verifier->broken))
		give_up(verifier);
	if (!verifier->inflating)
		return;
	verifier->state = DIFF_ID_PROVEN;
	verifier->diff_id = verifier->sink.hasher ? hasher_finish(verifier->sink.hasher) : verifier->computed;
}

static void finish(struct verifier *verifier)
{
	if (verifier->finished)
		return;
	verifier->finished = true;
	verifier->computed = hasher_finish(verifier->hasher);
	inflate_finish(verifier);
}

bool verifier_check(struct verifier *verifier, struct error *err)
{
	if (!verifier->hasher)
		return error_set(err, ERR_UNSUPPORTED, "digest %s cannot be verified", verifier->expected.text);
	if (verifier->received != verifier->size)
		return error_set(err, ERR_CORRUPT, "%lld bytes instead of %lld", (long long)verifier->received,
			(long long)verifier->size);
	finish(verifier);
	if (digest_equal(&verifier->computed, &verifier->expected))
		return true;
	return error_set(err, ERR_CORRUPT, "the bytes have the digest %s", verifier->computed.text);
}

enum diff_id_state verifier_diff_id(struct verifier *verifier, struct digest *diff_id, struct error *err)
{
	if (verifier->state == DIFF_ID_PROVEN)
		*diff_id = verifier->diff_id;
	if (verifier->state == DIFF_ID_BROKEN && err)
		*err = verifier->broken;
	return verifier->state;
}

enum decoder verifier_decoder(const struct verifier *verifier)
{
	return verifier->decoder;
}

const char *verifier_library_versions(char out[128])
{
	snprintf(out, 128, "ISA-L %d.%d.%d, zlib %s, zstd %s", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION,
		ISAL_PATCH_VERSION, zlibVersion(), ZSTD_versionString());
	return out;
}
