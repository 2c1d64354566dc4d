#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/challenge.h"
#include "sync/registry/scope.h"
#include "sync/registry/secret.h"

/* covers: AUTH-5, AUTH-6, AUTH-7, AUTH-8, AUTH-9, AUTH-19 */
static void strongest_challenge_is_kept(void **state)
{
	static const struct {
		const char *lines[2];
		enum challenge_scheme scheme;
		const char *realm, *service, *scope, *why;
	} rows[] = {
		{{"Bearer realm=\"https://auth.test/token\",service=\"r.test\",scope=\"repository:a/b:pull,push\""},
			CHALLENGE_BEARER, "https://auth.test/token", "r.test", "repository:a/b:pull,push", "docker"},
		{{"Basic realm=\"Registry Realm\""}, CHALLENGE_BASIC, "Registry Realm", NULL, NULL, "htpasswd"},
		{{"Basic"}, CHALLENGE_BASIC, NULL, NULL, NULL, "old Gitea: no parameters (AUTH-8)"},
		{{"bEARER Realm=\"https://a/\",SERVICE=s"}, CHALLENGE_BEARER, "https://a/", "s", NULL,
			"names in any case (AUTH-6)"},
		{{"Basic realm=\"x\"", "Bearer realm=\"https://a/\""}, CHALLENGE_BEARER, "https://a/", NULL, NULL,
			"two lines, the stronger second (AUTH-9)"},
		{{"Bearer realm=\"https://a/\"", "Basic realm=\"x\""}, CHALLENGE_BEARER, "https://a/", NULL, NULL,
			"two lines, the stronger first"},
		{{"Basic realm=\"x\", Bearer realm=\"https://a/\", service=\"s\""}, CHALLENGE_BEARER, "https://a/", "s",
			NULL, "both in one line (AUTH-5)"},
		{{"Bearer realm=\"https://a/\", Basic realm=\"x\""}, CHALLENGE_BEARER, "https://a/", NULL, NULL,
			"both in one line, turned round"},
		{{"Digest realm=\"d\", nonce=\"n\", Basic realm=\"x\""}, CHALLENGE_BASIC, "x", NULL, NULL,
			"what we do not speak is passed over"},
		{{"Negotiate, NTLM"}, CHALLENGE_NONE, NULL, NULL, NULL, "nothing we speak"},
		{{"Negotiate oRQwEqADCgEBoQ=="}, CHALLENGE_NONE, NULL, NULL, NULL, "token68"},
		{{"Bearer realm=https://z.test/zot/auth?x=1,service=z"}, CHALLENGE_BEARER,
			"https://z.test/zot/auth?x=1", "z", NULL, "zot: a bare URL (AUTH-7)"},
		{{"Bearer realm = \"https://a/\" , service = \"s\""}, CHALLENGE_BEARER, "https://a/", "s", NULL,
			"blanks around"},
		{{"Bearer realm=\"https://a/?q=\\\"x\\\"\",service=\"a\\\\b\""}, CHALLENGE_BEARER, "https://a/?q=\"x\"",
			"a\\b", NULL, "escapes"},
		{{"Bearer realm=\"https://a/\",service=\"unfinished, x"}, CHALLENGE_BEARER, "https://a/",
			"unfinished, x", NULL, "no closing quote: the rest of the line"},
		{{"Bearer realm=\"https://a/\",error=\"insufficient_scope\",scope=\"\""}, CHALLENGE_BEARER,
			"https://a/", NULL, "", "zot: an empty scope; unknown parameters (AUTH-8)"},
		{{"Bearer realm=\"https://a/\",realm=\"https://evil/\""}, CHALLENGE_BEARER, "https://a/", NULL, NULL,
			"the first of two equal names"},
		{{"Bearer realm=\"https://a/\", Bearer realm=\"https://b/\""}, CHALLENGE_BEARER, "https://a/", NULL,
			NULL, "the first of two equal schemes"},
		{{"Bearer service=\"s\""}, CHALLENGE_NONE, NULL, NULL, NULL, "a Bearer without realm is no use"},
		{{"Bearer realm=\"\", Basic"}, CHALLENGE_BASIC, NULL, NULL, NULL, "nor with an empty one"},
		{{", ,, Basic realm=x"}, CHALLENGE_BASIC, "x", NULL, NULL, "empty list items"},
		{{""}, CHALLENGE_NONE, NULL, NULL, NULL, "nothing"},
		{{"=,\"=\""}, CHALLENGE_NONE, NULL, NULL, NULL, "rubbish"},
		{{"realm=\"https://a/\""}, CHALLENGE_NONE, NULL, NULL, NULL, "parameters of no scheme"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct challenge challenge = {.scheme = CHALLENGE_NONE};
		for (size_t k = 0; k < 2 && rows[i].lines[k]; k++)
			challenge_read(&challenge, rows[i].lines[k]);
		bool right = challenge.scheme == rows[i].scheme;
		const char *const want[] = {rows[i].realm, rows[i].service, rows[i].scope};
		const char *const got[] = {challenge.realm, challenge.service, challenge.scope};
		for (size_t k = 0; k < array_count(want); k++)
			right &= want[k] ? str_is(want[k], got[k]) : !got[k];
		if (!right)
			fail_msg("%s: %s", rows[i].why, rows[i].lines[0]);
		challenge_release(&challenge);
	}
}

/* covers: TOK-3, TOK-6, AUTH-18, AUTH-19 */
static void scopes_of_one_name_are_joined_and_keep_their_order(void **state)
{
	static const struct {
		const char *list, *first, *key, *why;
	} rows[] = {
		{"", "repository:z/t:pull,push", "repository:z/t:pull,push", "nothing added"},
		{"repository:z/t:pull", "repository:z/t:pull,push", "repository:z/t:pull,push", "there already"},
		{"repository:z/t:delete,pull", "repository:z/t:pull,push,delete", "repository:z/t:pull,push,delete",
			"an action more"},
		{"repository:a/s:pull", "repository:z/t:pull,push", "repository:a/s:pull repository:z/t:pull,push",
			"another name: ours stays first (TOK-3), the key is sorted"},
		{"repository:z/t:pull repository:a/s:pull", "repository:z/t:pull,push",
			"repository:a/s:pull repository:z/t:pull,push", "two in one challenge (TOK-6)"},
		{"aws", "repository:z/t:pull,push", "aws repository:z/t:pull,push", "no scope of ours, verbatim"},
		{"*", "repository:z/t:pull,push", "* repository:z/t:pull,push", "Gitea"},
		{"repository:host:5000/img:pull", "repository:z/t:pull,push",
			"repository:host:5000/img:pull repository:z/t:pull,push", "a name with colons (AUTH-19)"},
		{"  aws   aws ", "repository:z/t:pull,push", "aws repository:z/t:pull,push", "blanks, and twice"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_scopes struct scopes scopes = {.count = 0};
		scopes_add(&scopes, "z/t", SCOPE_PUSH);
		scopes_add_list(&scopes, rows[i].list);
		auto_free char *key = scopes_key(&scopes);
		if (!str_is(scopes.texts[0], rows[i].first) || !str_is(key, rows[i].key))
			fail_msg("%s: %s, %s", rows[i].why, scopes.texts[0], key);
	}
}

/* covers: AUTH-8, AUTH-9, AUTH-18 */
static void what_else_a_challenge_says_is_kept(void **state)
{
	static const struct {
		const char *lines[2];
		const char *error;
		bool offers_basic;
		const char *why;
	} rows[] = {
		{{"Bearer realm=\"https://a/\",error=\"insufficient_scope\""}, "insufficient_scope", false, "an error"},
		{{"Bearer error=invalid_token , realm=\"https://a/\""}, "invalid_token", false,
			"an error before the realm"},
		{{"Bearer realm=\"https://a/\",error_description=\"error=x\""}, NULL, false, "not an error"},
		{{"Bearer realm=\"https://a/\"", "Basic realm=\"x\""}, NULL, true, "Gitea: two lines"},
		{{"Basic realm=\"x\"", "Bearer realm=\"https://a/\""}, NULL, true, "turned round"},
		{{"Basic realm=\"x\",Bearer realm=\"https://a/\",Digest realm=\"y\""}, NULL, true, "one line"},
		{{"Bearer realm=\"https://a/\",Negotiate"}, NULL, false, "what we do not speak"},
		{{"Bearer realm=\"https://a/\",basic=\"x\""}, NULL, false, "a parameter"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct challenge challenge = {.scheme = CHALLENGE_NONE};
		for (size_t k = 0; k < 2 && rows[i].lines[k]; k++)
			challenge_read(&challenge, rows[i].lines[k]);
		bool right = challenge.scheme == CHALLENGE_BEARER && challenge.offers_basic == rows[i].offers_basic &&
			     (rows[i].error ? str_is(rows[i].error, challenge.error) : !challenge.error);
		if (!right)
			fail_msg("%s: %s", rows[i].why, rows[i].lines[0]);
		challenge_release(&challenge);
	}
}

static void scopes_without_end_are_cut(void **state)
{
	auto_scopes struct scopes scopes = {.count = 0};
	(void)state;
	scopes_add(&scopes, "ours", SCOPE_PULL);
	scopes_add_list(&scopes, "a b c d e f g h i j k l m n o p");
	assert_int_equal(scopes.count, SCOPES_MAX);
	assert_string_equal(scopes.texts[0], "repository:ours:pull");
}

/* covers: CRED-5 */
static void base64_is_read_as_writers_leave_it(void **state)
{
	static const struct {
		const char *base64, *text, *why;
	} rows[] = {
		{"dTpw", "u:p", "no padding needed"},
		{"dTpwMQ==", "u:p1", "two"},
		{"dTpwMTI=", "u:p12", "one"},
		{"dTpwMQ", "u:p1", "left out (CRED-5)"},
		{"dTpwMTI", "u:p12", "left out"},
		{"dTpwAAA=", "u:p", "NULs at the end (CRED-5)"},
		{"", "", "nothing"},
		{"dTpwM", NULL, "a lone letter"},
		{"dTpw=", NULL, "padding too much"},
		{"dT w", NULL, "a blank"},
		{"dT-_", NULL, "the other alphabet"},
		{"dQBw", NULL, "a NUL within"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_secret char *text = NULL;
		bool ok = secret_decode(rows[i].base64, &text);
		if (ok != (rows[i].text != NULL) || (ok && !str_is(text, rows[i].text)))
			fail_msg("%s: %s", rows[i].why, rows[i].base64);
	}
	auto_secret char *header = secret_basic("Aladdin", "open sesame");
	assert_string_equal(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strongest_challenge_is_kept),
		cmocka_unit_test(what_else_a_challenge_says_is_kept),
		cmocka_unit_test(scopes_of_one_name_are_joined_and_keep_their_order),
		cmocka_unit_test(scopes_without_end_are_cut),
		cmocka_unit_test(base64_is_read_as_writers_leave_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
