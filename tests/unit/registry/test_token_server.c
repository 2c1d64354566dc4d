/* The token server: where it may be, how it is asked, what it answers, and what is done without it. */
#include "asking.h"

static void fail_at_another_realm(struct model *model)
{
	assert_failure(model, ERR_REFUSED, "https://evil/token");
}

/* covers: T-12 */
static void credentials_are_not_sent_to_another_host(void **state)
{
	static const struct row rows[] = {{PING, "", 401, {"WWW-Authenticate: Bearer realm=\"https://evil/token\""}}};
	(void)state;
	PLAY(fail_at_another_realm, &with_user, rows, NULL);
}

/* covers: TOK-19, T-12 */
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

/* covers: AUTH-14 */
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

/* covers: TOK-2, TOK-15 */
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

/* covers: TOK-15, TOK-18 */
static void identity_token_is_a_password_where_post_is_unknown(void **state)
{
	static struct credential identity = {.username = "u", .password = "x", .identity_token = "p"};
	static const struct registry_options options = {.domain = "r.test", .credential = &identity};
	static const int statuses[] = {400, 401, 404, 405};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row rows[] = {
			{PING, "", 401, {REALM}},
			{"POST https://r.test/token", NULL, statuses[i], {NULL}, "no"},
			{"GET " TOKEN_URL "&account=u", "Accept: application/json\nAuthorization: Basic dTpw\n", 200,
				{NULL}, "{\"token\":\"t1\"}"},
			{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
		};
		PLAY(head_once, &options, rows, NULL);
	}
}

static void fail_at_identity(struct model *model)
{
	assert_failure(model, ERR_DENIED, "POST https://r.test/token: 403 Forbidden");
}

/* covers: TOK-15 */
static void identity_token_that_is_denied_is_no_password(void **state)
{
	static struct credential identity = {.identity_token = "p"};
	static const struct registry_options options = {.domain = "r.test", .credential = &identity};
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"POST https://r.test/token", NULL, 403, {NULL}, "no"},
	};
	(void)state;
	PLAY(fail_at_identity, &options, rows, NULL);
}

/* --- Basic beside Bearer --------------------------------------------------------------------------------------------
 */

/* covers: AUTH-9 */
static void basic_serves_where_the_token_server_does_not(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum fault fault;
	} servers[] = {
		{404, "<html>", FAULT_NONE},
		{405, "", FAULT_NONE},
		{200, "<html>", FAULT_NONE},
		{200, "{}", FAULT_NONE},
		{503, "", FAULT_NONE},
		{0, NULL, FAULT_NO_REPLY},
	};
	(void)state;
	for (size_t i = 0; i < array_count(servers); i++) {
		const struct row rows[] = {
			{PING, "", 401, {REALM, BASIC}},
			{"GET " TOKEN_URL "&account=u", NULL, servers[i].status, {NULL}, servers[i].body,
				servers[i].fault},
			{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 200, {SAYS_A}},
			{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 200, {SAYS_A}},
		};
		PLAY(head_twice, &with_user, rows, NULL);
	}
}

static void fail_at_lost_token_server(struct model *model)
{
	assert_failure(model, ERR_UNAUTHORIZED, "GET https://r.test/token: 404 Not Found");
	assert_failure(model, ERR_UNAUTHORIZED, "GET https://r.test/token: 404 Not Found");
}

/* covers: AUTH-9 */
static void basic_that_is_refused_is_not_tried_again(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM ", Basic realm=\"x\""}},
		{"GET " TOKEN_URL "&account=u", NULL, 404},
		{HEAD_1, ACCEPT "Authorization: Basic dTpw\n", 401, {REALM, BASIC}},
		{"GET " TOKEN_URL "&account=u", NULL, 404},
		{"GET " TOKEN_URL "&account=u", NULL, 404},
	};
	(void)state;
	PLAY(fail_at_lost_token_server, &with_user, rows, NULL);
}

static void fail_at_wrong_user(struct model *model)
{
	assert_failure(model, ERR_UNAUTHORIZED, "GET https://r.test/token: 401 Unauthorized");
}

/* covers: AUTH-9, TOK-20 */
static void token_server_that_refuses_us_has_said_it(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM, BASIC}},
		{"GET " TOKEN_URL "&account=u", NULL, 401},
	};
	(void)state;
	PLAY(fail_at_wrong_user, &with_user, rows, NULL);
}

/* covers: AUTH-9 */
static void nobody_is_nobody_by_basic_either(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM, BASIC}},
		{"GET " TOKEN_URL, NULL, 404},
	};
	(void)state;
	PLAY(fail_at_token_server, NULL, rows, NULL);
}

/* --- the token server -----------------------------------------------------------------------------------------------
 */

static void head_after_seven_seconds(struct model *model)
{
	int64_t start = loop_now_ms();
	assert_head(model);
	assert_true(loop_now_ms() - start >= 7000);
}

/* covers: TOK-22 */
static void token_server_is_asked_again_for_what_may_pass(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 503},
		{"GET " TOKEN_URL, NULL, 429, {"Retry-After: 7"}},
		{"GET " TOKEN_URL, NULL, 0, {NULL}, NULL, FAULT_NO_REPLY},
		{"GET " TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, NULL, 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_after_seven_seconds, NULL, rows, NULL);
}

static void fail_with_its_words(struct model *model)
{
	assert_failure(model, ERR_DENIED,
		"GET https://r.test/token: 403 Forbidden: DENIED: registry contains 1 repository, limit is 1");
}

/* covers: TOK-21 */
static void words_of_the_token_server_are_told(void **state)
{
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL, NULL, 403, {NULL},
			"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"registry contains 1 repository, limit is "
			"1\"}]}"},
	};
	(void)state;
	PLAY(fail_with_its_words, NULL, rows, NULL);
}

static void fail_at_a_hostile_reply(struct model *model)
{
	assert_failure(model, ERR_UNAUTHORIZED, "GET https://r.test/token: ");
}

static char *very_long(const char *before, size_t length, const char *after)
{
	auto_free char *middle = memory_new(length + 1, 1);
	memset(middle, 'x', length);
	return memory_format("%s%s%s", before, middle, after);
}

/* covers: T-25 */
static void hostile_reply_of_a_token_server_is_no_token(void **state)
{
	auto_free char *huge = very_long("{\"token\":\"t\",\"pad\":\"", 65536, "\"}");
	const char *const bodies[] = {huge, "{\"token\":\"hunter2\\r\\nX-Evil: 1\"}", "{\"token\":\"hunter2 1\"}",
		"{\"token\":\"hunter2\",\"expires_in\":-1}", "{\"token\":\"hunter2\",\"expires_in\":\"60\"}",
		"{\"token\":\"hunter2\",\"expires_in\":1.5}", "<html>hunter2</html>", "[\"hunter2\"]", ""};
	(void)state;
	for (size_t i = 0; i < array_count(bodies); i++) {
		const struct row rows[] = {
			{PING, "", 401, {REALM}},
			{"GET " TOKEN_URL, NULL, 200, {NULL}, bodies[i]},
		};
		PLAY(fail_at_a_hostile_reply, NULL, rows, NULL);
	}
}

/* covers: T-12 */
static void credentials_go_where_the_configuration_says(void **state)
{
	static char *const realms[] = {"auth.test"};
	static const struct registry_options options = {
		.domain = "r.test", .credential = &user, .realms = realms, .realm_count = 1};
	static const struct row rows[] = {
		{PING, "", 401, {"WWW-Authenticate: Bearer realm=\"https://auth.test/t\",service=\"s\""}},
		{"GET https://auth.test/t?service=s&scope=repository%3Aa%2Fb%3Apull&client_id=dray&account=u",
			"Accept: application/json\nAuthorization: Basic dTpw\n", 200, {NULL}, "{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 200, {SAYS_A}},
	};
	(void)state;
	PLAY(head_once, &options, rows, NULL);
}

/* --- whose token it is ----------------------------------------------------------------------------------------------
 */

static void head_here_and_there(struct model *model)
{
	struct descriptor descriptor;
	for (int i = 0; i < 2; i++) {
		assert_head(model);
		assert_true(registry_manifest_head(model->registry, "c/d", "1", &descriptor, NULL));
		descriptor_release(&descriptor);
	}
}

/* covers: T-20, TOK-11 */
static void token_of_one_identity_is_never_used_for_another(void **state)
{
	static const char file[] = "{\"auths\":{\"r.test/a\":{\"auth\":\"dTpw\"},\"r.test/c\":{\"auth\":\"djpw\"}}}";
	/* Both may ask for either, as a registry does that always names the same scope. */
#define BOTH(other) REALM ",scope=\"repository:" other ":pull\""
	static const struct row rows[] = {
		{PING, "", 401, {REALM}},
		{"GET " TOKEN_URL "&account=u", "Accept: application/json\nAuthorization: Basic dTpw\n", 200, {NULL},
			"{\"token\":\"t1\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t1\n", 401, {BOTH("c/d")}},
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%2Fd%3Apull"
		 "&client_id=dray&account=u",
			"Accept: application/json\nAuthorization: Basic dTpw\n", 200, {NULL}, "{\"token\":\"t2\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t2\n", 200, {SAYS_A}},
		{"GET https://r.test/token?service=s&scope=repository%3Ac%2Fd%3Apull&client_id=dray&account=v",
			"Accept: application/json\nAuthorization: Basic djpw\n", 200, {NULL}, "{\"token\":\"t3\"}"},
		{"HEAD https://r.test/v2/c/d/manifests/1", ACCEPT "Authorization: Bearer t3\n", 401, {BOTH("a/b")}},
		/* the same set of scopes as of t2, and not t2 */
		{"GET https://r.test/token?service=s&scope=repository%3Ac%2Fd%3Apull&scope=repository%3Aa%2Fb%3Apull"
		 "&client_id=dray&account=v",
			"Accept: application/json\nAuthorization: Basic djpw\n", 200, {NULL}, "{\"token\":\"t4\"}"},
		{"HEAD https://r.test/v2/c/d/manifests/1", ACCEPT "Authorization: Bearer t4\n", 200, {SAYS_A}},
		{"GET " TOKEN_URL "&account=u", "Accept: application/json\nAuthorization: Basic dTpw\n", 200, {NULL},
			"{\"token\":\"t5\"}"},
		{HEAD_1, ACCEPT "Authorization: Bearer t5\n", 200, {SAYS_A}},
		{"GET https://r.test/token?service=s&scope=repository%3Ac%2Fd%3Apull&client_id=dray&account=v", NULL,
			200, {NULL}, "{\"token\":\"t6\"}"},
		{"HEAD https://r.test/v2/c/d/manifests/1", ACCEPT "Authorization: Bearer t6\n", 200, {SAYS_A}},
	};
	struct error err;
	(void)state;
	setenv("DOCKER_AUTH_CONFIG", file, 1);
	setenv("HOME", "/nonexistent", 1);
	struct credential_store *store = credential_store_new(NULL, 0, &err);
	assert_non_null(store);
	const struct registry_options options = {.domain = "r.test", .credentials = store};
	PLAY(head_here_and_there, &options, rows, NULL);
	credential_store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_are_not_sent_to_another_host),
		cmocka_unit_test(anonymous_token_may_come_from_another_host),
		cmocka_unit_test(token_request_follows_nobody_elsewhere),
		cmocka_unit_test(refusal_of_the_token_server_is_no_word_about_an_image),
		cmocka_unit_test(identity_token_is_posted),
		cmocka_unit_test(identity_token_is_a_password_where_post_is_unknown),
		cmocka_unit_test(identity_token_that_is_denied_is_no_password),
		cmocka_unit_test(basic_serves_where_the_token_server_does_not),
		cmocka_unit_test(basic_that_is_refused_is_not_tried_again),
		cmocka_unit_test(token_server_that_refuses_us_has_said_it),
		cmocka_unit_test(nobody_is_nobody_by_basic_either),
		cmocka_unit_test(token_server_is_asked_again_for_what_may_pass),
		cmocka_unit_test(words_of_the_token_server_are_told),
		cmocka_unit_test(token_of_one_identity_is_never_used_for_another),
		cmocka_unit_test(hostile_reply_of_a_token_server_is_no_token),
		cmocka_unit_test(credentials_go_where_the_configuration_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
