#include "oci/image_config.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"

static bool read_diff_ids(const json_t *list, struct image_config *config, struct error *err)
{
	size_t count = json_array_size(list);
	if (count > LIMIT_LAYERS)
		return error_set(err, ERR_TOO_LARGE, "%zu diff_ids, and %d are allowed", count, LIMIT_LAYERS);
	config->diff_ids = memory_new(count, sizeof *config->diff_ids);
	config->diff_id_count = count;
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct error why;
		if (!text)
			return error_set(err, ERR_CORRUPT, "diff_ids[%zu] is not text", i);
		if (!digest_parse(text, &config->diff_ids[i], &why))
			return error_set(err, ERR_CORRUPT, "diff_ids[%zu]: %s", i, why.text);
	}
	return true;
}

static bool parse_document(const json_t *document, struct image_config *config, struct error *err)
{
	json_t *rootfs = NULL, *diff_ids = NULL;
	const struct json_field top[] = {{"rootfs", JSON_WANT_OBJECT, JSON_OPTIONAL, &rootfs}};
	const struct json_field inner[] = {{"diff_ids", JSON_WANT_ARRAY, JSON_OPTIONAL, &diff_ids}};
	if (!platform_read(document, &config->platform, err) || !json_read(document, top, array_count(top), err))
		return false;
	if (!rootfs)
		return true;
	if (!json_read(rootfs, inner, array_count(inner), err))
		return error_wrap(err, "rootfs");
	return read_diff_ids(diff_ids, config, err);
}

bool image_config_parse(const void *bytes, size_t length, struct image_config *config, struct error *err)
{
	auto_json json_t *document = NULL;
	struct image_config fresh = {0};
	if (!json_parse(bytes, length, &document, err))
		return false;
	if (!parse_document(document, &fresh, err)) {
		image_config_release(&fresh);
		return false;
	}
	*config = fresh;
	return true;
}

void image_config_release(struct image_config *config)
{
	free(config->diff_ids);
	*config = (struct image_config){0};
}
