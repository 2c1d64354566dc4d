#include "cli/session.h"

static bool add_jobs(struct run *run, struct session *session, struct error *err)
{
	(void)session;
	return run_add_config(run, err);
}

int command_sync(const struct arguments *arguments)
{
	const char *path = arguments->operand_count > 0 ? arguments->operands[0] : "/etc/dray/dray.yaml";
	struct config *config;
	if (!common_load(path, CONFIG_TO_MIRROR, &config))
		return EXIT_USAGE;
	struct session session = {
		.arguments = arguments,
		.config = config,
		.state_file = config->state_file,
		.add_jobs = add_jobs,
	};
	int code = session_execute(&session);
	config_free(config);
	return code;
}
