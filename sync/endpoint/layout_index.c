#include "sync/endpoint/layout_index.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include "sync/endpoint/layout_file.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define INDEX_FILE "index.json"

/* --- snapshots ------------------------------------------------------------------------------------------------- */

struct index *index_new(void)
{
	return memory_new(1, sizeof(struct index));
}

void index_free(struct index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->count; i++)
		descriptor_release(&index->entries[i]);
	for (size_t i = 0; i < INDEX_TABLES; i++)
		free(index->rows[i]);
	for (size_t i = 0; i < index->text_count; i++)
		free(index->texts[i]);
	free(index->texts);
	free(index->entries);
	free(index->repository);
	free(index);
}

bool status_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool index_is_current(const struct index *index, const struct stat *status)
{
	return status_is_same(&index->status, status);
}

const char *index_identity(const struct descriptor *entry)
{
	if (entry->reference_name)
		return entry->reference_name;
	return entry->containerd_name ? entry->containerd_name : entry->digest.text;
}

char *index_canonical(const char *name)
{
	struct reference reference;
	if (!reference_parse(name, &reference, NULL))
		return NULL;
	reference_default_tag(&reference);
	char *canonical = reference_format(&reference);
	reference_release(&reference);
	return canonical;
}

static void add_row(struct index *index, enum index_table table, const char *key, size_t entry)
{
	if (key)
		index->rows[table][index->row_counts[table]++] = (struct index_row){key, entry};
}

/* The repository of the canonical name @text: is it the only one so far? */
static void note_repository(struct index *index, const char *text)
{
	const char *slash = strrchr(text, '/');
	size_t length = (size_t)(slash - text) + strcspn(slash, ":@");
	if (!index->repository)
		index->repository = memory_text_of(text, length);
	else if (strlen(index->repository) != length || memcmp(index->repository, text, length) != 0)
		index->repositories = true;
}

/* The canonical form of @name, kept by the index; NULL: it has none. */
static const char *keep_canonical(struct index *index, const char *name)
{
	char *text = name ? index_canonical(name) : NULL;
	if (!text)
		return NULL;
	note_repository(index, text);
	index->texts[index->text_count++] = text;
	return text;
}

static int compare_rows(const void *a, const void *b)
{
	const struct index_row *left = a, *right = b;
	int order = strcmp(left->key, right->key);
	return order != 0 ? order : (left->entry > right->entry) - (left->entry < right->entry);
}

static void fill_tables(struct index *index)
{
	for (size_t i = 0; i < INDEX_TABLES; i++)
		index->rows[i] = memory_new(index->count + 1, sizeof *index->rows[i]);
	index->texts = memory_new(2 * index->count + 1, sizeof *index->texts);
	for (size_t i = 0; i < index->count; i++) {
		const struct descriptor *entry = &index->entries[i];
		if (!manifest_child_is_manifest(entry))
			continue;
		const char *name = entry->reference_name;
		const char *full = name && strpbrk(name, "/:@") ? name : NULL;
		add_row(index, INDEX_BY_IDENTITY, index_identity(entry), i);
		add_row(index, INDEX_BY_NAME, name, i);
		add_row(index, INDEX_BY_CANONICAL, keep_canonical(index, full), i);
		add_row(index, INDEX_BY_CONTAINERD, keep_canonical(index, entry->containerd_name), i);
		add_row(index, INDEX_BY_DIGEST, entry->digest.text, i);
	}
	for (size_t i = 0; i < INDEX_TABLES; i++)
		qsort(index->rows[i], index->row_counts[i], sizeof *index->rows[i], compare_rows);
}

/* The first row whose key is not before @key. */
static size_t lower_bound(const struct index_row *rows, size_t count, const char *key)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(rows[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct index_row *index_find(const struct index *index, enum index_table table, const char *key, size_t *count)
{
	const struct index_row *rows = index->rows[table];
	size_t first = lower_bound(rows, index->row_counts[table], key), end = first;
	while (end < index->row_counts[table] && strcmp(rows[end].key, key) == 0)
		end++;
	*count = end - first;
	return rows ? rows + first : NULL;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

/* The array of entries of @document; *entries NULL: `null`, which is how Go writes none. */
static bool find_entries(const json_t *document, json_t **entries, struct error *err)
{
	const struct json_field field = {"manifests", JSON_WANT_ARRAY, JSON_OPTIONAL, entries};
	*entries = NULL;
	if (!json_read(document, &field, 1, err))
		return false;
	if (!json_object_get(document, "manifests"))
		return error_set(err, ERR_CORRUPT, "not an image index: it has no \"manifests\"");
	return json_array_size(*entries) <= LIMIT_LAYOUT_INDEX_ENTRIES ||
	       error_set(err, ERR_TOO_LARGE, "more than %d entries", LIMIT_LAYOUT_INDEX_ENTRIES);
}

static bool read_entries(const json_t *array, struct index *index, struct error *err)
{
	index->entries = memory_new(json_array_size(array) + 1, sizeof *index->entries);
	for (; index->count < json_array_size(array); index->count++)
		if (!descriptor_read(json_array_get(array, index->count), &index->entries[index->count], err))
			return error_wrap(err, "entry %zu", index->count);
	return true;
}

/* The entries, without the tables. */
static bool read_snapshot(const json_t *document, struct index **out, struct error *err)
{
	json_t *array;
	if (!find_entries(document, &array, err))
		return false;
	struct index *index = index_new();
	if (!read_entries(array, index, err)) {
		index_free(index);
		return false;
	}
	*out = index;
	return true;
}

/* The document; *document NULL: there is no file. */
static bool load_document(int root, json_t **document, struct stat *status, struct error *err)
{
	auto_buf struct buf bytes;
	struct error why;
	buf_init(&bytes, LIMIT_LAYOUT_INDEX_BYTES);
	*document = NULL;
	if (!layout_load_file(root, INDEX_FILE, &bytes, status, &why)) {
		if (why.kind == ERR_NOT_FOUND)
			return true;
		*err = why;
		return false;
	}
	return json_parse_large(bytes.data, bytes.length, LIMIT_LAYOUT_INDEX_TOKENS, document, err) ||
	       error_wrap(err, INDEX_FILE);
}

/* skopeo overwrites the file where it stands (LAY-2): what is half written now will be whole in a moment. */
static bool load_settled(int root, json_t **document, struct stat *status, struct error *err)
{
	enum { TRIES_MOST = 5 };
	static const struct timespec moment = {.tv_nsec = 20000000};
	struct error why;
	for (int i = 1; !load_document(root, document, status, &why); i++) {
		if (why.kind != ERR_CORRUPT || i == TRIES_MOST) {
			*err = why;
			return false;
		}
		nanosleep(&moment, NULL);
	}
	return true;
}

bool index_load(int root, struct index **index, struct error *err)
{
	auto_json json_t *document = NULL;
	struct stat status = {0};
	if (!load_settled(root, &document, &status, err))
		return false;
	if (!document)
		*index = index_new();
	else if (!read_snapshot(document, index, err))
		return error_wrap(err, INDEX_FILE);
	fill_tables(*index);
	(*index)->status = status;
	return true;
}

/* --- merging --------------------------------------------------------------------------------------------------- */

struct merge {
	const struct descriptor *entries; /* ours */
	struct index_row *rows;           /* ours by identity, sorted */
	size_t count;
	bool *there; /* beside entries: stands in the file as it should */
	json_t *document;
	struct index *snapshot; /* of @document, before and after */
	bool changed;
};

static json_t *new_document(void)
{
	return json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_OCI_INDEX, "manifests");
}

static void set_annotation(json_t *annotations, const char *key, const char *value)
{
	if (value)
		json_object_set_new(annotations, key, json_string(value));
}

static json_t *platform_json(const struct platform *platform)
{
	json_t *object = json_pack("{s:s, s:s}", "architecture", platform->architecture, "os", platform->os);
	if (*platform->variant)
		json_object_set_new(object, "variant", json_string(platform->variant));
	return object;
}

static json_t *entry_json(const struct descriptor *entry)
{
	json_t *object = json_pack("{s:s, s:s, s:I}", "mediaType", entry->media_type, "digest", entry->digest.text,
		"size", (json_int_t)entry->size);
	json_t *annotations = json_object();
	set_annotation(annotations, "org.opencontainers.image.ref.name", entry->reference_name);
	set_annotation(annotations, "io.containerd.image.name", entry->containerd_name);
	/* LAY-15: of an index, it would be a lie. */
	if (!platform_is_empty(&entry->platform) && media_kind(entry->media_type) == MEDIA_MANIFEST)
		json_object_set_new(object, "platform", platform_json(&entry->platform));
	if (json_object_size(annotations) > 0)
		json_object_set(object, "annotations", annotations);
	json_decref(annotations);
	return object;
}

/* Of the same identity, and the same in what matters; a name that only containerd reads is not yet our name. */
static bool is_same(const struct descriptor *a, const struct descriptor *b)
{
	return !a->reference_name == !b->reference_name && digest_equal(&a->digest, &b->digest) && a->size == b->size &&
	       str_is(a->media_type, b->media_type);
}

/* Does the entry of the file stay? LAY-13: another one of an identity of ours goes. */
static bool stays(struct merge *merge, const struct descriptor *entry)
{
	const char *identity = index_identity(entry);
	size_t at = lower_bound(merge->rows, merge->count, identity);
	if (at == merge->count || strcmp(merge->rows[at].key, identity) != 0)
		return true;
	size_t ours = merge->rows[at].entry;
	if (merge->there[ours] || !is_same(entry, &merge->entries[ours]))
		return false;
	merge->there[ours] = true;
	return true;
}

/* The entries as they shall be: those that stay, in their order, then ours that are new. */
static json_t *merge_entries(struct merge *merge, const json_t *array)
{
	json_t *merged = json_array();
	bool fits = merged != NULL;
	for (size_t i = 0; i < merge->snapshot->count; i++)
		if (stays(merge, &merge->snapshot->entries[i]))
			fits &= json_array_append(merged, json_array_get(array, i)) == 0;
		else
			merge->changed = true;
	for (size_t i = 0; i < merge->count; i++)
		if (!merge->there[i]) {
			fits &= json_array_append_new(merged, entry_json(&merge->entries[i])) == 0;
			merge->changed = true;
		}
	if (!fits)
		memory_exhausted();
	return merged;
}

/* The status of what we wrote, or zero if another writer was there at once: then the next look reads it again. */
static void take_status(int root, const struct stat *ours, struct stat *status)
{
	if (fstatat(root, INDEX_FILE, status, AT_SYMLINK_NOFOLLOW) == 0 && status->st_ino == ours->st_ino &&
		status->st_size == ours->st_size && status->st_mtim.tv_sec == ours->st_mtim.tv_sec &&
		status->st_mtim.tv_nsec == ours->st_mtim.tv_nsec)
		return;
	*status = (struct stat){0};
}

static bool write_document(int root, const json_t *document, struct stat *status, struct error *err)
{
	struct temporary temporary;
	struct stat ours;
	auto_free char *text = json_dumps(document, JSON_COMPACT);
	if (!text)
		memory_exhausted();
	size_t length = strlen(text);
	if (length > LIMIT_LAYOUT_INDEX_BYTES)
		return error_set(err, ERR_TOO_LARGE, "%zu bytes", length);
	if (!temporary_open(root, NULL, &temporary, err))
		return false;
	bool ok = file_write_all(temporary.fd, text, length, err) &&
		  (fstat(temporary.fd, &ours) == 0 || error_errno(err, "fstat"));
	if (!ok) {
		temporary_abort(&temporary);
		return false;
	}
	if (!temporary_publish(&temporary, root, INDEX_FILE, err))
		return false;
	take_status(root, &ours, status);
	return true;
}

/* Change the document; merge->changed tells whether there was anything to change. */
static bool merge_document(struct merge *merge, struct error *err)
{
	json_t *array;
	if (!merge->document)
		merge->document = new_document();
	if (!read_snapshot(merge->document, &merge->snapshot, err) || !find_entries(merge->document, &array, err))
		return false;
	json_object_set_new(merge->document, "manifests", merge_entries(merge, array));
	return true;
}

static bool write_merged(int root, struct merge *merge, struct stat *status, struct error *err)
{
	index_free(merge->snapshot); /* before there is another one: an index may be long */
	merge->snapshot = NULL;
	return read_snapshot(merge->document, &merge->snapshot, err) &&
	       write_document(root, merge->document, status, err);
}

static void sort_ours(struct merge *merge)
{
	merge->rows = memory_new(merge->count + 1, sizeof *merge->rows);
	merge->there = memory_new(merge->count + 1, sizeof *merge->there);
	for (size_t i = 0; i < merge->count; i++)
		merge->rows[i] = (struct index_row){index_identity(&merge->entries[i]), i};
	qsort(merge->rows, merge->count, sizeof *merge->rows, compare_rows);
}

bool index_merge(int root, const struct descriptor *entries, size_t count, struct index **index, struct error *err)
{
	struct merge merge = {.entries = entries, .count = count};
	struct stat status = {0};
	if (!load_settled(root, &merge.document, &status, err))
		return false;
	sort_ours(&merge);
	bool ok = merge_document(&merge, err) && (!merge.changed || write_merged(root, &merge, &status, err));
	json_decref(merge.document);
	free(merge.rows);
	free(merge.there);
	if (!ok) {
		index_free(merge.snapshot);
		return error_wrap(err, INDEX_FILE);
	}
	fill_tables(merge.snapshot);
	merge.snapshot->status = status;
	*index = merge.snapshot;
	return true;
}
