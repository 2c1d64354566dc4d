/* covers: REF-6, MAN-8, T-37 */
#include "oci/digest.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEX_62 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
#define HEX_64 HEX_62 "55"

static void there_is_one_grammar(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum digest_algorithm algorithm; /* DIGEST_NONE: refused */
		const char *why;
	} rows[] = {
		{"sha256:" HEX_64, DIGEST_SHA256, "ordinary"},
		{"sha512:" HEX_64 HEX_64, DIGEST_SHA512, "ordinary"},
		{"blake3:" HEX_64, DIGEST_UNKNOWN, "registered later"},
		{"sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", DIGEST_UNKNOWN, "image-spec's example"},
		{"multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", DIGEST_UNKNOWN, "and the other"},
		{"a:b", DIGEST_UNKNOWN, "the shortest"},
		{"", DIGEST_NONE, "empty"},
		{"sha256", DIGEST_NONE, "no colon"},
		{"sha256:", DIGEST_NONE, "nothing encoded"},
		{":" HEX_64, DIGEST_NONE, "no algorithm"},
		{"sha256:" HEX_62 "5", DIGEST_NONE, "63 digits"},
		{"sha256:" HEX_64 "5", DIGEST_NONE, "65 digits"},
		{"sha512:" HEX_64, DIGEST_NONE, "sha512 is longer"},
		{"sha256:" HEX_62 "5g", DIGEST_NONE, "g is no hex digit"},
		{"sha256:" HEX_62 "5B", DIGEST_NONE, "upper case: two names for one thing"},
		{"SHA256:" HEX_64, DIGEST_NONE, "upper case"},
		{"sha256::" HEX_64, DIGEST_NONE, "two colons"},
		{" sha256:" HEX_64, DIGEST_NONE, "a blank"},
		{"sha256:" HEX_64 "\n", DIGEST_NONE, "a newline"},
		{"sha256:" HEX_64 "/", DIGEST_NONE, "a slash"},
		{"sha256:../../../etc/passwd", DIGEST_NONE, "traversal (CVE-2024-3727)"},
		{"..:" HEX_64, DIGEST_NONE, "traversal by algorithm"},
		{"a..b:" HEX_64, DIGEST_NONE, "two separators"},
		{"a/b:" HEX_64, DIGEST_NONE, "a directory more"},
		{"a.:" HEX_64, DIGEST_NONE, "separator at the end"},
		{".a:" HEX_64, DIGEST_NONE, "a hidden directory"},
		{"a:..", DIGEST_NONE, "dots"},
		{"a:%2e%2e", DIGEST_NONE, "encoded dots"},
		{"a:\xc3\xa4", DIGEST_NONE, "not ASCII"},
		{"abcdefghijklmnopqrstuvwxyz0123456:x", DIGEST_NONE, "no algorithm has 33 letters"},
		{"a:" HEX_64 HEX_64 HEX_64, DIGEST_NONE, "too long to be one"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct digest digest = {.text = "untouched"};
		struct error err = {0};
		bool fine = digest_parse(rows[i].text, &digest, &err);
		if (fine != (rows[i].algorithm != DIGEST_NONE))
			fail_msg("%s: %s", rows[i].text, rows[i].why);
		assert_int_equal(digest.algorithm, rows[i].algorithm);
		assert_string_equal(digest.text, fine ? rows[i].text : "untouched");
		assert_int_equal(err.kind, fine ? ERR_NONE : ERR_INVALID);
	}
}

static void a_refused_digest_is_shown_without_its_controls(void **state)
{
	(void)state;
	struct digest digest;
	struct error err = {0};
	assert_false(digest_parse("sha256:\033]0;x", &digest, &err));
	assert_null(strchr(err.text, '\033'));
}

static void hashes_are_those_of_the_standard(void **state)
{
	(void)state;
	struct digest digest = digest_of(DIGEST_SHA256, "", 0);
	assert_string_equal(digest.text, "sha256:" HEX_64);
	digest = digest_of(DIGEST_SHA256, "{}", 2);
	assert_string_equal(
		digest.text, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"); /* IDX-11 */
	digest = digest_of(DIGEST_SHA512, "abc", 3);
	assert_string_equal(digest.text, "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
					 "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
	assert_int_equal(digest.algorithm, DIGEST_SHA512);
}

static void a_running_hash_does_not_see_where_it_was_cut(void **state)
{
	(void)state;
	static const char bytes[] = "the bytes of a layer, cut wherever the network likes";
	struct digest whole = digest_of(DIGEST_SHA256, bytes, sizeof bytes);
	for (size_t cut = 0; cut <= sizeof bytes; cut++) {
		struct hasher *hasher = hasher_new(DIGEST_SHA256);
		hasher_update(hasher, bytes, cut);
		hasher_update(hasher, bytes + cut, sizeof bytes - cut);
		struct digest digest = hasher_finish(hasher);
		hasher_free(hasher);
		assert_true(digest_equal(&digest, &whole));
	}
	hasher_free(NULL);
}

static void checking_tells_wrong_from_unknown(void **state)
{
	(void)state;
	struct digest expected = digest_of(DIGEST_SHA512, "abc", 3), unknown, none = {0};
	struct error err = {0};
	assert_true(digest_check(&expected, "abc", 3, &err));
	assert_false(digest_check(&expected, "abd", 3, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_true(digest_parse("blake3:" HEX_64, &unknown, NULL));
	assert_false(digest_is_verifiable(&unknown));
	assert_false(digest_check(&unknown, "abc", 3, &err));
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_false(digest_check(&none, "", 0, &err));
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
}

static void parts_are_for_paths_and_a_short_form_is_for_humans(void **state)
{
	(void)state;
	static const struct {
		const char *text, *algorithm, *encoded, *brief;
	} rows[] = {
		{"sha256:" HEX_64, "sha256", HEX_64, "sha256:e3b0c44298fc"},
		{"a:b", "a", "b", "a:b"},
		{"abcdefghijklmnopqrstuvwxyz01234:0", "abcdefghijklmnopqrstuvwxyz01234", "0",
			"abcdefghijklmnopqrstuvw"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct digest digest;
		char name[32], brief[24];
		assert_true(digest_parse(rows[i].text, &digest, NULL));
		assert_string_equal(digest_algorithm_name(&digest, name), rows[i].algorithm);
		assert_string_equal(digest_encoded(&digest), rows[i].encoded);
		assert_string_equal(digest_short(&digest, brief), rows[i].brief);
	}
	struct digest none = {0};
	char name[32], brief[24];
	assert_true(digest_is_empty(&none));
	assert_string_equal(digest_algorithm_name(&none, name), "");
	assert_string_equal(digest_encoded(&none), "");
	assert_string_equal(digest_short(&none, brief), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_one_grammar),
		cmocka_unit_test(a_refused_digest_is_shown_without_its_controls),
		cmocka_unit_test(hashes_are_those_of_the_standard),
		cmocka_unit_test(a_running_hash_does_not_see_where_it_was_cut),
		cmocka_unit_test(checking_tells_wrong_from_unknown),
		cmocka_unit_test(parts_are_for_paths_and_a_short_form_is_for_humans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
