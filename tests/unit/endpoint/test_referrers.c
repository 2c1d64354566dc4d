/* covers: RFR-7, RFR-8, RFR-18, LAY-6 */
#include "support.h"

#define REPOSITORY "r.io/app"

/* A manifest that refers to @subject: like an image of @number, with the image's blobs. */
static struct part signature_make(unsigned number, const struct digest *subject)
{
	struct part part = {0};
	struct image image = image_make(number);
	snprintf(part.bytes, sizeof part.bytes,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"artifactType\":\"application/x.sig\",\"config\":{"
		"\"mediaType\":\"application/x\",\"digest\":\"%s\",\"size\":%jd},\"layers\":[],\"subject\":{"
		"\"mediaType\":\"m\",\"digest\":\"%s\",\"size\":1},\"annotations\":{\"number\":\"%u\"}}",
		MEDIA_OCI_MANIFEST, image.config.descriptor.digest.text, (intmax_t)image.config.descriptor.size,
		subject->text, number);
	part_set(&part, MEDIA_OCI_MANIFEST);
	return part;
}

static size_t count_of(struct endpoint *endpoint, const struct digest *subject, const struct digest *among)
{
	auto_referrer_list struct referrer_list list = {0};
	struct error err = {0};
	if (!endpoint_referrers(endpoint, REPOSITORY, subject, true, &list, &err))
		fail_msg("%s", err.text);
	assert_true(!among || referrer_list_has(&list, among));
	return list.count;
}

static void put_signature(struct endpoint *endpoint, const char *tag, const struct part *signature)
{
	struct error err = {0};
	if (!endpoint_manifest_put(endpoint, REPOSITORY, tag, &signature->descriptor, signature->bytes, &err))
		fail_msg("%s", err.text);
}

struct noted {
	struct endpoint *endpoint;
	const struct digest *subject;
	struct part signature;
};

static void note_task(void *argument)
{
	struct noted *noted = argument;
	struct referrer referrer = {&noted->signature.descriptor, noted->signature.bytes};
	struct error err = {0};
	if (!endpoint_referrers_note(noted->endpoint, REPOSITORY, noted->subject, &referrer, 1, &err))
		fail_msg("%s", err.text);
}

enum { WRITERS = 6 };

/* All at once, and each reads the list and writes it, with waits in between. */
static void note_many(void *argument)
{
	struct image image = image_make(1);
	struct noted noted[WRITERS];
	struct group group;
	struct endpoint *target = open_target(false);
	(void)argument;
	group_init(&group, WRITERS);
	for (unsigned i = 0; i < WRITERS; i++) {
		noted[i] = (struct noted){target, &image.manifest.descriptor.digest,
			signature_make(i, &image.manifest.descriptor.digest)};
		put_signature(target, NULL, &noted[i].signature);
		assert_true(group_spawn(&group, note_task, &noted[i], NULL));
	}
	group_wait(&group);
	assert_int_equal(count_of(target, noted[0].subject, &noted[0].signature.descriptor.digest), WRITERS);
	assert_true(endpoint_flush(target, NULL));
	endpoint_free(target);
	auto_free char *text = index_text(), *tag = referrer_tag(&image.manifest.descriptor.digest, false);
	auto_free char *name = memory_format("\"org.opencontainers.image.ref.name\":\"" REPOSITORY ":%s\"", tag);
	assert_non_null(strstr(text, name));
	assert_int_equal(index_count(), 1);
	/* Another run adds to the same list, and a reader finds all of it behind the one name. */
	target = open_target(false);
	struct noted more = {target, noted[0].subject, signature_make(90, noted[0].subject)};
	put_signature(target, NULL, &more.signature);
	note_task(&more);
	endpoint_free(target);
	assert_int_equal(index_count(), 1);
	struct endpoint *source = open_source();
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(count_of(source, more.subject, &noted[i].signature.descriptor.digest), WRITERS + 1);
	endpoint_free(source);
}

static void referrers_are_noted_in_a_list_that_loses_none(void **state)
{
	(void)state;
	in_loop(note_many, NULL);
}

/* As others write them: an entry without a name, and the child of an index. */
static void search_all(void *argument)
{
	struct image image = image_make(1);
	const struct digest *subject = &image.manifest.descriptor.digest;
	struct part plain = signature_make(2, subject), child = signature_make(3, subject);
	struct part other = signature_make(4, &plain.descriptor.digest), index = {0}, odd = {0};
	struct endpoint *target = open_target(false);
	(void)argument;
	snprintf(index.bytes, sizeof index.bytes,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
		"\"size\":%jd}]}",
		MEDIA_OCI_INDEX, MEDIA_OCI_MANIFEST, child.descriptor.digest.text, (intmax_t)child.descriptor.size);
	part_set(&index, MEDIA_OCI_INDEX);
	snprintf(odd.bytes, sizeof odd.bytes, "no manifest");
	part_set(&odd, MEDIA_OCI_MANIFEST);
	put_signature(target, plain.descriptor.digest.text, &plain);
	put_signature(target, other.descriptor.digest.text, &other);
	put_signature(target, NULL, &child);
	put_signature(target, "1", &index);
	put_signature(target, "odd", &odd);
	endpoint_free(target);
	struct endpoint *source = open_source();
	assert_int_equal(count_of(source, subject, &plain.descriptor.digest), 2);
	assert_int_equal(count_of(source, subject, &child.descriptor.digest), 2);
	assert_int_equal(count_of(source, &plain.descriptor.digest, &other.descriptor.digest), 1);
	assert_int_equal(count_of(source, &child.descriptor.digest, NULL), 0);
	/* What comes while it is open is found, too. */
	struct part late = signature_make(5, subject);
	target = open_target(false);
	put_signature(target, late.descriptor.digest.text, &late);
	endpoint_free(target);
	assert_int_equal(count_of(source, subject, &late.descriptor.digest), 3);
	endpoint_free(source);
}

static void referrers_are_found_however_they_are_written(void **state)
{
	(void)state;
	in_loop(search_all, NULL);
}

static void refuse_to_write(void *argument)
{
	struct image image = image_make(1);
	struct error err = {0};
	struct noted noted = {open_target(false), &image.manifest.descriptor.digest,
		signature_make(2, &image.manifest.descriptor.digest)};
	struct referrer referrer = {&noted.signature.descriptor, noted.signature.bytes};
	auto_free char *tag = referrer_tag(noted.subject, false);
	(void)argument;
	put_signature(noted.endpoint, tag, &noted.signature);
	assert_false(endpoint_referrers_note(noted.endpoint, REPOSITORY, noted.subject, &referrer, 1, &err));
	assert_int_equal(err.kind, ERR_INVALID);
	endpoint_free(noted.endpoint);
}

static void name_that_is_no_list_is_left_as_it_is(void **state)
{
	(void)state;
	in_loop(refuse_to_write, NULL);
}

static void ask_for_manifests(void *argument)
{
	struct image image = image_make(1), other = image_make(2);
	struct endpoint *target = open_target(false);
	struct error err = {0};
	bool present = true;
	(void)argument;
	assert_true(endpoint_manifest_present(target, "", &other.manifest.descriptor.digest, &present, &err));
	assert_false(present);
	assert_true(put_image(target, REPOSITORY, "1", &image, &err)); /* by a tag, and asked for by digest */
	assert_true(endpoint_manifest_present(target, "", &image.manifest.descriptor.digest, &present, &err));
	assert_true(present);
	endpoint_free(target);
}

static void manifest_is_present_whatever_its_name(void **state)
{
	(void)state;
	in_loop(ask_for_manifests, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(referrers_are_noted_in_a_list_that_loses_none),
		TEST(referrers_are_found_however_they_are_written),
		TEST(name_that_is_no_list_is_left_as_it_is),
		TEST(manifest_is_present_whatever_its_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
