#include "cli/history_text.h"

#include "base/log.h"
#include "base/str.h"

#include <stdio.h>

bool history_run_number(const struct arguments *arguments, int64_t *id)
{
	*id = 0;
	if (arguments->operand_count == 0 || (str_parse_number(arguments->operands[0], INT64_MAX, id) && *id > 0))
		return true;
	log_error("%s is no number of a run", arguments->operands[0]);
	return false;
}

static const char *config_path(const struct arguments *arguments)
{
	const char *path = argument_of(arguments, OPTION_CONFIG);
	return path ? path : "/etc/dray/dray.yaml";
}

bool history_config(const struct arguments *arguments, struct config **config)
{
	const char *path = config_path(arguments);
	if (!common_load(path, CONFIG_TO_MIRROR, config))
		return false;
	if ((*config)->state_file)
		return true;
	log_error("%s has no state: nothing is remembered", path);
	config_free(*config);
	return false;
}

char *history_state_file(const struct arguments *arguments)
{
	const char *path = config_path(arguments);
	struct config_errors errors;
	struct error err;
	char *state = NULL;
	if (!config_state_file(path, &state, &errors, &err))
		common_tell_errors(&errors, &err);
	else if (!state)
		log_error("%s has no state: nothing is remembered", path);
	return state;
}

int history_fail(const struct error *err)
{
	log_error("%s", err->text);
	return err->kind == ERR_NOT_FOUND || err->kind == ERR_INVALID ? EXIT_USAGE : EXIT_LOCAL;
}

void history_print_failure(const struct history_job *job)
{
	printf("%s%s%s: %s\n", job->stage ? job->stage : "", job->stage ? ", " : "",
		job->error_kind ? job->error_kind : "", job->error_text ? job->error_text : "");
}
