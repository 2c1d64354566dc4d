/* covers: REF-1, REF-2, REF-3, REF-5, REF-6, REF-7, REF-8, REF-9, REF-10, T-38 */
#include "oci/reference.h"

#include "base/memory.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SHA "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static void references_are_read_as_docker_reads_them(void **state)
{
	(void)state;
	static const struct {
		const char *text, *canonical, *why;
	} rows[] = {
		{"alpine", "docker.io/library/alpine", "a short name"},
		{"alpine:3.20", "docker.io/library/alpine:3.20", "with a tag"},
		{"alpine@" SHA, "docker.io/library/alpine@" SHA, "with a digest"},
		{"alpine:3.20@" SHA, "docker.io/library/alpine:3.20@" SHA, "with both (REF-8)"},
		{"docker://alpine", "docker.io/library/alpine", "skopeo's spelling"},
		{"grafana/grafana", "docker.io/grafana/grafana", "no library/ in front of two parts"},
		{"docker.io/alpine", "docker.io/library/alpine", "the Hub by name"},
		{"index.docker.io/alpine", "docker.io/library/alpine", "the Hub by its other name"},
		{"Docker.IO/alpine", "docker.io/library/alpine", "names of hosts have no case"},
		{"docker.io/library/alpine", "docker.io/library/alpine", "the Hub, written out"},
		{"quay.io/alpine", "quay.io/alpine", "library/ is the Hub's alone"},
		{"example.com", "docker.io/library/example.com", "without a slash it is no domain"},
		{"foo:5000", "docker.io/library/foo:5000", "without a slash it is a tag"},
		{"localhost/a", "localhost/a", "the one word that is a domain"},
		{"localhost:5000/a:b", "localhost:5000/a:b", "port and tag"},
		{"reg:5000/a", "reg:5000/a", "a colon makes a domain"},
		{"Reg/a", "Reg/a", "upper case makes a domain"},
		{"reg/a", "docker.io/reg/a", "nothing makes a domain"},
		{"10.0.0.1/a", "10.0.0.1/a", "an address"},
		{"[::1]:5000/a", "[::1]:5000/a", "IPv6 with a port"},
		{"[2001:db8::1]/a/b:c", "[2001:db8::1]/a/b:c", "IPv6 without"},
		{"r.io/a/b/c/d", "r.io/a/b/c/d", "deep"},
		{"r.io/a__b/c---d.e_f", "r.io/a__b/c---d.e_f", "every separator"},
		{"r.io/a:_Tag-1.0", "r.io/a:_Tag-1.0", "every letter of a tag"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct reference reference;
		struct error err = {0};
		if (!reference_parse(rows[i].text, &reference, &err))
			fail_msg("%s (%s): %s", rows[i].text, rows[i].why, err.text);
		auto_free char *canonical = reference_format(&reference);
		assert_string_equal(canonical, rows[i].canonical);
		reference_release(&reference);
		assert_true(reference_parse(canonical, &reference, NULL));
		auto_free char *again = reference_format(&reference);
		assert_string_equal(again, canonical);
		reference_release(&reference);
	}
}

static void bad_references_are_refused_with_the_rule(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "repository"},
		{"docker://", "repository"},
		{"r.io/", "repository"},
		{"r.io//a", "repository"},
		{"/a", "a layout is written oci:DIR"},
		{"a//b", "repository"},
		{"a/", "repository"},
		{"Alpine", "upper case"},
		{"r.io/Alpine", "upper case"},
		{"a___b", "repository"},
		{"a..b", "repository"},
		{"-a", "repository"},
		{"a-", "repository"},
		{"r.io/../etc", "repository"},
		{"r.io/a%2fb", "repository"},
		{"r.io/a b", "repository"},
		{"r.io/a?x=1", "repository"},
		{"a:", "tag"},
		{"a:-x", "tag"},
		{"a:.x", "tag"},
		{"a:x/y", "host"},
		{"r.io/a:x y", "tag"},
		{"a:b:c", "repository"},
		{"a@sha256:12", "digest"},
		{"a@", "digest"},
		{"a@" SHA "@" SHA, "digest"},
		{"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "image ID"},
		{"r.io:0/a", "host"},
		{"r.io:65536/a", "host"},
		{"r.io:/a", "host"},
		{"r.io:x/a", "host"},
		{"-r.io/a", "host"},
		{"r-.io/a", "host"},
		{"r..io/a", "host"},
		{"user@r.io/a", "digest"},
		{"[::1/a", "host"},
		{"[::1]x/a", "host"},
		{"[fe80::1%eth0]/a", "host"},
		{"[:::]:5000/a", "host"},
		{"https://r.io/a", "without http:// or https://"},
		{"/srv/layout", "a layout is written oci:DIR"},
		{"./layout", "a layout is written oci:DIR"},
		{"../layout:1", "a layout is written oci:DIR"},
		{"a\r\nb", "repository"},
		{"a\033[2J", "repository"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct reference reference = {.tag = (char *)"untouched"};
		struct error err = {0};
		if (reference_parse(rows[i].text, &reference, &err))
			fail_msg("\"%s\" was taken", rows[i].text);
		assert_int_equal(err.kind, ERR_INVALID);
		assert_string_equal(reference.tag, "untouched");
		const char *rule = strrchr(err.text, '"') ? strstr(err.text, "\": ") : NULL;
		if (!rule || !strstr(rule, rows[i].says))
			fail_msg("\"%s\": %s", rows[i].text, err.text);
		assert_null(strpbrk(err.text, "\r\n\033"));
	}
}

static void names_have_their_greatest_length(void **state)
{
	(void)state;
	char name[REFERENCE_NAME_MAX + 2], tag[REFERENCE_TAG_MAX + 2];
	memset(name, 'a', sizeof name);
	memset(tag, 't', sizeof tag);
	name[sizeof name - 1] = tag[sizeof tag - 1] = '\0';
	assert_false(reference_is_repository(name));
	assert_false(reference_is_domain(name));
	assert_false(reference_is_tag(tag));
	name[REFERENCE_NAME_MAX] = tag[REFERENCE_TAG_MAX] = '\0';
	assert_true(reference_is_repository(name));
	assert_true(reference_is_domain(name));
	assert_true(reference_is_tag(tag));
}

static void a_server_names_nothing_outside_the_grammar(void **state)
{
	(void)state;
	static const char *const names[] = {"", ".", "..", "../a", "a/../b", "-rf", "a/-rf", "%2e%2e", "a%2f", "a\nb",
		"a b", "/a", "a/", "\xc3\xa4", "*"};
	for (size_t i = 0; i < array_count(names); i++) {
		assert_false(reference_is_repository(names[i]));
		assert_false(reference_is_tag(names[i]));
	}
}

static void latest_is_made_up_only_where_nothing_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *tag;
	} rows[] = {{"a", "latest"}, {"a:1", "1"}, {"a@" SHA, NULL}, {"a:1@" SHA, "1"}};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct reference reference;
		assert_true(reference_parse(rows[i].text, &reference, NULL));
		reference_default_tag(&reference);
		assert_true(rows[i].tag ? str_is(reference.tag, rows[i].tag) : !reference.tag);
		reference_release(&reference);
		reference_release(&reference);
	}
}

static void the_hub_is_talked_to_under_its_own_host(void **state)
{
	(void)state;
	struct reference reference;
	assert_true(reference_parse("alpine:3", &reference, NULL));
	auto_free char *name = reference_name(&reference);
	assert_string_equal(name, "docker.io/library/alpine");
	assert_string_equal(reference_host(reference.domain), "registry-1.docker.io");
	assert_string_equal(reference_host("localhost:5000"), "localhost:5000");
	reference_release(&reference);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_read_as_docker_reads_them),
		cmocka_unit_test(bad_references_are_refused_with_the_rule),
		cmocka_unit_test(names_have_their_greatest_length),
		cmocka_unit_test(a_server_names_nothing_outside_the_grammar),
		cmocka_unit_test(latest_is_made_up_only_where_nothing_is_named),
		cmocka_unit_test(the_hub_is_talked_to_under_its_own_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
