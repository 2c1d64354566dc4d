#include "oci/manifest.h"

#include "base/limits.h"
#include "base/memory.h"

#include <string.h>

/* The fields of all kinds together, so that a field of the wrong kind is seen. */
struct fields {
	int64_t schema_version;
	const char *media_type, *artifact_type;
	json_t *config, *layers, *manifests, *blobs, *fs_layers, *subject;
};

static bool read_fields(const json_t *document, struct fields *fields, struct error *err)
{
	const struct json_field rows[] = {
		{"schemaVersion", JSON_WANT_INTEGER, JSON_OPTIONAL, &fields->schema_version},
		{"mediaType", JSON_WANT_TEXT, JSON_OPTIONAL, &fields->media_type},
		{"artifactType", JSON_WANT_TEXT, JSON_OPTIONAL, &fields->artifact_type},
		{"config", JSON_WANT_OBJECT, JSON_OPTIONAL, &fields->config},
		{"layers", JSON_WANT_ARRAY, JSON_OPTIONAL, &fields->layers},
		{"manifests", JSON_WANT_ARRAY, JSON_OPTIONAL, &fields->manifests},
		{"blobs", JSON_WANT_ARRAY, JSON_OPTIONAL, &fields->blobs},
		{"fsLayers", JSON_WANT_ARRAY, JSON_OPTIONAL, &fields->fs_layers},
		{"subject", JSON_WANT_OBJECT, JSON_OPTIONAL, &fields->subject},
	};
	return json_read(document, rows, array_count(rows), err);
}

static bool is_manifest_kind(enum media_kind kind)
{
	return kind == MEDIA_MANIFEST || kind == MEDIA_INDEX || kind == MEDIA_ARTIFACT || kind == MEDIA_SCHEMA1;
}

/* What the document is by its looks: the last resort, where nobody said anything that we know (MAN-5). */
static const char *type_by_shape(const struct fields *fields)
{
	if (fields->manifests)
		return MEDIA_OCI_INDEX;
	return fields->config && fields->layers ? MEDIA_OCI_MANIFEST : NULL;
}

static bool decide_type(const struct fields *fields, const char *said, struct manifest *manifest, struct error *err)
{
	const char *own = fields->media_type && *fields->media_type ? fields->media_type : NULL;
	const char *type = own ? own : is_manifest_kind(media_kind(said)) ? said : type_by_shape(fields);
	manifest->kind = media_kind(type);
	if (manifest->kind == MEDIA_SCHEMA1 || fields->schema_version == 1 || fields->fs_layers)
		return error_set(err, ERR_UNSUPPORTED,
			"a schema 1 manifest: push the image again with a current client"); /* MAN-18 */
	if (!is_manifest_kind(manifest->kind))
		return error_set(err, ERR_UNSUPPORTED, "neither a manifest nor an index that we know");
	manifest->media_type = memory_text(media_canonical(type));
	return true;
}

/* Two readers must not see two images in one document (MAN-7, T-27, CVE-2021-41190). */
static bool refuse_ambiguous(const struct fields *fields, enum media_kind kind, struct error *err)
{
	const struct {
		const char *key;
		const json_t *value;
		enum media_kind belongs_to;
	} rows[] = {
		{"config", fields->config, MEDIA_MANIFEST},
		{"layers", fields->layers, MEDIA_MANIFEST},
		{"manifests", fields->manifests, MEDIA_INDEX},
		{"blobs", fields->blobs, MEDIA_ARTIFACT},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (rows[i].value && rows[i].belongs_to != kind)
			return error_set(
				err, ERR_CORRUPT, "ambiguous: \"%s\" has no place in such a document", rows[i].key);
	return true;
}

static bool read_list(const json_t *document, const char *key, size_t maximum, struct descriptor **items,
	size_t *item_count, struct error *err)
{
	const json_t *list = json_object_get(document, key);
	if (!list)
		return error_set(err, ERR_CORRUPT, "\"%s\" is missing", key);
	size_t count = json_array_size(list); /* 0 for null, which Go writes for an empty list */
	if (count > maximum)
		return error_set(err, ERR_TOO_LARGE, "%zu entries in \"%s\", and %zu are allowed", count, key, maximum);
	*items = memory_new(count, sizeof **items);
	for (; *item_count < count; ++*item_count) {
		size_t i = *item_count;
		if (!descriptor_read(json_array_get(list, i), &(*items)[i], err))
			return error_wrap(err, "%s[%zu]", key, i);
		if (!descriptor_check_data(&(*items)[i], err)) {
			++*item_count; /* it is the caller's to release */
			return error_wrap(err, "%s[%zu]", key, i);
		}
	}
	return true;
}

static bool read_one(const json_t *object, const char *key, struct descriptor *descriptor, struct error *err)
{
	return (descriptor_read(object, descriptor, err) && descriptor_check_data(descriptor, err)) ||
	       error_wrap(err, "%s", key);
}

static bool read_content(
	const json_t *document, const struct fields *fields, struct manifest *manifest, struct error *err)
{
	if (fields->subject && !read_one(fields->subject, "subject", &manifest->subject, err))
		return false;
	if (manifest->kind == MEDIA_INDEX)
		return read_list(
			document, "manifests", LIMIT_TREE_MANIFESTS, &manifest->children, &manifest->child_count, err);
	if (manifest->kind == MEDIA_ARTIFACT)
		return read_list(document, "blobs", LIMIT_LAYERS, &manifest->layers, &manifest->layer_count, err);
	if (!fields->config)
		return error_set(err, ERR_CORRUPT, "\"config\" is missing");
	return read_one(fields->config, "config", &manifest->config, err) &&
	       read_list(document, "layers", LIMIT_LAYERS, &manifest->layers, &manifest->layer_count, err);
}

static int by_digest(const void *a, const void *b)
{
	const struct descriptor *const *left = a, *const *right = b;
	return strcmp((*left)->digest.text, (*right)->digest.text);
}

/* T-32: sizes can be added without a thought behind here, and one digest has one size. */
static bool check_sizes(const struct manifest *manifest, struct error *err)
{
	size_t count = 0;
	auto_free const struct descriptor **all =
		memory_new(manifest->layer_count + manifest->child_count + 2, sizeof(void *));
	for (size_t i = 0; i < manifest->layer_count; i++)
		all[count++] = &manifest->layers[i];
	for (size_t i = 0; i < manifest->child_count; i++)
		all[count++] = &manifest->children[i];
	if (!digest_is_empty(&manifest->config.digest))
		all[count++] = &manifest->config;
	if (!digest_is_empty(&manifest->subject.digest))
		all[count++] = &manifest->subject;
	qsort(all, count, sizeof(void *), by_digest);
	int64_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		if (__builtin_add_overflow(sum, all[i]->size, &sum))
			return error_set(err, ERR_CORRUPT, "the sizes add up to more than 2^63 bytes");
		if (i > 0 && by_digest(&all[i - 1], &all[i]) == 0 && all[i - 1]->size != all[i]->size)
			return error_set(err, ERR_CORRUPT, "%s has two sizes, %lld and %lld", all[i]->digest.text,
				(long long)all[i - 1]->size, (long long)all[i]->size);
	}
	return true;
}

static bool parse_document(const json_t *document, const char *said, struct manifest *manifest, struct error *err)
{
	struct fields fields = {0};
	if (!read_fields(document, &fields, err) || !decide_type(&fields, said, manifest, err) ||
		!refuse_ambiguous(&fields, manifest->kind, err))
		return false;
	if (fields.schema_version != 0 && fields.schema_version != 2)
		return error_set(err, ERR_UNSUPPORTED, "schemaVersion %lld", (long long)fields.schema_version);
	manifest->artifact_type = memory_text(fields.artifact_type);
	return read_content(document, &fields, manifest, err) && check_sizes(manifest, err);
}

/* parse_document() into a manifest that is untouched when it fails. */
static bool parse_whole(const json_t *document, const char *said, struct manifest *manifest, struct error *err)
{
	struct manifest fresh = {0};
	if (!parse_document(document, said, &fresh, err)) {
		manifest_release(&fresh);
		return false;
	}
	*manifest = fresh;
	return true;
}

bool manifest_parse(const void *bytes, size_t length, const char *said, struct manifest *manifest, struct error *err)
{
	auto_json json_t *document = NULL;
	return json_parse(bytes, length, &document, err) && parse_whole(document, said, manifest, err);
}

static void release_list(struct descriptor *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		descriptor_release(&items[i]);
	free(items);
}

void manifest_release(struct manifest *manifest)
{
	free(manifest->media_type);
	free(manifest->artifact_type);
	descriptor_release(&manifest->config);
	descriptor_release(&manifest->subject);
	release_list(manifest->layers, manifest->layer_count);
	release_list(manifest->children, manifest->child_count);
	*manifest = (struct manifest){0};
}

bool manifest_has_image_config(const struct manifest *manifest)
{
	return manifest->kind == MEDIA_MANIFEST && media_kind(manifest->config.media_type) == MEDIA_CONFIG;
}

bool manifest_child_is_manifest(const struct descriptor *child)
{
	/* Without a type, what is fetched says what it is. */
	return child->media_type[0] == '\0' || is_manifest_kind(media_kind(child->media_type));
}
