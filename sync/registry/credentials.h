/*
 * Credentials: whom we are to one registry host. From the configuration, docker's config.json, podman's auth.json, and
 * credential helpers (CRED-1 to CRED-14). Looked up by exact host, never by pattern (T-19).
 */
#ifndef DRAY_SYNC_REGISTRY_CREDENTIALS_H
#define DRAY_SYNC_REGISTRY_CREDENTIALS_H

#include "base/error.h"

struct credential {
	char *username; /* all NULL: anonymous */
	char *password;
	char *identity_token; /* for the refresh-token flow (TOK-15) */
	char *registry_token; /* sent as Bearer as it is (TOK-17) */
};

/** Wipe and free. */
void credential_release(struct credential *credential);

static inline bool credential_is_anonymous(const struct credential *c)
{
	return !c->username && !c->identity_token && !c->registry_token;
}

/* The files found at start, and what helpers said. */
struct credential_store;

/**
 * Read the files of CRED-1: @auth_file if not NULL (it must exist), else the first of the usual places that exists; and
 * $DOCKER_AUTH_CONFIG, which comes before any file for the hosts in it. A helper may take @helper_timeout_ms (0:
 * LIMIT_HELPER_MS). Nothing is ever written (CRED-14). Blocks: call it before the loop runs or on a worker.
 * ERR_INVALID: a file that is not what it should be, or is readable by others (T-24) when it is @auth_file.
 */
struct credential_store *credential_store_new(const char *auth_file, int64_t helper_timeout_ms, struct error *err);
void credential_store_free(struct credential_store *store);

/** The `credsStore` that is passed over since it is not in PATH (CRED-10), for a warning; or NULL. Borrowed. */
const char *credential_store_missing(const struct credential_store *store);

/**
 * What @domain ("docker.io", "host:5000") gets for @repository. Waits: a helper may be run.
 * Nothing found: success, and anonymous. ERR_UNAUTHORIZED: a configured helper failed (CRED-7, CRED-10, T-22).
 */
must_check bool credential_store_find(struct credential_store *store, const char *domain, const char *repository,
	struct credential *credential, struct error *err);

/** Are they the same in all their parts? */
bool credential_equal(const struct credential *a, const struct credential *b);

/**
 * Somebody did not take what a helper said of @domain: it is asked again when next it is needed, once within the life
 * of an answer (CRED-11).
 */
void credential_store_refused(struct credential_store *store, const char *domain);

#endif
