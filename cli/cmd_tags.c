#include "cli/place.h"
#include "cli/session.h"

#include <stdio.h>

static int list(struct run *run, void *context)
{
	const struct place *place = context;
	struct endpoint *endpoint;
	const char *repository, *reference;
	const struct image_name *names;
	size_t count;
	struct error err;
	if (!place_open_source(run, place, &endpoint, &repository, &reference, &err))
		return common_fail(SIDE_SOURCE, &err);
	struct name_pages *pages = endpoint_list(endpoint, place->is_layout ? NULL : repository);
	bool ok;
	while ((ok = name_pages_next(pages, &names, &count, &err)) && count > 0)
		for (size_t i = 0; i < count; i++)
			if (place->is_layout && *names[i].repository)
				printf("%s%c%s\n", names[i].repository, digest_is_text(names[i].reference) ? '@' : ':',
					names[i].reference);
			else
				puts(names[i].reference);
	name_pages_free(pages);
	return ok ? EXIT_DONE : common_fail(SIDE_SOURCE, &err);
}

int command_tags(const struct arguments *arguments)
{
	struct place place;
	struct config *config;
	struct error err;
	if (!place_parse(arguments->operands[0], &place, &err)) {
		common_fail(SIDE_SOURCE, &err);
		return EXIT_USAGE;
	}
	int code = EXIT_USAGE;
	if (place.is_pattern) {
		error_set(&err, ERR_INVALID, "%s: one repository at a time", arguments->operands[0]);
		common_fail(SIDE_SOURCE, &err);
	} else if (!place.is_layout && (place.reference.tag || !digest_is_empty(&place.reference.digest))) {
		error_set(&err, ERR_INVALID, "%s: a repository has no tag or digest here", arguments->operands[0]);
		common_fail(SIDE_SOURCE, &err);
	} else if (common_config(arguments, &config)) {
		code = session_look(config, list, &place);
		config_free(config);
	}
	place_release(&place);
	return code;
}
