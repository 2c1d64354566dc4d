#include "cli/command.h"

#include "base/log.h"

#include <stdio.h>

void common_tell_errors(struct config_errors *errors, const struct error *err)
{
	for (size_t i = 0; i < errors->count; i++)
		log_error("%s", errors->lines[i]);
	if (errors->count == 0)
		log_error("%s", err->text);
	config_errors_release(errors);
}

bool common_load(const char *path, enum config_use use, struct config **config)
{
	struct config_errors errors = {0};
	struct error err;
	if (config_load(path, use, config, &errors, &err))
		return true;
	common_tell_errors(&errors, &err);
	return false;
}

bool common_config(const struct arguments *arguments, struct config **config)
{
	const char *path = argument_of(arguments, OPTION_CONFIG);
	*config = NULL;
	return !path || common_load(path, CONFIG_FOR_SETTINGS, config);
}

int common_fail(enum side side, const struct error *err)
{
	log_error("%s", err->text);
	return (int)exit_code_of(side, err->kind);
}
