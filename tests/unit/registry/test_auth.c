/* How a registry is asked: the ping, what authorizes, a 401, and what is tried again. */
#include "asking.h"

#include "scheduler/task.h"

/* covers: AUTH-1, AUTH-4 */
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

/* covers: AUTH-1 */
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

/* covers: AUTH-10, T-23 */
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

/* covers: AUTH-18, TOK-20 */
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

/* covers: TOK-1, TOK-3, TOK-4, TOK-19, AUTH-20 */
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

/* covers: TOK-1, AUTH-12 */
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

/* covers: AUTH-13 */
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

/* covers: TOK-17 */
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

/* covers: AUTH-18, AUTH-19 */
static void refused_token_is_replaced_once_with_the_scopes_asked_for(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}}, {"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 401, {REALM ",scope=\"repository:a/b:pull aws\""}},
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull&scope=aws&client_id=dray", NULL,
			200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}}, /* "aws" is wanted of all */
	};
	(void)state;
	PLAY(head_twice, NULL, rows, NULL);
}

/* covers: AUTH-18, TOK-13, T-21 */
static void token_that_is_refused_for_ever_costs_two_fetches(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 401, {REALM}},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 401, {REALM}},
		{GET_1, ACCEPT "Authorization: Bearer t2\n", 401, {REALM}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, NULL, rows, NULL);
}

static void head_after_two_seconds(struct model *model)
{
	int64_t start = loop_now_ms();
	assert_head(model);
	assert_true(loop_now_ms() - start >= 2000);
	assert_true(loop_now_ms() - start < 2100);
}

/* covers: T-21 */
static void token_that_is_not_valid_yet_is_waited_for(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {REALM ",error=\"invalid_token\""}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 401, {REALM ",error=\"invalid_token\""}},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_after_two_seconds, NULL, rows, NULL);
}

/* covers: AUTH-18, TOK-13 */
static void token_that_lacks_a_scope_is_kept_and_not_waited_for(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {REALM ",error=\"insufficient_scope\",scope=\"repository:a/b:pull\""}},
		{GET_1, ACCEPT "Authorization: Bearer t1\n", 401, {REALM ",error=\"insufficient_scope\""}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, NULL, rows, NULL);
}

/* covers: AUTH-18 */
static void scope_that_was_lacking_is_added(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {REALM ",error=\"insufficient_scope\",scope=\"repository:c/d:pull\""}},
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%2Fd%3Apull"
		 "&client_id=dray",
			NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, NULL, rows, NULL);
}

static void fail_forbidden(struct model *model)
{
	assert_failure(model, ERR_DENIED, "403 Forbidden: DENIED: not yours");
}

/* covers: AUTH-17 */
static void forbidden_is_final(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 403},
		{GET_1, NULL, 403, {NULL}, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not yours\"}]}"},
	};
	(void)state;
	PLAY(fail_forbidden, NULL, rows, NULL);
}

/* covers: AUTH-17 */
static void forbidden_with_a_challenge_is_answered_once(void **state)
{
	static const struct row good[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 403, {REALM ",scope=aws"}},
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull&scope=aws&client_id=dray", NULL,
			200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
	};
	static const struct row bad[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 403, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, NULL, 403, {REALM}},
		{GET_1, NULL, 403, {NULL}, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not yours\"}]}"},
	};
	(void)state;
	PLAY(head_once, NULL, good, NULL);
	PLAY(fail_forbidden, NULL, bad, NULL);
}

/* covers: AUTH-11 */
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

/* covers: AUTH-11 */
static void registry_that_takes_basic_alone_for_one_thing_gets_it_for_that(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL "&account=u", NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {BASIC}},
		{"GET " TOKEN_URL "&account=u", NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 401, {BASIC}},
		{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 200, {SAYS_A}},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_twice, &with_user, rows, NULL);
}

/* covers: AUTH-11, TOK-13 */
static void nobody_has_no_basic_to_try(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 401, {BASIC}},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, NULL, 401, {BASIC}},
		{GET_1, NULL, 401, {BASIC}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, NULL, rows, NULL);
}

/* covers: AUTH-2 */
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

/* covers: AUTH-3 */
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

static void fail_with_403(struct model *model)
{
	assert_failure(model, ERR_DENIED, "https://auth.test/t: 403");
}

static void fail_with_404(struct model *model)
{
	assert_failure(model, ERR_NOT_FOUND, "GET https://cdn2.test/x: 404");
}

static void fail_by_refusal(struct model *model)
{
	assert_failure(model, ERR_REFUSED, "http://auth.test/t");
}

/* covers: T-13, RED-11 */
static void question_of_another_origin_gets_no_password(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {BASIC}},
		{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 307, {"Location: https://cdn.test/x"}},
		{"HEAD https://cdn.test/x", ACCEPT, 401, {BASIC}},
		{GET_1, ACCEPT "Authorization: Basic dTpw\n", 307, {"Location: https://cdn.test/x"}},
		{"GET https://cdn.test/x", ACCEPT, 401, {BASIC}},
	};
	(void)state;
	PLAY(fail_with_wrong_password, &with_user, rows, NULL);
}

#define THEIR_REALM                                                                                                    \
	"WWW-Authenticate: Bearer realm=\"https://auth.test/t\",service=\"their\",scope=\"repository:their/x:pull\""
#define THEIR_TOKEN_URL "GET https://auth.test/t?service=their&scope=repository%3Atheir%2Fx%3Apull&client_id=dray"

/* covers: RED-6, RED-11, T-13 */
static void question_of_another_origin_gets_a_token_of_nobody(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL "&account=u", "Accept: application/json\nAuthorization: Basic dTpw\n", 200, {NULL},
			"{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 307,
			{"Location: https://cdn.test/v2/their/x/manifests/1"}},
		{"HEAD https://cdn.test/v2/their/x/manifests/1", ACCEPT, 401, {THEIR_REALM}},
		{THEIR_TOKEN_URL, "Accept: application/json\n", 200, {NULL}, "{\"token\":\"theirs\"}"},
		{"HEAD https://cdn.test/v2/their/x/manifests/1", ACCEPT "Authorization: Bearer theirs\n", 307,
			{"Location: https://data.test/1?sig=x"}},
		{"HEAD https://data.test/1?sig=x", ACCEPT, 200, {SAYS_A}},
		/* nothing of it is kept */
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 307,
			{"Location: https://cdn.test/v2/their/x/manifests/1"}},
		{"HEAD https://cdn.test/v2/their/x/manifests/1", ACCEPT, 401, {THEIR_REALM}},
		{THEIR_TOKEN_URL, "Accept: application/json\n", 200, {NULL}, "{\"token\":\"theirs\"}"},
		{"HEAD https://cdn.test/v2/their/x/manifests/1", ACCEPT "Authorization: Bearer theirs\n", 200,
			{SAYS_A}},
	};
	(void)state;
	PLAY(head_twice, &with_user, rows, NULL);
}

/* covers: RED-6 */
static void token_that_another_refuses_is_the_end(void **state)
{
	static const struct row rows[] = {
		{PING, "", 200, {NULL}},
		{HEAD_1, NULL, 307, {"Location: https://cdn.test/x"}},
		{"HEAD https://cdn.test/x", ACCEPT, 401, {THEIR_REALM}},
		{THEIR_TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"theirs\"}"},
		{"HEAD https://cdn.test/x", ACCEPT "Authorization: Bearer theirs\n", 401, {THEIR_REALM}},
		{GET_1, NULL, 307, {"Location: https://cdn.test/x"}},
		{"GET https://cdn.test/x", ACCEPT, 401, {THEIR_REALM}},
		{THEIR_TOKEN_URL, NULL, 403, {NULL}, "no"},
	};
	(void)state;
	PLAY(fail_with_403, NULL, rows, NULL);
}

/* covers: T-18, T-12 */
static void realm_of_another_is_judged(void **state)
{
	static const struct row rows[] = {
		{PING, "", 200, {NULL}},
		{HEAD_1, NULL, 307, {"Location: https://cdn.test/x"}},
		{"HEAD https://cdn.test/x", ACCEPT, 401, {"WWW-Authenticate: Bearer realm=\"http://auth.test/t\""}},
	};
	(void)state;
	PLAY(fail_by_refusal, NULL, rows, NULL);
}

/* covers: RED-9 */
static void another_that_refuses_a_head_is_asked_by_get(void **state)
{
	static const int statuses[] = {400, 401, 403, 404, 405};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row rows[] = {
			{PING, "", 200, {NULL}},
			{HEAD_1, NULL, 307, {"Location: https://cdn.test/x?sig=head"}},
			{"HEAD https://cdn.test/x?sig=head", ACCEPT, statuses[i], {NULL}},
			{GET_1, NULL, 307, {"Location: https://cdn.test/x?sig=get"}},
			{"GET https://cdn.test/x?sig=get", ACCEPT, 403, {NULL}, "expired"},
			/* HTTP-13, RED-7: the registry signs another */
			{GET_1, NULL, 307, {"Location: https://cdn2.test/x?sig=get2"}},
			{"GET https://cdn2.test/x?sig=get2", ACCEPT, 404, {NULL}},
		};
		PLAY(fail_with_404, NULL, rows, NULL);
	}
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

/* covers: TOK-12 */
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

/* covers: ERR-4 */
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

/* covers: ERR-10 */
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
		cmocka_unit_test(registry_token_is_sent_as_it_is),
		cmocka_unit_test(refused_token_is_replaced_once_with_the_scopes_asked_for),
		cmocka_unit_test(token_that_is_refused_for_ever_costs_two_fetches),
		cmocka_unit_test(token_that_is_not_valid_yet_is_waited_for),
		cmocka_unit_test(token_that_lacks_a_scope_is_kept_and_not_waited_for),
		cmocka_unit_test(scope_that_was_lacking_is_added),
		cmocka_unit_test(forbidden_is_final),
		cmocka_unit_test(forbidden_with_a_challenge_is_answered_once),
		cmocka_unit_test(registry_that_said_bearer_stays_one),
		cmocka_unit_test(registry_that_takes_basic_alone_for_one_thing_gets_it_for_that),
		cmocka_unit_test(nobody_has_no_basic_to_try),
		cmocka_unit_test(challenge_may_come_after_an_open_ping),
		cmocka_unit_test(challenge_of_the_ping_serves_a_401_without_one),
		cmocka_unit_test(question_of_another_origin_gets_no_password),
		cmocka_unit_test(question_of_another_origin_gets_a_token_of_nobody),
		cmocka_unit_test(token_that_another_refuses_is_the_end),
		cmocka_unit_test(realm_of_another_is_judged),
		cmocka_unit_test(another_that_refuses_a_head_is_asked_by_get),
		cmocka_unit_test(many_share_one_ping_and_one_token),
		cmocka_unit_test(what_may_pass_is_tried_again),
		cmocka_unit_test(attempts_are_bounded),
		cmocka_unit_test(retry_after_is_for_the_whole_registry),
		cmocka_unit_test(cancellation_ends_it_wherever_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
