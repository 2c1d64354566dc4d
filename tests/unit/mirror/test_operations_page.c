/* docs/operations.md tells of every exit code and every kind of failure, and of nothing else.
 * covers: DESIGN 4, DESIGN 9 */
#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/memory.h"
#include "sync/mirror/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *page;

static int read_page(void **state)
{
	(void)state;
	const char *docs = getenv("DRAY_DOCS");
	assert_non_null(docs);
	auto_free char *path = memory_format("%s/operations.md", docs);
	auto_buf struct buf bytes;
	struct error err;
	buf_init(&bytes, MIB);
	if (!file_read(path, &bytes, &err))
		fail_msg("%s", err.text);
	page = buf_take(&bytes, NULL);
	return 0;
}

static int free_page(void **state)
{
	(void)state;
	free(page);
	return 0;
}

/* The rows of the table below @heading, without its head. */
static size_t count_rows(const char *heading)
{
	const char *line = strstr(page, heading);
	assert_non_null(line);
	line = strstr(line, "\n|---");
	assert_non_null(line);
	size_t count = 0;
	for (line = strchr(line + 1, '\n') + 1; *line == '|'; line = strchr(line, '\n') + 1)
		count++;
	return count;
}

static void expect_row(const char *start)
{
	auto_free char *line = memory_format("\n%s", start);
	if (!strstr(page, line))
		fail_msg("docs/operations.md has no row that begins with: %s", start);
}

static void every_kind_has_its_classes(void **state)
{
	(void)state;
	size_t kinds = 0;
	for (int kind = ERR_NONE + 1; strcmp(error_kind_name((enum error_kind)kind), "unknown") != 0; kind++, kinds++) {
		auto_free char *row = memory_format("| `%s` | %d | %d |", error_kind_name((enum error_kind)kind),
			exit_code_of(SIDE_SOURCE, (enum error_kind)kind),
			exit_code_of(SIDE_TARGET, (enum error_kind)kind));
		expect_row(row);
	}
	assert_int_equal(kinds, ERR_CANCELED);
	assert_int_equal(count_rows("\n## Kinds of failure"), kinds);
}

static void every_exit_code_has_its_row(void **state)
{
	(void)state;
	static const enum exit_code codes[] = {EXIT_DONE, EXIT_PARTIAL, EXIT_USAGE, EXIT_AUTHENTICATION, EXIT_CONTENT,
		EXIT_TARGET, EXIT_LOCAL, EXIT_BUSY, EXIT_NETWORK, EXIT_SECURITY, EXIT_BUG};
	for (size_t i = 0; i < array_count(codes); i++) {
		auto_free char *row = memory_format("| %d |", codes[i]);
		expect_row(row);
	}
	expect_row("| 128+n |");
	assert_int_equal(count_rows("\n## Exit codes"), array_count(codes) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_has_its_classes),
		cmocka_unit_test(every_exit_code_has_its_row),
	};
	return cmocka_run_group_tests(tests, read_page, free_page);
}
