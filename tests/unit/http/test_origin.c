/* covers: RED-3, RED-5, UPL-6, AUTH-14, T-8, T-12, T-13, T-14, T-17, T-18, T-19, T-23, T-41 */
#include "sync/http/origin.h"

#include "base/memory.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct origin_row {
	const char *url;
	bool tls;
	const char *host; /* NULL: refused */
	int port;
	const char *why;
};

static void an_origin_is_scheme_host_and_port(void **state)
{
	(void)state;
	static const struct origin_row rows[] = {
		{"https://registry.example.com/v2/", true, "registry.example.com", 443, "the default port"},
		{"http://registry.example.com/v2/", false, "registry.example.com", 80, "the default port"},
		{"https://registry.example.com:443", true, "registry.example.com", 443, "the default, written"},
		{"https://registry.example.com:5000?a=b", true, "registry.example.com", 5000, "no path"},
		{"HTTPS://Registry.Example.COM/v2/", true, "registry.example.com", 443, "case"},
		{"https://registry.example.com./v2/", true, "registry.example.com", 443, "a trailing dot"},
		{"https://[::1]:5000/v2/", true, "::1", 5000, "IPv6"},
		{"https://[2001:DB8::1]/", true, "2001:db8::1", 443, "IPv6 without port"},
		{"https://[2001:0db8:0:0::0001]/", true, "2001:db8::1", 443, "the same address, written otherwise"},
		{"https://my_host-1/", true, "my_host-1", 443, "as Docker's networks name hosts"},
		{"https://example.com/a@b:c", true, "example.com", 443, "@ and : in the path are nobody's business"},
		{"https://example.com?x=a@evil", true, "example.com", 443, "and in the query"},
		{"https://example.com#@evil", true, "example.com", 443, "and in the fragment"},
		{"https://auth.docker.io@evil/", true, NULL, 0, "userinfo dressed as the host"},
		{"https://user:secret@example.com/", true, NULL, 0, "userinfo"},
		{"https://@example.com/", true, NULL, 0, "empty userinfo"},
		{"https://example.com\\@evil/", true, NULL, 0, "a backslash, which others read as a slash"},
		{"https://example.com%2eevil/", true, NULL, 0, "an escape in the host"},
		{"https://example.com%00.evil/", true, NULL, 0, "an escaped NUL"},
		{"https://ex\xc3\xa4mple.com/", true, NULL, 0, "not punycode"},
		{"https://exam ple.com/", true, NULL, 0, "a blank"},
		{"https://example.com/\r\nHost: evil", true, NULL, 0, "a line end"},
		{"https://example.com/\t", true, NULL, 0, "a tab"},
		{"https://example.com/\x7f", true, NULL, 0, "DEL"},
		{"https://example.com:/", true, NULL, 0, "an empty port"},
		{"https://example.com:0/", true, NULL, 0, "port 0"},
		{"https://example.com:65536/", true, NULL, 0, "a port too large"},
		{"https://example.com:80a/", true, NULL, 0, "a port that is no number"},
		{"https://example.com:-1/", true, NULL, 0, "a negative port"},
		{"https://example.com:443:80/", true, NULL, 0, "two ports"},
		{"https:///v2/", true, NULL, 0, "no host"},
		{"https://", true, NULL, 0, "nothing"},
		{"https://./", true, NULL, 0, "only the trailing dot"},
		{"https://example..com/", true, NULL, 0, "an empty label"},
		{"https://example.com../", true, NULL, 0, "two trailing dots"},
		{"https://[::1/", true, NULL, 0, "an open bracket"},
		{"https://[::1]5000/", true, NULL, 0, "no colon behind the bracket"},
		{"https://[fe80::1%25eth0]/", true, NULL, 0, "a zone"},
		{"https://[evil.com]/", true, NULL, 0, "no address in brackets"},
		{"https:example.com/", true, NULL, 0, "no slashes"},
		{"https:/example.com/", true, NULL, 0, "one slash"},
		{"ftp://example.com/", true, NULL, 0, "another scheme"},
		{"file:///etc/passwd", true, NULL, 0, "another scheme"},
		{"null://host/v2/token", true, NULL, 0, "AUTH-15"},
		{"//example.com/", true, NULL, 0, "not absolute"},
		{"example.com/", true, NULL, 0, "not absolute"},
		{"", true, NULL, 0, "empty"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct origin origin = {.port = -1};
		struct error err = {.kind = ERR_NONE};
		bool ok = origin_of(rows[i].url, &origin, &err);
		if (ok != (rows[i].host != NULL))
			fail_msg("%s: %s", rows[i].url, rows[i].why);
		if (!ok) {
			assert_int_equal(err.kind, ERR_REFUSED);
			assert_int_equal(origin.port, -1);
			continue;
		}
		if (!str_is(origin.host, rows[i].host) || origin.port != rows[i].port || origin.tls != rows[i].tls)
			fail_msg("%s: %s:%d: %s", rows[i].url, origin.host, origin.port, rows[i].why);
	}
}

/* T-8: a resolver that cuts a name finds another host. */
static void a_host_is_no_longer_than_a_resolver_takes(void **state)
{
	(void)state;
	struct origin origin;
	char url[320] = "https://";
	memset(url + 8, 'a', 253);
	for (int dot = 63; dot < 253; dot += 64)
		url[8 + dot] = '.';
	assert_true(origin_of(url, &origin, NULL));
	assert_int_equal(strlen(origin.host), 253);
	url[8 + 253] = 'a';
	assert_false(origin_of(url, &origin, NULL));
	url[8 + 253] = '\0';
	url[8 + 63] = 'a'; /* a label of 127 */
	assert_false(origin_of(url, &origin, NULL));
	url[8 + 64] = '\0';
	assert_false(origin_of(url, &origin, NULL));
	url[8 + 63] = '\0';
	assert_true(origin_of(url, &origin, NULL));
}

static void look_alikes_are_other_origins(void **state)
{
	(void)state;
	static const char *const others[] = {
		"http://registry.example.com",
		"http://registry.example.com:443",
		"https://registry.example.com:444",
		"https://example.com",
		"https://registry.example.com.evil.net",
		"https://evil-registry.example.com",
		"https://registry.example.co",
		"https://registry.example.com-evil.net",
		"https://registry_example.com",
		"https://xn--registry-example.com",
	};
	static const char *const same[] = {
		"https://registry.example.com",
		"https://REGISTRY.example.com:443/other",
		"https://registry.example.com.:443?x",
	};
	struct origin home, to;
	assert_true(origin_of("https://registry.example.com/v2/", &home, NULL));
	for (size_t i = 0; i < array_count(others); i++) {
		assert_true(origin_of(others[i], &to, NULL));
		assert_false(origin_equal(&home, &to));
	}
	for (size_t i = 0; i < array_count(same); i++) {
		assert_true(origin_of(same[i], &to, NULL));
		assert_true(origin_equal(&home, &to));
	}
}

struct resolve_row {
	const char *base, *reference, *want, *why;
};

static void a_reference_is_resolved_and_its_query_kept(void **state)
{
	(void)state;
	static const char base[] = "https://r.example:5000/v2/a/blobs/uploads/?x=1#f";
	static const struct resolve_row rows[] = {
		{base, "https://s.example/y?q", "https://s.example/y?q", "absolute"},
		{base, "HTTP://s.example", "HTTP://s.example", "absolute, no path"},
		{base, "//s.example/y", "https://s.example/y", "the scheme of the base"},
		{base, "/v2/b?_state=A%2fb%2F+%20==&z", "https://r.example:5000/v2/b?_state=A%2fb%2F+%20==&z",
			"the query, byte for byte"},
		{base, "/v2/b?u=https://x/../y", "https://r.example:5000/v2/b?u=https://x/../y",
			"dots in a query stay"},
		{base, "uuid?state=1", "https://r.example:5000/v2/a/blobs/uploads/uuid?state=1",
			"relative to a directory"},
		{base, "../c", "https://r.example:5000/v2/a/blobs/c", "one up"},
		{base, "../../../../../../etc", "https://r.example:5000/etc", "not above the root"},
		{base, "./c/.", "https://r.example:5000/v2/a/blobs/uploads/c/", "dots that name here"},
		{base, "/a/./b/../c/..", "https://r.example:5000/a/", "in an absolute path too"},
		{base, "https://s.example/a/../../b", "https://s.example/b", "in an absolute URL too"},
		{base, "?only=query", "https://r.example:5000/v2/a/blobs/uploads/?only=query", "only a query"},
		{base, "x#fragment", "https://r.example:5000/v2/a/blobs/uploads/x", "fragments are ours alone"},
		{base, "a//b", "https://r.example:5000/v2/a/blobs/uploads/a//b", "empty segments stay"},
		{base, "a:b/c", "a:b/c", "another scheme is left to be refused"},
		{base, "mailto:a@b", "mailto:a@b", "another scheme"},
		{"https://r.example/v2/x", "y", "https://r.example/v2/y", "beside a file"},
		{"https://r.example", "y", "https://r.example/y", "a base without a path"},
		{"https://r.example?q", "y", "https://r.example/y", "a base with a query and no path"},
		{base, "", NULL, "nothing"},
		{base, "/a b", NULL, "a blank"},
		{base, "/a\r\nX: y", NULL, "a line end"},
		{"ftp://r.example/", "/a", NULL, "a base of another scheme"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *url = origin_resolve(rows[i].base, rows[i].reference);
		if (rows[i].want ? !str_is(url, rows[i].want) : url != NULL)
			fail_msg("%s: got %s: %s", rows[i].reference, url ? url : "NULL", rows[i].why);
	}
}

static void what_is_printed_has_no_secrets(void **state)
{
	(void)state;
	static const struct {
		const char *url, *want;
	} rows[] = {
		{"https://h.example:5000/v2/a?X-Amz-Signature=SECRET", "https://h.example:5000/v2/a"},
		{"https://h.example/a#SECRET", "https://h.example/a"},
		{"https://h.example?SECRET", "https://h.example"},
		{"https://user:SECRET@h.example/a", "https://h.example/a"},
		{"https://user:SECRET@x@h.example/a", "https://h.example/a"},
		{"https://h.example/a@b", "https://h.example/a@b"},
		{"https://h.example/\x1b[31m", "https://h.example/\\x1b[31m"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text = origin_printable(rows[i].url);
		assert_string_equal(text, rows[i].want);
	}
}

static enum address_class class_of(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return origin_address_class((const struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return origin_address_class((const struct sockaddr *)&v6);
}

static void addresses_fall_into_classes(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		enum address_class want;
	} rows[] = {
		{"1.1.1.1", ADDRESS_PUBLIC},
		{"9.255.255.255", ADDRESS_PUBLIC},
		{"10.0.0.1", ADDRESS_PRIVATE},
		{"11.0.0.0", ADDRESS_PUBLIC},
		{"100.63.255.255", ADDRESS_PUBLIC},
		{"100.64.0.1", ADDRESS_PRIVATE},
		{"100.100.100.200", ADDRESS_FORBIDDEN},
		{"100.128.0.0", ADDRESS_PUBLIC},
		{"127.0.0.1", ADDRESS_LOOPBACK},
		{"127.255.255.254", ADDRESS_LOOPBACK},
		{"128.0.0.1", ADDRESS_PUBLIC},
		{"0.0.0.0", ADDRESS_FORBIDDEN},
		{"0.1.2.3", ADDRESS_FORBIDDEN},
		{"169.253.255.255", ADDRESS_PUBLIC},
		{"169.254.169.254", ADDRESS_FORBIDDEN},
		{"169.255.0.0", ADDRESS_PUBLIC},
		{"172.15.255.255", ADDRESS_PUBLIC},
		{"172.16.0.1", ADDRESS_PRIVATE},
		{"172.31.255.255", ADDRESS_PRIVATE},
		{"172.32.0.0", ADDRESS_PUBLIC},
		{"192.0.0.192", ADDRESS_FORBIDDEN},
		{"192.168.1.1", ADDRESS_PRIVATE},
		{"192.169.0.0", ADDRESS_PUBLIC},
		{"198.18.0.1", ADDRESS_PRIVATE},
		{"223.255.255.255", ADDRESS_PUBLIC},
		{"224.0.0.1", ADDRESS_FORBIDDEN},
		{"255.255.255.255", ADDRESS_FORBIDDEN},
		{"2606:4700::1111", ADDRESS_PUBLIC},
		{"::1", ADDRESS_LOOPBACK},
		{"::", ADDRESS_FORBIDDEN},
		{"::2", ADDRESS_FORBIDDEN},
		{"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
		{"::ffff:10.0.0.1", ADDRESS_PRIVATE},
		{"::ffff:169.254.169.254", ADDRESS_FORBIDDEN},
		{"::ffff:1.1.1.1", ADDRESS_PUBLIC},
		{"::127.0.0.1", ADDRESS_LOOPBACK},
		{"64:ff9b::169.254.169.254", ADDRESS_FORBIDDEN},
		{"64:ff9b::7f00:1", ADDRESS_LOOPBACK},
		{"2002:7f00:1::", ADDRESS_LOOPBACK},
		{"2002:a9fe:a9fe::1", ADDRESS_FORBIDDEN},
		{"fc00::1", ADDRESS_PRIVATE},
		{"fd12:3456::1", ADDRESS_PRIVATE},
		{"fd00:ec2::254", ADDRESS_FORBIDDEN},
		{"fe80::1", ADDRESS_FORBIDDEN},
		{"fec0::1", ADDRESS_FORBIDDEN},
		{"ff02::1", ADDRESS_FORBIDDEN},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (class_of(rows[i].address) != rows[i].want)
			fail_msg("%s", rows[i].address);
	struct sockaddr local = {.sa_family = AF_UNIX};
	assert_int_equal(origin_address_class(&local), ADDRESS_FORBIDDEN);
}

static void https_never_leads_to_http(void **state)
{
	(void)state;
	struct origin plain, secure;
	struct error err = {.kind = ERR_NONE};
	assert_true(origin_of("http://h.example", &plain, NULL));
	assert_true(origin_of("https://h.example", &secure, NULL));
	assert_true(origin_may_follow(&plain, &secure, &err));
	assert_true(origin_may_follow(&plain, &plain, &err));
	assert_true(origin_may_follow(&secure, &secure, &err));
	assert_false(origin_may_follow(&secure, &plain, &err));
	assert_int_equal(err.kind, ERR_REFUSED);
}

static void local_addresses_are_for_local_homes(void **state)
{
	(void)state;
	enum { CLASSES = 4 };
	static const bool want[CLASSES][CLASSES] = {
		/*                     to PUBLIC PRIVATE LOOPBACK FORBIDDEN */
		[ADDRESS_PUBLIC] = {true, false, false, false},
		[ADDRESS_PRIVATE] = {true, true, false, false},
		[ADDRESS_LOOPBACK] = {true, true, true, false},
		[ADDRESS_FORBIDDEN] = {true, false, false, false},
	};
	for (int home = 0; home < CLASSES; home++)
		for (int to = 0; to < CLASSES; to++)
			assert_int_equal(
				origin_may_connect((enum address_class)home, (enum address_class)to), want[home][to]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_origin_is_scheme_host_and_port),
		cmocka_unit_test(a_host_is_no_longer_than_a_resolver_takes),
		cmocka_unit_test(look_alikes_are_other_origins),
		cmocka_unit_test(a_reference_is_resolved_and_its_query_kept),
		cmocka_unit_test(what_is_printed_has_no_secrets),
		cmocka_unit_test(addresses_fall_into_classes),
		cmocka_unit_test(https_never_leads_to_http),
		cmocka_unit_test(local_addresses_are_for_local_homes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
