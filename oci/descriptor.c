#include "oci/descriptor.h"

#include "base/base64.h"
#include "base/memory.h"

#include <string.h>

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

/* BLB-13: content that came along. A digest that nobody can compute leaves it unused (REF-6). */
static void read_data(const char *base64, struct descriptor *descriptor)
{
	if (!base64)
		return;
	size_t length = strlen(base64), decoded;
	auto_free unsigned char *bytes = memory_new(base64_decoded_most(length), 1);
	bool right = base64_decode(base64, length, bytes, &decoded) && (int64_t)decoded == descriptor->size;
	if (right && !digest_is_verifiable(&descriptor->digest))
		return;
	descriptor->has_wrong_data = !right || !digest_check(&descriptor->digest, bytes, decoded, NULL);
	if (descriptor->has_wrong_data)
		return;
	descriptor->data = bytes;
	bytes = NULL;
}

bool descriptor_check_data(const struct descriptor *descriptor, struct error *err)
{
	return !descriptor->has_wrong_data ||
	       error_set(err, ERR_CORRUPT, "its \"data\" is not what its digest and size say");
}

static void read_urls(const json_t *urls, struct descriptor *descriptor)
{
	size_t count = json_array_size(urls);
	descriptor->urls = count > 0 ? memory_new(count, sizeof *descriptor->urls) : NULL;
	for (size_t i = 0; i < count; i++) {
		const char *url = json_string_value(json_array_get(urls, i));
		if (url)
			descriptor->urls[descriptor->url_count++] = memory_text(url);
	}
}

bool descriptor_read(const json_t *object, struct descriptor *descriptor, struct error *err)
{
	struct descriptor fresh = {0};
	struct error why;
	const char *media_type = "", *digest = NULL, *data = NULL;
	json_t *platform = NULL, *annotations = NULL, *urls = NULL;
	const struct json_field fields[] = {
		{"mediaType", JSON_WANT_TEXT, JSON_OPTIONAL, &media_type},
		{"digest", JSON_WANT_TEXT, JSON_REQUIRED, &digest},
		{"size", JSON_WANT_INTEGER, JSON_REQUIRED, &fresh.size},
		{"platform", JSON_WANT_OBJECT, JSON_OPTIONAL, &platform},
		{"annotations", JSON_WANT_OBJECT, JSON_OPTIONAL, &annotations},
		{"urls", JSON_WANT_ARRAY, JSON_OPTIONAL, &urls},
		{"data", JSON_WANT_TEXT, JSON_OPTIONAL, &data},
	};
	if (!json_read(object, fields, array_count(fields), err))
		return false;
	if (!digest_parse(digest, &fresh.digest, &why))
		return error_set(err, ERR_CORRUPT, "%s", why.text);
	if (platform && !platform_read(platform, &fresh.platform, err))
		return error_wrap(err, "platform");
	read_data(data, &fresh);
	read_annotations(annotations, &fresh);
	fresh.media_type = memory_text(media_type);
	read_urls(urls, &fresh);
	*descriptor = fresh;
	return true;
}

void descriptor_copy(struct descriptor *to, const struct descriptor *from)
{
	*to = *from;
	to->media_type = memory_text(from->media_type);
	to->reference_name = memory_text(from->reference_name);
	to->containerd_name = memory_text(from->containerd_name);
	if (from->data) {
		to->data = memory_new((size_t)from->size + 1, 1);
		memcpy(to->data, from->data, (size_t)from->size);
	}
	if (from->url_count > 0)
		to->urls = memory_new(from->url_count, sizeof *to->urls);
	for (size_t i = 0; i < from->url_count; i++)
		to->urls[i] = memory_text(from->urls[i]);
}

void descriptor_release(struct descriptor *descriptor)
{
	free(descriptor->media_type);
	free(descriptor->reference_name);
	free(descriptor->containerd_name);
	free(descriptor->data);
	for (size_t i = 0; i < descriptor->url_count; i++)
		free(descriptor->urls[i]);
	free(descriptor->urls);
	*descriptor = (struct descriptor){0};
}
