/*
 * What a retry takes of a configuration: the images that failed in an earlier run, at the targets where they did, and
 * all of what could not be listed then.
 *
 * A repository with failures is listed as always, so that what is no longer there or no longer selected is not tried;
 * of what is listed, the rest is passed over without a question to anyone.
 */
#include "sync/mirror/internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"

#include <string.h>

struct retry {
	struct retry_row {
		const char *source, *target; /* target "": a list */
		bool taken;
	} * rows; /* sorted */
	size_t count;
};

static int compare(const void *a, const void *b)
{
	const struct retry_row *left = a, *right = b;
	int order = strcmp(left->source, right->source);
	return order != 0 ? order : strcmp(left->target, right->target);
}

void run_retry(struct run *run, const struct run_failure *failures, size_t count)
{
	struct retry *retry = memory_new(1, sizeof *retry);
	retry->rows = memory_new(count, sizeof *retry->rows);
	retry->count = count;
	for (size_t i = 0; i < count; i++)
		retry->rows[i] = (struct retry_row){failures[i].source, failures[i].target, false};
	qsort(retry->rows, count, sizeof *retry->rows, compare);
	run->retry = retry;
}

void retry_free(struct retry *retry)
{
	if (!retry)
		return;
	free(retry->rows);
	free(retry);
}

static struct retry_row *find(const struct retry *retry, const char *source, const char *target)
{
	const struct retry_row wanted = {source, target, false};
	return bsearch(&wanted, retry->rows, retry->count, sizeof *retry->rows, compare);
}

/* Is there a row of what begins with @name? It may be a repository's, a layout's, or all before the star of a pattern.
 */
bool retry_concerns(const struct retry *retry, const char *name)
{
	auto_free char *prefix = memory_text(name);
	if (str_ends_with(prefix, "*"))
		prefix[strlen(prefix) - 1] = '\0';
	for (size_t i = 0; i < retry->count; i++)
		if (str_starts_with(retry->rows[i].source, prefix))
			return true;
	return false;
}

bool retry_takes_list(const struct retry *retry, const char *name)
{
	struct retry_row *row = find(retry, name, "");
	if (row)
		row->taken = true;
	return row != NULL;
}

bool retry_takes(const struct retry *retry, const char *source, const char *target)
{
	struct retry_row *row = find(retry, source, target);
	if (row)
		row->taken = true;
	return row != NULL;
}

void retry_warn_of_rest(const struct retry *retry)
{
	for (size_t i = 0; i < retry->count; i++) {
		const struct retry_row *row = &retry->rows[i];
		if (!row->taken)
			log_warning("%s%s%s had failed, and is not tried: it is not there any more, or not in the "
				    "configuration",
				row->source, *row->target ? " to " : "", row->target);
	}
}
