/* A directory of its own for each test, the body run as the main task of a loop, and a second look at the file. */
#ifndef DRAY_TESTS_UNIT_STORE_SUPPORT_H
#define DRAY_TESTS_UNIT_STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "store/internal.h"

#include <dirent.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[PATH_MAX];
static char path[PATH_MAX + 32];

static inline int make_directory(void **state)
{
	const char *parent = getenv("TMPDIR");
	(void)state;
	snprintf(directory, sizeof directory, "%s/dray-store-XXXXXX", parent ? parent : "/tmp");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/state/dray.db", directory);
	return 0;
}

static inline void empty_and_remove(const char *name)
{
	DIR *listing = opendir(name);
	for (struct dirent *entry; listing && (entry = readdir(listing));) {
		auto_free char *inner = memory_format("%s/%s", name, entry->d_name);
		if (!str_is(entry->d_name, ".") && !str_is(entry->d_name, ".."))
			unlink(inner);
	}
	if (listing)
		closedir(listing);
	rmdir(name);
}

static inline int remove_directory(void **state)
{
	(void)state;
	auto_free char *inner = memory_format("%s/state", directory);
	empty_and_remove(inner);
	empty_and_remove(directory);
	return 0;
}

#define store_test(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

static inline void in_real_loop(void (*body)(void *argument), void *argument)
{
	struct loop *loop = loop_new();
	loop_run(loop, body, argument);
	loop_free(loop);
}

static inline struct digest a_digest(const char *of)
{
	return digest_of(DIGEST_SHA256, of, strlen(of));
}

/* Open what must open, without damage. */
static inline struct store *open_store(void)
{
	struct store *store = NULL;
	char *moved_to = NULL;
	struct error err = {.text = ""};
	if (!store_open(path, &store, &moved_to, &err))
		fail_msg("%s", err.text);
	assert_null(moved_to);
	return store;
}

static inline void close_store(struct store *store)
{
	struct error err = {.text = ""};
	if (!store_close(store, &err))
		fail_msg("%s", err.text);
}

static inline void expect_tag(struct store *store, const char *target, const struct digest *source,
	const char *platforms, const struct digest *expected)
{
	struct digest written = {.algorithm = DIGEST_NONE};
	bool found = !expected;
	struct error err = {.text = ""};
	if (!store_tag_find(store, target, source, platforms, &written, &found, &err))
		fail_msg("%s", err.text);
	assert_int_equal(found, expected != NULL);
	if (expected)
		assert_true(digest_equal(&written, expected));
}

static inline void expect_location(
	struct store *store, const char *registry, const char *repository, const char *of, const char *expected)
{
	struct digest blob = a_digest(of);
	auto_free char *from = NULL;
	struct error err = {.text = ""};
	if (!store_location_find(store, registry, repository, &blob, &from, &err))
		fail_msg("%s", err.text);
	if (expected)
		assert_string_equal(from, expected);
	else
		assert_null(from);
}

static inline sqlite3 *look_at(const char *name)
{
	sqlite3 *connection = NULL;
	assert_int_equal(sqlite3_open_v2(name, &connection, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(connection, 10000);
	return connection;
}

/* The first column of the first row of @query as new memory. */
static inline char *query(sqlite3 *connection, const char *text)
{
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(connection, text, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(connection));
	char *value = NULL;
	if (sqlite3_step(statement) == SQLITE_ROW)
		value = memory_text((const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return value;
}

static inline void expect_in_file(const char *text, const char *expected)
{
	sqlite3 *connection = look_at(path);
	auto_free char *value = query(connection, text);
	sqlite3_close(connection);
	if (!str_is(value, expected))
		fail_msg("%s: %s, expected %s", text, value ? value : "(null)", expected);
}

static inline void execute(const char *name, const char *text)
{
	sqlite3 *connection = look_at(name);
	if (sqlite3_exec(connection, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(connection));
	sqlite3_close(connection);
}

#endif
