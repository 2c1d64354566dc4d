/*
 * Layers that lie elsewhere: their descriptors have URLs (BLB-14, BLB-15). The source is asked first; what it holds
 * goes its usual way, whatever it is called. Of what it does not hold it is decided, for each target, whether it is
 * fetched from the URLs, or left out. What may not be distributed can be left out, since registries take such a
 * manifest without it; a layer of any other kind cannot.
 */
#include "sync/mirror/image.h"

#include "base/log.h"
#include "base/memory.h"

/* May the URLs be asked, for this target? */
static bool fetches(const struct image_target *target)
{
	switch (target->image->job->what.foreign) {
	case CONFIG_FOREIGN_AUTO:
		return endpoint_is_layout(target->endpoint);
	case CONFIG_FOREIGN_COPY:
		return true;
	case CONFIG_FOREIGN_SKIP:
		break;
	}
	return false;
}

/* A GET, and not a HEAD, tells what a source has (BLB-11); its first bytes are enough. */
static bool is_there(struct endpoint *source, const char *repository, const struct descriptor *blob, struct error *err)
{
	struct gate *gate = endpoint_blob_gate(source);
	struct endpoint_reader *reader;
	if (!gate_enter(gate, err))
		return false;
	bool ok = endpoint_blob_open(source, repository, blob, 0, &reader, err);
	if (ok)
		endpoint_reader_close(reader);
	gate_leave(gate);
	return ok;
}

/* Is it at the URLs, and does anybody want it from there? Else @err is why, as far as there is more to say. */
static bool find_elsewhere(struct image *image, const struct descriptor *blob, struct error *err)
{
	struct endpoint *elsewhere = endpoint_elsewhere(image->job->what.source);
	bool wanted = false;
	for (size_t i = 0; i < image->target_count; i++)
		wanted |= image_target_is_open(&image->targets[i]) && fetches(&image->targets[i]);
	if (!wanted)
		return false;
	if (!elsewhere)
		return error_set(err, ERR_NOT_FOUND, "the source does not have it, and for a layout no URL is asked");
	return is_there(elsewhere, "", blob, err);
}

static void leave_out(struct image *image, const struct image_target *target, const struct descriptor *blob)
{
	char name[24];
	image->run->report.left_out.layers++;
	log_warning("%s: layer %s may not be distributed, and the source does not have it: %s gets none (foreign: copy "
		    "fetches it from its URLs)",
		target->name, digest_short(&blob->digest, name), endpoint_name(target->endpoint));
}

/* What becomes of it at a target that does not get it. */
static void settle_without(
	struct image *image, struct image_target *target, const struct descriptor *blob, const struct error *why)
{
	struct error err = *why;
	char name[24];
	if (!fetches(target))
		error_set(&err, ERR_NOT_FOUND,
			"the source does not have it, and its URLs are not asked (foreign: copy does)");
	bool insists = image->job->what.foreign == CONFIG_FOREIGN_COPY;
	if (media_is_nondistributable(blob->media_type) && !insists && why->kind != ERR_CANCELED) {
		leave_out(image, target, blob);
		return;
	}
	error_wrap(&err, "blob %s", digest_short(&blob->digest, name));
	outcome_fail(&target->outcome, "blob", SIDE_SOURCE, &err);
}

static void settle(struct image *image, size_t position)
{
	const struct descriptor *blob = &image->tree.blobs[position];
	struct error why;
	/* Whatever else is wrong with the source, its transfer will say it, and wait and try again before. */
	if (is_there(image->job->what.source, image->repository, blob, &why) || why.kind != ERR_NOT_FOUND)
		return;
	bool found = find_elsewhere(image, blob, &why);
	image->places[position] = found ? BLOB_ELSEWHERE : BLOB_NOWHERE;
	for (size_t i = 0; i < image->target_count; i++) {
		struct image_target *target = &image->targets[i];
		if (image_target_is_open(target) && !image_target_is_at_home(target) &&
			!image_target_takes(target, blob))
			settle_without(image, target, blob, &why);
	}
}

void image_find_foreign(struct image *image)
{
	free(image->places); /* of what was looked at before */
	image->places = NULL;
	for (size_t i = 0; i < image->tree.blob_count; i++) {
		const struct descriptor *blob = &image->tree.blobs[i];
		if (blob->url_count == 0 || blob->data)
			continue;
		if (!image->places)
			image->places = memory_new(image->tree.blob_count, sizeof *image->places);
		settle(image, i);
	}
}

static enum blob_place place_of(const struct image *image, const struct descriptor *blob)
{
	return image->places ? image->places[blob - image->tree.blobs] : BLOB_AT_SOURCE;
}

bool image_target_takes(const struct image_target *target, const struct descriptor *blob)
{
	enum blob_place place = place_of(target->image, blob);
	return place == BLOB_AT_SOURCE || (place == BLOB_ELSEWHERE && fetches(target));
}

struct endpoint *image_source_of(const struct image *image, const struct descriptor *blob)
{
	struct endpoint *source = image->job->what.source;
	return place_of(image, blob) == BLOB_ELSEWHERE ? endpoint_elsewhere(source) : source;
}
