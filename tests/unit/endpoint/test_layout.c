/* covers: LAY-1, LAY-2, LAY-3, LAY-9, LAY-10, LAY-12, LAY-13, LAY-15, T-57, T-59 */
#include "support.h"

#define ALPINE "docker.io/library/alpine"

static void read_all(struct endpoint *endpoint, const struct part *part, int64_t offset)
{
	struct endpoint_reader *reader;
	struct error err = {0};
	char bytes[2048];
	size_t have = 0, got;
	assert_true(endpoint_blob_open(endpoint, "", &part->descriptor, offset, &reader, &err));
	do {
		assert_true(endpoint_reader_read(reader, bytes + have, 3, &got, &err));
		have += got;
	} while (got > 0);
	endpoint_reader_close(reader);
	assert_int_equal(have, part->descriptor.size - offset);
	assert_memory_equal(bytes, part->bytes + offset, have);
}

static void read_back(void *unused)
{
	struct image image = image_make(1);
	struct error err = {0};
	struct descriptor root;
	struct buf bytes;
	char *media_type;
	(void)unused;
	write_image(ALPINE, "3.20", 1, false);
	struct endpoint *source = open_source();
	assert_true(endpoint_resolve(source, ALPINE, "3.20", &root, &err));
	assert_true(digest_equal(&root.digest, &image.manifest.descriptor.digest));
	assert_int_equal(root.size, image.manifest.descriptor.size);
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	assert_true(endpoint_manifest(source, ALPINE, &root, &bytes, &media_type, &err));
	assert_string_equal(buf_peek(&bytes), image.manifest.bytes);
	assert_string_equal(media_type, MEDIA_OCI_MANIFEST);
	read_all(source, &image.layer, 0);
	read_all(source, &image.config, 0);
	read_all(source, &image.config, 5);
	read_all(source, &image.config, image.config.descriptor.size);
	free(media_type);
	buf_release(&bytes);
	descriptor_release(&root);
	endpoint_free(source);
}

static void what_is_written_is_read_back(void **state)
{
	(void)state;
	in_loop(read_back, NULL);
}

static void assert_entry(json_t *entry, const char *name, const char *containerd)
{
	json_t *annotations = json_object_get(entry, "annotations");
	const char *has_name = json_string_value(json_object_get(annotations, "org.opencontainers.image.ref.name"));
	const char *has_containerd = json_string_value(json_object_get(annotations, "io.containerd.image.name"));
	assert_string_equal(has_name ? has_name : "", name);
	assert_string_equal(has_containerd ? has_containerd : "", containerd);
}

static void names(void *unused)
{
	struct image image = image_make(1);
	const char *digest = image.manifest.descriptor.digest.text;
	auto_free char *by_digest = memory_format(ALPINE "@%s", digest);
	const struct {
		bool bare;
		const char *repository, *reference, *name, *containerd, *why;
	} rows[] = {
		{false, ALPINE, "1", ALPINE ":1", ALPINE ":1", "LAY-9"},
		{true, ALPINE, "1", "1", ALPINE ":1", "LAY-10"},
		{false, ALPINE, digest, "", by_digest, "LAY-12: no tag is made up"},
		{true, ALPINE, digest, "", by_digest, "LAY-12"},
		{false, "", digest, "", "", "a digest, and nothing else is known"},
		{false, "", "1", "1", "", "a tag, and no repository is known"},
		{false, "host:5000/a__b", "1", "host:5000/a__b:1", "host:5000/a__b:1",
			"LAY-7: skopeo cannot, others can"},
		{true, "", "alpine:3", "alpine:3", "", "a name is a name, although it fits the grammar of digests"},
	};
	(void)unused;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct stat status;
		write_image(rows[i].repository, rows[i].reference, 1, rows[i].bare);
		auto_json json_t *document = index_document();
		json_t *entries = json_object_get(document, "manifests");
		assert_int_equal(json_array_size(entries), 1);
		assert_entry(json_array_get(entries, 0), rows[i].name, rows[i].containerd);
		assert_string_equal(json_string_value(json_object_get(document, "mediaType")), MEDIA_OCI_INDEX);
		auto_free char *index = path_of("index.json");
		auto_free char *ingest = path_of("ingest");
		assert_int_equal(unlink(index), 0);
		assert_int_not_equal(stat(ingest, &status), 0);
	}
}

static void entries_are_named_for_every_reader(void **state)
{
	(void)state;
	in_loop(names, NULL);
}

static void refuse_names(void *unused)
{
	static const char *const names[] = {"", "a b", "a\nb", "\xc3\xa9", "\xff"};
	struct image image = image_make(1);
	struct endpoint *target = open_target(true);
	(void)unused;
	for (size_t i = 0; i < array_count(names); i++) {
		struct error err = {0};
		assert_false(put_image(target, "", names[i], &image, &err));
		assert_int_equal(err.kind, ERR_INVALID);
	}
	endpoint_free(target);
}

static void a_name_that_no_reader_could_type_is_refused(void **state)
{
	(void)state;
	in_loop(refuse_names, NULL);
}

static void platforms(void *unused)
{
	struct image image = image_make(1);
	struct descriptor manifest = image.manifest.descriptor;
	struct endpoint *target = open_target(false);
	struct error err = {0};
	(void)unused;
	assert_true(platform_parse("linux/arm64/v8", &manifest.platform, &err));
	assert_true(endpoint_manifest_put(target, ALPINE, "one", &manifest, image.manifest.bytes, &err));
	auto_free char *index_type = memory_text(MEDIA_OCI_INDEX);
	manifest.media_type = index_type;
	assert_true(endpoint_manifest_put(target, ALPINE, "index", &manifest, image.manifest.bytes, &err));
	assert_true(put_image(target, ALPINE, "none", &image, &err));
	endpoint_free(target);
	auto_json json_t *document = index_document();
	json_t *entries = json_object_get(document, "manifests");
	json_t *platform = json_object_get(json_array_get(entries, 0), "platform");
	assert_string_equal(json_string_value(json_object_get(platform, "architecture")), "arm64");
	assert_string_equal(json_string_value(json_object_get(platform, "variant")), "v8");
	assert_null(json_object_get(json_array_get(entries, 1), "platform"));
	assert_null(json_object_get(json_array_get(entries, 2), "platform"));
}

static void only_an_image_of_one_platform_says_which(void **state)
{
	(void)state;
	in_loop(platforms, NULL);
}

static void visibility(void *unused)
{
	struct image one = image_make(1), two = image_make(2);
	struct endpoint *target = open_target(false);
	struct error err = {0};
	(void)unused;
	assert_int_equal(number_of(target, ALPINE, "1"), -ERR_NOT_FOUND);
	assert_true(put_image(target, ALPINE, "1", &one, &err));
	assert_int_equal(number_of(target, ALPINE, "1"), 1);
	auto_free char *before = index_text();
	assert_string_equal(before, "");
	assert_true(endpoint_flush(target, &err));
	assert_int_equal(number_of(target, ALPINE, "1"), 1);
	assert_true(put_image(target, ALPINE, "1", &two, &err));
	assert_int_equal(number_of(target, ALPINE, "1"), 2);
	endpoint_free(target); /* writes what is pending */
	struct endpoint *source = open_source();
	assert_int_equal(number_of(source, ALPINE, "1"), 2);
	assert_int_equal(index_count(), 1);
	endpoint_free(source);
}

static void a_tag_moves_with_the_flush_and_is_seen_by_us_at_once(void **state)
{
	(void)state;
	in_loop(visibility, NULL);
}

static void by_digest(void *unused)
{
	struct image image = image_make(1);
	const char *digest = image.manifest.descriptor.digest.text;
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	struct endpoint *target = open_target(false);
	/* The entry of the tag goes when the tag moves: it does not keep what was asked for by digest. */
	assert_int_equal(number_of(target, ALPINE, digest), -ERR_NOT_FOUND);
	endpoint_free(target);
	write_image(ALPINE, digest, 1, false);
	write_image(ALPINE, "1", 2, false);
	target = open_target(false);
	assert_int_equal(number_of(target, ALPINE, digest), 1);
	assert_int_equal(number_of(target, ALPINE, "1"), 2);
	assert_int_equal(index_count(), 2);
	endpoint_free(target);
}

static void an_image_by_digest_outlives_the_tag(void **state)
{
	(void)state;
	in_loop(by_digest, NULL);
}

static void same_again(void *unused)
{
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	struct stat before, after;
	auto_free char *path = path_of("index.json");
	assert_int_equal(stat(path, &before), 0);
	write_image(ALPINE, "1", 1, false);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void nothing_is_written_when_nothing_changes(void **state)
{
	(void)state;
	in_loop(same_again, NULL);
}

static void presence(void *unused)
{
	struct image image = image_make(1);
	struct endpoint *target = open_target(false);
	struct endpoint_writer *writer;
	struct error err = {0};
	bool present;
	(void)unused;
	auto_free char *path = blob_path(&image.layer.descriptor.digest);
	assert_true(endpoint_blob_present(target, "", &image.layer.descriptor, &present, &err));
	assert_false(present);
	write_text(path, "lay"); /* of a tool that crashed */
	assert_true(endpoint_blob_present(target, "", &image.layer.descriptor, &present, &err));
	assert_false(present);
	assert_true(put_part(target, &image.layer, &err));
	assert_true(endpoint_blob_present(target, "", &image.layer.descriptor, &present, &err));
	assert_true(present);
	assert_true(endpoint_blob_mount(target, "b", "a", &image.layer.descriptor, &present, &writer, &err));
	assert_true(present);
	assert_null(writer);
	read_all(target, &image.layer, 0);
	endpoint_free(target);
}

static void a_blob_of_the_wrong_size_is_not_present_and_is_replaced(void **state)
{
	(void)state;
	in_loop(presence, NULL);
}

static void zeroes(void *unused)
{
	struct image image = image_make(1);
	struct error err = {0};
	(void)unused;
	write_image(ALPINE, "1", 1, false);
	auto_free char *path = blob_path(&image.manifest.descriptor.digest);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 0), 4);
	close(fd);
	struct endpoint *target = open_target(false);
	assert_true(put_image(target, ALPINE, "1", &image, &err));
	struct buf bytes;
	char *media_type = NULL;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	assert_true(endpoint_manifest(target, ALPINE, &image.manifest.descriptor, &bytes, &media_type, &err));
	free(media_type);
	buf_release(&bytes);
	/* and an entry whose manifest is gone is none */
	assert_int_equal(unlink(path), 0);
	assert_true(endpoint_flush(target, &err));
	assert_int_equal(number_of(target, ALPINE, "1"), -ERR_NOT_FOUND);
	endpoint_free(target);
}

static void a_manifest_that_was_lost_is_written_again(void **state)
{
	(void)state;
	in_loop(zeroes, NULL);
}

static void abandon(void *unused)
{
	struct image image = image_make(1);
	struct descriptor *layer = &image.layer.descriptor;
	struct endpoint *target = open_target(false);
	struct endpoint_writer *writer;
	struct error err = {0};
	bool present;
	(void)unused;
	assert_true(endpoint_blob_create(target, "", layer, &writer, &err));
	assert_true(endpoint_writer_write(writer, image.layer.bytes, 3, &err));
	assert_int_equal(temporary_count(), 1);
	assert_false(endpoint_writer_commit(writer, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_false(endpoint_writer_write(writer, image.layer.bytes, (size_t)layer->size, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	endpoint_writer_free(writer);
	assert_int_equal(temporary_count(), 0);
	assert_true(endpoint_blob_present(target, "", layer, &present, &err));
	assert_false(present);
	endpoint_free(target);
}

static void what_is_not_committed_is_gone(void **state)
{
	(void)state;
	in_loop(abandon, NULL);
}

static void sweep(void *unused)
{
	struct image image = image_make(1);
	struct endpoint *alive = open_target(false);
	struct endpoint_writer *writer;
	struct error err = {0};
	(void)unused;
	assert_true(endpoint_blob_create(alive, "", &image.layer.descriptor, &writer, &err));
	auto_free char *leftover = path_of("ingest/dray-1-0123456789abcdef");
	auto_free char *foreign = path_of("ingest/oci-put-blob.tmp");
	write_text(leftover, "of a run that was killed");
	write_text(foreign, "not ours");
	endpoint_free(open_target(false));
	assert_int_not_equal(access(leftover, F_OK), 0);
	assert_int_equal(access(foreign, F_OK), 0);
	assert_int_equal(temporary_count(), 2);
	assert_true(endpoint_writer_write(writer, image.layer.bytes, strlen(image.layer.bytes), &err));
	assert_true(endpoint_writer_commit(writer, &err));
	endpoint_writer_free(writer);
	endpoint_free(alive);
}

static void leftovers_of_the_dead_are_swept_and_no_others(void **state)
{
	(void)state;
	in_loop(sweep, NULL);
}

static void references(void *unused)
{
	struct image image = image_make(1);
	const char *digest = image.manifest.descriptor.digest.text;
	struct endpoint *endpoints[] = {open_target(false), open_target(true)};
	const struct {
		int bare;
		const char *repository, *reference, *format;
	} rows[] = {
		{0, ALPINE, "3", "oci:%s:" ALPINE ":3"},
		{1, ALPINE, "3", "oci:%s:3"},
		{0, "", "3", "oci:%s:3"},
	};
	(void)unused;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *got =
			endpoint_reference(endpoints[rows[i].bare], rows[i].repository, rows[i].reference);
		auto_free char *head = memory_format("oci:%s:", layout);
		assert_true(str_starts_with(got, head));
		assert_string_equal(got + strlen(head), rows[i].format + strlen("oci:%s:"));
	}
	auto_free char *got = endpoint_reference(endpoints[1], ALPINE, digest);
	auto_free char *wanted = memory_format("oci:%s:" ALPINE "@%s", layout, digest);
	assert_string_equal(got, wanted);
	assert_true(endpoint_is_layout(endpoints[0]));
	assert_string_equal(endpoint_name(endpoints[0]) + 4, layout);
	endpoint_free(endpoints[0]);
	endpoint_free(endpoints[1]);
	endpoint_free(NULL);
}

static void references_say_what_can_be_typed(void **state)
{
	(void)state;
	in_loop(references, NULL);
}

#define test(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_is_written_is_read_back),
		test(entries_are_named_for_every_reader),
		test(a_name_that_no_reader_could_type_is_refused),
		test(only_an_image_of_one_platform_says_which),
		test(a_tag_moves_with_the_flush_and_is_seen_by_us_at_once),
		test(an_image_by_digest_outlives_the_tag),
		test(nothing_is_written_when_nothing_changes),
		test(a_blob_of_the_wrong_size_is_not_present_and_is_replaced),
		test(a_manifest_that_was_lost_is_written_again),
		test(what_is_not_committed_is_gone),
		test(leftovers_of_the_dead_are_swept_and_no_others),
		test(references_say_what_can_be_typed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
