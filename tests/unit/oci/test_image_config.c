/* covers: LYR-8, T-36, T-37 */
#include "oci/image_config.h"

#include "base/buf.h"
#include "base/limits.h"
#include "oci/documents.h"

static bool parses(const char *text, struct image_config *config, struct error *err)
{
	return image_config_parse(text, strlen(text), config, err);
}

static void diff_ids_keep_their_positions(void **state)
{
	(void)state;
	struct image_config config = {0};
	assert_true(parses("{\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\",\"config\":{\"Env\":[]},"
			   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST_OF("2") "\",\"" DIGEST_OF(
				   "1") "\",\"" DIGEST_OF("2") "\"]},\"history\":[{\"empty_layer\":true}]}",
		&config, NULL));
	assert_int_equal(config.diff_id_count, 3);
	assert_string_equal(config.diff_ids[0].text, DIGEST_OF("2"));
	assert_string_equal(config.diff_ids[1].text, DIGEST_OF("1"));
	assert_string_equal(config.platform.architecture, "arm64");
	assert_string_equal(config.platform.variant, "v8");
	image_config_release(&config);
	image_config_release(&config);
}

static void a_config_may_have_no_diff_ids(void **state)
{
	(void)state;
	static const char *const texts[] = {"{}", "{\"rootfs\":null}", "{\"rootfs\":{}}",
		"{\"rootfs\":{\"diff_ids\":null}}", "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"};
	for (size_t i = 0; i < array_count(texts); i++) {
		struct image_config config = {0};
		assert_true(parses(texts[i], &config, NULL));
		assert_int_equal(config.diff_id_count, 0);
		image_config_release(&config);
	}
}

static void a_config_that_lies_about_types_is_corrupt(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "[]", "not JSON", "{\"os\":1}", "{\"rootfs\":[]}",
		"{\"rootfs\":{\"diff_ids\":{}}}", "{\"rootfs\":{\"diff_ids\":[1]}}",
		"{\"rootfs\":{\"diff_ids\":[null]}}",
		"{\"rootfs\":{\"diff_ids\":[\"" DIGEST_OF("1") "\",\"sha256:12\"]}}",
		"{\"rootfs\":{\"diff_ids\":[\"../../x\"]}}", "{\"RootFS\":{}}", "{\"rootfs\":{\"Diff_IDs\":[]}}",
		"{\"rootfs\":{},\"rootfs\":{}}"};
	for (size_t i = 0; i < array_count(texts); i++) {
		struct image_config config = {.diff_id_count = 77};
		struct error err = {0};
		if (parses(texts[i], &config, &err))
			fail_msg("%s", texts[i]);
		assert_int_equal(err.kind, ERR_CORRUPT);
		assert_int_equal(config.diff_id_count, 77);
	}
}

static void a_config_has_only_so_many_diff_ids(void **state)
{
	(void)state;
	struct image_config config = {0};
	struct error err = {0};
	auto_buf struct buf text;
	buf_init(&text, LIMIT_CONFIG_BYTES);
	assert_true(buf_appendf(&text, NULL, "{\"rootfs\":{\"diff_ids\":["));
	for (size_t i = 0; i <= LIMIT_LAYERS; i++)
		assert_true(buf_appendf(&text, NULL, "%s\"" DIGEST_OF("1") "\"", i ? "," : ""));
	assert_true(buf_appendf(&text, NULL, "]}}"));
	assert_false(image_config_parse(text.data, text.length, &config, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(diff_ids_keep_their_positions),
		cmocka_unit_test(a_config_may_have_no_diff_ids),
		cmocka_unit_test(a_config_that_lies_about_types_is_corrupt),
		cmocka_unit_test(a_config_has_only_so_many_diff_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
