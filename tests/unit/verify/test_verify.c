/* covers: LYR-1, LYR-2, LYR-3, LYR-7, LYR-9, LYR-11, T-44 */
#include "verify/streams.h"

#include <pthread.h>
#include <zstd.h>

#define TAR  "application/vnd.oci.image.layer.v1.tar"
#define GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"

static const char content[] = "the content of a layer, the same in every wrapping";

static void wrap(struct buf *out, enum decoder decoder)
{
	buf_init(out, STREAM_MAX);
	char frame[256];
	switch (decoder) {
	case DECODER_GZIP:
		put_member(out, content, sizeof content, &MEMBER_PLAIN);
		break;
	case DECODER_ZSTD:
		put(out, frame, ZSTD_compress(frame, sizeof frame, content, sizeof content, 3));
		break;
	case DECODER_NONE:
	case DECODER_IMPOSSIBLE:
		put(out, content, sizeof content);
		break;
	}
}

static struct verifier *verifier_fed(
	const char *media_type, struct digest digest, int64_t size, const struct buf *bytes)
{
	struct descriptor blob = {.media_type = (char *)media_type, .digest = digest, .size = size};
	struct verifier *verifier = verifier_new(&blob, true);
	feed(verifier, buf_peek(bytes), bytes->length);
	return verifier;
}

static void the_media_type_decides_whether_and_the_magic_decides_how(void **state)
{
	(void)state;
	static const struct {
		const char *media_type;
		enum decoder wrapping;
		enum diff_id_state state;
		const char *why;
	} rows[] = {
		{TAR, DECODER_NONE, DIFF_ID_PROVEN, "as it says"},
		{GZIP, DECODER_GZIP, DIFF_ID_PROVEN, "as it says"},
		{ZSTD, DECODER_ZSTD, DIFF_ID_PROVEN, "as it says"},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", DECODER_GZIP, DIFF_ID_PROVEN, "Docker's type"},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", DECODER_ZSTD, DIFF_ID_PROVEN, "LYR-3"},
		{GZIP, DECODER_NONE, DIFF_ID_PROVEN, "LYR-3: older docker wrote plain tars under it"},
		{GZIP, DECODER_ZSTD, DIFF_ID_PROVEN, "LYR-3"},
		{ZSTD, DECODER_GZIP, DIFF_ID_PROVEN, "LYR-3"},
		{TAR, DECODER_GZIP, DIFF_ID_PROVEN, "LYR-3"},
		{GZIP "+encrypted", DECODER_GZIP, DIFF_ID_NONE, "LYR-7"},
		{"application/vnd.in-toto+json", DECODER_NONE, DIFF_ID_NONE, "LYR-9: no layer of files"},
		{"application/vnd.dev.cosign.simplesigning.v1+json", DECODER_GZIP, DIFF_ID_NONE, "LYR-9"},
		{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", DECODER_GZIP, DIFF_ID_NONE, "LYR-10"},
	};
	struct digest right = digest_of(DIGEST_SHA256, content, sizeof content);
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_buf struct buf bytes;
		wrap(&bytes, rows[i].wrapping);
		struct verdict verdict = verdict_on(bytes.data, bytes.length, rows[i].media_type, 0);
		assert_int_equal(verdict.state, rows[i].state);
		if (rows[i].state != DIFF_ID_PROVEN)
			continue;
		assert_string_equal(verdict.diff_id.text, right.text);
		assert_int_equal(verdict.decoder, rows[i].wrapping);
	}
}

static void a_diff_id_is_sha256_whatever_the_digest_is(void **state)
{
	(void)state;
	static const struct {
		const char *media_type;
		enum decoder wrapping;
	} rows[] = {{TAR, DECODER_NONE}, {GZIP, DECODER_GZIP}, {ZSTD, DECODER_ZSTD}};
	struct digest right = digest_of(DIGEST_SHA256, content, sizeof content);
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_buf struct buf bytes;
		wrap(&bytes, rows[i].wrapping);
		struct digest digest = digest_of(DIGEST_SHA512, bytes.data, bytes.length);
		struct verifier *verifier = verifier_fed(rows[i].media_type, digest, (int64_t)bytes.length, &bytes);
		assert_true(verifier_check(verifier, NULL));
		struct digest diff_id;
		assert_int_equal(verifier_diff_id(verifier, &diff_id, NULL), DIFF_ID_PROVEN);
		assert_string_equal(diff_id.text, right.text);
		verifier_free(verifier);
	}
}

static void a_blob_that_is_not_what_its_descriptor_says_is_corrupt(void **state)
{
	(void)state;
	static const struct {
		int64_t longer; /* what the descriptor claims beyond the truth */
		bool flipped;
		enum error_kind kind;
		const char *text;
	} rows[] = {
		{0, false, ERR_NONE, ""},
		{1, false, ERR_CORRUPT, "bytes instead of"},
		{-1, false, ERR_CORRUPT, "bytes instead of"},
		{0, true, ERR_CORRUPT, "have the digest sha"},
	};
	static const enum digest_algorithm algorithms[] = {DIGEST_SHA256, DIGEST_SHA512};
	for (size_t i = 0; i < array_count(rows) * array_count(algorithms); i++) {
		size_t row = i / array_count(algorithms);
		auto_buf struct buf bytes;
		wrap(&bytes, DECODER_GZIP);
		struct digest digest = digest_of(algorithms[i % array_count(algorithms)], bytes.data, bytes.length);
		bytes.data[20] ^= rows[row].flipped ? 1 : 0;
		struct verifier *verifier =
			verifier_fed(GZIP, digest, (int64_t)bytes.length + rows[row].longer, &bytes);
		struct error err = {0};
		assert_int_equal(verifier_check(verifier, &err), rows[row].kind == ERR_NONE);
		assert_int_equal(err.kind, rows[row].kind);
		assert_non_null(strstr(err.text, rows[row].text));
		verifier_free(verifier);
	}
}

static void a_digest_that_cannot_be_computed_is_unsupported(void **state)
{
	(void)state;
	auto_buf struct buf bytes;
	wrap(&bytes, DECODER_GZIP);
	struct digest digest = {.algorithm = DIGEST_UNKNOWN, .text = "blake3:00112233445566778899aabbccddeeff"};
	struct verifier *verifier = verifier_fed(GZIP, digest, (int64_t)bytes.length, &bytes);
	struct error err = {0};
	assert_false(verifier_check(verifier, &err));
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_int_equal(verifier_diff_id(verifier, &digest, NULL), DIFF_ID_NONE);
	verifier_free(verifier);
}

static void the_digest_of_a_broken_stream_is_still_checked(void **state)
{
	(void)state;
	for (int flipped = 0; flipped < 2; flipped++) {
		auto_buf struct buf bytes;
		wrap(&bytes, DECODER_GZIP);
		bytes.data[10] = 0x07; /* no such block type */
		for (size_t i = 0; i < 100000; i++)
			put(&bytes, "more", 4);
		struct digest digest = digest_of(DIGEST_SHA256, bytes.data, bytes.length);
		bytes.data[300000] ^= (char)flipped;
		struct descriptor blob = {.media_type = (char *)GZIP, .digest = digest};
		blob.size = (int64_t)bytes.length;
		struct verifier *verifier = verifier_new(&blob, true);
		for (size_t at = 0; at < bytes.length; at += 1000)
			feed(verifier, bytes.data + at, bytes.length - at < 1000 ? bytes.length - at : 1000);
		assert_int_equal(verifier_check(verifier, NULL), flipped == 0);
		struct error err = {0};
		assert_int_equal(verifier_diff_id(verifier, &digest, &err), DIFF_ID_BROKEN);
		assert_int_equal(err.kind, ERR_CORRUPT);
		verifier_free(verifier);
	}
}

static void tiny_blobs_have_a_verdict(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
		enum diff_id_state state;
		const char *why;
	} rows[] = {
		{"", 0, DIFF_ID_PROVEN, "nothing is a plain stream of nothing, to other readers too"},
		{"{}", 2, DIFF_ID_PROVEN, "the empty descriptor's content"},
		{"\x1f", 1, DIFF_ID_PROVEN, "half a magic is none"},
		{"\x28\xb5\x2f", 3, DIFF_ID_PROVEN, "nor are three quarters"},
		{"\x1f\x8b", 2, DIFF_ID_BROKEN, "gzip, cut off"},
		{"\x28\xb5\x2f\xfd", 4, DIFF_ID_BROKEN, "zstd, cut off"},
		{"\x5f\x2a\x4d\x18", 4, DIFF_ID_BROKEN, "a skippable frame, cut off"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct digest digest = digest_of(DIGEST_SHA256, rows[i].bytes, rows[i].length);
		for (size_t piece_max = 0; piece_max < 2; piece_max++) {
			struct verdict verdict = verdict_on(rows[i].bytes, rows[i].length, GZIP, piece_max);
			assert_int_equal(verdict.state, rows[i].state);
			if (verdict.state == DIFF_ID_PROVEN)
				assert_string_equal(verdict.diff_id.text, digest.text);
		}
	}
}

static void nothing_is_inflated_that_is_not_wanted(void **state)
{
	(void)state;
	auto_buf struct buf bytes;
	wrap(&bytes, DECODER_GZIP);
	struct descriptor blob = {.media_type = (char *)GZIP, .size = (int64_t)bytes.length};
	blob.digest = digest_of(DIGEST_SHA256, bytes.data, bytes.length);
	struct verifier *verifier = verifier_new(&blob, false);
	feed(verifier, bytes.data, bytes.length);
	assert_true(verifier_check(verifier, NULL));
	assert_true(verifier_check(verifier, NULL)); /* asking twice changes nothing */
	struct digest diff_id;
	assert_int_equal(verifier_diff_id(verifier, &diff_id, NULL), DIFF_ID_NONE);
	assert_int_equal(verifier_decoder(verifier), DECODER_IMPOSSIBLE);
	verifier_free(verifier);
}

static void a_verifier_may_be_left_in_the_middle(void **state)
{
	(void)state;
	static const enum decoder wrappings[] = {DECODER_NONE, DECODER_GZIP, DECODER_ZSTD};
	for (size_t i = 0; i < array_count(wrappings); i++) {
		auto_buf struct buf bytes;
		wrap(&bytes, wrappings[i]);
		struct digest digest = digest_of(DIGEST_SHA512, bytes.data, bytes.length);
		bytes.length /= 2;
		verifier_free(verifier_fed(GZIP, digest, 1000, &bytes));
	}
	verifier_free(NULL);
}

struct worker {
	pthread_t thread;
	unsigned wrong;
};

static void *prove_over_and_over(void *argument)
{
	struct worker *worker = argument;
	struct digest content_digest = digest_of(DIGEST_SHA256, content, sizeof content);
	for (int i = 0; i < 2000; i++) {
		auto_buf struct buf bytes;
		struct digest diff_id;
		wrap(&bytes, DECODER_GZIP);
		struct digest digest = digest_of(DIGEST_SHA256, bytes.data, bytes.length);
		struct verifier *verifier = verifier_fed(GZIP, digest, (int64_t)bytes.length, &bytes);
		worker->wrong += !verifier_check(verifier, NULL) ||
				 verifier_diff_id(verifier, &diff_id, NULL) != DIFF_ID_PROVEN ||
				 !digest_equal(&diff_id, &content_digest);
		verifier_free(verifier);
	}
	return NULL;
}

/* The decoders' memory is used again, whichever worker has the next layer. */
static void layers_on_many_workers_are_decoded_apart(void **state)
{
	(void)state;
	struct worker workers[8] = {0};
	for (size_t i = 0; i < array_count(workers); i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, prove_over_and_over, &workers[i]), 0);
	for (size_t i = 0; i < array_count(workers); i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
}

struct half {
	struct verifier *verifier;
	const struct buf *bytes;
	size_t piece;
};

static void *hash_all(void *argument)
{
	const struct half *half = argument;
	for (size_t at = 0; at < half->bytes->length; at += half->piece) {
		size_t left = half->bytes->length - at;
		verifier_hash(half->verifier, half->bytes->data + at, left < half->piece ? left : half->piece);
	}
	return NULL;
}

/* Each half on a thread, by pieces of its own. ThreadSanitizer sees what they share. */
static void the_halves_do_not_need_each_other(void **state)
{
	(void)state;
	static const enum decoder wrappings[] = {DECODER_NONE, DECODER_GZIP, DECODER_ZSTD};
	for (size_t i = 0; i < array_count(wrappings); i++) {
		auto_buf struct buf bytes;
		wrap(&bytes, wrappings[i]);
		struct descriptor blob = {.media_type = (char *)GZIP, .size = (int64_t)bytes.length};
		blob.digest = digest_of(DIGEST_SHA256, bytes.data, bytes.length);
		struct verifier *verifier = verifier_new(&blob, true);
		struct half half = {verifier, &bytes, 7};
		pthread_t thread;
		assert_false(verifier_has_halves(verifier));
		assert_int_equal(pthread_create(&thread, NULL, hash_all, &half), 0);
		for (size_t at = 0; at < bytes.length; at += 5)
			verifier_inflate(verifier, bytes.data + at, bytes.length - at < 5 ? bytes.length - at : 5);
		pthread_join(thread, NULL);
		assert_int_equal(verifier_has_halves(verifier), wrappings[i] != DECODER_NONE);
		struct digest diff_id = {0}, expected = digest_of(DIGEST_SHA256, content, sizeof content);
		assert_true(verifier_check(verifier, NULL));
		assert_int_equal(verifier_diff_id(verifier, &diff_id, NULL), DIFF_ID_PROVEN);
		assert_string_equal(diff_id.text, expected.text);
		verifier_free(verifier);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_media_type_decides_whether_and_the_magic_decides_how),
		cmocka_unit_test(a_diff_id_is_sha256_whatever_the_digest_is),
		cmocka_unit_test(a_blob_that_is_not_what_its_descriptor_says_is_corrupt),
		cmocka_unit_test(a_digest_that_cannot_be_computed_is_unsupported),
		cmocka_unit_test(the_digest_of_a_broken_stream_is_still_checked),
		cmocka_unit_test(tiny_blobs_have_a_verdict),
		cmocka_unit_test(nothing_is_inflated_that_is_not_wanted),
		cmocka_unit_test(a_verifier_may_be_left_in_the_middle),
		cmocka_unit_test(layers_on_many_workers_are_decoded_apart),
		cmocka_unit_test(the_halves_do_not_need_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
