#include "cli/history_text.h"
#include "cli/place.h"
#include "cli/report_json.h"

#include "base/str.h"
#include "oci/reference.h"

#include <stdio.h>

static void print_tag(const struct history_tag *tag)
{
	char first[32], last[32];
	printf("%s holds %s\n", tag->target, tag->written);
	printf("  from %s, written first %s, last %s\n", tag->source, str_format_time(tag->first_seen_ms, first),
		str_format_time(tag->verified_ms, last));
	if (!str_is(tag->written, tag->source_digest))
		printf("  which is %s cut to %s\n", tag->source_digest, tag->platforms);
}

static void print_job(const struct history_job *job)
{
	char when[32], took[16], sent[16];
	bool failed = str_is(job->outcome, "failed");
	printf("run %lld, %s: %s%s%s%s after %s, %s sent", (long long)job->run, str_format_time(job->finished_ms, when),
		job->source, *job->target ? " to " : "", job->target, failed ? ": failed" : ": copied",
		str_format_duration(job->duration_ms, took), str_format_bytes(job->bytes, sent));
	if (job->attempts > 1)
		printf(", attempt %lld in a row", (long long)job->attempts);
	puts("");
	if (job->digest)
		printf("  %s\n", job->digest);
	if (!failed)
		return;
	printf("  ");
	history_print_failure(job);
}

static char *absolute(const char *text)
{
	struct place place;
	struct error err;
	if (!place_parse(text, &place, &err))
		return memory_text(text);
	char *name = place.name && place_make_absolute(&place, &err)
			     ? memory_format("oci:%s:%s", place.directory, place.name)
			     : memory_text(text);
	place_release(&place);
	return name;
}

/* As the records have it: canonical; what is no reference of a registry, such as a name in a layout, as it is. */
static char *canonical(const char *text)
{
	struct reference reference;
	if (str_starts_with(text, "oci:"))
		return absolute(text);
	if (!reference_parse(text, &reference, NULL))
		return memory_text(text);
	reference_default_tag(&reference);
	char *name = reference_format(&reference);
	reference_release(&reference);
	return name;
}

int command_explain(const struct arguments *arguments)
{
	struct history history;
	struct error err;
	auto_free char *path = history_state_file(arguments);
	if (!path)
		return EXIT_USAGE;
	auto_free char *name = canonical(arguments->operands[0]);
	if (!history_of_reference(path, name, &history, &err))
		return history_fail(&err);
	if (arguments->given[OPTION_JSON])
		report_print_explanation(name, &history);
	bool known = history.job_count > 0 || history.tag_count > 0;
	for (size_t i = 0; i < history.tag_count && !arguments->given[OPTION_JSON]; i++)
		print_tag(&history.tags[i]);
	for (size_t i = 0; i < history.job_count && !arguments->given[OPTION_JSON]; i++)
		print_job(&history.jobs[i]);
	history_release(&history);
	if (known)
		return EXIT_DONE;
	error_set(&err, ERR_NOT_FOUND, "%s: no run has copied it, or failed to", name);
	return history_fail(&err);
}
