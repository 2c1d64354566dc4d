/* The files of a home made for each test, and helpers that are little shell scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "put_file.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "scheduler/task.h"
#include "sync/registry/credentials.h"
#include "sync/registry/helper.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[64];

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
	(void)status;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int make_home(void **state)
{
	static const char *const unset[] = {
		"DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"};
	(void)state;
	for (size_t i = 0; i < array_count(unset); i++)
		unsetenv(unset[i]);
	snprintf(home, sizeof home, "/tmp/dray-unit-XXXXXX");
	return mkdtemp(home) && setenv("HOME", home, 1) == 0 ? 0 : -1;
}

static int remove_home(void **state)
{
	(void)state;
	if (chdir("/") != 0)
		return -1;
	return nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static char *put(const char *name, const char *text, mode_t mode)
{
	struct error err;
	char *path = memory_format("%s/%s", home, name);
	auto_free char *directory = memory_text_of(path, (size_t)(strrchr(path, '/') - path));
	if (!file_make_directories(directory, 0700, &err) || !put_file(path, text, strlen(text), mode))
		fail_msg("%s", path);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void put_auth(const char *name, const char *base64)
{
	auto_free char *text = memory_format("{\"auths\":{\"r.test\":{\"auth\":\"%s\"}}}", base64);
	free(put(name, text, 0644));
}

/* --- files ----------------------------------------------------------------------------------------------------------
 */

static void assert_user(const char *auth_file, const char *user)
{
	struct error err;
	struct credential credential;
	struct credential_store *store = credential_store_new(auth_file, 0, &err);
	if (!store)
		fail_msg("%s", err.text);
	assert_true(credential_store_find(store, "r.test", "a/b", &credential, &err));
	if (user ? !str_is(credential.username, user) : credential.username != NULL)
		fail_msg("%s, and not %s", credential.username, user);
	credential_release(&credential);
	credential_store_free(store);
}

/* covers: CRED-1 */
static void first_file_that_exists_is_used(void **state)
{
	/* From the last to the first, each stands before those put earlier; the base64 is of "1:p", "2:p", ... */
	static const struct {
		const char *variable, *value, *file, *base64, *user;
	} rows[] = {
		{NULL, NULL, ".config/containers/auth.json", "MTpw", "1"},
		{"XDG_CONFIG_HOME", "c", "c/containers/auth.json", "Mjpw", "2"},
		{"XDG_RUNTIME_DIR", "r", "r/containers/auth.json", "Mzpw", "3"},
		{NULL, NULL, ".docker/config.json", "NDpw", "4"},
		{"DOCKER_CONFIG", "d", "d/config.json", "NTpw", "5"},
		{"REGISTRY_AUTH_FILE", "f", "f", "Njpw", "6"},
	};
	(void)state;
	assert_user(NULL, NULL);
	free(put(".dockercfg", "{\"r.test\":{\"auth\":\"MDpw\"}}", 0600));
	assert_user(NULL, "0");
	for (size_t i = 0; i < array_count(rows); i++) {
		put_auth(rows[i].file, rows[i].base64);
		if (rows[i].variable) {
			auto_free char *value = memory_format("%s/%s", home, rows[i].value);
			setenv(rows[i].variable, value, 1);
		}
		assert_user(NULL, rows[i].user);
	}
	auto_free char *missing = memory_format("%s/none", home);
	setenv("REGISTRY_AUTH_FILE", missing, 1);
	assert_user(NULL, "5");
}

/* covers: T-24 */
static void named_file_must_be_ours_alone(void **state)
{
	static const struct {
		mode_t mode;
		const char *says;
	} rows[] = {{0600, NULL}, {0400, NULL}, {0640, "chmod 600"}, {0644, "chmod 600"}, {0602, "chmod 600"}};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct error err = {.kind = ERR_NONE};
		auto_free char *path = put("named", "{}", rows[i].mode);
		struct credential_store *store = credential_store_new(path, 0, &err);
		assert_int_equal(store == NULL, rows[i].says != NULL);
		credential_store_free(store);
		if (rows[i].says && (err.kind != ERR_INVALID || !strstr(err.text, rows[i].says)))
			fail_msg("%o: %s", (unsigned)rows[i].mode, err.text);
	}
}

static void assert_refused(const char *path, const char *says)
{
	struct error err = {.kind = ERR_NONE};
	assert_null(credential_store_new(path, 0, &err));
	if (err.kind != ERR_INVALID || !strstr(err.text, says))
		fail_msg("%s: %s", path, err.text);
}

/* covers: T-24 */
static void named_file_must_be_a_file(void **state)
{
	(void)state;
	auto_free char *good = put("good", "{}", 0600), *link = memory_format("%s/link", home);
	auto_free char *fifo = memory_format("%s/fifo", home), *none = memory_format("%s/none", home);
	assert_int_equal(symlink(good, link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_refused(link, "symbolic link");
	assert_refused(fifo, "regular");
	assert_refused(home, "regular");
	assert_refused(none, "No such file");
	auto_free char *broken = put("broken", "{", 0600);
	assert_refused(broken, "broken");
}

static void usual_file_that_is_broken_is_told(void **state)
{
	struct error err = {.kind = ERR_NONE};
	(void)state;
	free(put(".docker/config.json", "{not json", 0600));
	assert_null(credential_store_new(NULL, 0, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	assert_non_null(strstr(err.text, "config.json"));
}

/* --- what a helper says ---------------------------------------------------------------------------------------------
 */

/* covers: CRED-6, CRED-7, CRED-8, T-22 */
static void answer_of_a_helper_is_read_strictly(void **state)
{
	static const struct {
		int status;
		const char *output, *username, *identity;
		const char *says; /* NULL: a success */
	} rows[] = {
		{0, "{\"ServerURL\":\"r\",\"Username\":\"u\",\"Secret\":\"p\"}", "u", NULL, NULL},
		{0, "{\"ServerURL\":\"r\",\"Username\":\"<token>\",\"Secret\":\"t\"}", NULL, "t", NULL},
		{1, "credentials not found in native keychain\n", NULL, NULL, NULL},
		{1, "  credentials not found in native keychain", NULL, NULL, NULL},
		{1, "credentials not found in native keychain, maybe", NULL, NULL, "maybe"},
		{1, "no credentials server URL", NULL, NULL, "no credentials server URL"},
		{1, "\x1b[2Jsealed\n", NULL, NULL, "sealed"},
		{-1, "", NULL, NULL, "nothing"},
		{0, "{\"Username\":\"u\",\"Secret\":\"hunter2\"", NULL, NULL, "did not answer"},
		{0, "{\"Username\":7,\"Secret\":\"hunter2\"}", NULL, NULL, "did not answer"},
		{0, "{\"Username\":\"\",\"Secret\":\"hunter2\"}", NULL, NULL, "did not answer"},
		{0, "{\"Secret\":\"hunter2\"}", NULL, NULL, "did not answer"},
		{0, "hunter2", NULL, NULL, "did not answer"},
		{0, "", NULL, NULL, "did not answer"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct credential credential;
		struct error err = {.kind = ERR_NONE};
		bool ok = helper_read(rows[i].status, rows[i].output, strlen(rows[i].output), &credential, &err);
		assert_int_equal(ok, rows[i].says == NULL);
		if (rows[i].says) {
			assert_int_equal(err.kind, ERR_UNAUTHORIZED);
			if (!strstr(err.text, rows[i].says) || strstr(err.text, "hunter2") || strchr(err.text, '\x1b'))
				fail_msg("%s: %s", rows[i].output, err.text);
			continue;
		}
		if (rows[i].username ? !str_is(credential.username, rows[i].username) : credential.username != NULL)
			fail_msg("%s", rows[i].output);
		if (rows[i].identity ? !str_is(credential.identity_token, rows[i].identity)
				     : credential.identity_token != NULL)
			fail_msg("%s", rows[i].output);
		credential_release(&credential);
	}
}

/* covers: T-22 */
static void name_of_a_helper_is_never_a_path(void **state)
{
	static const char *const good[] = {"osxkeychain", "ecr-login", "a", "9", "x._-"};
	static const char *const bad[] = {"", "../x", "a/b", "-x", ".x", "A", "a b", "a\n", "a;b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	(void)state;
	for (size_t i = 0; i < array_count(good); i++)
		assert_true(helper_is_name(good[i]));
	for (size_t i = 0; i < array_count(bad); i++)
		assert_false(helper_is_name(bad[i]));
}

/* covers: T-22 */
static void helper_is_found_in_absolute_directories_alone(void **state)
{
	(void)state;
	free(put("a/docker-credential-x", "#!/bin/sh\n", 0600));
	auto_free char *program = put("b/docker-credential-x", "#!/bin/sh\n", 0700);
	auto_free char *path = memory_format("b::.:%s/a:%s/none:%s/b:/bin", home, home, home);
	assert_int_equal(chdir(home), 0);
	auto_free char *found = helper_find("x", path);
	assert_string_equal(found, program);
	assert_null(helper_find("y", path));
	assert_null(helper_find("x", "b"));
	assert_null(helper_find("x", ""));
	assert_null(helper_find("x", NULL));
}

/* --- running them ---------------------------------------------------------------------------------------------------
 */

struct story {
	struct credential_store *store;
	int64_t helper_timeout_ms;
	void (*body)(struct story *story);
};

static void story_main(void *argument)
{
	struct story *story = argument;
	struct error err;
	story->store = credential_store_new(NULL, story->helper_timeout_ms, &err);
	assert_non_null(story->store);
	story->body(story);
	credential_store_free(story->store);
}

/* @script: of docker-credential-x, in the directory of the home. */
static void tell_within(
	int64_t helper_timeout_ms, const char *config, const char *script, void (*body)(struct story *story))
{
	struct story story = {.helper_timeout_ms = helper_timeout_ms, .body = body};
	free(put(".docker/config.json", config, 0600));
	auto_free char *text = memory_format("#!/bin/sh\ncd %s\n%s\n", home, script);
	free(put("bin/docker-credential-x", text, 0700));
	auto_free char *path = memory_format("%s/bin:/usr/bin:/bin", home);
	setenv("PATH", path, 1);
	struct loop *loop = loop_new();
	loop_run(loop, story_main, &story);
	loop_free(loop);
}

static void tell(const char *config, const char *script, void (*body)(struct story *story))
{
	tell_within(0, config, script, body);
}

static void assert_file(const char *name, const char *want)
{
	auto_free char *path = memory_format("%s/%s", home, name);
	auto_buf struct buf bytes;
	struct error err;
	buf_init(&bytes, 1000);
	if (!file_read(path, &bytes, &err))
		fail_msg("%s", err.text);
	assert_string_equal(buf_peek(&bytes), want);
}

static void find_user(struct story *story, const char *domain, const char *user)
{
	struct credential credential;
	struct error err;
	if (!credential_store_find(story->store, domain, "a/b", &credential, &err))
		fail_msg("%s", err.text);
	if (user ? !str_is(credential.username, user) : !credential_is_anonymous(&credential))
		fail_msg("%s: %s", domain, credential.username);
	credential_release(&credential);
}

static void assert_failure(struct story *story, const char *domain, const char *says)
{
	struct credential credential;
	struct error err = {.kind = ERR_NONE};
	assert_false(credential_store_find(story->store, domain, "a/b", &credential, &err));
	assert_int_equal(err.kind, ERR_UNAUTHORIZED);
	if (!strstr(err.text, says))
		fail_msg("%s", err.text);
}

#define ANSWER "echo '{\"ServerURL\":\"s\",\"Username\":\"u\",\"Secret\":\"p\"}'"

static void ask_for_one_host(struct story *story)
{
	find_user(story, "r.test:5000", "u");
	find_user(story, "r.test:5000", "u");
	find_user(story, "other.test", NULL);
	assert_file("asked", "get r.test:5000|");
}

/* covers: CRED-6, CRED-10, CRED-11, CRED-12, CRED-14 */
static void helper_is_asked_once_and_for_its_host_alone(void **state)
{
	(void)state;
	tell("{\"credHelpers\":{\"r.test:5000\":\"x\"}}",
		"echo -n \"$* \" >>asked\ncat >>asked\necho -n '|' >>asked\n" ANSWER, ask_for_one_host);
}

static void ask_for_docker_hub(struct story *story)
{
	find_user(story, "docker.io", "u");
	assert_file("asked", "https://index.docker.io/v1/");
}

/* covers: CRED-4 */
static void store_is_asked_for_docker_hub_by_its_old_name(void **state)
{
	(void)state;
	tell("{\"credsStore\":\"x\"}", "cat >asked\n" ANSWER, ask_for_docker_hub);
}

static void ask_many_at_once_task(void *argument)
{
	find_user(argument, "r.test", "u");
}

static void ask_many_at_once(struct story *story)
{
	struct group group;
	group_init(&group, 50);
	for (int i = 0; i < 50; i++)
		assert_true(group_spawn(&group, ask_many_at_once_task, story, NULL));
	group_wait(&group);
	assert_file("asked", "r.test");
}

static void many_who_ask_share_one_helper(void **state)
{
	(void)state;
	tell("{\"credsStore\":\"x\"}", "cat >>asked\n" ANSWER, ask_many_at_once);
}

static void ask_what_fails(struct story *story)
{
	assert_failure(story, "r.test", "the vault is sealed");
	find_user(story, "other.test", "a");
}

/* covers: CRED-7, T-22 */
static void helper_that_fails_fails_its_registry_alone(void **state)
{
	(void)state;
	tell("{\"credHelpers\":{\"r.test\":\"x\"},\"auths\":{\"r.test\":{\"auth\":\"YTpi\"},\"other.test\":{\"auth\":"
	     "\"YTpi\"}}}",
		"echo the vault is sealed\nexit 1", ask_what_fails);
}

static void ask_what_is_unknown(struct story *story)
{
	find_user(story, "r.test", "a");
	find_user(story, "none.test", NULL);
}

/* covers: CRED-2 */
static void store_that_knows_nothing_leaves_it_to_auths(void **state)
{
	(void)state;
	tell("{\"credsStore\":\"x\",\"auths\":{\"r.test\":{\"auth\":\"YTpi\"}}}",
		"echo credentials not found in native keychain\nexit 1", ask_what_is_unknown);
}

/* covers: CRED-2 */
static void helper_that_knows_nothing_leaves_it_to_auths(void **state)
{
	(void)state;
	tell("{\"credHelpers\":{\"r.test\":\"x\"},\"auths\":{\"r.test\":{\"auth\":\"YTpi\"}}}",
		"echo credentials not found in native keychain\nexit 1", ask_what_is_unknown);
}

static void ask_beside_a_missing_store(struct story *story)
{
	assert_string_equal(credential_store_missing(story->store), "missing");
	ask_what_is_unknown(story);
}

/* covers: CRED-10 */
static void store_that_is_not_installed_leaves_it_to_auths(void **state)
{
	(void)state;
	tell("{\"credsStore\":\"missing\",\"auths\":{\"r.test\":{\"auth\":\"YTpi\"}}}", "exit 1",
		ask_beside_a_missing_store);
}

static void ask_with_an_environment(struct story *story)
{
	find_user(story, "r.test", "e");
	find_user(story, "other.test", "a");
	auto_free char *asked = memory_format("%s/asked", home);
	assert_int_equal(access(asked, F_OK), -1);
	find_user(story, "third.test", "u");
}

/* covers: CRED-1 */
static void environment_comes_before_helpers_and_files(void **state)
{
	(void)state;
	/* its other keys mean nothing */
	setenv("DOCKER_AUTH_CONFIG",
		"{\"auths\":{\"https://r.test/v1/\":{\"auth\":\"ZTpi\"}},\"credsStore\":\"../none\"}", 1);
	tell("{\"credHelpers\":{\"r.test\":\"x\",\"third.test\":\"x\"},\"auths\":{\"r.test\":{\"auth\":\"YTpi\"},"
	     "\"other.test\":{\"auth\":\"YTpi\"}}}",
		"echo >>asked\n" ANSWER, ask_with_an_environment);
}

/* covers: CRED-1, T-23 */
static void environment_that_is_broken_is_told_without_its_secrets(void **state)
{
	static const char *const texts[] = {
		"hunter2", "{\"auths\":{\"r.test\":{\"auth\":\"hunter2!\"}}}", "[\"hunter2\"]"};
	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct error err = {.kind = ERR_NONE};
		setenv("DOCKER_AUTH_CONFIG", texts[i], 1);
		assert_null(credential_store_new(NULL, 0, &err));
		if (err.kind != ERR_INVALID || !str_starts_with(err.text, "DOCKER_AUTH_CONFIG: ") ||
			strstr(err.text, "hunter2"))
			fail_msg("%s", err.text);
	}
}

/* A process that ended and that nobody waited for has no command line any more. */
static bool is_running(const char *pid)
{
	auto_free char *path = memory_format("/proc/%s/cmdline", pid);
	char byte;
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &byte, 1) == 1;
}

static void ask_the_sleeper(struct story *story)
{
	int64_t start = loop_now_ms();
	assert_failure(story, "r.test", "/docker-credential-x: no answer within 1 s");
	assert_true(loop_now_ms() - start < 10000);
	auto_free char *pid = memory_format("%s/pid", home);
	auto_buf struct buf text;
	buf_init(&text, 100);
	assert_true(file_read(pid, &text, NULL));
	while (is_running(buf_peek(&text))) /* what it started ends as well */
		assert_true(task_sleep(10, NULL) && loop_now_ms() - start < 10000);
}

/* covers: CRED-9, T-22 */
static void helper_that_hangs_is_killed_with_what_it_started(void **state)
{
	(void)state;
	tell_within(1000, "{\"credHelpers\":{\"r.test\":\"x\"}}", "trap '' TERM\nsleep 1000 &\necho -n $! >pid\nwait",
		ask_the_sleeper);
}

static void ask_what_is_missing(struct story *story)
{
	assert_failure(story, "r.test", "docker-credential-missing is not in PATH");
}

/* covers: CRED-10, T-22 */
static void helper_of_a_host_must_be_installed(void **state)
{
	(void)state;
	tell("{\"credHelpers\":{\"r.test\":\"missing\"},\"auths\":{\"r.test\":{\"auth\":\"YTpi\"}}}", "exit 1",
		ask_what_is_missing);
}

static void ask_by_path(struct story *story)
{
	assert_failure(story, "r.test", "name");
	assert_failure(story, "other.test", "name");
}

/* covers: T-22 */
static void helper_named_by_a_path_is_refused(void **state)
{
	(void)state;
	tell("{\"credHelpers\":{\"r.test\":\"../bin/x\"},\"credsStore\":\"x/../x\"}", ANSWER, ask_by_path);
}

static void ask_the_talkative(struct story *story)
{
	assert_failure(story, "r.test", "more than");
}

/* covers: CRED-9, T-22 */
static void helper_that_never_ends_its_answer_is_killed(void **state)
{
	(void)state;
	tell("{\"credsStore\":\"x\"}", "exec yes", ask_the_talkative);
}

static void assert_password(struct story *story, const char *password)
{
	struct credential credential;
	assert_true(credential_store_find(story->store, "r.test", "a/b", &credential, NULL));
	assert_string_equal(credential.password, password);
	credential_release(&credential);
}

static void refuse_twice(struct story *story)
{
	credential_store_refused(story->store, "r.test"); /* of what was never asked for */
	assert_password(story, "p1");
	credential_store_refused(story->store, "other.test");
	assert_password(story, "p1");
	credential_store_refused(story->store, "r.test");
	credential_store_refused(story->store, "r.test");
	assert_password(story, "p2");
	credential_store_refused(story->store, "r.test");
	assert_password(story, "p2");
}

/* covers: CRED-11 */
static void helper_is_asked_again_once_for_what_was_refused(void **state)
{
	(void)state;
	tell("{\"credsStore\":\"x\"}",
		"echo >>asked\nn=$(grep -c '' asked)\necho '{\"Username\":\"u\",\"Secret\":\"p'$n'\"}'", refuse_twice);
}

/* covers: CRED-13, CRED-14, T-24 */
static void files_are_read_and_no_more(void **state)
{
	static const char text[] =
		"{\"HttpHeaders\":{\"Authorization\":\"Basic eDp5\"},\"auths\":{\"r.test\":{\"auth\":"
		"\"dTpw\"}}}";
	struct stat before, after;
	(void)state;
	auto_free char *path = put(".docker/config.json", text, 0400);
	assert_int_equal(stat(path, &before), 0);
	assert_user(NULL, "u");
	assert_int_equal(stat(path, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
	assert_file(".docker/config.json", text);
}

int main(void)
{
#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)
	const struct CMUnitTest tests[] = {
		IN_HOME(first_file_that_exists_is_used),
		IN_HOME(named_file_must_be_ours_alone),
		IN_HOME(named_file_must_be_a_file),
		IN_HOME(usual_file_that_is_broken_is_told),
		cmocka_unit_test(answer_of_a_helper_is_read_strictly),
		cmocka_unit_test(name_of_a_helper_is_never_a_path),
		IN_HOME(helper_is_found_in_absolute_directories_alone),
		IN_HOME(helper_is_asked_once_and_for_its_host_alone),
		IN_HOME(store_is_asked_for_docker_hub_by_its_old_name),
		IN_HOME(many_who_ask_share_one_helper),
		IN_HOME(helper_that_fails_fails_its_registry_alone),
		IN_HOME(store_that_knows_nothing_leaves_it_to_auths),
		IN_HOME(store_that_is_not_installed_leaves_it_to_auths),
		IN_HOME(helper_of_a_host_must_be_installed),
		IN_HOME(helper_named_by_a_path_is_refused),
		IN_HOME(helper_that_never_ends_its_answer_is_killed),
		IN_HOME(helper_is_asked_again_once_for_what_was_refused),
		IN_HOME(helper_that_knows_nothing_leaves_it_to_auths),
		IN_HOME(environment_comes_before_helpers_and_files),
		IN_HOME(environment_that_is_broken_is_told_without_its_secrets),
		IN_HOME(helper_that_hangs_is_killed_with_what_it_started),
		IN_HOME(files_are_read_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
