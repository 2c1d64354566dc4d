#include "support.h"

enum { HOSTILE_BYTES = 10240 };

#define BLOB_END "b4d46ac6b8b8" /* of a_digest("blob") */

static const char *const hostile_texts[] = {
	"plain",
	"'; DROP TABLE tag; --",
	"\"quoted\" `back` [bracket] \\ % _ ?1 :a @b $c",
	"na\xc3\xafve \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x9a\x9a \xe2\x80\xae reversed",
	"line\nbreak\ttab\x01\x7f",
	"1",
	"0x10",
	"NULL",
	" spaces ",
};

static char *long_text(void)
{
	char *text = memory_new(HOSTILE_BYTES + 1, 1);
	for (size_t i = 0; i < HOSTILE_BYTES; i++)
		text[i] = "'\"ab;-"[i % 6];
	return text;
}

/* --- round trips ----------------------------------------------------------------------------------------------------
 */

static void write_and_find_tags(void *argument)
{
	struct digest old = a_digest("old"), new = a_digest("new"), written = a_digest("written");
	struct store *store = open_store();
	(void)argument;
	expect_tag(store, "r.io/a:1", &old, "", NULL);
	store_tag_written(store, "r.io/a:1", "s.io/a:1", &old, "", &written);
	store_tag_written(store, "r.io/b:1", "s.io/b:1", &old, "linux/amd64", &new);
	expect_tag(store, "r.io/a:1", &old, "", &written);
	expect_tag(store, "r.io/a:1", &new, "", NULL);
	expect_tag(store, "r.io/a:1", &old, "linux/amd64", NULL);
	expect_tag(store, "r.io/b:1", &old, "linux/amd64", &new);
	store_tag_written(store, "r.io/a:1", "s.io/a:1", &new, "", &new);
	expect_tag(store, "r.io/a:1", &old, "", NULL);
	close_store(store);
	store = open_store();
	expect_tag(store, "r.io/a:1", &new, "", &new);
	close_store(store);
}

static void a_tag_is_known_by_source_digest_and_platforms(void **state)
{
	(void)state;
	in_real_loop(write_and_find_tags, NULL);
	expect_in_file("SELECT count(*) FROM tag", "2");
	expect_in_file("SELECT first_seen_ms > 1700000000000 AND verified_ms >= first_seen_ms FROM tag", "1");
}

static void write_and_find_diff_ids(void *argument)
{
	struct digest blob = a_digest("blob"), diff_id = a_digest("diff_id"), got;
	struct store *store = open_store();
	bool found = true;
	struct error err;
	(void)argument;
	assert_true(store_diff_id_find(store, &blob, "gzip", &got, &found, &err));
	assert_false(found);
	store_diff_id_proven(store, &blob, 123, "gzip", &diff_id);
	store_diff_id_proven(store, &blob, 123, "tar", &blob);
	assert_true(store_diff_id_find(store, &blob, "gzip", &got, &found, &err));
	assert_true(found && digest_equal(&got, &diff_id));
	assert_true(store_diff_id_find(store, &blob, "zstd", &got, &found, &err));
	assert_false(found);
	close_store(store);
}

static void a_diff_id_is_known_by_digest_and_decoder(void **state)
{
	(void)state;
	in_real_loop(write_and_find_diff_ids, NULL);
	expect_in_file("SELECT size FROM blob WHERE decoder = 'gzip'", "123");
}

static void see_and_lose_locations(void *argument)
{
	struct digest blob = a_digest("blob");
	struct store *store = open_store();
	(void)argument;
	store_location_seen(store, "r.io", "one", &blob);
	expect_location(store, "r.io", "one", "blob", NULL);
	expect_location(store, "r.io", "two", "blob", "one");
	expect_location(store, "q.io", "two", "blob", NULL);
	expect_location(store, "r.io", "two", "another", NULL);
	store_location_seen(store, "r.io", "two", &blob);
	store_location_seen(store, "r.io", "two", &blob);
	expect_location(store, "r.io", "one", "blob", "two");
	store_location_gone(store, "r.io", "two", &blob);
	store_location_gone(store, "r.io", "never", &blob);
	expect_location(store, "r.io", "one", "blob", NULL);
	close_store(store);
}

static void a_location_is_another_repository_of_the_registry(void **state)
{
	(void)state;
	in_real_loop(see_and_lose_locations, NULL);
}

static void record_a_run(void *argument)
{
	static const struct run_totals totals = {4, 2, 1, 1, 1000, 2000};
	struct store *store = open_store();
	char run_id[24];
	struct error err;
	(void)argument;
	store_run_begin(store);
	assert_true(store_run_id(store, run_id, &err));
	assert_string_equal(run_id, "1");
	store_job(store, &(struct job_record){.source = "s/a:1",
				 .target = "t/a:1",
				 .digest = "sha256:0",
				 .outcome = "copied",
				 .duration_ms = 12,
				 .bytes = 77});
	store_job(store, &(struct job_record){.source = "s/b:1",
				 .target = "t/b:1",
				 .outcome = "failed",
				 .stage = "blob",
				 .error_kind = "corrupt",
				 .error_text = "evil\n\x1b[31m\xff",
				 .duration_ms = 13});
	store_job(store, &(struct job_record){.source = "s/b:1", .target = "t/b:1", .outcome = "copied"});
	store_run_end(store, &totals, 1);
	close_store(store);
}

static void a_run_and_its_jobs_are_recorded(void **state)
{
	(void)state;
	in_real_loop(record_a_run, NULL);
	expect_in_file("SELECT exit_code || images || copied || unchanged || failed || downloaded_bytes ||"
		       " uploaded_bytes FROM run WHERE finished_ms >= started_ms",
		"142111000"
		"2000");
	expect_in_file("SELECT count(*) FROM job WHERE run = 1", "2");
	expect_in_file(
		"SELECT digest || outcome || duration_ms || bytes FROM job WHERE stage IS NULL AND digest IS NOT NULL",
		"sha256:0copied1277");
}

static void record_a_failure(void *argument)
{
	struct store *store = open_store();
	(void)argument;
	store_run_begin(store);
	store_job(store, &(struct job_record){.source = "s",
				 .target = "t",
				 .outcome = "failed",
				 .stage = "blob",
				 .error_kind = "corrupt",
				 .error_text = "evil\n\x1b[31m\xff"});
	close_store(store);
}

/* covers: T-67, T-73 */
static void foreign_text_in_an_error_is_kept_in_printable_form(void **state)
{
	(void)state;
	in_real_loop(record_a_failure, NULL);
	expect_in_file("SELECT stage || error_kind || error_text FROM job", "blobcorruptevil\\x0a\\x1b[31m\\xff");
}

static void record_attempts(void *argument)
{
	static const char *const outcomes[] = {"failed", "failed", "failed", "copied", "failed"};
	struct store *store = open_store();
	(void)argument;
	for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
		store_run_begin(store);
		struct job_record record = {.source = "s", .target = "t", .outcome = outcomes[i]};
		store_job(store, &record);
		store_job(store, &record); /* told twice, it is one */
		record.target = "another";
		record.outcome = "failed";
		store_job(store, &record);
	}
	close_store(store);
}

static void a_job_knows_how_often_in_a_row_it_was_tried(void **state)
{
	(void)state;
	in_real_loop(record_attempts, NULL);
	expect_in_file("SELECT group_concat(attempts) FROM (SELECT attempts FROM job WHERE target = 't' ORDER BY run)",
		"1,2,3,4,1");
	expect_in_file("SELECT max(attempts) FROM job WHERE target = 'another'", "5");
	expect_in_file("SELECT count(*) FROM job", "10");
}

static void record_many_runs(void *argument)
{
	struct store *store = open_store();
	struct error err;
	char run_id[24], expected[24];
	(void)argument;
	for (int i = 1; i <= 130; i++) {
		store_run_begin(store);
		assert_true(store_run_id(store, run_id, &err));
		snprintf(expected, sizeof expected, "%d", i);
		assert_string_equal(run_id, expected);
		store_job(store, &(struct job_record){.source = "s", .target = "t", .outcome = "copied"});
	}
	close_store(store);
}

static void the_last_100_runs_are_kept_with_their_jobs(void **state)
{
	(void)state;
	in_real_loop(record_many_runs, NULL);
	expect_in_file("SELECT count(*) || ' from ' || min(id) FROM run", "100 from 31");
	expect_in_file("SELECT count(*) || ' from ' || min(run) FROM job", "100 from 31");
}

static void begin_and_keep(void *argument)
{
	struct store *store = open_store();
	store_keep_runs(store, *(const int *)argument);
	store_run_begin(store);
	close_store(store);
}

static void as_many_runs_are_kept_as_was_said(void **state)
{
	static const struct {
		int keep;
		const char *expected;
	} rows[] = {{7, "7 from 125"}, {9, "8 from 125"}, {1, "1 from 133"}};
	(void)state;
	in_real_loop(record_many_runs, NULL);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		in_real_loop(begin_and_keep, (void *)(uintptr_t)&rows[i].keep);
		expect_in_file("SELECT count(*) || ' from ' || min(id) FROM run", rows[i].expected);
	}
}

static void learn_hints(void *argument)
{
	struct store *store = open_store();
	struct digest blob = a_digest("blob"), other = a_digest("other");
	(void)argument;
	store_diff_id_proven(store, &blob, 1, "gzip", &other);
	store_diff_id_proven(store, &other, 1, "gzip", &blob);
	store_location_seen(store, "r.io", "a", &blob);
	store_location_seen(store, "r.io", "b", &other);
	store_tag_written(store, "r.io/a:1", "s.io/a:1", &blob, "", &blob);
	close_store(store);
}

static void hints_of_half_a_year_ago_go_and_tags_stay(void **state)
{
	(void)state;
	in_real_loop(learn_hints, NULL);
	execute(path, "UPDATE blob SET proven_ms = proven_ms - 181 * 86400000 WHERE digest LIKE '%" BLOB_END "';"
		      "UPDATE location SET seen_ms = seen_ms - 181 * 86400000 WHERE repository = 'a';"
		      "UPDATE tag SET verified_ms = 1, first_seen_ms = 1");
	int keep = 100;
	in_real_loop(begin_and_keep, &keep);
	expect_in_file("SELECT count(*) || ' ' || min(digest NOT LIKE '%" BLOB_END "') FROM blob", "1 1");
	expect_in_file("SELECT group_concat(repository) FROM location", "b");
	expect_in_file("SELECT count(*) FROM tag", "1");
}

static void carry_text(struct store *store, const char *text)
{
	struct digest blob = a_digest("blob"), written = a_digest(text);
	store_tag_written(store, text, text, &blob, text, &written);
	expect_tag(store, text, &blob, text, &written);
	store_location_seen(store, text, text, &blob);
	expect_location(store, text, "", "blob", text);
	store_diff_id_proven(store, &blob, 1, text, &written);
	store_run_begin(store);
	store_job(store, &(struct job_record){text, text, text, text, text, text, NULL, 0, 0});
}

static void carry_hostile_texts(void *argument)
{
	struct store *store = open_store();
	auto_free char *longest = long_text();
	(void)argument;
	for (size_t i = 0; i < array_count(hostile_texts); i++)
		carry_text(store, hostile_texts[i]);
	carry_text(store, longest);
	close_store(store);
}

static void expect_rows_with(const char *text)
{
	static const char *const queries[] = {
		"SELECT count(*) FROM tag WHERE target = ?1 AND source = ?1 AND platforms = ?1",
		"SELECT count(*) FROM location WHERE registry = ?1 AND repository = ?1",
		"SELECT count(*) FROM blob WHERE decoder = ?1",
		"SELECT count(*) FROM job WHERE source = ?1 AND target = ?1 AND digest = ?1",
		"SELECT count(*) FROM job WHERE outcome = ?1 AND stage = ?1 AND error_kind = ?1",
	};
	sqlite3 *connection = look_at(path);
	for (size_t i = 0; i < array_count(queries); i++) {
		sqlite3_stmt *statement = NULL;
		sqlite3_prepare_v2(connection, queries[i], -1, &statement, NULL);
		sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
		assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
		if (sqlite3_column_int(statement, 0) != 1)
			fail_msg("%s: %.40s", queries[i], text);
		sqlite3_finalize(statement);
	}
	sqlite3_close(connection);
}

/* covers: T-67 */
static void hostile_text_comes_back_as_it_went_in(void **state)
{
	auto_free char *longest = long_text();
	(void)state;
	in_real_loop(carry_hostile_texts, NULL);
	for (size_t i = 0; i < array_count(hostile_texts); i++)
		expect_rows_with(hostile_texts[i]);
	expect_rows_with(longest);
}

static void use_empty_store(void *argument)
{
	struct digest blob = a_digest("blob"), got;
	struct store *store = store_new_empty();
	char run_id[24] = "x";
	auto_free char *from = NULL;
	bool found = true;
	struct error err;
	(void)argument;
	store_run_begin(store);
	assert_true(store_run_id(store, run_id, &err));
	assert_string_equal(run_id, "");
	store_tag_written(store, "t", "s", &blob, "", &blob);
	store_diff_id_proven(store, &blob, 1, "gzip", &blob);
	store_location_seen(store, "r", "a", &blob);
	store_location_gone(store, "r", "a", &blob);
	store_job(store, &(struct job_record){.source = "s", .target = "t", .outcome = "copied"});
	store_run_end(store, &(struct run_totals){0}, 0);
	assert_true(store_tag_find(store, "t", &blob, "", &got, &found, &err) && !found);
	found = true;
	assert_true(store_diff_id_find(store, &blob, "gzip", &got, &found, &err) && !found);
	assert_true(store_location_find(store, "r", "b", &blob, &from, &err));
	assert_null(from);
	assert_true(store_close(store, &err));
	assert_true(store_close(NULL, &err));
}

static void a_store_without_a_file_knows_nothing(void **state)
{
	(void)state;
	in_real_loop(use_empty_store, NULL);
}

static void the_same_in_virtual_time(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct loop *loop = loop_new_virtual(seed);
		loop_run(loop, see_and_lose_locations, NULL);
		loop_free(loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(a_tag_is_known_by_source_digest_and_platforms),
		store_test(a_diff_id_is_known_by_digest_and_decoder),
		store_test(a_location_is_another_repository_of_the_registry),
		store_test(a_run_and_its_jobs_are_recorded),
		store_test(foreign_text_in_an_error_is_kept_in_printable_form),
		store_test(a_job_knows_how_often_in_a_row_it_was_tried),
		store_test(the_last_100_runs_are_kept_with_their_jobs),
		store_test(as_many_runs_are_kept_as_was_said),
		store_test(hints_of_half_a_year_ago_go_and_tags_stay),
		store_test(hostile_text_comes_back_as_it_went_in),
		store_test(a_store_without_a_file_knows_nothing),
		store_test(the_same_in_virtual_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
