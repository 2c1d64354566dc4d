#include "cli/place.h"

#include "base/memory.h"
#include "base/str.h"
#include "config/location.h"

#include <string.h>
#include <unistd.h>

/* A name is kept as it stands, whatever its form (LAY-14); the parts are what the endpoint joins again. */
static void split_name(struct place *place)
{
	const char *colon = strrchr(place->name, ':');
	bool whole = !colon || !reference_is_tag(colon + 1) || digest_is_text(place->name);
	size_t head = whole ? 0 : (size_t)(colon - place->name);
	place->name_repository = memory_text_of(place->name, head);
	place->name_tag = memory_text(whole ? place->name : colon + 1);
}

static bool parse_layout(const char *text, struct place *place, struct error *err)
{
	size_t length = strcspn(text, ":");
	if (length == 0)
		return error_set(err, ERR_INVALID, "oci: needs a directory: oci:DIR[:NAME]");
	place->is_layout = true;
	place->directory = memory_text_of(text, length);
	if (!text[length])
		return true;
	if (!text[length + 1])
		return error_set(err, ERR_INVALID, "oci:%s: the name is empty", text);
	place->name = memory_text(text + length + 1);
	split_name(place);
	return true;
}

static bool parse_pattern(const char *text, struct place *place, struct error *err)
{
	struct config_repository source = {0};
	bool ok = !place->every_tag && location_source(text, "/", &source, err);
	if (ok) {
		place->is_pattern = true;
		place->reference.domain = memory_text(source.domain);
		place->reference.repository = memory_text(source.repository);
	} else if (place->every_tag) {
		error_set(err, ERR_INVALID, "%s: a pattern takes every tag, without :*", text);
	}
	config_repository_release(&source);
	return ok;
}

static bool parse_registry(const char *text, struct place *place, struct error *err)
{
	auto_free char *copy = memory_text(text);
	if (str_ends_with(copy, ":*")) {
		place->every_tag = true;
		copy[strlen(copy) - 2] = '\0';
	}
	if (strchr(copy, '*'))
		return parse_pattern(text, place, err);
	if (!reference_parse(copy, &place->reference, err))
		return false;
	if (place->every_tag && (place->reference.tag || !digest_is_empty(&place->reference.digest)))
		return error_set(err, ERR_INVALID, "%s: a tag and :* exclude each other", text);
	return true;
}

bool place_parse(const char *text, struct place *place, struct error *err)
{
	static const char *const later[] = {"oci-archive:", "docker-archive:", "dir:", "docker-daemon:"};
	*place = (struct place){0};
	for (size_t i = 0; i < array_count(later); i++)
		if (str_starts_with(text, later[i]))
			return error_set(err, ERR_INVALID,
				"%s: %s is not supported by this version; oci:DIR is, and its folder may be packed "
				"with tar",
				text, later[i]);
	bool ok = str_starts_with(text, "oci:") ? parse_layout(text + 4, place, err) : parse_registry(text, place, err);
	if (!ok)
		place_release(place);
	return ok;
}

bool place_make_absolute(struct place *place, struct error *err)
{
	auto_free char *folder = getcwd(NULL, 0);
	if (!folder)
		return error_errno(err, "the working directory");
	char *whole = location_path(folder, place->directory);
	free(place->directory);
	place->directory = whole;
	return true;
}

void place_release(struct place *place)
{
	free(place->directory);
	free(place->name);
	free(place->name_repository);
	free(place->name_tag);
	reference_release(&place->reference);
	*place = (struct place){0};
}

bool place_open_source(struct run *run, const struct place *place, struct endpoint **endpoint, const char **repository,
	const char **reference, struct error *err)
{
	*repository = NULL;
	*reference = NULL;
	if (place->is_layout) {
		if (place->name) {
			*repository = place->name_repository;
			*reference = place->name_tag;
		}
		return run_layout(run, place->directory, LAYOUT_READ, false, endpoint, err);
	}
	*endpoint = run_registry(run, place->reference.domain);
	*repository = place->reference.repository;
	if (!place->every_tag)
		*reference =
			digest_is_empty(&place->reference.digest) ? place->reference.tag : place->reference.digest.text;
	return true;
}
