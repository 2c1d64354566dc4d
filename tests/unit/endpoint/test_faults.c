/* covers: LAY-1, LAY-4, LAY-5, T-39, T-40, T-55, T-56 */
#include "support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ALPINE "docker.io/library/alpine"

/* --- hostile layouts --------------------------------------------------------------------------------------------- */

static char bait[PATH_MAX + 16];

static void make_link(const char *path)
{
	assert_int_equal(symlink(bait, path), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0644), 0);
}

static void make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_free char *near = memory_format("%s/s", directory); /* short enough for an address */
	snprintf(address.sun_path, sizeof address.sun_path, "%s", near);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(rename(near, path), 0);
	close(fd);
}

static void make_directory_there(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_short(const char *path)
{
	write_text(path, "x");
}

static void make_sparse(const char *path)
{
	make_short(path);
	assert_int_equal(truncate(path, (off_t)1 << 36), 0);
}

static void make_nothing(const char *path)
{
	(void)path;
}

struct trick {
	void (*make)(const char *path);
	enum error_kind kind;
	const char *why;
};

static const struct trick tricks[] = {
	{make_link, ERR_CORRUPT, "a link out of the layout"},
	{make_fifo, ERR_CORRUPT, "a FIFO that would block"},
	{make_socket, ERR_CORRUPT, "a socket"},
	{make_directory_there, ERR_CORRUPT, "a directory"},
	{make_short, ERR_CORRUPT, "a short file"},
	{make_sparse, ERR_CORRUPT, "64 GiB of zeroes"},
	{make_nothing, ERR_NOT_FOUND, "LAY-4"},
};

static void assert_refused(const struct trick *trick, const struct part *part, bool fails)
{
	struct error err = {0};
	struct endpoint *source = open_source();
	struct endpoint_reader *reader;
	struct buf bytes;
	char *media_type = NULL;
	bool present = true;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	assert_int_equal(!endpoint_manifest(source, ALPINE, &part->descriptor, &bytes, &media_type, &err), fails);
	assert_int_equal(err.kind, trick->kind);
	assert_false(endpoint_blob_open(source, ALPINE, &part->descriptor, 0, &reader, &err));
	assert_int_equal(err.kind, trick->kind);
	assert_true(str_starts_with(err.text, endpoint_name(source)));
	assert_non_null(strstr(err.text, digest_encoded(&part->descriptor.digest)));
	assert_true(endpoint_blob_present(source, ALPINE, &part->descriptor, &present, &err));
	assert_false(present);
	endpoint_free(source);
}

static void hostile_blobs(void *unused)
{
	struct image image = image_make(1);
	auto_free char *path = blob_path(&image.manifest.descriptor.digest);
	(void)unused;
	snprintf(bait, sizeof bait, "%s/bait", directory);
	write_text(bait, image.manifest.bytes); /* the very bytes: only the way to them is wrong */
	write_image(ALPINE, "1", 1, false);
	for (size_t i = 0; i < array_count(tricks); i++) {
		assert_int_equal(remove(path), 0);
		tricks[i].make(path);
		assert_refused(&tricks[i], &image.manifest, true);
		if (tricks[i].make == make_directory_there)
			assert_int_equal(rmdir(path), 0);
		write_image(ALPINE, "1", 1, false); /* replaced by what it should be */
		struct endpoint *source = open_source();
		struct endpoint_reader *reader;
		assert_true(endpoint_blob_open(source, ALPINE, &image.manifest.descriptor, 0, &reader, NULL));
		endpoint_reader_close(reader);
		endpoint_free(source);
	}
}

static void only_a_regular_file_of_the_right_size_is_read(void **state)
{
	(void)state;
	in_loop(hostile_blobs, NULL);
}

static void empty_blobs(void *unused)
{
	struct part empty = {0};
	struct endpoint *target = open_target(false);
	struct endpoint_reader *reader;
	struct error err = {0};
	bool present = true;
	(void)unused;
	part_set(&empty, "");
	auto_free char *path = blob_path(&empty.descriptor.digest);
	make_fifo(path); /* its size is that of the blob */
	assert_false(endpoint_blob_open(target, "", &empty.descriptor, 0, &reader, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_true(endpoint_blob_present(target, "", &empty.descriptor, &present, &err));
	assert_false(present);
	assert_true(put_part(target, &empty, &err));
	assert_true(endpoint_blob_present(target, "", &empty.descriptor, &present, &err));
	assert_true(present);
	endpoint_free(target);
}

static void a_fifo_is_not_an_empty_blob(void **state)
{
	(void)state;
	in_loop(empty_blobs, NULL);
}

static void linked_directories(void *unused)
{
	static const char *const names[] = {"blobs", "blobs/sha256"};
	struct image image = image_make(1);
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	for (size_t i = 0; i < array_count(names); i++) {
		struct endpoint_reader *reader;
		struct endpoint_writer *writer;
		struct error err = {0};
		auto_free char *path = path_of(names[i]);
		auto_free char *away = memory_format("%s/away", directory);
		struct endpoint *both = open_target(false);
		assert_int_equal(rename(path, away), 0);
		assert_int_equal(symlink(away, path), 0);
		assert_false(endpoint_blob_open(both, ALPINE, &image.manifest.descriptor, 0, &reader, &err));
		assert_int_equal(err.kind, ERR_CORRUPT);
		assert_false(endpoint_blob_create(both, ALPINE, &image.manifest.descriptor, &writer, &err));
		assert_int_equal(err.kind, ERR_CORRUPT);
		endpoint_free(both);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(rename(away, path), 0);
	}
}

static void a_linked_directory_is_not_followed(void **state)
{
	(void)state;
	in_loop(linked_directories, NULL);
}

static void changed_bytes(void *unused)
{
	struct image image = image_make(1);
	struct endpoint_reader *reader;
	struct error err = {0};
	struct buf bytes;
	char *media_type = NULL, piece[2048];
	size_t got;
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	auto_free char *path = blob_path(&image.manifest.descriptor.digest);
	struct endpoint *source = open_source();
	assert_true(endpoint_blob_open(source, ALPINE, &image.manifest.descriptor, 0, &reader, &err));
	assert_true(endpoint_reader_read(reader, piece, 4, &got, &err));
	assert_int_equal(truncate(path, 4), 0);
	assert_false(endpoint_reader_read(reader, piece, 4, &got, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	endpoint_reader_close(reader);
	image.manifest.bytes[5] ^= 1;
	write_text(path, image.manifest.bytes);
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	assert_false(endpoint_manifest(source, ALPINE, &image.manifest.descriptor, &bytes, &media_type, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_int_equal(bytes.length, 0);
	endpoint_free(source);
}

static void a_blob_that_changes_is_not_taken_for_itself(void **state)
{
	(void)state;
	in_loop(changed_bytes, NULL);
}

#define DIGEST "\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""

static void bad_documents(void *unused)
{
	static const struct {
		const char *file, *text;
		enum error_kind kind;
		const char *why;
	} rows[] = {
		{"index.json", "", ERR_CORRUPT, "an empty file"},
		{"index.json", "{\"schemaVersion\":2", ERR_CORRUPT, "half a file"},
		{"index.json", "[]", ERR_CORRUPT, "not an object"},
		{"index.json", "{\"schemaVersion\":2}", ERR_CORRUPT, "not an index"},
		{"index.json", "{\"manifests\":{}}", ERR_CORRUPT, "of the wrong type"},
		{"index.json", "{\"manifests\":[],\"Manifests\":[]}", ERR_CORRUPT, "T-31"},
		{"index.json", "{\"manifests\":[],\"manifests\":[]}", ERR_CORRUPT, "LAY-5: duplicate keys"},
		{"index.json", "{\"manifests\":[{" DIGEST "," DIGEST ",\"size\":1}]}", ERR_CORRUPT, "LAY-5"},
		{"index.json", "{\"manifests\":[1]}", ERR_CORRUPT, "an entry of the wrong type"},
		{"index.json", "{\"manifests\":[{\"size\":1}]}", ERR_CORRUPT, "an entry without digest"},
		{"index.json", "{\"manifests\":[{" DIGEST ",\"size\":-1}]}", ERR_CORRUPT, "a negative size"},
		{"index.json", "{\"manifests\":[{\"digest\":\"sha256:../../bait\",\"size\":1}]}", ERR_CORRUPT, "T-37"},
		{"index.json", "{\"manifests\":null}", ERR_NONE, "how Go writes none"},
		{"index.json", NULL, ERR_NONE, "not there: a layout that was just made, and holds nothing"},
		{"oci-layout", NULL, ERR_NOT_FOUND, "not a layout"},
		{"oci-layout", "{}", ERR_CORRUPT, "no version"},
		{"oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}", ERR_CORRUPT, "a version to come"},
		{"oci-layout", "{\"imageLayoutVersion\":\"1.0.0\",\"x\":1}", ERR_NONE, "LAY-1: extra fields"},
	};
	(void)unused;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *path = path_of(rows[i].file);
		struct endpoint *source = NULL;
		struct error err = {0};
		write_image(ALPINE, "1", 1, false);
		if (rows[i].text)
			write_text(path, rows[i].text);
		else
			assert_int_equal(unlink(path), 0);
		if (endpoint_open_layout(layout, LAYOUT_READ, false, &source, &err))
			endpoint_free(source);
		if (err.kind != rows[i].kind)
			print_error("%s: %s\n", rows[i].why, err.text);
		assert_int_equal(err.kind, rows[i].kind);
		if (err.kind != ERR_NONE)
			assert_non_null(strstr(err.text, rows[i].file));
		remove_directory(NULL);
		assert_int_equal(mkdir(directory, 0755), 0);
	}
}

static void a_layout_of_the_wrong_shape_is_refused(void **state)
{
	(void)state;
	in_loop(bad_documents, NULL);
}

static void special_documents(void *unused)
{
	static const char *const files[] = {"index.json", "oci-layout"};
	static const struct trick special[] = {
		{make_link, ERR_CORRUPT, ""}, {make_fifo, ERR_CORRUPT, ""}, {make_sparse, ERR_TOO_LARGE, ""}};
	(void)unused;
	snprintf(bait, sizeof bait, "%s/bait", directory);
	write_text(bait, "{\"imageLayoutVersion\":\"1.0.0\",\"manifests\":[]}");
	for (size_t i = 0; i < array_count(files) * array_count(special); i++) {
		const struct trick *trick = &special[i % array_count(special)];
		auto_free char *path = path_of(files[i / array_count(special)]);
		struct endpoint *endpoint;
		struct error err = {0};
		write_image(ALPINE, "1", 1, false);
		assert_int_equal(unlink(path), 0);
		trick->make(path);
		assert_false(endpoint_open_layout(layout, LAYOUT_READ, false, &endpoint, &err));
		assert_int_equal(err.kind, trick->kind);
		assert_false(endpoint_open_layout(layout, LAYOUT_WRITE, false, &endpoint, &err));
		assert_int_equal(err.kind, trick->kind);
		assert_int_equal(unlink(path), 0);
	}
}

static void documents_are_regular_files_of_a_bounded_size(void **state)
{
	(void)state;
	in_loop(special_documents, NULL);
}

static void linked_ingest(void *unused)
{
	struct image image = image_make(1);
	struct endpoint_writer *writer;
	struct error err = {0};
	auto_free char *path = path_of("ingest");
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	assert_int_equal(symlink(directory, path), 0);
	struct endpoint *target = open_target(false);
	assert_false(endpoint_blob_create(target, "", &image.layer.descriptor, &writer, &err));
	endpoint_free(target);
}

static void nothing_is_written_through_a_link(void **state)
{
	(void)state;
	in_loop(linked_ingest, NULL);
}

/* --- disks ------------------------------------------------------------------------------------------------------- */

static void no_directory(void *unused)
{
	struct endpoint *endpoint;
	struct error err = {0};
	auto_free char *file = memory_format("%s/file", directory);
	auto_free char *below = memory_format("%s/file/layout", directory);
	(void)unused;
	write_text(file, "");
	assert_false(endpoint_open_layout(layout, LAYOUT_READ, false, &endpoint, &err));
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	const char *const paths[] = {file, below};
	for (size_t i = 0; i < array_count(paths); i++) {
		assert_false(endpoint_open_layout(paths[i], LAYOUT_WRITE, false, &endpoint, &err));
		assert_int_equal(err.kind, ERR_IO);
		assert_non_null(strstr(err.text, paths[i]));
		assert_non_null(strstr(err.text, strerror(ENOTDIR)));
	}
}

static void a_target_that_cannot_be_made_says_why(void **state)
{
	(void)state;
	in_loop(no_directory, NULL);
}

/* A disk on which no file can have more than @bytes. */
static void set_file_limit(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void full(void *unused)
{
	struct image one = image_make(1), two = image_make(2);
	struct descriptor huge = one.layer.descriptor;
	struct endpoint_writer *writer;
	struct error err = {0};
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	auto_free char *before = index_text();
	struct endpoint *target = open_target(false);

	set_file_limit(strlen(before) + 10);
	huge.size = (int64_t)1 << 62;
	huge.digest = two.config.descriptor.digest;
	assert_false(endpoint_blob_create(target, "", &huge, &writer, &err)); /* before a byte has come */
	assert_int_equal(err.kind, ERR_IO);
	huge.size = 1000;
	char piece[1000] = {0};
	assert_false(put_blob(target, &huge, piece, sizeof piece, &err));
	assert_int_equal(err.kind, ERR_IO);
	assert_non_null(strstr(err.text, digest_encoded(&huge.digest)));
	assert_non_null(strstr(err.text, strerror(EFBIG)));
	assert_int_equal(temporary_count(), 0);

	set_file_limit(RLIM_INFINITY);
	assert_true(put_image(target, ALPINE, "2", &two, &err));
	set_file_limit(strlen(before) + 10);
	assert_false(endpoint_flush(target, &err));
	assert_int_equal(err.kind, ERR_IO);
	assert_non_null(strstr(err.text, "index.json"));
	auto_free char *after = index_text();
	assert_string_equal(before, after);
	assert_int_equal(temporary_count(), 0);

	set_file_limit(RLIM_INFINITY);
	assert_true(endpoint_flush(target, &err));
	assert_int_equal(index_count(), 2);
	endpoint_free(target);
}

static void a_full_disk_keeps_what_was_there(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	in_loop(full, NULL);
}

struct waiter {
	struct endpoint *target;
	const char *tag;
	struct error err;
};

static void put_and_flush(void *argument)
{
	struct waiter *waiter = argument;
	struct image image = image_make(1);
	if (put_image(waiter->target, ALPINE, waiter->tag, &image, &waiter->err))
		(void)!endpoint_flush(waiter->target, &waiter->err);
}

static void unreadable(void *unused)
{
	static const char *const tags[] = {"1", "2", "3", "4", "5", "6", "7", "8"};
	struct waiter waiters[array_count(tags)];
	struct group group;
	auto_free char *path = path_of("index.json");
	(void)unused;
	struct endpoint *target = open_target(false);
	write_text(path, "what is this");
	group_init(&group, array_count(tags));
	for (size_t i = 0; i < array_count(tags); i++) {
		waiters[i] = (struct waiter){target, tags[i], {0}};
		assert_true(group_spawn(&group, put_and_flush, &waiters[i], NULL));
	}
	group_wait(&group);
	for (size_t i = 0; i < array_count(tags); i++)
		assert_int_equal(waiters[i].err.kind, ERR_CORRUPT);
	auto_free char *text = index_text();
	assert_string_equal(text, "what is this");
	endpoint_free(target);
}

static void an_index_that_cannot_be_read_is_not_overwritten(void **state)
{
	(void)state;
	in_loop(unreadable, NULL);
}

#define test(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(only_a_regular_file_of_the_right_size_is_read),
		test(a_fifo_is_not_an_empty_blob),
		test(a_linked_directory_is_not_followed),
		test(a_blob_that_changes_is_not_taken_for_itself),
		test(a_layout_of_the_wrong_shape_is_refused),
		test(documents_are_regular_files_of_a_bounded_size),
		test(nothing_is_written_through_a_link),
		test(a_target_that_cannot_be_made_says_why),
		test(a_full_disk_keeps_what_was_there),
		test(an_index_that_cannot_be_read_is_not_overwritten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
