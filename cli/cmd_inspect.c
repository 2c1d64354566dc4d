#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "cli/place.h"
#include "cli/session.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

#include <stdio.h>
#include <sys/utsname.h>

/* What is shown: the root and, below an index, the image of one platform. */
struct inspection {
	struct place place;
	struct platform wish;
	bool wished, as_json;
	size_t manifest_bytes_most;
	struct endpoint *endpoint;
	const char *repository;
	struct descriptor root, image;
	struct manifest root_manifest, manifest; /* manifest: of the image; empty where there is none to show */
	bool has_image;
	struct image_config config;
};

/* --- reading --------------------------------------------------------------------------------------------------------
 */

static bool read_manifest(
	struct inspection *in, const struct descriptor *wanted, struct manifest *manifest, struct error *err)
{
	auto_buf struct buf bytes;
	auto_free char *media_type = NULL;
	buf_init(&bytes, in->manifest_bytes_most);
	return endpoint_manifest(in->endpoint, in->repository, wanted, &bytes, &media_type, err) &&
	       manifest_parse(
		       bytes.data, bytes.length, wanted->media_type ? wanted->media_type : media_type, manifest, err);
}

static bool read_config(struct inspection *in, struct error *err)
{
	const struct descriptor *config = &in->manifest.config;
	auto_buf struct buf bytes;
	struct endpoint_reader *reader;
	char piece[16384];
	size_t got;
	buf_init(&bytes, LIMIT_CONFIG_BYTES);
	if (!endpoint_blob_open(in->endpoint, in->repository, config, 0, &reader, err))
		return false;
	bool ok;
	while ((ok = endpoint_reader_read(reader, piece, sizeof piece, &got, err)) && got > 0)
		if (!(ok = buf_append(&bytes, piece, got, err)))
			break;
	endpoint_reader_close(reader);
	return ok && digest_check(&config->digest, bytes.data, bytes.length, err) &&
	       image_config_parse(bytes.data, bytes.length, &in->config, err);
}

static void this_platform(struct platform *platform)
{
	static const char *const names[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"},
		{"i686", "386"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"}, {"riscv64", "riscv64"}};
	struct utsname machine;
	*platform = (struct platform){.os = "linux", .architecture = "amd64"};
	if (uname(&machine) != 0)
		return;
	for (size_t i = 0; i < array_count(names); i++)
		if (str_is(machine.machine, names[i][0]))
			snprintf(platform->architecture, sizeof platform->architecture, "%s", names[i][1]);
}

static bool choose_image(struct inspection *in, struct error *err)
{
	const struct manifest *root = &in->root_manifest;
	if (root->kind != MEDIA_INDEX) {
		descriptor_copy(&in->image, &in->root);
		return true;
	}
	for (size_t i = 0; i < root->child_count; i++)
		if (platform_matches(&in->wish, &root->children[i].platform)) {
			descriptor_copy(&in->image, &root->children[i]);
			return true;
		}
	char name[100];
	if (in->wished)
		return error_set(err, ERR_NOT_FOUND, "the index has no image for %s", platform_format(&in->wish, name));
	return true; /* the index itself is all that is shown */
}

/* An image that is no index has one platform, which its config tells. */
static bool is_as_wished(const struct inspection *in, struct error *err)
{
	char wished[100], found[100];
	if (!in->wished || platform_is_empty(&in->config.platform) || platform_matches(&in->wish, &in->config.platform))
		return true;
	return error_set(err, ERR_NOT_FOUND, "the image is for %s, not for %s",
		platform_format(&in->config.platform, found), platform_format(&in->wish, wished));
}

static bool inspect(struct run *run, struct inspection *in, struct error *err)
{
	const char *reference;
	in->manifest_bytes_most = run_manifest_bytes_most(run);
	if (!place_open_source(run, &in->place, &in->endpoint, &in->repository, &reference, err) ||
		!endpoint_resolve_source(in->endpoint, in->repository, reference, &in->root, err) ||
		!read_manifest(in, &in->root, &in->root_manifest, err) || !choose_image(in, err))
		return false;
	if (digest_is_empty(&in->image.digest))
		return true;
	if (!read_manifest(in, &in->image, &in->manifest, err))
		return false;
	in->has_image = in->manifest.kind != MEDIA_INDEX;
	if (in->has_image && manifest_has_image_config(&in->manifest) && !read_config(in, err))
		return false;
	return is_as_wished(in, err);
}

/* --- printing -------------------------------------------------------------------------------------------------------
 */

static const char *diff_id_of(const struct inspection *in, size_t layer)
{
	return layer < in->config.diff_id_count ? in->config.diff_ids[layer].text : NULL;
}

static int64_t layer_bytes(const struct inspection *in)
{
	int64_t sum = 0;
	for (size_t i = 0; i < in->manifest.layer_count; i++)
		sum += in->manifest.layers[i].size;
	return sum;
}

static void print_image(const struct inspection *in)
{
	char platform[100], bytes[16];
	printf("Image:       %s\n", in->image.digest.text);
	if (!platform_is_empty(&in->config.platform))
		printf("Platform:    %s\n", platform_format(&in->config.platform, platform));
	if (in->manifest.artifact_type)
		printf("Artifact:    %s\n", in->manifest.artifact_type);
	if (!digest_is_empty(&in->manifest.config.digest))
		printf("%s    %s\n", manifest_has_image_config(&in->manifest) ? "Image ID:" : "Config:  ",
			in->manifest.config.digest.text);
	printf("Layers:      %zu, %ld bytes compressed (%s)\n", in->manifest.layer_count, (long)layer_bytes(in),
		str_format_bytes(layer_bytes(in), bytes));
	for (size_t i = 0; i < in->manifest.layer_count; i++) {
		const struct descriptor *layer = &in->manifest.layers[i];
		printf("  %2zu  %12ld  %s\n      digest   %s\n", i + 1, (long)layer->size, layer->media_type,
			layer->digest.text);
		if (diff_id_of(in, i))
			printf("      diff_id  %s\n", diff_id_of(in, i));
	}
}

static void print_text(const struct inspection *in, const char *name)
{
	char platform[100];
	printf("Reference:   %s\nDigest:      %s\nMedia type:  %s\n", name, in->root.digest.text,
		in->root_manifest.media_type);
	if (in->root_manifest.kind == MEDIA_INDEX) {
		printf("Entries:     %zu\n", in->root_manifest.child_count);
		for (size_t i = 0; i < in->root_manifest.child_count; i++) {
			const struct descriptor *child = &in->root_manifest.children[i];
			printf("  %s  %8ld  %s%s\n", child->digest.text, (long)child->size,
				platform_format(&child->platform, platform),
				digest_is_empty(&child->attests) ? "" : " (attestation)");
		}
	}
	if (in->has_image)
		print_image(in);
}

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *layers_as_json(const struct inspection *in)
{
	json_t *layers = json_array();
	for (size_t i = 0; i < in->manifest.layer_count; i++) {
		const struct descriptor *layer = &in->manifest.layers[i];
		json_array_append_new(
			layers, json_pack("{s:s, s:I, s:o, s:o}", "digest", layer->digest.text, "size",
					(json_int_t)layer->size, "media_type", text_or_null(layer->media_type),
					"diff_id", text_or_null(diff_id_of(in, i))));
	}
	return layers;
}

static json_t *entries_as_json(const struct inspection *in)
{
	json_t *entries = json_array();
	char platform[100];
	for (size_t i = 0; i < in->root_manifest.child_count; i++) {
		const struct descriptor *child = &in->root_manifest.children[i];
		json_array_append_new(entries, json_pack("{s:s, s:s, s:I, s:s, s:b}", "digest", child->digest.text,
						       "media_type", child->media_type, "size", (json_int_t)child->size,
						       "platform", platform_format(&child->platform, platform),
						       "attestation", !digest_is_empty(&child->attests)));
	}
	return entries;
}

static void print_json(const struct inspection *in, const char *name)
{
	char platform[100];
	auto_json json_t *root = json_pack("{s:s, s:s, s:s}", "reference", name, "digest", in->root.digest.text,
		"media_type", in->root_manifest.media_type);
	if (in->root_manifest.kind == MEDIA_INDEX)
		json_object_set_new(root, "entries", entries_as_json(in));
	if (in->has_image) {
		bool has_id = manifest_has_image_config(&in->manifest);
		json_object_set_new(root, "manifest_digest", json_string(in->image.digest.text));
		json_object_set_new(root, "image_id", text_or_null(has_id ? in->manifest.config.digest.text : NULL));
		json_object_set_new(root, "platform", json_string(platform_format(&in->config.platform, platform)));
		json_object_set_new(root, "layers", layers_as_json(in));
		json_object_set_new(root, "total_size", json_integer(layer_bytes(in)));
	}
	auto_free char *text = json_dumps(root, JSON_INDENT(2));
	if (text)
		puts(text);
}

/* --- the command ----------------------------------------------------------------------------------------------------
 */

static int look(struct run *run, void *context)
{
	struct inspection *in = context;
	struct error err;
	if (!inspect(run, in, &err))
		return common_fail(SIDE_SOURCE, &err);
	auto_free char *name = in->place.is_layout ? memory_format("oci:%s:%s", in->place.directory, in->place.name)
						   : reference_format(&in->place.reference);
	if (in->as_json)
		print_json(in, name);
	else
		print_text(in, name);
	return EXIT_DONE;
}

static bool parse(const struct arguments *arguments, struct inspection *in, struct error *err)
{
	const char *platform = argument_of(arguments, OPTION_PLATFORM);
	in->as_json = arguments->given[OPTION_JSON];
	if (arguments->value_counts[OPTION_PLATFORM] > 1)
		return error_set(err, ERR_INVALID, "inspect shows one image: --platform is given twice");
	in->wished = platform != NULL;
	this_platform(&in->wish);
	if (platform && !platform_parse(platform, &in->wish, err))
		return false;
	if (!place_parse(arguments->operands[0], &in->place, err))
		return false;
	if (in->place.every_tag || in->place.is_pattern || (in->place.is_layout && !in->place.name))
		return error_set(err, ERR_INVALID, "%s: inspect takes one image", arguments->operands[0]);
	if (!in->place.is_layout)
		reference_default_tag(&in->place.reference);
	return true;
}

int command_inspect(const struct arguments *arguments)
{
	struct inspection in = {0};
	struct config *config = NULL;
	struct error err;
	int code = EXIT_USAGE;
	if (!parse(arguments, &in, &err))
		common_fail(SIDE_SOURCE, &err);
	else if (common_config(arguments, &config))
		code = session_look(config, look, &in);
	place_release(&in.place);
	manifest_release(&in.root_manifest);
	manifest_release(&in.manifest);
	image_config_release(&in.config);
	descriptor_release(&in.root);
	descriptor_release(&in.image);
	config_free(config);
	return code;
}
