/* Errors as values. */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_failure_is_one_expression(void **state)
{
	(void)state;
	struct error err = {.http_status = 500, .retry_after_ms = 7};
	assert_false(error_set(&err, ERR_CORRUPT, "layer %d", 3));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_string_equal(err.text, "layer 3");
	assert_int_equal(err.http_status, 0);
	assert_int_equal(err.retry_after_ms, 0);
}

static void wrapping_says_where_and_keeps_what(void **state)
{
	(void)state;
	struct error err = {0};
	error_set(&err, ERR_TIMEOUT, "no progress");
	err.http_status = 504;
	assert_false(error_wrap(&err, "blob %s", "sha256:ab"));
	assert_false(error_wrap(&err, "alpine:3"));
	assert_string_equal(err.text, "alpine:3: blob sha256:ab: no progress");
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_int_equal(err.http_status, 504);
}

static void text_is_cut_and_always_ends(void **state)
{
	(void)state;
	char longest[2 * ERROR_TEXT_MAX];
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	struct error err = {0};
	error_set(&err, ERR_IO, "%s", longest);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	error_wrap(&err, "%s", longest);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

static void the_old_text_may_be_an_argument_of_the_new(void **state)
{
	(void)state;
	struct error err = {0};
	error_set(&err, ERR_IO, "disk full");
	error_set(&err, ERR_STORE, "state: %s", err.text);
	assert_string_equal(err.text, "state: disk full");
	error_wrap(&err, "again %s", err.text);
	assert_string_equal(err.text, "again state: disk full: state: disk full");
}

static void errno_becomes_words(void **state)
{
	(void)state;
	struct error err = {0};
	errno = ENOSPC;
	assert_false(error_errno(&err, "%s", "/srv"));
	assert_int_equal(err.kind, ERR_IO);
	assert_string_equal(err.text, "/srv: No space left on device");
}

static void nobody_needs_to_ask_for_the_text(void **state)
{
	(void)state;
	assert_false(error_set(NULL, ERR_IO, "x"));
	assert_false(error_wrap(NULL, "x"));
	assert_false(error_errno(NULL, "x"));
}

static void every_kind_has_its_own_name(void **state)
{
	(void)state;
	for (int kind = ERR_NONE; kind <= ERR_CANCELED; kind++) {
		assert_string_not_equal(error_kind_name((enum error_kind)kind), "unknown");
		for (int other = ERR_NONE; other < kind; other++)
			assert_string_not_equal(
				error_kind_name((enum error_kind)kind), error_kind_name((enum error_kind)other));
	}
	assert_string_equal(error_kind_name((enum error_kind)(ERR_CANCELED + 1)), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_is_one_expression),
		cmocka_unit_test(wrapping_says_where_and_keeps_what),
		cmocka_unit_test(text_is_cut_and_always_ends),
		cmocka_unit_test(the_old_text_may_be_an_argument_of_the_new),
		cmocka_unit_test(errno_becomes_words),
		cmocka_unit_test(nobody_needs_to_ask_for_the_text),
		cmocka_unit_test(every_kind_has_its_own_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
