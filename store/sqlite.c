/*
 * The state in one SQLite file (DESIGN section 7): how batches are run. How it is opened is in sqlite_open.c.
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
 *  - before the lock file is signed, and that is on the disk: an empty file at most; the next run starts with it.
 *  - in a schema step or a batch: a hot journal. The next run, or a reader that may write, rolls it back.
 *  - after the commit, before the answer: the batch is there, and its tasks have died with us. Recording it again
 *    changes nothing.
 *  - between the two renames of a damaged file: its journal stays at the old name, where SQLite drops it, since
 *    there is no database to roll back.
 *
 * Why not WAL: THREATS 66. Why a rollback journal that is truncated: a reader needs no writable directory, and no
 * directory is fsynced for each batch.
 */
#include "store/sqlite.h"

#include "base/memory.h"
#include "store/store.h"

#include <string.h>

static const char *const statements[OPERATION_KIND_COUNT] = {
	[OPERATION_RUN_FORGET_OLD] =
		"DELETE FROM run WHERE id <= (SELECT id FROM run ORDER BY id DESC LIMIT 1 OFFSET ?1)",
	[OPERATION_RUN_BEGIN] = "INSERT INTO run (started_ms) VALUES (?1) RETURNING id",
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

bool sqlite_is_damage(int code)
{
	return (code & PRIMARY_CODE) == SQLITE_CORRUPT || (code & PRIMARY_CODE) == SQLITE_NOTADB;
}

int sqlite_prepare(struct database *database)
{
	int code = SQLITE_OK;
	for (size_t i = 0; i < OPERATION_KIND_COUNT && code == SQLITE_OK; i++)
		code = sqlite3_prepare_v3(database->connection, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			&database->statements[i], NULL);
	return code;
}

void sqlite_disconnect(struct database *database)
{
	for (size_t i = 0; i < OPERATION_KIND_COUNT; i++) {
		sqlite3_finalize(database->statements[i]);
		database->statements[i] = NULL;
	}
	sqlite3_close(database->connection);
	database->connection = NULL;
}

void database_close(struct database *database)
{
	if (!database)
		return;
	sqlite_disconnect(database);
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
	database->is_damaged |= sqlite_is_damage(sqlite3_errcode(database->connection));
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
	bool may = !is_write || state_lock_sync(&database->lock, database->path, &database->last_error);
	if (may && run_transaction(database, is_write ? "BEGIN IMMEDIATE" : "BEGIN", batch)) {
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
