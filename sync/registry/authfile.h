/*
 * docker's config.json, podman's auth.json and the legacy .dockercfg: pure functions of their bytes, and of a host
 * (CRED-2 to CRED-5, CRED-12).
 */
#ifndef DRAY_SYNC_REGISTRY_AUTHFILE_H
#define DRAY_SYNC_REGISTRY_AUTHFILE_H

#include "sync/registry/credentials.h"

#include <stddef.h>

struct authfile_entry {
	char *host;      /* normal form */
	char *namespace; /* "library/alpine": for these repositories alone; "" for all */
	struct credential credential;
};

struct authfile_helper {
	char *host;    /* normal form */
	char *spelled; /* as in the file: what the helper is asked for */
	char *name;
};

struct authfile {
	struct authfile_entry *entries;
	size_t entry_count;
	struct authfile_helper *helpers;
	size_t helper_count;
	char *store; /* the helper for all hosts, or NULL */
};

/** @legacy: the file is what `auths` holds elsewhere. ERR_INVALID: names the key at fault, never its value. */
must_check bool authfile_parse(const void *bytes, size_t length, bool legacy, struct authfile *file, struct error *err);

void authfile_release(struct authfile *file);

/**
 * The host of a key or of a reference's domain in normal form: no scheme, no path, lower case, no trailing dot, no
 * :443; Docker Hub's names are all "docker.io". Nothing else is folded: hosts are the same or they are not (T-19).
 * New memory.
 */
char *authfile_host(const char *key);

/** The entry for @repository of @host (normal form) with the longest namespace, or NULL. Borrowed. */
const struct credential *authfile_find(const struct authfile *file, const char *host, const char *repository);

/** The helper of @host, or NULL. Borrowed. */
const struct authfile_helper *authfile_helper(const struct authfile *file, const char *host);

/** A deep copy; *to is overwritten. */
void credential_copy(struct credential *to, const struct credential *from);

#endif
