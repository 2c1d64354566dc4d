/* covers: MAN-5, MAN-6, MAN-7, MAN-18, MAN-19, IDX-1, IDX-2, IDX-8, IDX-10, IDX-12, IDX-13, IDX-14, T-27, T-32, T-35,
 * T-36 */
#include "oci/manifest.h"

#include "base/limits.h"
#include "oci/documents.h"

static bool parses(const char *text, const char *said, struct manifest *manifest, struct error *err)
{
	return manifest_parse(text, strlen(text), said, manifest, err);
}

static void the_document_stands_over_the_header_and_its_shape_comes_last(void **state)
{
	(void)state;
	static const struct {
		const char *text, *said;
		enum media_kind kind;
		const char *media_type, *why;
	} rows[] = {
		{"{" TYPE(OCI_MANIFEST) "," CONFIG "," LAYERS(LAYER) "}", OCI_MANIFEST, MEDIA_MANIFEST, OCI_MANIFEST,
			"agree"},
		{"{" TYPE(DOCKER_IMAGE) "," CONFIG "," LAYERS(LAYER) "}", OCI_MANIFEST, MEDIA_MANIFEST, DOCKER_IMAGE,
			"the document's own word (MAN-6)"},
		{"{" TYPE(DOCKER_IMAGE) "," CONFIG "," LAYERS("") "}", OCI_INDEX, MEDIA_MANIFEST, DOCKER_IMAGE,
			"even of another kind"},
		{"{" CONFIG "," LAYERS("") "}", DOCKER_IMAGE "; charset=utf-8", MEDIA_MANIFEST, DOCKER_IMAGE,
			"the header, bare"},
		{"{" CONFIG "," LAYERS("") "}", "Application/VND.OCI.image.manifest.v1+json", MEDIA_MANIFEST,
			OCI_MANIFEST, "the header, in any case"},
		{"{" CONFIG "," LAYERS("") "}", "application/octet-stream", MEDIA_MANIFEST, OCI_MANIFEST, "by shape"},
		{"{" CONFIG "," LAYERS("") "}", NULL, MEDIA_MANIFEST, OCI_MANIFEST, "by shape"},
		{"{\"mediaType\":\"\"," CONFIG "," LAYERS("") "}", NULL, MEDIA_MANIFEST, OCI_MANIFEST, "an empty word"},
		{"{\"manifests\":[]}", "text/plain", MEDIA_INDEX, OCI_INDEX, "by shape"},
		{"{\"manifests\":[" CHILD "]}", DOCKER_LIST, MEDIA_INDEX, DOCKER_LIST, "the header"},
		{"{" TYPE(DOCKER_LIST) ",\"manifests\":[]}", OCI_INDEX, MEDIA_INDEX, DOCKER_LIST,
			"the document's own word"},
		{"{" TYPE(OCI_ARTIFACT) ",\"blobs\":[" LAYER "]}", NULL, MEDIA_ARTIFACT, OCI_ARTIFACT, "IDX-12"},
		{"{" TYPE(OCI_MANIFEST) "," CONFIG ",\"layers\":null}", NULL, MEDIA_MANIFEST, OCI_MANIFEST,
			"Go's empty list"},
		{"{\"schemaVersion\":2,\"manifests\":null}", OCI_INDEX, MEDIA_INDEX, OCI_INDEX, "Go's empty list"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_manifest struct manifest manifest = {0};
		struct error err = {0};
		if (!parses(rows[i].text, rows[i].said, &manifest, &err))
			fail_msg("%s (%s): %s", rows[i].text, rows[i].why, err.text);
		assert_int_equal(manifest.kind, rows[i].kind);
		assert_string_equal(manifest.media_type, rows[i].media_type);
	}
}

/* T-27: each set of fields, under each type inside and each header. One of them at most can be right. */
static void no_document_is_a_manifest_to_one_and_an_index_to_another(void **state)
{
	(void)state;
	static const char *const types[] = {NULL, OCI_MANIFEST, OCI_INDEX};
	for (unsigned fields = 0; fields < 8; fields++)
		for (size_t own = 0; own < array_count(types); own++)
			for (size_t said = 0; said < array_count(types); said++) {
				auto_free char *text = memory_format("{\"schemaVersion\":2%s%s%s%s%s%s}",
					types[own] ? ",\"mediaType\":\"" : "", types[own] ? types[own] : "",
					types[own] ? "\"" : "", fields & 1 ? "," CONFIG : "",
					fields & 2 ? "," LAYERS(LAYER) : "",
					fields & 4 ? ",\"manifests\":[" CHILD "]" : "");
				auto_manifest struct manifest manifest = {0};
				struct error err = {0};
				bool fine = parses(text, types[said], &manifest, &err);
				const char *type = types[own] ? types[own] : types[said];
				bool image = fields == 3 && !str_is(type, OCI_INDEX);
				bool index = fields == 4 && !str_is(type, OCI_MANIFEST);
				if (fine != (image || index))
					fail_msg("%s as %s: %s", text, types[said] ? types[said] : "nothing", err.text);
				if (fine)
					assert_int_equal(manifest.kind, image ? MEDIA_MANIFEST : MEDIA_INDEX);
			}
}

static void what_cannot_be_a_manifest_is_refused_by_its_reason(void **state)
{
	(void)state;
	static const struct {
		const char *text, *said;
		enum error_kind kind;
		const char *says;
	} rows[] = {
		{"", NULL, ERR_CORRUPT, "empty"},
		{"[]", NULL, ERR_CORRUPT, "not an object"},
		{"<html>", NULL, ERR_CORRUPT, "JSON"},
		{"{}", NULL, ERR_UNSUPPORTED, "neither"},
		{"{" TYPE("application/vnd.example+json") "," CONFIG "," LAYERS("") "}", OCI_MANIFEST, ERR_UNSUPPORTED,
			"neither"},
		{"{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, ERR_UNSUPPORTED, "schema 1"},
		{"{\"fsLayers\":[]," CONFIG "," LAYERS("") "}", OCI_MANIFEST, ERR_UNSUPPORTED, "schema 1"},
		{"{\"schemaVersion\":1,\"fsLayers\":[]}", "text/plain", ERR_UNSUPPORTED, "schema 1"},
		{"{\"schemaVersion\":1," CONFIG "," LAYERS("") "}", OCI_MANIFEST, ERR_UNSUPPORTED, "schema 1"},
		{"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", ERR_UNSUPPORTED, "schema 1"},
		{"{\"schemaVersion\":3," CONFIG "," LAYERS("") "}", OCI_MANIFEST, ERR_UNSUPPORTED, "schemaVersion 3"},
		{"{\"schemaVersion\":\"2\"," CONFIG "," LAYERS("") "}", OCI_MANIFEST, ERR_CORRUPT, "schemaVersion"},
		{"{" LAYERS("") "}", OCI_MANIFEST, ERR_CORRUPT, "\"config\" is missing"},
		{"{" CONFIG "}", OCI_MANIFEST, ERR_CORRUPT, "\"layers\" is missing"},
		{"{\"schemaVersion\":2}", OCI_INDEX, ERR_CORRUPT, "\"manifests\" is missing"},
		{"{" TYPE(OCI_ARTIFACT) "," CONFIG ",\"blobs\":[]}", NULL, ERR_CORRUPT, "ambiguous"},
		{"{" CONFIG "," LAYERS("") ",\"Manifests\":[]}", NULL, ERR_CORRUPT, "another case"},
		{"{" CONFIG "," LAYERS("") ",\"layers\":[]}", NULL, ERR_CORRUPT, "duplicate"},
		{"{\"config\":[]," LAYERS("") "}", OCI_MANIFEST, ERR_CORRUPT, "\"config\" is not an object"},
		{"{" CONFIG ",\"layers\":{}}", OCI_MANIFEST, ERR_CORRUPT, "\"layers\" is not an array"},
		{"{" CONFIG "," LAYERS(LAYER ",1") "}", NULL, ERR_CORRUPT, "layers[1]"},
		{"{" CONFIG "," LAYERS("{\"mediaType\":\"t\",\"digest\":\"sha256:../x\",\"size\":1}") "}", NULL,
			ERR_CORRUPT, "layers[0]: digest"},
		{"{" CONFIG "," LAYERS(LAYER "," ENTRY("t", "5", "2", ",\"data\":\"e30=\"")) "}", NULL, ERR_CORRUPT,
			"layers[1]: its \"data\""},
		{"{\"config\":" ENTRY("t", "5", "2", ",\"data\":\"e30=\"") "," LAYERS("") "}", NULL, ERR_CORRUPT,
			"config: its \"data\""},
		{"{\"manifests\":[],\"subject\":{}}", NULL, ERR_CORRUPT, "subject"},
		{"{" CONFIG "," LAYERS(ENTRY("t", "5", "5", "") "," ENTRY("t", "5", "6", "")) "}", NULL, ERR_CORRUPT,
			"two sizes"},
		{"{" CONFIG "," LAYERS(ENTRY("t", "c", "8", "")) "}", NULL, ERR_CORRUPT, "two sizes"},
		{"{" CONFIG "," LAYERS(ENTRY("t", "5", "9223372036854775807", "")) "}", NULL, ERR_CORRUPT, "2^63"},
		{"{\"manifests\":[" CHILD "," ENTRY(OCI_MANIFEST, "a", "101", "") "]}", NULL, ERR_CORRUPT, "two sizes"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct manifest manifest = {.layer_count = 77};
		struct error err = {0};
		if (parses(rows[i].text, rows[i].said, &manifest, &err))
			fail_msg("%s was taken", rows[i].text);
		if (err.kind != rows[i].kind || !strstr(err.text, rows[i].says))
			fail_msg("%s: %s %s", rows[i].text, error_kind_name(err.kind), err.text);
		assert_int_equal(manifest.layer_count, 77);
	}
}

static void an_image_has_a_config_and_layers_in_their_order(void **state)
{
	(void)state;
	auto_manifest struct manifest manifest = {0};
	struct error err = {0};
	assert_true(parses("{" TYPE(OCI_MANIFEST) "," CONFIG "," LAYERS(LAYER "," ENTRY(OCI_LAYER, "2", "20",
				   "") "," LAYER) ",\"subject\":" CHILD
						  ",\"artifactType\":\"application/x\",\"unknown\":{\"a\":[1.5]}}",
		NULL, &manifest, &err));
	assert_true(manifest_has_image_config(&manifest));
	assert_string_equal(manifest.config.digest.text, DIGEST_OF("c"));
	assert_int_equal(manifest.layer_count, 3);
	assert_string_equal(manifest.layers[0].digest.text, DIGEST_OF("1"));
	assert_string_equal(manifest.layers[1].digest.text, DIGEST_OF("2"));
	assert_string_equal(manifest.layers[2].digest.text, DIGEST_OF("1"));
	assert_string_equal(manifest.subject.digest.text, DIGEST_OF("a"));
	assert_string_equal(manifest.artifact_type, "application/x");
	assert_int_equal(manifest.child_count, 0);
}

static void only_an_image_has_an_image_config(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool has;
	} rows[] = {
		{"{\"config\":" ENTRY("application/vnd.docker.container.image.v1+json", "c", "7", "") "," LAYERS(
			 "") "}",
			true},
		{"{\"config\":" ENTRY("application/vnd.oci.empty.v1+json", "c", "2", "") "," LAYERS(LAYER) "}", false},
		{"{\"config\":" ENTRY("application/vnd.cncf.helm.config.v1+json", "c", "2", "") "," LAYERS(LAYER) "}",
			false},
		{"{\"config\":" ENTRY("application/vnd.oci.empty.v1+json", "c", "2", "") "," LAYERS(
			 ENTRY("t", "c", "2", "")) "}",
			false}, /* one blob as both */
		{"{" TYPE(OCI_ARTIFACT) ",\"blobs\":[" LAYER "],\"subject\":" CHILD "}", false},
		{"{\"manifests\":[" CHILD "]}", false},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_manifest struct manifest manifest = {0};
		struct error err = {0};
		if (!parses(rows[i].text, NULL, &manifest, &err))
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(manifest_has_image_config(&manifest), rows[i].has);
	}
}

static void an_entry_of_an_unknown_type_is_opaque_and_no_error(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		bool is_manifest;
	} rows[] = {
		{OCI_MANIFEST, true},
		{OCI_INDEX, true},
		{DOCKER_IMAGE, true},
		{DOCKER_LIST, true},
		{OCI_ARTIFACT, true},
		{"application/vnd.docker.distribution.manifest.v1+prettyjws", true},
		{"", true},
		{OCI_LAYER, false},
		{OCI_CONFIG, false},
		{"application/xml", false},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text =
			memory_format("{\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":0}]}",
				rows[i].type, DIGEST_OF("a"));
		auto_manifest struct manifest index = {0};
		assert_true(parses(text, NULL, &index, NULL));
		assert_int_equal(index.child_count, 1);
		assert_int_equal(manifest_child_is_manifest(&index.children[0]), rows[i].is_manifest);
	}
}

/* An index of @count entries. */
static void put_index(struct buf *text, size_t count)
{
	buf_init(text, LIMIT_LAYOUT_INDEX_BYTES);
	assert_true(buf_appendf(text, NULL, "{\"schemaVersion\":2,\"manifests\":["));
	for (size_t i = 0; i < count; i++)
		assert_true(buf_appendf(text, NULL,
			"%s{\"mediaType\":\"\",\"digest\":\"sha256:%064zx\",\"size\":1,"
			"\"annotations\":{\"org.opencontainers.image.ref.name\":\"r/a:%zu\"}}",
			i ? "," : "", i, i));
	assert_true(buf_append(text, "]}", 2, NULL));
}

static void an_index_has_only_so_many_entries(void **state)
{
	(void)state;
	auto_buf struct buf text, most;
	auto_manifest struct manifest index = {0}, same = {0};
	struct error err = {0};
	put_index(&most, LIMIT_TREE_MANIFESTS);
	assert_true(manifest_parse(most.data, most.length, OCI_INDEX, &index, &err));
	assert_string_equal(index.children[LIMIT_TREE_MANIFESTS - 1].reference_name, "r/a:9999");
	put_index(&text, LIMIT_TREE_MANIFESTS + 1);
	assert_false(manifest_parse(text.data, text.length, OCI_INDEX, &same, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
}

static void a_manifest_has_only_so_many_layers(void **state)
{
	(void)state;
	auto_buf struct buf text;
	auto_manifest struct manifest manifest = {0};
	struct error err = {0};
	buf_init(&text, LIMIT_MANIFEST_BYTES);
	assert_true(buf_appendf(&text, NULL, "{" CONFIG ",\"layers\":["));
	for (size_t i = 0; i <= LIMIT_LAYERS; i++)
		assert_true(buf_appendf(&text, NULL, "%s" LAYER, i ? "," : ""));
	assert_true(buf_append(&text, "]}", 2, NULL));
	assert_false(manifest_parse(text.data, text.length, NULL, &manifest, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
}

/* Whatever is cut off a document or written over it: an answer, and no crash. The sanitizers judge. */
static void no_damage_crashes_the_parser(void **state)
{
	(void)state;
	static const char text[] = "{" TYPE(OCI_MANIFEST) "," CONFIG "," LAYERS(LAYER) ",\"subject\":" CHILD "}";
	static const char damage[] = "\"\\{}[]:,0-e\x80 ";
	for (size_t i = 0; i < sizeof text - 1; i++) {
		auto_free char *copy =
			memory_text_of(text, i); /* of exactly this size, so that a byte behind it is seen */
		auto_manifest struct manifest cut = {0};
		assert_false(manifest_parse(copy, i, NULL, &cut, NULL));
		for (size_t j = 0; j < sizeof damage - 1; j++) {
			auto_free char *damaged = memory_text(text);
			auto_manifest struct manifest manifest = {0};
			damaged[i] = damage[j];
			if (!manifest_parse(damaged, sizeof text - 1, NULL, &manifest, NULL))
				assert_null(manifest.media_type);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_document_stands_over_the_header_and_its_shape_comes_last),
		cmocka_unit_test(no_document_is_a_manifest_to_one_and_an_index_to_another),
		cmocka_unit_test(what_cannot_be_a_manifest_is_refused_by_its_reason),
		cmocka_unit_test(an_image_has_a_config_and_layers_in_their_order),
		cmocka_unit_test(only_an_image_has_an_image_config),
		cmocka_unit_test(an_entry_of_an_unknown_type_is_opaque_and_no_error),
		cmocka_unit_test(an_index_has_only_so_many_entries),
		cmocka_unit_test(a_manifest_has_only_so_many_layers),
		cmocka_unit_test(no_damage_crashes_the_parser),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
