/*
 * gzip (RFC 1952): any number of members, then zeros or nothing (LYR-4).
 *
 * The frame is read here, since ISA-L fails on valid headers that are split over two buffers (T-42). A member is a row
 * of steps; each takes what it needs from the front of the input, however little there is, and enters the next.
 */
#include "base/memory.h"
#include "sync/verify/deflate.h"

#include <isa-l/crc.h>
#include <string.h>

#define FIXED_BYTES   10
#define TRAILER_BYTES 8

enum {
	FLAG_HEADER_CRC = 0x02,
	FLAG_EXTRA = 0x04,
	FLAG_NAME = 0x08,
	FLAG_COMMENT = 0x10,
	FLAGS_RESERVED = 0xe0,
};

enum step {
	STEP_FIXED,
	STEP_EXTRA_LENGTH,
	STEP_EXTRA,
	STEP_NAME,
	STEP_COMMENT,
	STEP_HEADER_CRC,
	STEP_BODY,
	STEP_TRAILER,
	STEP_BETWEEN, /* behind a member; what comes next decides */
	STEP_PADDING,
};

struct gzip {
	struct deflate *deflate;
	enum step step;
	unsigned char bytes[FIXED_BYTES]; /* of a field of fixed length */
	size_t count;
	unsigned flags;
	uint32_t header_crc;
	size_t extra_left;
};

static void *gzip_new(struct sink *sink)
{
	struct gzip *gzip = memory_new(1, sizeof *gzip);
	gzip->deflate = deflate_new(sink);
	return gzip;
}

static void gzip_free(void *self)
{
	struct gzip *gzip = self;
	if (!gzip)
		return;
	deflate_free(gzip->deflate);
	free(gzip);
}

static void enter(struct gzip *gzip, enum step step)
{
	gzip->step = step;
	gzip->count = 0;
}

/* The next part of the header that the flags speak of, at last the body. */
static void enter_next_field(struct gzip *gzip)
{
	static const unsigned flag_of[] = {
		[STEP_EXTRA_LENGTH] = FLAG_EXTRA,
		[STEP_EXTRA] = FLAG_EXTRA,
		[STEP_NAME] = FLAG_NAME,
		[STEP_COMMENT] = FLAG_COMMENT,
		[STEP_HEADER_CRC] = FLAG_HEADER_CRC,
	};
	enum step step = gzip->step + 1;
	while (step < STEP_BODY && !(gzip->flags & flag_of[step]))
		step++;
	enter(gzip, step);
	if (step == STEP_BODY)
		deflate_begin(gzip->deflate);
}

/* Bring the field in gzip->bytes to @wanted bytes; false: there are not enough yet. */
static bool collect(struct gzip *gzip, struct input *in, size_t wanted)
{
	size_t missing = wanted - gzip->count;
	size_t take = in->left < missing ? in->left : missing;
	memcpy(gzip->bytes + gzip->count, in->next, take);
	gzip->count += take;
	in->next += take;
	in->left -= take;
	return gzip->count == wanted;
}

static void skip(struct gzip *gzip, struct input *in, size_t length)
{
	gzip->header_crc = crc32_gzip_refl(gzip->header_crc, in->next, length);
	in->next += length;
	in->left -= length;
}

static uint32_t little_endian(const unsigned char *bytes, size_t count)
{
	uint32_t value = 0;
	for (size_t i = 0; i < count; i++)
		value |= (uint32_t)bytes[i] << (8 * i);
	return value;
}

static bool read_fixed(struct gzip *gzip, struct input *in, struct error *err)
{
	static const unsigned char magic_and_deflate[] = {0x1f, 0x8b, 8};
	if (!collect(gzip, in, FIXED_BYTES))
		return true;
	if (memcmp(gzip->bytes, magic_and_deflate, sizeof magic_and_deflate) != 0)
		return error_set(err, ERR_CORRUPT, "gzip: not a header");
	gzip->flags = gzip->bytes[3];
	if (gzip->flags & FLAGS_RESERVED)
		return error_set(err, ERR_CORRUPT, "gzip: reserved flags in a header");
	gzip->header_crc = crc32_gzip_refl(0, gzip->bytes, FIXED_BYTES);
	enter_next_field(gzip);
	return true;
}

static bool read_extra_length(struct gzip *gzip, struct input *in, struct error *err)
{
	(void)err;
	if (!collect(gzip, in, 2))
		return true;
	gzip->header_crc = crc32_gzip_refl(gzip->header_crc, gzip->bytes, 2);
	gzip->extra_left = little_endian(gzip->bytes, 2);
	enter_next_field(gzip);
	return true;
}

static bool skip_extra(struct gzip *gzip, struct input *in, struct error *err)
{
	(void)err;
	size_t take = in->left < gzip->extra_left ? in->left : gzip->extra_left;
	skip(gzip, in, take);
	gzip->extra_left -= take;
	if (gzip->extra_left == 0)
		enter_next_field(gzip);
	return true;
}

static bool skip_text(struct gzip *gzip, struct input *in, struct error *err)
{
	(void)err;
	const unsigned char *end = memchr(in->next, 0, in->left);
	skip(gzip, in, end ? (size_t)(end - in->next) + 1 : in->left);
	if (end)
		enter_next_field(gzip);
	return true;
}

static bool check_header_crc(struct gzip *gzip, struct input *in, struct error *err)
{
	if (!collect(gzip, in, 2))
		return true;
	if (little_endian(gzip->bytes, 2) != (gzip->header_crc & 0xffff))
		return error_set(err, ERR_CORRUPT, "gzip: wrong checksum of a header");
	enter_next_field(gzip);
	return true;
}

static bool check_trailer(struct gzip *gzip, struct input *in, struct error *err)
{
	if (!collect(gzip, in, TRAILER_BYTES))
		return true;
	const struct deflate_end *end = deflate_end(gzip->deflate);
	if (little_endian(gzip->bytes, 4) != end->crc)
		return error_set(err, ERR_CORRUPT, "gzip: wrong checksum of a member");
	if (little_endian(gzip->bytes + 4, 4) != end->length)
		return error_set(err, ERR_CORRUPT, "gzip: wrong length of a member");
	enter(gzip, STEP_BETWEEN);
	return true;
}

static bool inflate_body(struct gzip *gzip, struct input *in, struct error *err)
{
	if (!deflate_update(gzip->deflate, in, err))
		return false;
	const struct deflate_end *end = deflate_end(gzip->deflate);
	if (!end)
		return true;
	enter(gzip, STEP_TRAILER);
	memcpy(gzip->bytes, end->behind, end->behind_count);
	gzip->count = end->behind_count;
	return check_trailer(gzip, in, err);
}

static bool look_behind_member(struct gzip *gzip, struct input *in, struct error *err)
{
	if (*in->next != 0 && *in->next != 0x1f)
		return error_set(err, ERR_CORRUPT, "gzip: other bytes behind the last member");
	enter(gzip, *in->next == 0 ? STEP_PADDING : STEP_FIXED);
	return true;
}

static bool skip_padding(struct gzip *gzip, struct input *in, struct error *err)
{
	(void)gzip;
	for (; in->left > 0; in->left--) {
		if (*in->next++ != 0)
			return error_set(err, ERR_CORRUPT, "gzip: other bytes behind the padding");
	}
	return true;
}

static bool gzip_update(void *self, const void *bytes, size_t length, struct error *err)
{
	static bool (*const steps[])(struct gzip *, struct input *, struct error *) = {
		[STEP_FIXED] = read_fixed,
		[STEP_EXTRA_LENGTH] = read_extra_length,
		[STEP_EXTRA] = skip_extra,
		[STEP_NAME] = skip_text,
		[STEP_COMMENT] = skip_text,
		[STEP_HEADER_CRC] = check_header_crc,
		[STEP_BODY] = inflate_body,
		[STEP_TRAILER] = check_trailer,
		[STEP_BETWEEN] = look_behind_member,
		[STEP_PADDING] = skip_padding,
	};
	struct gzip *gzip = self;
	struct input in = {bytes, length};
	while (in.left > 0) {
		if (!steps[gzip->step](gzip, &in, err))
			return false;
	}
	return true;
}

static bool gzip_finish(void *self, struct error *err)
{
	const struct gzip *gzip = self;
	if (gzip->step == STEP_BETWEEN || gzip->step == STEP_PADDING)
		return true;
	return error_set(err, ERR_CORRUPT, "gzip: the stream ends within a member");
}

const struct inflater inflater_gzip = {gzip_new, gzip_free, gzip_update, gzip_finish};
