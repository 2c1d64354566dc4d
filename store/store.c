#include "store/internal.h"

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "scheduler/pool.h"
#include "store/operation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * The queue has no maximum of its own, since who records must not wait: it holds what tasks record while one batch is
 * on its way to the disk, and the number of tasks is bounded by their groups.
 */
struct store {
	struct database *database; /* NULL: remembers nothing */
	struct list queue;
	bool has_news;  /* something came since the last batch: only then are failed ones tried again */
	int64_t due_ms; /* when that is committed at the latest */
	bool closing;
	struct waitqueue work;
	struct group group;      /* of the one store task */
	struct operation *begin; /* of the run, whose answer is its name; NULL once that was asked for */
	int64_t runs_kept;
	size_t unrecorded_count;
	struct error last_error;
};

/* What a crash may forget costs a HEAD; a commit for each record would cost five syncs. */
enum { RUNS_KEPT = 100, TRIES = 2, GATHER_MS = 250 };

/* Half a year after a digest was carried it is hardly carried again; so the file does not grow for ever. */
static const int64_t hints_kept_ms = INT64_C(180) * 24 * 3600 * 1000;

static int64_t wall_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the store task -------------------------------------------------------------------------------------------------
 */

static void move_all(struct list *from, struct list *to)
{
	list_for_each_safe (node, from) {
		list_remove(node);
		list_append(to, node);
	}
}

struct batch_job {
	struct database *database;
	struct list operations;
};

static void run_batch(void *argument)
{
	struct batch_job *job = argument;
	database_run(job->database, &job->operations);
}

/* The operation has run. Returns true when it is to be tried again. */
static bool settle(struct store *store, struct operation *operation)
{
	if (operation->is_waited && !operation->is_abandoned) {
		latch_open(&operation->answered);
		return false;
	}
	if (operation->failed && !operation->is_waited) {
		if (++operation->failures < TRIES)
			return true;
		store->unrecorded_count++;
	}
	operation_free(operation);
	return false;
}

static void commit(struct store *store, struct batch_job *job)
{
	struct list again;
	list_init(&again);
	job->database = store->database;
	pool_run_always(run_batch, job);
	store->last_error = *database_last_error(store->database);
	list_for_each_safe (node, &job->operations) {
		list_remove(node);
		if (settle(store, list_item(node, struct operation, node)))
			list_append(&again, node);
	}
	/* In front of what came meanwhile: the order of records is the order of events. */
	move_all(&store->queue, &again);
	move_all(&again, &store->queue);
}

static void commit_queued(struct store *store)
{
	struct batch_job job;
	list_init(&job.operations);
	move_all(&store->queue, &job.operations);
	store->has_news = false;
	commit(store, &job);
}

/* Does anything in front of it in the queue say something of what it asks for? */
static bool waits_for_records(const struct store *store, const struct operation *question)
{
	list_for_each (node, &store->queue) {
		const struct operation *other = list_item(node, struct operation, node);
		if (other == question)
			return false;
		if (!operation_is_question(other) && operation_concerns(other, question))
			return true;
	}
	return false;
}

/* Questions that need not wait for any record are a batch of their own, which syncs nothing. */
static bool answer_questions(struct store *store)
{
	struct batch_job job;
	list_init(&job.operations);
	list_for_each_safe (node, &store->queue) {
		const struct operation *operation = list_item(node, struct operation, node);
		if (!operation_is_question(operation) || waits_for_records(store, operation))
			continue;
		list_remove(node);
		list_append(&job.operations, node);
	}
	if (list_is_empty(&job.operations))
		return false;
	commit(store, &job);
	return true;
}

static bool is_due(const struct store *store)
{
	if (store->closing || loop_now_ms() >= store->due_ms)
		return true;
	list_for_each (node, &store->queue)
		if (list_item(node, struct operation, node)->is_waited)
			return true;
	return false;
}

/* It cannot be cancelled: what was queued is recorded, whatever stopped the run. */
static void store_task(void *argument)
{
	struct store *store = argument;
	for (;;) {
		while (!store->closing && (!store->has_news || list_is_empty(&store->queue)))
			waitqueue_wait_uncancelable(&store->work);
		if (list_is_empty(&store->queue))
			return;
		if (answer_questions(store))
			continue;
		if (is_due(store))
			commit_queued(store);
		else
			(void)!waitqueue_wait_until(&store->work, store->due_ms, NULL);
	}
}

static void enqueue(struct store *store, struct operation *operation)
{
	if (!store->database) {
		operation_free(operation);
		return;
	}
	list_append(&store->queue, &operation->node);
	if (!store->has_news)
		store->due_ms = loop_now_ms() + GATHER_MS;
	store->has_news = true;
	waitqueue_wake_one(&store->work);
}

/* Wait for the answer to what is queued: new memory, or NULL when there is none. */
static bool await(struct store *store, struct operation *operation, char **answer, struct error *err)
{
	struct error canceled;
	if (!latch_wait(&operation->answered, &canceled) && !operation->answered.open) {
		operation->is_abandoned = true;
		return error_set(err, canceled.kind, "%s", canceled.text);
	}
	bool ok = !operation->failed;
	if (ok) {
		*answer = operation->answer;
		operation->answer = NULL;
	} else {
		error_set(err, store->last_error.kind, "%s", store->last_error.text);
	}
	operation_free(operation);
	return ok;
}

static bool ask(struct store *store, struct operation *operation, char **answer, struct error *err)
{
	if (!store->database) {
		operation_free(operation);
		*answer = NULL;
		return true;
	}
	operation->is_waited = true;
	enqueue(store, operation);
	return await(store, operation, answer, err);
}

/* As ask(), for an answer that is a digest. What is no digest is damage, and as good as unknown. */
static bool ask_digest(
	struct store *store, struct operation *operation, struct digest *digest, bool *found, struct error *err)
{
	auto_free char *answer = NULL;
	if (!ask(store, operation, &answer, err))
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
	list_init(&store->queue);
	waitqueue_init(&store->work);
	group_init(&store->group, 1);
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
	opened->database = job.database;
	if (!group_spawn(&opened->group, store_task, opened, err)) {
		pool_run_always(close_database, opened->database);
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
	store->closing = true;
	waitqueue_wake_one(&store->work);
	group_wait(&store->group);
	if (store->database)
		pool_run_always(close_database, store->database);
	operation_free(store->begin);
	size_t lost = store->unrecorded_count;
	if (lost > 0)
		error_set(err, ERR_STORE, "%zu %s not recorded: %s", lost, lost == 1 ? "record was" : "records were",
			store->last_error.text);
	free(store);
	return lost == 0;
}

struct database *store_database(struct store *store)
{
	return store->database;
}

size_t store_unrecorded_count(const struct store *store)
{
	return store->unrecorded_count;
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
	enqueue(store, operation);
}

void store_run_begin(struct store *store, const char *config_hash)
{
	if (!store->database)
		return;
	abandon(store->begin);
	struct operation *begin = operation_new(OPERATION_RUN_BEGIN);
	operation_add_text(begin, config_hash);
	operation_add_number(begin, wall_clock_ms());
	begin->is_waited = true;
	store->begin = begin;
	enqueue(store, begin);
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
	if (begin && !await(store, begin, &id, err))
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
	enqueue(store, operation);
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
	enqueue(store, operation);
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
	if (!ask(store, operation, &answer, err))
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
	enqueue(store, operation);
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
	enqueue(store, operation);
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
	return ask(store, location_operation(OPERATION_LOCATION_FIND, registry, repository, blob), from, err);
}

void store_location_seen(struct store *store, const char *registry, const char *repository, const struct digest *blob)
{
	struct operation *operation = location_operation(OPERATION_LOCATION_SEEN, registry, repository, blob);
	operation_add_number(operation, wall_clock_ms());
	enqueue(store, operation);
}

void store_location_gone(struct store *store, const char *registry, const char *repository, const struct digest *blob)
{
	enqueue(store, location_operation(OPERATION_LOCATION_GONE, registry, repository, blob));
}
