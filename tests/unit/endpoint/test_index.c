/* covers: LAY-2, LAY-5, LAY-6, LAY-13, T-58, T-60 */
#include "support.h"

#include <sys/file.h>
#include <sys/inotify.h>

#define ALPINE "docker.io/library/alpine"

static json_t *entry_at(json_t *document, size_t at)
{
	return json_array_get(json_object_get(document, "manifests"), at);
}

/* What other tools write: types, annotations and keys that mean nothing to us. */
static const char foreign[] =
	"{\n \"annotations\": {\"com.example.note\": \"caf\\u00e9 \\\" \\\\ /\"},\n \"x-number\": [1, 2.5, "
	"9007199254740993, "
	"null, true],\n \"schemaVersion\": 2,\n \"manifests\": [\n"
	" {\"mediaType\": \"application/vnd.example+json\", \"digest\": \"blake9:abc\", \"size\": 3, \"data\": "
	"\"e30=\"},\n"
	" {\"digest\": \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\", \"size\": 0,\n"
	"  \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\", \"urls\": [\"https://example.com/\"],\n"
	"  \"annotations\": {\"org.opencontainers.image.created\": \"2024-01-01T00:00:00Z\",\n"
	"   \"org.opencontainers.image.ref.name\": \"theirs\"}, \"platform\": {\"os\": \"linux\",\n"
	"   \"architecture\": \"amd64\", \"os.features\": [\"x\"]}}\n ]\n}\n";

static json_t *foreign_document(void)
{
	json_t *document = NULL;
	assert_true(json_parse(foreign, sizeof foreign - 1, &document, NULL));
	return document;
}

static void merge(void *unused)
{
	auto_free char *path = path_of("index.json");
	struct image one = image_make(1), two = image_make(2);
	struct error err = {0};
	(void)unused;
	struct endpoint *target = open_target(false);
	assert_true(put_image(target, ALPINE, "1", &one, &err));
	assert_true(endpoint_flush(target, &err));
	assert_true(put_image(target, ALPINE, "2", &two, &err));
	write_text(path, foreign); /* skopeo's way: in place, and without our entry */
	assert_true(endpoint_flush(target, &err));
	assert_int_equal(number_of(target, ALPINE, "2"), 2);
	assert_int_equal(number_of(target, ALPINE, "1"), 1); /* it has come back */
	endpoint_free(target);

	auto_json json_t *before = foreign_document();
	auto_json json_t *after = index_document();
	assert_int_equal(index_count(), 4);
	assert_true(json_equal(entry_at(before, 0), entry_at(after, 0)));
	assert_true(json_equal(entry_at(before, 1), entry_at(after, 1)));
	json_object_del(before, "manifests");
	json_object_del(after, "manifests");
	assert_true(json_equal(before, after));
}

static void what_others_wrote_meanwhile_is_kept_as_it_is(void **state)
{
	(void)state;
	in_loop(merge, NULL);
}

/* What another writer does that takes no lock, after our flush. */
static void lose(void *unused)
{
	static const struct {
		const char *name; /* of the only entry that it leaves, */
		unsigned image;   /* which is of this image */
		bool removes_ours;
		int is; /* what our name is at the end */
		const char *why;
	} rows[] = {
		{"theirs", 2, false, 1, "it had read index.json before ours was in it"},
		{"theirs", 2, true, -ERR_NOT_FOUND, "it has removed the image, too"},
		{ALPINE ":1", 2, false, 2, "it has moved our tag"},
	};
	auto_free char *path = path_of("index.json");
	(void)unused;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct image ours = image_make(1), theirs = image_make(rows[i].image);
		struct error err = {0};
		struct endpoint *target = open_target(false);
		assert_true(put_image(target, ALPINE, "1", &ours, &err));
		assert_true(endpoint_flush(target, &err));
		auto_free char *text = memory_format("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\","
						     "\"size\":%jd,\"digest\":\"%s\",\"annotations\":{"
						     "\"org.opencontainers.image.ref.name\":\"%s\"}}]}",
			MEDIA_OCI_MANIFEST, (intmax_t)theirs.manifest.descriptor.size,
			theirs.manifest.descriptor.digest.text, rows[i].name);
		auto_free char *manifest = blob_path(&ours.manifest.descriptor.digest);
		write_text(path, text);
		if (rows[i].removes_ours)
			assert_int_equal(unlink(manifest), 0);
		endpoint_free(target);
		struct endpoint *source = open_source();
		assert_int_equal(number_of(source, ALPINE, "1"), rows[i].is);
		endpoint_free(source);
		assert_int_equal(unlink(path), 0);
	}
}

static void what_a_writer_without_a_lock_loses_comes_back_at_the_end(void **state)
{
	(void)state;
	in_loop(lose, NULL);
}

static void replace(void *unused)
{
	static const struct {
		const char *annotations;
		bool stays;
		const char *why;
	} rows[] = {
		{"{\"org.opencontainers.image.ref.name\":\"" ALPINE ":1\"}", false, "LAY-13"},
		{"{\"org.opencontainers.image.ref.name\":\"theirs\"}", true, "another name"},
		{"{\"io.containerd.image.name\":\"" ALPINE ":1\"}", false, "our name, in the other form"},
		{"{\"io.containerd.image.name\":\"" ALPINE ":1\",\"org.opencontainers.image.ref.name\":\"1\"}", true,
			"a tag of another way of naming is not ours to take away"},
	};
	auto_free char *path = path_of("index.json");
	(void)unused;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text = memory_format(
			"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"size\":0,"
			"\"digest\":\"%s\",\"annotations\":%s}]}",
			MEDIA_OCI_MANIFEST, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			rows[i].annotations);
		endpoint_free(open_target(false));
		write_text(path, text);
		write_image(ALPINE, "1", 1, false);
		assert_int_equal(index_count(), rows[i].stays ? 2 : 1);
		struct endpoint *source = open_source();
		assert_int_equal(number_of(source, ALPINE, "1"), 1);
		endpoint_free(source);
	}
}

static void only_the_entry_of_the_tag_is_replaced(void **state)
{
	(void)state;
	in_loop(replace, NULL);
}

static void order(void *unused)
{
	(void)unused;
	for (unsigned i = 1; i <= 3; i++) {
		auto_free char *tag = memory_format("%u", i);
		write_image("", tag, i, true);
	}
	write_image("", "2", 4, true);
	write_image("", "1", 1, true);
	auto_json json_t *document = index_document();
	static const char *const names[] = {"1", "3", "2"};
	for (size_t i = 0; i < array_count(names); i++) {
		json_t *annotations = json_object_get(entry_at(document, i), "annotations");
		assert_string_equal(
			json_string_value(json_object_get(annotations, "org.opencontainers.image.ref.name")), names[i]);
	}
	assert_int_equal(json_array_size(json_object_get(document, "manifests")), 3);
}

static void entries_keep_their_order_and_the_new_comes_last(void **state)
{
	(void)state;
	in_loop(order, NULL);
}

static void twice(void *unused)
{
	struct image one = image_make(1), two = image_make(2);
	auto_free char *path = path_of("index.json");
	auto_free char *text =
		memory_format("{\"schemaVersion\":2,\"manifests\":["
			      "{\"mediaType\":\"%s\",\"size\":%jd,\"digest\":\"%s\",\"annotations\":{\"%s\":\"1\"}},"
			      "{\"mediaType\":\"%s\",\"size\":%jd,\"digest\":\"%s\",\"annotations\":{\"%s\":\"1\"}}]}",
			MEDIA_OCI_MANIFEST, (intmax_t)one.manifest.descriptor.size, one.manifest.descriptor.digest.text,
			"org.opencontainers.image.ref.name", MEDIA_OCI_MANIFEST, (intmax_t)two.manifest.descriptor.size,
			two.manifest.descriptor.digest.text, "org.opencontainers.image.ref.name");
	(void)unused;
	write_image("", "1", 2, true);
	write_image("", "1", 1, true); /* both are there */
	write_text(path, text);
	struct endpoint *target = open_target(true);
	assert_int_equal(number_of(target, "", "1"), -ERR_NOT_FOUND);
	endpoint_free(target);
	write_image("", "1", 2, true);
	assert_int_equal(index_count(), 1);
}

static void a_name_that_stands_there_twice_is_put_right(void **state)
{
	(void)state;
	in_loop(twice, NULL);
}

static void other_form(void *unused)
{
	struct image image = image_make(1);
	auto_free char *path = path_of("index.json");
	auto_free char *text = memory_format(
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"size\":%jd,\"digest\":\"%s\","
		"\"annotations\":{\"io.containerd.image.name\":\"" ALPINE ":1\"}}]}",
		MEDIA_OCI_MANIFEST, (intmax_t)image.manifest.descriptor.size, image.manifest.descriptor.digest.text);
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	write_text(path, text);
	struct endpoint *target = open_target(false);
	assert_int_equal(number_of(target, ALPINE, "1"), -ERR_NOT_FOUND);
	endpoint_free(target);
	write_image(ALPINE, "1", 1, false);
	auto_free char *after = index_text();
	assert_int_equal(index_count(), 1);
	assert_non_null(strstr(after, "org.opencontainers.image.ref.name"));
}

static void a_name_that_only_containerd_reads_becomes_ours(void **state)
{
	(void)state;
	in_loop(other_form, NULL);
}

/* --- who writes, and how often ----------------------------------------------------------------------------------- */

struct waiter {
	struct endpoint *target;
	unsigned number;
	bool ok;
	struct error err;
};

static void put_and_flush(void *argument)
{
	struct waiter *waiter = argument;
	struct image image = image_make(waiter->number);
	auto_free char *tag = memory_format("%u", waiter->number);
	waiter->ok = put_image(waiter->target, ALPINE, tag, &image, &waiter->err) &&
		     endpoint_flush(waiter->target, &waiter->err) &&
		     number_of(waiter->target, ALPINE, tag) == (int)waiter->number;
}

static size_t renames_seen(int watch)
{
	char bytes[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	size_t count = 0;
	ssize_t got;
	while ((got = read(watch, bytes, sizeof bytes)) > 0)
		for (char *p = bytes; p < bytes + got;) {
			const struct inotify_event *event = (const struct inotify_event *)(void *)p;
			count += event->len > 0 && str_is(event->name, "index.json");
			p += sizeof *event + event->len;
		}
	return count;
}

static void share(void *unused)
{
	enum { TASKS = 100 };
	static struct waiter waiters[TASKS];
	struct group group;
	struct endpoint *target = open_target(false);
	(void)unused;
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_true(inotify_add_watch(watch, layout, IN_MOVED_TO) >= 0);
	group_init(&group, TASKS);
	for (unsigned i = 0; i < TASKS; i++) {
		waiters[i] = (struct waiter){target, i, false, {0}};
		assert_true(group_spawn(&group, put_and_flush, &waiters[i], NULL));
	}
	group_wait(&group);
	for (size_t i = 0; i < TASKS; i++)
		assert_true(waiters[i].ok);
	assert_in_range(renames_seen(watch), 1, TASKS / 4);
	assert_int_equal(index_count(), TASKS);
	close(watch);
	endpoint_free(target);
}

static void many_flushes_share_few_writes(void **state)
{
	(void)state;
	in_loop(share, NULL);
}

static void overtake(void *unused)
{
	enum { TASKS = 6 };
	static struct waiter waiters[TASKS];
	struct group group;
	struct endpoint *target = open_target(false);
	(void)unused;
	group_init(&group, TASKS);
	for (unsigned i = 0; i < TASKS; i++) {
		waiters[i] = (struct waiter){target, i, false, {0}};
		assert_true(group_spawn(&group, put_and_flush, &waiters[i], NULL));
	}
	group_wait(&group);
	for (size_t i = 0; i < TASKS; i++)
		assert_true(waiters[i].ok);
	endpoint_free(target);
}

/* Who is woken by one write may find the next one on its way, which has not failed because it has not ended. */
static void a_write_that_has_not_ended_has_not_failed(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct loop *loop = loop_new_virtual(seed);
		loop_run(loop, overtake, NULL);
		loop_free(loop);
	}
}

static void pace(void *unused)
{
	struct endpoint *target = open_target(false);
	struct image image = image_make(1);
	struct error err = {0};
	int64_t started_ms = 0, took_ms = 0, ended_ms = 0;
	(void)unused;
	for (int i = 0; i < 30; i++) {
		auto_free char *tag = memory_format("%d", i);
		assert_true(put_image(target, ALPINE, tag, &image, &err));
		int64_t earliest_ms = ended_ms + 10 * took_ms, now_ms = loop_now_ms();
		started_ms = now_ms > earliest_ms ? now_ms : earliest_ms;
		assert_true(endpoint_flush(target, &err));
		assert_true(loop_now_ms() >= started_ms);
		ended_ms = loop_now_ms();
		took_ms = ended_ms - started_ms;
		assert_in_range(took_ms, 0, 4);
	}
	endpoint_free(target);
}

static void writing_costs_a_tenth_of_the_time_at_most(void **state)
{
	struct loop *loop = loop_new_virtual(1);
	(void)state;
	loop_run(loop, pace, NULL);
	loop_free(loop);
}

static void flush_only(void *argument)
{
	struct waiter *waiter = argument;
	waiter->ok = endpoint_flush(waiter->target, &waiter->err);
}

static void cancel(void *unused)
{
	static struct waiter waiters[3];
	struct group group;
	struct endpoint *target = open_target(false);
	(void)unused;
	group_init(&group, 3);
	int other = open(layout, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(other, LOCK_EX), 0); /* the first to wait is held up on its worker */
	for (unsigned i = 0; i < 3; i++) {
		waiters[i] = (struct waiter){target, i, false, {0}};
		struct image image = image_make(i);
		auto_free char *tag = memory_format("%u", i);
		assert_true(put_image(target, ALPINE, tag, &image, NULL));
		assert_true(group_spawn(&group, flush_only, &waiters[i], NULL));
	}
	group_cancel(&group);
	assert_int_equal(flock(other, LOCK_UN), 0);
	group_wait(&group);
	close(other);
	assert_int_equal(waiters[2].err.kind, ERR_CANCELED);
	endpoint_free(target);
	assert_int_equal(index_count(), 3);
}

static void what_a_stopped_run_put_is_written_at_the_close(void **state)
{
	(void)state;
	in_loop(cancel, NULL);
}

static void locked(void *unused)
{
	struct waiter waiter = {.target = open_target(false), .number = 1};
	struct image image = image_make(1);
	struct group group;
	bool present;
	(void)unused;
	int other = open(layout, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(other, LOCK_EX), 0);
	group_init(&group, 1);
	assert_true(group_spawn(&group, put_and_flush, &waiter, NULL));
	for (present = false; !present;)
		assert_true(
			endpoint_blob_present(waiter.target, "", &image.manifest.descriptor, &present, &waiter.err));
	for (int i = 0; i < 10; i++)
		assert_true(
			endpoint_blob_present(waiter.target, "", &image.manifest.descriptor, &present, &waiter.err));
	auto_free char *text = index_text();
	assert_string_equal(text, "");
	assert_int_equal(flock(other, LOCK_UN), 0);
	group_wait(&group);
	assert_true(waiter.ok);
	close(other);
	endpoint_free(waiter.target);
}

static void a_write_waits_for_the_lock_of_another(void **state)
{
	(void)state;
	in_loop(locked, NULL);
}

#define test(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_others_wrote_meanwhile_is_kept_as_it_is),
		test(what_a_writer_without_a_lock_loses_comes_back_at_the_end),
		test(only_the_entry_of_the_tag_is_replaced),
		test(entries_keep_their_order_and_the_new_comes_last),
		test(a_name_that_stands_there_twice_is_put_right),
		test(a_name_that_only_containerd_reads_becomes_ours),
		test(many_flushes_share_few_writes),
		test(a_write_that_has_not_ended_has_not_failed),
		test(writing_costs_a_tenth_of_the_time_at_most),
		test(what_a_stopped_run_put_is_written_at_the_close),
		test(a_write_waits_for_the_lock_of_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
