#include "support.h"

#include <signal.h>
#include <sys/resource.h>

/* --- the queue ------------------------------------------------------------------------------------------------------
 */

struct writer {
	struct store *store;
	int number;
};

static void write_one(void *argument)
{
	struct writer *writer = argument;
	auto_free char *target = memory_format("r.io/a:%d", writer->number);
	struct digest digest = a_digest(target);
	store_tag_written(writer->store, target, "s", &digest, "", &digest);
	expect_tag(writer->store, target, &digest, "", &digest);
}

static void write_from_1000_tasks(void *argument)
{
	enum { TASKS = 1000, WIDTH = 250 };
	struct writer *writers = memory_new(TASKS, sizeof *writers);
	struct store *store = open_store();
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, WIDTH);
	for (int i = 0; i < TASKS; i++) {
		writers[i] = (struct writer){store, i};
		assert_true(group_spawn(&group, write_one, &writers[i], &err));
	}
	group_wait(&group);
	size_t commits = database_commit_count(store_database(store));
	if (commits == 0 || commits > 50)
		fail_msg("%zu transactions for %d records", commits, TASKS);
	close_store(store);
	free(writers);
}

static void a_thousand_records_cost_a_few_commits(void **state)
{
	(void)state;
	in_real_loop(write_from_1000_tasks, NULL);
	expect_in_file("SELECT count(*) FROM tag", "1000");
}

static void close_at_once(void *argument)
{
	struct digest digest = a_digest("x");
	struct store *store = open_store();
	(void)argument;
	for (int i = 0; i < 100; i++) {
		auto_free char *target = memory_format("r.io/a:%d", i);
		store_tag_written(store, target, "s", &digest, "", &digest);
	}
	close_store(store);
}

static void what_is_queued_is_recorded_at_the_close(void **state)
{
	(void)state;
	in_real_loop(close_at_once, NULL);
	expect_in_file("SELECT count(*) FROM tag", "100");
}

static void record_for_a_second(void *argument)
{
	struct store *store = open_store();
	struct error err;
	(void)argument;
	for (int i = 0; i < 100; i++) {
		auto_free char *name = memory_format("%d", i);
		struct digest digest = a_digest(name);
		store_location_seen(store, "r.io", "a", &digest);
		expect_location(store, "r.io", "b", "another", NULL);
		assert_true(task_sleep(10, &err));
	}
	assert_in_range(database_commit_count(store_database(store)), 3, 4);
	close_store(store);
}

static void records_gather_while_questions_about_others_are_answered(void **state)
{
	(void)state;
	struct loop *loop = loop_new_virtual(1);
	loop_run(loop, record_for_a_second, NULL);
	loop_free(loop);
	expect_in_file("SELECT count(*) FROM location", "100");
}

static void record_and_wait(void *argument)
{
	struct store *store = open_store();
	struct digest digest = a_digest("x");
	struct error err;
	(void)argument;
	store_location_seen(store, "r.io", "a", &digest);
	assert_true(task_sleep(400, &err)); /* nothing else comes */
	expect_in_file("SELECT count(*) FROM location", "1");
	close_store(store);
}

static void the_last_record_does_not_wait_for_another(void **state)
{
	(void)state;
	struct loop *loop = loop_new_virtual(1);
	loop_run(loop, record_and_wait, NULL);
	loop_free(loop);
}

static void run_shortly(void *argument)
{
	struct store *store = open_store();
	size_t before = database_commit_count(store_database(store));
	char run_id[24];
	struct error err;
	(void)argument;
	store_run_begin(store);
	assert_true(task_sleep(100, &err));
	store_run_end(store, &(struct run_totals){0}, 0);
	assert_true(store_run_id(store, run_id, &err));
	assert_string_equal(run_id, "1");
	assert_int_equal(database_commit_count(store_database(store)), before + 1);
	close_store(store);
}

static void the_beginning_and_the_end_of_a_short_run_are_one_commit(void **state)
{
	(void)state;
	struct loop *loop = loop_new_virtual(1);
	loop_run(loop, run_shortly, NULL);
	loop_free(loop);
	expect_in_file("SELECT count(*) FROM run WHERE finished_ms IS NOT NULL", "1");
}

static void ask_in_vain(void *argument)
{
	struct store *store = argument;
	struct digest digest = a_digest("x");
	char *from = NULL;
	struct error err = {.kind = ERR_NONE};
	store_location_seen(store, "r.io", "canceled", &digest);
	assert_false(store_location_find(store, "r.io", "b", &digest, &from, &err));
	assert_int_equal(err.kind, ERR_CANCELED);
	assert_null(from);
}

static void cancel_an_asker(void *argument)
{
	struct store *store = open_store();
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 1);
	assert_true(group_spawn(&group, ask_in_vain, store, &err));
	group_cancel(&group);
	group_wait(&group);
	expect_location(store, "r.io", "b", "x", "canceled");
	close_store(store);
}

static void a_canceled_question_does_no_harm(void **state)
{
	(void)state;
	in_real_loop(cancel_an_asker, NULL);
}

static void write_and_close_late(void *argument)
{
	struct digest digest = a_digest("x");
	struct store *store = argument;
	store_location_seen(store, "r.io", "late", &digest);
	assert_true(task_is_canceled());
	close_store(store);
}

static void cancel_a_closer(void *argument)
{
	struct store *store = open_store();
	struct group group;
	struct error err;
	(void)argument;
	group_init(&group, 1);
	assert_true(group_spawn(&group, write_and_close_late, store, &err));
	group_cancel(&group);
	group_wait(&group);
}

static void a_run_that_was_stopped_is_recorded(void **state)
{
	(void)state;
	in_real_loop(cancel_a_closer, NULL);
	expect_in_file("SELECT count(*) FROM location", "1");
}

/* --- failures -------------------------------------------------------------------------------------------------------
 */

/* Ask for what a record says: that is committed first, and cannot be. */
static void wait_for_failures(struct store *store)
{
	struct digest digest = a_digest("x");
	char *from = NULL;
	struct error err = {.kind = ERR_NONE};
	if (store_location_find(store, "r.io", "probe", &digest, &from, &err))
		fail_msg("the file is not held");
	assert_int_equal(err.kind, ERR_STORE);
}

static void write_past_a_short_holder(void *argument)
{
	struct digest digest = a_digest("x");
	struct store *store = open_store();
	sqlite3 *holder = look_at(path);
	(void)argument;
	database_set_patience(store_database(store), 1);
	assert_int_equal(sqlite3_exec(holder, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	store_location_seen(store, "r.io", "a", &digest);
	wait_for_failures(store);
	assert_int_equal(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(holder);
	expect_location(store, "r.io", "b", "x", "a");
	assert_int_equal(store_unrecorded_count(store), 0);
	close_store(store);
}

/* covers: T-62 */
static void a_failed_commit_is_tried_again(void **state)
{
	(void)state;
	in_real_loop(write_past_a_short_holder, NULL);
	expect_in_file("SELECT count(*) FROM location", "1");
}

static void begin_past_a_short_holder(void *argument)
{
	struct digest digest = a_digest("x");
	struct store *store = open_store();
	sqlite3 *holder = look_at(path);
	char run_id[24];
	struct error err;
	(void)argument;
	database_set_patience(store_database(store), 1);
	assert_int_equal(sqlite3_exec(holder, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	store_run_begin(store);
	store_job(store, &(struct job_record){.source = "s", .target = "t", .outcome = "copied"});
	store_location_seen(store, "r.io", "a", &digest);
	wait_for_failures(store);
	assert_int_equal(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(holder);
	assert_true(store_run_id(store, run_id, &err));
	assert_string_equal(run_id, "1");
	assert_int_equal(store_unrecorded_count(store), 0);
	close_store(store);
}

/* covers: T-62 */
static void a_beginning_that_failed_is_tried_again(void **state)
{
	(void)state;
	in_real_loop(begin_past_a_short_holder, NULL);
	expect_in_file("SELECT count(*) FROM run, job WHERE run = id", "1");
}

static void record_behind_a_question(void *argument)
{
	struct store *store = open_store();
	struct digest digest = a_digest("x");
	struct error err;
	(void)argument;
	expect_location(store, "r.io", "b", "another", NULL);
	assert_true(task_sleep(400, &err));
	size_t before = database_commit_count(store_database(store));
	store_location_seen(store, "r.io", "a", &digest);
	assert_true(task_sleep(200, &err));
	assert_int_equal(database_commit_count(store_database(store)), before);
	assert_true(task_sleep(200, &err));
	assert_int_equal(database_commit_count(store_database(store)), before + 1);
	close_store(store);
}

static void a_record_gathers_long_after_a_question_too(void **state)
{
	(void)state;
	struct loop *loop = loop_new_virtual(1);
	loop_run(loop, record_behind_a_question, NULL);
	loop_free(loop);
}

struct holder {
	struct store *store;
	sqlite3 *connection;
};

/* Let go of the file at the moment when the batch with the record has failed. */
static void write_and_release_after_failure(void *argument)
{
	struct holder *holder = argument;
	struct digest old = a_digest("old"), probe = a_digest("x");
	store_tag_written(holder->store, "r.io/a:1", "s", &old, "", &old);
	store_location_seen(holder->store, "r.io", "a", &probe);
	wait_for_failures(holder->store);
	assert_int_equal(sqlite3_exec(holder->connection, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
}

static void write_again_while_a_commit_fails(void *argument)
{
	struct digest new = a_digest("new");
	struct holder holder = {open_store(), look_at(path)};
	struct group group;
	struct error err;
	(void)argument;
	database_set_patience(store_database(holder.store), 300);
	assert_int_equal(sqlite3_exec(holder.connection, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	group_init(&group, 1);
	assert_true(group_spawn(&group, write_and_release_after_failure, &holder, &err));
	for (int turn = 0; turn < 3; turn++) /* it writes, the store task takes, the batch is on its way */
		assert_true(task_yield(&err));
	store_tag_written(holder.store, "r.io/a:1", "s", &new, "", &new);
	group_wait(&group);
	expect_tag(holder.store, "r.io/a:1", &new, "", &new);
	sqlite3_close(holder.connection);
	close_store(holder.store);
}

/* covers: T-62 */
static void a_record_that_is_tried_again_does_not_undo_a_later_one(void **state)
{
	(void)state;
	in_real_loop(write_again_while_a_commit_fails, NULL);
}

static void write_past_a_long_holder(void *argument)
{
	struct digest digest = a_digest("x");
	struct store *store = open_store();
	sqlite3 *holder = look_at(path);
	struct error err = {.kind = ERR_NONE};
	(void)argument;
	database_set_patience(store_database(store), 1);
	assert_int_equal(sqlite3_exec(holder, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	store_location_seen(store, "r.io", "a", &digest);
	store_location_seen(store, "r.io", "b", &digest);
	wait_for_failures(store);
	wait_for_failures(store);
	assert_int_equal(store_unrecorded_count(store), 2);
	assert_false(store_close(store, &err));
	sqlite3_close(holder);
	assert_int_equal(err.kind, ERR_STORE);
	assert_non_null(strstr(err.text, "2 records were not recorded"));
	assert_non_null(strstr(err.text, "locked"));
}

/* covers: T-62, T-64 */
static void what_could_not_be_recorded_is_counted(void **state)
{
	(void)state;
	in_real_loop(write_past_a_long_holder, NULL);
	expect_in_file("SELECT count(*) FROM location", "0");
	expect_in_file("PRAGMA integrity_check", "ok");
}

static void write_to_a_full_disk(void *argument)
{
	struct digest blob = a_digest("blob"), diff_id = a_digest("diff_id"), got;
	struct store *store = open_store();
	struct rlimit before, full;
	bool found = false;
	struct error err = {.kind = ERR_NONE};
	(void)argument;
	store_diff_id_proven(store, &blob, 1, "gzip", &diff_id);
	assert_true(store_diff_id_find(store, &blob, "gzip", &got, &found, &err));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	full = before;
	full.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &full);
	store_diff_id_proven(store, &blob, 1, "zstd", &blob);
	found = false;
	bool answered = store_diff_id_find(store, &blob, "gzip", &got, &found, &err);
	bool closed = store_close(store, &err);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_true(answered && found && digest_equal(&got, &diff_id));
	assert_false(closed);
	assert_int_equal(err.kind, ERR_STORE);
	assert_non_null(strstr(err.text, "1 record was not recorded"));
}

/* covers: T-64 */
static void a_full_disk_does_not_take_away_what_is_known(void **state)
{
	(void)state;
	in_real_loop(write_to_a_full_disk, NULL);
	expect_in_file("SELECT count(*) FROM blob", "1");
	expect_in_file("PRAGMA integrity_check", "ok");
}

static void record_a_job_of_no_run(void *argument)
{
	struct digest digest = a_digest("x");
	struct store *store = open_store();
	struct error err = {.kind = ERR_NONE};
	(void)argument;
	store_location_seen(store, "r.io", "a", &digest);
	store_job(store, &(struct job_record){.source = "s", .target = "t", .outcome = "copied"});
	store_location_seen(store, "r.io", "b", &digest);
	expect_location(store, "r.io", "a", "x", "b");
	assert_false(store_close(store, &err));
	assert_non_null(strstr(err.text, "1 record was not recorded"));
}

static void a_record_that_the_schema_refuses_fails_alone(void **state)
{
	(void)state;
	in_real_loop(record_a_job_of_no_run, NULL);
	expect_in_file("SELECT count(*) FROM location", "2");
}

/* --- readers --------------------------------------------------------------------------------------------------------
 */

static void read_while_writing(void *argument)
{
	struct digest digest = a_digest("x");
	struct store *store = open_store();
	char *last = memory_text("0");
	(void)argument;
	for (int i = 1; i <= 50; i++) {
		auto_free char *repository = memory_format("%d", i);
		store_location_seen(store, "r.io", repository, &digest);
		auto_free char *from = NULL;
		struct error err = {.text = ""};
		if (!store_location_find(store, "r.io", "", &digest, &from, &err))
			fail_msg("%s", err.text);
		sqlite3 *reader = NULL;
		assert_int_equal(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
		sqlite3_busy_timeout(reader, 10000);
		free(last);
		last = query(reader, "SELECT count(*) FROM location");
		sqlite3_close(reader);
		assert_string_equal(last, repository);
	}
	free(last);
	close_store(store);
}

static void others_read_while_a_run_writes(void **state)
{
	(void)state;
	in_real_loop(read_while_writing, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(a_thousand_records_cost_a_few_commits),
		store_test(records_gather_while_questions_about_others_are_answered),
		store_test(the_last_record_does_not_wait_for_another),
		store_test(the_beginning_and_the_end_of_a_short_run_are_one_commit),
		store_test(what_is_queued_is_recorded_at_the_close),
		store_test(a_canceled_question_does_no_harm),
		store_test(a_run_that_was_stopped_is_recorded),
		store_test(a_failed_commit_is_tried_again),
		store_test(a_beginning_that_failed_is_tried_again),
		store_test(a_record_gathers_long_after_a_question_too),
		store_test(a_record_that_is_tried_again_does_not_undo_a_later_one),
		store_test(what_could_not_be_recorded_is_counted),
		store_test(a_full_disk_does_not_take_away_what_is_known),
		store_test(a_record_that_the_schema_refuses_fails_alone),
		store_test(others_read_while_a_run_writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
