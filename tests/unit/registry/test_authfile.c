#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/authfile.h"

/* dTpw is u:p; each row's entry of interest gives the user u. */
#define GOOD "{\"auth\":\"dTpw\"}"
/* ZXZpbDp4 is evil:x */
#define EVIL "{\"auth\":\"ZXZpbDp4\"}"

/* covers: CRED-2, CRED-3, CRED-4, T-19 */
static void credentials_are_found_by_exact_host(void **state)
{
	static const struct {
		const char *auths, *domain, *repository;
		const char *user; /* NULL: none */
		const char *why;
	} rows[] = {
		{"{\"r.test:5000\":" GOOD "}", "r.test:5000", "a/b", "u", "host and port"},
		{"{\"https://r.test:5000/v1/\":" GOOD "}", "r.test:5000", "a/b", "u", "a URL, as old docker wrote it"},
		{"{\"http://r.test:5000\":" GOOD "}", "r.test:5000", "a/b", "u", "http"},
		{"{\"https://r.test/anything/else\":" GOOD "}", "r.test", "a/b", "u", "a URL's path means nothing"},
		{"{\"R.Test\":" GOOD "}", "r.test", "a/b", "u", "case"},
		{"{\"r.test.\":" GOOD "}", "r.test", "a/b", "u", "a trailing dot"},
		{"{\"r.test:443\":" GOOD "}", "r.test", "a/b", "u", "the default port"},
		{"{\"r.test\":" GOOD "}", "r.test:443", "a/b", "u", "the default port, turned round"},
		{"{\"https://index.docker.io/v1/\":" GOOD "}", "docker.io", "library/x", "u", "Docker Hub (CRED-4)"},
		{"{\"index.docker.io\":" GOOD "}", "docker.io", "library/x", "u", "Docker Hub"},
		{"{\"registry-1.docker.io\":" GOOD "}", "docker.io", "library/x", "u", "Docker Hub"},
		{"{\"docker.io\":" GOOD "}", "docker.io", "library/x", "u", "Docker Hub"},
		{"{\"r.test/team\":" GOOD ",\"r.test\":" EVIL "}", "r.test", "team/x", "u", "podman's namespace"},
		{"{\"r.test\":" EVIL ",\"r.test/team\":" GOOD "}", "r.test", "team", "u", "the repository itself"},
		{"{\"r.test/team\":" EVIL ",\"r.test\":" GOOD "}", "r.test", "teammate/x", "u", "not half a word"},
		{"{\"r.test/a\":" EVIL ",\"r.test/a/b\":" GOOD "}", "r.test", "a/b/c", "u", "the longest"},
		{"{\"r.test/team\":" EVIL "}", "r.test", "other/x", NULL, "another namespace"},
		{"{\"r.test\":" GOOD ",\"https://r.test/v1/\":" EVIL "}", "r.test", "a", "u", "the first of equals"},
		{"{\"r.test\":{},\"https://r.test\":" GOOD "}", "r.test", "a", "u", "an empty entry is a mark only"},
		/* T-19 */
		{"{\"r.test:5001\":" EVIL "}", "r.test:5000", "a", NULL, "another port"},
		{"{\"r.test:80\":" EVIL "}", "r.test", "a", NULL, "port 80 is not 443"},
		{"{\"r.test\":" EVIL "}", "r.test:80", "a", NULL, "nor turned round"},
		{"{\"r.test\":" EVIL "}", "r.test.evil", "a", NULL, "a suffix more"},
		{"{\"r.test\":" EVIL "}", "evil.r.test", "a", NULL, "a prefix more"},
		{"{\"r.test\":" EVIL "}", "xr.test", "a", NULL, "a letter more"},
		{"{\"azurecr.io\":" EVIL "}", "evil.azurecr.io.attacker.com", "a", NULL, "within"},
		{"{\"*.test\":" EVIL "}", "r.test", "a", NULL, "no patterns"},
		{"{\"r%2etest\":" EVIL "}", "r.test", "a", NULL, "no escapes"},
		{"{\"x@r.test\":" EVIL "}", "r.test", "a", NULL, "no userinfo"},
		{"{\"docker.io\":" EVIL "}", "docker.io.evil", "a", NULL, "a look-alike of Docker Hub"},
		{"{\"hub.docker.io\":" EVIL "}", "docker.io", "a", NULL, "not one of its names"},
		{"{\"\":" EVIL "}", "r.test", "a", NULL, "no host"},
		{"{\"r.test:05000\":" EVIL "}", "r.test:5000", "a", NULL, "another spelling of a port"},
		{"{\"r.test..\":" EVIL "}", "r.test", "a", NULL, "two dots"},
		{"{\".r.test\":" EVIL "}", "r.test", "a", NULL, "a dot before"},
		{"{\"test\":" EVIL "}", "r.test", "a", NULL, "the domain above"},
		{"{\"r\":" EVIL "}", "r.test", "a", NULL, "the first label"},
		{"{\"r.tes\":" EVIL "}", "r.test", "a", NULL, "a letter less"},
		{"{\"r_test\":" EVIL "}", "r.test", "a", NULL, "a dot is a dot"},
		{"{\"r.te\\u0455t\":" EVIL "}", "r.test", "a", NULL, "a Cyrillic s"},
		{"{\"xn--r-test\":" EVIL "}", "r.test", "a", NULL, "punycode"},
		{"{\"r.test\\\\x\":" EVIL "}", "r.test", "a", NULL, "a backslash"},
		{"{\" r.test\":" EVIL "}", "r.test", "a", NULL, "a blank before"},
		{"{\"r.test \":" EVIL "}", "r.test", "a", NULL, "a blank behind"},
		{"{\"r.test?x\":" EVIL "}", "r.test", "a", NULL, "a query"},
		{"{\"r.test#x\":" EVIL "}", "r.test", "a", NULL, "a fragment"},
		{"{\"ftp://r.test\":" EVIL "}", "r.test", "a", NULL, "another scheme"},
		{"{\"//r.test\":" EVIL "}", "r.test", "a", NULL, "no scheme"},
		{"{\"https://evil/r.test\":" EVIL "}", "r.test", "a", NULL, "a path of another"},
		{"{\"https://r.test@evil\":" EVIL "}", "r.test", "a", NULL, "userinfo of another"},
		{"{\"127.0.0.1:5000\":" EVIL "}", "127.1:5000", "a", NULL, "an address is its text"},
		{"{\"127.0.0.1:5000\":" EVIL "}", "localhost:5000", "a", NULL, "a name is not its address"},
		{"{\"[::1]:5000\":" EVIL "}", "[::]:5000", "a", NULL, "another IPv6 address"},
		{"{\"index.docker.io:5000\":" EVIL "}", "docker.io", "a", NULL, "another port of Docker Hub"},
		{"{\"docker.io\":" EVIL "}", "registry.docker.io", "a", NULL, "a sub-domain of Docker Hub"},
		{"{\"docker.io\":" EVIL "}", "xdocker.io", "a", NULL, "longer than Docker Hub"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text = memory_format("{\"auths\":%s}", rows[i].auths);
		auto_free char *host = authfile_host(rows[i].domain);
		struct authfile file;
		struct error err;
		if (!authfile_parse(text, strlen(text), false, &file, &err))
			fail_msg("%s: %s", rows[i].why, err.text);
		const struct credential *found = authfile_find(&file, host, rows[i].repository);
		if (rows[i].user ? !found || !str_is(found->username, rows[i].user) : found != NULL)
			fail_msg("%s: %s", rows[i].why, found ? found->username : "none");
		authfile_release(&file);
	}
}

/* covers: CRED-5, TOK-15, TOK-17, TOK-18 */
static void fields_of_an_entry_are_read(void **state)
{
	static const struct {
		const char *entry, *username, *password, *identity, *registry;
	} rows[] = {
		{"{\"auth\":\"dTpw\"}", "u", "p", NULL, NULL},
		{"{\"auth\":\"dTpwOnc=\"}", "u", "p:w", NULL, NULL},
		{"{\"auth\":\"dTo=\"}", "u", "", NULL, NULL},
		{"{\"auth\":\"\",\"username\":\"u\",\"password\":\"p\"}", "u", "p", NULL, NULL},
		{"{\"username\":\"u\"}", "u", "", NULL, NULL},
		{"{\"auth\":\"dTpw\",\"identitytoken\":\"t\"}", "u", "p", "t", NULL},
		{"{\"auth\":\"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==\",\"identitytoken\":\"t\"}",
			"00000000-0000-0000-0000-000000000000", "", "t", NULL}, /* az acr login */
		{"{\"registrytoken\":\"t\",\"email\":\"x@y\"}", NULL, NULL, NULL, "t"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text = memory_format("{\"auths\":{\"r\":%s}}", rows[i].entry);
		struct authfile file;
		assert_true(authfile_parse(text, strlen(text), false, &file, NULL));
		const struct credential *found = authfile_find(&file, "r", "a");
		assert_non_null(found);
		const char *const want[] = {rows[i].username, rows[i].password, rows[i].identity, rows[i].registry};
		const char *const got[] = {
			found->username, found->password, found->identity_token, found->registry_token};
		for (size_t k = 0; k < array_count(want); k++)
			if (want[k] ? !str_is(want[k], got[k]) : got[k] != NULL)
				fail_msg("%s: %zu", rows[i].entry, k);
		authfile_release(&file);
	}
}

/* covers: T-23 */
static void what_is_no_such_file_is_refused_without_its_secrets(void **state)
{
	static const struct {
		const char *text;
		const char *names;
	} rows[] = {
		{"", "JSON"},
		{"{not json", "JSON"},
		{"[]", "object"},
		{"{\"auths\":[]}", "auths"},
		{"{\"auths\":{\"r\":\"hunter2\"}}", "r"},
		{"{\"auths\":{\"r\":{\"auth\":\"hunter2\"}}}", "r"},
		{"{\"auths\":{\"r\":{\"auth\":\"bm9jb2xvbmh1bnRlcjI=\"}}}", "r"},
		{"{\"auths\":{\"r\":{\"auth\":\"Omh1bnRlcjI=\"}}}", "r"},
		{"{\"auths\":{\"r\":{\"auth\":7}}}", "auth"},
		{"{\"auths\":{},\"auths\":{}}", "JSON"},
		{"{\"credHelpers\":{\"r\":7}}", "r"},
		{"{\"credsStore\":{}}", "credsStore"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct authfile file;
		struct error err = {.kind = ERR_NONE};
		if (authfile_parse(rows[i].text, strlen(rows[i].text), false, &file, &err))
			fail_msg("accepted: %s", rows[i].text);
		assert_int_equal(err.kind, ERR_INVALID);
		if (!strstr(err.text, rows[i].names) || strstr(err.text, "hunter2"))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

/* covers: CRED-1 */
static void legacy_file_is_auths_alone(void **state)
{
	static const char text[] = "{\"https://index.docker.io/v1/\":" GOOD "}";
	struct authfile file;
	(void)state;
	assert_true(authfile_parse(text, sizeof text - 1, true, &file, NULL));
	assert_non_null(authfile_find(&file, "docker.io", "library/x"));
	authfile_release(&file);
}

/* covers: CRED-12 */
static void helper_is_found_by_host_and_keeps_its_spelling(void **state)
{
	static const char text[] = "{\"credHelpers\":{\"https://R.test:443\":\"h\"},\"credsStore\":\"s\"}";
	struct authfile file;
	(void)state;
	assert_true(authfile_parse(text, sizeof text - 1, false, &file, NULL));
	const struct authfile_helper *helper = authfile_helper(&file, "r.test");
	assert_non_null(helper);
	assert_string_equal(helper->name, "h");
	assert_string_equal(helper->spelled, "https://R.test:443");
	assert_null(authfile_helper(&file, "r.test:5000"));
	assert_string_equal(file.store, "s");
	authfile_release(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_are_found_by_exact_host),
		cmocka_unit_test(fields_of_an_entry_are_read),
		cmocka_unit_test(what_is_no_such_file_is_refused_without_its_secrets),
		cmocka_unit_test(legacy_file_is_auths_alone),
		cmocka_unit_test(helper_is_found_by_host_and_keeps_its_spelling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
