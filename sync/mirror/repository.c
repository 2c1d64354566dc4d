/*
 * One job: list the source's tags page by page, select, and start an image for each while the next page is on its way.
 */
#include "sync/mirror/internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"

static void list_failed(struct job *job, struct error *err)
{
	auto_free char *name = job->what.repository
				       ? memory_format("%s/%s", endpoint_name(job->what.source), job->what.repository)
				       : memory_text(endpoint_name(job->what.source));
	if (err->kind == ERR_CANCELED)
		return;
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
	if (!job->run->dry_run)
		store_job(job->run->store, &record);
	report_add_failure(&job->run->report, name, NULL, "list", SIDE_SOURCE, err);
}

static bool takes(const struct job *job, const char *tag, bool *taken, struct error *err)
{
	*taken = true;
	return !job->what.selects || job->what.selects(job->what.filter, tag, taken, err);
}

static bool shares_a_target(const struct run_job *a, const struct run_job *b)
{
	for (size_t i = 0; i < a->target_count; i++)
		for (size_t k = 0; k < b->target_count; k++)
			if (a->targets[i].endpoint == b->targets[k].endpoint && a->targets[i].repository &&
				str_is(a->targets[i].repository, b->targets[k].repository))
				return true;
	return false;
}

/* Does @earlier write this tag? It is asked at its source each time, since a list of all tags would grow without bound.
 */
static bool owns(const struct job *earlier, const char *tag, bool *owned, struct error *err)
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
	*owned = endpoint_resolve(what->source, what->repository, tag, &found, &why);
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
	for (const struct job *earlier = job->run->jobs; job->what.merge && earlier < job && !*owned; earlier++) {
		if (!earlier->what.merge || !shares_a_target(&earlier->what, &job->what))
			continue;
		if (!owns(earlier, tag, owned, err))
			return false;
		if (*owned)
			log_warning("%s/%s:%s is not copied: %s/%s has that tag, and comes first (merge)",
				endpoint_name(job->what.source), job->what.repository, tag,
				endpoint_name(earlier->what.source), earlier->what.repository);
	}
	return true;
}

static bool start_page(
	struct job *job, const struct image_name *names, size_t count, size_t *started, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		bool taken;
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

static bool start_all(struct job *job, struct error *err)
{
	struct name_pages *pages = endpoint_list(job->what.source, job->what.repository);
	const struct image_name *names;
	size_t count, started = 0;
	bool ok;
	do
		ok = name_pages_next(pages, &names, &count, err) && start_page(job, names, count, &started, err);
	while (ok && count > 0);
	name_pages_free(pages);
	if (ok && started == 0)
		log_warning("%s/%s: no tag is selected", endpoint_name(job->what.source),
			job->what.repository ? job->what.repository : "");
	return ok;
}

void repository_task(void *argument)
{
	struct job *job = argument;
	struct error err;
	bool ok = job->what.reference ? image_start(job, job->what.repository, job->what.reference, &err)
				      : start_all(job, &err);
	if (!ok)
		list_failed(job, &err);
}
