/* covers: TAG-1, TAG-2, TAG-3, TAG-4, TAG-5, TAG-6, TAG-7, TAG-8, TAG-9, TAG-10, TAG-11, TAG-12, MAN-3, T-15, T-33 */
#include "model.h"

#define FIRST "GET https://r.test/v2/a/b/tags/list?n=1000"
#define PING_ROW                                                                                                       \
	{                                                                                                              \
		"GET https://r.test/v2/", "", 200,                                                                     \
		{                                                                                                      \
			NULL                                                                                           \
		}                                                                                                      \
	}

/* The tags of all pages, joined by blanks, pages by bars; what went wrong in brackets. */
static void assert_tags(struct model *model)
{
	char text[512] = "";
	struct listing *pages = registry_tags(model->registry, "a/b");
	struct error err = {.kind = ERR_NONE};
	char **tags;
	size_t count = 1, used = 0;
	while (count > 0 && err.kind == ERR_NONE) {
		if (!listing_next(pages, &tags, &count, &err))
			break;
		for (size_t i = 0; i < count; i++)
			used += (size_t)snprintf(
				text + used, sizeof text - used, "%s%s", tags[i], i + 1 < count ? " " : "|");
	}
	if (err.kind != ERR_NONE)
		snprintf(text + used, sizeof text - used, "[%s]", error_kind_name(err.kind));
	listing_free(pages);
	if (!str_is(text, model->data))
		fail_msg("%s, and not %s (%s)", text, (char *)model->data, err.text);
}

static void one_page(const char *body, char *want)
{
	const struct row rows[] = {
		PING_ROW,
		{FIRST, "Accept: application/json\n", 200, {NULL}, body},
	};
	PLAY(assert_tags, NULL, rows, want);
}

static void page_is_read_whatever_is_in_it(void **state)
{
	static const struct {
		const char *body;
		char *want;
	} rows[] = {
		{"{\"name\":\"a/b\",\"tags\":[\"2\",\"1\"]}", "1 2|"},
		{"{\"tags\":[\"b\",\"a\",\"b\",\"a\"],\"manifest\":{}}", "a b|"},
		{"{\"tags\":null}", ""},
		{"{\"tags\":[]}", ""},
		{"{}", ""},
		{"{\"tags\":[null,\"\",7,\"ok\",\"../x\",\"a/b\",\"-x\",\"sha256:aa\",\"a b\"]}", "ok|"},
		{"{\"tags\":\"x\"}", "[protocol]"},
		{"[]", "[protocol]"},
		{"<html>", "[protocol]"},
		{"", "[protocol]"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		one_page(rows[i].body, rows[i].want);
}

static void unknown_repository_is_not_an_empty_one(void **state)
{
	static const struct row rows[] = {
		PING_ROW,
		{FIRST, NULL, 404, {NULL}, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}"},
	};
	(void)state;
	PLAY(assert_tags, NULL, rows, "[not_found]");
}

static void pages_are_followed_at_our_own_origin(void **state)
{
	static const struct row rows[] = {
		PING_ROW,
		{FIRST, NULL, 200, {"Link: </v2/a/b/tags/list?last=b&n=2>; rel=\"next\""}, "{\"tags\":[\"a\",\"b\"]}"},
		{"GET https://r.test/v2/a/b/tags/list?last=b&n=2", NULL, 200,
			{"Link: <http://inside:80/v2/a/b/tags/list?last=d>; rel=next"}, "{\"tags\":[\"d\",\"c\"]}"},
		{"GET https://r.test/v2/a/b/tags/list?last=d", NULL, 200,
			{"Link: </v2/>; rel=first", "Link: </v2/a/b/tags/list?last=e>; rel=next"},
			"{\"tags\":[\"..\"]}"},
		{"GET https://r.test/v2/a/b/tags/list?last=e", NULL, 200, {NULL}, "{\"tags\":[\"f\"]}"},
	};
	(void)state;
	PLAY(assert_tags, NULL, rows, "a b|c d|f|");
}

static void link_that_leads_out_ends_the_listing_with_an_error(void **state)
{
	static const struct {
		const char *link;
		char *want;
	} cases[] = {
		{"Link: </admin>; rel=next", "[refused]"},
		{"Link: <//evil/x>; rel=next", "[refused]"},
		{"Link: <file:///etc/passwd>; rel=next", "[refused]"},
		{"Link: <>; rel=next", "[protocol]"},
		{"Link: <https://evil/>; rel=next", "[refused]"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		const struct row rows[] = {PING_ROW, {FIRST, NULL, 200, {cases[i].link}, "{\"tags\":[\"a\"]}"}};
		PLAY(assert_tags, NULL, rows, cases[i].want);
	}
}

#define NEXT(url) "Link: <" url ">; rel=\"next\""
#define LIST      "GET https://r.test/v2/a/b/tags/list"

/* Artifactory leaves out the repository's key, Nexus puts a prefix in front that its own port does not know. */
static void link_to_a_wrong_path_is_repaired_by_its_query(void **state)
{
	static const struct row dropped[] = {
		PING_ROW,
		{FIRST, NULL, 200, {NEXT("/v2/b/b/tags/list?last=b&n=2&x=%2f")}, "{\"tags\":[\"a\",\"b\"]}"},
		{"GET https://r.test/v2/b/b/tags/list?last=b&n=2&x=%2f", NULL, 404, {NULL}, "no"},
		{LIST "?last=b&n=2&x=%2f", NULL, 200, {NULL}, "{\"tags\":[\"c\"]}"},
	};
	static const struct row prefixed[] = {
		PING_ROW,
		{FIRST, NULL, 200, {NEXT("/repository/x/v2/a/b/tags/list?last=b")}, "{\"tags\":[\"a\",\"b\"]}"},
		{LIST "?last=b", NULL, 200, {NULL}, "{\"tags\":[\"c\"]}"},
	};
	(void)state;
	PLAY(assert_tags, NULL, dropped, "a b|c|");
	PLAY(assert_tags, NULL, prefixed, "a b|c|");
}

static void link_that_leads_to_nothing_is_replaced_by_the_last_tag(void **state)
{
	static const int statuses[] = {400, 404, 405};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row rows[] = {
			PING_ROW,
			{FIRST, NULL, 200, {NEXT("/v2/b/tags/list?next_page=t")}, "{\"tags\":[\"b\",\"a\"]}"},
			{"GET https://r.test/v2/b/tags/list?next_page=t", NULL, statuses[i], {NULL}, "no"},
			{LIST "?n=1000&next_page=t", NULL, statuses[i], {NULL}, "no"},
			{LIST "?n=1000&last=a", NULL, 200, {NULL}, "{\"tags\":[\"c\"]}"},
		};
		PLAY(assert_tags, NULL, rows, "a b|c|");
	}
}

/* What is left out is never taken for deleted: the listing fails. */
static void listing_that_cannot_go_on_is_an_error(void **state)
{
	static const struct row rows[] = {
		PING_ROW,
		{FIRST, NULL, 200, {NEXT("/v2/b/tags/list?p=2")}, "{\"tags\":[\"a\"]}"},
		{"GET https://r.test/v2/b/tags/list?p=2", NULL, 405, {NULL}, "no"},
		{LIST "?n=1000&p=2", NULL, 405, {NULL}, "no"},
		{LIST "?n=1000&last=a", NULL, 405, {NULL}, "no"},
	};
	(void)state;
	PLAY(assert_tags, NULL, rows, "a|[unsupported]");
}

/* The tag that `last` names was deleted meanwhile; what was given is not given again. */
static void listing_begins_again_once_when_its_cursor_is_gone(void **state)
{
	static const int statuses[] = {400, 404};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row again[] = {
			PING_ROW,
			{FIRST, NULL, 200, {NEXT("/v2/a/b/tags/list?n=1000&last=b")}, "{\"tags\":[\"a\",\"b\"]}"},
			{LIST "?n=1000&last=b", NULL, 200, {NEXT("/v2/a/b/tags/list?n=1000&last=c")},
				"{\"tags\":[\"c\"]}"},
			{LIST "?n=1000&last=c", NULL, statuses[i], {NULL}, "no"},
			{FIRST, NULL, 200, {NEXT("/v2/a/b/tags/list?n=1000&last=a")}, "{\"tags\":[\"a\"]}"},
			{LIST "?n=1000&last=a", NULL, 200, {NEXT("/v2/a/b/tags/list?n=1000&last=b")},
				"{\"tags\":[\"b\"]}"},
			{LIST "?n=1000&last=b", NULL, 200, {NULL}, "{\"tags\":[\"d\"]}"},
		};
		PLAY(assert_tags, NULL, again, "a b|c|d|");
		const struct row twice[] = {
			PING_ROW,
			{FIRST, NULL, 200, {NEXT("/v2/a/b/tags/list?n=1000&last=b")}, "{\"tags\":[\"a\",\"b\"]}"},
			{LIST "?n=1000&last=b", NULL, statuses[i], {NULL}, "no"},
			{FIRST, NULL, 200, {NEXT("/v2/a/b/tags/list?n=1000&last=b")}, "{\"tags\":[\"a\",\"b\"]}"},
			{LIST "?n=1000&last=b", NULL, statuses[i], {NULL}, "no"},
		};
		PLAY(assert_tags, NULL, twice, statuses[i] == 400 ? "a b|[denied]" : "a b|[not_found]");
	}
}

static void page_for_humans_is_no_list(void **state)
{
	static const struct row rows[] = {
		PING_ROW,
		{FIRST, NULL, 200, {"Content-Type: text/HTML; charset=utf-8"}, "{\"tags\":[\"a\"]}"},
	};
	(void)state;
	PLAY(assert_tags, NULL, rows, "[protocol]"); /* covers: ERR-13 */
}

static void listing_in_a_circle_ends(void **state)
{
#define PAGE(from, to)                                                                                                 \
	{                                                                                                              \
		"GET https://r.test/v2/a/b/tags/list?p=" from, NULL, 200,                                              \
			{"Link: </v2/a/b/tags/list?p=" to ">; rel=next"}, "{\"tags\":[\"" from "\"]}"                  \
	}
#define START                                                                                                          \
	{                                                                                                              \
		FIRST, NULL, 200, {"Link: </v2/a/b/tags/list?p=1>; rel=next"}, "{\"tags\":[\"0\"]}"                    \
	}
	static const struct row itself[] = {PING_ROW, START, PAGE("1", "1")};
	static const struct row two[] = {PING_ROW, START, PAGE("1", "2"), PAGE("2", "1"), PAGE("1", "2")};
	static const struct row three[] = {
		PING_ROW, START, PAGE("1", "2"), PAGE("2", "3"), PAGE("3", "1"), PAGE("1", "2")};
	static const struct row late[] = {PING_ROW, START, PAGE("1", "2"), PAGE("2", "3"), PAGE("3", "3")};
	(void)state;
	PLAY(assert_tags, NULL, late, "0|1|2|[protocol]");
	PLAY(assert_tags, NULL, itself, "0|[protocol]");
	PLAY(assert_tags, NULL, two, "0|1|2|[protocol]");
	PLAY(assert_tags, NULL, three, "0|1|2|3|[protocol]");
}

static void empty_page_with_a_next_one_is_an_error(void **state)
{
	static const struct row rows[] = {
		PING_ROW, {FIRST, NULL, 200, {"Link: </v2/a/b/tags/list?p=1>; rel=next"}, "{\"tags\":[]}"}};
	(void)state;
	PLAY(assert_tags, NULL, rows, "[protocol]");
}

static void failure_on_a_later_page_is_one_of_the_listing(void **state)
{
	static const struct row rows[] = {
		PING_ROW,
		START,
		{"GET https://r.test/v2/a/b/tags/list?p=1", NULL, 403, {NULL}, "no"},
	};
	(void)state;
	PLAY(assert_tags, NULL, rows, "0|[denied]");
}

static void page_size_that_is_refused_is_left_out(void **state)
{
	static const int statuses[] = {400, 405};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row rows[] = {
			PING_ROW,
			{FIRST, NULL, statuses[i], {NULL}, "no"},
			{"GET https://r.test/v2/a/b/tags/list", NULL, 200, {NULL}, "{\"tags\":[\"a\"]}"},
		};
		PLAY(assert_tags, NULL, rows, "a|");
	}
}

/* {"tags":["t00","t01",...]} from @from on. */
static char *page_of(int from, int count)
{
	char *body = memory_text("{\"tags\":[");
	for (int i = from; i < from + count; i++) {
		char *longer = memory_format("%s%s\"t%03d\"", body, i > from ? "," : "", i);
		free(body);
		body = longer;
	}
	char *whole = memory_format("%s]}", body);
	free(body);
	return whole;
}

static void count_tags(struct model *model)
{
	struct listing *pages = registry_tags(model->registry, "a/b");
	struct error err;
	char **tags;
	size_t count, all = 0;
	do {
		if (!listing_next(pages, &tags, &count, &err))
			fail_msg("%s", err.text);
		all += count;
	} while (count > 0);
	listing_free(pages);
	assert_int_equal(all, *(size_t *)model->data);
}

static void full_page_without_a_link_may_not_be_the_last(void **state)
{
	auto_free char *first = page_of(0, 100), *second = page_of(100, 3);
	size_t want = 103;
	const struct row rows[] = {
		PING_ROW,
		{FIRST, NULL, 200, {NULL}, first},
		{"GET https://r.test/v2/a/b/tags/list?n=100&last=t099", NULL, 200, {NULL}, second},
	};
	(void)state;
	PLAY(count_tags, NULL, rows, &want);
}

static void server_that_sends_the_same_page_again_has_no_more(void **state)
{
	auto_free char *first = page_of(0, 100);
	size_t want = 100;
	const struct row rows[] = {
		PING_ROW,
		{FIRST, NULL, 200, {NULL}, first},
		{"GET https://r.test/v2/a/b/tags/list?n=100&last=t099", NULL, 200, {NULL}, first},
	};
	(void)state;
	PLAY(count_tags, NULL, rows, &want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_is_read_whatever_is_in_it),
		cmocka_unit_test(unknown_repository_is_not_an_empty_one),
		cmocka_unit_test(pages_are_followed_at_our_own_origin),
		cmocka_unit_test(link_that_leads_out_ends_the_listing_with_an_error),
		cmocka_unit_test(listing_in_a_circle_ends),
		cmocka_unit_test(empty_page_with_a_next_one_is_an_error),
		cmocka_unit_test(failure_on_a_later_page_is_one_of_the_listing),
		cmocka_unit_test(link_to_a_wrong_path_is_repaired_by_its_query),
		cmocka_unit_test(link_that_leads_to_nothing_is_replaced_by_the_last_tag),
		cmocka_unit_test(listing_that_cannot_go_on_is_an_error),
		cmocka_unit_test(listing_begins_again_once_when_its_cursor_is_gone),
		cmocka_unit_test(page_for_humans_is_no_list),
		cmocka_unit_test(page_size_that_is_refused_is_left_out),
		cmocka_unit_test(full_page_without_a_link_may_not_be_the_last),
		cmocka_unit_test(server_that_sends_the_same_page_again_has_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
