/*
 * Credential helpers: docker-credential-NAME, run without a shell (CRED-6 to CRED-10, T-22).
 */
#ifndef DRAY_SYNC_REGISTRY_HELPER_H
#define DRAY_SYNC_REGISTRY_HELPER_H

#include "sync/registry/credentials.h"

#include <stddef.h>

/** [a-z0-9][a-z0-9._-]{0,63}: never a path. */
bool helper_is_name(const char *name);

/**
 * The absolute path of the helper @name in the directories of @path ("/usr/bin:/bin"), of which relative ones are
 * passed over. New memory, or NULL.
 */
char *helper_find(const char *name, const char *path);

/**
 * What a helper said: @exit_status and its stdout. "credentials not found in native keychain" is a success, and
 * anonymous. ERR_UNAUTHORIZED: anything but a name and a secret; on exit status 0 nothing of it is shown. Pure.
 */
must_check bool helper_read(
	int exit_status, const char *output, size_t length, struct credential *credential, struct error *err);

/** Run the helper at @executable and ask it for @server. Waits, @timeout_ms at most. ERR_UNAUTHORIZED, ERR_CANCELED. */
must_check bool helper_ask(const char *executable, const char *server, int64_t timeout_ms,
	struct credential *credential, struct error *err);

#endif
