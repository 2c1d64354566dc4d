#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "sync/mirror/report.h"

struct failed {
	enum side side;
	enum error_kind kind;
};

struct exit_case {
	int64_t copied, unchanged;
	int stopped_by;
	struct failed failures[3];
	size_t failure_count;
	int code;
	const char *why;
};

static void the_exit_code_follows_the_table(void **state)
{
	static const struct exit_case cases[] = {
		{3, 0, 0, {{0}}, 0, 0, "everything copied"},
		{0, 3, 0, {{0}}, 0, 0, "nothing to do is success"},
		{0, 0, 0, {{SIDE_SOURCE, ERR_UNAUTHORIZED}}, 1, 3, "wrong password"},
		{0, 0, 0, {{SIDE_SOURCE, ERR_DENIED}}, 1, 3, "no permission to read"},
		{0, 0, 0, {{SIDE_TARGET, ERR_DENIED}}, 1, 5, "no permission to push"},
		{0, 0, 0, {{SIDE_SOURCE, ERR_NOT_FOUND}}, 1, 4, "no such tag"},
		{0, 0, 0, {{SIDE_TARGET, ERR_NOT_FOUND}}, 1, 5, "no such repository to push to"},
		{0, 0, 0, {{SIDE_SOURCE, ERR_CORRUPT}}, 1, 4, "wrong content"},
		{0, 0, 0, {{SIDE_SOURCE, ERR_TIMEOUT}}, 1, 8, "network"},
		{0, 0, 0, {{SIDE_TARGET, ERR_RATE_LIMITED}}, 1, 8, "rate limit"},
		{0, 0, 0, {{SIDE_TARGET, ERR_IO}}, 1, 6, "full disk"},
		{0, 0, 0, {{SIDE_SOURCE, ERR_REFUSED}}, 1, 9, "certificate"},
		{1, 0, 0, {{SIDE_SOURCE, ERR_CORRUPT}}, 1, 1, "some copied, some failed"},
		{0, 1, 0, {{SIDE_SOURCE, ERR_CORRUPT}}, 1, 1, "unchanged counts as success"},
		{5, 0, 0, {{SIDE_SOURCE, ERR_CORRUPT}, {SIDE_TARGET, ERR_IO}}, 2, 6,
			"the disk always wins over partial"},
		{5, 0, 0, {{SIDE_TARGET, ERR_IO}, {SIDE_SOURCE, ERR_REFUSED}}, 2, 9, "and security over the disk"},
		{5, 0, 15, {{0}}, 0, 143, "stopped by SIGTERM"},
		{5, 0, 2, {{SIDE_TARGET, ERR_IO}}, 1, 6, "a full disk is told also when stopped"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		const struct exit_case *c = &cases[i];
		struct report report = {.stopped_by = c->stopped_by};
		report.images.copied = c->copied;
		report.images.unchanged = c->unchanged;
		report.places_done = c->copied + c->unchanged;
		for (size_t k = 0; k < c->failure_count; k++) {
			struct error err = {.kind = c->failures[k].kind};
			report_add_failure(&report, "source", "target", "blob", c->failures[k].side, &err);
		}
		int code = report_exit_code(&report);
		report_release(&report);
		if (code != c->code)
			fail_msg("%s: %d, not %d", c->why, code, c->code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_exit_code_follows_the_table)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
