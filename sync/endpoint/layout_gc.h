/*
 * Removing the blobs of an OCI layout that nothing reaches: `dray gc`.
 *
 * Reached is what index.json names, and what a reached document names: every digest in the text of a reached JSON
 * blob, wherever it stands in it. So manifests of kinds that we do not know keep what they need, and a blob too many
 * stays rather than one too few. Files in blobs/ whose name is not that of a digest are not ours to judge (T-60).
 */
#ifndef DRAY_SYNC_ENDPOINT_LAYOUT_GC_H
#define DRAY_SYNC_ENDPOINT_LAYOUT_GC_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct layout_gc {
	const char *directory;
	int64_t grace_ms; /* what is younger stays: another tool may be about to name it */
	bool dry_run;     /* count, and remove nothing */
	/* what came of it */
	size_t reached_count, young_count, removed_count;
	int64_t removed_bytes;
};

/**
 * Blocks. No copy of ours may be writing into the layout, and none starts meanwhile: then ERR_BUSY.
 * ERR_NOT_FOUND: no layout. ERR_CORRUPT, ERR_TOO_LARGE: index.json, or a document that it reaches, cannot be read
 * whole; then nothing is removed. ERR_IO.
 */
must_check bool layout_collect(struct layout_gc *gc, struct error *err);

#endif
