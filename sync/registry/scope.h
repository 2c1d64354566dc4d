/*
 * Scopes: what a token is for. Texts as docker's token specification has them (TOK-3, AUTH-19), in the order in which
 * they are asked for.
 */
#ifndef DRAY_SYNC_REGISTRY_SCOPE_H
#define DRAY_SYNC_REGISTRY_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

/* A mount needs two, and a challenge may add its own; a server that names more gets fewer. */
#define SCOPES_MAX 8

struct scopes {
	char *texts[SCOPES_MAX];
	size_t count;
};

#define SCOPE_PULL "pull"
#define SCOPE_PUSH "pull,push"

/** Add `repository:@repository:@actions`. */
void scopes_add(struct scopes *scopes, const char *repository, const char *actions);

/** Add a challenge's scopes, separated by blanks: actions on what is there already are joined (AUTH-18). */
void scopes_add_list(struct scopes *scopes, const char *list);

/** Add to @scopes those of @others that are for no one thing, as "aws" and "*": a registry that wants them wants them
 * of all.
 */
void scopes_add_general(struct scopes *scopes, const struct scopes *others);

/** The scopes, sorted and joined by blanks: equal for equal sets. New memory. */
char *scopes_key(const struct scopes *scopes);

void scopes_release(struct scopes *scopes);

#define auto_scopes __attribute__((cleanup(scopes_release)))

#endif
