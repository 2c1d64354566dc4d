/*
 * Descriptors: what a document says about the content it points to (image-spec descriptor.md).
 */
#ifndef DRAY_OCI_DESCRIPTOR_H
#define DRAY_OCI_DESCRIPTOR_H

#include "base/json.h"
#include "oci/digest.h"
#include "oci/platform.h"

struct descriptor {
	char *media_type; /* own memory; never NULL once parsed, "" where the document has none */
	struct digest digest;
	int64_t size;             /* bytes */
	struct platform platform; /* empty where there is none */
	struct digest attests;    /* what a BuildKit attestation belongs to (IDX-7), else empty */
	unsigned char *data;      /* its @size bytes, where the document has them, proven; else NULL (BLB-13) */
	bool has_wrong_data;      /* see descriptor_check_data() */
	char **urls;              /* where else it may be (BLB-14), in their order */
	size_t url_count;
	char *reference_name;  /* org.opencontainers.image.ref.name, or NULL (LAY-7) */
	char *containerd_name; /* io.containerd.image.name, or NULL (LAY-9) */
};

/**
 * Decode one descriptor of a document. Unknown keys, and annotations that mean nothing to us, are passed over.
 * ERR_CORRUPT: digest or size is missing or bad, a type is wrong; *descriptor is untouched then.
 */
must_check bool descriptor_read(const json_t *object, struct descriptor *descriptor, struct error *err);

/** ERR_CORRUPT: the content that came along is another; then it is not to be fetched either (BLB-13). */
must_check bool descriptor_check_data(const struct descriptor *descriptor, struct error *err);

/** Deep copy. The caller releases @to. */
void descriptor_copy(struct descriptor *to, const struct descriptor *from);

void descriptor_release(struct descriptor *descriptor);

#endif
