/*
 * The public calls of the store: each makes an operation of what it was told, and the queue carries it.
 */
#include "store/internal.h"

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/pool.h"
#include "store/operation.h"
#include "store/queue.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct store {
	struct queue queue;
	struct operation *begin; /* of the run, whose answer is its name; NULL once that was asked for */
	int64_t runs_kept;
};

enum { RUNS_KEPT = 100 };

/* Half a year after a digest was carried it is hardly carried again; so the file does not grow for ever. */
static const int64_t hints_kept_ms = INT64_C(180) * 24 * 3600 * 1000;

static int64_t wall_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As queue_ask(), for an answer that is a digest. What is no digest is damage, and as good as unknown. */
static bool ask_digest(
	struct store *store, struct operation *operation, struct digest *digest, bool *found, struct error *err)
{
	auto_free char *answer = NULL;
	if (!queue_ask(&store->queue, operation, &answer, err))
		return false;
	*found = answer && digest_parse(answer, digest, NULL);
	return true;
}

/* --- life cycle -----------------------------------------------------------------------------------------------------
 */

struct open_job {
	const char *path;
	struct database *database;
	char *moved_to;
	bool opened;
	struct error error;
};

static void open_database(void *argument)
{
	struct open_job *job = argument;
	job->opened = database_open(job->path, &job->database, &job->moved_to, &job->error);
}

static void close_database(void *argument)
{
	database_close(argument);
}

struct store *store_new_empty(void)
{
	struct store *store = memory_new(1, sizeof *store);
	store->runs_kept = RUNS_KEPT;
	queue_init(&store->queue);
	return store;
}

bool store_open(const char *path, struct store **store, char **moved_to, struct error *err)
{
	struct open_job job = {.path = path};
	if (!pool_run(open_database, &job, err))
		return false;
	if (!job.opened) {
		if (err)
			*err = job.error;
		return false;
	}
	struct store *opened = store_new_empty();
	if (!queue_start(&opened->queue, job.database, err)) {
		pool_run_always(close_database, job.database);
		free(opened);
		free(job.moved_to);
		return false;
	}
	*store = opened;
	*moved_to = job.moved_to;
	return true;
}

bool store_close(struct store *store, struct error *err)
{
	if (!store)
		return true;
	queue_drain(&store->queue);
	if (store->queue.database)
		pool_run_always(close_database, store->queue.database);
	operation_free(store->begin);
	size_t lost = store->queue.unrecorded_count;
	if (lost > 0)
		error_set(err, ERR_STORE, "%zu %s not recorded: %s", lost, lost == 1 ? "record was" : "records were",
			store->queue.last_error.text);
	free(store);
	return lost == 0;
}

struct database *store_database(struct store *store)
{
	return store->queue.database;
}

size_t store_unrecorded_count(const struct store *store)
{
	return store->queue.unrecorded_count;
}

/* --- runs and jobs --------------------------------------------------------------------------------------------------
 */

void store_keep_runs(struct store *store, int64_t count)
{
	store->runs_kept = count;
}

/* Nobody waits for it any more. */
static void abandon(struct operation *operation)
{
	if (operation && !operation->answered.open)
		operation->is_abandoned = true;
	else
		operation_free(operation);
}

static void forget(struct store *store, enum operation_kind kind, int64_t bound)
{
	struct operation *operation = operation_new(kind);
	operation_add_number(operation, bound);
	queue_add(&store->queue, operation);
}

void store_run_begin(struct store *store)
{
	if (!store->queue.database)
		return;
	abandon(store->begin);
	struct operation *begin = operation_new(OPERATION_RUN_BEGIN);
	operation_add_number(begin, wall_clock_ms());
	begin->is_waited = true;
	store->begin = begin;
	queue_add(&store->queue, begin);
	/* Only then: the new number is one more than the highest that is there. */
	forget(store, OPERATION_RUN_FORGET_OLD, store->runs_kept);
	forget(store, OPERATION_DIFF_ID_FORGET_OLD, wall_clock_ms() - hints_kept_ms);
	forget(store, OPERATION_LOCATION_FORGET_OLD, wall_clock_ms() - hints_kept_ms);
}

bool store_run_id(struct store *store, char run_id[24], struct error *err)
{
	struct operation *begin = store->begin;
	auto_free char *id = NULL;
	store->begin = NULL;
	if (begin && !queue_await(&store->queue, begin, &id, err))
		return false;
	snprintf(run_id, 24, "%s", id ? id : "");
	return true;
}

void store_run_end(struct store *store, const struct run_totals *totals, int exit_code)
{
	struct operation *operation = operation_new(OPERATION_RUN_END);
	operation_add_run(operation);
	operation_add_number(operation, wall_clock_ms());
	operation_add_number(operation, exit_code);
	operation_add_number(operation, totals->images);
	operation_add_number(operation, totals->copied);
	operation_add_number(operation, totals->unchanged);
	operation_add_number(operation, totals->failed);
	operation_add_number(operation, totals->downloaded_bytes);
	operation_add_number(operation, totals->uploaded_bytes);
	queue_add(&store->queue, operation);
}

/* Foreign text in it is kept in the form that may be shown (T-73), which is UTF-8, too (T-67). */
static void add_error_text(struct operation *operation, const char *text)
{
	if (!text) {
		operation_add_text(operation, NULL);
		return;
	}
	char sanitized[4 * ERROR_TEXT_MAX];
	str_sanitize(text, strlen(text), sanitized, sizeof sanitized);
	operation_add_text(operation, sanitized);
}

void store_job(struct store *store, const struct job_record *record)
{
	struct operation *operation = operation_new(OPERATION_JOB);
	operation_add_run(operation);
	operation_add_text(operation, record->source);
	operation_add_text(operation, record->target);
	operation_add_text(operation, record->digest);
	operation_add_text(operation, record->outcome);
	operation_add_text(operation, record->stage);
	operation_add_text(operation, record->error_kind);
	add_error_text(operation, record->error_text);
	operation_add_number(operation, record->duration_ms);
	operation_add_number(operation, wall_clock_ms());
	operation_add_number(operation, record->bytes);
	queue_add(&store->queue, operation);
}

/* --- tags -----------------------------------------------------------------------------------------------------------
 */

bool store_tag_find(struct store *store, const char *target, const struct digest *source, const char *platforms,
	struct digest *written, bool *found, struct error *err)
{
	struct operation *operation = operation_new(OPERATION_TAG_FIND);
	operation_add_text(operation, target);
	operation_add_text(operation, source->text);
	operation_add_text(operation, platforms);
	return ask_digest(store, operation, written, found, err);
}

/* The next word of *text, which moves behind it. New memory. */
static char *take_word(const char **text)
{
	size_t length = strcspn(*text, " ");
	char *word = memory_text_of(*text, length);
	*text += length + ((*text)[length] == ' ');
	return word;
}

void tag_source_release(struct tag_source *from)
{
	free(from->source);
	free(from->platforms);
	*from = (struct tag_source){0};
}

bool store_tag_source(struct store *store, const char *target, struct tag_source *from, bool *found, struct error *err)
{
	struct operation *operation = operation_new(OPERATION_TAG_SOURCE);
	auto_free char *answer = NULL;
	operation_add_text(operation, target);
	if (!queue_ask(&store->queue, operation, &answer, err))
		return false;
	*found = answer != NULL;
	if (!answer)
		return true;
	const char *rest = answer;
	auto_free char *source_digest = take_word(&rest);
	auto_free char *written = take_word(&rest);
	*from = (struct tag_source){.platforms = take_word(&rest)};
	from->source = memory_text(rest);
	*found = digest_parse(source_digest, &from->source_digest, NULL) && digest_parse(written, &from->written, NULL);
	return true;
}

void store_tag_written(struct store *store, const char *target, const char *source, const struct digest *source_digest,
	const char *platforms, const struct digest *written)
{
	struct operation *operation = operation_new(OPERATION_TAG_WRITTEN);
	operation_add_text(operation, target);
	operation_add_text(operation, source);
	operation_add_text(operation, source_digest->text);
	operation_add_text(operation, platforms);
	operation_add_text(operation, written->text);
	operation_add_number(operation, wall_clock_ms());
	queue_add(&store->queue, operation);
}

/* --- facts about digests --------------------------------------------------------------------------------------------
 */

bool store_diff_id_find(struct store *store, const struct digest *blob, const char *decoder, struct digest *diff_id,
	bool *found, struct error *err)
{
	struct operation *operation = operation_new(OPERATION_DIFF_ID_FIND);
	operation_add_text(operation, blob->text);
	operation_add_text(operation, decoder);
	return ask_digest(store, operation, diff_id, found, err);
}

void store_diff_id_proven(
	struct store *store, const struct digest *blob, int64_t size, const char *decoder, const struct digest *diff_id)
{
	struct operation *operation = operation_new(OPERATION_DIFF_ID_PROVEN);
	operation_add_text(operation, blob->text);
	operation_add_text(operation, decoder);
	operation_add_number(operation, size);
	operation_add_text(operation, diff_id->text);
	operation_add_number(operation, wall_clock_ms());
	queue_add(&store->queue, operation);
}

/* --- hints for mounts -----------------------------------------------------------------------------------------------
 */

static struct operation *location_operation(
	enum operation_kind kind, const char *registry, const char *repository, const struct digest *blob)
{
	struct operation *operation = operation_new(kind);
	operation_add_text(operation, registry);
	operation_add_text(operation, repository);
	operation_add_text(operation, blob->text);
	return operation;
}

bool store_location_find(struct store *store, const char *registry, const char *repository, const struct digest *blob,
	char **from, struct error *err)
{
	return queue_ask(
		&store->queue, location_operation(OPERATION_LOCATION_FIND, registry, repository, blob), from, err);
}

void store_location_seen(struct store *store, const char *registry, const char *repository, const struct digest *blob)
{
	struct operation *operation = location_operation(OPERATION_LOCATION_SEEN, registry, repository, blob);
	operation_add_number(operation, wall_clock_ms());
	queue_add(&store->queue, operation);
}

void store_location_gone(struct store *store, const char *registry, const char *repository, const struct digest *blob)
{
	queue_add(&store->queue, location_operation(OPERATION_LOCATION_GONE, registry, repository, blob));
}
