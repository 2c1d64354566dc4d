/*
 * Publishing at one target: children by digest from the deepest up, the root, and with it the tag, last (PSH-1,
 * P2).
 */
#include "sync/mirror/image.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"

/* The specification asks registries for that much, and most give no more. */
enum { MANIFEST_BYTES_TAKEN = 4 << 20 };

static bool put_manifest(
	struct image_target *target, const struct tree_manifest *node, const char *tag, struct error *err)
{
	char name[24];
	if (node->length > MANIFEST_BYTES_TAKEN && !endpoint_is_layout(target->endpoint)) /* MAN-20 */
		log_warning("%s: manifest %s has %zu bytes; many registries take no more than %d", target->image->name,
			digest_short(&node->descriptor.digest, name), node->length, MANIFEST_BYTES_TAKEN);
	return endpoint_manifest_put(target->endpoint, target->repository, tag, &node->descriptor, node->bytes, err) ||
	       error_wrap(err, "manifest %s", digest_short(&node->descriptor.digest, name));
}

struct put_task {
	struct image_target *target;
	struct outcome *outcome; /* of them all */
	const struct tree_manifest *node;
};

static void put_task(void *argument)
{
	struct put_task *task = argument;
	struct error err;
	if (!put_manifest(task->target, task->node, NULL, &err))
		outcome_fail(task->outcome, "publish", SIDE_TARGET, &err);
}

/* The children at @depth; what has a subject after what has none, since some registries want the subject first (IDX-9).
 */
static bool put_level(struct image_target *target, unsigned depth, bool with_subject, struct error *err)
{
	const struct tree *tree = &target->image->tree;
	struct put_task *tasks = memory_new(tree->manifest_count, sizeof *tasks);
	struct outcome outcome = {.err = {.kind = ERR_NONE}};
	struct group group;
	bool ok = true;
	group_init(&group, MANIFESTS_AT_ONCE / 2); /* PSH-11 */
	for (size_t i = 0; i < tree->manifest_count && ok; i++) {
		const struct tree_manifest *node = &tree->manifests[i];
		if (node->depth != depth || node->is_missing ||
			!digest_is_empty(&node->manifest.subject.digest) != with_subject)
			continue;
		tasks[i] = (struct put_task){target, &outcome, node};
		ok = group_spawn(&group, put_task, &tasks[i], err);
	}
	group_wait(&group);
	free(tasks);
	if (ok && !outcome_is_well(&outcome))
		*err = outcome.err;
	return ok && outcome_is_well(&outcome);
}

/* What refers to the image is there before its tag moves, and the image before what refers to it (RFR-14, PSH-4). */
static bool put_root(struct image_target *target, struct error *err)
{
	struct image *image = target->image;
	const struct tree_manifest *root = &image->tree.manifests[0];
	const char *tag = target->keeps_tag ? NULL : target->tag ? target->tag : root->descriptor.digest.text;
	struct digest subject;
	bool any = false;
	if (image_is_list_of_referrers(image, &subject) && str_is(tag, image->reference))
		return image_note_list(target, &subject, err);
	if (!image_target_is_at_home(target) && !image_find_referrers(image, &any, err))
		return false;
	if (any && (!put_manifest(target, root, NULL, err) || !image_copy_referrers(target, err)))
		return false;
	return (any && !tag) || put_manifest(target, root, tag, err);
}

static bool publish(struct image_target *target, struct error *err)
{
	const struct tree *tree = &target->image->tree;
	for (unsigned depth = image_target_is_at_home(target) ? 0 : tree->depth; depth > 0; depth--) {
		if (!put_level(target, depth, false, err) || !put_level(target, depth, true, err))
			return false;
	}
	return put_root(target, err) && endpoint_flush(target->endpoint, err);
}

void image_publish(struct image_target *target)
{
	struct error err;
	int64_t begun_ms = loop_now_ms();
	bool ok = publish(target, &err);
	for (int round = 1; !ok && image_heal(target, round, begun_ms, &err); round++) {
		begun_ms = loop_now_ms();
		ok = publish(target, &err);
	}
	if (!ok) {
		outcome_fail(&target->outcome, "publish", SIDE_TARGET, &err);
		return;
	}
	target->written = true;
	image_remember_written(target->image, target);
}
