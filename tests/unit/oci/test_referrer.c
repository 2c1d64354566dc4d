#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/referrer.h"

/* covers: RFR-5, RFR-6, RFR-8, RFR-16, RFR-17, T-85 */

#define HEX64 "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define A64   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void tag_is_made_of_the_digest_and_a_long_one_is_cut(void **state)
{
	static const struct {
		const char *digest, *cut, *whole;
	} rows[] = {
		{"sha256:" HEX64, "sha256-" HEX64, "sha256-" HEX64},
		{"sha512:" A64 B64, "sha512-" A64, "sha512-" A64 B64},
		{"x+y:a=b_c-d", "x-y-a-b_c-d", "x-y-a-b_c-d"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct digest digest;
		assert_true(digest_parse(rows[i].digest, &digest, NULL));
		auto_free char *cut = referrer_tag(&digest, false), *whole = referrer_tag(&digest, true);
		assert_string_equal(cut, rows[i].cut);
		assert_string_equal(whole, rows[i].whole);
		assert_true(referrer_tag_is_of(cut, &digest) && referrer_tag_is_of(whole, &digest));
		assert_false(referrer_tag_is_of("sha256-" A64, &digest));
	}
}

static void tags_of_referrers_are_known_by_their_form(void **state)
{
	static const struct {
		const char *tag, *subject;
		enum referrer_tag_kind kind;
	} rows[] = {
		{"sha256-" HEX64, "sha256:" HEX64, REFERRER_TAG_LIST},
		{"sha256-" HEX64 ".sig", "sha256:" HEX64, REFERRER_TAG_COSIGN},
		{"sha256-" HEX64 ".att", "sha256:" HEX64, REFERRER_TAG_COSIGN},
		{"sha256-" HEX64 ".sbom", "sha256:" HEX64, REFERRER_TAG_COSIGN},
		{"sha512-" A64, "", REFERRER_TAG_LIST},
		{"sha512-" A64 B64, "sha512:" A64 B64, REFERRER_TAG_LIST},
		{"sha512-" A64 B64 ".sig", "sha512:" A64 B64, REFERRER_TAG_COSIGN},
		{"sha512-" A64 ".sig", "", REFERRER_TAG_NONE},
		{"sha256-" HEX64 ".txt", "", REFERRER_TAG_NONE},
		{"sha256-" HEX64 ".sig.old", "", REFERRER_TAG_NONE},
		{"sha256-" HEX64 "0", "", REFERRER_TAG_NONE},
		{"sha256-ABCD", "", REFERRER_TAG_NONE},
		{"sha256-", "", REFERRER_TAG_NONE},
		{"sha384-" HEX64, "", REFERRER_TAG_NONE},
		{"v1", "", REFERRER_TAG_NONE},
		{"xsha256-" HEX64, "", REFERRER_TAG_NONE},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct digest subject;
		if (referrer_tag_parse(rows[i].tag, &subject) != rows[i].kind ||
			(rows[i].kind != REFERRER_TAG_NONE && !str_is(subject.text, rows[i].subject)))
			fail_msg("%s", rows[i].tag);
	}
}

static void cosign_tags_have_their_endings(void **state)
{
	struct digest digest;
	(void)state;
	assert_true(digest_parse("sha256:" HEX64, &digest, NULL));
	for (int i = 0; i < REFERRER_COSIGN_TAGS; i++) {
		struct digest subject;
		auto_free char *tag = referrer_cosign_tag(&digest, i);
		assert_int_equal(referrer_tag_parse(tag, &subject), REFERRER_TAG_COSIGN);
		assert_true(digest_equal(&subject, &digest));
	}
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

#define MANIFEST(more)                                                                                                 \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"," more                                          \
	"\"config\":{\"mediaType\":\"application/x.config\",\"digest\":\"sha256:" A64 "\",\"size\":2},\"layers\":[]}"
#define INDEX(more) "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\"," more "\"manifests\":[]}"

static char *merge(const char *list, const char *manifest, const char *type, struct error *err)
{
	auto_buf struct buf bytes;
	char *out = NULL;
	struct descriptor descriptor = {.media_type = memory_text(type), .size = (int64_t)strlen(manifest)};
	struct referrer referrer = {&descriptor, manifest};
	descriptor.digest = digest_of(DIGEST_SHA256, manifest, strlen(manifest));
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	if (list)
		assert_true(buf_append(&bytes, list, strlen(list), NULL));
	err->kind = ERR_NONE;
	(void)!referrer_list_merge(list ? &bytes : NULL, &referrer, 1, &out, err);
	descriptor_release(&descriptor);
	return out;
}

/* What is in an entry, but for its digest and size. */
static void entry_says_what_the_manifest_does(void **state)
{
	static const struct {
		const char *manifest, *type, *entry, *why;
	} rows[] = {
		{MANIFEST(""), MEDIA_OCI_MANIFEST, ",\"artifactType\":\"application/x.config\"}]}", "config's type"},
		{MANIFEST("\"artifactType\":\"application/x.own\","), "", ",\"artifactType\":\"application/x.own\"}]}",
			"its own type comes first"},
		{MANIFEST("\"artifactType\":\"\","), "", ",\"artifactType\":\"application/x.config\"}]}", "empty"},
		{MANIFEST("\"annotations\":{\"a\":\"1\",\"b\":\"\"},"), "",
			",\"annotations\":{\"a\":\"1\",\"b\":\"\"},\"artifactType\":\"application/x.config\"}]}",
			"all annotations"},
		{INDEX(""), MEDIA_OCI_INDEX, "}]}", "an index has no type of a config"},
		{INDEX("\"artifactType\":\"application/x.own\","), MEDIA_OCI_INDEX,
			",\"artifactType\":\"application/x.own\"}]}", "but its own"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct error err;
		auto_free char *list = merge(NULL, rows[i].manifest, rows[i].type, &err);
		struct digest digest = digest_of(DIGEST_SHA256, rows[i].manifest, strlen(rows[i].manifest));
		auto_free char *wanted = memory_format("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX
						       "\",\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
						       "\"size\":%zu%s",
			strstr(rows[i].manifest, "\"layers\"") ? MEDIA_OCI_MANIFEST : MEDIA_OCI_INDEX, digest.text,
			strlen(rows[i].manifest), rows[i].entry);
		if (!str_is(list, wanted))
			fail_msg("%s: %s\nand not %s", rows[i].why, list, wanted);
		auto_free char *again = merge(list, rows[i].manifest, rows[i].type, &err);
		if (again || err.kind != ERR_NONE)
			fail_msg("%s: added twice", rows[i].why);
	}
}

#define OTHER "{\"mediaType\":\"m\",\"digest\":\"sha256:" B64 "\",\"size\":5,\"unknown\":[1]}"

static void what_others_wrote_stays(void **state)
{
	static const char *const lists[] = {
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"x\":1,\"manifests\":[" OTHER "]}",
		"{\"schemaVersion\":2,\"manifests\":[" OTHER "],\"annotations\":{\"k\":\"v\"}}",
		"{\"schemaVersion\":2,\"manifests\":null}",
	};
	static const char *const merged[] = {
		"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"x\":1,\"manifests\":[" OTHER ",{",
		"{\"schemaVersion\":2,\"manifests\":[" OTHER ",{",
		"{\"schemaVersion\":2,\"manifests\":[{",
	};
	(void)state;
	for (size_t i = 0; i < array_count(lists); i++) {
		struct error err;
		auto_free char *list = merge(lists[i], MANIFEST(""), MEDIA_OCI_MANIFEST, &err);
		if (!list || !str_starts_with(list, merged[i]))
			fail_msg("%s", list);
	}
}

static void what_is_no_list_is_not_written(void **state)
{
	static const char *const lists[] = {
		"{}",
		"<html>",
		MANIFEST(""),
		"{\"mediaType\":\"application/vnd.docker.distribution.manifest.list.v2+json\",\"manifests\":[]}",
	};
	(void)state;
	for (size_t i = 0; i < array_count(lists); i++) {
		struct error err;
		auto_free char *list = merge(lists[i], MANIFEST(""), MEDIA_OCI_MANIFEST, &err);
		if (list || err.kind != ERR_INVALID)
			fail_msg("%s", lists[i]);
	}
}

static void what_is_gone_leaves_the_list(void **state)
{
	static const char list[] = "{\"schemaVersion\":2,\"manifests\":[" OTHER "],\"y\":2}";
	auto_buf struct buf bytes;
	struct digest other, another;
	struct error err;
	char *out;
	(void)state;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	assert_true(buf_append(&bytes, list, strlen(list), NULL));
	assert_true(digest_parse("sha256:" B64, &other, NULL) && digest_parse("sha256:" A64, &another, NULL));
	assert_true(referrer_list_without(&bytes, &another, &out, &err));
	assert_null(out);
	assert_true(referrer_list_without(&bytes, &other, &out, &err));
	assert_string_equal(out, "{\"schemaVersion\":2,\"manifests\":[],\"y\":2}");
	free(out);
}

static char *long_list(int count)
{
	char *list = memory_text("{\"schemaVersion\":2,\"manifests\":[");
	for (int i = 0; i < count; i++) {
		char *longer = memory_format(
			"%s%s{\"mediaType\":\"m\",\"digest\":\"sha256:%064d\",\"size\":1}", list, i > 0 ? "," : "", i);
		free(list);
		list = longer;
	}
	char *whole = memory_format("%s]}", list);
	free(list);
	return whole;
}

static void lists_have_an_end(void **state)
{
	struct error err;
	(void)state;
	for (int more = 0; more < 2; more++) {
		auto_referrer_list struct referrer_list list = {0};
		auto_free char *text = long_list(LIMIT_REFERRERS + more);
		bool ok = referrer_list_add(&list, text, strlen(text), MEDIA_OCI_INDEX, &err);
		assert_int_equal(ok, more == 0);
		if (ok) /* the same once more is not more */
			assert_true(referrer_list_add(&list, text, strlen(text), MEDIA_OCI_INDEX, &err));
		assert_int_equal(list.count, LIMIT_REFERRERS);
		assert_true(ok || err.kind == ERR_TOO_LARGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tag_is_made_of_the_digest_and_a_long_one_is_cut),
		cmocka_unit_test(tags_of_referrers_are_known_by_their_form),
		cmocka_unit_test(cosign_tags_have_their_endings),
		cmocka_unit_test(entry_says_what_the_manifest_does),
		cmocka_unit_test(what_others_wrote_stays),
		cmocka_unit_test(what_is_no_list_is_not_written),
		cmocka_unit_test(what_is_gone_leaves_the_list),
		cmocka_unit_test(lists_have_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
