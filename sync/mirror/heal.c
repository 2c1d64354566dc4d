/*
 * Targets that said more than is true: a blob was there when it was asked for, or mounted, and is missing when the
 * manifest comes. Garbage was collected in between, a cache is stale, a registry answers for its neighbours, or what
 * was sent is not to be seen yet (PSH-7, ERR-7, T-48, T-52).
 *
 * The first time, what was known of the blobs at this place is forgotten, so that each is asked for again and sent if
 * it is missing. The second time nothing that this target says of them is believed, and all are sent. Then it is an
 * error of the target.
 */
#include "sync/mirror/image.h"

#include "base/log.h"
#include "sync/mirror/blob.h"

enum { ROUNDS_MOST = 2, PAUSE_MS = 1000 };

/* What was left out on purpose makes it incomplete for good (IDX-5, BLB-14). */
static bool is_whole(const struct image_target *target)
{
	const struct tree *tree = &target->image->tree;
	for (size_t i = 0; i < tree->manifest_count; i++)
		if (tree->manifests[i].is_missing)
			return false;
	for (size_t i = 0; i < tree->blob_count; i++)
		if (!image_target_takes(target, &tree->blobs[i]))
			return false;
	return !image_target_is_at_home(target);
}

static void forget(const struct image_target *target, bool distrust, int64_t begun_ms)
{
	const struct image *image = target->image;
	for (size_t i = 0; i < image->tree.blob_count; i++) {
		const struct digest *digest = &image->tree.blobs[i].digest;
		blob_forget_place(image->run, digest, target->endpoint, target->repository, begun_ms);
		if (distrust)
			blob_distrust(image->run, digest, target->endpoint);
	}
}

bool image_heal(struct image_target *target, int round, int64_t begun_ms, struct error *err)
{
	if (err->kind != ERR_INCOMPLETE || !is_whole(target))
		return false;
	if (round > ROUNDS_MOST)
		return error_wrap(err, "though all of it was sent again");
	log_warning("%s: %s lacks what it said it has; %s: %s", target->image->name, target->name,
		round < ROUNDS_MOST ? "it is asked again" : "all of it is sent again", err->text);
	if (!task_sleep((int64_t)PAUSE_MS * round, err))
		return false;
	forget(target, round == ROUNDS_MOST, begun_ms);
	struct error why;
	if (!image_deliver_alone(target, &why)) {
		*err = why;
		return false;
	}
	return image_target_is_open(target);
}
