/*
 * WWW-Authenticate, as RFC 9110 has it and as registries send it (AUTH-4 to AUTH-9). A pure function of the text.
 */
#ifndef DRAY_SYNC_REGISTRY_CHALLENGE_H
#define DRAY_SYNC_REGISTRY_CHALLENGE_H

#include <stdbool.h>

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER }; /* the stronger, the later (AUTH-9) */

struct challenge {
	enum challenge_scheme scheme;
	char *realm, *service, *scope; /* of a Bearer; NULL: not there */
	char *error;                   /* RFC 6750, 3.1: "invalid_token", "insufficient_scope"; NULL: not there */
	bool offers_basic;             /* whatever else (AUTH-9) */
};

/**
 * Read one header line, which may hold several challenges, and keep the strongest of them and of what *challenge holds
 * already; the first of equals. Schemes that we do not speak, and a Bearer without realm, are passed over.
 */
void challenge_read(struct challenge *challenge, const char *header);

void challenge_release(struct challenge *challenge);

#endif
