/* covers: ERR-8, ERR-9, ERR-10, ERR-12, T-7 */
#include "model.h"

#define HEAD(tag) "HEAD https://r.test/v2/a/b/manifests/" tag
#define PING                                                                                                           \
	{                                                                                                              \
		"GET https://r.test/v2/", NULL, 200,                                                                   \
		{                                                                                                      \
			NULL                                                                                           \
		}                                                                                                      \
	}
#define DIGEST "Docker-Content-Digest: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct question {
	struct model *model;
	char tag[16];
	bool ok;
	struct error err;
	int64_t ended_ms;
};

static void ask(void *argument)
{
	struct question *question = argument;
	struct descriptor found = {0};
	question->ok = registry_manifest_head(question->model->registry, "a/b", question->tag, &found, &question->err);
	question->ended_ms = loop_now_ms();
	descriptor_release(&found);
}

static void ask_all(struct model *model, struct question *questions, size_t count)
{
	struct group group;
	group_init(&group, count);
	for (size_t i = 0; i < count; i++) {
		questions[i] = (struct question){.model = model};
		snprintf(questions[i].tag, sizeof questions[i].tag, "t%zu", i);
		assert_true(group_spawn(&group, ask, &questions[i], NULL));
	}
	group_wait(&group);
}

/* 500 tags behind a limit that nobody waits for: none of them asks. */
static void limit_of_an_hour_is_met_once(struct model *model)
{
	enum { REST = 500 };
	struct question first, *rest = memory_new(REST, sizeof *rest); /* more than a task's stack holds */
	int64_t start = loop_now_ms();
	ask_all(model, &first, 1);
	assert_int_equal(first.err.kind, ERR_RATE_LIMITED);
	ask_all(model, rest, REST);
	for (size_t i = 0; i < REST; i++) {
		assert_false(rest[i].ok);
		assert_int_equal(rest[i].err.kind, ERR_RATE_LIMITED);
		assert_true(strstr(rest[i].err.text, "r.test: rate limited; waits until ") != NULL);
	}
	free(rest);
	assert_true(loop_now_ms() - start < 5000 || model->data); /* five pauses of our own */
}

static void long_limits_close_the_host(void **state)
{
	static const struct row rows[] = {PING, {HEAD("t0"), NULL, 429, {"Retry-After: 3600"}}};
	(void)state;
	PLAY(limit_of_an_hour_is_met_once, NULL, rows, NULL);
}

#define LIST "GET https://r.test/v2/a/b/tags/list?n=1000"
#define GOOD                                                                                                           \
	{                                                                                                              \
		LIST, NULL, 200, {NULL}, "{\"tags\":[\"a\"]}"                                                          \
	}

static void list(void *argument)
{
	struct question *question = argument;
	struct listing *listing = registry_tags(question->model->registry, "a/b");
	char **names;
	size_t count;
	question->ok = listing_next(listing, &names, &count, &question->err);
	question->ended_ms = loop_now_ms();
	listing_free(listing);
}

static int by_end(const void *a, const void *b)
{
	const struct question *left = a, *right = b;
	return (left->ended_ms > right->ended_ms) - (left->ended_ms < right->ended_ms);
}

/* Four are on their way when the limit comes, and meet it; behind the pause one goes first, then two at a time. */
static void one_goes_first(struct model *model)
{
	struct question questions[6];
	const int64_t earliest = loop_now_ms() + *(const int64_t *)model->data;
	struct group group;
	group_init(&group, array_count(questions));
	for (size_t i = 0; i < array_count(questions); i++) {
		questions[i] = (struct question){.model = model};
		assert_true(group_spawn(&group, list, &questions[i], NULL));
	}
	group_wait(&group);
	qsort(questions, array_count(questions), sizeof questions[0], by_end);
	for (size_t i = 0; i < array_count(questions); i++) {
		if (!questions[i].ok)
			fail_msg("%s", questions[i].err.text);
		assert_in_range(questions[i].ended_ms, earliest, earliest + 1100);
	}
	assert_true(questions[0].ended_ms + 2 < questions[1].ended_ms);
	assert_int_equal(questions[1].ended_ms, questions[2].ended_ms);
	assert_true(questions[2].ended_ms + 2 < questions[3].ended_ms);
}

static void host_is_left_alone_until_the_deadline(void **state)
{
	static const struct {
		int status;
		const char *header, *body;
		int64_t pause_ms;
	} limits[] = {
		{429, "Retry-After: 7", "", 7000},
		{429, "X-Who: nobody", "", 1000},
		{429, "X-Who: ghcr",
			"{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"retry-after: 1.16676ms, allowed: "
			"44000/minute\"}]}",
			1000},
		{403, "X-Who: ghcr", "{\"message\":\"You have exceeded a secondary rate limit\"}", 60000},
		{403, "Retry-After: 90", "You have exceeded a secondary rate limit", 90000},
		{400, "X-Who: ecr", "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"Rate exceeded\"}]}",
			1000},
		{429, "X-Who: public.ecr", "toomanyrequests: Rate exceeded", 1000},
		{429, "X-Who: hub", "{\"details\":\"Too many requests\"}", 1000},
	};
	(void)state;
	for (size_t i = 0; i < array_count(limits); i++) {
		const struct registry_options options = {.domain = "r.test", .tls.insecure = true, .metadata_slots = 4};
#define MET                                                                                                            \
	{                                                                                                              \
		LIST, NULL, limits[i].status, {limits[i].header}, limits[i].body                                       \
	}
		const struct row rows[] = {PING, MET, MET, MET, MET, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD};
		int64_t pause_ms = limits[i].pause_ms;
		PLAY(one_goes_first, &options, rows, &pause_ms);
	}
}

/* Five pauses in a row, and it is not asked a sixth time. */
static void host_that_goes_on_refusing_is_closed(void **state)
{
	static const struct row rows[] = {
		PING,
		{HEAD("t0"), NULL, 429, {NULL}},
		{HEAD("t0"), NULL, 429, {NULL}},
		{HEAD("t0"), NULL, 429, {NULL}},
		{HEAD("t0"), NULL, 429, {NULL}},
		{HEAD("t0"), NULL, 429, {NULL}},
	};
	(void)state;
	PLAY(limit_of_an_hour_is_met_once, NULL, rows, (void *)"slow");
}

static void quota_of_the_month_is_not_waited_for(void **state)
{
	static const struct row rows[] = {
		PING,
		{HEAD("t0"), NULL, 403, {NULL}},
		{"GET https://r.test/v2/a/b/manifests/t0", NULL, 403, {NULL},
			"{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"Data limit exceeded\"}]}"},
	};
	(void)state;
	PLAY(limit_of_an_hour_is_met_once, NULL, rows, NULL);
}

/* Another host goes on meanwhile: the pace is the registry's own. */
static void other_hosts_are_not_affected(struct model *model)
{
	struct registry_options options = {.domain = "r.test", .tls.insecure = true};
	struct registry *first = model->registry;
	struct question question;
	ask_all(model, &question, 1);
	assert_int_equal(question.err.kind, ERR_RATE_LIMITED);
	model->registry = registry_new(model->http, &options);
	ask_all(model, &question, 1);
	assert_true(question.ok);
	registry_free(model->registry);
	model->registry = first;
}

static void one_pace_for_each_registry(void **state)
{
	static const struct row rows[] = {
		PING,
		{HEAD("t0"), NULL, 429, {"Retry-After: 3600"}},
		PING,
		{HEAD("t0"), NULL, 200, {DIGEST}},
	};
	(void)state;
	PLAY(other_hosts_are_not_affected, NULL, rows, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_limits_close_the_host),
		cmocka_unit_test(host_is_left_alone_until_the_deadline),
		cmocka_unit_test(host_that_goes_on_refusing_is_closed),
		cmocka_unit_test(quota_of_the_month_is_not_waited_for),
		cmocka_unit_test(one_pace_for_each_registry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
