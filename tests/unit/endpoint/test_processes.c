/* covers: T-57, T-58. A program of its own: it forks before it has any thread. ROUNDS=20 is the whole of T-58. */
#include "support.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define ALPINE "docker.io/library/alpine"

enum { PROCESSES = 8, NAMES = 50, NAMES_A_FLUSH = 7 };

/* A writer of ours: tells by a byte that all names are put, and closes when nobody can write the other end any more. */
struct writer {
	int number;
	int told, may_end, ends; /* the parent closes `ends` */
	int failed;
};

static void add_names(void *argument)
{
	struct writer *writer = argument;
	struct endpoint *target;
	struct error err;
	char byte = 0;
	if (!endpoint_open_layout(layout, LAYOUT_WRITE, false, &target, &err)) {
		writer->failed = 1;
		return;
	}
	for (int i = 0; i < NAMES && !writer->failed; i++) {
		struct image image = image_make((unsigned)(i % 5));
		auto_free char *tag = memory_format("%d-%d", writer->number, i);
		bool flush = i % NAMES_A_FLUSH == 0;
		if (!put_image(target, ALPINE, tag, &image, &err) || (flush && !endpoint_flush(target, &err))) {
			print_error("%s\n", err.text);
			writer->failed = 1;
		}
	}
	writer->failed |= write(writer->told, &byte, 1) != 1 || read(writer->may_end, &byte, 1) != 0;
	endpoint_free(target);
}

/* Its name stands first, and what else it found in a moment in which others wrote. */
static json_t *with_foreign_name(json_t *document)
{
	struct image image = image_make(7);
	json_t *entries = json_object_get(document, "manifests");
	json_t *first = json_object_get(json_array_get(entries, 0), "urls");
	json_t *entry = json_pack("{s:s, s:I, s:s, s:[s], s:{s:s}}", "mediaType", MEDIA_OCI_MANIFEST, "size",
		(json_int_t)image.manifest.descriptor.size, "digest", image.manifest.descriptor.digest.text, "urls",
		"https://example.com/", "annotations", "org.opencontainers.image.ref.name", "foreign");
	if (first)
		json_array_set_new(entries, 0, entry);
	else
		json_array_insert_new(entries, 0, entry);
	return document;
}

/* As who takes no lock does: read, take a while, write back. */
static _Noreturn void write_without_lock(void)
{
	static const struct timespec moment = {.tv_nsec = 3000000};
	auto_free char *path = path_of("index.json"), *mine = path_of("foreign.json");
	for (;;) {
		nanosleep(&moment, NULL);
		auto_free char *text = index_text();
		json_t *document = NULL;
		if (!json_parse(text, strlen(text), &document, NULL))
			continue;
		nanosleep(&moment, NULL);
		auto_free char *longer = json_dumps(with_foreign_name(document), JSON_COMPACT);
		json_decref(document);
		write_text(mine, longer);
		(void)!rename(mine, path);
	}
}

static void start(struct writer *writer, pid_t *child)
{
	*child = fork();
	assert_true(*child >= 0);
	if (*child > 0)
		return;
	close(writer->ends);
	in_loop(add_names, writer);
	_exit(writer->failed);
}

static void end(pid_t child, int wanted)
{
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, wanted);
}

/* Every one of ours stands there, once. */
static void assert_all_there(void)
{
	struct endpoint *source = open_source();
	for (int number = 0; number < PROCESSES; number++)
		for (int i = 0; i < NAMES; i++) {
			auto_free char *tag = memory_format("%d-%d", number, i);
			assert_int_equal(number_of(source, ALPINE, tag), i % 5);
		}
	endpoint_free(source);
}

static void look(void *unused)
{
	(void)unused;
	assert_all_there();
}

static void one_round(bool foreign)
{
	pid_t children[PROCESSES], other = 0;
	struct writer writers[PROCESSES];
	int told[2], may_end[2];
	char byte;
	assert_int_equal(pipe2(told, O_CLOEXEC) | pipe2(may_end, O_CLOEXEC), 0);
	for (int i = 0; i < PROCESSES; i++) {
		writers[i] = (struct writer){i, told[1], may_end[0], may_end[1], 0};
		start(&writers[i], &children[i]);
	}
	if (foreign && (other = fork()) == 0)
		write_without_lock();
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(read(told[0], &byte, 1), 1);
	if (foreign) {
		kill(other, SIGKILL);
		end(other, SIGKILL);
	}
	close(may_end[1]);
	for (int i = 0; i < PROCESSES; i++)
		end(children[i], 0);
	close(told[0]), close(told[1]), close(may_end[0]);
}

static void rounds(bool foreign)
{
	const char *wanted = getenv("ROUNDS");
	int count = wanted ? (int)strtol(wanted, NULL, 10) : 1;
	for (int round = 0; round < count; round++) {
		void *state = NULL;
		one_round(foreign);
		/* In a child, since a loop has threads, and the next round forks. */
		pid_t child = fork();
		if (child == 0) {
			in_loop(look, NULL);
			_exit(0);
		}
		end(child, 0);
		if (!foreign)
			assert_int_equal(index_count(), PROCESSES * NAMES);
		assert_int_equal(temporary_count(), 0);
		remove_directory(&state);
		assert_int_equal(make_directory(&state), 0);
	}
}

static void processes_lose_none(void **state)
{
	(void)state;
	rounds(false);
}

static void a_writer_without_a_lock_loses_none_of_ours(void **state)
{
	(void)state;
	rounds(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processes_lose_none, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(
			a_writer_without_a_lock_loses_none_of_ours, make_directory, remove_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
