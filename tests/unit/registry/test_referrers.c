/* covers: RFR-1, RFR-2, RFR-4, RFR-5, RFR-6, RFR-7, RFR-8, RFR-9, RFR-10, RFR-11 */
#include "model.h"

#define A64           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64           "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C64           "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define SUBJECT       "sha256:" A64
#define API           "GET https://r.test/v2/a/b/referrers/" SUBJECT
#define TAG           "https://r.test/v2/a/b/manifests/sha256-" A64
#define TYPE          "Content-Type: " MEDIA_OCI_INDEX
#define LIST(entries) "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[" entries "]}"
#define ENTRY(hex)    "{\"mediaType\":\"m\",\"digest\":\"sha256:" hex "\",\"size\":5}"
#define PING                                                                                                           \
	{                                                                                                              \
		"GET https://r.test/v2/", NULL, 200,                                                                   \
		{                                                                                                      \
			NULL                                                                                           \
		}                                                                                                      \
	}

/* --- asking ------------------------------------------------------------------------------------------------------- */

struct question {
	const char *subject;
	bool with_tags;
	int times;          /* it is asked so often */
	const char *listed; /* the first letters of what is listed, or the name of the error's kind, of the last time */
	const char *odd_tag;
};

static void ask_once(struct model *model, const struct question *question, char *said)
{
	struct digest subject;
	struct error err = {.kind = ERR_NONE};
	auto_referrer_list struct referrer_list list = {0};
	assert_true(digest_parse(question->subject ? question->subject : SUBJECT, &subject, NULL));
	if (!registry_referrers(model->registry, "a/b", &subject, question->with_tags, &list, &err)) {
		snprintf(said, 64, "%s", error_kind_name(err.kind));
		return;
	}
	for (size_t i = 0; i < list.count; i++)
		said[i] = digest_encoded(&list.items[i].digest)[0];
	said[list.count] = '\0';
	if (question->odd_tag && !str_is(question->odd_tag, list.odd_tag))
		fail_msg("odd tag: %s", list.odd_tag);
}

static void ask(struct model *model)
{
	const struct question *question = model->data;
	char said[64] = "";
	for (int i = 0; i < question->times; i++)
		ask_once(model, question, said);
	if (!str_is(said, question->listed))
		fail_msg("listed: %s, and not %s", said, question->listed);
}

static void pages_are_read_to_the_end_whatever_stands_beside_the_link(void **state)
{
	static const struct row rows[] = {
		PING,
		{API, "Accept: " MEDIA_OCI_INDEX "\n", 200,
			{TYPE "; charset=utf-8",
				"Link: </v2/a/b/referrers/" SUBJECT ">; rel=\"prev\", </v2/a/b/referrers/" SUBJECT
				"?from=1>; rel=\"next\""},
			LIST(ENTRY(A64))},
		{API "?from=1", NULL, 200, {TYPE, "Link: </v2/a/b/referrers/" SUBJECT ">; rel=\"prev\""},
			LIST(ENTRY(A64) "," ENTRY(B64))},
	};
	struct question question = {.times = 1, .listed = "ab"};
	(void)state;
	PLAY(ask, NULL, rows, &question);
}

/* RFR-1, RFR-2: what the first reply says of the API: asked again, or not. */
static void api_is_known_by_its_first_reply(void **state)
{
	static const struct {
		const char *why;
		int status;
		const char *header, *body;
		bool asked_again;
		char *listed;
	} rows[] = {
		{"an index", 200, TYPE, LIST(ENTRY(B64)), true, "b"},
		{"an empty one", 200, TYPE, LIST(""), true, ""},
		{"null", 200, TYPE, "{\"schemaVersion\":2,\"manifests\":null}", true, ""},
		{"registry:2", 404, "Content-Type: text/plain", "404 page not found", false, ""},
		{"no method", 405, NULL, "", false, ""},
		{"no route", 400, NULL, "", false, ""},
		{"no type", 406, NULL, "", false, ""},
		{"not built", 501, NULL, "", false, ""},
		{"a portal", 200, "Content-Type: text/html", "<html>", false, ""},
		{"JSON of another type", 200, "Content-Type: application/json", LIST(""), false, ""},
		{"no JSON", 200, TYPE, "<html>", false, ""},
		{"no index", 200, TYPE, "{\"errors\":[]}", false, ""},
		{"GHCR", 303, "Location: https://github.test/v2/a/b/referrers/x", "", false, ""},
		{"another origin", 307, "Location: http://r.test/v2/a/b/referrers/x", "", false, ""},
		{"no such repository", 404, NULL, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}", true, ""},
		{"no such subject", 404, NULL, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}", true, ""},
		{"Quay", 400, NULL, "{\"errors\":[{\"code\":\"MANIFEST_INVALID\"}]}", true, ""},
		{"not for us", 403, NULL, "{\"errors\":[{\"code\":\"DENIED\"}]}", true, ""},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct question question = {.times = 2, .listed = rows[i].listed};
		const struct row once[] = {PING, {API, NULL, rows[i].status, {rows[i].header}, rows[i].body}};
		const struct row twice[] = {once[0], once[1], once[1]};
		if (rows[i].asked_again)
			PLAY(ask, NULL, twice, &question);
		else
			PLAY(ask, NULL, once, &question);
	}
}

/* ECR grants it for each repository: what is refused in one says nothing of the next. */
static void refusal_is_no_word_about_other_repositories(void **state)
{
	static const struct row rows[] = {
		PING,
		{API, NULL, 403, {NULL}, "{\"errors\":[{\"code\":\"DENIED\"}]}"},
		{API, NULL, 200, {TYPE}, LIST(ENTRY(B64))},
	};
	struct question question = {.times = 2, .listed = "b"};
	(void)state;
	PLAY(ask, NULL, rows, &question);
}

static void api_that_has_shown_itself_is_not_doubted(void **state)
{
	static const struct row empty[] = {
		PING,
		{API, NULL, 200, {TYPE}, LIST(ENTRY(B64))},
		{API, NULL, 404, {NULL}, ""},
	};
	static const struct row portal[] = {
		PING,
		{API, NULL, 200, {TYPE}, LIST(ENTRY(B64))},
		{API, NULL, 200, {"Content-Type: text/html"}, "<html>"},
	};
	struct question question = {.times = 2, .listed = ""};
	(void)state;
	PLAY(ask, NULL, empty, &question);
	question.listed = "protocol";
	PLAY(ask, NULL, portal, &question);
}

static void list_is_whole_or_an_error(void **state)
{
	static const struct row circle[] = {
		PING,
		{API, NULL, 200, {TYPE, "Link: </v2/a/b/referrers/" SUBJECT "?p=2>; rel=next"}, LIST(ENTRY(B64))},
		{API "?p=2", NULL, 200, {TYPE, "Link: </v2/a/b/referrers/" SUBJECT "?p=3>; rel=next"},
			LIST(ENTRY(B64))},
	};
	static const struct row broken[] = {
		PING,
		{API, NULL, 200, {TYPE, "Link: </v2/a/b/referrers/" SUBJECT "?p=2>; rel=next"}, LIST(ENTRY(B64))},
		{API "?p=2", NULL, 404, {NULL}, ""},
	};
	static const struct row elsewhere[] = {
		PING,
		{API, NULL, 200, {TYPE, "Link: <https://evil.test/steal>; rel=next"}, LIST(ENTRY(B64))},
	};
	struct question question = {.times = 1, .listed = "protocol"};
	(void)state;
	PLAY(ask, NULL, circle, &question);
	PLAY(ask, NULL, broken, &question);
	question.listed = "refused";
	PLAY(ask, NULL, elsewhere, &question);
}

/* RFR-9: a registry that got the API need not have taken over what the tag lists. */
static void api_and_tag_are_read_as_one(void **state)
{
	static const struct row both[] = {
		PING,
		{API, NULL, 200, {TYPE}, LIST(ENTRY(B64))},
		{"GET " TAG, NULL, 200, {TYPE}, LIST(ENTRY(B64) "," ENTRY(C64))},
	};
	static const struct row tag_alone[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 200, {TYPE}, LIST(ENTRY(C64))},
	};
	static const struct row tag_where_the_api_is_refused[] = {
		PING,
		{API, NULL, 403, {NULL}, ""},
		{"GET " TAG, NULL, 200, {TYPE}, LIST(ENTRY(C64))},
	};
	static const struct row forbidden_where_absent[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 403, {NULL}, ""},
	};
	static const struct row odd[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 200, {"Content-Type: " MEDIA_OCI_MANIFEST}, "{}"},
	};
	struct question question = {.with_tags = true, .times = 1, .listed = "bc"};
	(void)state;
	PLAY(ask, NULL, both, &question);
	question.listed = "c";
	PLAY(ask, NULL, tag_alone, &question);
	PLAY(ask, NULL, tag_where_the_api_is_refused, &question);
	question.listed = "";
	PLAY(ask, NULL, forbidden_where_absent, &question);
	question.odd_tag = "sha256-" A64;
	PLAY(ask, NULL, odd, &question);
}

/* RFR-5: the specification cuts a long digest, and other clients do not. */
static void both_forms_of_a_long_tag_are_read(void **state)
{
#define LONG "https://r.test/v2/a/b/manifests/sha512-" A64
	static const struct row rows[] = {
		PING,
		{"GET https://r.test/v2/a/b/referrers/sha512:" A64 B64, NULL, 404, {NULL}, ""},
		{"GET " LONG, NULL, 200, {TYPE}, LIST(ENTRY(B64))},
		{"GET " LONG B64, NULL, 200, {TYPE}, LIST(ENTRY(C64))},
	};
	static const struct row refused[] = {
		PING,
		{"GET https://r.test/v2/a/b/referrers/sha512:" A64 B64, NULL, 404, {NULL}, ""},
		{"GET " LONG, NULL, 404, {NULL}, ""},
		{"GET " LONG B64, NULL, 400, {NULL}, ""},
	};
	struct question question = {.subject = "sha512:" A64 B64, .with_tags = true, .times = 1, .listed = "bc"};
	(void)state;
	PLAY(ask, NULL, rows, &question);
	question.listed = "";
	PLAY(ask, NULL, refused, &question);
}

static void ask_too(void *argument)
{
	char said[64];
	struct model *model = argument;
	ask_once(model, model->data, said);
	assert_string_equal(said, "");
}

static void ask_by_four(struct model *model)
{
	struct group group;
	group_init(&group, 4);
	for (int i = 0; i < 4; i++)
		assert_true(group_spawn(&group, ask_too, model, NULL));
	group_wait(&group);
}

static void many_who_ask_at_once_find_out_once(void **state)
{
	static const struct row rows[] = {PING, {API, NULL, 404, {NULL}, ""}};
	struct question question = {.times = 1};
	(void)state;
	PLAY(ask_by_four, NULL, rows, &question);
}

/* --- noting ------------------------------------------------------------------------------------------------------- */

#define MINE                                                                                                           \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"config\":{\"mediaType\":\"application/x\","   \
	"\"digest\":\"" SUBJECT "\",\"size\":2},\"layers\":[]}"

static struct digest mine(void)
{
	return digest_of(DIGEST_SHA256, MINE, strlen(MINE));
}

static void note(struct model *model)
{
	struct digest subject;
	struct error err = {.kind = ERR_NONE};
	struct descriptor descriptor = {
		.media_type = (char[]){MEDIA_OCI_MANIFEST}, .digest = mine(), .size = (int64_t)strlen(MINE)};
	struct referrer referrer = {&descriptor, MINE};
	const char *text = strstr(model->data, "sha512:") ? model->data : SUBJECT;
	assert_true(digest_parse(text, &subject, NULL));
	bool ok = registry_referrers_note(model->registry, "a/b", &subject, &referrer, 1, &err);
	const char *wanted = text == model->data ? "done" : model->data;
	if (!str_is(ok ? "done" : error_kind_name(err.kind), wanted))
		fail_msg("%s, and not %s: %s", error_kind_name(err.kind), wanted, err.text);
}

/* {"mediaType":..,"digest":..,"size":..,"artifactType":..} of ours. New memory. */
static char *my_entry(void)
{
	struct digest digest = mine();
	return memory_format("{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,"
			     "\"artifactType\":\"application/x\"}",
		digest.text, strlen(MINE));
}

/* A list of @entries and ours, the PUT of it, and its reply's digest. */
struct put {
	char *list, *header;
	struct row row;
};

static struct put put_of(const char *request, const char *entries)
{
	auto_free char *entry = my_entry();
	struct put put = {.list = memory_format(LIST("%s%s%s"), entries, *entries ? "," : "", entry)};
	struct digest digest = digest_of(DIGEST_SHA256, put.list, strlen(put.list));
	put.header = memory_format("Docker-Content-Digest: %s", digest.text);
	put.row = (struct row){
		request, "Content-Type: " MEDIA_OCI_INDEX "\n", 201, {put.header}, NULL, FAULT_NONE, put.list};
	return put;
}

static void put_release(struct put *put)
{
	free(put->list);
	free(put->header);
}

static void what_the_api_lists_needs_no_tag(void **state)
{
	auto_free char *entry = my_entry(), *list = memory_format(LIST("%s"), entry);
	const struct row rows[] = {PING, {API, NULL, 200, {TYPE}, list}};
	(void)state;
	PLAY(note, NULL, rows, "done");
}

static void what_no_api_lists_is_added_to_the_tag(void **state)
{
	struct put first = put_of("PUT " TAG, ""), second = put_of("PUT " TAG, ENTRY(B64));
	const struct row nobody_has_a_list[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 404, {NULL}, ""},
		first.row,
		{"GET " TAG, NULL, 200, {TYPE}, first.list},
	};
	const struct row somebody_has[] = {
		PING,
		{API, NULL, 200, {TYPE}, LIST("")}, /* it has the API, and did not take it up */
		{"GET " TAG, NULL, 200, {TYPE}, LIST(ENTRY(B64))},
		second.row,
		{"GET " TAG, NULL, 200, {TYPE}, second.list},
	};
	const struct row is_there_already[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 200, {TYPE}, second.list},
	};
	(void)state;
	PLAY(note, NULL, nobody_has_a_list, "done");
	PLAY(note, NULL, somebody_has, "done");
	PLAY(note, NULL, is_there_already, "done");
	put_release(&first);
	put_release(&second);
}

static void two_writers_end_with_both_in_the_list(void **state)
{
	struct put first = put_of("PUT " TAG, ""), second = put_of("PUT " TAG, ENTRY(B64));
	const struct row rows[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 404, {NULL}, ""},
		first.row,
		{"GET " TAG, NULL, 200, {TYPE}, LIST(ENTRY(B64))}, /* who had read it before our PUT */
		second.row,
		{"GET " TAG, NULL, 200, {TYPE}, second.list},
	};
	const struct row always_gone[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 404, {NULL}, ""},
		first.row,
		{"GET " TAG, NULL, 404, {NULL}, ""},
		first.row,
		{"GET " TAG, NULL, 404, {NULL}, ""},
		first.row,
		{"GET " TAG, NULL, 404, {NULL}, ""},
	};
	(void)state;
	PLAY(note, NULL, rows, "done");
	PLAY(note, NULL, always_gone, "unavailable");
	put_release(&first);
	put_release(&second);
}

static void tag_that_is_no_list_or_cannot_be_read_is_left_alone(void **state)
{
	static const struct row no_list[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 200, {"Content-Type: " MEDIA_OCI_MANIFEST}, MINE},
	};
	static const struct row not_for_us[] = {
		PING,
		{API, NULL, 404, {NULL}, ""},
		{"GET " TAG, NULL, 403, {NULL}, ""},
	};
	(void)state;
	PLAY(note, NULL, no_list, "invalid");
	PLAY(note, NULL, not_for_us, "denied");
}

static void tag_of_a_long_digest_is_written_cut(void **state)
{
	struct put put = put_of("PUT " LONG, "");
	const struct row rows[] = {
		PING,
		{"GET https://r.test/v2/a/b/referrers/sha512:" A64 B64, NULL, 404, {NULL}, ""},
		{"GET " LONG, NULL, 404, {NULL}, ""},
		put.row,
		{"GET " LONG, NULL, 200, {TYPE}, put.list},
	};
	(void)state;
	PLAY(note, NULL, rows, "sha512:" A64 B64);
	put_release(&put);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_read_to_the_end_whatever_stands_beside_the_link),
		cmocka_unit_test(api_is_known_by_its_first_reply),
		cmocka_unit_test(refusal_is_no_word_about_other_repositories),
		cmocka_unit_test(api_that_has_shown_itself_is_not_doubted),
		cmocka_unit_test(list_is_whole_or_an_error),
		cmocka_unit_test(api_and_tag_are_read_as_one),
		cmocka_unit_test(both_forms_of_a_long_tag_are_read),
		cmocka_unit_test(many_who_ask_at_once_find_out_once),
		cmocka_unit_test(what_the_api_lists_needs_no_tag),
		cmocka_unit_test(what_no_api_lists_is_added_to_the_tag),
		cmocka_unit_test(two_writers_end_with_both_in_the_list),
		cmocka_unit_test(tag_that_is_no_list_or_cannot_be_read_is_left_alone),
		cmocka_unit_test(tag_of_a_long_digest_is_written_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
