#include "sync/mirror/blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { ENDPOINTS = 3, REPOSITORIES = 400 };

/* What is never looked into, but has an address. */
static struct endpoint *endpoint(size_t number)
{
	static char places[ENDPOINTS];
	return (struct endpoint *)(void *)&places[number];
}

static const struct holder *first_of(const struct blob *blob, const struct endpoint *wanted)
{
	for (size_t i = 0; i < blob->holder_count; i++)
		if (blob->holders[i].endpoint == wanted)
			return &blob->holders[i];
	return NULL;
}

/* covers: P6 */
static void the_places_of_a_blob_are_bounded_and_each_endpoint_keeps_one(void **state)
{
	struct run run = {.blobs = blob_table_new()};
	struct digest digest = digest_of(DIGEST_SHA256, "", 0);
	struct blob *blob = blob_use(&run, &digest);
	(void)state;
	for (int r = 0; r < REPOSITORIES; r++)
		for (size_t e = 0; e < ENDPOINTS; e++) {
			char name[24];
			snprintf(name, sizeof name, "repository/%d", r);
			blob_add_holder(blob, endpoint(e), name);
			assert_in_range(blob->holder_count, 1, HOLDERS_PER_BLOB);
			blob_find_holder(blob, endpoint(e), name)->present = true;
		}
	for (size_t e = 0; e < ENDPOINTS; e++)
		assert_non_null(first_of(blob, endpoint(e)));
	blob_leave(&run, blob);
	blob_table_free(run.blobs);
}

static void a_place_that_is_being_decided_is_never_forgotten(void **state)
{
	struct run run = {.blobs = blob_table_new()};
	struct digest digest = digest_of(DIGEST_SHA256, "", 0);
	struct blob *blob = blob_use(&run, &digest);
	(void)state;
	for (int r = 0; r < HOLDERS_PER_BLOB * 2; r++) {
		char name[24];
		snprintf(name, sizeof name, "repository/%d", r);
		blob_add_holder(blob, endpoint(0), name);
	}
	assert_int_equal(blob->holder_count, HOLDERS_PER_BLOB * 2);
	blob_leave(&run, blob);
	blob_table_free(run.blobs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_places_of_a_blob_are_bounded_and_each_endpoint_keeps_one),
		cmocka_unit_test(a_place_that_is_being_decided_is_never_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
