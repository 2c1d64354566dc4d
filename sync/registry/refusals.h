/*
 * Repositories that have refused an upload for good: a quota that is used up, a repository that is read-only or not
 * there (T-51). Nothing more is sent to them in this run, since every further blob would travel for nothing.
 *
 * What is refused for the blob's own sake (its size, its digest, a way of sending it) is none of this, and neither is
 * the refusal of a manifest.
 */
#ifndef DRAY_SYNC_REGISTRY_REFUSALS_H
#define DRAY_SYNC_REGISTRY_REFUSALS_H

#include "base/error.h"

struct refusal;

/* By repository; zero: none. Of more than 256 the first 256 are known; what is forgotten costs one more refusal. */
struct refusals {
	struct refusal *by_repository;
};

void refusals_release(struct refusals *refusals);

/** Keep that @repository refused an upload with @why, if that is a word about the repository. */
void refusals_note(struct refusals *refusals, const char *repository, const struct error *why);

/** True: nothing was noted of @repository. False: @err is what was, as of the same kind and status. Does not wait. */
must_check bool refusals_allow(const struct refusals *refusals, const char *repository, struct error *err);

#endif
