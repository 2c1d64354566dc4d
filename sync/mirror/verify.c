/*
 * Is what stands at a place whole? The way of an image in a job that verifies (`dray verify`).
 *
 *     resolve -> every manifest read and hashed -> every blob seen; deep: read, hashed, inflated, and each diff_id
 *     compared with the image's config
 *
 * Such an image has no targets: what is the source of others is what is looked at here. All that is wrong is found, as
 * far as the manifests lead to it. To repair, the image is copied from where the store remembers that it came from, by
 * the ordinary way (image_copy), which is told not to believe the place where it was found wrong; then everything that
 * was not seen right is looked at again. Nothing that is right is sent, and a tag that is right stays as it is.
 */
#include "sync/mirror/blob.h"
#include "sync/mirror/image.h"
#include "sync/mirror/transfer.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/reference.h"
#include "scheduler/loop.h"

#include <stdio.h>
#include <string.h>

/* A manifest that was missing may hide what else is. */
enum { REPAIRS_MOST = 2 };

struct finding {
	const char *stage;
	struct error err;
	struct digest blob; /* empty: it is no blob */
};

struct look {
	struct image *image;
	struct finding *findings;
	size_t finding_count;
};

static void find(struct look *look, const char *stage, const struct digest *blob, const struct error *err)
{
	look->findings = memory_resize(look->findings, look->finding_count + 1, sizeof *look->findings);
	struct finding *finding = &look->findings[look->finding_count++];
	*finding = (struct finding){.stage = stage, .err = *err};
	if (blob)
		finding->blob = *blob;
}

static bool is_deep(const struct image *image)
{
	return image->job->what.check == RUN_READS;
}

static struct endpoint *place(const struct image *image)
{
	return image->job->what.source;
}

/* --- one blob -------------------------------------------------------------------------------------------------------
 */

/* HEAD, or the file's size; where that is refused or says no, only reading tells, and says what is wrong. */
static bool is_there(struct image *image, const struct descriptor *blob, struct error *err)
{
	struct endpoint_reader *reader;
	bool present = false;
	struct error why = {.kind = ERR_NONE};
	if (endpoint_blob_present(place(image), image->repository, blob, &present, &why) && present)
		return true;
	if (why.kind != ERR_NONE && why.kind != ERR_DENIED && why.kind != ERR_UNAUTHORIZED &&
		why.kind != ERR_PROTOCOL && why.kind != ERR_UNSUPPORTED) {
		*err = why;
		return false;
	}
	if (!endpoint_blob_open(place(image), image->repository, blob, 0, &reader, err))
		return false;
	endpoint_reader_close(reader);
	return true;
}

static void learn(struct run *run, struct blob *blob, const struct transfer *transfer)
{
	run->report.blobs.downloaded++;
	run->report.verified.digests++;
	if (transfer->fact.state != FACT_UNKNOWN)
		blob_learn(run, blob, &transfer->blob, &transfer->fact);
}

/* A transfer to nobody but the verifier. */
static bool read_through(struct image *image, struct blob *blob, const struct descriptor *descriptor, struct error *err)
{
	struct transfer *transfer = memory_new(1, sizeof *transfer);
	list_init(&transfer->node);
	transfer->run = image->run;
	transfer->blob = *descriptor;
	transfer->source = place(image);
	transfer->repository = image->repository;
	transfer->want_diff_id = true;
	transfer->sinks_left = 1; /* the verifier stays until the end */
	snprintf(transfer->image, sizeof transfer->image, "%s", image->name);
	transfer_run(transfer);
	bool ok = transfer->source_err.kind == ERR_NONE && transfer->verdict_err.kind == ERR_NONE;
	if (ok)
		learn(image->run, blob, transfer);
	else
		*err = transfer->source_err.kind != ERR_NONE ? transfer->source_err : transfer->verdict_err;
	free(transfer);
	return ok;
}

/* A registry has one store for all of its repositories: content is read once, and seen in each. */
static bool was_read(const struct blob *blob, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < blob->holder_count; i++)
		if (blob->holders[i].endpoint == endpoint && blob->holders[i].read)
			return true;
	return false;
}

/* False: nobody has looked, and nobody looks; then that is ours to do. */
static bool wait_for_others(struct image *image, struct blob *blob, bool *seen, struct error *err)
{
	for (;;) {
		const struct holder *holder = blob_find_holder(blob, place(image), image->repository);
		bool must_read = is_deep(image) && !was_read(blob, place(image));
		*seen = holder && holder->seen && !must_read;
		if (*seen || ((!holder || holder->present) && !(must_read && blob->being_read)))
			return true;
		if (!waitqueue_wait(&blob->changed, err))
			return false;
	}
}

static bool look_at_place(
	struct image *image, struct blob *blob, const struct descriptor *descriptor, struct error *err)
{
	bool must_read = is_deep(image) && !was_read(blob, place(image));
	bool is_new = !blob_find_holder(blob, place(image), image->repository);
	if (is_new)
		blob_add_holder(blob, place(image), image->repository);
	blob->being_read |= must_read;
	bool ok = must_read ? read_through(image, blob, descriptor, err) : is_there(image, descriptor, err);
	if (must_read)
		blob->being_read = false;
	image->run->report.blobs.present += ok;
	struct holder *holder = blob_find_holder(blob, place(image), image->repository);
	if (holder && ok) {
		holder->present = holder->seen = true;
		holder->read |= must_read;
	} else if (holder && is_new) {
		blob_drop_holder(blob, holder);
	}
	waitqueue_wake_all(&blob->changed);
	return ok;
}

/* Each blob is looked at once in each repository, and read once, whoever asks. */
static bool look_at_blob(struct image *image, const struct descriptor *descriptor, struct error *err)
{
	struct blob *blob = blob_use(image->run, &descriptor->digest);
	bool seen = false;
	bool ok = wait_for_others(image, blob, &seen, err) && (seen || look_at_place(image, blob, descriptor, err));
	blob_leave(image->run, blob);
	return ok;
}

/* What diff_ids are compared with is read into memory, which proves it. */
static bool look_at_config(struct image *image, const struct descriptor *blob, bool *is_config, struct error *err)
{
	*is_config = false;
	for (size_t i = 0; i < image->tree.manifest_count && is_deep(image); i++) {
		const struct manifest *manifest = &image->tree.manifests[i].manifest;
		if (!manifest_has_image_config(manifest) || !digest_equal(&manifest->config.digest, &blob->digest))
			continue;
		if (!content_config(
			    image->run, place(image), image->repository, &manifest->config, &image->configs[i], err))
			return false;
		*is_config = true;
	}
	return true;
}

struct blob_task {
	struct look *look;
	const struct descriptor *blob;
};

static void blob_task(void *argument)
{
	struct blob_task *task = argument;
	struct image *image = task->look->image;
	struct error err;
	char name[24];
	bool is_config;
	if (look_at_config(image, task->blob, &is_config, &err) && (is_config || look_at_blob(image, task->blob, &err)))
		return;
	if (err.kind == ERR_NOT_FOUND && task->blob->url_count > 0 &&
		media_is_nondistributable(task->blob->media_type)) {
		image->run->report.left_out.layers++; /* BLB-14: an image is whole without it */
		log_debug("%s: layer %s may not be distributed, and is not there", image->name,
			digest_short(&task->blob->digest, name));
		return;
	}
	error_wrap(&err, "blob %s", digest_short(&task->blob->digest, name));
	find(task->look, "blob", &task->blob->digest, &err);
}

/* --- one image ------------------------------------------------------------------------------------------------------
 */

static void look_at_blobs(struct look *look)
{
	struct image *image = look->image;
	struct blob_task *tasks = memory_new(image->tree.blob_count, sizeof *tasks);
	struct group group;
	struct error err;
	group_init(&group, BLOBS_PER_IMAGE);
	for (size_t i = 0; i < image->tree.blob_count; i++) {
		tasks[i] = (struct blob_task){look, &image->tree.blobs[i]};
		if (group_spawn(&group, blob_task, &tasks[i], &err))
			continue;
		find(look, "blob", NULL, &err);
		break;
	}
	group_wait(&group);
	free(tasks);
}

static void forget_tree(struct image *image)
{
	for (size_t i = 0; image->configs && i < image->tree.manifest_count; i++)
		content_release(image->run, image->configs[i]);
	free(image->configs);
	image->configs = NULL;
	tree_release(image->run, &image->tree);
	descriptor_release(&image->root);
}

static void look_at_image(struct look *look)
{
	struct image *image = look->image;
	struct error err;
	look->finding_count = 0;
	forget_tree(image);
	image->source_digest = (struct digest){0};
	if (!endpoint_resolve_source(place(image), image->repository, image->reference, &image->root, &err)) {
		find(look, "resolve", NULL, &err);
		return;
	}
	image->source_digest = image->root.digest;
	if (run_is_stopping(image->run)) {
		error_set(&err, ERR_CANCELED, "stopped");
		find(look, "manifest", NULL, &err);
		return;
	}
	const struct tree_wishes as_it_is = {0};
	if (!tree_fetch(image->run, place(image), image->repository, &image->root, &as_it_is, &image->tree, &err)) {
		find(look, "manifest", NULL, &err);
		return;
	}
	image->configs = memory_new(image->tree.manifest_count, sizeof(struct content *));
	look_at_blobs(look);
	if (is_deep(image) && look->finding_count == 0 && !image_check_diff_ids(image, &err))
		find(look, "verify", NULL, &err);
}

static bool was_stopped(const struct look *look)
{
	for (size_t i = 0; i < look->finding_count; i++)
		if (look->findings[i].err.kind == ERR_CANCELED)
			return true;
	return false;
}

/* Something was not seen as it should be, and not only not seen. */
static bool is_broken(const struct look *look)
{
	for (size_t i = 0; i < look->finding_count; i++) {
		enum error_kind kind = look->findings[i].err.kind;
		if (kind == ERR_NOT_FOUND || kind == ERR_CORRUPT || kind == ERR_TOO_LARGE || kind == ERR_PROTOCOL)
			return true;
	}
	return false;
}

/* --- repairing ------------------------------------------------------------------------------------------------------
 */

/* "host/repository:tag" or "oci:DIR:NAME", as the store has it. *repository is new memory. */
static bool open_source(
	struct run *run, const char *text, struct endpoint **source, char **repository, struct error *err)
{
	if (str_starts_with(text, "oci:")) {
		const char *directory = text + strlen("oci:");
		auto_free char *path = memory_text_of(directory, strcspn(directory, ":"));
		if (!run_layout(run, path, LAYOUT_READ, false, source, err))
			return false;
		*repository = memory_text(""); /* what is fetched is named by its digest */
		return true;
	}
	struct reference reference;
	if (!reference_parse(text, &reference, err))
		return false;
	*source = run_registry(run, reference.domain);
	*repository = memory_text(reference.repository);
	reference_release(&reference);
	return true;
}

static bool open_target(const struct image *image, struct endpoint **target, struct error *err)
{
	*target = place(image);
	if (!endpoint_is_layout(*target))
		return true;
	const char *directory = endpoint_name(*target) + strlen("oci:");
	return run_layout(image->run, directory, LAYOUT_WRITE, !*image->repository, target, err);
}

/* "linux/amd64,linux/arm64": what an index was cut to. The caller frees *platforms. */
static bool parse_platforms(const char *text, struct platform **platforms, size_t *count, struct error *err)
{
	*platforms = NULL;
	*count = 0;
	while (*text) {
		size_t length = strcspn(text, ",");
		auto_free char *one = memory_text_of(text, length);
		*platforms = memory_resize(*platforms, *count + 1, sizeof **platforms);
		if (!platform_parse(one, &(*platforms)[*count], err))
			return false;
		++*count;
		text += length + (text[length] == ',');
	}
	return true;
}

/* What @from says, once more at the place. */
static bool copy_again(const struct look *look, const struct tag_source *from, struct run_job *what, struct error *err)
{
	const struct image *image = look->image;
	struct job job = {.run = image->run, .what = *what, .users = 1, .whole = true};
	struct image *copy = image_new(&job, what->repository, from->source_digest.text);
	free(copy->name);
	copy->name = memory_text(from->source); /* its digest is fetched; what it is called does not change */
	copy->targets[0].keeps_tag = !digest_is_empty(&image->source_digest);
	image_copy(copy);
	struct outcome *outcome = &copy->targets[0].outcome;
	bool ok = copy->targets[0].written;
	if (!ok && outcome_is_well(outcome))
		error_set(err, ERR_NOT_FOUND, "%s: it is gone there", from->source);
	else if (!ok)
		*err = outcome->err;
	image_free(copy);
	return ok;
}

static bool restore_from(const struct look *look, const struct tag_source *from, struct error *err)
{
	const struct image *image = look->image;
	struct run_target target = {.repository = image->repository, .tag = image->reference};
	struct run_job what = {.targets = &target, .target_count = 1, .verify_layers = true, .again = true};
	auto_free char *repository = NULL;
	struct platform *platforms = NULL;
	char was[24];
	/* T-82: what somebody else has put there is not ours to replace. */
	if (!digest_is_empty(&image->source_digest) && !digest_equal(&image->source_digest, &from->written))
		return error_set(err, ERR_DENIED, "dray wrote %s there, and somebody has changed that",
			digest_short(&from->written, was));
	bool ok = open_source(image->run, from->source, &what.source, &repository, err) &&
		  open_target(image, &target.endpoint, err) &&
		  parse_platforms(from->platforms, &platforms, &what.platform_count, err);
	what.repository = repository;
	what.platforms = platforms;
	for (size_t i = 0; ok && i < look->finding_count; i++)
		if (!digest_is_empty(&look->findings[i].blob))
			blob_distrust(image->run, &look->findings[i].blob, target.endpoint);
	ok = ok && copy_again(look, from, &what, err);
	free(platforms);
	return ok;
}

static bool restore(const struct look *look, struct error *err)
{
	struct tag_source from = {0};
	bool found = false;
	if (!store_tag_source(look->image->run->store, look->image->name, &from, &found, err))
		return false;
	bool ok = found ? restore_from(look, &from, err)
			: error_set(err, ERR_NOT_FOUND, "the state does not know where it came from");
	tag_source_release(&from);
	return ok;
}

/* *repaired: something was wrong, and nothing is any more. */
static void repair(struct look *look, bool *repaired)
{
	for (int round = 0; round < REPAIRS_MOST && is_broken(look) && !was_stopped(look); round++) {
		struct error err;
		for (size_t i = 0; i < look->finding_count; i++)
			log_warning("%s: %s", look->image->name, look->findings[i].err.text);
		if (!restore(look, &err)) {
			error_wrap(&err, "not repaired");
			if (err.kind == ERR_CANCELED)
				look->finding_count = 0;
			find(look, "repair", NULL, &err);
			return;
		}
		look_at_image(look);
	}
	*repaired = look->finding_count == 0;
}

/* --- what became of it ----------------------------------------------------------------------------------------------
 */

static void tell(const struct image *image, enum image_outcome outcome, const struct failure *failure)
{
	const struct run_observer *observer = &image->run->observer;
	struct image_event event = {
		.outcome = outcome,
		.source = image->name,
		.digest = &image->source_digest,
		.failure = failure,
		.bytes = image->tree.bytes,
		.duration_ms = loop_now_ms() - image->started_ms,
	};
	if (observer->image)
		observer->image(observer->context, &event);
}

static void conclude(struct look *look, bool repaired)
{
	struct image *image = look->image;
	struct report *report = &image->run->report;
	report->images.total++;
	image->run->images_done++;
	if (was_stopped(look)) {
		report->has_rest = true;
		report->images.stopped++;
		return;
	}
	report->images.sound += look->finding_count == 0 && !repaired;
	report->images.repaired += repaired;
	report->images.failed += look->finding_count > 0;
	report->places_done += look->finding_count == 0;
	if (look->finding_count == 0)
		tell(image, repaired ? IMAGE_REPAIRED : IMAGE_SOUND, NULL);
	for (size_t i = 0; i < look->finding_count; i++) {
		struct finding *finding = &look->findings[i];
		error_wrap(&finding->err, "%s", image->name);
		report_add_failure(report, image->name, NULL, finding->stage, SIDE_SOURCE, &finding->err);
		tell(image, IMAGE_FAILED, &report->failures[report->failure_count - 1]);
	}
}

void image_verify(struct image *image)
{
	struct look look = {.image = image};
	bool repaired = false;
	look_at_image(&look);
	if (image->job->what.repairs && look.finding_count > 0)
		repair(&look, &repaired);
	conclude(&look, repaired);
	free(look.findings);
}
