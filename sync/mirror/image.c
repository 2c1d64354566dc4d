/*
 * One image, from its reference to the tag at every target (DESIGN section 6).
 *
 *     look up the source and every target at once -> equal: unchanged, and that was all (compare.c)
 *     -> manifests -> blobs, each to every target that lacks the image (deliver.c)
 *     -> at each target, once its blobs are there: diff_ids compared with the config (check.c), children by digest,
 *        root and tag, last of all (publish.c)
 *
 * Each target has an outcome of its own: what fails at one goes on at the others. What is wrong with the content
 * fails at all of them, before any manifest was pushed.
 */
#include "sync/mirror/image.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/reference.h"
#include "scheduler/loop.h"

#include <assert.h>
#include <string.h>

/* More often, while it is copied, only a tag moves that nothing can be copied under. */
enum { MOVES_FOLLOWED = 1 };

void outcome_fail(struct outcome *outcome, const char *stage, enum side side, const struct error *err)
{
	assert(err->kind != ERR_NONE);
	if (!outcome_is_well(outcome))
		return;
	outcome->err = *err;
	outcome->stage = stage;
	outcome->side = side;
}

bool image_is_open(const struct image *image)
{
	for (size_t i = 0; i < image->target_count; i++)
		if (image_target_is_open(&image->targets[i]))
			return true;
	return false;
}

static void fail_open_targets(struct image *image, const char *stage, enum side side, const struct error *err)
{
	for (size_t i = 0; i < image->target_count; i++)
		if (image_target_is_open(&image->targets[i]))
			outcome_fail(&image->targets[i].outcome, stage, side, err);
}

/* PSH-8: in its own repository an image gets another tag, and nothing is carried. */
bool image_target_is_at_home(const struct image_target *target)
{
	const struct image *image = target->image;
	return target->endpoint == image->job->what.source && !endpoint_is_layout(target->endpoint) &&
	       str_is(target->repository, image->repository);
}

/* --- the whole ------------------------------------------------------------------------------------------------------
 */

struct step {
	const char *stage;
	bool (*take)(struct image *image, struct error *err);
	bool begins; /* nothing is on its way yet: a run that is being stopped ends here */
};

/* IDX-5: what the index names and the source has not, where that is allowed. */
static void warn_of_missing(const struct image *image)
{
	char name[24];
	for (size_t i = 0; i < image->tree.manifest_count; i++) {
		if (!image->tree.manifests[i].is_missing)
			continue;
		image->run->report.left_out.manifests++;
		log_warning("%s: the source does not have its manifest %s: the index is copied without it", image->name,
			digest_short(&image->tree.manifests[i].descriptor.digest, name));
	}
}

static bool fetch_tree(struct image *image, struct error *err)
{
	const struct run_job *what = &image->job->what;
	struct digest subject;
	/* A list of referrers names what was collected since. */
	bool keeps_sparse = what->keeps_sparse || image_is_list_of_referrers(image, &subject);
	const struct tree_wishes wishes = {what->platforms, what->platform_count, keeps_sparse};
	if (!tree_fetch(image->run, what->source, image->repository, &image->root, &wishes, &image->tree, err))
		return false;
	image->configs = memory_new(image->tree.manifest_count, sizeof(struct content *));
	for (size_t i = 0; i < image->target_count; i++)
		image_compare_written(&image->targets[i]);
	if (image_is_open(image)) {
		warn_of_missing(image);
		image_find_foreign(image);
	}
	return true;
}

/* T-81: a tag that moved, where what it was did not stay: what it is now is copied. */
static bool fetch_what_is_there(struct image *image, struct error *err)
{
	for (int moves = 1; !fetch_tree(image, err); moves++) {
		if (err->kind != ERR_NOT_FOUND || !image_has_moved(image))
			return false;
		if (moves > MOVES_FOLLOWED)
			return error_wrap(err, "it moves while it is copied; the next run copies what it is then");
		log_info("%s: it moved while it was copied; what it is now is copied", image->name);
		tree_release(image->run, &image->tree);
		if (!image_is_open(image))
			return true;
	}
	return true;
}

static void copy(struct image *image)
{
	static const struct step steps[] = {
		{"resolve", image_look_up, true},
		{"manifest", fetch_what_is_there, true},
		{"blob", image_deliver, false},
	};
	for (size_t i = 0; i < array_count(steps); i++) {
		struct error err;
		if (!steps[i].take(image, &err)) {
			if (image->gone)
				return;
			fail_open_targets(image, steps[i].stage, SIDE_SOURCE, &err);
			return;
		}
		if (!image_is_open(image) || (i == 0 && image->run->dry_run))
			return;
		if (steps[i].begins && run_is_stopping(image->run)) {
			error_set(&err, ERR_CANCELED, "stopped");
			fail_open_targets(image, steps[i].stage, SIDE_SOURCE, &err);
			return;
		}
	}
}

/* `referrers: always`: what came since the image did. */
static void look_for_referrers(struct image *image)
{
	struct error err;
	bool any = false, known = image->tree.manifest_count > 0 || fetch_tree(image, &err);
	bool found = known && image_find_referrers(image, &any, &err);
	for (size_t i = 0; i < image->target_count; i++) {
		struct image_target *target = &image->targets[i];
		if (!target->unchanged || (found && (!any || image_copy_referrers(target, &err))))
			continue;
		target->unchanged = false;
		outcome_fail(&target->outcome, "referrer", SIDE_SOURCE, &err);
	}
}

static bool any_unchanged(const struct image *image)
{
	for (size_t i = 0; i < image->target_count; i++)
		if (image->targets[i].unchanged)
			return true;
	return false;
}

void image_copy(struct image *image)
{
	copy(image);
	group_wait(&image->looks);
	if (image->job->what.referrers != CONFIG_REFERRERS_ALWAYS || !any_unchanged(image) || image->run->dry_run)
		return;
	if (run_is_stopping(image->run))
		image->run->report.has_rest = true;
	else
		look_for_referrers(image);
}

/* --- what became of it ----------------------------------------------------------------------------------------------
 */

static enum image_outcome outcome_of(const struct image *image)
{
	enum image_outcome outcome = image->gone ? IMAGE_GONE : IMAGE_UNCHANGED;
	if (image->gone)
		return outcome;
	for (size_t i = 0; i < image->target_count; i++) {
		const struct image_target *target = &image->targets[i];
		if (!outcome_is_well(&target->outcome))
			return IMAGE_FAILED;
		if (target->written)
			outcome = IMAGE_COPIED;
		else if (image_target_is_open(target))
			outcome = IMAGE_PENDING;
		else if (target->kept && outcome == IMAGE_UNCHANGED)
			outcome = IMAGE_KEPT;
	}
	return outcome;
}

static bool was_stopped(const struct image_target *target)
{
	return target->outcome.err.kind == ERR_CANCELED;
}

static bool any_stopped(const struct image *image)
{
	for (size_t i = 0; i < image->target_count; i++)
		if (was_stopped(&image->targets[i]))
			return true;
	return false;
}

static void record(struct image *image, struct image_target *target)
{
	struct outcome *outcome = &target->outcome;
	bool failed = !outcome_is_well(outcome);
	image->run->report.places_done += target->unchanged || target->written || target->kept;
	if (target->unchanged || target->kept || (image->run->dry_run && !failed))
		return;
	struct job_record row = {
		.source = image->name,
		.target = target->name,
		.digest = digest_is_empty(&image->source_digest) ? NULL : image->source_digest.text,
		.outcome = failed ? "failed" : "copied",
		.stage = outcome->stage,
		.error_kind = failed ? error_kind_name(outcome->err.kind) : NULL,
		.error_text = failed ? outcome->err.text : NULL,
		.duration_ms = loop_now_ms() - image->started_ms,
		.bytes = target->delivery.sent_bytes,
	};
	if (!image->run->dry_run)
		store_job(image->run->store, &row);
	if (!failed)
		return;
	error_wrap(&outcome->err, "%s", image->name);
	report_add_failure(
		&image->run->report, image->name, target->name, outcome->stage, outcome->side, &outcome->err);
}

/* What stands at the targets, or should: known from the tree, or, where nothing was to be done, from a target. */
static const struct digest *written_digest(const struct image *image)
{
	if (image->tree.manifest_count > 0)
		return &image->tree.manifests[0].descriptor.digest;
	for (size_t i = 0; i < image->target_count; i++)
		if (image->targets[i].unchanged)
			return &image->targets[i].current;
	return &image->source_digest;
}

static bool is_rewritten(const struct image *image)
{
	return !digest_equal(written_digest(image), &image->source_digest);
}

static void tell(struct image *image, enum image_outcome outcome, size_t first_failure)
{
	const struct run_observer *observer = &image->run->observer;
	const struct report *report = &image->run->report;
	const char *names[GATE_CLAIMS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < image->target_count && count < array_count(names); i++)
		names[count++] = image->targets[i].name;
	struct image_event event = {
		.outcome = outcome,
		.source = image->name,
		.digest = written_digest(image),
		.rewritten = is_rewritten(image),
		.targets = names,
		.target_count = count,
		.failure = report->failure_count > first_failure ? &report->failures[first_failure] : NULL,
		.bytes = image->tree.bytes,
		.duration_ms = loop_now_ms() - image->started_ms,
	};
	if (observer->image)
		observer->image(observer->context, &event);
}

static void conclude(struct image *image)
{
	struct report *report = &image->run->report;
	size_t first_failure = report->failure_count;
	int64_t *const counts[] = {
		[IMAGE_COPIED] = &report->images.copied,
		[IMAGE_UNCHANGED] = &report->images.unchanged,
		[IMAGE_FAILED] = &report->images.failed,
		[IMAGE_PENDING] = &report->images.pending,
		[IMAGE_GONE] = &report->images.gone,
		[IMAGE_KEPT] = &report->images.kept,
	};
	report->images.total++;
	image->run->images_done++;
	for (size_t i = 0; i < image->target_count; i++)
		if (!image->gone && !was_stopped(&image->targets[i]))
			record(image, &image->targets[i]);
	report->has_rest |= any_stopped(image);
	/* What had failed at one target before the others were stopped has failed. */
	if (any_stopped(image) && report->failure_count == first_failure) {
		report->images.stopped++;
		return;
	}
	enum image_outcome outcome = outcome_of(image);
	++*counts[outcome];
	report->images.rewritten += outcome == IMAGE_COPIED && is_rewritten(image);
	tell(image, outcome, first_failure);
}

static void target_release(struct image_target *target)
{
	free(target->repository);
	free(target->tag);
	free(target->name);
}

void image_free(struct image *image)
{
	image_leaves(image);
	image_release_referrers(image);
	job_release(image->job);
	for (size_t i = 0; image->configs && i < image->tree.manifest_count; i++)
		content_release(image->run, image->configs[i]);
	free(image->configs);
	free(image->places);
	tree_release(image->run, &image->tree);
	descriptor_release(&image->root);
	for (size_t i = 0; i < image->target_count; i++)
		target_release(&image->targets[i]);
	free(image->targets);
	free(image->repository);
	free(image->reference);
	free(image->name);
	free(image);
}

static void image_task(void *argument)
{
	struct image *image = argument;
	image->started_ms = loop_now_ms();
	if (image->job->what.check == RUN_COPIES) {
		image_copy(image);
		conclude(image);
	} else {
		image_verify(image);
	}
	image_free(image);
}

/* --- starting -------------------------------------------------------------------------------------------------------
 */

/* "docker.io/library/alpine" below "mirror" is "mirror/library/alpine"; without a path it is "mirror" itself. */
static char *below(const char *prefix, const char *repository)
{
	struct reference reference;
	const char *path = repository;
	bool is_name = reference_parse(repository, &reference, NULL);
	if (is_name && str_starts_with(repository, reference.domain))
		path = reference.repository;
	char *whole = memory_format("%s%s%s", prefix, *prefix && *path ? "/" : "", path);
	if (is_name)
		reference_release(&reference);
	return whole;
}

static void set_target(struct image *image, struct image_target *target, const struct run_target *from)
{
	bool by_digest = digest_is_text(image->reference);
	*target = (struct image_target){.image = image, .endpoint = from->endpoint, .delivery = {.news = &image->news}};
	if (from->repository)
		target->repository = memory_text(from->repository);
	else if (endpoint_is_layout(from->endpoint))
		target->repository = memory_text(image->repository);
	else
		target->repository = below(from->prefix ? from->prefix : "", image->repository);
	if (from->tag || !by_digest)
		target->tag = memory_text(from->tag ? from->tag : image->reference);
	target->name =
		endpoint_reference(from->endpoint, target->repository, target->tag ? target->tag : image->reference);
}

/* Unless this run only retries, and it had not failed there. */
static void add_target(struct image *image, const struct run_target *from)
{
	struct image_target *target = &image->targets[image->target_count];
	const struct retry *retry = image->run->retry;
	set_target(image, target, from);
	if (!retry || image->job->whole || retry_takes(retry, image->name, target->name))
		image->target_count++;
	else
		target_release(target);
}

/* REF-4: the specification promises no more than 255 characters; said once for each entry. */
static void warn_of_long_name(struct job *job, const struct image_target *target)
{
	size_t length = strlen(endpoint_name(target->endpoint)) + 1 + strlen(target->repository);
	if (job->warned_of_length || endpoint_is_layout(target->endpoint) || length <= REFERENCE_NAME_MAX)
		return;
	job->warned_of_length = true;
	log_warning("%s has a name of %zu characters; more than %d are not portable, and registries may refuse it",
		target->name, length, REFERENCE_NAME_MAX);
}

struct image *image_new(struct job *job, const char *repository, const char *reference)
{
	struct image *image = memory_new(1, sizeof *image);
	image->job = job;
	job->users++;
	image->run = job->run;
	image->repository = memory_text(repository);
	image->reference = memory_text(reference);
	image->name = endpoint_reference(job->what.source, repository, reference);
	image->targets = memory_new(job->what.target_count, sizeof *image->targets);
	list_init(&image->in_flight);
	waitqueue_init(&image->news);
	latch_init(&image->checked);
	latch_init(&image->referrals_found);
	for (size_t i = 0; i < job->what.target_count; i++)
		add_target(image, &job->what.targets[i]);
	return image;
}

bool image_start(struct job *job, const char *repository, const char *reference, struct error *err)
{
	struct image *image = image_new(job, repository, reference);
	if (image->target_count == 0 && job->what.target_count > 0) {
		image_free(image);
		return true;
	}
	for (size_t i = 0; i < image->target_count; i++)
		warn_of_long_name(job, &image->targets[i]);
	job->run->images_found++;
	if (!image_admit(job, err) || !group_spawn(&job->run->images, image_task, image, err)) {
		image_free(image);
		return false;
	}
	image_joins(image);
	return true;
}
