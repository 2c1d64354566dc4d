/* covers: BLB-13, IDX-3, IDX-7, LAY-7, LAY-9, T-16, T-31, T-32, T-36, T-37 */
#include "oci/descriptor.h"

#include "oci/documents.h"

static bool reads(const char *text, struct descriptor *descriptor, struct error *err)
{
	auto_json json_t *object = NULL;
	return json_parse(text, strlen(text), &object, err) && descriptor_read(object, descriptor, err);
}

static void three_fields_are_a_descriptor(void **state)
{
	(void)state;
	struct descriptor d = {0};
	struct error err = {0};
	assert_true(reads(ENTRY(OCI_LAYER, "1", "10", ""), &d, &err));
	assert_string_equal(d.media_type, OCI_LAYER);
	assert_string_equal(d.digest.text, DIGEST_OF("1"));
	assert_int_equal(d.size, 10);
	assert_true(platform_is_empty(&d.platform));
	assert_true(digest_is_empty(&d.attests));
	assert_int_equal(d.url_count, 0);
	assert_null(d.data);
	assert_null(d.reference_name);
	assert_null(d.containerd_name);
	descriptor_release(&d);
	descriptor_release(&d);
}

static void everything_else_is_read_where_it_is(void **state)
{
	(void)state;
	struct descriptor d = {0}, copy;
	assert_true(reads(ENTRY("", "1", "0",
				  ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"},"
				  "\"urls\":[\"https://x\",7,\"https://y\"],"
				  "\"artifactType\":\"t\",\"annotations\":{\"other\":\"x\",\"odd\":1,"
				  "\"org.opencontainers.image.ref.name\":\"docker.io/library/alpine:3\","
				  "\"io.containerd.image.name\":\"docker.io/library/alpine:3.20\","
				  "\"vnd.docker.reference.digest\":\"" DIGEST_OF("2") "\"}"),
		&d, NULL));
	descriptor_copy(&copy, &d);
	descriptor_release(&d);
	assert_string_equal(copy.media_type, "");
	assert_string_equal(copy.platform.variant, "v8");
	assert_int_equal(copy.url_count, 2);
	assert_string_equal(copy.urls[0], "https://x");
	assert_string_equal(copy.urls[1], "https://y");
	assert_string_equal(copy.reference_name, "docker.io/library/alpine:3");
	assert_string_equal(copy.containerd_name, "docker.io/library/alpine:3.20");
	assert_string_equal(copy.attests.text, DIGEST_OF("2"));
	descriptor_release(&copy);
}

/* BLB-13: two bytes, "{}", that hash to what is said; else it is neither used nor fetched. */
static void content_that_comes_along_is_proven(void **state)
{
#define EMPTY "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	(void)state;
	static const struct {
		const char *digest, *size, *data;
		bool has, wrong;
	} rows[] = {
		{EMPTY, "2", "\"e30=\"", true, false},
		{EMPTY, "2", "\"e30\"", true, false},
		{EMPTY, "2", "null", false, false},
		{"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "0", "\"\"", true, false},
		{EMPTY, "3", "\"e30=\"", false, true},
		{EMPTY, "2", "\"W10=\"", false, true},
		{EMPTY, "2", "\"\"", false, true},
		{EMPTY, "2", "\"{}\"", false, true},
		{EMPTY, "9223372036854775807", "\"e30=\"", false, true},
		{"blake3:0123", "2", "\"e30=\"", false, false},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct descriptor d = {0}, copy;
		auto_free char *text = memory_format(
			"{\"digest\":\"%s\",\"size\":%s,\"data\":%s}", rows[i].digest, rows[i].size, rows[i].data);
		assert_true(reads(text, &d, NULL));
		descriptor_copy(&copy, &d);
		descriptor_release(&d);
		if ((copy.data != NULL) != rows[i].has || descriptor_check_data(&copy, NULL) == rows[i].wrong)
			fail_msg("%s", text);
		if (copy.data)
			assert_memory_equal(copy.data, "{}", (size_t)copy.size);
		descriptor_release(&copy);
	}
}

static void annotations_are_free_text(void **state)
{
	(void)state;
	static const char *const annotations[] = {
		"{\"vnd.docker.reference.digest\":\"sha256:../../x\"}",
		"{\"vnd.docker.reference.digest\":7}",
		"{\"VND.docker.reference.digest\":\"" DIGEST_OF("2") "\"}",
		"{}",
		"null",
	};
	for (size_t i = 0; i < array_count(annotations); i++) {
		struct descriptor d = {0};
		auto_free char *text =
			memory_format("{\"mediaType\":\"t\",\"digest\":\"%s\",\"size\":1,\"annotations\":%s}",
				DIGEST_OF("1"), annotations[i]);
		assert_true(reads(text, &d, NULL));
		assert_true(digest_is_empty(&d.attests));
		descriptor_release(&d);
	}
}

static void what_cannot_be_fetched_and_proven_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"[]",
		"{}",
		"{\"mediaType\":\"t\",\"size\":1}",
		"{\"mediaType\":\"t\",\"digest\":\"" DIGEST_OF("1") "\"}",
		"{\"mediaType\":\"t\",\"digest\":\"sha256:../../x\",\"size\":1}",
		"{\"mediaType\":\"t\",\"digest\":\"" DIGEST_OF("A") "\",\"size\":1}",
		"{\"mediaType\":\"t\",\"digest\":null,\"size\":1}",
		"{\"mediaType\":1,\"digest\":\"" DIGEST_OF("1") "\",\"size\":1}",
		"{\"mediaType\":\"t\",\"mediatype\":\"u\",\"digest\":\"" DIGEST_OF("1") "\",\"size\":1}",
		ENTRY("t", "1", "-1", ""),
		ENTRY("t", "1", "1.5", ""),
		ENTRY("t", "1", "9223372036854775808", ""),
		ENTRY("t", "1", "\"1\"", ""),
		ENTRY("t", "1", "1", ",\"platform\":\"linux/amd64\""),
		ENTRY("t", "1", "1", ",\"platform\":{\"os\":[]}"),
		ENTRY("t", "1", "1", ",\"annotations\":[]"),
		ENTRY("t", "1", "1", ",\"urls\":\"https://x\""),
	};
	for (size_t i = 0; i < array_count(texts); i++) {
		struct descriptor d = {.size = 77};
		struct error err = {0};
		if (reads(texts[i], &d, &err))
			fail_msg("%s", texts[i]);
		assert_int_equal(err.kind, ERR_CORRUPT);
		assert_int_equal(d.size, 77);
	}
}

static void a_digest_that_nobody_can_compute_still_parses(void **state)
{
	(void)state;
	struct descriptor d = {0};
	assert_true(reads("{\"mediaType\":\"t\",\"digest\":\"blake3:0123\",\"size\":9223372036854775807}", &d, NULL));
	assert_int_equal(d.digest.algorithm, DIGEST_UNKNOWN);
	assert_int_equal(d.size, INT64_MAX);
	descriptor_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_fields_are_a_descriptor),
		cmocka_unit_test(everything_else_is_read_where_it_is),
		cmocka_unit_test(content_that_comes_along_is_proven),
		cmocka_unit_test(annotations_are_free_text),
		cmocka_unit_test(what_cannot_be_fetched_and_proven_is_refused),
		cmocka_unit_test(a_digest_that_nobody_can_compute_still_parses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
