#include "oci/referrer.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <string.h>

#define HEX "0123456789abcdef"

/* RFR-5 */
enum { ALGORITHM_MOST = 32, ENCODED_MOST = 64 };

/* --- tags --------------------------------------------------------------------------------------------------------- */

char *referrer_tag(const struct digest *subject, bool whole)
{
	char algorithm[32];
	digest_algorithm_name(subject, algorithm);
	char *tag = memory_format("%.*s-%.*s", ALGORITHM_MOST, algorithm, whole ? DIGEST_TEXT_MAX : ENCODED_MOST,
		digest_encoded(subject));
	for (char *p = tag; *p; p++)
		if (strchr("+=", *p)) /* all that a digest may have and a tag may not */
			*p = '-';
	return tag;
}

bool referrer_tag_is_of(const char *tag, const struct digest *subject)
{
	auto_free char *cut = referrer_tag(subject, false), *whole = referrer_tag(subject, true);
	return str_is(tag, cut) || str_is(tag, whole);
}

static const char *const cosign_endings[REFERRER_COSIGN_TAGS] = {".sig", ".att", ".sbom"};

char *referrer_cosign_tag(const struct digest *subject, int which)
{
	auto_free char *tag = referrer_tag(subject, true);
	return memory_format("%s%s", tag, cosign_endings[which]);
}

static bool is_cosign_ending(const char *text)
{
	for (size_t i = 0; i < array_count(cosign_endings); i++)
		if (str_is(cosign_endings[i], text))
			return true;
	return false;
}

enum referrer_tag_kind referrer_tag_parse(const char *tag, struct digest *subject)
{
	static const struct {
		const char *prefix;
		size_t whole;
	} rows[] = {{"sha256-", 64}, {"sha512-", 128}};
	*subject = (struct digest){0};
	for (size_t i = 0; i < array_count(rows); i++) {
		if (!str_starts_with(tag, rows[i].prefix))
			continue;
		const char *hex = tag + strlen(rows[i].prefix);
		size_t length = strspn(hex, HEX);
		bool is_whole = length == rows[i].whole;
		bool is_list = !hex[length] && (is_whole || length == ENCODED_MOST);
		if (!is_list && !(is_whole && is_cosign_ending(hex + length)))
			return REFERRER_TAG_NONE;
		auto_free char *text = memory_format("%.6s:%.*s", tag, (int)length, hex);
		if (is_whole && !digest_parse(text, subject, NULL))
			return REFERRER_TAG_NONE;
		return is_list ? REFERRER_TAG_LIST : REFERRER_TAG_COSIGN;
	}
	return REFERRER_TAG_NONE;
}

/* --- lists that are read ------------------------------------------------------------------------------------------ */

void referrer_list_release(struct referrer_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		descriptor_release(&list->items[i]);
	free(list->items);
	free(list->odd_tag);
	*list = (struct referrer_list){0};
}

bool referrer_list_has(const struct referrer_list *list, const struct digest *digest)
{
	for (size_t i = 0; i < list->count; i++)
		if (digest_equal(&list->items[i].digest, digest))
			return true;
	return false;
}

static bool parse_list(const void *bytes, size_t length, const char *said, struct manifest *manifest, struct error *err)
{
	if (!manifest_parse(bytes, length, said, manifest, err))
		return false;
	return (manifest->kind == MEDIA_INDEX && str_is(manifest->media_type, MEDIA_OCI_INDEX)) ||
	       error_set(err, ERR_CORRUPT, "not an OCI index");
}

bool referrer_list_add(
	struct referrer_list *list, const void *bytes, size_t length, const char *said, struct error *err)
{
	auto_manifest struct manifest index = {0};
	if (!parse_list(bytes, length, said, &index, err))
		return false;
	list->items = memory_resize(list->items, list->count + index.child_count + 1, sizeof *list->items);
	for (size_t i = 0; i < index.child_count; i++) {
		if (referrer_list_has(list, &index.children[i].digest))
			continue;
		if (list->count == LIMIT_REFERRERS)
			return error_set(err, ERR_TOO_LARGE, "more than %d referrers of one subject", LIMIT_REFERRERS);
		descriptor_copy(&list->items[list->count++], &index.children[i]);
	}
	return true;
}

/* --- lists that are written --------------------------------------------------------------------------------------- */

static void set(json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) != 0)
		memory_exhausted();
}

/* RFR-6: of an index, only its own artifactType counts; the config's media type stands in for that of a manifest. */
static const char *artifact_type(const struct manifest *manifest)
{
	if (manifest->artifact_type && *manifest->artifact_type)
		return manifest->artifact_type;
	return manifest->kind == MEDIA_MANIFEST ? manifest->config.media_type : NULL;
}

static bool add_entry(json_t *entries, const struct referrer *referrer, struct error *err)
{
	const struct descriptor *descriptor = referrer->descriptor;
	auto_manifest struct manifest manifest = {0};
	auto_json json_t *document = NULL;
	size_t length = (size_t)descriptor->size;
	if (!manifest_parse(referrer->bytes, length, descriptor->media_type, &manifest, err) ||
		!json_parse(referrer->bytes, length, &document, err))
		return false;
	json_t *entry = json_object();
	set(entry, "mediaType", json_string(manifest.media_type));
	set(entry, "digest", json_string(descriptor->digest.text));
	set(entry, "size", json_integer((json_int_t)descriptor->size));
	json_t *annotations = json_object_get(document, "annotations");
	if (json_object_size(annotations) > 0)
		set(entry, "annotations", json_incref(annotations));
	const char *type = artifact_type(&manifest);
	if (type && *type)
		set(entry, "artifactType", json_string(type));
	if (json_array_append_new(entries, entry) != 0)
		memory_exhausted();
	return true;
}

static json_t *new_list(void)
{
	json_t *document = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_OCI_INDEX, "manifests");
	if (!document)
		memory_exhausted();
	return document;
}

/* The list as it is, and as a document that may be changed. */
static bool open_list(const struct buf *bytes, struct referrer_list *list, json_t **document, struct error *err)
{
	struct error why;
	if (!bytes) {
		*document = new_list();
		return true;
	}
	if (!referrer_list_add(list, buf_peek(bytes), bytes->length, MEDIA_OCI_INDEX, &why) ||
		!json_parse(buf_peek(bytes), bytes->length, document, &why))
		return error_set(err, ERR_INVALID, "it is no list of referrers: %s", why.text);
	if (!json_is_array(json_object_get(*document, "manifests"))) /* null, which Go writes for none */
		set(*document, "manifests", json_array());
	return true;
}

static bool close_list(const json_t *document, char **out, struct error *err)
{
	auto_free char *text = json_dumps(document, JSON_COMPACT);
	if (!text)
		memory_exhausted();
	if (strlen(text) > LIMIT_MANIFEST_BYTES)
		return error_set(
			err, ERR_INVALID, "the list of referrers would have more than %zu bytes", LIMIT_MANIFEST_BYTES);
	*out = text;
	text = NULL;
	return true;
}

bool referrer_list_merge(
	const struct buf *bytes, const struct referrer *referrers, size_t count, char **out, struct error *err)
{
	auto_referrer_list struct referrer_list list = {0};
	auto_json json_t *document = NULL;
	bool changed = false;
	*out = NULL;
	if (!open_list(bytes, &list, &document, err))
		return false;
	json_t *entries = json_object_get(document, "manifests");
	for (size_t i = 0; i < count; i++) {
		if (referrer_list_has(&list, &referrers[i].descriptor->digest))
			continue;
		if (!add_entry(entries, &referrers[i], err))
			return false;
		changed = true;
	}
	return !changed || close_list(document, out, err);
}

bool referrer_list_without(const struct buf *bytes, const struct digest *gone, char **out, struct error *err)
{
	auto_referrer_list struct referrer_list list = {0};
	auto_json json_t *document = NULL;
	*out = NULL;
	if (!open_list(bytes, &list, &document, err))
		return false;
	if (!referrer_list_has(&list, gone))
		return true;
	json_t *entries = json_object_get(document, "manifests");
	for (size_t i = json_array_size(entries); i-- > 0;)
		if (str_is(json_string_value(json_object_get(json_array_get(entries, i), "digest")), gone->text))
			json_array_remove(entries, i);
	return close_list(document, out, err);
}
