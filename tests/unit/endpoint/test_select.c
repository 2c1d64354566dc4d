/* covers: LAY-4, LAY-5, LAY-8, LAY-14, LAY-16 */
#include "support.h"

#include "sync/endpoint/layout.h"

#define ALPINE  "docker.io/library/alpine"
#define BUSYBOX "docker.io/library/busybox"

/* An entry of a layout that somebody else wrote. */
struct entry {
	int number; /* 0: no more */
	const char *name, *containerd;
	const char *media_type; /* NULL: a manifest */
};

enum { ENTRIES_MOST = 5 };

static void write_layout(const struct entry *entries)
{
	auto_free char *path = path_of("index.json");
	auto_json json_t *document = json_pack("{s:i, s:[]}", "schemaVersion", 2, "manifests");
	json_t *array = json_object_get(document, "manifests");
	endpoint_free(open_target(false));
	for (size_t i = 0; i < ENTRIES_MOST && entries[i].number > 0; i++) {
		struct image image = image_make((unsigned)entries[i].number);
		json_t *annotations = json_pack("{s:s*, s:s*}", "org.opencontainers.image.ref.name", entries[i].name,
			"io.containerd.image.name", entries[i].containerd);
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:I, s:o}", "mediaType",
				       entries[i].media_type ? entries[i].media_type : MEDIA_OCI_MANIFEST, "digest",
				       image.manifest.descriptor.digest.text, "size",
				       (json_int_t)image.manifest.descriptor.size, "annotations", annotations));
	}
	auto_free char *text = json_dumps(document, 0);
	write_text(path, text);
}

static void select_rows(void *unused)
{
	static const struct {
		struct entry entries[ENTRIES_MOST];
		const char *repository, *reference;
		int wanted; /* the number of the image, or minus the kind of the error */
		const char *why;
	} rows[] = {
		{{{1, ALPINE ":1", NULL, NULL}}, ALPINE, "1", 1, "as we write it"},
		{{{1, ALPINE ":1", NULL, NULL}}, "", ALPINE ":1", 1, "as it is typed"},
		{{{1, ALPINE ":1", NULL, NULL}}, "", "alpine:1", 1, "canonical equality"},
		{{{1, ALPINE ":latest", NULL, NULL}}, "", "alpine", 1, "canonical equality, with the default tag"},
		{{{1, "alpine:1", NULL, NULL}}, ALPINE, "1", 1, "canonical equality, the other way"},
		{{{1, ALPINE ":1", NULL, NULL}}, "", "1", 1, "a suffix, unique"},
		{{{1, ALPINE ":1", NULL, NULL}, {2, BUSYBOX ":1", NULL, NULL}}, "", "1", -ERR_INVALID, "not unique"},
		{{{1, ALPINE ":1", NULL, NULL}, {1, BUSYBOX ":1", NULL, NULL}}, "", "1", 1, "two names, one digest"},
		{{{1, ALPINE ":1", NULL, NULL}, {2, "1", NULL, NULL}}, "", "1", 2, "exact before suffix"},
		{{{1, "1", ALPINE ":1", NULL}, {2, ALPINE ":1", NULL, NULL}}, ALPINE, "1", 2,
			"exact before containerd's"},
		{{{1, "1", ALPINE ":1", NULL}, {2, "1", BUSYBOX ":1", NULL}}, BUSYBOX, "1", 2, "docker save"},
		{{{1, "1", ALPINE ":1", NULL}, {2, "1", BUSYBOX ":1", NULL}}, "", "1", -ERR_INVALID, "docker save"},
		{{{1, NULL, ALPINE ":1", NULL}}, ALPINE, "1", 1, "containerd's name alone"},
		{{{1, "1", NULL, NULL}, {2, "2", NULL, NULL}}, ALPINE, "2", 2, "bare tags of one repository"},
		{{{1, "1", ALPINE ":1", NULL}}, BUSYBOX, "1", -ERR_NOT_FOUND, "of another repository"},
		{{{1, "1", ALPINE ":1", NULL}, {2, "2", BUSYBOX ":2", NULL}}, ALPINE, "2", -ERR_NOT_FOUND,
			"of two repositories"},
		{{{1, "1", NULL, NULL}}, "", "2", -ERR_NOT_FOUND, "another tag"},
		{{{1, "latest", NULL, NULL}}, "", "2", -ERR_NOT_FOUND, "a tag is not a repository"},
		{{{1, "11", NULL, NULL}, {2, ALPINE ":21", NULL, NULL}}, "", "1", -ERR_NOT_FOUND, "not half a tag"},
		{{{1, "1", NULL, "application/vnd.example+json"}}, "", "1", -ERR_NOT_FOUND, "LAY-5: unknown types"},
		{{{1, "1", NULL, "application/vnd.docker.distribution.manifest.v2+json"}}, "", "1", 1, "LAY-5"},
		{{{1, "1", NULL, "application/vnd.docker.distribution.manifest.list.v2+json"}}, "", "1", 1, "LAY-5"},
		{{{1, "1", NULL, ""}}, "", "1", 1, "no type: what is fetched says what it is"},
		{{{0}}, "", "1", -ERR_NOT_FOUND, "empty"},
	};
	(void)unused;
	for (size_t i = 0; i < array_count(rows); i++) {
		write_layout(rows[i].entries);
		struct endpoint *source = open_source();
		int got = number_of(source, rows[i].repository, rows[i].reference);
		if (got != rows[i].wanted)
			print_error("%s: %d\n", rows[i].why, got);
		assert_int_equal(got, rows[i].wanted);
		endpoint_free(source);
	}
}

static void the_strongest_name_wins(void **state)
{
	(void)state;
	in_loop(select_rows, NULL);
}

static void select_digest(void *unused)
{
	static const struct entry entries[ENTRIES_MOST] = {{1, ALPINE ":1", NULL, NULL}, {2, NULL, NULL, NULL}};
	struct image one = image_make(1), two = image_make(2), three = image_make(3);
	auto_free char *full = memory_format(ALPINE "@%s", one.manifest.descriptor.digest.text);
	(void)unused;
	write_layout(entries);
	struct endpoint *source = open_source();
	assert_int_equal(number_of(source, "", one.manifest.descriptor.digest.text), 1);
	assert_int_equal(number_of(source, ALPINE, two.manifest.descriptor.digest.text), 2);
	assert_int_equal(number_of(source, "", full), 1);
	assert_int_equal(number_of(source, "", three.manifest.descriptor.digest.text), -ERR_NOT_FOUND);
	endpoint_free(source);
}

static void a_digest_is_found_under_any_name(void **state)
{
	(void)state;
	in_loop(select_digest, NULL);
}

static void candidates(void *unused)
{
	static const struct entry entries[ENTRIES_MOST] = {{1, ALPINE ":1", NULL, NULL}, {2, BUSYBOX ":1", NULL, NULL}};
	struct descriptor root;
	struct error err = {0};
	(void)unused;
	write_layout(entries);
	struct endpoint *source = open_source();
	assert_false(endpoint_resolve(source, "", "1", &root, &err));
	assert_non_null(strstr(err.text, ALPINE ":1"));
	assert_non_null(strstr(err.text, BUSYBOX ":1"));
	assert_true(str_starts_with(err.text, endpoint_name(source)));
	assert_false(endpoint_resolve(source, "", "\x1b[2J", &root, &err));
	assert_null(strchr(err.text, '\x1b'));
	endpoint_free(source);
}

static void an_ambiguous_name_lists_its_candidates(void **state)
{
	(void)state;
	in_loop(candidates, NULL);
}

/* --- listing ----------------------------------------------------------------------------------------------------- */

/* "repository tag, ..."; new memory. */
static char *list_text(struct endpoint *source, const char *repository)
{
	struct name_pages *pages = endpoint_list(source, repository);
	const struct image_name *names;
	size_t count;
	struct error err = {0};
	struct buf text;
	bool ok;
	buf_init(&text, MIB);
	while ((ok = name_pages_next(pages, &names, &count, &err)) && count > 0)
		for (size_t i = 0; i < count; i++)
			assert_true(buf_appendf(&text, &err, "%s%s %s", text.length > 0 ? ", " : "",
				names[i].repository, names[i].reference));
	name_pages_free(pages);
	if (!ok)
		assert_true(buf_appendf(&text, NULL, "%s", error_kind_name(err.kind)));
	return buf_take(&text, NULL);
}

static void list_rows(void *unused)
{
	struct image two = image_make(2);
	const char *digest = two.manifest.descriptor.digest.text;
	auto_free char *by_digest = memory_format(ALPINE "@%s", digest);
	auto_free char *unnamed = memory_format(" %s", digest);
	auto_free char *of_alpine = memory_format(ALPINE " %s", digest);
	const struct {
		struct entry entries[ENTRIES_MOST];
		const char *repository, *wanted, *why;
	} rows[] = {
		{{{1, ALPINE ":1", NULL, NULL}, {2, BUSYBOX ":2", NULL, NULL}}, NULL, ALPINE " 1, " BUSYBOX " 2",
			"all"},
		{{{1, ALPINE ":1", NULL, NULL}, {2, BUSYBOX ":2", NULL, NULL}}, BUSYBOX, BUSYBOX " 2",
			"of a repository"},
		{{{1, ALPINE ":1", NULL, NULL}}, BUSYBOX, "not_found", "no such repository"},
		{{{1, "1", ALPINE ":1", NULL}}, NULL, " 1", "a bare tag"},
		{{{1, "1", ALPINE ":1", NULL}, {2, "1", BUSYBOX ":1", NULL}}, NULL, ALPINE " 1, " BUSYBOX " 1",
			"tags that only their other names tell apart"},
		{{{1, "alpine:1", NULL, NULL}}, NULL, ALPINE " 1", "a short name"},
		{{{2, NULL, NULL, NULL}}, NULL, unnamed, "a digest alone"},
		{{{2, NULL, by_digest, NULL}}, NULL, of_alpine, "LAY-12"},
		{{{1, "1", NULL, NULL}, {1, "1", NULL, NULL}}, NULL, " 1", "the same twice"},
		{{{1, "1", NULL, "application/vnd.example+json"}}, NULL, "", "no image"},
		{{{0}}, NULL, "", "empty"},
	};
	(void)unused;
	for (size_t i = 0; i < array_count(rows); i++) {
		write_layout(rows[i].entries);
		struct endpoint *source = open_source();
		auto_free char *got = list_text(source, rows[i].repository);
		assert_string_equal(got, rows[i].wanted);
		endpoint_free(source);
	}
}

static void a_listing_tells_names_that_resolve(void **state)
{
	(void)state;
	in_loop(list_rows, NULL);
}

static void many(void *unused)
{
	enum { COUNT = 2500 };
	struct image image = image_make(1);
	struct endpoint *target = open_target(false);
	struct error err = {0};
	(void)unused;
	for (int i = 0; i < COUNT; i++) {
		auto_free char *tag = memory_format("%d", i);
		assert_true(endpoint_manifest_put(
			target, ALPINE, tag, &image.manifest.descriptor, image.manifest.bytes, &err));
	}
	assert_true(endpoint_flush(target, &err));
	endpoint_free(target);
	struct endpoint *source = open_source();
	struct name_pages *pages = endpoint_list(source, NULL);
	const struct image_name *names;
	size_t count, sum = 0, page_count = 0;
	while (name_pages_next(pages, &names, &count, &err) && count > 0) {
		sum += count;
		page_count++;
		for (size_t i = 0; i < count; i++)
			assert_int_equal(number_of(source, names[i].repository, names[i].reference), 1);
	}
	assert_int_equal(sum, COUNT);
	assert_true(page_count > 1);
	name_pages_free(pages);
	endpoint_free(source);
}

static void a_long_listing_comes_in_pages(void **state)
{
	(void)state;
	in_loop(many, NULL);
}

/* --- the snapshot ------------------------------------------------------------------------------------------------ */

static void follow(void *unused)
{
	static const struct entry one[ENTRIES_MOST] = {{1, "1", NULL, NULL}},
				  two[ENTRIES_MOST] = {{2, "1", NULL, NULL}};
	(void)unused;
	write_layout(one);
	struct endpoint *source = open_source();
	struct layout *inside = (struct layout *)source;
	assert_int_equal(number_of(source, "", "1"), 1);
	const struct index *before = inside->index;
	assert_int_equal(number_of(source, "", "1"), 1);
	assert_ptr_equal(inside->index, before); /* not read again */
	write_layout(two);                       /* in place, and of the same length */
	assert_int_equal(number_of(source, "", "1"), 2);
	endpoint_free(source);
}

static void the_file_is_read_again_only_when_it_changed(void **state)
{
	(void)state;
	in_loop(follow, NULL);
}

#define test(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_strongest_name_wins),
		test(a_digest_is_found_under_any_name),
		test(an_ambiguous_name_lists_its_candidates),
		test(a_listing_tells_names_that_resolve),
		test(a_long_listing_comes_in_pages),
		test(the_file_is_read_again_only_when_it_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
