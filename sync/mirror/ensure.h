/*
 * The wants of one image for one blob while they are being settled, as ensure.c and carry.c share them.
 */
#ifndef DRAY_SYNC_MIRROR_ENSURE_H
#define DRAY_SYNC_MIRROR_ENSURE_H

#include "sync/mirror/blob.h"

struct ensure {
	struct run *run;
	const struct blob_source *source;
	const struct descriptor *descriptor;
	struct blob *blob;
	struct want *wants;
	size_t want_count;
	bool alone; /* all of them are */
	struct group looks;
};

/* Ours to bring there, as soon as something can. */
static inline bool want_is_open(const struct want *want)
{
	return want->ours && !want->settled && !want->looking;
}

/** It is late, and not in use: its image comes back for it, when the others have been served. */
bool want_is_put_off(const struct want *want);
void want_put_off(struct want *want);

/** The blob is at its place. Settles it; where it came under another size than this image's, as failed (T-32). */
void want_fulfil(struct want *want);

/** Settles it: *why, and at which end, is its outcome. */
void want_fail(struct want *want, enum side side, const struct error *why);

/** Another repository of the same endpoint that holds the blob, or NULL. Borrowed until the next wait. */
const struct holder *want_neighbour(const struct want *want);

/** carry.c: carry the blob to all endpoints that wait for it, and settle what can be. Waits. */
void ensure_carry(struct ensure *ensure);

/**
 * carry.c: when a carry of ours can begin: 0, or the end of the pause of the source, or of all targets of ours.
 * Meanwhile another task, whose own hosts are not paused, may carry for us, too.
 */
int64_t ensure_held_up_until_ms(struct ensure *ensure);

/** carry.c: so often that it is not asked for again, at our source and under our size: another may have it whole. */
bool ensure_is_known_corrupt(const struct ensure *ensure);

#endif
