/* covers: LYR-4, LYR-11, T-42, T-43 */
#include "verify/streams.h"

#include "sync/verify/inflate.h"

#include <dlfcn.h>
#include <isa-l/igzip_lib.h>

#define LAYER "application/vnd.oci.image.layer.v1.tar+gzip"

/*
 * ISA-L as the verifier sees it: the real one, until a test lets it fail. Defined here, it stands before the library's.
 */
static enum { ISAL_SOUND, ISAL_REFUSES, ISAL_STALLS } isal_fault;
static size_t isal_fault_after; /* so many calls */
static size_t isal_calls;

int isal_inflate(struct inflate_state *state)
{
	static int (*real)(struct inflate_state *);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "isal_inflate");
	isal_calls++;
	if (isal_fault == ISAL_SOUND || isal_calls <= isal_fault_after)
		return real(state);
	if (isal_fault == ISAL_STALLS)
		return ISAL_DECOMP_OK;
	(void)real(state);
	return ISAL_INVALID_SYMBOL;
}

/* And zlib, to see when it is asked, and from where. */
static size_t zlib_windows[2]; /* streams that it began without a window, and with one */

int inflateSetDictionary(z_stream *zlib, const Bytef *dictionary, uInt length)
{
	static int (*real)(z_stream *, const Bytef *, uInt);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "inflateSetDictionary");
	zlib_windows[length > 0]++;
	return real(zlib, dictionary, length);
}

static int isal_heals(void **state)
{
	(void)state;
	isal_fault = ISAL_SOUND;
	isal_calls = 0;
	zlib_windows[0] = zlib_windows[1] = 0;
	return 0;
}

/* Material and a stream of it, made by one of the makers below. */
struct sample {
	struct buf content, stream;
};

static void sample_release(struct sample *sample)
{
	buf_release(&sample->content);
	buf_release(&sample->stream);
}

#define auto_sample __attribute__((cleanup(sample_release)))

static struct sample sample_new(void)
{
	struct sample sample;
	buf_init(&sample.content, STREAM_MAX);
	buf_init(&sample.stream, STREAM_MAX);
	return sample;
}

static void add_member(struct sample *sample, size_t length, struct member member)
{
	size_t start = sample->content.length;
	put_material(&sample->content, length);
	put_member(&sample->stream, buf_peek(&sample->content) + start, length, &member);
}

static void make_empty_member(struct sample *sample)
{
	add_member(sample, 0, MEMBER_PLAIN);
}

static void make_stored(struct sample *sample)
{
	add_member(sample, 200000, (struct member){.level = 0});
}

static void make_fastest(struct sample *sample)
{
	add_member(sample, 200000, (struct member){.level = 1});
}

static void make_best(struct sample *sample)
{
	add_member(sample, 200000, (struct member){.level = 9});
}

static void make_fixed(struct sample *sample)
{
	add_member(sample, 200000, (struct member){.level = 6, .strategy = Z_FIXED});
}

static void make_huffman_only(struct sample *sample)
{
	add_member(sample, 200000, (struct member){.level = 6, .strategy = Z_HUFFMAN_ONLY});
}

static void make_long(struct sample *sample)
{
	add_member(sample, 5 * MIB, MEMBER_PLAIN);
}

static void make_zeros(struct sample *sample)
{
	static const char zeros[64 * KIB];
	for (size_t i = 0; i < 16; i++)
		put(&sample->content, zeros, sizeof zeros);
	put_member(&sample->stream, buf_peek(&sample->content), sample->content.length, &MEMBER_PLAIN);
}

static void make_pigz(struct sample *sample)
{
	add_member(sample, 700000,
		(struct member){.flags = 0x08, .level = 6, .flush = Z_SYNC_FLUSH, .flush_every = 128 * KIB});
}

static void make_pigz_independent(struct sample *sample)
{
	add_member(sample, 700000, (struct member){.level = 6, .flush = Z_FULL_FLUSH, .flush_every = 128 * KIB});
}

static void make_tiny_flushes(struct sample *sample)
{
	add_member(sample, 30000, (struct member){.level = 6, .flush = Z_SYNC_FLUSH, .flush_every = 7});
}

static void make_joined(struct sample *sample)
{
	add_member(sample, 100000, MEMBER_PLAIN);
	add_member(sample, 0, MEMBER_PLAIN);
	add_member(sample, 1, MEMBER_PLAIN);
	add_member(sample, 50000, (struct member){.flags = 0x1e, .level = 9});
}

static void make_estargz(struct sample *sample)
{
	for (size_t i = 0; i < 300; i++)
		add_member(sample, random_below(900), (struct member){.level = 9});
	add_member(sample, 0, (struct member){.flags = 0x04}); /* the footer */
}

static void make_padded(struct sample *sample)
{
	add_member(sample, 1000, MEMBER_PLAIN);
	static const char zeros[1000];
	put(&sample->stream, zeros, sizeof zeros);
}

static void make_all_header_fields(struct sample *sample)
{
	add_member(sample, 300, (struct member){.flags = 0x1f, .level = 6});
}

static void put_bits(struct buf *out, uint64_t *pending, unsigned *pending_count, unsigned code, unsigned count)
{
	for (unsigned i = count; i-- > 0;) {
		*pending |= (uint64_t)((code >> i) & 1) << (*pending_count)++;
		if (*pending_count == 8) {
			put_little_endian(out, (uint32_t)*pending, 1);
			*pending = *pending_count = 0;
		}
	}
}

/* No compressor makes it, but the format allows one block for everything: more than is held for zlib. */
static void make_one_long_block(struct sample *sample)
{
	uint64_t pending = 0;
	unsigned pending_count = 0;
	put_header(&sample->stream, 0);
	put_bits(&sample->stream, &pending, &pending_count, 0x6, 3); /* final, fixed codes */
	for (size_t i = 0; i < 2 * MIB; i++) {
		unsigned byte = (unsigned)random_below(144);
		put_little_endian(&sample->content, byte, 1);
		put_bits(&sample->stream, &pending, &pending_count, 0x30 + byte, 8);
	}
	put_bits(&sample->stream, &pending, &pending_count, 0, 7);
	if (pending_count > 0)
		put_bits(&sample->stream, &pending, &pending_count, 0, 8 - pending_count);
	put_trailer(&sample->stream, buf_peek(&sample->content), sample->content.length);
}

static const struct maker {
	void (*make)(struct sample *sample);
	const char *what;
} makers[] = {
	{make_empty_member, "nothing in it"},
	{make_stored, "stored blocks"},
	{make_fastest, "level 1"},
	{make_best, "level 9"},
	{make_fixed, "fixed codes"},
	{make_huffman_only, "no matches"},
	{make_long, "many checkpoints"},
	{make_zeros, "the steepest ratio of deflate"},
	{make_pigz, "pigz: a flush between pieces"},
	{make_pigz_independent, "pigz --independent"},
	{make_tiny_flushes, "empty stored blocks everywhere"},
	{make_joined, "cat a.gz b.gz c.gz"},
	{make_estargz, "eStargz: a member a file, and a footer"},
	{make_padded, "zeros behind"},
	{make_all_header_fields, "every header field"},
	{make_one_long_block, "one block of 2 MiB"},
};

static void good_streams_are_proven_however_they_are_cut(void **state)
{
	(void)state;
	static const size_t pieces[] = {0, 16, 1000, 70000, 262144};
	for (size_t i = 0; i < array_count(makers); i++) {
		auto_sample struct sample sample = sample_new();
		makers[i].make(&sample);
		for (size_t j = 0; j < array_count(pieces); j++)
			assert_proven(&sample.stream, &sample.content, LAYER, pieces[j]);
	}
}

static void a_member_is_proven_whatever_byte_its_header_is_split_at(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 0x20; flags++) {
		auto_sample struct sample sample = sample_new();
		add_member(&sample, 20, (struct member){.flags = flags, .level = 6});
		add_member(&sample, 20, (struct member){.flags = flags, .level = 6});
		assert_proven(&sample.stream, &sample.content, LAYER, 1);
		for (size_t cut = 1; cut < sample.stream.length; cut++) {
			struct digest digest = digest_of(DIGEST_SHA256, sample.stream.data, sample.stream.length);
			struct descriptor blob = {.media_type = (char *)LAYER, .digest = digest};
			blob.size = (int64_t)sample.stream.length;
			struct verifier *verifier = verifier_new(&blob, true);
			feed(verifier, sample.stream.data, cut);
			feed(verifier, sample.stream.data + cut, sample.stream.length - cut);
			assert_true(verifier_check(verifier, NULL));
			assert_int_equal(verifier_diff_id(verifier, &digest, NULL), DIFF_ID_PROVEN);
			verifier_free(verifier);
		}
	}
}

static void a_truncated_stream_is_broken(void **state)
{
	(void)state;
	auto_sample struct sample sample = sample_new();
	add_member(&sample, 500, (struct member){.flags = 0x1f, .level = 6});
	size_t boundary = sample.stream.length;
	add_member(&sample, 500, MEMBER_PLAIN);
	size_t whole = sample.stream.length;
	for (size_t length = 2; length < whole; length++) {
		if (length == boundary)
			continue; /* a whole member */
		sample.stream.length = length;
		assert_broken(&sample.stream, LAYER, 0, "ends within a member");
		assert_broken(&sample.stream, LAYER, 3, "ends within a member");
	}
}

static void bad_streams_are_broken(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int at; /* the byte that is overwritten; negative: counted from the end */
		unsigned char byte;
		const char *behind; /* appended: a text, without its end */
		size_t behind_length;
		const char *why;
	} rows[] = {
		{"not a header", 2, 7, "", 0, "another method"},
		{"reserved flags", 3, 0x20, "", 0, "RFC 1952: must be refused"},
		{"reserved flags", 3, 0x80, "", 0, "RFC 1952: must be refused"},
		{"checksum of a header", 3, 0x02, "", 0, "the next two bytes are no header checksum"},
		{"invalid block type", 10, 0x07, "", 0, "block type 3"},
		{"invalid stored block lengths", 10, 0x01, "", 0, "stored, with a wrong complement"},
		{"wrong checksum of a member", -5, 0x5a, "", 0, "CRC-32"},
		{"wrong length of a member", -1, 1, "", 0, "ISIZE"},
		{"other bytes behind the last", -1, 0, "junk", 4, "not a member and not zero"},
		{"not a header", -1, 0, "\x1f is not enough", 16, "the beginning of a member is none"},
		{"ends within a member", -1, 0, "\x1f\x8b\x08", 3, "a member that is not complete"},
		{"other bytes behind the padding", -1, 0, "\0\0\1", 3, "padding is zeros and nothing else"},
		{"other bytes behind the padding", -1, 0, "\0\x1f\x8b\x08", 4, "no member behind padding"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_sample struct sample sample = sample_new();
		add_member(&sample, 4000, MEMBER_PLAIN);
		struct buf *stream = &sample.stream;
		size_t at = rows[i].at < 0 ? stream->length - (size_t)-rows[i].at : (size_t)rows[i].at;
		stream->data[at] = (char)rows[i].byte;
		put(stream, rows[i].behind, rows[i].behind_length);
		assert_broken(stream, LAYER, 0, rows[i].text);
		assert_broken(stream, LAYER, 5, rows[i].text);
	}
}

/* zlib alone, with the rules of LYR-4 around it. */
static bool zlib_accepts(const unsigned char *bytes, size_t length, struct buf *content)
{
	z_stream zlib = {.next_in = bytes, .avail_in = (uInt)length};
	assert_int_equal(inflateInit2(&zlib, 15 + 16), Z_OK);
	int status = Z_OK;
	while (status == Z_OK || (status == Z_STREAM_END && zlib.avail_in > 0 && *zlib.next_in != 0)) {
		if (status == Z_STREAM_END)
			inflateReset(&zlib);
		unsigned char chunk[8192];
		zlib.next_out = chunk;
		zlib.avail_out = sizeof chunk;
		status = inflate(&zlib, Z_NO_FLUSH);
		put(content, chunk, sizeof chunk - zlib.avail_out);
	}
	while (zlib.avail_in > 0 && *zlib.next_in == 0) {
		zlib.next_in++;
		zlib.avail_in--;
	}
	bool accepts = status == Z_STREAM_END && zlib.avail_in == 0;
	inflateEnd(&zlib);
	return accepts;
}

static void damage(struct buf *stream)
{
	for (size_t count = 1 + random_below(3); count > 0; count--)
		stream->data[random_below(stream->length)] ^= (char)(1 << random_below(8));
	if (random_below(8) == 0)
		stream->length -= random_below(stream->length / 2);
	/* what is no gzip at all is not our concern here */
	stream->data[0] = 0x1f;
	stream->data[1] = (char)0x8b;
}

static void what_zlib_says_of_damaged_streams_is_said(void **state)
{
	(void)state;
	size_t accepted = 0;
	for (size_t i = 0; i < 4000; i++) {
		auto_sample struct sample sample = sample_new();
		struct member member = {.level = (int)random_below(10), .flags = (unsigned)random_below(0x20)};
		add_member(&sample, random_below(1500), member);
		add_member(&sample, random_below(300), member);
		damage(&sample.stream);
		auto_buf struct buf zlib_content;
		buf_init(&zlib_content, STREAM_MAX);
		bool accepts =
			zlib_accepts((const unsigned char *)sample.stream.data, sample.stream.length, &zlib_content);
		struct verdict verdict = verdict_on(sample.stream.data, sample.stream.length, LAYER, random_below(17));
		if (accepts) {
			accepted++;
			struct digest right = digest_of(DIGEST_SHA256, buf_peek(&zlib_content), zlib_content.length);
			assert_int_equal(verdict.state, DIFF_ID_PROVEN);
			assert_string_equal(verdict.diff_id.text, right.text);
		} else if (verdict.state == DIFF_ID_PROVEN) {
			/* ISA-L takes incomplete codes that zlib refuses; the content's own checksum stands for it */
			struct digest right =
				digest_of(DIGEST_SHA256, buf_peek(&sample.content), sample.content.length);
			assert_string_equal(verdict.diff_id.text, right.text);
		}
	}
	assert_true(accepted > 20); /* flips in names, times and comments */
}

static void zlib_goes_on_where_isal_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(makers); i++) {
		auto_sample struct sample sample = sample_new();
		makers[i].make(&sample);
		for (size_t after = 0; after < 40; after += 1 + after / 3) {
			isal_fault_after = after;
			isal_calls = 0;
			isal_fault = ISAL_REFUSES;
			assert_proven(&sample.stream, &sample.content, LAYER, 262144);
			isal_calls = 0;
			isal_fault = ISAL_STALLS;
			assert_proven(&sample.stream, &sample.content, LAYER, 100000);
		}
	}
}

static void zlib_is_asked_only_in_trouble_and_then_from_the_last_checkpoint(void **state)
{
	(void)state;
	static const struct {
		void (*make)(struct sample *sample);
		size_t fault_after, from_start, from_checkpoint;
		const char *why;
	} rows[] = {
		{make_long, SIZE_MAX, 0, 0, "no trouble"},
		{make_estargz, SIZE_MAX, 0, 0, "no trouble, 301 times"},
		{make_one_long_block, SIZE_MAX, 1, 0, "a block that is longer than what is held"},
		{make_long, 0, 1, 0, "trouble at once"},
		{make_long, 30, 0, 1, "trouble in the middle"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_sample struct sample sample = sample_new();
		rows[i].make(&sample);
		isal_heals(NULL);
		isal_fault = ISAL_REFUSES;
		isal_fault_after = rows[i].fault_after;
		assert_proven(&sample.stream, &sample.content, LAYER, 262144);
		assert_int_equal(zlib_windows[0], rows[i].from_start);
		assert_int_equal(zlib_windows[1], rows[i].from_checkpoint);
	}
}

static void a_broken_stream_is_broken_for_zlib_too(void **state)
{
	(void)state;
	auto_sample struct sample sample = sample_new();
	add_member(&sample, 3 * MIB, MEMBER_PLAIN);
	sample.stream.data[sample.stream.length - 100000] ^= 0x55;
	for (size_t after = 0; after < 12; after++) {
		isal_fault_after = after;
		isal_calls = 0;
		isal_fault = ISAL_REFUSES;
		assert_broken(&sample.stream, LAYER, 262144, "");
	}
}

static void the_cap_on_output_holds(void **state)
{
	(void)state;
	auto_sample struct sample sample = sample_new();
	make_zeros(&sample);
	size_t made = sample.content.length;
	static const struct {
		int64_t beyond; /* the limit, seen from what the stream holds */
		bool fits;
	} rows[] = {{1, true}, {0, true}, {-1, false}, {-500000, false}};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct sink sink = {.limit = (int64_t)made + rows[i].beyond, .hasher = hasher_new(DIGEST_SHA256)};
		void *gzip = inflater_gzip.new(&sink);
		struct error err = {0};
		bool fits = inflater_gzip.update(gzip, sample.stream.data, sample.stream.length, &err);
		assert_int_equal(fits, rows[i].fits);
		assert_int_equal(err.kind, fits ? ERR_NONE : ERR_TOO_LARGE);
		assert_true(sink.produced <= sink.limit);
		inflater_gzip.free(gzip);
		hasher_free(sink.hasher);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_streams_are_proven_however_they_are_cut),
		cmocka_unit_test(a_member_is_proven_whatever_byte_its_header_is_split_at),
		cmocka_unit_test(a_truncated_stream_is_broken),
		cmocka_unit_test(bad_streams_are_broken),
		cmocka_unit_test(what_zlib_says_of_damaged_streams_is_said),
		cmocka_unit_test_teardown(zlib_goes_on_where_isal_refuses, isal_heals),
		cmocka_unit_test_teardown(zlib_is_asked_only_in_trouble_and_then_from_the_last_checkpoint, isal_heals),
		cmocka_unit_test_teardown(a_broken_stream_is_broken_for_zlib_too, isal_heals),
		cmocka_unit_test(the_cap_on_output_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
