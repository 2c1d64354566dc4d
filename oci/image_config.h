/*
 * Image configs: the part that verification and `inspect` need (image-spec config.md).
 */
#ifndef DRAY_OCI_IMAGE_CONFIG_H
#define DRAY_OCI_IMAGE_CONFIG_H

#include "oci/digest.h"
#include "oci/platform.h"

struct image_config {
	struct platform platform;
	struct digest *diff_ids; /* by position, one a layer (LYR-8) */
	size_t diff_id_count;
};

/** ERR_CORRUPT: not JSON, wrong types, a diff_id that is no digest. A config without rootfs has no diff_ids.
 * ERR_TOO_LARGE: more of them than layers are allowed. */
must_check bool image_config_parse(const void *bytes, size_t length, struct image_config *config, struct error *err);

void image_config_release(struct image_config *config);

#endif
