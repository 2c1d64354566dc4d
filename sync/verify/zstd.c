/*
 * zstd (RFC 8878): any number of frames, skippable ones among them, and nothing behind (LYR-5).
 */
#include "base/limits.h"
#include "base/memory.h"
#include "sync/verify/inflate.h"

#include <zstd.h>
#include <zstd_errors.h>

#define OUTPUT_BYTES (128 * KIB)

struct zstd {
	struct sink *sink;
	ZSTD_DCtx *context;
	bool within_frame;
	unsigned char output[OUTPUT_BYTES];
};

static void *zstd_new(struct sink *sink)
{
	struct zstd *zstd = memory_new(1, sizeof *zstd);
	zstd->sink = sink;
	zstd->context = ZSTD_createDCtx();
	if (!zstd->context)
		memory_exhausted();
	ZSTD_DCtx_setParameter(zstd->context, ZSTD_d_windowLogMax, LIMIT_ZSTD_WINDOW_LOG);
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

static bool zstd_update(void *self, const void *bytes, size_t length, struct error *err)
{
	struct zstd *zstd = self;
	ZSTD_inBuffer in = {bytes, length, 0};
	bool more = length > 0;
	while (more) {
		ZSTD_outBuffer out = {zstd->output, sizeof zstd->output, 0};
		size_t before = in.pos;
		size_t hint = ZSTD_decompressStream(zstd->context, &out, &in);
		if (ZSTD_isError(hint))
			return zstd_refused(hint, err);
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
