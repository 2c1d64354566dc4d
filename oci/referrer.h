/*
 * Referrers: manifests that name another one as their subject, such as signatures and SBOMs. How they are found where
 * a registry does not tell by its API: by tags that are made of the subject's digest (RFR-5, RFR-16). Pure functions.
 */
#ifndef DRAY_OCI_REFERRER_H
#define DRAY_OCI_REFERRER_H

#include "oci/manifest.h"

/* What some place lists as referrers of one subject. */
struct referrer_list {
	struct descriptor *items; /* each digest once */
	size_t count;
	char *odd_tag; /* a tag that should be a list of referrers, and is none; or NULL */
};

void referrer_list_release(struct referrer_list *list);
#define auto_referrer_list __attribute__((cleanup(referrer_list_release)))

bool referrer_list_has(const struct referrer_list *list, const struct digest *digest);

/**
 * Add what the index @bytes lists, as far as it is not there. ERR_CORRUPT, ERR_UNSUPPORTED: not an OCI index (which
 * @said may tell). ERR_TOO_LARGE: more than LIMIT_REFERRERS.
 */
must_check bool referrer_list_add(
	struct referrer_list *list, const void *bytes, size_t length, const char *said, struct error *err);

/**
 * The tag that lists the referrers of @subject: "sha256-aa..". @whole: a long digest is not cut, as other clients
 * write it (RFR-5). New memory.
 */
char *referrer_tag(const struct digest *subject, bool whole);

/** Does @tag list the referrers of @subject, in either form? */
bool referrer_tag_is_of(const char *tag, const struct digest *subject);

/** cosign's tags of @subject: .sig, .att, .sbom (RFR-16). New memory. */
enum { REFERRER_COSIGN_TAGS = 3 };
char *referrer_cosign_tag(const struct digest *subject, int which);

enum referrer_tag_kind {
	REFERRER_TAG_NONE,   /* a tag like any other */
	REFERRER_TAG_LIST,   /* it lists the referrers of a subject */
	REFERRER_TAG_COSIGN, /* it is what cosign made for a subject */
};

/** What kind of a tag is it (RFR-17)? *subject: whose; empty where the tag has a part of its digest alone. */
enum referrer_tag_kind referrer_tag_parse(const char *tag, struct digest *subject);

/* One manifest that is to be found by its subject. Borrowed. */
struct referrer {
	const struct descriptor *descriptor; /* with its media type and size */
	const void *bytes;                   /* descriptor->size of them */
};

/**
 * Add to the list @list, an OCI index (NULL: there is none yet), what of @referrers it does not have: media type,
 * digest, size, artifactType and all annotations (RFR-6). Everything else of it stays. *out: new memory, the list;
 * NULL: it has them all. ERR_INVALID: @list is no such index, or would be longer than LIMIT_MANIFEST_BYTES.
 */
must_check bool referrer_list_merge(
	const struct buf *list, const struct referrer *referrers, size_t count, char **out, struct error *err);

/** Take @gone out of the list @list. *out: new memory; NULL: it is not in there. ERR_INVALID: no such index. */
must_check bool referrer_list_without(const struct buf *list, const struct digest *gone, char **out, struct error *err);

#endif
