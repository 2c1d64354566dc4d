/*
 * The state in one SQLite file (DESIGN section 7).
 *
 * Invariants
 *  1. Only the holder of PATH.lock opens the file for writing; readers (`dray status`) may open it at any time.
 *  2. One worker at a time uses the connection: the queue runs one batch after the other.
 *  3. The file holds whole batches: what was queued together is there together or not at all.
 *  4. A batch that was answered is on the disk (rollback journal, synchronous=FULL).
 *  5. A schema step and its number are one transaction: there is no file between two versions.
 *  6. Nothing is deleted that could be somebody's: a damaged file of ours is renamed, a foreign one refused.
 *  7. Every value is bound, never part of a statement's text (T-67).
 *  8. Who closed the file says so in PATH.lock, with its size and the time of its last change, unless the file was
 * found damaged; without that, or if somebody has written to it since, the next one checks it before it is used.
 *
 * What a crash leaves
 *  - before the lock file is signed: an empty file at most; the next run starts with it.
 *  - in a schema step or a batch: a hot journal. The next run, or a reader that may write, rolls it back.
 *  - after the commit, before the answer: the batch is there, and its tasks have died with us. Recording it again
 *    changes nothing.
 *  - between the two renames of a damaged file: its journal stays at the old name, where SQLite drops it, since
 *    there is no database to roll back.
 *
 * Why not WAL: THREATS 66. Why a rollback journal that is truncated: a reader needs no writable directory, and no
 * directory is fsynced for each batch.
 */
#include "store/database.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "store/lock.h"
#include "store/operation.h"
#include "store/schema.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { PATIENCE_MS = 30000, PRIMARY_CODE = 0xff };

struct database {
	char *path;
	struct state_lock lock;
	sqlite3 *connection;
	sqlite3_stmt *statements[OPERATION_KIND_COUNT];
	struct error last_error;
	size_t commit_count;
	int64_t run_id; /* begun last; 0: none */
	bool is_open, is_damaged;
};

static const char *const statements[OPERATION_KIND_COUNT] = {
	[OPERATION_RUN_FORGET_OLD] =
		"DELETE FROM run WHERE id <= (SELECT id FROM run ORDER BY id DESC LIMIT 1 OFFSET ?1)",
	[OPERATION_RUN_BEGIN] = "INSERT INTO run (config_hash, started_ms) VALUES (?1, ?2) RETURNING id",
	[OPERATION_RUN_END] =
		"UPDATE run SET finished_ms = ?2, exit_code = ?3, images = ?4, copied = ?5, unchanged = ?6,"
		" failed = ?7, downloaded_bytes = ?8, uploaded_bytes = ?9 WHERE id = ?1",
	/* It is the how-manieth attempt in a row: the last one before counts, if it failed. */
	[OPERATION_JOB] =
		"INSERT OR REPLACE INTO job (run, source, target, digest, outcome, stage, error_kind,"
		" error_text, duration_ms, finished_ms, bytes, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
		" ?10, ?11, 1 + coalesce((SELECT iif(outcome = 'failed', attempts, 0) FROM job WHERE source = ?2"
		" AND target = ?3 AND run < ?1 ORDER BY run DESC LIMIT 1), 0))",
	[OPERATION_TAG_FIND] = "SELECT written FROM tag WHERE target = ?1 AND source_digest = ?2 AND platforms = ?3",
	/* One text, since an operation has one answer: the digests have one word each, and a reference may have any. */
	[OPERATION_TAG_SOURCE] = "SELECT source_digest || ' ' || written || ' ' || platforms || ' ' || source FROM tag "
				 "WHERE target = ?1",
	[OPERATION_TAG_WRITTEN] = "INSERT INTO tag (target, source, source_digest, platforms, written, first_seen_ms,"
				  " verified_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)"
				  " ON CONFLICT (target) DO UPDATE SET source = excluded.source,"
				  " source_digest = excluded.source_digest, platforms = excluded.platforms,"
				  " written = excluded.written, verified_ms = excluded.verified_ms",
	[OPERATION_DIFF_ID_FIND] = "SELECT diff_id FROM blob WHERE digest = ?1 AND decoder = ?2",
	[OPERATION_DIFF_ID_PROVEN] = "INSERT OR REPLACE INTO blob (digest, decoder, size, diff_id, proven_ms)"
				     " VALUES (?1, ?2, ?3, ?4, ?5)",
	[OPERATION_DIFF_ID_FORGET_OLD] = "DELETE FROM blob WHERE proven_ms < ?1",
	[OPERATION_LOCATION_FIND] = "SELECT repository FROM location WHERE registry = ?1 AND repository <> ?2"
				    " AND digest = ?3 ORDER BY seen_ms DESC LIMIT 1",
	[OPERATION_LOCATION_SEEN] = "INSERT OR REPLACE INTO location (registry, repository, digest, seen_ms)"
				    " VALUES (?1, ?2, ?3, ?4)",
	[OPERATION_LOCATION_GONE] = "DELETE FROM location WHERE registry = ?1 AND repository = ?2 AND digest = ?3",
	[OPERATION_LOCATION_FORGET_OLD] = "DELETE FROM location WHERE seen_ms < ?1",
};

/* --- opening --------------------------------------------------------------------------------------------------------
 */

enum verdict {
	FILE_GOOD,
	FILE_DAMAGED, /* ours, but not to be trusted: it goes aside */
	FILE_REFUSED, /* for a reason that starting empty does not cure; the error says which */
};

static bool is_damage(int code)
{
	return (code & PRIMARY_CODE) == SQLITE_CORRUPT || (code & PRIMARY_CODE) == SQLITE_NOTADB;
}

static enum verdict refuse(struct database *database, struct error *err)
{
	error_set(err, ERR_STORE, "%s: %s", database->path, sqlite3_errmsg(database->connection));
	return FILE_REFUSED;
}

/* In a file that is known as ours, a statement that does not fit the schema means that the schema is not ours. */
static enum verdict judge(struct database *database, int code, struct error *err)
{
	enum verdict refused = refuse(database, err);
	return is_damage(code) || (code & PRIMARY_CODE) == SQLITE_ERROR ? FILE_DAMAGED : refused;
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
	if (is_damage(code) && database->lock.was_signed)
		return judge(database, code, err);
	if (is_damage(code) || (code == SQLITE_OK && pages > 0 && application != SCHEMA_APPLICATION_ID)) {
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
	for (size_t i = 0; i < OPERATION_KIND_COUNT; i++) {
		int code = sqlite3_prepare_v3(database->connection, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&database->statements[i], NULL);
		if (code != SQLITE_OK)
			return judge(database, code, err);
	}
	return FILE_GOOD;
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
	if (!state_lock_sign(&database->lock, err))
		return FILE_REFUSED;
	if ((verdict = configure(database, err)) != FILE_GOOD)
		return verdict;
	if ((verdict = check(database, err)) != FILE_GOOD)
		return verdict;
	if ((verdict = migrate(database, version, err)) != FILE_GOOD)
		return verdict;
	return prepare(database, err);
}

static void close_connection(struct database *database)
{
	for (size_t i = 0; i < OPERATION_KIND_COUNT; i++) {
		sqlite3_finalize(database->statements[i]);
		database->statements[i] = NULL;
	}
	sqlite3_close(database->connection);
	database->connection = NULL;
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
		close_connection(database);
		verdict = open_file(database, err);
	}
	if (verdict == FILE_DAMAGED) {
		close_connection(database);
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

void database_close(struct database *database)
{
	if (!database)
		return;
	close_connection(database);
	if (database->is_open && !database->is_damaged)
		state_lock_close(&database->lock, database->path);
	state_lock_release(&database->lock);
	free(database->path);
	free(database);
}

/* --- a batch --------------------------------------------------------------------------------------------------------
 */

static void note_failure(struct database *database)
{
	database->is_damaged |= is_damage(sqlite3_errcode(database->connection));
	error_set(&database->last_error, ERR_STORE, "%s: %s", database->path, sqlite3_errmsg(database->connection));
}

static int bind_value(
	struct database *database, sqlite3_stmt *statement, int position, const struct operation_value *value)
{
	if (value->is_run)
		return sqlite3_bind_int64(statement, position, database->run_id);
	if (value->is_number)
		return sqlite3_bind_int64(statement, position, value->number);
	return sqlite3_bind_text(statement, position, value->text, -1, SQLITE_STATIC);
}

static int step(struct database *database, sqlite3_stmt *statement, struct operation *operation)
{
	for (size_t i = 0; i < operation->value_count; i++) {
		int code = bind_value(database, statement, (int)i + 1, &operation->values[i]);
		if (code != SQLITE_OK)
			return code;
	}
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		operation->answer = memory_text((const char *)sqlite3_column_text(statement, 0));
		code = sqlite3_step(statement);
	}
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int run_operation(struct database *database, struct operation *operation)
{
	sqlite3_stmt *statement = database->statements[operation->kind];
	free(operation->answer);
	operation->answer = NULL;
	int code = step(database, statement, operation);
	operation->failed = code != SQLITE_OK;
	if (operation->kind == OPERATION_RUN_BEGIN && operation->answer)
		database->run_id = strtoll(operation->answer, NULL, 10);
	if (operation->failed)
		note_failure(database);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

/* One row that the schema refuses is its own failure; everything else is that of the transaction. */
static bool is_its_own_failure(int code)
{
	switch (code & PRIMARY_CODE) {
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return true;
	default:
		return false;
	}
}

static bool writes(const struct database *database, const struct operation *operation)
{
	return !sqlite3_stmt_readonly(database->statements[operation->kind]);
}

static bool batch_writes(const struct database *database, const struct list *batch)
{
	list_for_each (node, batch)
		if (writes(database, list_item(node, struct operation, node)))
			return true;
	return false;
}

static bool run_transaction(struct database *database, const char *begin, struct list *batch)
{
	int code = sqlite3_exec(database->connection, begin, NULL, NULL, NULL);
	for (struct list *node = batch->next; code == SQLITE_OK && node != batch; node = node->next) {
		code = run_operation(database, list_item(node, struct operation, node));
		if (is_its_own_failure(code))
			code = SQLITE_OK;
	}
	if (code == SQLITE_OK)
		code = sqlite3_exec(database->connection, "COMMIT", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		return true;
	note_failure(database);
	if (!sqlite3_get_autocommit(database->connection))
		sqlite3_exec(database->connection, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

void database_run(struct database *database, struct list *batch)
{
	/* IMMEDIATE: a transaction that begins by reading could find at its first write that it may not (T-62). */
	bool is_write = batch_writes(database, batch);
	if (run_transaction(database, is_write ? "BEGIN IMMEDIATE" : "BEGIN", batch)) {
		database->commit_count += is_write;
		return;
	}
	/* A full disk must not take away what is known (T-64). */
	list_for_each (node, batch) {
		struct operation *operation = list_item(node, struct operation, node);
		operation->failed = true;
		if (!writes(database, operation))
			run_operation(database, operation);
	}
}

const struct error *database_last_error(const struct database *database)
{
	return &database->last_error;
}

void database_set_patience(struct database *database, int milliseconds)
{
	sqlite3_busy_timeout(database->connection, milliseconds);
}

size_t database_commit_count(const struct database *database)
{
	return database->commit_count;
}

const char *store_library_version(void)
{
	return sqlite3_libversion();
}
