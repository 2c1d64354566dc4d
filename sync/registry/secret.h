/*
 * Text that must not stay in memory or show up anywhere: passwords, tokens, and the headers made of them (T-23).
 */
#ifndef DRAY_SYNC_REGISTRY_SECRET_H
#define DRAY_SYNC_REGISTRY_SECRET_H

#include <stdbool.h>

/** Wipe and free; NULL is fine. */
void secret_free(char *secret);

static inline void secret_free_pointer(char **slot)
{
	secret_free(*slot);
}
#define auto_secret __attribute__((cleanup(secret_free_pointer)))

/** "Basic dXNlcjpwYXNzd29yZA==". The caller frees it with secret_free(). */
char *secret_basic(const char *username, const char *password);

/**
 * Base64 with or without padding, into new text without the NULs that some writers leave at its end (CRED-5).
 * False: not base64, or a NUL within.
 */
bool secret_decode(const char *base64, char **text);

#endif
