#include "base/log.h"
#include "base/memory.h"
#include "cli/place.h"
#include "cli/session.h"

#include <stdio.h>

struct deletion {
	const struct arguments *arguments;
	struct place places[OPERANDS_MAX];
	size_t count;
};

/* Nothing is made up here: who deletes says what. */
static bool check(const struct place *place, const char *text, bool all_tags, struct error *err)
{
	bool by_digest = !digest_is_empty(&place->reference.digest);
	if (place->is_layout)
		return error_set(err, ERR_INVALID, "%s: dray deletes from registries only", text);
	if (place->every_tag || place->is_pattern)
		return error_set(err, ERR_INVALID, "%s: name what is to be deleted, without *", text);
	if (by_digest && place->reference.tag)
		return error_set(err, ERR_INVALID, "%s: the tag, or the digest?", text);
	if (!by_digest && !place->reference.tag)
		return error_set(err, ERR_INVALID, "%s: name a tag or a digest", text);
	if (by_digest && !all_tags)
		return error_set(err, ERR_INVALID,
			"%s: a digest is deleted with every tag that points to it; say --all-tags if that is meant",
			text);
	return true;
}

static bool delete_one(struct run *run, const struct place *place, bool dry_run, struct error *err)
{
	struct endpoint *endpoint;
	const char *repository, *reference;
	struct descriptor found = {0};
	if (!place_open_source(run, place, &endpoint, &repository, &reference, err))
		return false;
	auto_free char *name = endpoint_reference(endpoint, repository, reference);
	if (!endpoint_resolve(endpoint, repository, reference, &found, err))
		return error_wrap(err, "%s", name);
	char digest[24];
	digest_short(&found.digest, digest);
	descriptor_release(&found);
	if (!dry_run && !endpoint_delete(endpoint, repository, reference, err))
		return error_wrap(err, "%s", name);
	printf("%s  %s  %s\n", dry_run ? "would delete" : "deleted", name, digest);
	return true;
}

static int delete_all(struct run *run, void *context)
{
	const struct deletion *deletion = context;
	int code = EXIT_DONE;
	size_t done = 0;
	for (size_t i = 0; i < deletion->count; i++) {
		struct error err;
		if (delete_one(run, &deletion->places[i], deletion->arguments->given[OPTION_DRY_RUN], &err)) {
			done++;
			continue;
		}
		int class = common_fail(SIDE_TARGET, &err);
		if (code == EXIT_DONE || class == EXIT_SECURITY || class == EXIT_LOCAL)
			code = class;
	}
	bool always_wins = code == EXIT_SECURITY || code == EXIT_LOCAL;
	return code != EXIT_DONE && done > 0 && !always_wins ? EXIT_PARTIAL : code;
}

int command_delete(const struct arguments *arguments)
{
	struct deletion deletion = {.arguments = arguments};
	struct config *config = NULL;
	struct error err;
	int code = EXIT_USAGE;
	bool ok = true;
	while (ok && deletion.count < arguments->operand_count) {
		const char *text = arguments->operands[deletion.count];
		struct place *place = &deletion.places[deletion.count++];
		ok = place_parse(text, place, &err) && check(place, text, arguments->given[OPTION_ALL_TAGS], &err);
	}
	if (!ok)
		common_fail(SIDE_TARGET, &err);
	else if (common_config(arguments, &config))
		code = session_look(config, delete_all, &deletion);
	for (size_t i = 0; i < deletion.count; i++)
		place_release(&deletion.places[i]);
	config_free(config);
	return code;
}
