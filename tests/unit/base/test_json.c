/* covers: T-30, T-31, T-32, MSC-6, MSC-7 */
#include "base/json.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool parses(const char *text, size_t length)
{
	auto_json json_t *root = NULL;
	struct error err = {0};
	bool ok = json_parse(text, length, &root, &err);
	assert_int_equal(err.kind, ok ? ERR_NONE : ERR_CORRUPT);
	assert_int_equal(root != NULL, ok);
	return ok;
}

static void no_byte_is_passed_over(void **state)
{
	(void)state;
	static const char behind_a_number[] = "{\"a\":10\0}", at_the_end[] = "{}\0", between[] = "{\0}";
	assert_false(parses(behind_a_number, sizeof behind_a_number - 1));
	assert_false(parses(at_the_end, sizeof at_the_end - 1));
	assert_false(parses(between, sizeof between - 1));
}

static void there_is_one_way_to_read_a_document(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool fine;
		const char *why;
	} rows[] = {
		{"{}", true, "the empty object"},
		{" [1, -1, 1.5, true, false, null, \"x\"]\r\n", true, "every type"},
		{"{\"a\":{\"b\":1},\"c\":{\"b\":1}}", true, "one key in two objects"},
		{"{\"a\":\"\\ud83d\\ude00\"}", true, "a pair of surrogates"},
		{"{\"a\":\"\\\\u0000\"}", true, "a backslash, then letters"},
		{"{\"a\":\"[[[{{{\"}", true, "brackets in text nest nothing"},
		{"", false, "empty"},
		{"   ", false, "blank"},
		{"1", false, "neither object nor array"},
		{"\"x\"", false, "neither object nor array"},
		{"{", false, "cut"},
		{"{\"a", false, "cut in a string"},
		{"{\"a\\", false, "cut in an escape"},
		{"{\"a\":1}}", false, "more than one document"},
		{"{} {}", false, "more than one document"},
		{"{\"a\":1,}", false, "a comma too many"},
		{"{\"a\":1,\"a\":1}", false, "a key twice"},
		{"{\"a\":1,\"\\u0061\":2}", false, "a key twice, once escaped"},
		{"{\"x\":{\"a\":1,\"a\":1}}", false, "a key twice, further in"},
		{"{\"a\\u0000b\":1}", false, "NUL in a key"},
		{"{\"a\":\"\\u0000\"}", false, "NUL in a value"},
		{"{\"a\":\"\\ud800\"}", false, "a lone surrogate"},
		{"{\"a\":\"\xff\"}", false, "no UTF-8"},
		{"{\"a\":\"\xc0\x80\"}", false, "overlong NUL"},
		{"\xef\xbb\xbf{}", false, "a byte order mark"},
		{"{\"a\":NaN}", false, "NaN"},
		{"{\"a\":Infinity}", false, "Infinity"},
		{"{\"a\":1e999}", false, "no such number"},
		{"{\"a\":9223372036854775808}", false, "2^63"},
		{"{\"a\":01}", false, "a leading zero"},
		{"{\"a\":+1}", false, "a plus"},
		{"{'a':1}", false, "single quotes"},
		{"{\"a\":\"\n\"}", false, "a raw control"},
		{"// x\n{}", false, "a comment"},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (parses(rows[i].text, strlen(rows[i].text)) != rows[i].fine)
			fail_msg("%s: %s", rows[i].text, rows[i].why);
	assert_false(parses("{}\0", 3));
	assert_false(parses("{\"a\0b\":1}", 9));
}

static bool parses_nested(const char *open, const char *shut, size_t depth)
{
	auto_buf struct buf text;
	buf_init(&text, 16 * MIB);
	for (size_t i = 0; i < depth; i++)
		assert_true(buf_append(&text, open, strlen(open), NULL));
	if (open[0] == '{')
		assert_true(buf_append(&text, "1", 1, NULL));
	for (size_t i = 0; i < depth; i++)
		assert_true(buf_append(&text, shut, strlen(shut), NULL));
	return parses(text.data, text.length);
}

static void depth_is_ours_to_choose(void **state)
{
	(void)state;
	static const size_t deep[] = {LIMIT_JSON_DEPTH + 1, 2048, 2049, 1000000};
	assert_true(parses_nested("[", "]", LIMIT_JSON_DEPTH));
	assert_true(parses_nested("{\"a\":", "}", LIMIT_JSON_DEPTH));
	for (size_t i = 0; i < array_count(deep); i++) {
		assert_false(parses_nested("[", "]", deep[i]));
		assert_false(parses_nested("{\"a\":", "}", deep[i]));
		assert_false(parses_nested("[", "", deep[i]));
	}
}

/* An array of @count ones. */
static void put_ones(struct buf *text, size_t count)
{
	buf_init(text, 16 * MIB);
	assert_true(buf_append(text, "[", 1, NULL));
	for (size_t i = 0; i < count; i++)
		assert_true(buf_append(text, i ? ",1" : "1", i ? 2 : 1, NULL));
	assert_true(buf_append(text, "]", 1, NULL));
}

static void tokens_are_counted_before_memory_is_spent_on_them(void **state)
{
	(void)state;
	auto_buf struct buf fits, above;
	put_ones(&fits, LIMIT_JSON_TOKENS - 2);
	put_ones(&above, LIMIT_JSON_TOKENS - 1);
	assert_true(parses(fits.data, fits.length));
	assert_false(parses(above.data, above.length));
	auto_json json_t *root = NULL;
	assert_true(json_parse_large(above.data, above.length, LIMIT_JSON_TOKENS + 1, &root, NULL));
}

static void a_refusal_says_where(void **state)
{
	(void)state;
	auto_json json_t *root = NULL;
	struct error err = {0};
	assert_false(json_parse("{\"a\":1,\"a\":2}", 13, &root, &err));
	assert_non_null(strstr(err.text, "at byte 1"));
	assert_false(json_parse("[\033[2J", 5, &root, &err));
	assert_null(strchr(err.text, '\033'));
}

struct seen {
	const char *text;
	int64_t number;
	json_t *object, *array;
};

static bool reads(const char *text, json_t **root, struct seen *seen, struct error *err)
{
	*seen = (struct seen){.text = "unset", .number = -1};
	const struct json_field fields[] = {
		{"mediaType", JSON_WANT_TEXT, JSON_OPTIONAL, &seen->text},
		{"size", JSON_WANT_INTEGER, JSON_REQUIRED, &seen->number},
		{"platform", JSON_WANT_OBJECT, JSON_OPTIONAL, &seen->object},
		{"layers", JSON_WANT_ARRAY, JSON_OPTIONAL, &seen->array},
	};
	json_decref(*root);
	*root = NULL;
	return json_parse(text, strlen(text), root, err) && json_read(*root, fields, array_count(fields), err);
}

static void a_table_decodes_an_object(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool fine;
		const char *why;
	} rows[] = {
		{"{\"size\":0}", true, "the least"},
		{"{\"size\":9223372036854775807}", true, "the most"},
		{"{\"size\":1,\"unknown\":[{}],\"Unknown\":1}", true, "others' keys are theirs"},
		{"{\"size\":1,\"mediaType\":null,\"layers\":null}", true, "null is absent"},
		{"{}", false, "required"},
		{"{\"size\":null}", false, "required"},
		{"{\"size\":-1}", false, "negative"},
		{"{\"size\":1.0}", false, "a fraction"},
		{"{\"size\":1e3}", false, "an exponent"},
		{"{\"size\":\"1\"}", false, "text"},
		{"{\"size\":true}", false, "a truth"},
		{"{\"size\":1,\"mediaType\":1}", false, "no text"},
		{"{\"size\":1,\"platform\":[]}", false, "no object"},
		{"{\"size\":1,\"layers\":{}}", false, "no array"},
		{"{\"size\":1,\"Layers\":[]}", false, "Go takes it for layers"},
		{"{\"size\":1,\"layers\":[],\"LAYERS\":[]}", false, "Go takes the last"},
		{"{\"size\":1,\"layer\xc5\xbf\":[]}", false, "Go folds the long s"},
		{"{\"\\u017fize\":1,\"size\":1}", false, "Go folds the long s, escaped"},
		{"{\"size\":1,\"layer\xc5\":[]}", false, "not even UTF-8"},
		{"[1]", false, "no object"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct seen seen;
		struct error err = {0};
		auto_json json_t *root = NULL;
		if (reads(rows[i].text, &root, &seen, &err) != rows[i].fine)
			fail_msg("%s: %s", rows[i].text, rows[i].why);
		assert_int_equal(err.kind, rows[i].fine ? ERR_NONE : ERR_CORRUPT);
	}
}

static void slots_hold_what_the_document_says(void **state)
{
	(void)state;
	struct seen seen;
	struct error err = {0};
	auto_json json_t *root = NULL;
	assert_true(reads(
		"{\"size\":7,\"mediaType\":\"t\",\"platform\":{\"os\":\"x\"},\"layers\":[1,2]}", &root, &seen, &err));
	assert_string_equal(seen.text, "t");
	assert_int_equal(seen.number, 7);
	assert_int_equal(json_object_size(seen.object), 1);
	assert_int_equal(json_array_size(seen.array), 2);
	assert_true(reads("{\"size\":7,\"mediaType\":null}", &root, &seen, &err));
	assert_string_equal(seen.text, "unset");
	assert_false(reads("{\"size\":7,\"mediaType\":{}}", &root, &seen, &err));
	assert_non_null(strstr(err.text, "mediaType"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_one_way_to_read_a_document),
		cmocka_unit_test(no_byte_is_passed_over),
		cmocka_unit_test(depth_is_ours_to_choose),
		cmocka_unit_test(tokens_are_counted_before_memory_is_spent_on_them),
		cmocka_unit_test(a_refusal_says_where),
		cmocka_unit_test(a_table_decodes_an_object),
		cmocka_unit_test(slots_hold_what_the_document_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
