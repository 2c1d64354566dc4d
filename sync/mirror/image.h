/*
 * One image on its way, as image.c and the files of its steps share it.
 */
#ifndef DRAY_SYNC_MIRROR_IMAGE_H
#define DRAY_SYNC_MIRROR_IMAGE_H

#include "sync/mirror/internal.h"

/* Where a blob is read from. */
enum blob_place {
	BLOB_AT_SOURCE,
	BLOB_ELSEWHERE, /* at the URLs of its descriptor */
	BLOB_NOWHERE,
};

struct image_target {
	struct image *image;
	struct endpoint *endpoint;
	char *repository;
	char *tag;             /* or NULL: by digest alone */
	char *name;            /* for humans */
	bool looking;          /* it is being asked what its tag points to */
	struct digest current; /* what that is; empty: nothing */
	bool unchanged, written;
	bool kept;      /* somebody else has moved its tag, and it is left so */
	bool keeps_tag; /* it points to the image already: content is put, and nothing else */
	bool ending;    /* its blobs are there, or are being brought to it alone: deliver.c */
	struct delivery delivery;
	struct outcome outcome;
};

struct image {
	struct list in_flight; /* in run->in_flight */
	struct job *job;
	struct run *run;
	char *repository, *reference;
	char *name;
	int64_t started_ms;
	struct descriptor root;
	struct digest source_digest;
	struct group looks;
	bool gone; /* it was in a list, and is no longer at the source (TAG-15) */
	struct image_target *targets;
	size_t target_count;
	struct tree tree;
	enum blob_place *places;        /* beside tree.blobs; NULL: all are at the source */
	const struct content **configs; /* beside tree.manifests: of image manifests, while layers are verified */
	struct waitqueue news;          /* how its deliveries go: deliver.c */
	unsigned depth;                 /* 0: it is wanted for itself; else it refers to one of the depth below */
	struct referral *referrals;     /* beside tree.manifests: referrers.c */
	struct latch referrals_found;
	struct error referrals_err;
	bool check_begun; /* once for all targets */
	struct latch checked;
	struct error check_err;
};

/** Is there still something to do for this target? */
static inline bool image_target_is_open(const struct image_target *target)
{
	return !target->unchanged && !target->written && !target->kept && outcome_is_well(&target->outcome);
}

/** image.c: a new image of @job, to be copied to its targets. Texts are copied. */
struct image *image_new(struct job *job, const char *repository, const char *reference);
void image_free(struct image *image);

/** image.c: the whole way; what fails is in the targets' outcomes. Waits. */
void image_copy(struct image *image);

/** verify.c: look at it, and repair it if the job says so; the report gets what comes of it. Waits. */
void image_verify(struct image *image);

/** image.c: is it the very repository that the image comes from? Then it has all but the tag. */
bool image_target_is_at_home(const struct image_target *target);

/** admission.c: it is in flight, until it leaves; harmless if it never was. */
void image_joins(struct image *image);
void image_leaves(struct image *image);

/** Is there, for any target? */
bool image_is_open(const struct image *image);

/**
 * compare.c: ask the source, and every target that is not late, what their tag points to; those that have the image are
 * unchanged, and those whose tag somebody else has moved are kept, or fail, if the job says so. Waits. Errors of the
 * source; ERR_CANCELED.
 */
must_check bool image_look_up(struct image *image, struct error *err);

/**
 * compare.c: the source no longer has what its tag pointed to: does that point to something else by now? Then that is
 * what is copied, and the targets are compared with it. Waits.
 */
bool image_has_moved(struct image *image);

/** compare.c: the manifests are there: compare with the root that we would write. Nothing, of a late target. */
void image_compare_written(struct image_target *target);

/** compare.c: the same, of a late target. Waits for what it has. ERR_CANCELED. */
must_check bool image_compare_late(struct image_target *target, struct error *err);

/** compare.c: let the store remember what this target was given. */
void image_remember_written(struct image *image, const struct image_target *target);

/**
 * deliver.c: bring the blobs to all open targets, check them, and publish each target when its own are there. What
 * fails at a target is in its outcome. ERR_CANCELED only. Waits.
 */
must_check bool image_deliver(struct image *image, struct error *err);

/**
 * foreign.c: find out which layers with URLs the source lacks, and what each target gets in their place: the layer from
 * its URLs, nothing, or a failure in its outcome (BLB-14). Waits.
 */
void image_find_foreign(struct image *image);

/** foreign.c, after image_find_foreign(): does that target get @blob (of tree.blobs), and from which source? */
bool image_target_takes(const struct image_target *target, const struct descriptor *blob);
struct endpoint *image_source_of(const struct image *image, const struct descriptor *blob);

/**
 * check.c: compare what is known of each layer's diff_id with the image's own config (LYR-8, LYR-9). ERR_CORRUPT,
 * ERR_TOO_LARGE: a layer that cannot be decoded; ERR_CANCELED. Waits for the store.
 */
must_check bool image_check_diff_ids(struct image *image, struct error *err);

/**
 * deliver.c: bring every blob that @target takes and lacks to it, with no other target. What fails is in its outcome;
 * ERR_CANCELED only. Waits.
 */
must_check bool image_deliver_alone(struct image_target *target, struct error *err);

/**
 * referrers.c: ask the source, once for all targets, what refers to the manifests of the image, if the job copies that.
 * *any: something does. Waits. Errors of the source.
 */
must_check bool image_find_referrers(struct image *image, bool *any, struct error *err);
void image_release_referrers(struct image *image);

/** Copy to @target what was found; the subjects are there, and the tag has not moved. Waits. */
must_check bool image_copy_referrers(struct image_target *target, struct error *err);

/**
 * Is the image a list of what refers to *subject, under the tag of such? What a target has under that tag is not
 * replaced by it: image_note_list() adds to it (RFR-8). Waits.
 */
bool image_is_list_of_referrers(const struct image *image, struct digest *subject);
must_check bool image_note_list(struct image_target *target, const struct digest *subject, struct error *err);

/**
 * heal.c: after @target refused a manifest with *err, having been asked to take it since @begun_ms: did it lack what it
 * had said it has, and may the manifest be put again? For the @round-th time. Otherwise *err says why not. Waits.
 */
must_check bool image_heal(struct image_target *target, int round, int64_t begun_ms, struct error *err);

/** publish.c: push manifests and tag to @target; what fails is in its outcome. Waits. */
void image_publish(struct image_target *target);

#endif
