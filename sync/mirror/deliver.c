/*
 * The blobs of one image on their way to its targets, and the end of each target's way.
 *
 * The image's own task starts blobs in the tree's order, each to all targets at once, BLOBS_PER_IMAGE at a time. A
 * target whose blobs are all there is checked and published at once, whatever the others still wait for. One that
 * holds the others up is late: nothing more is started for it among the others; it gets what it lacks afterwards, on
 * its own, from a target that has it.
 */
#include "sync/mirror/image.h"

#include "base/memory.h"
#include "scheduler/loop.h"

struct delivering {
	struct image *image;
	struct group blobs, endings;
	struct list running; /* parcels */
	size_t next;         /* of tree.blobs: to be started */
};

/* One blob, to those targets that are served together. */
struct parcel {
	struct list node; /* in delivering->running, or in no list */
	struct image *image;
	const struct descriptor *blob;
	int64_t first_ms; /* when the first target had it; 0: none has */
	size_t want_count;
	struct want wants[];
};

/*
 * Of which manifests is it the image config? Kept in memory: its diff_ids are compared, and it is sent from there.
 * Each manifest's own word counts: another that lists it as a layer does not keep it from being a config.
 */
static bool keep_config(struct image *image, const struct descriptor *blob, struct error *err)
{
	for (size_t i = 0; i < image->tree.manifest_count && image->job->what.verify_layers; i++) {
		const struct manifest *manifest = &image->tree.manifests[i].manifest;
		const struct content *content;
		if (!manifest_has_image_config(manifest) || !digest_equal(&manifest->config.digest, &blob->digest))
			continue;
		if (!content_config(
			    image->run, image->job->what.source, image->repository, &manifest->config, &content, err))
			return false;
		content_release(image->run, image->configs[i]); /* of another target's */
		image->configs[i] = content;
	}
	return true;
}

static void add_want(struct parcel *parcel, struct image_target *target, bool alone)
{
	parcel->wants[parcel->want_count++] = (struct want){.endpoint = target->endpoint,
		.repository = target->repository,
		.outcome = &target->outcome,
		.delivery = &target->delivery,
		.alone = alone};
	target->delivery.pending++;
}

static struct parcel *parcel_new(struct image *image, const struct descriptor *blob)
{
	struct parcel *parcel = memory_new(1, sizeof *parcel + image->target_count * sizeof(struct want));
	parcel->image = image;
	parcel->blob = blob;
	list_init(&parcel->node);
	return parcel;
}

static void parcel_free(struct parcel *parcel)
{
	list_remove(&parcel->node);
	waitqueue_wake_all(&parcel->image->news);
	free(parcel);
}

static bool is_open_at_home(const struct image_target *target)
{
	return image_target_is_open(target) && image_target_is_at_home(target);
}

static void fail_parcel(struct parcel *parcel, const struct error *err)
{
	for (size_t i = 0; i < parcel->image->target_count; i++)
		if (is_open_at_home(&parcel->image->targets[i]))
			outcome_fail(&parcel->image->targets[i].outcome, "blob", SIDE_SOURCE, err);
	for (size_t i = 0; i < parcel->want_count; i++) {
		outcome_fail(parcel->wants[i].outcome, "blob", SIDE_SOURCE, err);
		parcel->wants[i].delivery->pending--;
	}
}

static void parcel_task(void *argument)
{
	struct parcel *parcel = argument;
	struct image *image = parcel->image;
	struct blob_source source = {
		image_source_of(image, parcel->blob), image->repository, image->name, image->job->what.verify_layers};
	struct error err;
	char name[24];
	if (keep_config(image, parcel->blob, &err)) {
		if (parcel->want_count > 0)
			blob_ensure(image->run, &source, parcel->blob, parcel->wants, parcel->want_count);
	} else {
		error_wrap(&err, "config %s", digest_short(&parcel->blob->digest, name));
		fail_parcel(parcel, &err);
	}
	parcel_free(parcel);
}

static bool start_parcel(struct group *group, struct parcel *parcel, struct error *err)
{
	if (group_spawn(group, parcel_task, parcel, err))
		return true;
	fail_parcel(parcel, err);
	parcel_free(parcel);
	return false;
}

/* --- one target's end ------------------------------------------------------------------------------------------------
 */

/* What it has is known, and costs nothing. */
bool image_deliver_alone(struct image_target *target, struct error *err)
{
	struct image *image = target->image;
	struct group group;
	bool ok = true;
	group_init(&group, BLOBS_PER_IMAGE);
	for (size_t i = 0; i < image->tree.blob_count && ok && image_target_is_open(target); i++) {
		if (image_target_is_at_home(target))
			break;
		if (!image_target_takes(target, &image->tree.blobs[i]))
			continue;
		struct parcel *parcel = parcel_new(image, &image->tree.blobs[i]);
		add_want(parcel, target, true);
		ok = start_parcel(&group, parcel, err);
	}
	group_wait(&group);
	return ok;
}

/* What is wrong with the content is wrong for every target: found by the first that comes so far. */
static bool check(struct image *image, struct error *err)
{
	if (!image->check_begun) {
		image->check_begun = true;
		(void)!image_check_diff_ids(image, &image->check_err);
		latch_open(&image->checked);
	}
	if (!latch_wait(&image->checked, err))
		return false;
	if (image->check_err.kind == ERR_NONE)
		return true;
	*err = image->check_err;
	return false;
}

static void ending_task(void *argument)
{
	struct image_target *target = argument;
	struct image *image = target->image;
	struct error err;
	bool any;
	if (target->delivery.late) {
		run_slot(image->run, target->endpoint)->behind++;
		if (!image_compare_late(target, &err) || !image_deliver_alone(target, &err))
			outcome_fail(&target->outcome, "blob", SIDE_SOURCE, &err);
		run_slot(image->run, target->endpoint)->behind--;
	}
	if (image_target_is_open(target) && !check(image, &err))
		outcome_fail(&target->outcome, "verify", SIDE_SOURCE, &err);
	/* Here, since what fails is the source's: publishing asks again, and gets the same answer. */
	if (image_target_is_open(target) && !image_target_is_at_home(target) &&
		!image_find_referrers(image, &any, &err))
		outcome_fail(&target->outcome, "referrer", SIDE_SOURCE, &err);
	if (image_target_is_open(target))
		image_publish(target);
	waitqueue_wake_all(&image->news);
}

/* Targets that are behind with other images would hold this one up, too; but somebody has to be served first. */
static void leave_out_those_behind(struct image *image)
{
	size_t open = 0, behind = 0;
	for (size_t i = 0; i < image->target_count; i++) {
		const struct image_target *target = &image->targets[i];
		bool counts = image_target_is_open(target) && !target->delivery.late;
		open += counts;
		behind += counts && run_slot(image->run, target->endpoint)->behind > 0;
	}
	for (size_t i = 0; i < image->target_count && behind < open; i++)
		if (run_slot(image->run, image->targets[i].endpoint)->behind > 0)
			delivery_is_late(&image->targets[i].delivery, image->name, image->targets[i].endpoint);
}

/* --- what comes next -------------------------------------------------------------------------------------------------
 */

static bool is_waited_for(const struct want *want)
{
	return !want->settled && !want->delivery->late;
}

/* Blobs that some target waits for, which is not late. */
static size_t busy(const struct delivering *delivering)
{
	size_t count = 0;
	list_for_each (node, &delivering->running) {
		const struct parcel *parcel = list_item(node, struct parcel, node);
		bool waited_for = false;
		for (size_t i = 0; i < parcel->want_count; i++)
			waited_for |= is_waited_for(&parcel->wants[i]);
		count += waited_for;
	}
	return count;
}

/* When those that lack this blob are late, since another had it SLOW_TARGET_MS before; -1: none can be. */
static int64_t patience_with(struct parcel *parcel)
{
	bool waits = false;
	for (size_t i = 0; i < parcel->want_count; i++) {
		const struct want *want = &parcel->wants[i];
		waits |= is_waited_for(want);
		if (parcel->first_ms == 0 && want->settled && !want->delivery->late && outcome_is_well(want->outcome))
			parcel->first_ms = loop_now_ms();
	}
	return waits && parcel->first_ms > 0 ? parcel->first_ms + SLOW_TARGET_MS : -1;
}

static void give_up_on(const struct parcel *parcel)
{
	for (size_t i = 0; i < parcel->want_count; i++)
		if (is_waited_for(&parcel->wants[i]))
			delivery_is_late(parcel->wants[i].delivery, parcel->image->name, parcel->wants[i].endpoint);
}

/* Until something changes, or the patience with some target is at its end. */
static bool wait_for_news(struct delivering *delivering, struct error *err)
{
	int64_t deadline = -1;
	struct error why;
	list_for_each (node, &delivering->running) {
		int64_t end_ms = patience_with(list_item(node, struct parcel, node));
		if (end_ms >= 0 && (deadline < 0 || end_ms < deadline))
			deadline = end_ms;
	}
	if (waitqueue_wait_until(&delivering->image->news, deadline, &why))
		return true;
	if (why.kind != ERR_TIMEOUT) {
		*err = why;
		return false;
	}
	list_for_each (node, &delivering->running) {
		struct parcel *parcel = list_item(node, struct parcel, node);
		int64_t end_ms = patience_with(parcel);
		if (end_ms >= 0 && end_ms <= loop_now_ms())
			give_up_on(parcel);
	}
	return true;
}

static bool is_served(const struct image_target *target)
{
	return image_target_is_open(target) && !target->delivery.late && !image_target_is_at_home(target);
}

static bool start_blob(struct delivering *delivering, struct error *err)
{
	struct image *image = delivering->image;
	struct parcel *parcel = parcel_new(image, &image->tree.blobs[delivering->next++]);
	bool wanted = false;
	for (size_t i = 0; i < image->target_count; i++) {
		wanted |= image_target_is_open(&image->targets[i]);
		if (is_served(&image->targets[i]) && image_target_takes(&image->targets[i], parcel->blob))
			add_want(parcel, &image->targets[i], false);
	}
	if (!wanted) {
		parcel_free(parcel);
		return true;
	}
	list_append(&delivering->running, &parcel->node);
	return start_parcel(&delivering->blobs, parcel, err);
}

/*
 * Has it all it gets with the others? A late one waits until they have all: then it is served from one of them. One
 * that is at home has all, and waits for the configs alone.
 */
static bool is_ready(const struct delivering *delivering, const struct image_target *target)
{
	const struct delivery *delivery = &target->delivery;
	return image_target_is_open(target) && delivery->pending == 0 &&
	       delivering->next == delivering->image->tree.blob_count && (!delivery->late || busy(delivering) == 0) &&
	       (!image_target_is_at_home(target) || list_is_empty(&delivering->running));
}

static bool start_what_can_be(struct delivering *delivering, struct error *err)
{
	struct image *image = delivering->image;
	while (delivering->next < image->tree.blob_count && busy(delivering) < BLOBS_PER_IMAGE)
		if (!start_blob(delivering, err))
			return false;
	for (size_t i = 0; i < image->target_count; i++) {
		struct image_target *target = &image->targets[i];
		if (target->ending || !is_ready(delivering, target))
			continue;
		target->ending = true;
		if (!group_spawn(&delivering->endings, ending_task, target, err))
			return false;
	}
	return true;
}

bool image_deliver(struct image *image, struct error *err)
{
	struct delivering delivering = {.image = image};
	bool ok = true;
	list_init(&delivering.running);
	/* busy() bounds the blobs; on top come those that only late targets wait for, or another image's. */
	group_init(&delivering.blobs, (image->target_count + 1) * BLOBS_PER_IMAGE);
	group_init(&delivering.endings, image->target_count);
	leave_out_those_behind(image);
	while (ok && image_is_open(image))
		ok = start_what_can_be(&delivering, err) && wait_for_news(&delivering, err);
	group_wait(&delivering.blobs);
	group_wait(&delivering.endings);
	return ok;
}
