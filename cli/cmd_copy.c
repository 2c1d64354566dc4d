#include "base/memory.h"
#include "base/str.h"
#include "cli/place.h"
#include "cli/session.h"
#include "config/location.h"
#include "oci/template.h"

#include <string.h>

struct copy {
	struct place source, target;
	struct platform platforms[OPTION_VALUES_MAX];
	size_t platform_count;
	bool verify_layers;
	enum config_foreign foreign;
	enum config_referrers referrers;
	/* made while the job is added, and used until the run has ended */
	char *source_name, *template;
};

static bool parse_options(const struct arguments *arguments, struct copy *copy, struct error *err)
{
	/* In the order of the words that commands.c lists. */
	static const enum config_foreign foreign[] = {CONFIG_FOREIGN_AUTO, CONFIG_FOREIGN_COPY, CONFIG_FOREIGN_SKIP};
	static const enum config_referrers referrers[] = {
		CONFIG_REFERRERS_COPIED, CONFIG_REFERRERS_LEFT, CONFIG_REFERRERS_ALWAYS};
	copy->verify_layers = argument_choice(arguments, OPTION_VERIFY) == 0;
	copy->foreign = foreign[argument_choice(arguments, OPTION_FOREIGN)];
	copy->referrers = referrers[argument_choice(arguments, OPTION_REFERRERS)];
	for (; copy->platform_count < arguments->value_counts[OPTION_PLATFORM]; copy->platform_count++)
		if (!platform_parse(arguments->values[OPTION_PLATFORM][copy->platform_count],
			    &copy->platforms[copy->platform_count], err))
			return false;
	return true;
}

/* As docker reads it, registry.internal:5000 is a tag of Docker Hub's, where nobody wants to write by mistake. */
static bool names_its_registry(const char *text)
{
	const char *name = str_starts_with(text, "docker://") ? text + strlen("docker://") : text;
	return str_starts_with(name, "oci:") || strchr(name, '/');
}

/* What a pattern finds, or a layout holds, may go to a host, without a path: that is not docker's name for a tag. */
static bool parse_target(const char *text, struct copy *copy, struct error *err)
{
	bool is_prefix = copy->source.is_pattern || (copy->source.is_layout && !copy->source.name);
	if (is_prefix && location_host(text, &copy->target.reference.domain, NULL)) {
		copy->target.reference.repository = memory_text("");
		return true;
	}
	if (!names_its_registry(text))
		return error_set(err, ERR_INVALID,
			"%s: a target is HOST/REPOSITORY, and Docker Hub's are docker.io/REPOSITORY", text);
	return place_parse(text, &copy->target, err);
}

/* "mirror/{repository}": what a repository that a pattern finds becomes. New memory. */
static char *template_of(const struct copy *copy)
{
	const char *prefix = copy->target.is_layout ? copy->source.reference.domain : copy->target.reference.repository;
	return memory_format("%s%s%s", prefix, *prefix ? "/" : "", TEMPLATE_REPOSITORY);
}

static bool is_among_its_sources(struct copy *copy)
{
	const struct reference *from = &copy->source.reference, *to = &copy->target.reference;
	if (!copy->source.is_pattern)
		return false;
	copy->template = template_of(copy);
	return !copy->target.is_layout && str_is(from->domain, to->domain) &&
	       templates_may_meet(from->repository, TEMPLATE_REPOSITORY, from->repository, copy->template);
}

static bool parse_places(const struct arguments *arguments, struct copy *copy, struct error *err)
{
	if (!place_parse(arguments->operands[0], &copy->source, err) ||
		!parse_target(arguments->operands[1], copy, err))
		return false;
	bool many = copy->source.every_tag || copy->source.is_pattern || (copy->source.is_layout && !copy->source.name);
	if (!many && !copy->source.is_layout)
		reference_default_tag(&copy->source.reference);
	if (copy->target.every_tag || copy->target.is_pattern)
		return error_set(err, ERR_INVALID, "%s: a target has no *", arguments->operands[1]);
	if (is_among_its_sources(copy))
		return error_set(err, ERR_INVALID, "%s: what is copied there would be among its own sources",
			arguments->operands[1]);
	if (!digest_is_empty(&copy->target.reference.digest))
		return error_set(err, ERR_INVALID, "%s: a target has a tag, not a digest", arguments->operands[1]);
	if (many && (copy->target.name || copy->target.reference.tag))
		return error_set(err, ERR_INVALID, "%s: many images cannot share one tag", arguments->operands[1]);
	return true;
}

/* A name without a repository is a tag of the source's: beside it stands the full name, for containerd (LAY-10). */
static bool open_layout_target(struct run *run, struct copy *copy, struct run_target *target, struct error *err)
{
	const struct place *to = &copy->target;
	bool bare = to->name && !*to->name_repository;
	if (!run_layout(run, to->directory, LAYOUT_WRITE, bare, &target->endpoint, err))
		return false;
	target->tag = to->name_tag;
	if (copy->source.is_pattern)
		target->repository = copy->template;
	else if (to->name && !bare)
		target->repository = to->name_repository;
	else if (!copy->source.is_layout)
		target->repository = copy->source_name = reference_name(&copy->source.reference);
	return true;
}

static bool open_target(struct run *run, struct copy *copy, struct run_target *target, struct error *err)
{
	const struct place *to = &copy->target;
	if (to->is_layout)
		return open_layout_target(run, copy, target, err);
	target->endpoint = run_registry(run, to->reference.domain);
	if (copy->source.is_layout && !copy->source.name) {
		target->prefix = to->reference.repository;
		return true;
	}
	target->repository = copy->source.is_pattern ? copy->template : to->reference.repository;
	target->tag = to->reference.tag;
	if (!target->tag && copy->source.name) /* a layout's image keeps its tag */
		target->tag = copy->source.name_tag;
	return true;
}

static bool add_jobs(struct run *run, struct session *session, struct error *err)
{
	struct copy *copy = session->context;
	struct run_target target = {0};
	struct run_job job = {
		.targets = &target,
		.target_count = 1,
		.platforms = copy->platforms,
		.platform_count = copy->platform_count,
		.verify_layers = copy->verify_layers,
		.foreign = copy->foreign,
		.referrers = copy->referrers,
		.keeps_sparse = session->arguments->given[OPTION_ALLOW_MISSING],
		.is_pattern = copy->source.is_pattern,
	};
	if (!place_open_source(run, &copy->source, &job.source, &job.repository, &job.reference, err) ||
		!open_target(run, copy, &target, err))
		return false;
	run_add(run, &job);
	return true;
}

static void copy_release(struct copy *copy)
{
	place_release(&copy->source);
	place_release(&copy->target);
	free(copy->source_name);
	free(copy->template);
}

int command_copy(const struct arguments *arguments)
{
	struct copy copy = {0};
	struct config *config = NULL;
	struct error err;
	int code = EXIT_USAGE;
	if (!parse_options(arguments, &copy, &err) || !parse_places(arguments, &copy, &err)) {
		common_fail(SIDE_TARGET, &err);
	} else if (common_config(arguments, &config)) {
		struct session session = {
			.arguments = arguments, .config = config, .add_jobs = add_jobs, .context = &copy};
		code = session_execute(&session);
	}
	copy_release(&copy);
	config_free(config);
	return code;
}
