#include "cli/history_text.h"

#include "base/log.h"

#include <stdio.h>

char *history_state_file(const struct arguments *arguments)
{
	const char *path = argument_of(arguments, OPTION_CONFIG);
	struct config *config;
	if (!path)
		path = "/etc/dray/dray.yaml";
	if (!common_load(path, &config))
		return NULL;
	char *state = memory_text(config->state_file);
	config_free(config);
	if (!state)
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
