/*
 * Who has the image already: the source and every target are asked at once what their tag points to. A target that has
 * what we would write is unchanged, and that was all.
 *
 * Of an index and `platforms`, what we would write is known only when the index was rewritten, or from the store, which
 * remembers what was written last for the same source and the same wishes. A target that is late with its answer is
 * compared when the others have been served.
 *
 * A tag that is neither what it should be nor what we made of it last is a conflict (T-82): somebody else has moved it.
 * What we do not remember is none. Where the job minds conflicts, what is found to be right is remembered as if we had
 * written it. Between this look and our PUT the tag may move once more: the protocol has no way to forbid that.
 */
#include "sync/mirror/image.h"

#include "base/log.h"
#include "base/memory.h"
#include "scheduler/loop.h"

static bool resolve_source(struct image *image, struct error *err)
{
	return endpoint_resolve_source(image->job->what.source, image->repository, image->reference, &image->root, err);
}

/* MAN-13: a proxy cache lists what it has not fetched yet; being asked may be what makes it fetch. */
static bool look_at_source(struct image *image, struct error *err)
{
	bool listed = !image->job->what.reference && !endpoint_is_layout(image->job->what.source);
	struct error why;
	if (resolve_source(image, &why))
		return true;
	if (why.kind == ERR_NOT_FOUND && listed)
		return task_sleep(PROXY_FETCHES_MS, err) && resolve_source(image, err);
	*err = why;
	return false;
}

static void look_at_target(void *argument)
{
	struct image_target *target = argument;
	struct descriptor found = {0};
	struct error err;
	const char *reference = target->tag ? target->tag : target->image->reference;
	if (endpoint_resolve(target->endpoint, target->repository, reference, &found, &err))
		target->current = found.digest;
	else if (err.kind != ERR_NOT_FOUND && err.kind != ERR_DENIED) /* MAN-14: only the push will tell */
		outcome_fail(&target->outcome, "resolve", SIDE_TARGET, &err);
	descriptor_release(&found);
	target->looking = false;
	waitqueue_wake_all(&target->image->news);
}

static bool ask_targets(struct image *image, struct error *err)
{
	group_init(&image->looks, image->target_count);
	for (size_t i = 0; i < image->target_count; i++) {
		image->targets[i].looking = true;
		if (!group_spawn(&image->looks, look_at_target, &image->targets[i], err))
			return false;
	}
	return true;
}

static size_t count_looking(const struct image *image)
{
	size_t count = 0;
	for (size_t i = 0; i < image->target_count; i++)
		count += image->targets[i].looking && !image->targets[i].delivery.late;
	return count;
}

/* Of all targets that are not late; who has not answered SLOW_TARGET_MS after the source and another target, is. */
static bool wait_for_looks(struct image *image, struct error *err)
{
	int64_t deadline = -1;
	for (size_t left; (left = count_looking(image)) > 0;) {
		struct error why;
		if (deadline < 0 && left < image->target_count)
			deadline = loop_now_ms() + SLOW_TARGET_MS;
		if (waitqueue_wait_until(&image->news, deadline, &why))
			continue;
		if (why.kind != ERR_TIMEOUT) {
			*err = why;
			return false;
		}
		for (size_t i = 0; i < image->target_count; i++)
			if (image->targets[i].looking)
				delivery_is_late(&image->targets[i].delivery, image->name, image->targets[i].endpoint);
	}
	return true;
}

/* TAG-15: it was in a list, and is there no longer. */
static bool is_gone(const struct image *image, const struct error *err)
{
	return err->kind == ERR_NOT_FOUND && !image->job->what.reference;
}

/* The source in this task, while each target has one of its own. */
static bool ask_all(struct image *image, struct error *err)
{
	struct error why;
	if (!ask_targets(image, err))
		return false;
	bool ok = look_at_source(image, err);
	image->gone = !ok && is_gone(image, err);
	image->source_digest = image->root.digest;
	if (wait_for_looks(image, &why))
		return ok;
	if (ok)
		*err = why;
	return false;
}

/* The wishes as one text: what the store remembers a rewritten digest by. New memory. */
static char *wishes(const struct image *image)
{
	char *text = memory_text("");
	for (size_t i = 0; i < image->job->what.platform_count; i++) {
		char one[100];
		char *longer = memory_format(
			"%s%s%s", text, i > 0 ? "," : "", platform_format(&image->job->what.platforms[i], one));
		free(text);
		text = longer;
	}
	return text;
}

static void compare_target(struct image_target *target, const struct digest *expected)
{
	if (!target->image->job->what.again && image_target_is_open(target) && !digest_is_empty(&target->current) &&
		digest_equal(&target->current, expected))
		target->unchanged = true;
}

/* The digest that we wrote last for this source digest and these platforms, if it is known. */
static void compare_remembered(struct image *image, struct image_target *target)
{
	auto_free char *platforms = wishes(image);
	struct digest written;
	bool found = false;
	struct error err;
	if (store_tag_find(image->run->store, target->name, &image->source_digest, platforms, &written, &found, &err) &&
		found)
		compare_target(target, &written);
}

/* Of what has a tag there; a list of referrers is never replaced by ours, it grows (RFR-8). */
static bool minds_conflicts(const struct image_target *target)
{
	struct digest subject;
	return target->image->job->what.on_conflict != CONFIG_CONFLICT_OVERWRITE && target->tag && !target->keeps_tag &&
	       !target->looking && outcome_is_well(&target->outcome) && !digest_is_empty(&target->current) &&
	       !image_is_list_of_referrers(target->image, &subject);
}

static void remember(const struct image_target *target, const struct digest *written)
{
	const struct image *image = target->image;
	auto_free char *platforms = wishes(image);
	store_tag_written(image->run->store, target->name, image->name, &image->source_digest, platforms, written);
}

/* Somebody else has moved it away from @written. */
static void meet_conflict(struct image_target *target, const struct digest *written)
{
	char now[24], then[24];
	struct error err;
	digest_short(&target->current, now);
	digest_short(written, then);
	if (target->image->job->what.on_conflict == CONFIG_CONFLICT_KEEP) {
		log_warning("%s: kept: somebody else moved it to %s; dray wrote %s", target->name, now, then);
		target->kept = true;
		return;
	}
	error_set(&err, ERR_CONFLICT, "somebody else moved it to %s; dray wrote %s", now, then);
	error_wrap(&err, "%s", target->name);
	outcome_fail(&target->outcome, "resolve", SIDE_TARGET, &err);
}

/* What we would write to it is known, and whether it is that already. */
static void mind_conflict(struct image_target *target)
{
	struct tag_source last = {0};
	struct error err;
	bool known = false;
	if (!minds_conflicts(target) || target->kept)
		return;
	if (!store_tag_source(target->image->run->store, target->name, &last, &known, &err)) {
		outcome_fail(&target->outcome, "resolve", SIDE_TARGET, &err);
		return;
	}
	bool is_ours = known && digest_equal(&last.written, &target->current);
	if (target->unchanged && !is_ours)
		remember(target, &target->current);
	else if (!target->unchanged && known && !is_ours)
		meet_conflict(target, &last.written);
	tag_source_release(&last);
}

/* Whoever holds what we would write is unchanged. Of an index and `platforms`, that is not the index itself. */
static void compare(struct image *image)
{
	/* A root whose type the reply to HEAD did not tell may be an index: then that is settled once it is read. */
	bool rewritten = image->job->what.platform_count > 0 && media_kind(image->root.media_type) != MEDIA_MANIFEST;
	for (size_t i = 0; i < image->target_count; i++) {
		struct image_target *target = &image->targets[i];
		if (target->looking)
			continue;
		if (!rewritten)
			compare_target(target, &image->root.digest);
		else if (image_target_is_open(target) && !digest_is_empty(&target->current))
			compare_remembered(image, target);
		if (!rewritten)
			mind_conflict(target);
	}
}

/* Where all others have it, there is nothing to do but to wait for the late ones: they may have it, too. */
static bool compare_late_ones(struct image *image, struct error *err)
{
	bool any_looks = false;
	for (size_t i = 0; i < image->target_count; i++) {
		const struct image_target *target = &image->targets[i];
		if (image_target_is_open(target) && !target->looking && !image->run->dry_run)
			return true;
		any_looks |= target->looking;
	}
	if (!any_looks)
		return true;
	group_wait(&image->looks);
	compare(image);
	return !task_is_canceled() || error_set(err, ERR_CANCELED, "stopped");
}

void image_remember_written(struct image *image, const struct image_target *target)
{
	remember(target, &image->tree.manifests[0].descriptor.digest);
}

void image_compare_written(struct image_target *target)
{
	struct image *image = target->image;
	if (!image_target_is_open(target) || target->looking)
		return;
	compare_target(target, &image->tree.manifests[0].descriptor.digest);
	if (target->unchanged)
		image_remember_written(image, target);
	else
		mind_conflict(target);
}

bool image_compare_late(struct image_target *target, struct error *err)
{
	while (target->looking)
		if (!waitqueue_wait(&target->image->news, err))
			return false;
	image_compare_written(target);
	return true;
}

bool image_look_up(struct image *image, struct error *err)
{
	if (!ask_all(image, err))
		return false;
	compare(image);
	return compare_late_ones(image, err);
}

bool image_has_moved(struct image *image)
{
	struct descriptor now = {0};
	struct error err;
	bool known = endpoint_resolve_source(image->job->what.source, image->repository, image->reference, &now, &err);
	image->gone = !known && is_gone(image, &err);
	if (!known || digest_equal(&now.digest, &image->source_digest)) {
		descriptor_release(&now);
		return false;
	}
	descriptor_release(&image->root);
	image->root = now;
	image->source_digest = now.digest;
	compare(image);
	return true;
}
