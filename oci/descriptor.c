#include "oci/descriptor.h"

#include "base/memory.h"

/* Annotations are a map: to every reader their case matters, and values that are no text mean nothing to us. */
static const char *annotation(const json_t *annotations, const char *key)
{
	return json_string_value(json_object_get(annotations, key));
}

static void read_annotations(const json_t *annotations, struct descriptor *descriptor)
{
	descriptor->reference_name = memory_text(annotation(annotations, "org.opencontainers.image.ref.name"));
	descriptor->containerd_name = memory_text(annotation(annotations, "io.containerd.image.name"));
	const char *attested = annotation(annotations, "vnd.docker.reference.digest");
	if (attested && !digest_parse(attested, &descriptor->attests, NULL))
		descriptor->attests = (struct digest){0};
}

bool descriptor_read(const json_t *object, struct descriptor *descriptor, struct error *err)
{
	struct descriptor fresh = {0};
	struct error why;
	const char *media_type = "", *digest = NULL;
	json_t *platform = NULL, *annotations = NULL, *urls = NULL;
	const struct json_field fields[] = {
		{"mediaType", JSON_WANT_TEXT, JSON_OPTIONAL, &media_type},
		{"digest", JSON_WANT_TEXT, JSON_REQUIRED, &digest},
		{"size", JSON_WANT_INTEGER, JSON_REQUIRED, &fresh.size},
		{"platform", JSON_WANT_OBJECT, JSON_OPTIONAL, &platform},
		{"annotations", JSON_WANT_OBJECT, JSON_OPTIONAL, &annotations},
		{"urls", JSON_WANT_ARRAY, JSON_OPTIONAL, &urls},
	};
	if (!json_read(object, fields, array_count(fields), err))
		return false;
	if (!digest_parse(digest, &fresh.digest, &why))
		return error_set(err, ERR_CORRUPT, "%s", why.text);
	if (platform && !platform_read(platform, &fresh.platform, err))
		return error_wrap(err, "platform");
	read_annotations(annotations, &fresh);
	fresh.media_type = memory_text(media_type);
	fresh.has_urls = json_array_size(urls) > 0;
	*descriptor = fresh;
	return true;
}

void descriptor_copy(struct descriptor *to, const struct descriptor *from)
{
	*to = *from;
	to->media_type = memory_text(from->media_type);
	to->reference_name = memory_text(from->reference_name);
	to->containerd_name = memory_text(from->containerd_name);
}

void descriptor_release(struct descriptor *descriptor)
{
	free(descriptor->media_type);
	free(descriptor->reference_name);
	free(descriptor->containerd_name);
	*descriptor = (struct descriptor){0};
}
