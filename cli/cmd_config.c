#include "cli/command.h"

#include <stdio.h>

int command_config_check(const struct arguments *arguments)
{
	const char *path = arguments->operand_count > 0 ? arguments->operands[0] : "/etc/dray/dray.yaml";
	struct config *config;
	if (!common_load(path, CONFIG_TO_MIRROR, &config))
		return EXIT_USAGE;
	size_t targets = 0;
	for (size_t i = 0; i < config->repository_count; i++)
		targets += config->repositories[i].target_count;
	printf("%s: good; %zu repositories, %zu targets, %zu registries\n", path, config->repository_count, targets,
		config->registry_count);
	config_free(config);
	return EXIT_DONE;
}
