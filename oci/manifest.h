/*
 * Manifests and indexes, OCI and Docker, read from bytes that are kept and never written anew (MAN, IDX).
 */
#ifndef DRAY_OCI_MANIFEST_H
#define DRAY_OCI_MANIFEST_H

#include "base/buf.h"
#include "oci/descriptor.h"
#include "oci/mediatype.h"

struct manifest {
	enum media_kind kind;      /* MEDIA_MANIFEST, MEDIA_INDEX or MEDIA_ARTIFACT */
	char *media_type;          /* what it is pushed as (MAN-5, MAN-19) */
	char *artifact_type;       /* or NULL */
	struct descriptor config;  /* MEDIA_MANIFEST only */
	struct descriptor *layers; /* MEDIA_MANIFEST: layers; MEDIA_ARTIFACT: blobs */
	size_t layer_count;
	struct descriptor *children; /* MEDIA_INDEX only */
	size_t child_count;
	struct descriptor subject; /* digest is empty where there is none */
};

/**
 * Read a manifest. @said is the media type of the descriptor or of the reply (may be NULL or have parameters); the
 * document's own `mediaType` stands over it, then its shape (MAN-5, MAN-6).
 *
 * ERR_CORRUPT      not JSON, fields missing or of a wrong type, a bad digest or size, both `layers` and `manifests`
 *                  (MAN-7, T-27), one digest with two sizes (T-32)
 * ERR_UNSUPPORTED  schema 1 (MAN-18), or a document that is none of the kinds
 * ERR_TOO_LARGE    more layers or children than base/limits.h allows
 */
must_check bool manifest_parse(
	const void *bytes, size_t length, const char *said, struct manifest *manifest, struct error *err);

void manifest_release(struct manifest *manifest);

#define auto_manifest __attribute__((cleanup(manifest_release)))

/** Does it have an image config, and so diff_ids? */
bool manifest_has_image_config(const struct manifest *manifest);

/** Is entry @child of an index a manifest or an index (IDX-2)? Else it is opaque. */
bool manifest_child_is_manifest(const struct descriptor *child);

/**
 * Rewrite an index to the wanted platforms: the entries that match, and the attestations that belong to one of them
 * (IDX-7), in their order; everything else of the document stays as it is. The same bytes and wishes give the same
 * bytes, and where everything is kept, they are the given ones. *kept counts the entries that match; with none,
 * ERR_NOT_FOUND names the platforms that there are. ERR_CORRUPT as manifest_parse, or not an index.
 */
must_check bool manifest_select_platforms(const void *bytes, size_t length, const struct platform *wishes,
	size_t wish_count, struct buf *out, size_t *kept, struct error *err);

#endif
