/* covers: T-57, T-58. A program of its own: it forks before it has any thread. */
#include "support.h"

#include <sys/wait.h>

#define ALPINE "docker.io/library/alpine"

enum { PROCESSES = 8, NAMES = 20 };

struct crowd {
	int process;
	int failed;
};

static void add_names(void *argument)
{
	struct crowd *crowd = argument;
	struct endpoint *target;
	struct error err;
	if (!endpoint_open_layout(layout, LAYOUT_WRITE, false, &target, &err)) {
		crowd->failed = 1;
		return;
	}
	for (int i = 0; i < NAMES && !crowd->failed; i++) {
		struct image image = image_make((unsigned)(i % 5));
		auto_free char *tag = memory_format("%d-%d", crowd->process, i);
		if (!put_image(target, ALPINE, tag, &image, &err) || !endpoint_flush(target, &err)) {
			print_error("%s\n", err.text);
			crowd->failed = 1;
		}
	}
	endpoint_free(target);
}

static void processes_lose_none(void **state)
{
	pid_t children[PROCESSES];
	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			struct crowd crowd = {.process = i};
			in_loop(add_names, &crowd);
			_exit(crowd.failed);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status = -1;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(index_count(), PROCESSES * NAMES);
	assert_int_equal(temporary_count(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processes_lose_none, make_directory, remove_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
