/* covers: IDX-6, IDX-7, IDX-8, T-30, T-35 */
#include "oci/manifest.h"

#include "base/limits.h"
#include "oci/documents.h"

#define IMAGE(letter, os, architecture, more)                                                                          \
	ENTRY(OCI_MANIFEST, letter, "100",                                                                             \
		",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" architecture "\"" more "}")
#define ATTESTATION(letter, of)                                                                                        \
	ENTRY(OCI_MANIFEST, letter, "100",                                                                             \
		",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\",\"vnd.docker.reference."     \
		"digest\":\"" DIGEST_OF(of) "\"},\"platform\":{\"architecture\":\"unknown\",\"os\":\"unknown\"}")

#define AMD64     IMAGE("a", "linux", "amd64", "")
#define ARM64     IMAGE("b", "linux", "arm64", ",\"variant\":\"v8\"")
#define WINDOWS   IMAGE("c", "windows", "amd64", ",\"os.version\":\"10.0.20348.2227\"")
#define AMD64_ATT ATTESTATION("d", "a")
#define ARM64_ATT ATTESTATION("e", "b")
#define BARE      ENTRY(OCI_MANIFEST, "f", "100", "")

#define HEAD "{\"zeta\":[1,{\"b\":null,\"a\":1.5}],\"schemaVersion\":2," TYPE(OCI_INDEX) ",\"manifests\":["
#define TAIL "],\"annotations\":{\"z\":\"gr\xc3\xbc\xc3\x9f\",\"a\":\"/\"},\"alpha\":true}"

#define EVERYTHING HEAD AMD64 "," BARE "," ARM64_ATT "," ARM64 "," AMD64_ATT "," WINDOWS TAIL

struct answer {
	struct buf bytes;
	size_t kept;
	struct error err;
};

static void release_answer(struct answer *answer)
{
	buf_release(&answer->bytes);
}
#define auto_answer __attribute__((cleanup(release_answer)))

/* @wishes: with commas between. */
static bool selects(const char *text, const char *wishes, struct answer *answer)
{
	struct platform platforms[8];
	size_t count = 0;
	auto_free char *list = memory_text(wishes);
	for (char *rest = list, *wish; (wish = strsep(&rest, ",")) != NULL;)
		assert_true(platform_parse(wish, &platforms[count++], NULL));
	*answer = (struct answer){.kept = 77};
	buf_init(&answer->bytes, LIMIT_MANIFEST_BYTES);
	return manifest_select_platforms(
		text, strlen(text), platforms, count, &answer->bytes, &answer->kept, &answer->err);
}

static void what_was_asked_for_stays_with_its_attestations(void **state)
{
	(void)state;
	static const struct {
		const char *wishes, *out;
		size_t kept;
	} rows[] = {
		{"linux/amd64", HEAD AMD64 "," AMD64_ATT TAIL, 1},
		{"linux/arm64", HEAD ARM64_ATT "," ARM64 TAIL, 1},
		{"linux/arm64/v8", HEAD ARM64_ATT "," ARM64 TAIL, 1},
		{"windows/amd64", HEAD WINDOWS TAIL, 1},
		{"linux/arm64,linux/amd64", HEAD AMD64 "," ARM64_ATT "," ARM64 "," AMD64_ATT TAIL, 2},
		{"linux/amd64,linux/s390x", HEAD AMD64 "," AMD64_ATT TAIL, 1},
		{"linux/amd64,linux/amd64", HEAD AMD64 "," AMD64_ATT TAIL, 1},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_answer struct answer answer;
		assert_true(selects(EVERYTHING, rows[i].wishes, &answer));
		assert_string_equal(buf_peek(&answer.bytes), rows[i].out);
		assert_int_equal(answer.kept, rows[i].kept);
		auto_answer struct answer again;
		assert_true(selects(buf_peek(&answer.bytes), rows[i].wishes, &again));
		assert_string_equal(buf_peek(&again.bytes), rows[i].out);
	}
}

static void attestations_are_found_in_whatever_order_the_images_stand(void **state)
{
	(void)state;
	auto_answer struct answer answer;
	assert_true(selects(HEAD AMD64_ATT "," ARM64 "," WINDOWS "," AMD64 "," BARE "," ARM64_ATT TAIL,
		"linux/amd64,linux/arm64,windows/amd64", &answer));
	assert_string_equal(buf_peek(&answer.bytes), HEAD AMD64_ATT "," ARM64 "," WINDOWS "," AMD64 "," ARM64_ATT TAIL);
	assert_int_equal(answer.kept, 3);
}

static void where_everything_is_kept_the_bytes_are_the_publishers(void **state)
{
	(void)state;
	static const char text[] = "{ \"manifests\" :\r\n[" AMD64 " , " AMD64_ATT "], \"x\": 1.0 }\n";
	auto_answer struct answer answer;
	assert_true(selects(text, "linux/amd64", &answer));
	assert_string_equal(buf_peek(&answer.bytes), text);
}

static void an_attestation_is_never_the_image(void **state)
{
	(void)state;
	auto_answer struct answer answer;
	assert_false(selects(HEAD AMD64_ATT "," BARE TAIL, "unknown/unknown", &answer));
	assert_int_equal(answer.err.kind, ERR_NOT_FOUND);
}

static void with_none_the_error_names_what_there_is(void **state)
{
	(void)state;
	auto_answer struct answer answer, empty;
	assert_false(selects(EVERYTHING, "linux/s390x", &answer));
	assert_int_equal(answer.err.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(answer.err.text, "there are: linux/amd64 linux/arm64/v8 windows/amd64"));
	assert_null(strstr(answer.err.text, "unknown"));
	assert_int_equal(answer.bytes.length, 0);
	assert_int_equal(answer.kept, 77);
	assert_false(selects(HEAD TAIL, "linux/s390x", &empty));
	assert_non_null(strstr(empty.err.text, "there are: none"));
}

static void foreign_platforms_do_not_break_the_line(void **state)
{
	(void)state;
	auto_buf struct buf text;
	auto_answer struct answer answer;
	buf_init(&text, LIMIT_MANIFEST_BYTES);
	assert_true(buf_appendf(&text, NULL, HEAD));
	for (int i = 0; i < 100; i++)
		assert_true(buf_appendf(
			&text, NULL, "%s" IMAGE("a", "\\u001b[2J", "\\n\\n\\n\\n\\n\\n", ""), i ? "," : ""));
	assert_true(buf_appendf(&text, NULL, TAIL));
	assert_false(selects(buf_peek(&text), "linux/amd64", &answer));
	assert_non_null(strstr(answer.err.text, "\\x1b[2J"));
	assert_null(strpbrk(answer.err.text, "\033\n"));
}

static void only_an_index_has_platforms_to_select(void **state)
{
	(void)state;
	auto_answer struct answer answer, broken;
	assert_false(selects("{" CONFIG "," LAYERS(LAYER) "}", "linux/amd64", &answer));
	assert_int_equal(answer.err.kind, ERR_CORRUPT);
	assert_false(selects("{\"manifests\":[{}]}", "linux/amd64", &broken));
	assert_int_equal(broken.err.kind, ERR_CORRUPT);
}

static void an_index_as_deep_as_allowed_is_written_too(void **state)
{
	(void)state;
	auto_buf struct buf text;
	auto_answer struct answer answer;
	buf_init(&text, LIMIT_MANIFEST_BYTES);
	assert_true(buf_appendf(&text, NULL, "{\"manifests\":[" AMD64 "," ARM64 "],\"deep\":"));
	for (int i = 1; i < LIMIT_JSON_DEPTH; i++)
		assert_true(buf_append(&text, "[", 1, NULL));
	for (int i = 1; i < LIMIT_JSON_DEPTH; i++)
		assert_true(buf_append(&text, "]", 1, NULL));
	assert_true(buf_append(&text, "}", 1, NULL));
	assert_true(selects(buf_peek(&text), "linux/amd64", &answer));
	assert_non_null(strstr(buf_peek(&answer.bytes), "[[[]]]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_asked_for_stays_with_its_attestations),
		cmocka_unit_test(attestations_are_found_in_whatever_order_the_images_stand),
		cmocka_unit_test(where_everything_is_kept_the_bytes_are_the_publishers),
		cmocka_unit_test(an_attestation_is_never_the_image),
		cmocka_unit_test(with_none_the_error_names_what_there_is),
		cmocka_unit_test(foreign_platforms_do_not_break_the_line),
		cmocka_unit_test(only_an_index_has_platforms_to_select),
		cmocka_unit_test(an_index_as_deep_as_allowed_is_written_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
