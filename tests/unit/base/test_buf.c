/* covers: T-29 */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void nothing_grows_above_its_maximum(void **state)
{
	(void)state;
	struct error err = {0};
	auto_buf struct buf buf;
	buf_init(&buf, 8);
	assert_true(buf_append(&buf, "12345678", 8, &err));
	assert_int_equal(err.kind, ERR_NONE);
	assert_false(buf_append(&buf, "9", 1, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
	assert_string_equal(buf_peek(&buf), "12345678");
	assert_false(buf_append(&buf, "x", SIZE_MAX, &err));
	assert_int_equal(buf.length, 8);
}

static void room_is_filled_by_the_caller(void **state)
{
	(void)state;
	struct error err;
	auto_buf struct buf buf;
	buf_init(&buf, 1000);
	assert_true(buf_append(&buf, "ab", 2, &err));
	char *room = buf_room(&buf, 998, &err);
	assert_non_null(room);
	memset(room, 'c', 998);
	assert_int_equal(buf.length, 2);
	buf_grow(&buf, 3);
	assert_string_equal(buf_peek(&buf), "abccc");
	assert_null(buf_room(&buf, 996, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
}

static void a_nul_stands_behind_the_bytes(void **state)
{
	(void)state;
	auto_buf struct buf buf;
	buf_init(&buf, 100000);
	assert_string_equal(buf_peek(&buf), "");
	for (int i = 0; i < 10000; i++) {
		assert_true(buf_append(&buf, "abc\0d", 5, NULL));
		assert_int_equal(buf.data[buf.length], '\0');
	}
	assert_int_equal(buf.length, 50000);
	buf_clear(&buf);
	assert_string_equal(buf_peek(&buf), "");
	assert_true(buf_append(&buf, NULL, 0, NULL));
}

static void formatted_text_is_whole_or_not_there(void **state)
{
	(void)state;
	struct error err = {0};
	auto_buf struct buf buf;
	buf_init(&buf, 10);
	assert_true(buf_appendf(&buf, &err, "%s-%d", "tag", 12));
	assert_false(buf_appendf(&buf, &err, "%s", "12345"));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
	assert_string_equal(buf_peek(&buf), "tag-12");
}

static void taken_bytes_are_the_callers(void **state)
{
	(void)state;
	struct buf buf;
	size_t length;
	buf_init(&buf, 10);
	assert_true(buf_append(&buf, "ab", 2, NULL));
	char *bytes = buf_take(&buf, &length);
	assert_int_equal(length, 2);
	assert_string_equal(bytes, "ab");
	assert_int_equal(buf.length, 0);
	assert_int_equal(buf.maximum, 10);
	free(bytes);
	bytes = buf_take(&buf, NULL);
	assert_string_equal(bytes, "");
	free(bytes);
	buf_release(&buf);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_grows_above_its_maximum),
		cmocka_unit_test(room_is_filled_by_the_caller),
		cmocka_unit_test(a_nul_stands_behind_the_bytes),
		cmocka_unit_test(formatted_text_is_whole_or_not_there),
		cmocka_unit_test(taken_bytes_are_the_callers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
