/*
 * What refers to what in a layout (RFR-18).
 *
 * One that is read is searched: every manifest that index.json reaches is looked at for its subject, once for each
 * index.json, when somebody first asks. How others wrote them there does not matter then: as entries without a name
 * (oras), in the list that a tag names (regctl, and we), or as children of an index (BuildKit).
 *
 * One that is written gets the list that a registry without the API has: an index, named by the subject's tag beside
 * the names of its repository, so that other tools find it and nothing of it is collected as garbage (LAY-6).
 */
#include "sync/endpoint/layout.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "sync/endpoint/layout_file.h"

#include <string.h>

struct relation {
	struct digest subject;
	struct descriptor referrer;
};

struct relations {
	struct relation *items; /* by subject */
	size_t count;
	struct stat status; /* of the index.json that they were searched from */
};

void layout_relations_free(struct relations *relations)
{
	for (size_t i = 0; relations && i < relations->count; i++)
		descriptor_release(&relations->items[i].referrer);
	if (relations)
		free(relations->items);
	free(relations);
}

/* --- searching, on a worker --------------------------------------------------------------------------------------- */

struct met {
	char key[DIGEST_TEXT_MAX + 1];
	char *media_type;
	UT_hash_handle hh;
	struct met *next; /* still to be read */
};

struct search_job {
	struct layout_job head;
	int root;
	struct met *met, *unread;
	struct relations *relations;
};

static bool meet(struct search_job *job, const struct descriptor *descriptor, struct error *err)
{
	struct met *known;
	HASH_FIND_STR(job->met, descriptor->digest.text, known);
	if (known || !manifest_child_is_manifest(descriptor) || !digest_is_verifiable(&descriptor->digest))
		return true;
	if (HASH_COUNT(job->met) >= LIMIT_LAYOUT_MANIFESTS)
		return error_set(err, ERR_TOO_LARGE, "more than %d manifests to be searched for subjects",
			LIMIT_LAYOUT_MANIFESTS);
	struct met *fresh = memory_new(1, sizeof *fresh);
	memcpy(fresh->key, descriptor->digest.text, sizeof fresh->key);
	fresh->media_type = memory_text(descriptor->media_type);
	fresh->next = job->unread;
	job->unread = fresh;
	HASH_ADD_STR(job->met, key, fresh);
	return true;
}

static void relate(
	struct relations *relations, const struct manifest *manifest, const struct digest *digest, int64_t size)
{
	if ((relations->count & (relations->count - 1)) == 0)
		relations->items = memory_resize(
			relations->items, relations->count ? relations->count * 2 : 1, sizeof *relations->items);
	relations->items[relations->count++] = (struct relation){manifest->subject.digest,
		{.media_type = memory_text(manifest->media_type), .digest = *digest, .size = size}};
}

/* What is not there or is no manifest refers to nothing; who copies it will be told. */
static bool read_one(struct search_job *job, const struct met *met, struct error *err)
{
	auto_manifest struct manifest manifest = {0};
	struct digest digest;
	struct stat status;
	struct error why;
	if (!digest_parse(met->key, &digest, err))
		return false;
	auto_close int fd = layout_open_blob(job->root, &digest, &status, &why);
	if (fd < 0 && why.kind == ERR_IO)
		return error_set(err, why.kind, "%s", why.text);
	if (fd < 0 || status.st_size > (off_t)LIMIT_MANIFEST_BYTES)
		return true;
	size_t size = (size_t)status.st_size;
	auto_free char *bytes = memory_new(size + 1, 1);
	if (!layout_read_file(fd, bytes, size, met->key, &why))
		return why.kind != ERR_IO || error_set(err, why.kind, "%s", why.text);
	if (!manifest_parse(bytes, size, met->media_type, &manifest, &why))
		return true;
	if (!digest_is_empty(&manifest.subject.digest))
		relate(job->relations, &manifest, &digest, (int64_t)size);
	bool ok = true;
	for (size_t i = 0; i < manifest.child_count && ok; i++)
		ok = meet(job, &manifest.children[i], err);
	return ok;
}

static bool walk(struct search_job *job, const struct index *index, struct error *err)
{
	bool ok = true;
	for (size_t i = 0; i < index->count && ok; i++)
		ok = meet(job, &index->entries[i], err);
	while (job->unread && ok) {
		struct met *next = job->unread;
		job->unread = next->next;
		ok = read_one(job, next, err);
	}
	return ok;
}

static int by_subject(const void *a, const void *b)
{
	const struct relation *left = a, *right = b;
	int order = strcmp(left->subject.text, right->subject.text);
	return order != 0 ? order : strcmp(left->referrer.digest.text, right->referrer.digest.text);
}

static bool search(void *argument, struct error *err)
{
	struct search_job *job = argument;
	struct index *index;
	if (!index_load(job->root, &index, err))
		return false;
	job->relations = memory_new(1, sizeof *job->relations);
	job->relations->status = index->status;
	bool ok = walk(job, index, err);
	index_free(index);
	struct met *met, *next;
	HASH_ITER(hh, job->met, met, next)
	{
		HASH_DEL(job->met, met);
		free(met->media_type);
		free(met);
	}
	if (ok && job->relations->count > 0)
		qsort(job->relations->items, job->relations->count, sizeof *job->relations->items, by_subject);
	return ok;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

/* See to it that layout->relations is of what index.json says now. */
static bool search_once(struct layout *layout, struct error *err)
{
	if (!layout_refresh(layout, err))
		return false;
	while (!layout->relations || !index_is_current(layout->index, &layout->relations->status)) {
		if (layout->searching) {
			if (!waitqueue_wait(&layout->searched, err))
				return false;
			continue;
		}
		struct search_job job = {.root = layout->root};
		layout->searching = true;
		bool ok = layout_run(layout, &job, search, err);
		layout->searching = false;
		waitqueue_wake_all(&layout->searched);
		if (!ok) {
			layout_relations_free(job.relations);
			return false;
		}
		layout_relations_free(layout->relations);
		layout->relations = job.relations;
		return true;
	}
	return true;
}

static void take(struct referrer_list *list, const struct descriptor *referrer)
{
	list->items = memory_resize(list->items, list->count + 1, sizeof *list->items);
	descriptor_copy(&list->items[list->count++], referrer);
}

static bool list_found(
	const struct relations *relations, const struct digest *subject, struct referrer_list *list, struct error *err)
{
	size_t low = 0, high = relations->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(relations->items[middle].subject.text, subject->text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < relations->count && digest_equal(&relations->items[low].subject, subject); low++) {
		if (list->count == LIMIT_REFERRERS)
			return error_set(err, ERR_TOO_LARGE, "more than %d referrers of one subject", LIMIT_REFERRERS);
		take(list, &relations->items[low].referrer);
	}
	return true;
}

/* The bytes of the list that @tag names; *found false: there is none. */
static bool read_list(struct layout *layout, const char *repository, const char *tag, struct buf *bytes, bool *found,
	struct error *err)
{
	struct descriptor wanted = {0}, list;
	static const struct digest none;
	struct error why;
	*found = false;
	if (!layout_refresh(layout, err) || !layout_name_entry(layout, repository, tag, &none, &wanted, err))
		return false;
	const struct descriptor *entry = layout_find_pending(layout, &wanted);
	if (!entry)
		entry = layout_find(layout->index, &wanted);
	descriptor_release(&wanted);
	if (!entry)
		return true;
	auto_free char *type = NULL;
	descriptor_copy(&list, entry);
	*found = layout_manifest(&layout->endpoint, repository, &list, bytes, &type, &why);
	descriptor_release(&list);
	if (*found || why.kind == ERR_NOT_FOUND) /* an entry without its manifest is none (P5) */
		return true;
	*err = why;
	return false;
}

static bool list_noted(struct layout *layout, const char *repository, const struct digest *subject,
	struct referrer_list *list, struct error *err)
{
	auto_free char *tag = referrer_tag(subject, false);
	auto_buf struct buf bytes;
	struct error why;
	bool found;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	if (!read_list(layout, repository, tag, &bytes, &found, err))
		return false;
	if (found && !referrer_list_add(list, buf_peek(&bytes), bytes.length, MEDIA_OCI_INDEX, &why))
		list->odd_tag = memory_text(tag);
	return true;
}

bool layout_referrers(struct endpoint *endpoint, const char *repository, const struct digest *subject, bool with_tags,
	struct referrer_list *list, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	(void)with_tags; /* what a tag lists is found, too */
	*list = (struct referrer_list){0};
	if (layout->is_target ? list_noted(layout, repository, subject, list, err)
			      : search_once(layout, err) && list_found(layout->relations, subject, list, err))
		return true;
	referrer_list_release(list);
	return false;
}

/* --- noting ------------------------------------------------------------------------------------------------------- */

bool layout_referrers_note(struct endpoint *endpoint, const char *repository, const struct digest *subject,
	const struct referrer *referrers, size_t count, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	auto_free char *tag = referrer_tag(subject, false), *longer = NULL;
	auto_buf struct buf bytes;
	bool found;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	if (!read_list(layout, repository, tag, &bytes, &found, err) ||
		!referrer_list_merge(found ? &bytes : NULL, referrers, count, &longer, err))
		return error_wrap(err, "%s: %s, the list of referrers", layout->name, tag);
	if (!longer)
		return true;
	struct descriptor list = {.media_type = (char[]){MEDIA_OCI_INDEX},
		.digest = digest_of(DIGEST_SHA256, longer, strlen(longer)),
		.size = (int64_t)strlen(longer)};
	return endpoint_manifest_put(endpoint, repository, tag, &list, longer, err);
}
