/*
 * F5: manifests, indexes and configs. What is taken is I-JSON by another reader's word, and within its caps; a
 * rewritten index is one that is taken, too, and rewriting it again changes nothing. The first byte says what the
 * document is said to be.
 */
#include "fuzz.h"

#include "base/limits.h"
#include "i_json.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

static const char *said(uint8_t byte)
{
	static const char *const types[] = {MEDIA_OCI_MANIFEST, MEDIA_OCI_INDEX,
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "text/plain", NULL};
	return types[byte % array_count(types)];
}

static void good_descriptor(const struct descriptor *descriptor)
{
	must(!digest_is_empty(&descriptor->digest) && descriptor->size >= 0 && descriptor->media_type);
}

static void good_manifest(const struct manifest *manifest)
{
	must(manifest->media_type && media_kind(manifest->media_type) != MEDIA_SCHEMA1);
	must(manifest->layer_count <= LIMIT_LAYERS && manifest->child_count <= LIMIT_TREE_MANIFESTS);
	must(manifest->child_count == 0 || manifest->kind == MEDIA_INDEX);
	must(manifest->layer_count == 0 || manifest->kind != MEDIA_INDEX);
	for (size_t i = 0; i < manifest->layer_count; i++)
		good_descriptor(&manifest->layers[i]);
	for (size_t i = 0; i < manifest->child_count; i++)
		good_descriptor(&manifest->children[i]);
	if (manifest->kind == MEDIA_MANIFEST)
		good_descriptor(&manifest->config);
}

static void rewrite(const uint8_t *bytes, size_t size)
{
	static const struct platform wish = {.os = "linux", .architecture = "amd64"};
	auto_buf struct buf once, twice;
	auto_manifest struct manifest manifest = {0};
	struct error err;
	size_t kept, kept_again;
	buf_init(&once, 2 * LIMIT_MANIFEST_BYTES);
	buf_init(&twice, 2 * LIMIT_MANIFEST_BYTES);
	if (!manifest_select_platforms(bytes, size, &wish, 1, &once, &kept, &err))
		return;
	must(kept > 0);
	must(manifest_parse(buf_peek(&once), once.length, MEDIA_OCI_INDEX, &manifest, &err));
	must(manifest_select_platforms(buf_peek(&once), once.length, &wish, 1, &twice, &kept_again, &err));
	must(kept == kept_again && once.length == twice.length);
	must(memcmp(buf_peek(&once), buf_peek(&twice), once.length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_manifest struct manifest manifest = {0};
	struct image_config config = {0};
	struct error err;
	if (size == 0)
		return 0;
	const uint8_t *bytes = data + 1;
	size--;
	if (manifest_parse(bytes, size, said(data[0]), &manifest, &err)) {
		must(i_json_is_document(bytes, size));
		good_manifest(&manifest);
		if (manifest.kind == MEDIA_INDEX)
			rewrite(bytes, size);
	} else {
		must(err.kind == ERR_CORRUPT || err.kind == ERR_UNSUPPORTED || err.kind == ERR_TOO_LARGE);
		must(err.text[0]);
	}
	if (image_config_parse(bytes, size, &config, &err)) {
		must(i_json_is_document(bytes, size));
		must(config.diff_id_count <= LIMIT_LAYERS);
		image_config_release(&config);
	}
	return 0;
}
