/* covers: TAG-4, TAG-5, UPL-6, UPL-7, T-14, T-15, BLB-5, REF-13, RFR-10, AUTH-12 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/links.h"

static void next_link_is_found_by_its_relation(void **state)
{
	static const struct {
		const char *header, *target, *why;
	} rows[] = {
		{"</v2/a/tags/list?last=b&n=2>; rel=\"next\"", "/v2/a/tags/list?last=b&n=2", "distribution"},
		{"</v2/a>;rel=next", "/v2/a", "without quotes"},
		{"</v2/p>; rel=\"prev\" , </v2/n>; rel=\"next\"", "/v2/n", "Harbor sends both (RFR-10)"},
		{"</v2/n>; title=\"a, <b>; c\"; rel=\"next\"", "/v2/n", "other parameters, quoted"},
		{"</v2/n>; REL=\"Next\"", "/v2/n", "case"},
		{"</v2/n>; rel=\"last next\"", "/v2/n", "several relations"},
		{"</v2/n> ; rel = \"next\"", "/v2/n", "blanks"},
		{"</v2/n>; x; rel=next", "/v2/n", "a parameter without a value"},
		{"</v2/p>; rel=\"prev\"", NULL, "no next"},
		{"</v2/p>; rel=\"nextish\"", NULL, "another word"},
		{"</v2/p>", NULL, "no relation"},
		{"</v2/p; rel=\"next\"", NULL, "unfinished"},
		{"<>; rel=\"next\"", "", "empty: where it leads is judged later"},
		{"", NULL, "nothing"},
		{"rel=\"next\"", NULL, "no target"},
		{"</v2/n>; rel=\"next", "/v2/n", "no closing quote"},
		{"</v2/n>;;;rel=next", "/v2/n", "empty parameters"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *target = links_next(rows[i].header);
		if (rows[i].target ? !str_is(target, rows[i].target) : target != NULL)
			fail_msg("%s: %s", rows[i].why, target);
	}
}

static void next_page_stays_at_the_registry(void **state)
{
	static const char from[] = "https://r.test:5000/v2/a/tags/list?n=1000";
	static const struct {
		const char *target, *url, *why;
	} rows[] = {
		{"/v2/a/tags/list?last=b", "https://r.test:5000/v2/a/tags/list?last=b", "absolute path"},
		{"list?last=b", "https://r.test:5000/v2/a/tags/list?last=b", "relative path"},
		{"?last=b", "https://r.test:5000/v2/a/tags/list?last=b", "query alone"},
		{"http://r.test:5000/v2/a/tags/list?last=b", "https://r.test:5000/v2/a/tags/list?last=b",
			"a proxy's wrong scheme (TAG-5)"},
		{"https://internal:8080/v2/a/tags/list?last=b", "https://r.test:5000/v2/a/tags/list?last=b",
			"a proxy's wrong host: ours all the same"},
		{"//evil/x", NULL, "another host and path"},
		{"https://evil/v2x/", NULL, "not below /v2/"},
		{"/v2/../admin", NULL, "out by dots"},
		{"file:///etc/passwd", NULL, "another scheme"},
		{"https://r.test:5000@evil/v2/a", NULL, "userinfo"},
		{"", NULL, "empty"},
		{"/token", NULL, "another path"},
		{"/v2/a b", NULL, "a blank"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *url = NULL;
		struct error err = {.kind = ERR_NONE};
		bool ok = links_page(from, rows[i].target, &url, &err);
		if (ok != (rows[i].url != NULL) || (ok && !str_is(url, rows[i].url)))
			fail_msg("%s: %s", rows[i].why, url);
		if (!ok)
			assert_true(err.kind == ERR_PROTOCOL || err.kind == ERR_REFUSED);
	}
}

static void upload_goes_to_the_registry_or_nowhere(void **state)
{
	static const char from[] = "https://r.test:5000/v2/a/blobs/uploads/";
	static const struct {
		const char *location, *url;
		enum error_kind kind;
		const char *why;
	} rows[] = {
		{"https://r.test:5000/v2/a/blobs/uploads/u?_state=aB%2f-_==",
			"https://r.test:5000/v2/a/blobs/uploads/u?_state=aB%2f-_==", ERR_NONE,
			"absolute; the query as it is (UPL-6)"},
		{"/v2/a/blobs/uploads/u?b=1&a=2", "https://r.test:5000/v2/a/blobs/uploads/u?b=1&a=2", ERR_NONE, "path"},
		{"u?x", "https://r.test:5000/v2/a/blobs/uploads/u?x", ERR_NONE, "relative"},
		{"//r.test:5000/u", "https://r.test:5000/u", ERR_NONE, "without scheme"},
		{"r.test:5000/v2/u", "https://r.test:5000/v2/u", ERR_NONE, "host/path, as some write it"},
		{"http://r.test:5000/u", "https://r.test:5000/u", ERR_NONE, "behind a TLS proxy (UPL-7)"},
		{"http://r.test/u", "https://r.test:5000/u", ERR_NONE, "and without the port"},
		{"https://R.TEST:5000/u", "https://r.test:5000/u", ERR_NONE, "case of the host"},
		{"https://evil.test/u", NULL, ERR_REFUSED, "another host (T-14)"},
		{"https://r.test.evil/u", NULL, ERR_REFUSED, "a look-alike"},
		{"https://sub.r.test/u", NULL, ERR_REFUSED, "a sub-domain"},
		{"http://169.254.169.254/u", NULL, ERR_REFUSED, "metadata"},
		{"https://r.test:5000@evil/u", NULL, ERR_REFUSED, "userinfo"},
		{"ftp://r.test/u", NULL, ERR_REFUSED, "another scheme"},
		{"", NULL, ERR_PROTOCOL, "empty"},
		{"/u\x01", NULL, ERR_PROTOCOL, "control bytes"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *url = NULL;
		struct error err = {.kind = ERR_NONE};
		bool ok = links_upload(from, rows[i].location, NULL, 0, &url, &err);
		if (ok != (rows[i].url != NULL) || (ok && !str_is(url, rows[i].url)) || err.kind != rows[i].kind)
			fail_msg("%s: %s", rows[i].why, url ? url : err.text);
	}
}

static void query_is_added_to_what_is_there(void **state)
{
	static const struct {
		const char *url, *want;
	} rows[] = {
		{"https://r/u", "https://r/u?digest=x"},
		{"https://r/u?", "https://r/u?digest=x"},
		{"https://r/u?_state=a%3D", "https://r/u?_state=a%3D&digest=x"},
		{"https://r/u?a=1&", "https://r/u?a=1&digest=x"},
		{"https://r/u?a=1#f", "https://r/u?a=1&digest=x"},
		{"https://r/u#f?", "https://r/u?digest=x"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *url = links_add_query(rows[i].url, "digest=x");
		assert_string_equal(url, rows[i].want);
	}
	auto_free char *encoded = links_encode("sha256:a/b c+\xc3\xa4~-._Z9");
	assert_string_equal(encoded, "sha256%3Aa%2Fb%20c%2B%C3%A4~-._Z9");
}

static void content_range_is_read_strictly(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t first, last, total;
	} rows[] = {
		{"bytes 5-9/10", true, 5, 9, 10},
		{"bytes 5-9/*", true, 5, 9, -1},
		{"bytes 0-0/1", true, 0, 0, 1},
		{"bytes 5-9", false, 0, 0, 0},
		{"bytes */10", false, 0, 0, 0},
		{"bytes -5-9/10", false, 0, 0, 0},
		{"5-9/10", false, 0, 0, 0},
		{"bytes 5-9/10x", false, 0, 0, 0},
		{"bytes 5-99999999999999999999/10", false, 0, 0, 0},
		{"", false, 0, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int64_t first = 0, last = 0, total = 0;
		assert_int_equal(links_content_range(rows[i].text, &first, &last, &total), rows[i].ok);
		if (rows[i].ok && (first != rows[i].first || last != rows[i].last || total != rows[i].total))
			fail_msg("%s", rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_link_is_found_by_its_relation),
		cmocka_unit_test(next_page_stays_at_the_registry),
		cmocka_unit_test(upload_goes_to_the_registry_or_nowhere),
		cmocka_unit_test(query_is_added_to_what_is_there),
		cmocka_unit_test(content_range_is_read_strictly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
