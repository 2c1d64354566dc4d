/*
 * zstd (RFC 8878): any number of frames, skippable ones among them, and nothing behind (LYR-5).
 */
#include "base/limits.h"
#include "base/memory.h"
#include "sync/verify/inflate.h"

#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define OUTPUT_BYTES (128 * KIB)
/* A frame's header is not longer. */
#define HEADER_MOST 18
/* T-43: what every decoder may have, and what only so many may at a time: LIMIT_ZSTD_WINDOW_LOG. */
#define NARROW_WINDOW_LOG 23

struct zstd {
	struct sink *sink;
	ZSTD_DCtx *context;
	bool within_frame;
	bool is_narrow;
	unsigned char header[HEADER_MOST]; /* how the frame began that is being read, or more of it */
	size_t header_length;
	unsigned char output[OUTPUT_BYTES];
};

static void *zstd_new(struct sink *sink)
{
	struct zstd *zstd = memory_new(1, sizeof *zstd);
	zstd->sink = sink;
	zstd->context = ZSTD_createDCtx();
	if (!zstd->context)
		memory_exhausted();
	zstd->is_narrow = sink->is_narrow;
	ZSTD_DCtx_setParameter(
		zstd->context, ZSTD_d_windowLogMax, zstd->is_narrow ? NARROW_WINDOW_LOG : LIMIT_ZSTD_WINDOW_LOG);
	return zstd;
}

static void zstd_free(void *self)
{
	struct zstd *zstd = self;
	if (!zstd)
		return;
	ZSTD_freeDCtx(zstd->context);
	free(zstd);
}

static bool zstd_refused(size_t status, struct error *err)
{
	ZSTD_ErrorCode code = ZSTD_getErrorCode(status);
	if (code == ZSTD_error_memory_allocation)
		memory_exhausted();
	if (code == ZSTD_error_frameParameter_windowTooLarge)
		return error_set(err, ERR_TOO_LARGE, "zstd: a window of more than 2^%d bytes", LIMIT_ZSTD_WINDOW_LOG);
	return error_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorString(code));
}

/* The frame that was too wide begins anew, now that it may be. What there was of its header is only taken in. */
static void widen(struct zstd *zstd)
{
	ZSTD_inBuffer header = {zstd->header, zstd->header_length, 0};
	ZSTD_outBuffer nothing = {zstd->output, 0, 0};
	zstd->is_narrow = false;
	ZSTD_DCtx_reset(zstd->context, ZSTD_reset_session_only);
	ZSTD_DCtx_setParameter(zstd->context, ZSTD_d_windowLogMax, LIMIT_ZSTD_WINDOW_LOG);
	if (header.size > 0)
		ZSTD_decompressStream(zstd->context, &nothing, &header);
}

/* A frame is refused for its window before anything but its header was read. */
static bool is_too_wide(const struct zstd *zstd, size_t status)
{
	return zstd->is_narrow && ZSTD_getErrorCode(status) == ZSTD_error_frameParameter_windowTooLarge;
}

static void note_header(struct zstd *zstd, const unsigned char *bytes, size_t length)
{
	size_t room = HEADER_MOST - zstd->header_length;
	size_t some = length < room ? length : room;
	memcpy(zstd->header + zstd->header_length, bytes, some);
	zstd->header_length += some;
}

static bool zstd_update(void *self, const void *bytes, size_t length, struct error *err)
{
	struct zstd *zstd = self;
	ZSTD_inBuffer in = {bytes, length, 0};
	bool more = length > 0;
	if (zstd->is_narrow && !zstd->sink->is_narrow)
		widen(zstd);
	while (more) {
		if (!zstd->within_frame)
			zstd->header_length = 0;
		ZSTD_outBuffer out = {zstd->output, sizeof zstd->output, 0};
		size_t before = in.pos;
		size_t hint = ZSTD_decompressStream(zstd->context, &out, &in);
		if (is_too_wide(zstd, hint)) {
			zstd->sink->wants_room = true;
			zstd->sink->untaken = length - before;
			return true;
		}
		if (ZSTD_isError(hint))
			return zstd_refused(hint, err);
		note_header(zstd, (const unsigned char *)bytes + before, in.pos - before);
		if (in.pos == before && in.pos < in.size && out.pos == 0)
			return error_set(err, ERR_CORRUPT, "zstd: no progress");
		if (!sink_put(zstd->sink, zstd->output, out.pos, err))
			return false;
		zstd->within_frame = hint > 0;
		more = in.pos < in.size || (zstd->within_frame && out.pos == out.size);
	}
	return true;
}

static bool zstd_finish(void *self, struct error *err)
{
	const struct zstd *zstd = self;
	if (!zstd->within_frame)
		return true;
	return error_set(err, ERR_CORRUPT, "zstd: the stream ends within a frame");
}

const struct inflater inflater_zstd = {zstd_new, zstd_free, zstd_update, zstd_finish};
