/*
 * The media types that mean something to us (MAN-1, LYR-2), in one table.
 */
#ifndef DRAY_OCI_MEDIATYPE_H
#define DRAY_OCI_MEDIATYPE_H

#include <stdbool.h>

enum media_kind {
	MEDIA_OTHER, /* in-toto, cosign, Helm, Wasm, ...: a blob, and nothing more */
	MEDIA_MANIFEST,
	MEDIA_INDEX,
	MEDIA_ARTIFACT, /* the withdrawn application/vnd.oci.artifact.manifest.v1+json */
	MEDIA_SCHEMA1,  /* refused by name (MAN-18) */
	MEDIA_CONFIG,   /* an image config: it has diff_ids (IDX-13) */
	MEDIA_LAYER,    /* a layer of files */
};

enum decoder {
	DECODER_NONE, /* plain tar: the diff_id is the digest's own input */
	DECODER_GZIP,
	DECODER_ZSTD,
	DECODER_IMPOSSIBLE, /* encrypted: the digest is all that can be proven (LYR-7) */
};

#define MEDIA_OCI_INDEX    "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_CONFIG   "application/vnd.oci.image.config.v1+json"

/** The kind of @type (NULL: MEDIA_OTHER); parameters behind ';' and case do not matter. */
enum media_kind media_kind(const char *type);

/** How a MEDIA_LAYER is decoded; DECODER_IMPOSSIBLE for everything else. */
enum decoder media_decoder(const char *type);

/** May a layer of that type not be given on, so that a manifest may stand without it (BLB-14)? */
bool media_is_nondistributable(const char *type);

/** A type of the table as it is spelt there, so that no foreign byte gets into a header; NULL: not in it. */
const char *media_canonical(const char *type);

/** The value of the Accept header for manifests: all types, in one line (MAN-1). */
const char *media_manifest_accept(void);

#endif
