/*
 * References as docker writes them: `[domain/]path[:tag][@digest]` (REF-1 to REF-11).
 */
#ifndef DRAY_OCI_REFERENCE_H
#define DRAY_OCI_REFERENCE_H

#include "oci/digest.h"

#define REFERENCE_TAG_MAX  128
#define REFERENCE_NAME_MAX 255

struct reference {
	char *domain;         /* "docker.io", "localhost:5000", "[::1]:5000": canonical name, as in documents */
	char *repository;     /* "library/alpine" */
	char *tag;            /* NULL: none given */
	struct digest digest; /* empty: none given; with both, the digest is what is fetched (REF-8) */
};

/**
 * Parse a reference, with or without `docker://` in front. No tag is made up: reference_default_tag() does that where
 * a command takes one image (REF-9). ERR_INVALID says which part, and the rule (REF-3 for upper case).
 */
must_check bool reference_parse(const char *text, struct reference *reference, struct error *err);

/** Set "latest" if there is neither tag nor digest. */
void reference_default_tag(struct reference *reference);

void reference_release(struct reference *reference);

/** "docker.io/library/alpine:3.20@sha256:..."; new memory. */
char *reference_format(const struct reference *reference);

/** "docker.io/library/alpine"; new memory. */
char *reference_name(const struct reference *reference);

/** The host to talk to: "registry-1.docker.io" for docker.io, else the domain itself (REF-2). Borrowed. */
const char *reference_host(const char *domain);

/** The grammar alone: tag (REF-5), repository path (REF-3), domain (REF-1, REF-10). */
bool reference_is_tag(const char *text);
bool reference_is_repository(const char *text);
bool reference_is_domain(const char *text);

#endif
