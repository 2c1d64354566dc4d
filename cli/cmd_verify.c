#include "cli/place.h"
#include "cli/session.h"

#include "base/log.h"
#include "base/memory.h"

static bool add_jobs(struct run *run, struct session *session, struct error *err)
{
	const struct place *place = session->context;
	const struct arguments *arguments = session->arguments;
	struct run_job job = {
		.is_pattern = place->is_pattern,
		.check = arguments->given[OPTION_DEEP] ? RUN_READS : RUN_LOOKS,
		.repairs = arguments->given[OPTION_REPAIR],
	};
	if (!place_open_source(run, place, &job.source, &job.repository, &job.reference, err))
		return false;
	run_add(run, &job);
	return true;
}

static bool parse(const struct arguments *arguments, struct place *place, struct error *err)
{
	if (!place_parse(arguments->operands[0], place, err))
		return false;
	if (place->is_layout)
		return place_make_absolute(place, err);
	if (!place->every_tag && !place->is_pattern)
		reference_default_tag(&place->reference);
	return true;
}

static bool check_repair(const struct arguments *arguments, const struct config *config, struct error *err)
{
	if (!arguments->given[OPTION_REPAIR] || (config && config->state_file))
		return true;
	return error_set(err, ERR_INVALID,
		config ? "--repair: %s has no state, which would know where images came from"
		       : "--repair needs --config, whose state knows where images came from",
		config ? config->path : "");
}

int command_verify(const struct arguments *arguments)
{
	struct place place = {0};
	struct config *config;
	struct error err;
	int code = EXIT_USAGE;
	if (!common_config(arguments, &config))
		return EXIT_USAGE;
	if (parse(arguments, &place, &err) && check_repair(arguments, config, &err)) {
		struct session session = {
			.arguments = arguments,
			.config = config,
			.state_file = arguments->given[OPTION_REPAIR] ? config->state_file : NULL,
			.add_jobs = add_jobs,
			.context = &place,
		};
		code = session_execute(&session);
	} else {
		log_error("%s", err.text);
	}
	place_release(&place);
	config_free(config);
	return code;
}
