/*
 * One job: list the source's tags page by page, select, and start an image for each while the next page is on its way.
 */
#include "sync/mirror/internal.h"

#include "base/log.h"
#include "base/memory.h"

static void list_failed(struct job *job, struct error *err)
{
	auto_free char *name = job->what.repository
				       ? memory_format("%s/%s", endpoint_name(job->what.source), job->what.repository)
				       : memory_text(endpoint_name(job->what.source));
	if (err->kind == ERR_CANCELED)
		return;
	error_wrap(err, "%s", name);
	log_error("%s", err->text);
	report_add_failure(&job->run->report, name, NULL, "list", SIDE_SOURCE, err);
}

static bool takes(const struct job *job, const char *tag, bool *taken, struct error *err)
{
	*taken = true;
	return !job->what.selects || job->what.selects(job->what.filter, tag, taken, err);
}

static bool start_page(
	struct job *job, const struct image_name *names, size_t count, size_t *started, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		bool taken;
		if (!takes(job, names[i].reference, &taken, err))
			return false;
		if (!taken)
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
