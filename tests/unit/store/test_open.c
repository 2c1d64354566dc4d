/*
 * Opening: whose file it is, who holds it, and what is left of a run that was killed. The other process is this
 * program again: `test_open hold PATH` opens the store and waits, `test_open write PATH` writes until it is killed.
 */
#include "support.h"

#include "base/file.h"
#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* --- the other process ----------------------------------------------------------------------------------------------
 */

struct child {
	pid_t pid;
	int output; /* what it says */
};

static struct child start_child(char *role)
{
	int pipes[2];
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
	char *argv[] = {"test_open", role, path, NULL};
	struct child child = {.output = pipes[0]};
	assert_int_equal(posix_spawn(&child.pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	return child;
}

static void expect_byte_from(const struct child *child)
{
	char byte = 0;
	assert_int_equal(read(child->output, &byte, 1), 1);
}

static void kill_child(const struct child *child)
{
	int status = 0;
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_true(WIFSIGNALED(status));
}

static void say(char byte)
{
	struct error err;
	if (!file_write_all(STDOUT_FILENO, &byte, 1, &err))
		_exit(1);
}

static void hold(void *argument)
{
	struct store *store = open_store();
	(void)argument;
	say('.');
	pause();
	close_store(store);
}

/* Rounds of a tag and a location, queued together; a byte is said for each round that was answered. */
static void write_for_ever(void *argument)
{
	struct store *store = open_store();
	(void)argument;
	for (int round = 0;; round++) {
		auto_free char *name = memory_format("%ld-%d", (long)getpid(), round);
		struct digest digest = a_digest(name), written;
		bool found = false;
		struct error err;
		store_tag_written(store, name, "s", &digest, "", &digest);
		store_location_seen(store, "r.io", name, &digest);
		if (!store_tag_find(store, name, &digest, "", &written, &found, &err) || !found)
			_exit(1);
		say('.');
	}
}

/* --- opening --------------------------------------------------------------------------------------------------------
 */

struct attempt {
	bool ok;
	struct error err;
	char *moved_to;
};

static void try_to_open(void *argument)
{
	struct attempt *attempt = argument;
	struct store *store = NULL;
	struct error err;
	attempt->ok = store_open(path, &store, &attempt->moved_to, &attempt->err);
	if (attempt->ok)
		assert_true(store_close(store, &err));
}

static struct attempt open_once(void)
{
	struct attempt attempt = {.err = {.kind = ERR_NONE}};
	in_real_loop(try_to_open, &attempt);
	return attempt;
}

static void expect_opened(void)
{
	struct attempt attempt = open_once();
	if (!attempt.ok)
		fail_msg("%s", attempt.err.text);
	if (attempt.moved_to)
		fail_msg("moved to %s", attempt.moved_to);
}

static void record_one_location(void *argument)
{
	struct store *store = open_store();
	struct digest digest = a_digest("x");
	(void)argument;
	store_location_seen(store, "r.io", "a", &digest);
	close_store(store);
}

static mode_t mode_of(const char *name)
{
	struct stat status;
	assert_int_equal(stat(name, &status), 0);
	return status.st_mode & 07777;
}

static void the_state_is_private(void **state)
{
	auto_free char *lock = memory_format("%s.lock", path);
	auto_free char *journal = memory_format("%s-journal", path);
	auto_free char *parent = memory_format("%s/state", directory);
	mode_t umask_before = umask(0);
	(void)state;
	in_real_loop(record_one_location, NULL);
	umask(umask_before);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(journal), 0600);
	assert_int_equal(mode_of(lock), 0600);
	assert_int_equal(mode_of(parent), 0700);
}

static void a_new_file_is_marked_as_ours(void **state)
{
	(void)state;
	expect_opened();
	expect_in_file("PRAGMA application_id", "1685217657");
	expect_in_file("PRAGMA user_version", "3");
	expect_in_file("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%STRICT%'", "0");
}

/* --- the lock -------------------------------------------------------------------------------------------------------
 */

/* covers: T-79 */
static void a_second_run_is_told_who_holds_the_state(void **state)
{
	(void)state;
	struct child holder = start_child((char[]){"hold"});
	expect_byte_from(&holder);
	auto_free char *who = memory_format("held by pid %ld, since 20", (long)holder.pid);
	struct attempt attempt = open_once();
	assert_false(attempt.ok);
	assert_int_equal(attempt.err.kind, ERR_BUSY);
	if (!strstr(attempt.err.text, who))
		fail_msg("%s", attempt.err.text);
	kill_child(&holder);
	close(holder.output);
	expect_opened();
}

struct late_signature {
	int lock;
	char line[64];
};

static void *sign_late(void *argument)
{
	struct late_signature *late = argument;
	poll(NULL, 0, 40);
	if (pwrite(late->lock, late->line, strlen(late->line), 0) < 0)
		abort();
	return NULL;
}

/* covers: T-79 */
static void a_holder_that_has_not_signed_yet_is_not_taken_for_the_one_before(void **state)
{
	(void)state;
	expect_opened();
	auto_free char *name = memory_format("%s.lock", path);
	struct late_signature late = {.lock = open(name, O_RDWR | O_CLOEXEC)};
	assert_int_equal(flock(late.lock, LOCK_EX | LOCK_NB), 0);
	snprintf(late.line, sizeof late.line, "pid %ld, since 2026-01-01T00:00:00Z\n", (long)getpid());
	assert_int_equal(ftruncate(late.lock, 0), 0);
	assert_int_equal(pwrite(late.lock, "pid 1, since 2001-01-01T00:00:00Z\n", 34, 0), 34);
	pthread_t signer;
	assert_int_equal(pthread_create(&signer, NULL, sign_late, &late), 0);
	struct attempt attempt = open_once();
	pthread_join(signer, NULL);
	late.line[strcspn(late.line, "\n")] = '\0';
	assert_int_equal(attempt.err.kind, ERR_BUSY);
	if (!strstr(attempt.err.text, late.line))
		fail_msg("%s", attempt.err.text);
	close(late.lock);
	expect_opened();
}

/* --- kill -9 --------------------------------------------------------------------------------------------------------
 */

static void expect_whole_batches(const struct child *child, int answered)
{
	sqlite3 *connection = look_at(path);
	auto_free char *sound = query(connection, "PRAGMA integrity_check");
	assert_string_equal(sound, "ok");
	auto_free char *halves = query(connection,
		"SELECT (SELECT count(*) FROM tag WHERE target NOT IN (SELECT repository FROM location))"
		" + (SELECT count(*) FROM location WHERE repository NOT IN (SELECT target FROM tag))");
	assert_string_equal(halves, "0");
	auto_free char *count_text =
		memory_format("SELECT count(*) FROM tag WHERE target LIKE '%ld-%%'", (long)child->pid);
	auto_free char *count = query(connection, count_text);
	sqlite3_close(connection);
	if (strtol(count, NULL, 10) < answered)
		fail_msg("%d rounds were answered, %s are there", answered, count);
}

/* covers: T-65 */
static void a_killed_run_leaves_whole_batches_and_all_that_was_answered(void **state)
{
	enum { ROUNDS = 15 };
	(void)state;
	for (int round = 1; round <= ROUNDS; round++) {
		struct child writer = start_child((char[]){"write"});
		for (int i = 0; i < round; i++)
			expect_byte_from(&writer);
		kill_child(&writer);
		int answered = round;
		for (char byte; read(writer.output, &byte, 1) == 1;)
			answered++;
		close(writer.output);
		expect_opened();
		expect_whole_batches(&writer, answered);
	}
}

/* --- damage ---------------------------------------------------------------------------------------------------------
 */

static void overwrite(const char *name, off_t at, const void *bytes, size_t length)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, at), length);
	close(fd);
}

static void remove_lock(void)
{
	auto_free char *lock = memory_format("%s.lock", path);
	unlink(lock);
}

static void expect_moved_aside(const char *why)
{
	struct attempt attempt = open_once();
	auto_free char *moved_to = attempt.moved_to;
	auto_free char *prefix = memory_format("%s.corrupt-20", path);
	if (!attempt.ok)
		fail_msg("%s: %s", why, attempt.err.text);
	if (!moved_to || !str_starts_with(moved_to, prefix) || access(moved_to, F_OK) != 0)
		fail_msg("%s: moved to %s", why, moved_to ? moved_to : "(nowhere)");
	expect_in_file("SELECT count(*) FROM location", "0");
	expect_opened();
}

static const char zeros[4096];

/* As if the last run had been killed. */
static void forget_the_end(void)
{
	auto_free char *lock = memory_format("%s.lock", path);
	static const char line[] = "pid 1, since 2026-01-01T00:00:00Z\n";
	assert_int_equal(truncate(lock, 0), 0);
	overwrite(lock, 0, line, sizeof line - 1);
}

static void damage_and_open(off_t at, const void *bytes, size_t length, const char *why)
{
	in_real_loop(record_one_location, NULL);
	overwrite(path, at, bytes, length);
	expect_moved_aside(why);
}

/* covers: T-63 */
static void a_damaged_file_is_moved_aside(void **state)
{
	(void)state;
	damage_and_open(0, zeros, sizeof zeros, "the first page is gone");
	damage_and_open(4096, zeros, sizeof zeros, "a tree is gone");
	damage_and_open(0, "version: 1\nrepos: []\n", 21, "text over the header");
	damage_and_open(60, "\0\0\0\0", 4, "ours, without a version");
	in_real_loop(record_one_location, NULL);
	assert_int_equal(truncate(path, 4096), 0);
	expect_moved_aside("pages are missing");
}

/* As a disk forgets: the file's times say nothing of it. */
static void rot_locations(void)
{
	sqlite3 *connection = look_at(path);
	auto_free char *page = query(connection, "SELECT rootpage FROM sqlite_schema WHERE name = 'location'");
	sqlite3_close(connection);
	struct stat before;
	assert_int_equal(stat(path, &before), 0);
	overwrite(path, 4096 * (strtol(page, NULL, 10) - 1), zeros, sizeof zeros);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){before.st_atim, before.st_mtim}, 0), 0);
}

/* covers: T-63 */
static void rot_is_found_at_once_after_an_end_that_was_none(void **state)
{
	(void)state;
	in_real_loop(record_one_location, NULL);
	rot_locations();
	forget_the_end();
	expect_moved_aside("a tree is gone, and nothing says when");
}

static void record_on_damage(void *argument)
{
	struct store *store = open_store();
	struct digest digest = a_digest("y");
	struct error err;
	(void)argument;
	store_location_seen(store, "r.io", "b", &digest);
	assert_false(store_close(store, &err));
	assert_int_equal(err.kind, ERR_STORE);
}

static void look_for_a_location(void *argument)
{
	struct store *store = open_store();
	struct digest digest = a_digest("x");
	char *from = NULL;
	struct error err;
	(void)argument;
	assert_false(store_location_find(store, "r.io", "z", &digest, &from, &err));
	close_store(store); /* nothing is lost; but it does not say that all is well */
}

/* covers: T-63 */
static void rot_after_a_good_end_is_found_by_who_meets_it(void **state)
{
	static const struct {
		void (*meet)(void *argument);
		const char *why;
	} rows[] = {{record_on_damage, "a write met it"}, {look_for_a_location, "a question met it"}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		in_real_loop(record_one_location, NULL);
		rot_locations();
		in_real_loop(rows[i].meet, NULL);
		expect_moved_aside(rows[i].why);
	}
}

static void the_file_is_checked_after_an_end_that_was_none(void **state)
{
	auto_free char *lock = memory_format("%s.lock", path);
	(void)state;
	in_real_loop(record_one_location, NULL);
	struct buf line;
	buf_init(&line, 200);
	assert_true(file_read(lock, &line, NULL));
	if (!strstr(buf_peek(&line), ", until 20"))
		fail_msg("%s", buf_peek(&line));
	buf_release(&line);
	struct child holder = start_child((char[]){"hold"});
	expect_byte_from(&holder);
	kill_child(&holder);
	close(holder.output);
	buf_init(&line, 200);
	assert_true(file_read(lock, &line, NULL));
	if (strstr(buf_peek(&line), "until"))
		fail_msg("%s", buf_peek(&line));
	buf_release(&line);
}

/* covers: T-63 */
static void a_file_without_our_tables_is_moved_aside(void **state)
{
	(void)state;
	in_real_loop(record_one_location, NULL);
	execute(path, "DROP TABLE location");
	expect_moved_aside("a table is missing");
}

static void a_damaged_file_keeps_its_journal(void **state)
{
	(void)state;
	in_real_loop(record_one_location, NULL);
	overwrite(path, 0, zeros, sizeof zeros);
	struct attempt attempt = open_once();
	assert_true(attempt.ok);
	assert_non_null(attempt.moved_to);
	auto_free char *moved_journal = memory_format("%s-journal", attempt.moved_to);
	assert_int_equal(access(moved_journal, F_OK), 0);
	free(attempt.moved_to);
}

/* covers: T-63 */
static void random_damage_never_crashes(void **state)
{
	uint64_t random = 42;
	(void)state;
	in_real_loop(record_one_location, NULL);
	for (int i = 0; i < 60; i++) {
		unsigned char byte = 0;
		random = random * 6364136223846793005U + 1442695040888963407U;
		/* Half of them in the header and the schema, where they hurt most. */
		off_t at = (off_t)((random >> 33) % (i % 2 ? 24576 : 600));
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		if (pread(fd, &byte, 1, at) == 1)
			byte ^= (unsigned char)(1U << ((random >> 20) % 8));
		close(fd);
		overwrite(path, at, &byte, 1);
		forget_the_end();
		struct attempt attempt = open_once();
		free(attempt.moved_to);
		if (!attempt.ok) {
			assert_true(attempt.err.kind == ERR_INVALID || attempt.err.kind == ERR_STORE);
			unlink(path);
			expect_opened();
		}
		expect_in_file("PRAGMA quick_check", "ok");
	}
}

/* --- foreign files --------------------------------------------------------------------------------------------------
 */

static struct digest digest_of_file(const char *name)
{
	struct buf content;
	struct error err = {.text = ""};
	buf_init(&content, 1 << 20);
	if (!file_read(name, &content, &err))
		fail_msg("%s", err.text);
	struct digest digest = digest_of(DIGEST_SHA256, buf_peek(&content), content.length);
	buf_release(&content);
	return digest;
}

static void expect_refused(enum error_kind kind, const char *words)
{
	struct digest before = digest_of_file(path);
	for (int i = 0; i < 2; i++) {
		struct attempt attempt = open_once();
		assert_false(attempt.ok);
		assert_int_equal(attempt.err.kind, kind);
		if (!strstr(attempt.err.text, words))
			fail_msg("%s", attempt.err.text);
		struct digest after = digest_of_file(path);
		assert_true(digest_equal(&before, &after));
	}
}

static void make_parent(void)
{
	auto_free char *parent = memory_format("%s/state", directory);
	assert_true(mkdir(parent, 0700) == 0 || errno == EEXIST);
}

static void a_file_that_is_not_ours_is_left_alone(void **state)
{
	(void)state;
	make_parent();
	overwrite(path, 0, "version: 1\nrepos: []\n", 21);
	expect_refused(ERR_INVALID, "not a state file of dray");
	unlink(path);
	overwrite(path, 0, "", 0);
	execute(path, "CREATE TABLE bookmark (url); PRAGMA application_id = 77");
	expect_refused(ERR_INVALID, "not a state file of dray");
	execute(path, "PRAGMA application_id = 0");
	expect_refused(ERR_INVALID, "not a state file of dray");
}

static void set_version(int version)
{
	auto_free char *statement = memory_format("PRAGMA user_version = %d", version);
	execute(path, statement);
}

/* covers: T-65 */
static void a_newer_version_is_refused(void **state)
{
	(void)state;
	in_real_loop(record_one_location, NULL);
	set_version(SCHEMA_VERSION + 1);
	expect_refused(ERR_INVALID, "newer dray");
	set_version(SCHEMA_VERSION);
	expect_opened();
	expect_in_file("SELECT count(*) FROM location", "1");
}

/* --- older versions -------------------------------------------------------------------------------------------------
 */

static void make_version(int version)
{
	sqlite3 *connection = look_at(path);
	for (int step = 0; step < version; step++)
		assert_int_equal(sqlite3_exec(connection, schema_steps[step], NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(connection);
}

/* covers: T-65 */
static void a_file_of_an_older_version_is_brought_up_to_date(void **state)
{
	(void)state;
	make_parent();
	for (int version = 1; version < SCHEMA_VERSION; version++) {
		overwrite(path, 0, "", 0);
		make_version(version);
		execute(path, "INSERT INTO run (config_hash, started_ms) VALUES ('x', 1);"
			      "INSERT INTO job (run, source, target, outcome, duration_ms, finished_ms)"
			      " VALUES (1, 's', 't', 'failed', 2, 3);"
			      "INSERT INTO location VALUES ('r.io', 'sha256:0', 'a', 4)");
		expect_opened();
		expect_in_file("SELECT count(*) FROM location", "1");
		expect_in_file("SELECT outcome || attempts || bytes FROM job", "failed10");
		expect_in_file("SELECT count(*) FROM pragma_table_info('run') WHERE name = 'config_hash'", "0");
		expect_in_file("SELECT started_ms FROM run", "1");
		auto_free char *newest = memory_format("%d", SCHEMA_VERSION);
		expect_in_file("PRAGMA user_version", newest);
		unlink(path);
	}
}

/* A step is one transaction, its number included. covers: T-65 */
static void a_crash_in_a_step_leaves_the_version_before_it(void **state)
{
	(void)state;
	make_parent();
	overwrite(path, 0, "", 0);
	make_version(1);
	sqlite3 *connection = look_at(path);
	assert_int_equal(sqlite3_exec(connection, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(connection, schema_steps[1], NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(connection, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	auto_free char *version = query(connection, "PRAGMA user_version");
	auto_free char *columns = query(connection, "SELECT count(*) FROM pragma_table_info('job')");
	assert_string_equal(version, "1");
	assert_string_equal(columns, "10");
	sqlite3_close(connection);
	expect_opened();
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	make_parent();
	assert_int_equal(mkfifo(path, 0600), 0);
	struct attempt attempt = open_once();
	assert_false(attempt.ok);
	assert_int_equal(attempt.err.kind, ERR_INVALID);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	attempt = open_once();
	assert_false(attempt.ok);
	assert_int_equal(attempt.err.kind, ERR_IO);
	rmdir(path);
}

static void an_empty_file_is_a_new_one(void **state)
{
	(void)state;
	make_parent();
	overwrite(path, 0, "", 0);
	expect_opened();
	remove_lock();
	expect_opened();
}

static void a_bare_name_is_in_the_working_directory(void **state)
{
	char before[PATH_MAX];
	(void)state;
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(chdir(directory), 0);
	snprintf(path, sizeof path, "bare.db");
	in_real_loop(record_one_location, NULL);
	overwrite(path, 0, zeros, sizeof zeros);
	expect_moved_aside("the first page is gone");
	assert_int_equal(chdir(before), 0);
}

int main(int argc, char **argv)
{
	if (argc == 3) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
		snprintf(path, sizeof path, "%s", argv[2]);
		in_real_loop(str_is(argv[1], "hold") ? hold : write_for_ever, NULL);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		store_test(the_state_is_private),
		store_test(a_new_file_is_marked_as_ours),
		store_test(a_second_run_is_told_who_holds_the_state),
		store_test(a_holder_that_has_not_signed_yet_is_not_taken_for_the_one_before),
		store_test(a_killed_run_leaves_whole_batches_and_all_that_was_answered),
		store_test(a_damaged_file_is_moved_aside),
		store_test(a_file_without_our_tables_is_moved_aside),
		store_test(a_damaged_file_keeps_its_journal),
		store_test(rot_is_found_at_once_after_an_end_that_was_none),
		store_test(rot_after_a_good_end_is_found_by_who_meets_it),
		store_test(the_file_is_checked_after_an_end_that_was_none),
		store_test(random_damage_never_crashes),
		store_test(a_file_that_is_not_ours_is_left_alone),
		store_test(a_newer_version_is_refused),
		store_test(a_file_of_an_older_version_is_brought_up_to_date),
		store_test(a_crash_in_a_step_leaves_the_version_before_it),
		store_test(what_is_no_file_is_refused),
		store_test(an_empty_file_is_a_new_one),
		store_test(a_bare_name_is_in_the_working_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
