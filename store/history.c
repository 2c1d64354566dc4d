#include "store/history.h"

#include "base/memory.h"
#include "base/str.h"
#include "store/lock.h"
#include "store/schema.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 }; /* a batch that is being written */

/* --- rows ----------------------------------------------------------------------------------------------------------
 */

static char *text_at(sqlite3_stmt *row, int column)
{
	return memory_text((const char *)sqlite3_column_text(row, column));
}

#define JOB_COLUMNS                                                                                                    \
	"SELECT run, source, target, outcome, digest, stage, error_kind, error_text, duration_ms, finished_ms, "       \
	"attempts, bytes FROM job "

static void add_job(sqlite3_stmt *row, struct history *history)
{
	history->jobs = memory_resize(history->jobs, history->job_count + 1, sizeof *history->jobs);
	history->jobs[history->job_count++] = (struct history_job){
		.run = sqlite3_column_int64(row, 0),
		.source = text_at(row, 1),
		.target = text_at(row, 2),
		.outcome = text_at(row, 3),
		.digest = text_at(row, 4),
		.stage = text_at(row, 5),
		.error_kind = text_at(row, 6),
		.error_text = text_at(row, 7),
		.duration_ms = sqlite3_column_int64(row, 8),
		.finished_ms = sqlite3_column_int64(row, 9),
		.attempts = sqlite3_column_int64(row, 10),
		.bytes = sqlite3_column_int64(row, 11),
	};
}

static void add_tag(sqlite3_stmt *row, struct history *history)
{
	history->tags = memory_resize(history->tags, history->tag_count + 1, sizeof *history->tags);
	history->tags[history->tag_count++] = (struct history_tag){
		.target = text_at(row, 0),
		.source = text_at(row, 1),
		.source_digest = text_at(row, 2),
		.platforms = text_at(row, 3),
		.written = text_at(row, 4),
		.first_seen_ms = sqlite3_column_int64(row, 5),
		.verified_ms = sqlite3_column_int64(row, 6),
	};
}

static void set_jobs_done(sqlite3_stmt *row, struct history *history)
{
	history->jobs_done.copied = sqlite3_column_int64(row, 0);
	history->jobs_done.failed = sqlite3_column_int64(row, 1);
	history->jobs_done.sent_bytes = sqlite3_column_int64(row, 2);
	history->jobs_done.last_ms = sqlite3_column_int64(row, 3);
}

static void set_run(sqlite3_stmt *row, struct history *history)
{
	history->run = (struct history_run){
		.id = sqlite3_column_int64(row, 0),
		.started_ms = sqlite3_column_int64(row, 1),
		.finished_ms = sqlite3_column_int64(row, 2),
		.exit_code = sqlite3_column_int(row, 3),
		.totals =
			{
				.images = sqlite3_column_int64(row, 4),
				.copied = sqlite3_column_int64(row, 5),
				.unchanged = sqlite3_column_int64(row, 6),
				.failed = sqlite3_column_int64(row, 7),
				.downloaded_bytes = sqlite3_column_int64(row, 8),
				.uploaded_bytes = sqlite3_column_int64(row, 9),
			},
	};
}

/* --- the file ------------------------------------------------------------------------------------------------------
 */

static bool failed(sqlite3 *connection, const char *path, struct error *err)
{
	return error_set(err, ERR_STORE, "%s: %s", path, connection ? sqlite3_errmsg(connection) : "no memory");
}

static bool number_of(sqlite3 *connection, const char *text, int64_t *number)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(connection, text, -1, &statement, NULL) != SQLITE_OK)
		return false;
	bool ok = sqlite3_step(statement) == SQLITE_ROW;
	if (ok)
		*number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return ok;
}

static bool identify(sqlite3 *connection, const char *path, struct error *err)
{
	int64_t application = 0, version = 0;
	if (!number_of(connection, "PRAGMA application_id", &application) ||
		!number_of(connection, "PRAGMA user_version", &version)) {
		int code = sqlite3_errcode(connection) & 0xff;
		return code == SQLITE_NOTADB ? error_set(err, ERR_INVALID, "%s is not a state file of dray", path)
					     : failed(connection, path, err);
	}
	if (application != SCHEMA_APPLICATION_ID)
		return error_set(err, ERR_INVALID, "%s is not a state file of dray", path);
	if (version < SCHEMA_VERSION_READ || version > SCHEMA_VERSION)
		return error_set(err, ERR_INVALID, "%s has version %lld, we know %d; %s", path, (long long)version,
			SCHEMA_VERSION,
			version > SCHEMA_VERSION ? "a newer dray wrote it" : "the next sync updates it");
	return true;
}

/* To write is only what a reader needs to roll back a batch that died; nothing of ours writes. */
static bool open_file(const char *path, sqlite3 **connection, struct error *err)
{
	if (access(path, F_OK) != 0)
		return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "%s: there is no state yet; run dray sync", path)
				       : error_errno(err, "%s", path);
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	flags |= access(path, W_OK) == 0 ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	if (sqlite3_open_v2(path, connection, flags, NULL) != SQLITE_OK)
		return failed(*connection, path, err);
	sqlite3_db_config(*connection, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(*connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_busy_timeout(*connection, PATIENCE_MS);
	return identify(*connection, path, err);
}

struct question {
	const char *text; /* with ?1, and ?2 for how many rows at most */
	const char *reference;
	int64_t number; /* without a reference */
	int most;
	void (*take)(sqlite3_stmt *row, struct history *history);
};

static bool ask(sqlite3 *connection, const char *path, const struct question *question, struct history *history,
	struct error *err)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(connection, question->text, -1, &statement, NULL) != SQLITE_OK)
		return failed(connection, path, err);
	if (question->reference)
		sqlite3_bind_text(statement, 1, question->reference, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int64(statement, 1, question->number);
	sqlite3_bind_int(statement, 2, question->most);
	int code;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		question->take(statement, history);
	sqlite3_finalize(statement);
	return code == SQLITE_DONE || failed(connection, path, err);
}

static bool ask_all(
	const char *path, const struct question *questions, size_t count, struct history *history, struct error *err)
{
	sqlite3 *connection = NULL;
	struct history fresh = {.job_count = 0};
	bool ok = open_file(path, &connection, err);
	for (size_t i = 0; ok && i < count; i++)
		ok = ask(connection, path, &questions[i], &fresh, err);
	sqlite3_close(connection);
	fresh.held = state_lock_is_held(path, fresh.holder, sizeof fresh.holder);
	if (ok)
		*history = fresh;
	else
		history_release(&fresh);
	return ok;
}

/* --- what is asked -------------------------------------------------------------------------------------------------
 */

#define RUN_COLUMNS                                                                                                    \
	"SELECT id, started_ms, finished_ms, exit_code, images, copied, unchanged, failed, downloaded_bytes, "         \
	"uploaded_bytes FROM run "
#define THE_RUN "(SELECT id FROM run WHERE id = ?1 OR ?1 = 0 ORDER BY id DESC LIMIT 1)"

static bool run_and_failures(const char *path, int64_t id, int most, struct history *history, struct error *err)
{
	const struct question questions[] = {
		{RUN_COLUMNS "WHERE id = " THE_RUN " LIMIT ?2", NULL, id, 1, set_run},
		{JOB_COLUMNS "WHERE run = " THE_RUN " AND outcome = 'failed' ORDER BY source, target LIMIT ?2", NULL,
			id, most, add_job},
		{"SELECT count(*) FILTER (WHERE outcome = 'copied'), count(*) FILTER (WHERE outcome = 'failed'), "
		 "sum(bytes), max(finished_ms) FROM job WHERE run = " THE_RUN " LIMIT ?2",
			NULL, id, 1, set_jobs_done},
	};
	if (!ask_all(path, questions, array_count(questions), history, err))
		return false;
	if (history->run.id > 0)
		return true;
	history_release(history);
	if (id == 0)
		return error_set(err, ERR_NOT_FOUND, "%s: no run is recorded", path);
	return error_set(err, ERR_NOT_FOUND, "%s: there is no run %lld", path, (long long)id);
}

bool history_of_run(const char *path, int64_t id, struct history *history, struct error *err)
{
	return run_and_failures(path, id, HISTORY_MOST, history, err);
}

bool history_of_failures(const char *path, int64_t id, struct history *history, struct error *err)
{
	return run_and_failures(path, id, -1, history, err);
}

bool history_of_reference(const char *path, const char *reference, struct history *history, struct error *err)
{
	const struct question questions[] = {
		{JOB_COLUMNS "WHERE source = ?1 OR target = ?1 ORDER BY run DESC, source, target LIMIT ?2", reference,
			0, HISTORY_MOST, add_job},
		{"SELECT target, source, source_digest, platforms, written, first_seen_ms, verified_ms FROM tag "
		 "WHERE target = ?1 OR source = ?1 ORDER BY target LIMIT ?2",
			reference, 0, HISTORY_MOST, add_tag},
	};
	return ask_all(path, questions, array_count(questions), history, err);
}

void history_release(struct history *history)
{
	for (size_t i = 0; i < history->job_count; i++) {
		struct history_job *job = &history->jobs[i];
		char *texts[] = {job->source, job->target, job->outcome, job->digest, job->stage, job->error_kind,
			job->error_text};
		for (size_t k = 0; k < array_count(texts); k++)
			free(texts[k]);
	}
	for (size_t i = 0; i < history->tag_count; i++) {
		struct history_tag *tag = &history->tags[i];
		char *texts[] = {tag->target, tag->source, tag->source_digest, tag->platforms, tag->written};
		for (size_t k = 0; k < array_count(texts); k++)
			free(texts[k]);
	}
	free(history->jobs);
	free(history->tags);
	*history = (struct history){.job_count = 0};
}
