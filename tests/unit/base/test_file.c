/* covers: T-39 */
#include "base/file.h"

#include "base/memory.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "put_file.h"

static char directory[256];

static int make_directory(void **state)
{
	(void)state;
	const char *base = getenv("TMPDIR");
	snprintf(directory, sizeof directory, "%s/dray-file-XXXXXX", base ? base : "/tmp");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

static int remove_directory(void **state)
{
	(void)state;
	return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the test's directory; valid until the next call. */
static const char *in_directory(const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void reading_knows_missing_from_unreadable_and_has_a_cap(void **state)
{
	(void)state;
	struct error err = {0};
	auto_buf struct buf bytes;
	buf_init(&bytes, 4);
	assert_false(file_read(in_directory("none"), &bytes, &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_false(file_read(directory, &bytes, &err));
	assert_int_equal(err.kind, ERR_IO);
	assert_true(put_file(in_directory("five"), "12345", 5, 0644));
	assert_false(file_read(in_directory("five"), &bytes, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
}

static void a_fifo_does_not_hang_the_reader(void **state)
{
	(void)state;
	struct error err = {0};
	auto_buf struct buf bytes;
	buf_init(&bytes, 4);
	assert_int_equal(mkfifo(in_directory("fifo"), 0644), 0);
	assert_false(file_read(in_directory("fifo"), &bytes, &err));
	assert_int_equal(err.kind, ERR_IO);
}

static void directories_are_made_to_the_last_and_may_be_there(void **state)
{
	(void)state;
	struct error err = {0};
	auto_free char *path = memory_text(in_directory("a/b//c/"));
	assert_true(file_make_directories(path, 0755, &err));
	assert_true(file_make_directories(path, 0755, &err));
	assert_true(put_file(in_directory("a/b/c/file"), "x", 1, 0644));
	assert_false(file_make_directories(in_directory("a/b/c/file/d"), 0755, &err));
	assert_int_equal(err.kind, ERR_IO);
}

static void a_held_lock_names_its_holder(void **state)
{
	(void)state;
	struct error err = {0};
	const char *path = in_directory("lock");
	auto_close int first = file_lock(path, &err);
	assert_true(first >= 0);
	assert_true(file_write_all(first, "pid 1 on \033host\nmore", 20, &err));
	assert_int_equal(file_lock(path, &err), -1);
	assert_int_equal(err.kind, ERR_BUSY);
	assert_non_null(strstr(err.text, "held by pid 1 on \\x1bhost"));
	assert_null(strstr(err.text, "more"));
}

static void a_dead_holders_lock_is_free_at_once(void **state)
{
	(void)state;
	int ready[2];
	char byte;
	const char *path = in_directory("lock");
	assert_int_equal(pipe(ready), 0);
	pid_t holder = fork();
	assert_true(holder >= 0);
	if (holder == 0) {
		int fd = file_lock(path, NULL);
		if (fd < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(file_lock(path, NULL), -1);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	auto_close int fd = file_lock(path, NULL);
	assert_true(fd >= 0);
	close(ready[0]);
}

static void a_full_disk_is_an_error_of_writing(void **state)
{
	(void)state;
	struct error err = {0};
	auto_close int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("/dev/full is not there");
	assert_false(file_write_all(fd, "x", 1, &err));
	assert_int_equal(err.kind, ERR_IO);
}

#define in_fresh_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fresh_directory(reading_knows_missing_from_unreadable_and_has_a_cap),
		in_fresh_directory(a_fifo_does_not_hang_the_reader),
		in_fresh_directory(directories_are_made_to_the_last_and_may_be_there),
		in_fresh_directory(a_held_lock_names_its_holder),
		in_fresh_directory(a_dead_holders_lock_is_free_at_once),
		in_fresh_directory(a_full_disk_is_an_error_of_writing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
