/* covers: MAN-1, LYR-2, LYR-7, IDX-13, T-41 */
#include "oci/mediatype.h"

#include "base/memory.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static void a_media_type_says_what_and_how(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		enum media_kind kind;
		enum decoder decoder;
	} rows[] = {
		{OCI "index.v1+json", MEDIA_INDEX, DECODER_IMPOSSIBLE},
		{OCI "manifest.v1+json", MEDIA_MANIFEST, DECODER_IMPOSSIBLE},
		{DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX, DECODER_IMPOSSIBLE},
		{DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST, DECODER_IMPOSSIBLE},
		{DOCKER "distribution.manifest.v1+json", MEDIA_SCHEMA1, DECODER_IMPOSSIBLE},
		{DOCKER "distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1, DECODER_IMPOSSIBLE},
		{"application/vnd.oci.artifact.manifest.v1+json", MEDIA_ARTIFACT, DECODER_IMPOSSIBLE},
		{OCI "config.v1+json", MEDIA_CONFIG, DECODER_IMPOSSIBLE},
		{DOCKER "container.image.v1+json", MEDIA_CONFIG, DECODER_IMPOSSIBLE},
		{OCI "layer.v1.tar", MEDIA_LAYER, DECODER_NONE},
		{OCI "layer.v1.tar+gzip", MEDIA_LAYER, DECODER_GZIP},
		{OCI "layer.v1.tar+zstd", MEDIA_LAYER, DECODER_ZSTD},
		{OCI "layer.nondistributable.v1.tar", MEDIA_LAYER, DECODER_NONE},
		{OCI "layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, DECODER_GZIP},
		{OCI "layer.nondistributable.v1.tar+zstd", MEDIA_LAYER, DECODER_ZSTD},
		{DOCKER "image.rootfs.diff.tar", MEDIA_LAYER, DECODER_NONE},
		{DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER, DECODER_GZIP},
		{DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER, DECODER_ZSTD},
		{DOCKER "image.rootfs.foreign.diff.tar", MEDIA_LAYER, DECODER_NONE},
		{DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, DECODER_GZIP},
		{OCI "layer.v1.tar+encrypted", MEDIA_LAYER, DECODER_IMPOSSIBLE},
		{OCI "layer.v1.tar+gzip+encrypted", MEDIA_LAYER, DECODER_IMPOSSIBLE},
		{DOCKER "image.rootfs.diff.tar.gzip+encrypted", MEDIA_LAYER, DECODER_IMPOSSIBLE},
		{OCI "config.v1+json+encrypted", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{"application/vnd.in-toto+json", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{"application/vnd.dev.cosign.simplesigning.v1+json", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{"application/vnd.oci.empty.v1+json", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{OCI "layer.v1.tar+lz4", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{"+encrypted", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{"application/json", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{"", MEDIA_OTHER, DECODER_IMPOSSIBLE},
		{NULL, MEDIA_OTHER, DECODER_IMPOSSIBLE},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_int_equal(media_kind(rows[i].type), rows[i].kind);
		assert_int_equal(media_decoder(rows[i].type), rows[i].decoder);
	}
}

static void parameters_blanks_and_case_do_not_matter(void **state)
{
	(void)state;
	static const char *const types[] = {OCI "index.v1+json;charset=utf-8", OCI "index.v1+json ; a=b",
		" " OCI "INDEX.v1+JSON", "\t" OCI "index.v1+json\t"};
	for (size_t i = 0; i < array_count(types); i++) {
		assert_int_equal(media_kind(types[i]), MEDIA_INDEX);
		assert_string_equal(media_canonical(types[i]), MEDIA_OCI_INDEX);
	}
	assert_int_equal(media_kind(OCI "index.v1+jsonx"), MEDIA_OTHER);
	assert_int_equal(media_kind(OCI "index.v1+jso"), MEDIA_OTHER);
}

static void no_foreign_byte_comes_out_of_the_table(void **state)
{
	(void)state;
	char longest[4096];
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_string_equal(media_canonical(OCI "index.v1+json;\r\nX-Evil: 1"), MEDIA_OCI_INDEX);
	assert_null(media_canonical(OCI "index.v1+json\r\nX-Evil: 1"));
	assert_null(media_canonical(longest));
	assert_null(media_canonical(NULL));
}

static void every_kind_of_manifest_is_accepted_by_its_exact_name(void **state)
{
	(void)state;
	static const char *const types[] = {MEDIA_OCI_INDEX, MEDIA_OCI_MANIFEST,
		DOCKER "distribution.manifest.list.v2+json", DOCKER "distribution.manifest.v2+json",
		DOCKER "distribution.manifest.v1+prettyjws", DOCKER "distribution.manifest.v1+json",
		"application/vnd.oci.artifact.manifest.v1+json"};
	auto_free char *rest = memory_text(media_manifest_accept());
	char *at = rest;
	for (size_t i = 0; i < array_count(types); i++) {
		char *comma = strstr(at, ", ");
		if (comma)
			*comma = '\0';
		assert_string_equal(at, types[i]);
		at = comma ? comma + 2 : at + strlen(at);
	}
	assert_string_equal(at, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_media_type_says_what_and_how),
		cmocka_unit_test(parameters_blanks_and_case_do_not_matter),
		cmocka_unit_test(no_foreign_byte_comes_out_of_the_table),
		cmocka_unit_test(every_kind_of_manifest_is_accepted_by_its_exact_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
