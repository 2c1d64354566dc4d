/*
 * Opening the state: whose file it is, whether it is sound, and what is done if not. The lock comes first, so that
 * nobody else writes to the file meanwhile. What a crash leaves between two steps is told at the head of sqlite.c.
 */
#include "store/sqlite.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { PATIENCE_MS = 30000 };

enum verdict {
	FILE_GOOD,
	FILE_DAMAGED, /* ours, but not to be trusted: it goes aside */
	FILE_REFUSED, /* for a reason that starting empty does not cure; the error says which */
};

static enum verdict refuse(struct database *database, struct error *err)
{
	error_set(err, ERR_STORE, "%s: %s", database->path, sqlite3_errmsg(database->connection));
	return FILE_REFUSED;
}

/* In a file that is known as ours, a statement that does not fit the schema means that the schema is not ours. */
static enum verdict judge(struct database *database, int code, struct error *err)
{
	enum verdict refused = refuse(database, err);
	return sqlite_is_damage(code) || (code & PRIMARY_CODE) == SQLITE_ERROR ? FILE_DAMAGED : refused;
}

/* @text must be a constant. The first column of the first row, "" without one. */
static int query_text(struct database *database, const char *text, char *out, size_t out_size)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(database->connection, text, -1, &statement, NULL);
	if (code != SQLITE_OK)
		return code;
	const char *value =
		sqlite3_step(statement) == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
	snprintf(out, out_size, "%s", value ? value : "");
	return sqlite3_finalize(statement);
}

static int query_number(struct database *database, const char *text, int64_t *number)
{
	char digits[32];
	int code = query_text(database, text, digits, sizeof digits);
	*number = code == SQLITE_OK ? strtoll(digits, NULL, 10) : 0;
	return code;
}

/* Whose file is it? *version is that of its schema, 0 for a new file. Writes nothing. */
static enum verdict identify(struct database *database, int64_t *version, struct error *err)
{
	int64_t application = 0, pages = 0;
	int code = query_number(database, "PRAGMA page_count", &pages);
	if (code == SQLITE_OK)
		code = query_number(database, "PRAGMA application_id", &application);
	if (code == SQLITE_OK)
		code = query_number(database, "PRAGMA user_version", version);
	if (sqlite_is_damage(code) && database->lock.was_signed)
		return judge(database, code, err);
	if (sqlite_is_damage(code) || (code == SQLITE_OK && pages > 0 && application != SCHEMA_APPLICATION_ID)) {
		error_set(err, ERR_INVALID, "%s is not a state file of dray; it is left as it is", database->path);
		return FILE_REFUSED;
	}
	if (code != SQLITE_OK)
		return refuse(database, err);
	if (*version > SCHEMA_VERSION) {
		error_set(err, ERR_INVALID, "%s was written by a newer dray: its version is %lld, we know %d",
			database->path, (long long)*version, SCHEMA_VERSION);
		return FILE_REFUSED;
	}
	if (pages > 0 && *version < 1) {
		error_set(err, ERR_STORE, "%s: its version is %lld", database->path, (long long)*version);
		return FILE_DAMAGED;
	}
	return FILE_GOOD;
}

static enum verdict configure(struct database *database, struct error *err)
{
	char mode[32];
	int code = sqlite3_exec(database->connection,
		"PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
		"PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL",
		NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = query_text(database, "PRAGMA journal_mode = TRUNCATE", mode, sizeof mode);
	if (code != SQLITE_OK)
		return judge(database, code, err);
	if (!str_is(mode, "truncate")) {
		error_set(err, ERR_STORE, "%s: the journal's mode is %s", database->path, mode);
		return FILE_REFUSED;
	}
	return FILE_GOOD;
}

/*
 * After an end that was none, or when the file was written to by somebody else: 2 ms for each MiB, and no run works for
 * hours on a state that cannot take its records. What rots on the disk between two runs that end well is found where it
 * is read, and then that run does not end well.
 */
static enum verdict check(struct database *database, struct error *err)
{
	char finding[256];
	if (database->lock.was_closed)
		return FILE_GOOD;
	int code = query_text(database, "PRAGMA quick_check(1)", finding, sizeof finding);
	if (code != SQLITE_OK)
		return judge(database, code, err);
	if (str_is(finding, "ok"))
		return FILE_GOOD;
	error_set(err, ERR_STORE, "%s: %s", database->path, finding);
	return FILE_DAMAGED;
}

static enum verdict migrate(struct database *database, int64_t version, struct error *err)
{
	if (version < SCHEMA_VERSION && !state_lock_sync(&database->lock, database->path, err))
		return FILE_REFUSED;
	for (; version < SCHEMA_VERSION; version++) {
		int code = sqlite3_exec(database->connection, "BEGIN IMMEDIATE", NULL, NULL, NULL);
		if (code == SQLITE_OK)
			code = sqlite3_exec(database->connection, schema_steps[version], NULL, NULL, NULL);
		if (code == SQLITE_OK)
			code = sqlite3_exec(database->connection, "COMMIT", NULL, NULL, NULL);
		if (code != SQLITE_OK)
			return judge(database, code, err);
	}
	return FILE_GOOD;
}

static enum verdict prepare(struct database *database, struct error *err)
{
	int code = sqlite_prepare(database);
	return code == SQLITE_OK ? FILE_GOOD : judge(database, code, err);
}

/* What a hostile file could make SQLite do is switched off before its first page is read. */
static void harden(sqlite3 *connection)
{
	static const struct {
		int option, value;
	} settings[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
		{SQLITE_DBCONFIG_ENABLE_VIEW, 0},
		{SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
	};
	for (size_t i = 0; i < array_count(settings); i++)
		sqlite3_db_config(connection, settings[i].option, settings[i].value, NULL);
}

/*
 * SQLite would make the file with the mode that the umask leaves. Our descriptor is closed before SQLite opens the
 * file: closing one later would drop the locks that SQLite holds on it.
 */
static bool make_private_file(const char *path, struct error *err)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0)
		return error_errno(err, "%s", path);
	return S_ISREG(status.st_mode) || error_set(err, ERR_INVALID, "%s: not a regular file", path);
}

static enum verdict open_file(struct database *database, struct error *err)
{
	if (!make_private_file(database->path, err))
		return FILE_REFUSED;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	if (sqlite3_open_v2(database->path, &database->connection, flags, NULL) != SQLITE_OK)
		return refuse(database, err);
	harden(database->connection);
	database_set_patience(database, PATIENCE_MS);
	int64_t version = 0;
	enum verdict verdict = identify(database, &version, err);
	if (verdict != FILE_GOOD)
		return verdict;
	if (!state_lock_sign(&database->lock, database->path, err))
		return FILE_REFUSED;
	if ((verdict = configure(database, err)) != FILE_GOOD)
		return verdict;
	if ((verdict = check(database, err)) != FILE_GOOD)
		return verdict;
	if ((verdict = migrate(database, version, err)) != FILE_GOOD)
		return verdict;
	return prepare(database, err);
}

/* The directory of @path, as new memory. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return memory_text(".");
	return memory_text_of(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Rename the file and its journal. The file first: a journal alone is harmless, a file without its journal is not. */
static bool move_aside(struct database *database, char **moved_to, struct error *err)
{
	time_t now = time(NULL);
	struct tm broken;
	char when[32];
	strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &broken));
	auto_free char *to = memory_format("%s.corrupt-%s", database->path, when);
	for (int again = 2; access(to, F_OK) == 0; again++) {
		free(to);
		to = memory_format("%s.corrupt-%s.%d", database->path, when, again);
	}
	if (rename(database->path, to) != 0)
		return error_errno(err, "%s: cannot be moved aside", database->path);
	auto_free char *journal = memory_format("%s-journal", database->path);
	auto_free char *journal_to = memory_format("%s-journal", to);
	if (rename(journal, journal_to) != 0 && errno != ENOENT)
		return error_errno(err, "%s: cannot be moved aside", journal);
	auto_free char *directory = parent_of(to);
	if (!file_sync_directory(directory, err))
		return false;
	*moved_to = to;
	to = NULL;
	return true;
}

static bool open_or_start_empty(struct database *database, char **moved_to, struct error *err)
{
	enum verdict verdict = open_file(database, err);
	/* SQLite calls damage, too, what a read says that fails once: only what is found again is. */
	if (verdict == FILE_DAMAGED) {
		sqlite_disconnect(database);
		verdict = open_file(database, err);
	}
	if (verdict == FILE_DAMAGED) {
		sqlite_disconnect(database);
		if (!move_aside(database, moved_to, err))
			return false;
		verdict = open_file(database, err);
	}
	return verdict == FILE_GOOD;
}

static bool take_lock(struct database *database, struct error *err)
{
	auto_free char *directory = parent_of(database->path);
	return file_make_directories(directory, 0700, err) && state_lock_take(database->path, &database->lock, err);
}

bool database_open(const char *path, struct database **database, char **moved_to, struct error *err)
{
	struct database *opened = memory_new(1, sizeof *opened);
	opened->path = memory_text(path);
	opened->lock.fd = -1;
	char *moved = NULL;
	struct error failure = {.kind = ERR_NONE};
	if (take_lock(opened, &failure) && open_or_start_empty(opened, &moved, &failure)) {
		*database = opened;
		*moved_to = moved;
		opened->is_open = true;
		return true;
	}
	if (moved)
		error_wrap(&failure, "the damaged state is now %s", moved);
	free(moved);
	if (err)
		*err = failure;
	database_close(opened);
	return false;
}
