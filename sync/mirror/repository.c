/*
 * One job: list the source's tags page by page, select, and start an image for each while the next page is on its way.
 *
 * A job for a pattern lists the catalog likewise, and makes a job of each repository below its prefix; such a job goes
 * when the last of its images is done, so that memory does not grow with the number of repositories (P6).
 */
#include "sync/mirror/internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/template.h"

static char *name_of(const struct job *job)
{
	const char *host = endpoint_name(job->what.source), *repository = job->what.repository;
	if (!repository)
		return memory_text(host);
	if (job->what.is_pattern)
		return memory_format("%s/%s%s*", host, repository, *repository ? "/" : "");
	return memory_format("%s/%s", host, repository);
}

static void list_failed(struct job *job, struct error *err)
{
	auto_free char *name = name_of(job);
	if (err->kind == ERR_CANCELED) {
		job->run->report.has_rest = true;
		return;
	}
	error_wrap(err, "%s", name);
	job->run->report.unlisted++;
	log_error("%s", err->text);
	struct job_record record = {
		.source = name,
		.target = "",
		.outcome = "failed",
		.stage = "list",
		.error_kind = error_kind_name(err->kind),
		.error_text = err->text,
	};
	if (run_is_recorded(job->run))
		store_job(job->run->store, &record);
	report_add_failure(&job->run->report, name, NULL, "list", SIDE_SOURCE, err);
}

static bool takes(const struct job *job, const char *tag, bool *taken, struct error *err)
{
	*taken = true;
	return !job->what.selects || job->what.selects(job->what.filter, tag, taken, err);
}

/* The repository that @earlier writes to a target of @job's. New memory, or NULL: to none of them. */
static char *rival(const struct run_job *earlier, const struct run_job *job)
{
	for (size_t i = 0; i < earlier->target_count; i++)
		for (size_t k = 0; k < job->target_count; k++) {
			const struct run_target *a = &earlier->targets[i], *b = &job->targets[k];
			if (a->endpoint != b->endpoint || !a->repository || !b->repository)
				continue;
			if (!earlier->is_pattern && str_is(a->repository, b->repository))
				return memory_text(earlier->repository);
			char *from = earlier->is_pattern ? template_match(a->repository, b->repository) : NULL;
			if (from && prefix_covers(earlier->repository, from))
				return from;
			free(from);
		}
	return NULL;
}

/*
 * Does @earlier write this tag, of its @repository? It is asked at its source each time, since a list of all tags would
 * grow without bound.
 */
static bool owns(const struct job *earlier, const char *repository, const char *tag, bool *owned, struct error *err)
{
	const struct run_job *what = &earlier->what;
	struct descriptor found = {0};
	struct error why;
	*owned = false;
	if (what->reference)
		*owned = str_is(what->reference, tag);
	else if (!takes(earlier, tag, owned, err))
		return false;
	if (!*owned)
		return true;
	*owned = endpoint_resolve_source(what->source, repository, tag, &found, &why);
	descriptor_release(&found);
	if (*owned || why.kind == ERR_NOT_FOUND)
		return true;
	*err = why; /* not knowing, the tag stays as it is */
	return false;
}

/* With `merge`, the first job of the configuration owns a tag that several have (DESIGN section 6). */
static bool is_owned_by_earlier(const struct job *job, const char *tag, bool *owned, struct error *err)
{
	*owned = false;
	for (size_t i = 0; job->what.merge && i < job->order && !*owned; i++) {
		const struct job *earlier = &job->run->jobs[i];
		auto_free char *repository = earlier->what.merge ? rival(&earlier->what, &job->what) : NULL;
		if (!repository)
			continue;
		if (!owns(earlier, repository, tag, owned, err))
			return false;
		if (*owned)
			log_warning("%s/%s:%s is not copied: %s/%s has that tag, and comes first (merge)",
				endpoint_name(job->what.source), job->what.repository, tag,
				endpoint_name(earlier->what.source), repository);
	}
	return true;
}

static enum referrer_tag_kind kind_of(const struct image_name *name)
{
	struct digest subject;
	return referrer_tag_parse(name->reference, &subject);
}

static bool any_refers(const struct image_name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (kind_of(&names[i]) != REFERRER_TAG_NONE)
			return true;
	return false;
}

/* Those of @kind. */
static bool start_kind(struct job *job, const struct image_name *names, size_t count, enum referrer_tag_kind kind,
	size_t *started, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		bool taken;
		if (kind_of(&names[i]) != kind)
			continue;
		if (!takes(job, names[i].reference, &taken, err))
			return false;
		bool owned = false;
		if (taken && !is_owned_by_earlier(job, names[i].reference, &owned, err))
			return false;
		if (!taken || owned)
			continue;
		if (!image_start(job, names[i].repository, names[i].reference, err))
			return false;
		(*started)++;
	}
	return true;
}

/* RFR-17: what refers to an image comes after it. */
static bool start_page(
	struct job *job, const struct image_name *names, size_t count, size_t *started, struct error *err)
{
	static const enum referrer_tag_kind order[] = {REFERRER_TAG_NONE, REFERRER_TAG_COSIGN, REFERRER_TAG_LIST};
	size_t kinds = any_refers(names, count) ? array_count(order) : 1;
	for (size_t i = 0; i < kinds; i++)
		if (!start_kind(job, names, count, order[i], started, err))
			return false;
	return true;
}

/* Of the first page, when it has come. */
static void note_referrer_tags(
	struct job *job, const struct name_pages *pages, const struct image_name *names, size_t count)
{
	job->has_no_referrer_tags = name_pages_are_over(pages) && !any_refers(names, count);
}

void job_look_for_referrer_tags(struct job *job)
{
	struct name_pages *pages = endpoint_list(job->what.source, job->what.repository);
	const struct image_name *names;
	size_t count;
	struct error err;
	if (name_pages_next(pages, &names, &count, &err))
		note_referrer_tags(job, pages, names, count);
	else
		log_debug("%s/%s: its tags are not listed: %s", endpoint_name(job->what.source), job->what.repository,
			err.text);
	name_pages_free(pages);
}

static bool start_all(struct job *job, struct error *err)
{
	struct name_pages *pages = endpoint_list(job->what.source, job->what.repository);
	const struct image_name *names;
	size_t count, started = 0;
	bool ok = name_pages_next(pages, &names, &count, err);
	if (ok)
		note_referrer_tags(job, pages, names, count);
	while (ok && count > 0)
		ok = start_page(job, names, count, &started, err) && name_pages_next(pages, &names, &count, err);
	auto_free char *name = name_of(job);
	if (name_pages_skipped(pages) > 0)
		log_debug("%s: %zu names of its list are no tags", name, name_pages_skipped(pages));
	name_pages_free(pages);
	if (ok && started == 0 && !job->repository && !job->run->retry)
		log_warning("%s: no tag is selected", name);
	return ok;
}

/* --- patterns ------------------------------------------------------------------------------------------------------
 */

void job_release(struct job *job)
{
	if (--job->users > 0 || !job->repository)
		return;
	for (size_t i = 0; i < job->what.target_count; i++)
		free((char *)(uintptr_t)job->own_targets[i].repository);
	free(job->own_targets);
	free(job->repository);
	free(job);
}

/* The job of one repository that @pattern found; one user has it. */
static struct job *job_of_pattern(const struct job *pattern, const char *repository)
{
	struct job *job = memory_new(1, sizeof *job);
	*job = (struct job){.run = pattern->run, .what = pattern->what, .order = pattern->order, .users = 1};
	job->repository = memory_text(repository);
	job->own_targets = memory_new(job->what.target_count, sizeof *job->own_targets);
	for (size_t i = 0; i < job->what.target_count; i++) {
		job->own_targets[i] = pattern->what.targets[i];
		job->own_targets[i].repository = template_fill(pattern->what.targets[i].repository, repository);
	}
	job->what.repository = job->repository;
	job->what.targets = job->own_targets;
	job->what.is_pattern = false;
	job->whole = pattern->whole;
	return job;
}

static bool start(struct job *job, struct error *err);

/* A catalog names repositories without tags, too, and some that are gone (TAG-14). */
static void found_task(void *argument)
{
	struct job *job = argument;
	struct error err;
	if (!start(job, &err)) {
		if (err.kind == ERR_NOT_FOUND)
			log_debug("%s/%s: no tags: %s", endpoint_name(job->what.source), job->repository, err.text);
		else
			list_failed(job, &err);
	}
	job_release(job);
}

static bool start_found(const struct job *pattern, const struct image_name *names, size_t count, struct group *group,
	size_t *found, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (!prefix_covers(pattern->what.repository, names[i].repository))
			continue;
		struct job *job = job_of_pattern(pattern, names[i].repository);
		++*found;
		if (group_spawn(group, found_task, job, err))
			continue;
		job_release(job);
		return false;
	}
	return true;
}

static bool start_pattern(struct job *pattern, struct error *err)
{
	struct name_pages *pages = endpoint_list(pattern->what.source, NULL);
	const struct image_name *names;
	struct group group;
	size_t count, found = 0;
	bool ok;
	group_init(&group, REPOSITORIES_AT_ONCE);
	do
		ok = name_pages_next(pages, &names, &count, err) &&
		     start_found(pattern, names, count, &group, &found, err);
	while (ok && count > 0);
	group_wait(&group);
	auto_free char *name = name_of(pattern);
	if (name_pages_skipped(pages) > 0)
		log_warning("%s: %zu names in the catalog are no repositories, and are passed over", name,
			name_pages_skipped(pages));
	name_pages_free(pages);
	if (ok && found == 0)
		log_warning("%s: the catalog names no repository there", name);
	return ok;
}

static bool start(struct job *job, struct error *err)
{
	struct retry *retry = job->run->retry;
	if (retry && !job->whole) {
		auto_free char *name = name_of(job);
		job->whole = retry_takes_list(retry, name);
		if (!job->whole && !retry_concerns(retry, name))
			return true;
	}
	if (job->what.is_pattern)
		return start_pattern(job, err);
	if (job->what.reference)
		return image_start(job, job->what.repository, job->what.reference, err);
	return start_all(job, err);
}

void repository_task(void *argument)
{
	struct job *job = argument;
	struct error err;
	if (!start(job, &err))
		list_failed(job, &err);
}
