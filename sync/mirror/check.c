/*
 * Does each layer hold what the image's config says? A diff_id is a fact about a digest, learnt once; here it is
 * compared with this image's own config, so that one that lies fails its own image, and no other that shares the layer.
 */
#include "sync/mirror/image.h"

#include "base/log.h"
#include "base/str.h"

static bool check_layer(struct image *image, const struct descriptor *layer, const struct digest *diff_id,
	size_t position, struct error *err)
{
	char name[24], found[24], wanted[24];
	struct fact fact;
	if (media_kind(layer->media_type) != MEDIA_LAYER) {
		/* LYR-9: a signature or an attestation: its diff_id is its digest, and if it is not, that is its own
		 * affair. */
		if (!digest_equal(&layer->digest, diff_id))
			log_debug("%s: blob %s is no layer, and its diff_id differs", image->name,
				digest_short(&layer->digest, name));
		return true;
	}
	if (media_decoder(layer->media_type) == DECODER_IMPOSSIBLE)
		return true;
	blob_fact(image->run, layer, &fact);
	switch (fact.state) {
	case FACT_UNKNOWN:
		blob_count_unproven(image->run, &layer->digest);
		return true;
	case FACT_BROKEN:
		*err = fact.broken;
		return error_wrap(err, "layer %zu, %s", position, digest_short(&layer->digest, name));
	case FACT_PROVEN:
	case FACT_REMEMBERED:
		break;
	}
	if (digest_equal(&fact.diff_id, diff_id))
		return true;
	return error_set(err, ERR_CORRUPT, "layer %zu, %s: its diff_id is %s, and the config says %s", position,
		digest_short(&layer->digest, name), digest_short(&fact.diff_id, found), digest_short(diff_id, wanted));
}

static bool has_layers(const struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->layer_count; i++)
		if (media_kind(manifest->layers[i].media_type) == MEDIA_LAYER)
			return true;
	return false;
}

/* LYR-15: who chooses by the index gets what the config says. */
static void warn_of_another_platform(
	const struct image *image, const struct descriptor *child, const struct platform *platform)
{
	char said[100], is[100], name[24];
	if (platform_is_empty(&child->platform) || platform_is_empty(platform) ||
		(str_is(child->platform.os, platform->os) &&
			str_is(child->platform.architecture, platform->architecture)))
		return;
	log_warning("%s: its index says that %s is for %s, and the image's own config says %s; copied as it is",
		image->name, digest_short(&child->digest, name), platform_format(&child->platform, said),
		platform_format(platform, is));
}

/* `platforms` chooses in an index; an image that is none has one platform, and is copied as it is. */
static void warn_of_platform(
	const struct image *image, const struct manifest *manifest, const struct platform *platform)
{
	const struct run_job *what = &image->job->what;
	char name[100];
	bool wanted = what->platform_count == 0 || manifest != &image->tree.manifests[0].manifest;
	for (size_t i = 0; i < what->platform_count && !wanted; i++)
		wanted = platform_matches(&what->platforms[i], platform);
	if (!wanted)
		log_warning("%s is for %s, which is none of the wanted platforms; it is no index, and copied as it is",
			image->name, platform_format(platform, name));
}

static bool check_manifest(
	struct image *image, const struct tree_manifest *node, const struct content *content, struct error *err)
{
	const struct manifest *manifest = &node->manifest;
	struct image_config config;
	if (!image_config_parse(content->bytes, content->length, &config, err))
		return error_wrap(err, "config");
	bool ok = true;
	warn_of_platform(image, manifest, &config.platform);
	warn_of_another_platform(image, &node->descriptor, &config.platform);
	if (config.diff_id_count != manifest->layer_count) {
		if (has_layers(manifest)) /* LYR-8 */
			ok = error_set(err, ERR_CORRUPT, "config: %zu diff_ids for %zu layers", config.diff_id_count,
				manifest->layer_count);
	} else {
		for (size_t i = 0; i < manifest->layer_count && ok; i++)
			ok = check_layer(image, &manifest->layers[i], &config.diff_ids[i], i + 1, err);
	}
	image_config_release(&config);
	return ok;
}

bool image_check_diff_ids(struct image *image, struct error *err)
{
	for (size_t i = 0; i < image->tree.manifest_count; i++)
		if (image->configs[i] && !check_manifest(image, &image->tree.manifests[i], image->configs[i], err))
			return false;
	return true;
}
