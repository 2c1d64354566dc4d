/* covers: LYR-5, LYR-13, T-43 */
#include "verify/streams.h"

#include <zstd.h>

#define LAYER "application/vnd.oci.image.layer.v1.tar+zstd"

enum { RAW_BLOCK = 0, RLE_BLOCK = 1 };

static void add_frame(struct buf *stream, struct buf *content, size_t length, int level)
{
	size_t start = content->length;
	put_material(content, length);
	size_t bound = ZSTD_compressBound(length);
	auto_free void *frame = memory_new(bound, 1);
	size_t made = ZSTD_compress(frame, bound, buf_peek(content) + start, length, level);
	assert_false(ZSTD_isError(made));
	put(stream, frame, made);
}

static void add_skippable(struct buf *stream, unsigned variant, size_t length)
{
	put_little_endian(stream, 0x184d2a50 + variant, 4);
	put_little_endian(stream, (uint32_t)length, 4);
	put_material(stream, length);
}

/* The beginning of a frame without a content size: all that matters is its window. */
static void add_frame_header(struct buf *stream, unsigned window_log)
{
	put_little_endian(stream, 0xfd2fb528, 4);
	put_little_endian(stream, 0, 1);
	put_little_endian(stream, (window_log - 10) << 3, 1);
}

static void add_block(struct buf *stream, unsigned type, size_t length, bool last)
{
	put_little_endian(stream, (uint32_t)(length << 3 | type << 1 | last), 3);
	if (type == RLE_BLOCK)
		put(stream, "x", 1);
	else
		put_material(stream, length);
}

static void make_one_frame(struct buf *stream, struct buf *content)
{
	add_frame(stream, content, 3 * MIB, 3);
}

static void make_best(struct buf *stream, struct buf *content)
{
	add_frame(stream, content, 500000, 19);
}

static void make_empty(struct buf *stream, struct buf *content)
{
	add_frame(stream, content, 0, 3);
}

static void make_many_frames(struct buf *stream, struct buf *content)
{
	for (size_t i = 0; i < 50; i++)
		add_frame(stream, content, random_below(3000), 3);
}

/* A frame a file, then the table of contents and the footer that say where they are. */
static void make_chunked(struct buf *stream, struct buf *content)
{
	for (size_t i = 0; i < 20; i++)
		add_frame(stream, content, random_below(3000), 3);
	add_skippable(stream, 0, 5000);
	add_skippable(stream, 0, 64);
}

static void make_skippable_everywhere(struct buf *stream, struct buf *content)
{
	add_skippable(stream, 0, 100);
	add_frame(stream, content, 1000, 1);
	add_skippable(stream, 15, 0);
	add_skippable(stream, 7, 300000);
	add_frame(stream, content, 1000, 1);
}

static void make_only_skippable(struct buf *stream, struct buf *content)
{
	(void)content;
	add_skippable(stream, 3, 10);
}

/* The output buffer of a decoder is filled exactly, again and again. */
static void make_even_blocks(struct buf *stream, struct buf *content)
{
	add_frame_header(stream, 20);
	for (size_t i = 0; i < 8; i++)
		add_block(stream, RLE_BLOCK, 128 * KIB, i == 7);
	for (size_t i = 0; i < KIB * 128 * 8; i++)
		put(content, "x", 1);
}

/* The last block does not fit any more when all of the stream is in the decoder. */
static void make_uneven_blocks(struct buf *stream, struct buf *content)
{
	add_frame_header(stream, 20);
	add_block(stream, RLE_BLOCK, 1000, false);
	add_block(stream, RLE_BLOCK, 128 * KIB, true);
	for (size_t i = 0; i < 1000 + 128 * KIB; i++)
		put(content, "x", 1);
}

static void make_largest_window(struct buf *stream, struct buf *content)
{
	add_frame_header(stream, LIMIT_ZSTD_WINDOW_LOG);
	add_block(stream, RLE_BLOCK, 3, true);
	put(content, "xxx", 3);
}

static void make_wide_behind_narrow(struct buf *stream, struct buf *content)
{
	add_frame(stream, content, 1000, 3);
	add_skippable(stream, 3, 10);
	make_largest_window(stream, content);
	add_frame(stream, content, 1000, 3);
	make_largest_window(stream, content);
}

static const struct maker {
	void (*make)(struct buf *stream, struct buf *content);
	const char *what;
} makers[] = {
	{make_one_frame, "what zstd writes"},
	{make_best, "level 19"},
	{make_empty, "nothing in it"},
	{make_many_frames, "cat a.zst b.zst"},
	{make_chunked, "zstd:chunked"},
	{make_skippable_everywhere, "before, between, empty and large"},
	{make_only_skippable, "no content at all"},
	{make_even_blocks, "blocks as large as the output buffer"},
	{make_uneven_blocks, "output is left when the input is used up"},
	{make_largest_window, "the window of --ultra -22"},
	{make_wide_behind_narrow, "one that needs room behind one that does not"},
};

static void good_streams_are_proven_however_they_are_cut(void **state)
{
	(void)state;
	static const size_t pieces[] = {0, 1, 16, 1000, 262144};
	for (size_t i = 0; i < array_count(makers); i++) {
		auto_buf struct buf stream, content;
		buf_init(&stream, STREAM_MAX);
		buf_init(&content, STREAM_MAX);
		makers[i].make(&stream, &content);
		for (size_t j = 0; j < array_count(pieces); j++) {
			if (pieces[j] != 1 || stream.length < 10000)
				assert_proven(&stream, &content, LAYER, pieces[j]);
		}
	}
}

static void a_truncated_stream_is_broken(void **state)
{
	(void)state;
	auto_buf struct buf stream, content;
	buf_init(&stream, STREAM_MAX);
	buf_init(&content, STREAM_MAX);
	add_frame(&stream, &content, 300, 3);
	size_t first = stream.length;
	add_skippable(&stream, 0, 40);
	size_t second = stream.length;
	add_frame(&stream, &content, 300, 3);
	size_t whole = stream.length;
	for (size_t length = 4; length < whole; length++) {
		stream.length = length;
		if (length == first || length == second)
			continue;
		assert_broken(&stream, LAYER, 0, "ends within a frame");
		assert_broken(&stream, LAYER, 3, "ends within a frame");
	}
}

static void damaged_streams_are_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < 500; i++) {
		auto_buf struct buf stream, content;
		buf_init(&stream, STREAM_MAX);
		buf_init(&content, STREAM_MAX);
		add_frame(&stream, &content, 2000, (int)random_below(10));
		size_t where = 4 + random_below(stream.length - 4);
		stream.data[where] ^= (char)(1 << random_below(8));
		struct verdict verdict = verdict_on(stream.data, stream.length, LAYER, 1 + random_below(16));
		/* without a checksum in the frame a flipped literal decodes; never to the same content */
		struct digest right = digest_of(DIGEST_SHA256, content.data, content.length);
		if (verdict.state == DIFF_ID_PROVEN)
			assert_string_not_equal(verdict.diff_id.text, right.text);
		else if (verdict.error.kind != ERR_TOO_LARGE || where > 14) /* in the header: a larger window */
			assert_int_equal(verdict.error.kind, ERR_CORRUPT);
	}
}

static void other_bytes_behind_the_last_frame_are_an_error(void **state)
{
	(void)state;
	auto_buf struct buf stream, content;
	buf_init(&stream, STREAM_MAX);
	buf_init(&content, STREAM_MAX);
	add_frame(&stream, &content, 300, 3);
	put(&stream, "some junk", 9);
	assert_broken(&stream, LAYER, 0, "zstd: ");
	assert_broken(&stream, LAYER, 1, "zstd: ");
}

static void a_window_above_the_cap_is_refused(void **state)
{
	(void)state;
	for (unsigned window_log = LIMIT_ZSTD_WINDOW_LOG + 1; window_log <= 31; window_log++) {
		auto_buf struct buf stream;
		buf_init(&stream, STREAM_MAX);
		add_frame_header(&stream, window_log);
		add_block(&stream, RAW_BLOCK, 3, true);
		struct verdict verdict = verdict_on(stream.data, stream.length, LAYER, 0);
		assert_int_equal(verdict.state, DIFF_ID_BROKEN);
		assert_int_equal(verdict.error.kind, ERR_TOO_LARGE);
	}
}

static void room_is_asked_for_above_8_mib(void **state)
{
	static const size_t pieces[] = {0, 1, 7};
	(void)state;
	for (unsigned window_log = 10; window_log <= LIMIT_ZSTD_WINDOW_LOG; window_log++)
		for (size_t i = 0; i < array_count(pieces); i++) {
			auto_buf struct buf stream;
			buf_init(&stream, STREAM_MAX);
			add_frame_header(&stream, window_log);
			add_block(&stream, RAW_BLOCK, 3, true);
			struct verdict verdict = verdict_on(stream.data, stream.length, LAYER, pieces[i]);
			assert_int_equal(verdict.state, DIFF_ID_PROVEN);
			assert_int_equal(verdict.had_room, window_log > 23);
		}
}

/* 4 bytes a block of 128 KiB: 32,768 to 1. */
static void a_bomb_is_refused_long_before_its_end(void **state)
{
	(void)state;
	auto_buf struct buf stream;
	buf_init(&stream, STREAM_MAX);
	add_frame_header(&stream, 20);
	for (size_t i = 0; i < 4 * KIB; i++)
		add_block(&stream, RLE_BLOCK, 128 * KIB, i == 4 * KIB - 1);
	static const size_t pieces[] = {0, 16, 1000};
	for (size_t i = 0; i < array_count(pieces); i++) {
		struct verdict verdict = verdict_on(stream.data, stream.length, LAYER, pieces[i]);
		assert_int_equal(verdict.state, DIFF_ID_BROKEN);
		assert_int_equal(verdict.error.kind, ERR_TOO_LARGE);
	}
}

static void a_small_stream_may_be_steep(void **state)
{
	(void)state;
	auto_buf struct buf stream, content;
	buf_init(&stream, STREAM_MAX);
	buf_init(&content, STREAM_MAX);
	make_even_blocks(&stream, &content);
	assert_int_equal(content.length, MIB);
	assert_proven(&stream, &content, LAYER, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_streams_are_proven_however_they_are_cut),
		cmocka_unit_test(a_truncated_stream_is_broken),
		cmocka_unit_test(damaged_streams_are_broken),
		cmocka_unit_test(other_bytes_behind_the_last_frame_are_an_error),
		cmocka_unit_test(a_window_above_the_cap_is_refused),
		cmocka_unit_test(room_is_asked_for_above_8_mib),
		cmocka_unit_test(a_bomb_is_refused_long_before_its_end),
		cmocka_unit_test(a_small_stream_may_be_steep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
