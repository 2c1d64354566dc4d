/*
 * What refers to an image: signatures, SBOMs, attestations (PROTOCOL section 10). A referrer is an image without a tag:
 * it is copied as any other, by its digest, to one target, and what refers to it comes along (RFR-13).
 *
 *     found     once for all targets: what the source lists for the root and for each child (RFR-15), and cosign's
 *               tags, unless the list of tags has shown that there are none
 *     copied    at each target, when the subject is there and before its tag moves: manifests, then cosign's tags
 *     noted     then the target's readers are let know (RFR-4, RFR-6)
 *
 * What a list names and is not there, or refers to something else (RFR-12), and what a target refuses for good, is left
 * out with a warning: the image does not need it. Whatever else fails fails the image, before its tag has moved.
 */
#include "sync/mirror/image.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"

#include <string.h>

/* Of referrers of referrers; who signs signatures of signatures further down signs alone. */
enum { DEPTH_MOST = 8 };

/* Of one manifest of the tree. */
struct referral {
	struct referrer_list list;
	bool cosign[REFERRER_COSIGN_TAGS];
};

/* --- finding --------------------------------------------------------------------------------------------------------
 */

struct question {
	struct image *image;
	size_t manifest;
	int tag; /* of cosign's; -1: the list */
	struct error err;
};

/* Nothing is known there, or nothing is told: then nothing refers to it. */
static bool means_none(const struct error *err)
{
	return err->kind == ERR_NOT_FOUND || err->kind == ERR_DENIED || err->kind == ERR_UNSUPPORTED;
}

static bool asks_for_tags(const struct image *image)
{
	return !image->job->has_no_referrer_tags;
}

static bool is_in_tree(const struct tree *tree, const struct digest *digest)
{
	for (size_t i = 0; i < tree->manifest_count; i++)
		if (digest_equal(&tree->manifests[i].descriptor.digest, digest))
			return true;
	return false;
}

/* A child of the index may refer to another one: that comes with the image as it is. */
static void drop_children(struct referrer_list *list, const struct tree *tree)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++)
		if (is_in_tree(tree, &list->items[i].digest))
			descriptor_release(&list->items[i]);
		else
			list->items[kept++] = list->items[i];
	list->count = kept;
}

static void ask_for_list(struct question *question)
{
	struct image *image = question->image;
	struct referral *referral = &image->referrals[question->manifest];
	const struct digest *subject = &image->tree.manifests[question->manifest].descriptor.digest;
	if (!endpoint_referrers(image->job->what.source, image->repository, subject, asks_for_tags(image),
		    &referral->list, &question->err))
		return;
	drop_children(&referral->list, &image->tree);
	if (referral->list.odd_tag)
		log_warning("%s: the tag %s should list what refers to it, and is no such list", image->name,
			referral->list.odd_tag);
}

static void ask_for_tag(struct question *question)
{
	struct image *image = question->image;
	struct descriptor found = {0};
	auto_free char *tag =
		referrer_cosign_tag(&image->tree.manifests[question->manifest].descriptor.digest, question->tag);
	image->referrals[question->manifest].cosign[question->tag] =
		endpoint_resolve(image->job->what.source, image->repository, tag, &found, &question->err);
	descriptor_release(&found);
}

static void question_task(void *argument)
{
	struct question *question = argument;
	if (question->tag < 0)
		ask_for_list(question);
	else
		ask_for_tag(question);
}

/* Of what was rewritten the source knows nothing; cosign's tags are made for what has a tag or is its child. */
static bool is_asked(const struct image *image, size_t manifest, int tag)
{
	const struct tree_manifest *node = &image->tree.manifests[manifest];
	if (node->is_missing || node->rewritten)
		return false;
	return tag < 0 || (image->depth == 0 && asks_for_tags(image));
}

static bool ask(struct image *image, struct error *err)
{
	size_t count = 0, most = image->tree.manifest_count * (1 + REFERRER_COSIGN_TAGS);
	struct question *questions = memory_new(most, sizeof *questions);
	struct group group;
	bool ok = true;
	if (image->depth == 0 && image->job->what.reference)
		job_look_for_referrer_tags(image->job);
	group_init(&group, MANIFESTS_AT_ONCE);
	for (size_t i = 0; i < image->tree.manifest_count; i++)
		for (int tag = -1; tag < REFERRER_COSIGN_TAGS && ok; tag++) {
			if (!is_asked(image, i, tag))
				continue;
			questions[count] = (struct question){image, i, tag, {.kind = ERR_NONE}};
			ok = group_spawn(&group, question_task, &questions[count++], err);
		}
	group_wait(&group);
	for (size_t i = 0; i < count && ok; i++)
		if (questions[i].err.kind != ERR_NONE && !means_none(&questions[i].err)) {
			*err = questions[i].err;
			ok = error_wrap(err, "what refers to it");
		}
	free(questions);
	return ok;
}

static bool has_any(const struct image *image)
{
	for (size_t i = 0; i < image->tree.manifest_count; i++) {
		const struct referral *referral = &image->referrals[i];
		if (referral->list.count > 0)
			return true;
		for (int tag = 0; tag < REFERRER_COSIGN_TAGS; tag++)
			if (referral->cosign[tag])
				return true;
	}
	return false;
}

static bool is_about_others(const struct image *image)
{
	struct digest subject;
	return referrer_tag_parse(image->reference, &subject) != REFERRER_TAG_NONE;
}

bool image_find_referrers(struct image *image, bool *any, struct error *err)
{
	*any = false;
	if (image->job->what.referrers == CONFIG_REFERRERS_LEFT || image->depth == DEPTH_MOST || is_about_others(image))
		return true;
	if (!image->referrals) {
		image->referrals = memory_new(image->tree.manifest_count, sizeof *image->referrals);
		(void)!ask(image, &image->referrals_err);
		latch_open(&image->referrals_found);
	}
	if (!latch_wait(&image->referrals_found, err))
		return false;
	if (image->referrals_err.kind != ERR_NONE) {
		*err = image->referrals_err;
		return false;
	}
	*any = has_any(image);
	return true;
}

void image_release_referrers(struct image *image)
{
	for (size_t i = 0; image->referrals && i < image->tree.manifest_count; i++)
		referrer_list_release(&image->referrals[i].list);
	free(image->referrals);
}

/* --- copying --------------------------------------------------------------------------------------------------------
 */

/* One of those that refer to the same manifest, on its way to one target. */
struct passage {
	struct image_target *target; /* of the subject's */
	const struct digest *subject;
	const struct descriptor *descriptor;
	const struct content *content; /* NULL: it did not come */
	bool arrived;
	struct outcome outcome;
};

/* @reference of the subject's repository to where the subject goes, under @tag or, NULL, by its digest alone. */
static bool copy_beside(
	const struct image_target *target, const char *reference, const char *tag, struct outcome *outcome)
{
	const struct image *subject = target->image;
	const struct run_target there = {.endpoint = target->endpoint, .repository = target->repository, .tag = tag};
	struct job job = {.run = subject->run, .what = subject->job->what, .users = 1, .whole = true};
	struct error err;
	job.what.repository = subject->repository;
	job.what.reference = reference;
	job.what.targets = &there;
	job.what.target_count = 1;
	job.what.platform_count = 0;
	job.what.selects = NULL;
	job.has_no_referrer_tags = subject->job->has_no_referrer_tags;
	struct image *image = image_new(&job, subject->repository, reference);
	image->depth = subject->depth + 1;
	image->targets[0].keeps_tag = !tag;
	image_copy(image);
	*outcome = image->targets[0].outcome;
	bool arrived = image->targets[0].written || image->targets[0].unchanged;
	if (!arrived && outcome_is_well(outcome)) {
		error_set(&err, ERR_NOT_FOUND, "%s: it is gone", image->name);
		outcome_fail(outcome, "resolve", SIDE_SOURCE, &err);
	}
	image_free(image);
	return arrived;
}

static bool refers(const struct passage *passage, struct error *err)
{
	auto_manifest struct manifest manifest = {0};
	if (!manifest_parse(
		    passage->content->bytes, passage->content->length, passage->descriptor->media_type, &manifest, err))
		return false;
	return digest_equal(&manifest.subject.digest, passage->subject) ||
	       error_set(err, ERR_CORRUPT, "it refers to something else");
}

static void passage_task(void *argument)
{
	struct passage *passage = argument;
	const struct image *image = passage->target->image;
	struct error err;
	if (!content_manifest(image->run, image->job->what.source, image->repository, passage->descriptor,
		    &passage->content, &err) ||
		!refers(passage, &err)) {
		outcome_fail(&passage->outcome, "referrer", SIDE_SOURCE, &err);
		return;
	}
	passage->arrived = copy_beside(passage->target, passage->descriptor->digest.text, NULL, &passage->outcome);
}

/* The image does not need it, and no other run would do better. */
static bool may_be_left_out(const struct outcome *outcome)
{
	enum exit_code code = exit_code_of(outcome->side, outcome->err.kind);
	return code == EXIT_CONTENT || code == EXIT_TARGET || outcome->err.kind == ERR_DENIED;
}

/* Count it, or say why it is left out; false: it may not be. */
static bool conclude(
	const struct image_target *target, const char *what, bool arrived, struct outcome *outcome, struct error *err)
{
	struct report *report = &target->image->run->report;
	report->referrers += arrived;
	if (arrived)
		return true;
	if (may_be_left_out(outcome)) {
		report->left_out.referrers++;
		log_warning("%s: what refers to it, %s, is left out at %s: %s", target->image->name, what,
			endpoint_name(target->endpoint), outcome->err.text);
		return true;
	}
	*err = outcome->err;
	return error_wrap(err, "%s, which refers to it", what);
}

/* RFR-7: all of one subject at once. */
static bool note(struct image_target *target, const struct digest *subject, const struct passage *passages,
	size_t count, struct error *err)
{
	struct referrer *arrived = memory_new(count, sizeof *arrived);
	struct error why;
	size_t arrived_count = 0;
	for (size_t i = 0; i < count; i++)
		if (passages[i].arrived)
			arrived[arrived_count++] =
				(struct referrer){passages[i].descriptor, passages[i].content->bytes};
	bool ok = arrived_count == 0 ||
		  endpoint_referrers_note(target->endpoint, target->repository, subject, arrived, arrived_count, &why);
	free(arrived);
	if (!ok && why.kind == ERR_INVALID) { /* RFR-6: it is left as it is */
		log_warning("%s: %s", target->image->name, why.text);
		return true;
	}
	if (!ok)
		*err = why;
	return ok;
}

static bool copy_list(struct image_target *target, size_t manifest, struct error *err)
{
	struct image *image = target->image;
	const struct referrer_list *list = &image->referrals[manifest].list;
	const struct digest *subject = &image->tree.manifests[manifest].descriptor.digest;
	struct passage *passages = memory_new(list->count, sizeof *passages);
	struct group group;
	bool ok = true;
	group_init(&group, MANIFESTS_AT_ONCE / 2);
	for (size_t i = 0; i < list->count && ok; i++) {
		passages[i] = (struct passage){.target = target, .subject = subject, .descriptor = &list->items[i]};
		ok = group_spawn(&group, passage_task, &passages[i], err);
	}
	group_wait(&group);
	for (size_t i = 0; i < list->count && ok; i++) {
		char name[24];
		ok = conclude(target, digest_short(&list->items[i].digest, name), passages[i].arrived,
			&passages[i].outcome, err);
	}
	ok = ok && note(target, subject, passages, list->count, err);
	for (size_t i = 0; i < list->count; i++)
		content_release(image->run, passages[i].content);
	free(passages);
	return ok;
}

static bool copy_tags(struct image_target *target, size_t manifest, struct error *err)
{
	struct image *image = target->image;
	bool ok = true;
	for (int i = 0; i < REFERRER_COSIGN_TAGS && ok; i++) {
		auto_free char *tag = referrer_cosign_tag(&image->tree.manifests[manifest].descriptor.digest, i);
		struct outcome outcome = {.err = {.kind = ERR_NONE}};
		if (!image->referrals[manifest].cosign[i])
			continue;
		bool arrived = copy_beside(target, tag, tag, &outcome);
		ok = conclude(target, tag, arrived, &outcome, err);
	}
	return ok;
}

bool image_copy_referrers(struct image_target *target, struct error *err)
{
	const struct tree *tree = &target->image->tree;
	bool ok = true;
	for (size_t i = 0; i < tree->manifest_count && ok; i++)
		ok = copy_tags(target, i, err);
	for (size_t i = 0; i < tree->manifest_count && ok; i++)
		ok = copy_list(target, i, err);
	return ok;
}

/* --- lists that are copied under their own tags --------------------------------------------------------------------
 */

bool image_is_list_of_referrers(const struct image *image, struct digest *subject)
{
	return image->job->what.referrers != CONFIG_REFERRERS_LEFT &&
	       referrer_tag_parse(image->reference, subject) == REFERRER_TAG_LIST && !digest_is_empty(subject);
}

bool image_note_list(struct image_target *target, const struct digest *subject, struct error *err)
{
	const struct tree *tree = &target->image->tree;
	struct referrer *listed = memory_new(tree->manifest_count, sizeof *listed);
	size_t count = 0;
	for (size_t i = 1; i < tree->manifest_count; i++) {
		const struct tree_manifest *node = &tree->manifests[i];
		if (!node->is_missing && digest_equal(&node->manifest.subject.digest, subject))
			listed[count++] = (struct referrer){&node->descriptor, node->bytes};
	}
	bool ok = count == 0 ||
		  endpoint_referrers_note(target->endpoint, target->repository, subject, listed, count, err);
	free(listed);
	return ok;
}
