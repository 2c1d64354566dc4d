#include "sync/verify/deflate.h"

#include "base/limits.h"
#include "base/memory.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#define WINDOW_BYTES     (32 * KIB)
#define OUTPUT_BYTES     (128 * KIB)
#define SLICE_BYTES      (128 * KIB)
#define CHECKPOINT_BYTES (128 * KIB) /* of input, then the next checkpoint is due */
#define HELD_BYTES       (512 * KIB)
#define RAW_DEFLATE      (-15) /* for zlib: no wrapper, the largest window */

/* A place between two blocks from which any decoder can go on, and what has happened since. */
struct checkpoint {
	unsigned char window[WINDOW_BYTES];
	size_t window_length;
	int bits; /* the first bits behind the place, less than a byte */
	int bit_count;
	unsigned char held[HELD_BYTES];
	size_t held_length;
	uint64_t emitted; /* bytes of output that went into the sink since */
};

struct deflate {
	struct deflate *next_spare;
	struct sink *sink;
	struct inflate_state isal;
	bool stopping; /* ISA-L was told that the block is the last, so that it stops behind it */
	z_stream zlib;
	bool zlib_ready;
	bool zlib_runs;
	uint64_t zlib_skip; /* bytes of its output that are in the sink already */
	bool ended;
	struct deflate_end end;
	size_t filled; /* of output; the window is in front of it */
	unsigned char output[WINDOW_BYTES + OUTPUT_BYTES];
	struct checkpoint checkpoint;
};

/* Some are kept for the next layers: a fresh one costs a page fault for every 4 KiB of it. Whichever worker gets the
 * first bytes of a layer takes one, and whoever frees its verifier gives it back. */
enum { SPARES_MOST = 8 };
static pthread_mutex_t spares_lock = PTHREAD_MUTEX_INITIALIZER;
static struct deflate *spares;
static size_t spare_count;

static struct deflate *take_spare(void)
{
	pthread_mutex_lock(&spares_lock);
	struct deflate *spare = spares;
	if (spare) {
		spares = spare->next_spare;
		spare_count--;
	}
	pthread_mutex_unlock(&spares_lock);
	return spare ? spare : memory_new(1, sizeof *spare);
}

static bool keep_spare(struct deflate *deflate)
{
	pthread_mutex_lock(&spares_lock);
	bool kept = spare_count < SPARES_MOST;
	if (kept) {
		deflate->next_spare = spares;
		spares = deflate;
		spare_count++;
	}
	pthread_mutex_unlock(&spares_lock);
	return kept;
}

struct deflate *deflate_new(struct sink *sink)
{
	struct deflate *deflate = take_spare();
	deflate->sink = sink;
	isal_inflate_init(&deflate->isal);
	deflate_begin(deflate);
	return deflate;
}

void deflate_free(struct deflate *deflate)
{
	if (!deflate)
		return;
	if (deflate->zlib_ready)
		inflateEnd(&deflate->zlib);
	deflate->zlib_ready = false;
	deflate->zlib = (z_stream){0};
	if (!keep_spare(deflate))
		free(deflate);
}

void deflate_begin(struct deflate *deflate)
{
	isal_inflate_reset(&deflate->isal);
	deflate->stopping = false;
	deflate->zlib_runs = false;
	deflate->ended = false;
	deflate->end = (struct deflate_end){0};
	deflate->filled = 0;
	struct checkpoint *checkpoint = &deflate->checkpoint;
	checkpoint->window_length = 0;
	checkpoint->bit_count = 0;
	checkpoint->held_length = 0;
	checkpoint->emitted = 0;
}

const struct deflate_end *deflate_end(const struct deflate *deflate)
{
	return deflate->ended ? &deflate->end : NULL;
}

static void input_advance(struct input *in, size_t length)
{
	in->next += length;
	in->left -= length;
}

static bool emit(struct deflate *deflate, const unsigned char *bytes, size_t length, struct error *err)
{
	deflate->end.crc = crc32_gzip_refl(deflate->end.crc, bytes, length);
	deflate->end.length += (uint32_t)length;
	deflate->checkpoint.emitted += length;
	return sink_put(deflate->sink, bytes, length, err);
}

static bool zlib_update(struct deflate *deflate, struct input *in, struct error *err)
{
	z_stream *zlib = &deflate->zlib;
	for (;;) {
		uInt given = in->left < UINT_MAX ? (uInt)in->left : UINT_MAX;
		zlib->next_in = in->next;
		zlib->avail_in = given;
		zlib->next_out = deflate->output;
		zlib->avail_out = sizeof deflate->output;
		int status = inflate(zlib, Z_NO_FLUSH);
		if (status == Z_MEM_ERROR)
			memory_exhausted();
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return error_set(err, ERR_CORRUPT, "deflate: %s", zlib->msg ? zlib->msg : zError(status));
		input_advance(in, given - zlib->avail_in);
		size_t made = sizeof deflate->output - zlib->avail_out;
		size_t known = made < deflate->zlib_skip ? made : (size_t)deflate->zlib_skip;
		deflate->zlib_skip -= known;
		if (!emit(deflate, deflate->output + known, made - known, err))
			return false;
		deflate->ended = status == Z_STREAM_END;
		if (deflate->ended || (zlib->avail_out > 0 && in->left == 0))
			return true;
		if (status == Z_BUF_ERROR)
			return error_set(err, ERR_CORRUPT, "deflate: no progress");
	}
}

/* zlib starts at the checkpoint, goes quietly through what is in the sink already, and keeps the stream to its end. */
static bool zlib_take_over(struct deflate *deflate, struct error *err)
{
	struct checkpoint *checkpoint = &deflate->checkpoint;
	z_stream *zlib = &deflate->zlib;
	int status = deflate->zlib_ready ? inflateReset(zlib) : inflateInit2(zlib, RAW_DEFLATE);
	deflate->zlib_ready = true;
	if (status == Z_OK)
		status = inflateSetDictionary(zlib, checkpoint->window, (uInt)checkpoint->window_length);
	if (status == Z_OK)
		status = inflatePrime(zlib, checkpoint->bit_count, checkpoint->bits);
	if (status != Z_OK)
		memory_exhausted();
	deflate->zlib_runs = true;
	deflate->zlib_skip = checkpoint->emitted;
	struct input held = {checkpoint->held, checkpoint->held_length};
	if (!zlib_update(deflate, &held, err))
		return false;
	if (held.left > 0)
		return error_set(err, ERR_CORRUPT, "deflate: the inflaters disagree about the end");
	return true;
}

/* ISA-L holds the bits it has read and not used; what is above read_in_length in read_in means nothing. */
static uint64_t isal_bits(const struct inflate_state *isal)
{
	int count = isal->read_in_length;
	return count >= 64 ? isal->read_in : isal->read_in & ((UINT64_C(1) << count) - 1);
}

/* The whole bytes among these bits, which come behind less than a byte of other bits. */
static size_t isal_whole_bytes(const struct inflate_state *isal, unsigned char bytes[8])
{
	uint64_t bits = isal_bits(isal) >> (isal->read_in_length % 8);
	size_t count = (size_t)isal->read_in_length / 8;
	for (size_t i = 0; i < count; i++)
		bytes[i] = (unsigned char)(bits >> (8 * i));
	return count;
}

/* ISA-L stands between two blocks. Note the place, and let it go on as one that begins there. */
static void checkpoint_set(struct deflate *deflate)
{
	struct checkpoint *checkpoint = &deflate->checkpoint;
	struct inflate_state *isal = &deflate->isal;
	checkpoint->window_length = deflate->filled < WINDOW_BYTES ? deflate->filled : WINDOW_BYTES;
	memcpy(checkpoint->window, deflate->output + deflate->filled - checkpoint->window_length,
		checkpoint->window_length);
	uint64_t bits = isal_bits(isal);
	int bit_count = isal->read_in_length;
	checkpoint->bit_count = bit_count % 8;
	checkpoint->bits = (int)(bits & ((1U << checkpoint->bit_count) - 1));
	checkpoint->held_length = isal_whole_bytes(isal, checkpoint->held);
	checkpoint->emitted = 0;

	isal_inflate_reset(isal);
	isal_inflate_set_dict(isal, checkpoint->window, (uint32_t)checkpoint->window_length);
	isal->read_in = bits;
	isal->read_in_length = bit_count;
	deflate->stopping = false;
}

/* A decoder that believes to be in the last block stops behind it, and only there ISA-L has no state but its bits. */
static void checkpoint_ask(struct deflate *deflate)
{
	struct inflate_state *isal = &deflate->isal;
	bool in_block = isal->block_state == ISAL_BLOCK_CODED || isal->block_state == ISAL_BLOCK_TYPE0;
	if (deflate->checkpoint.held_length < CHECKPOINT_BYTES || !in_block || isal->bfinal)
		return;
	isal->bfinal = 1;
	deflate->stopping = true;
}

/* Room behind the output so far, of which the last WINDOW_BYTES stay. */
static size_t output_room(struct deflate *deflate)
{
	if (sizeof deflate->output - deflate->filled < OUTPUT_BYTES / 2) {
		memmove(deflate->output, deflate->output + deflate->filled - WINDOW_BYTES, WINDOW_BYTES);
		deflate->filled = WINDOW_BYTES;
	}
	return sizeof deflate->output - deflate->filled;
}

/* One call of ISA-L. False: it is in trouble, and what this call did does not count. */
static bool isal_call(struct deflate *deflate, size_t slice, struct input *in, size_t *made)
{
	struct inflate_state *isal = &deflate->isal;
	struct checkpoint *checkpoint = &deflate->checkpoint;
	size_t room = output_room(deflate);
	isal->next_in = (uint8_t *)in->next;
	isal->avail_in = (uint32_t)slice;
	isal->next_out = deflate->output + deflate->filled;
	isal->avail_out = (uint32_t)room;
	if (isal_inflate(isal) != ISAL_DECOMP_OK || isal->avail_in > slice || isal->avail_out > room)
		return false;
	size_t used = slice - isal->avail_in;
	*made = room - isal->avail_out;
	if (used == 0 && *made == 0 && slice > 0 && isal->block_state != ISAL_BLOCK_FINISH)
		return false;
	memcpy(checkpoint->held + checkpoint->held_length, in->next, used);
	checkpoint->held_length += used;
	input_advance(in, used);
	return true;
}

static bool isal_update(struct deflate *deflate, struct input *in, struct error *err)
{
	struct inflate_state *isal = &deflate->isal;
	for (;;) {
		size_t slice = in->left < SLICE_BYTES ? in->left : SLICE_BYTES;
		bool too_long = deflate->checkpoint.held_length + slice > HELD_BYTES;
		size_t made = 0;
		checkpoint_ask(deflate);
		if (too_long || !isal_call(deflate, slice, in, &made))
			return zlib_take_over(deflate, err);
		const unsigned char *fresh = deflate->output + deflate->filled;
		deflate->filled += made;
		if (!emit(deflate, fresh, made, err))
			return false;
		if (isal->block_state != ISAL_BLOCK_FINISH) {
			if (isal->avail_out > 0 && in->left == 0)
				return true;
		} else if (deflate->stopping) {
			checkpoint_set(deflate);
		} else {
			deflate->end.behind_count = isal_whole_bytes(isal, deflate->end.behind);
			deflate->ended = true;
			return true;
		}
	}
}

bool deflate_update(struct deflate *deflate, struct input *in, struct error *err)
{
	if (!deflate->zlib_runs && !isal_update(deflate, in, err))
		return false;
	return !deflate->zlib_runs || deflate->ended || zlib_update(deflate, in, err);
}
