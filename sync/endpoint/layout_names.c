/*
 * What an image is called in index.json, by us and by others (LAY-8 to LAY-14).
 */
#include "sync/endpoint/layout.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/manifest.h"
#include "oci/reference.h"

#include <stdio.h>
#include <string.h>

bool layout_is_digest(const char *reference, struct digest *digest)
{
	struct digest parsed;
	if (!digest_parse(reference, &parsed, NULL) || !digest_is_verifiable(&parsed)) /* "x:1" fits the grammar */
		return false;
	*digest = parsed;
	return true;
}

char *layout_request(const char *repository, const char *reference)
{
	struct digest digest;
	if (!*repository)
		return memory_text(reference);
	return memory_format("%s%s%s", repository, layout_is_digest(reference, &digest) ? "@" : ":", reference);
}

static bool invalid_name(const char *name, struct error *err)
{
	char shown[LIMIT_FOREIGN_TEXT];
	str_sanitize(name, strlen(name), shown, sizeof shown);
	return error_set(err, ERR_INVALID, "\"%s\" cannot be the name of an image", shown);
}

/* The grammar of LAY-7 is left to readers: it has no word for names that registries do have, such as a__b. */
static bool is_name(const char *name)
{
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return *name && strlen(name) <= REFERENCE_NAME_MAX + 1 + DIGEST_TEXT_MAX;
}

bool layout_name_entry(const struct layout *layout, const char *repository, const char *reference,
	const struct digest *digest, struct descriptor *entry, struct error *err)
{
	struct digest same;
	auto_free char *full = layout_request(repository, reference);
	if (!is_name(full))
		return invalid_name(full, err);
	entry->digest = *digest;
	auto_free char *canonical = *repository ? index_canonical(full) : NULL;
	if (str_is(canonical, full)) /* containerd takes canonical names only */
		entry->containerd_name = memory_text(full);
	if (!layout_is_digest(reference, &same))
		entry->reference_name = memory_text(layout->bare_tags ? reference : full);
	return true;
}

/* --- selecting ------------------------------------------------------------------------------------------------- */

struct request {
	const struct index *index;
	const char *text;
	const struct descriptor *found, *other; /* other: a candidate with another digest */
};

static void consider(struct request *request, const struct descriptor *candidate)
{
	if (!request->found)
		request->found = candidate;
	else if (!digest_equal(&request->found->digest, &candidate->digest))
		request->other = candidate;
}

/* Has it found something, be it too much? */
static bool look(struct request *request, enum index_table table, const char *key)
{
	size_t count = 0;
	const struct index_row *rows = key ? index_find(request->index, table, key, &count) : NULL;
	for (size_t i = 0; i < count; i++)
		consider(request, &request->index->entries[rows[i].entry]);
	return count > 0;
}

/* A bare tag in a layout of one repository, which is the one that is asked for, as far as it tells. */
static bool look_bare(struct request *request)
{
	struct reference reference;
	const struct index *index = request->index;
	if (index->repositories || !strpbrk(request->text, "/:") || !reference_parse(request->text, &reference, NULL))
		return false;
	auto_free char *name = reference_name(&reference);
	bool fits = reference.tag && (!index->repository || str_is(name, index->repository));
	bool found = fits && look(request, INDEX_BY_NAME, reference.tag);
	reference_release(&reference);
	return found;
}

/* "3.20" means "docker.io/library/alpine:3.20", if no other repository has that tag. */
static bool look_suffix(struct request *request)
{
	if (strpbrk(request->text, "/:@"))
		return false;
	auto_free char *suffix = memory_format(":%s", request->text);
	for (size_t i = 0; i < request->index->count; i++) {
		const struct descriptor *entry = &request->index->entries[i];
		if (entry->reference_name && manifest_child_is_manifest(entry) &&
			str_ends_with(entry->reference_name, suffix))
			consider(request, entry);
	}
	return request->found != NULL;
}

/* LAY-14, the strongest first. */
static bool look_everywhere(struct request *request, const struct digest *digest)
{
	if (!digest_is_empty(digest))
		return look(request, INDEX_BY_DIGEST, digest->text);
	auto_free char *canonical = index_canonical(request->text);
	return look(request, INDEX_BY_NAME, request->text) || look(request, INDEX_BY_CONTAINERD, canonical) ||
	       look(request, INDEX_BY_CANONICAL, canonical) || look_bare(request) || look_suffix(request);
}

/* The digest that is asked for: as it stands, or behind a name. */
static struct digest wanted_digest(const char *text)
{
	struct digest digest = {0};
	const char *at = strrchr(text, '@');
	if (!layout_is_digest(text, &digest) && at)
		layout_is_digest(at + 1, &digest);
	return digest;
}

static const char *show(const struct descriptor *entry, char out[LIMIT_FOREIGN_TEXT])
{
	const char *identity = index_identity(entry);
	str_sanitize(identity, strlen(identity), out, LIMIT_FOREIGN_TEXT);
	return out;
}

static bool ambiguous(const struct request *request, struct error *err)
{
	char first[LIMIT_FOREIGN_TEXT], second[LIMIT_FOREIGN_TEXT], a[24], b[24];
	return error_set(err, ERR_INVALID, "it is ambiguous: %s (%s), and %s (%s)", show(request->found, first),
		digest_short(&request->found->digest, a), show(request->other, second),
		digest_short(&request->other->digest, b));
}

bool layout_select(const struct index *index, const char *repository, const char *reference,
	const struct descriptor **entry, struct error *err)
{
	auto_free char *text = layout_request(repository, reference);
	struct request request = {.index = index, .text = text};
	struct digest digest = wanted_digest(text);
	if (!look_everywhere(&request, &digest))
		return error_set(err, ERR_NOT_FOUND, "index.json has no such image");
	if (request.other)
		return ambiguous(&request, err);
	*entry = request.found;
	return true;
}

const struct descriptor *layout_find(const struct index *index, const struct descriptor *wanted)
{
	size_t count;
	const struct index_row *rows = index_find(index, INDEX_BY_IDENTITY, index_identity(wanted), &count);
	const struct descriptor *found = count == 1 ? &index->entries[rows[0].entry] : NULL;
	return found && !found->reference_name == !wanted->reference_name ? found : NULL;
}

/* --- listing --------------------------------------------------------------------------------------------------- */

enum { NAMES_PER_PAGE = 1000 };

struct layout_names {
	struct name_pages head;
	struct layout *layout;
	char *repository; /* NULL: all */
	bool read;
	struct image_name *names;
	size_t count, given;
};

struct name_pages *layout_list(struct layout *layout, const char *repository, const struct endpoint_ops *ops)
{
	struct layout_names *pages = memory_new(1, sizeof *pages);
	*pages = (struct layout_names){.head = {.ops = ops}, .layout = layout, .repository = memory_text(repository)};
	return &pages->head;
}

/* "docker.io/library/x:1" -> "docker.io/library/x" and "1". False: not a full name. */
static bool split(const char *text, struct image_name *name)
{
	struct reference reference;
	if (!text || !strpbrk(text, "/:@") || !reference_parse(text, &reference, NULL))
		return false;
	reference_default_tag(&reference);
	name->repository = reference_name(&reference);
	name->reference = memory_text(digest_is_empty(&reference.digest) ? reference.tag : reference.digest.text);
	reference_release(&reference);
	return true;
}

/* Several images with one tag, as `docker save` writes them: only their other names tell them apart. */
static bool is_alone(const struct index *index, const char *tag)
{
	size_t count;
	index_find(index, INDEX_BY_NAME, tag, &count);
	return count == 1;
}

static void name_entry(const struct index *index, const struct descriptor *entry, struct image_name *name)
{
	const char *tag = entry->reference_name;
	if (tag && split(tag, name))
		return;
	if ((!tag || !is_alone(index, tag)) && split(entry->containerd_name, name))
		return;
	*name = (struct image_name){memory_text(""), memory_text(tag ? tag : entry->digest.text)};
}

static int compare_names(const void *a, const void *b)
{
	const struct image_name *left = a, *right = b;
	int order = strcmp(left->repository, right->repository);
	return order != 0 ? order : strcmp(left->reference, right->reference);
}

static void free_name(struct image_name *name)
{
	free(name->repository);
	free(name->reference);
}

/* One and the same name twice is one image, or an error to whoever resolves it. */
static void drop_repeated(struct layout_names *pages)
{
	size_t kept = 0;
	qsort(pages->names, pages->count, sizeof *pages->names, compare_names);
	for (size_t i = 0; i < pages->count; i++)
		if (kept > 0 && compare_names(&pages->names[kept - 1], &pages->names[i]) == 0)
			free_name(&pages->names[i]);
		else
			pages->names[kept++] = pages->names[i];
	pages->count = kept;
}

static bool read_names(struct layout_names *pages, struct error *err)
{
	if (!layout_refresh(pages->layout, err))
		return false;
	const struct index *index = pages->layout->index;
	pages->names = memory_new(index->count + 1, sizeof *pages->names);
	for (size_t i = 0; i < index->count; i++) {
		struct image_name *name = &pages->names[pages->count];
		if (!manifest_child_is_manifest(&index->entries[i]))
			continue;
		name_entry(index, &index->entries[i], name);
		if (pages->repository && !str_is(pages->repository, name->repository))
			free_name(name);
		else
			pages->count++;
	}
	drop_repeated(pages);
	pages->read = true;
	return !pages->repository || pages->count > 0 ||
	       error_set(err, ERR_NOT_FOUND, "%s: no image of %s", pages->layout->name, pages->repository);
}

bool layout_pages_next(struct name_pages *head, const struct image_name **names, size_t *count, struct error *err)
{
	struct layout_names *pages = (struct layout_names *)head;
	if (!pages->read && !read_names(pages, err))
		return false;
	size_t left = pages->count - pages->given;
	*count = left < NAMES_PER_PAGE ? left : NAMES_PER_PAGE;
	*names = pages->names + pages->given;
	pages->given += *count;
	return true;
}

void layout_pages_free(struct name_pages *head)
{
	struct layout_names *pages = (struct layout_names *)head;
	for (size_t i = 0; i < pages->count; i++)
		free_name(&pages->names[i]);
	free(pages->names);
	free(pages->repository);
	free(pages);
}
