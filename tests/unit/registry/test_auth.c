/* covers: AUTH-1, AUTH-2, AUTH-3, AUTH-4, AUTH-10, AUTH-11, AUTH-12, AUTH-13, AUTH-14, AUTH-18, TOK-1, TOK-2, TOK-3,
 * TOK-13 */
/* covers: TOK-15, TOK-17, TOK-20, T-12, T-13, T-23, ERR-4, ERR-10 */
/* How a registry is asked: the ping, what authorizes, a 401, and what is tried again. */
#include "model.h"

#include "scheduler/task.h"

#define REALM    "WWW-Authenticate: Bearer realm=\"https://r.test/token\",service=\"s\""
#define BASIC    "WWW-Authenticate: Basic realm=\"x\""
#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SAYS_A   "Docker-Content-Digest: " DIGEST_A
#define ACCEPT                                                                                                         \
	"Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "                \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                                                  \
	"application/vnd.docker.distribution.manifest.v2+json, "                                                       \
	"application/vnd.docker.distribution.manifest.v1+prettyjws, "                                                  \
	"application/vnd.docker.distribution.manifest.v1+json, application/vnd.oci.artifact.manifest.v1+json\n"
#define TOKEN_URL "https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull&client_id=dray"
#define HEAD_1    "HEAD https://r.test/v2/a/b/manifests/1"
#define GET_1     "GET https://r.test/v2/a/b/manifests/1"
#define PING      "GET https://r.test/v2/"

static struct credential user = {.username = "u", .password = "p"};
static const struct registry_options with_user = {.domain = "r.test", .credential = &user};

static struct error head(struct model *model)
{
	struct error err = {.kind = ERR_NONE};
	struct descriptor descriptor;
	if (registry_manifest_head(model->registry, "a/b", "1", &descriptor, &err)) {
		assert_string_equal(descriptor.digest.text, DIGEST_A);
		descriptor_release(&descriptor);
	}
	return err;
}

static void assert_head(struct model *model)
{
	struct error err = head(model);
	if (err.kind != ERR_NONE)
		fail_msg("%s", err.text);
}

static void assert_failure(struct model *model, enum error_kind kind, const char *says)
{
	struct error err = head(model);
	if (err.kind != kind || !strstr(err.text, says))
		fail_msg("%s: %s", error_kind_name(err.kind), err.text);
	assert_null(strstr(err.text, "hunter2"));
}

static void head_once(struct model *model)
{
	assert_head(model);
}

static void head_twice(struct model *model)
{
	assert_head(model);
	assert_head(model);
}

static void open_registry_is_pinged_once_and_sent_nothing(void **state)
{
	static const struct row rows[] = {
		{PING, "", 200, {"WWW-Authenticate: Bearer realm=\"https://evil/\""}, "{}"},
		{HEAD_1, ACCEPT, 200, {SAYS_A}},
		{HEAD_1, ACCEPT, 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_twice, &with_user, rows, NULL);
}

static void ping_that_fails_is_no_failure(void **state)
{
	static const int statuses[] = {404, 403, 500, 302};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row rows[] = {
			{PING, "", statuses[i], {NULL}, "<html>"},
			{HEAD_1, ACCEPT, 200, {SAYS_A}},
		};
		PLAY(head_once, NULL, rows, NULL);
	}
}

static void basic_is_sent_at_once_after_the_ping(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {BASIC}},
		{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 200, {SAYS_A}},
		{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_twice, &with_user, rows, NULL);
}

static void fail_without_credentials(struct model *model)
{
	assert_failure(model, ERR_UNAUTHORIZED,
		"GET https://r.test/v2/a/b/manifests/1: 401 Unauthorized: UNAUTHORIZED: who (no credentials for "
		"r.test)");
}

static void missing_credentials_are_told(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {BASIC}},
		{HEAD_1, ACCEPT, 401, {BASIC}},
		{GET_1, ACCEPT, 401, {BASIC}, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"who\"}]}"},
	};
	(void)state;
	PLAY(fail_without_credentials, NULL, rows, NULL);
}

static void fail_with_wrong_password(struct model *model)
{
	assert_failure(model, ERR_UNAUTHORIZED, "401 Unauthorized");
}

static void wrong_password_is_sent_no_second_time(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {BASIC}},
		{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 401, {BASIC}},
		{GET_1, ACCEPT "Authorization: Basic dTpw\n", 401, {BASIC}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, &with_user, rows, NULL);
}

static void token_is_fetched_once_for_a_scope(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, "Accept: application/json\n", 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_twice, NULL, rows, NULL);
}

static void credentials_buy_the_token(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {"WWW-Authenticate: Bearer realm=\"https://r.test/token?x=y\""}},
		{"GET https://r.test/token?x=y&scope=repository%3Aa%2Fb%3Apull&client_id=dray&account=u",
			"Accept: application/json\nAuthorization: Basic dTpw\n", 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, &with_user, rows, NULL);
}

static void realm_may_be_relative(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {"WWW-Authenticate: Bearer realm=\"/token\",service=s"}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, NULL, rows, NULL);
}

static void fail_at_another_realm(struct model *model)
{
	assert_failure(model, ERR_REFUSED, "https://evil/token");
}

static void credentials_are_not_sent_to_another_host(void **state)
{
	static const struct row rows[] = {{PING, "", 401, {"WWW-Authenticate: Bearer realm=\"https://evil/token\""}}};
	(void)state;
	PLAY(fail_at_another_realm, &with_user, rows, NULL);
}

static void anonymous_token_may_come_from_another_host(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {"WWW-Authenticate: Bearer realm=\"https://auth.test/t\",service=\"s\""}},
		{"GET https://auth.test/t?service=s&scope=repository%3Aa%2Fb%3Apull&client_id=dray",
			"Accept: application/json\n", 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, NULL, rows, NULL);
}

static void fail_at_redirected_token(struct model *model)
{
	assert_failure(model, ERR_REFUSED, "another origin");
}

static void token_request_follows_nobody_elsewhere(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL "&account=u", NULL, 307, {"Location: https://evil/token"}},
	};
	(void)state;
	PLAY(fail_at_redirected_token, &with_user, rows, NULL);
}

static void fail_at_token_server(struct model *model)
{
	assert_failure(model, ERR_UNAUTHORIZED, "GET https://r.test/token: ");
}

static void refusal_of_the_token_server_is_no_word_about_an_image(void **state)
{
	static const int statuses[] = {400, 401, 404, 405};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row rows[] = {
			{PING, "", 401, {REALM}},
			{"GET " TOKEN_URL, NULL, statuses[i], {NULL}, "{\"details\":\"no\"}"},
		};
		PLAY(fail_at_token_server, NULL, rows, NULL);
	}
}

static void identity_token_is_posted(void **state)
{
	static struct credential identity = {.identity_token = "id/1"};
	static const struct registry_options options = {.domain = "r.test", .credential = &identity};
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{.request = "POST https://r.test/token",
			.headers = "Accept: application/json\nContent-Type: application/x-www-form-urlencoded\n",
			.status = 200,
			.body = "{\"access_token\":\"t1\"}",
			.sent = "grant_type=refresh_token&refresh_token=id%2F1&service=s&client_id=dray"
				"&scope=repository%3Aa%2Fb%3Apull"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, &options, rows, NULL);
}

static void identity_token_is_a_password_where_post_is_unknown(void **state)
{
	static struct credential identity = {.username = "u", .password = "x", .identity_token = "p"};
	static const struct registry_options options = {.domain = "r.test", .credential = &identity};
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"POST https://r.test/token", NULL, 404, {NULL}, "no"},
		{"GET " TOKEN_URL "&account=u", "Accept: application/json\nAuthorization: Basic dTpw\n", 200, {NULL},
			"{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, &options, rows, NULL);
}

static void registry_token_is_sent_as_it_is(void **state)
{
	static struct credential given = {.registry_token = "given"};
	static const struct registry_options options = {.domain = "r.test", .credential = &given};
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{HEAD_1, ACCEPT "Authorization: Bearer given\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, &options, rows, NULL);
}

static void refused_token_is_replaced_once_with_the_scopes_asked_for(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 401, {REALM ",scope=\"repository:a/b:pull aws\""}},
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull&scope=aws&client_id=dray", NULL,
			200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, NULL, rows, NULL);
}

static void second_401_is_final(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, NULL, 401, {REALM}},
		{GET_1, ACCEPT "Authorization: Bearer t2\n", 401, {REALM}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, NULL, rows, NULL);
}

static void registry_that_said_bearer_stays_one(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL "&account=u", NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {BASIC}},
		{"GET " TOKEN_URL "&account=u", NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, &with_user, rows, NULL);
}

static void challenge_may_come_after_an_open_ping(void **state)
{
	static const struct row rows[] = {
		{PING, "", 200, {NULL}},
		{HEAD_1, ACCEPT, 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, NULL, rows, NULL);
}

static void challenge_of_the_ping_serves_a_401_without_one(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {NULL}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, NULL, rows, NULL);
}

static void question_of_another_origin_is_not_answered(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {BASIC}},
		{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 307, {"Location: https://cdn.test/x"}},
		{"HEAD https://cdn.test/x", ACCEPT, 401, {"WWW-Authenticate: Bearer realm=\"https://cdn.test/t\""}},
		{GET_1, ACCEPT "Authorization: Basic dTpw\n", 307, {"Location: https://cdn.test/x"}},
		{"GET https://cdn.test/x", ACCEPT, 401, {"WWW-Authenticate: Bearer realm=\"https://cdn.test/t\""}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, &with_user, rows, NULL);
}

static void question_of_another_origin_costs_no_token(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 307, {"Location: https://cdn.test/x"}},
		{"HEAD https://cdn.test/x", ACCEPT, 401, {REALM}},
		{GET_1, ACCEPT "Authorization: Bearer t1\n", 307, {"Location: https://cdn.test/x"}},
		{"GET https://cdn.test/x", ACCEPT, 401, {REALM}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, NULL, rows, NULL);
}

/* --- many at once ---------------------------------------------------------------------------------------------------
 */

static void head_task(void *argument)
{
	assert_head(argument);
}

static void head_three_at_once(struct model *model)
{
	struct group group;
	group_init(&group, 3);
	for (int i = 0; i < 3; i++)
		assert_true(group_spawn(&group, head_task, model, NULL));
	group_wait(&group);
}

static void many_share_one_ping_and_one_token(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_three_at_once, NULL, rows, NULL);
}

/* --- trying again ---------------------------------------------------------------------------------------------------
 */

static void what_may_pass_is_tried_again(void **state)
{
	static const struct row rows[] = {
		{PING, "", 0, {NULL}, NULL, FAULT_NO_REPLY},
		{PING, "", 200, {NULL}},
		{HEAD_1, ACCEPT, 503, {NULL}},
		{HEAD_1, ACCEPT, 0, {NULL}, NULL, FAULT_NO_REPLY},
		{HEAD_1, ACCEPT, 429, {NULL}},
		{HEAD_1, ACCEPT, 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, NULL, rows, NULL);
}

static void fail_for_lack_of_attempts(struct model *model)
{
	assert_failure(model, ERR_UNAVAILABLE, "HEAD https://r.test/v2/a/b/manifests/1: 502 Bad Gateway");
}

static void attempts_are_bounded(void **state)
{
	static const struct row rows[] = {
		{PING, "", 200, {NULL}},
		{HEAD_1, NULL, 502, {NULL}},
		{HEAD_1, NULL, 502, {NULL}},
		{HEAD_1, NULL, 502, {NULL}},
		{HEAD_1, NULL, 502, {NULL}},
		{HEAD_1, NULL, 502, {NULL}},
	};
	(void)state;
	PLAY(fail_for_lack_of_attempts, NULL, rows, NULL);
}

static void head_and_a_later_one(struct model *model)
{
	struct group group;
	int64_t start = loop_now_ms();
	group_init(&group, 1);
	assert_true(group_spawn(&group, head_task, model, NULL));
	assert_true(task_sleep(1000, NULL)); /* by then the first was told to come back in a minute */
	assert_head(model);
	assert_true(loop_now_ms() - start >= 60000);
	group_wait(&group);
}

static void retry_after_is_for_the_whole_registry(void **state)
{
	static const struct row rows[] = {
		{PING, "", 200, {NULL}},
		{HEAD_1, NULL, 429, {"Retry-After: 60"}},
		{HEAD_1, NULL, 200, {SAYS_A}},
		{HEAD_1, NULL, 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_and_a_later_one, NULL, rows, NULL);
}

static void be_canceled(void *argument)
{
	struct error err = head(argument);
	assert_int_equal(err.kind, ERR_CANCELED);
}

static void cancel_at(struct model *model)
{
	struct group group;
	group_init(&group, 1);
	assert_true(group_spawn(&group, be_canceled, model, NULL));
	assert_true(task_sleep(*(int *)model->data, NULL));
	group_cancel(&group);
	group_wait(&group);
}

static void cancellation_ends_it_wherever_it_is(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 503, {NULL}},
	};
	static const struct {
		int at_ms;
		size_t requests;
	} when[] = {{2, 1}, {7, 2}, {12, 3}, {100, 3}};
	(void)state;
	for (size_t i = 0; i < array_count(when); i++) {
		int at_ms = when[i].at_ms;
		play(cancel_at, NULL, rows, when[i].requests, &at_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_registry_is_pinged_once_and_sent_nothing),
		cmocka_unit_test(ping_that_fails_is_no_failure),
		cmocka_unit_test(basic_is_sent_at_once_after_the_ping),
		cmocka_unit_test(missing_credentials_are_told),
		cmocka_unit_test(wrong_password_is_sent_no_second_time),
		cmocka_unit_test(token_is_fetched_once_for_a_scope),
		cmocka_unit_test(credentials_buy_the_token),
		cmocka_unit_test(realm_may_be_relative),
		cmocka_unit_test(credentials_are_not_sent_to_another_host),
		cmocka_unit_test(anonymous_token_may_come_from_another_host),
		cmocka_unit_test(token_request_follows_nobody_elsewhere),
		cmocka_unit_test(refusal_of_the_token_server_is_no_word_about_an_image),
		cmocka_unit_test(identity_token_is_posted),
		cmocka_unit_test(identity_token_is_a_password_where_post_is_unknown),
		cmocka_unit_test(registry_token_is_sent_as_it_is),
		cmocka_unit_test(refused_token_is_replaced_once_with_the_scopes_asked_for),
		cmocka_unit_test(second_401_is_final),
		cmocka_unit_test(registry_that_said_bearer_stays_one),
		cmocka_unit_test(challenge_may_come_after_an_open_ping),
		cmocka_unit_test(challenge_of_the_ping_serves_a_401_without_one),
		cmocka_unit_test(question_of_another_origin_is_not_answered),
		cmocka_unit_test(question_of_another_origin_costs_no_token),
		cmocka_unit_test(many_share_one_ping_and_one_token),
		cmocka_unit_test(what_may_pass_is_tried_again),
		cmocka_unit_test(attempts_are_bounded),
		cmocka_unit_test(retry_after_is_for_the_whole_registry),
		cmocka_unit_test(cancellation_ends_it_wherever_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
