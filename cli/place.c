#include "cli/place.h"

#include "base/memory.h"
#include "base/str.h"

#include <string.h>

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
	/* A full reference is known by its slash; anything else is a name as it stands (LAY-14). */
	if (strchr(place->name, '/') && reference_parse(place->name, &place->reference, NULL)) {
		place->has_reference = true;
		reference_default_tag(&place->reference);
	}
	return true;
}

static bool parse_registry(const char *text, struct place *place, struct error *err)
{
	auto_free char *copy = memory_text(text);
	if (str_ends_with(copy, ":*")) {
		place->every_tag = true;
		copy[strlen(copy) - 2] = '\0';
	}
	if (strchr(copy, '*'))
		return error_set(err, ERR_INVALID, "%s: only REPOSITORY:* is supported by this version", text);
	if (!reference_parse(copy, &place->reference, err))
		return false;
	place->has_reference = true;
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
			return error_set(err, ERR_INVALID, "%s: %s is not supported by this version", text, later[i]);
	bool ok = str_starts_with(text, "oci:") ? parse_layout(text + 4, place, err) : parse_registry(text, place, err);
	if (!ok)
		place_release(place);
	return ok;
}

void place_release(struct place *place)
{
	free(place->directory);
	free(place->name);
	if (place->has_reference)
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
			*repository = "";
			*reference = place->name;
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
