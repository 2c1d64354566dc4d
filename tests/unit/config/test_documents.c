/* covers: DESIGN 8 */
#include "base/limits.h"
#include "config/load.h"

#include <stdlib.h>

/* A page of docs/, which CTest says where it is. New memory. */
static char *document(const char *name)
{
	const char *docs = getenv("DRAY_DOCS");
	assert_non_null(docs);
	auto_free char *page = memory_format("%s/%s", docs, name);
	auto_buf struct buf bytes;
	struct error err;
	buf_init(&bytes, MIB);
	if (!file_read(page, &bytes, &err))
		fail_msg("%s", err.text);
	return buf_take(&bytes, NULL);
}

static void the_page_has_the_table_that_the_schema_makes(void **state)
{
	(void)state;
	auto_free char *page = document("configuration.md");
	auto_free char *table = config_reference_page();
	if (!strstr(page, table)) {
		fputs(table, stdout);
		fail_msg("docs/configuration.md has not this table");
	}
}

static void the_example_is_right(void **state)
{
	(void)state;
	setenv("MIRROR_PASSWORD", "s3cret", 1);
	auto_free char *example = document("example.yaml");
	struct config *config = load_good(example);
	assert_int_equal(config->repository_count, 7);
	assert_string_equal(config->registries[0].password, "s3cret");
	config_free(config);
}

/* Keys that name files stand in comments: of them, nothing but the files may be wrong. */
static void the_commented_keys_of_the_example_are_right(void **state)
{
	(void)state;
	static const char *const keys[] = {"# auth-file: ", "# tls: ", "# staging: "};
	setenv("MIRROR_PASSWORD", "s3cret", 1);
	auto_free char *example = document("example.yaml");
	for (size_t i = 0; i < array_count(keys); i++) {
		char *key = strstr(example, keys[i]);
		assert_non_null(key);
		memmove(key, key + 2, strlen(key + 2) + 1);
	}
	char *lines;
	config_free(load_text(example, &lines));
	for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (!strstr(line, ": /etc/dray/"))
			fail_msg("%s", line);
	}
	free(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_has_the_table_that_the_schema_makes),
		cmocka_unit_test(the_example_is_right),
		cmocka_unit_test(the_commented_keys_of_the_example_are_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
