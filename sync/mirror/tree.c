/*
 * The tree of one image: level by level from the root, each level's manifests fetched side by side, each digest once.
 */
#include "sync/mirror/internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "scheduler/loop.h"

#include <stdio.h>
#include <string.h>

enum { MISSING_NAMED = 5 };

struct fetch {
	struct run *run;
	struct endpoint *source;
	const char *repository;
	struct tree_manifest *manifest;
	struct error err; /* kind ERR_NONE: well */
};

static bool parse(struct tree_manifest *node, const char *said, struct error *err)
{
	if (!manifest_parse(node->bytes, node->length, said, &node->manifest, err))
		return false;
	free(node->descriptor.media_type);
	node->descriptor.media_type = memory_text(node->manifest.media_type);
	node->descriptor.size = (int64_t)node->length;
	return true;
}

static bool fetch_one(struct fetch *fetch, struct error *err)
{
	struct tree_manifest *node = fetch->manifest;
	if (!content_manifest(fetch->run, fetch->source, fetch->repository, &node->descriptor, &node->content, err))
		return false;
	node->bytes = node->content->bytes;
	node->length = node->content->length;
	/* MAN-5: what the index says of its child, else what the reply said */
	const char *said = node->descriptor.media_type && *node->descriptor.media_type ? node->descriptor.media_type
										       : node->content->media_type;
	return parse(node, said, err);
}

static void fetch_task(void *argument)
{
	struct fetch *fetch = argument;
	char name[24];
	if (!fetch_one(fetch, &fetch->err))
		error_wrap(&fetch->err, "manifest %s", digest_short(&fetch->manifest->descriptor.digest, name));
}

/* Those that are not there yet, a few at a time. */
static bool fetch_each(struct fetch *fetches, size_t count, struct error *err)
{
	struct group group;
	bool ok = true;
	group_init(&group, MANIFESTS_AT_ONCE);
	for (size_t i = 0; i < count && ok; i++) {
		if (fetches[i].manifest->content)
			continue;
		fetches[i].err = (struct error){.kind = ERR_NONE};
		ok = group_spawn(&group, fetch_task, &fetches[i], err);
	}
	group_wait(&group);
	return ok;
}

static bool any_not_found(const struct fetch *fetches, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fetches[i].err.kind == ERR_NOT_FOUND)
			return true;
	return false;
}

/* How many are not in memory. */
static int64_t count_to_ask_for(const struct fetch *fetches, size_t count)
{
	int64_t missing = 0;
	for (size_t i = 0; i < count; i++) {
		const struct content *known = content_peek(fetches[i].run, &fetches[i].manifest->descriptor);
		missing += !known;
		content_release(fetches[i].run, known);
	}
	return missing;
}

/* Where the source counts them, a level is asked for if all of it may be (ERR-11). */
static bool fetch_planned(struct fetch *fetches, size_t count, struct error *err)
{
	int64_t cost = count_to_ask_for(fetches, count);
	if (!endpoint_plan(fetches->source, cost, err))
		return false;
	bool ok = fetch_each(fetches, count, err);
	endpoint_plan_end(fetches->source, cost);
	return ok;
}

/* T-36: all that is missing in one line, as far as it goes. */
static void list_missing(const struct fetch *fetches, size_t count, struct error *err)
{
	char list[LIMIT_FOREIGN_TEXT] = "", name[24];
	size_t missing = 0;
	for (size_t i = 0; i < count; i++) {
		if (fetches[i].err.kind != ERR_NOT_FOUND)
			continue;
		size_t used = strlen(list);
		if (missing++ < MISSING_NAMED)
			snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
				digest_short(&fetches[i].manifest->descriptor.digest, name));
	}
	if (missing > 1)
		error_wrap(
			err, "%zu manifests are missing: %s%s", missing, list, missing > MISSING_NAMED ? ", ..." : "");
}

/* What came of each: the first failure, and what is missing, which may be allowed. */
static bool conclude_level(struct fetch *fetches, size_t count, bool keeps_sparse, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		bool missing = fetches[i].err.kind == ERR_NOT_FOUND;
		fetches[i].manifest->is_missing = missing && keeps_sparse;
		if (fetches[i].err.kind == ERR_NONE || (missing && keeps_sparse))
			continue;
		*err = fetches[i].err;
		if (missing)
			list_missing(fetches, count, err);
		return false;
	}
	return true;
}

/* Fetch manifests [from, end) of the tree. */
static bool fetch_level(struct run *run, struct endpoint *source, const char *repository, struct tree *tree,
	size_t from, bool keeps_sparse, struct error *err)
{
	size_t count = tree->manifest_count - from;
	struct fetch *fetches = memory_new(count, sizeof *fetches);
	for (size_t i = 0; i < count; i++)
		fetches[i] = (struct fetch){run, source, repository, &tree->manifests[from + i], {.kind = ERR_NONE}};
	bool ok = fetch_planned(fetches, count, err);
	/* MAN-13: a proxy cache may fetch it because it was asked. One pause for all, however many are missing. */
	if (ok && any_not_found(fetches, count) && !endpoint_is_layout(source))
		ok = task_sleep(PROXY_FETCHES_MS, err) && fetch_each(fetches, count, err);
	ok = ok && conclude_level(fetches, count, keeps_sparse, err);
	free(fetches);
	return ok;
}

/* Digests seen, so that what is reached twice is fetched and carried once (T-34). */
struct seen {
	char key[DIGEST_TEXT_MAX + 1];
	int64_t size;
	size_t position; /* of a manifest, in the tree */
	UT_hash_handle hh;
};

static void seen_release(struct seen **seen)
{
	struct seen *item, *next;
	HASH_ITER(hh, *seen, item, next)
	{
		HASH_DEL(*seen, item);
		free(item);
	}
}

static struct seen *find_seen(struct seen *seen, const struct digest *digest)
{
	struct seen *item;
	HASH_FIND_STR(seen, digest->text, item);
	return item;
}

/* *fresh: this is the first time. ERR_CORRUPT: one digest with two sizes (T-32). */
static bool see(struct seen **seen, const struct descriptor *descriptor, bool *fresh, struct error *err)
{
	struct seen *item = find_seen(*seen, &descriptor->digest);
	*fresh = !item;
	if (item) {
		if (item->size == descriptor->size)
			return true;
		return error_set(err, ERR_CORRUPT, "%s has two sizes, %ld and %ld", descriptor->digest.text,
			(long)item->size, (long)descriptor->size);
	}
	item = memory_new(1, sizeof *item);
	memcpy(item->key, descriptor->digest.text, sizeof item->key);
	item->size = descriptor->size;
	HASH_ADD_STR(*seen, key, item);
	return true;
}

static bool add_blob(struct tree *tree, struct seen **seen, const struct descriptor *blob, struct error *err)
{
	bool fresh;
	if (!see(seen, blob, &fresh, err))
		return false;
	if (!fresh)
		return true;
	if ((tree->blob_count & (tree->blob_count - 1)) == 0)
		tree->blobs =
			memory_resize(tree->blobs, tree->blob_count ? tree->blob_count * 2 : 1, sizeof *tree->blobs);
	tree->blobs[tree->blob_count++] = *blob;
	tree->bytes += blob->size;
	return true;
}

static bool add_blobs(struct tree *tree, struct error *err)
{
	struct seen *seen = NULL;
	bool ok = true;
	for (size_t m = 0; m < tree->manifest_count && ok; m++) {
		const struct manifest *manifest = &tree->manifests[m].manifest;
		if (manifest->kind == MEDIA_MANIFEST)
			ok = add_blob(tree, &seen, &manifest->config, err);
		for (size_t i = 0; i < manifest->layer_count && ok; i++)
			ok = add_blob(tree, &seen, &manifest->layers[i], err);
		for (size_t i = 0; i < manifest->child_count && ok; i++)
			if (!manifest_child_is_manifest(&manifest->children[i])) /* IDX-2: opaque */
				ok = add_blob(tree, &seen, &manifest->children[i], err);
	}
	seen_release(&seen);
	return ok;
}

static struct tree_manifest *add_manifest(struct tree *tree, const struct descriptor *descriptor, unsigned depth)
{
	if ((tree->manifest_count & (tree->manifest_count - 1)) == 0)
		tree->manifests = memory_resize(
			tree->manifests, tree->manifest_count ? tree->manifest_count * 2 : 1, sizeof *tree->manifests);
	struct tree_manifest *node = &tree->manifests[tree->manifest_count++];
	*node = (struct tree_manifest){.depth = depth};
	descriptor_copy(&node->descriptor, descriptor);
	return node;
}

static bool add_children(
	struct tree *tree, struct seen **seen, size_t from, size_t to, unsigned depth, struct error *err)
{
	for (size_t m = from; m < to; m++) {
		for (size_t i = 0; i < tree->manifests[m].manifest.child_count; i++) {
			const struct descriptor *child = &tree->manifests[m].manifest.children[i];
			bool fresh;
			if (!manifest_child_is_manifest(child))
				continue;
			if (!see(seen, child, &fresh, err))
				return false;
			if (!fresh)
				continue;
			if (depth > LIMIT_INDEX_DEPTH)
				return error_set(err, ERR_TOO_LARGE, "indexes nest deeper than %d", LIMIT_INDEX_DEPTH);
			if (tree->manifest_count >= LIMIT_TREE_MANIFESTS)
				return error_set(err, ERR_TOO_LARGE, "more than %d manifests", LIMIT_TREE_MANIFESTS);
			tree->manifest_bytes += child->size;
			if (tree->manifest_bytes > LIMIT_TREE_BYTES)
				return error_set(
					err, ERR_TOO_LARGE, "manifests of more than %ld bytes", (long)LIMIT_TREE_BYTES);
			find_seen(*seen, &child->digest)->position = tree->manifest_count;
			add_manifest(tree, child, depth);
		}
	}
	return true;
}

static bool sink_once(struct tree *tree, struct seen *seen)
{
	bool moved = false;
	for (size_t m = 0; m < tree->manifest_count; m++) {
		const struct tree_manifest *parent = &tree->manifests[m];
		for (size_t i = 0; i < parent->manifest.child_count; i++) {
			const struct seen *item = find_seen(seen, &parent->manifest.children[i].digest);
			struct tree_manifest *child = item ? &tree->manifests[item->position] : NULL;
			if (!child || child->depth > parent->depth)
				continue;
			child->depth = parent->depth + 1;
			moved = true;
		}
		if (parent->depth > tree->depth)
			tree->depth = parent->depth;
	}
	return moved;
}

/* A child of several indexes is found below the first, and must be pushed before the deepest. */
static bool sink_shared_children(struct tree *tree, struct seen *seen, struct error *err)
{
	for (unsigned levels = 0; levels <= LIMIT_INDEX_DEPTH; levels++)
		if (!sink_once(tree, seen))
			return true;
	return error_set(err, ERR_TOO_LARGE, "indexes nest deeper than %d", LIMIT_INDEX_DEPTH);
}

/* Replace the root index by its subset. */
static bool rewrite_root(
	struct run *run, struct tree *tree, const struct platform *platforms, size_t platform_count, struct error *err)
{
	struct tree_manifest *root = &tree->manifests[0];
	auto_buf struct buf bytes;
	size_t kept;
	buf_init(&bytes, run->manifest_bytes_most);
	if (!manifest_select_platforms(root->bytes, root->length, platforms, platform_count, &bytes, &kept, err))
		return false;
	auto_free char *media_type = memory_text(root->manifest.media_type);
	manifest_release(&root->manifest);
	content_release(run, root->content);
	root->content = NULL;
	root->rewritten = buf_take(&bytes, &root->length);
	root->bytes = (const unsigned char *)root->rewritten;
	root->descriptor.digest = digest_of(DIGEST_SHA256, root->bytes, root->length);
	return parse(root, media_type, err);
}

bool tree_fetch(struct run *run, struct endpoint *source, const char *repository, const struct descriptor *root,
	const struct tree_wishes *wishes, struct tree *tree, struct error *err)
{
	struct seen *seen = NULL;
	bool ok = true;
	*tree = (struct tree){0};
	add_manifest(tree, root, 0);
	for (size_t from = 0; ok && from < tree->manifest_count;) {
		size_t to = tree->manifest_count;
		unsigned depth = tree->manifests[from].depth;
		ok = fetch_level(run, source, repository, tree, from, wishes->keeps_sparse && from > 0, err);
		if (ok && from == 0 && wishes->platform_count > 0 && tree->manifests[0].manifest.kind == MEDIA_INDEX)
			ok = rewrite_root(run, tree, wishes->platforms, wishes->platform_count, err);
		ok = ok && add_children(tree, &seen, from, to, depth + 1, err);
		from = to;
	}
	ok = ok && sink_shared_children(tree, seen, err);
	seen_release(&seen);
	return ok && add_blobs(tree, err);
}

void tree_release(struct run *run, struct tree *tree)
{
	for (size_t i = 0; i < tree->manifest_count; i++) {
		struct tree_manifest *node = &tree->manifests[i];
		manifest_release(&node->manifest);
		content_release(run, node->content);
		free(node->rewritten);
		descriptor_release(&node->descriptor);
	}
	free(tree->manifests);
	free(tree->blobs);
	*tree = (struct tree){0};
}
