/*
 * One image on its way, as image.c, check.c and publish.c share it.
 */
#ifndef DRAY_SYNC_MIRROR_IMAGE_H
#define DRAY_SYNC_MIRROR_IMAGE_H

#include "sync/mirror/internal.h"

struct image_target {
	struct image *image;
	struct endpoint *endpoint;
	char *repository;
	char *tag;             /* or NULL: by digest alone */
	char *name;            /* for humans */
	struct digest current; /* what its tag points to now; empty: nothing */
	bool unchanged, written;
	int64_t sent_bytes; /* of blobs, for this image */
	struct outcome outcome;
};

struct image {
	struct job *job;
	struct run *run;
	char *repository, *reference;
	char *name;
	int64_t started_ms;
	struct descriptor root;
	struct digest source_digest;
	struct error source_err; /* resolving the source failed */
	bool gone;               /* it was in a list, and is no longer at the source (TAG-15) */
	struct image_target *targets;
	size_t target_count;
	struct tree tree;
	const struct content **configs; /* beside tree.manifests: of image manifests, while layers are verified */
};

/** Is there still something to do for this target? */
static inline bool image_target_is_open(const struct image_target *target)
{
	return !target->unchanged && !target->written && outcome_is_well(&target->outcome);
}

/** image.c: is it the very repository that the image comes from? Then it has all but the tag. */
bool image_target_is_at_home(const struct image_target *target);

/**
 * check.c: compare what is known of each layer's diff_id with the image's own config (LYR-8, LYR-9). ERR_CORRUPT,
 * ERR_TOO_LARGE: a layer that cannot be decoded; ERR_CANCELED. Waits for the store.
 */
must_check bool image_check_diff_ids(struct image *image, struct error *err);

/** publish.c: push manifests and tag to every open target; what fails is in its outcome. ERR_CANCELED only. Waits. */
must_check bool image_publish(struct image *image, struct error *err);

/** image.c: let the store remember what this target was given. */
void image_remember_written(struct image *image, const struct image_target *target);

#endif
