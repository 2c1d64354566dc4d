/*
 * Tokens: kept in memory only, one per (identity, realm, service, set of scopes) of one registry (TOK-11, T-20),
 * fetched by one for all who need it, and fetched anew when three quarters of its life are over (T-21).
 */
#ifndef DRAY_SYNC_REGISTRY_TOKEN_H
#define DRAY_SYNC_REGISTRY_TOKEN_H

#include "base/list.h"
#include "sync/http/http.h"
#include "sync/registry/credentials.h"
#include "sync/registry/scope.h"

/* TOK-7: what a server that tells no time, or an absurdly short one, is taken to mean. */
#define TOKEN_LIFE_LEAST_S 60

struct token_reply {
	char *token;
	int64_t life_s;
};

void token_reply_release(struct token_reply *reply);

/**
 * The body of a token server's reply (TOK-7, TOK-8, T-25), which came at @now_s (seconds since 1970). ERR_UNAUTHORIZED:
 * not such a body; its text has no token in it.
 */
must_check bool token_reply_parse(
	const void *bytes, size_t length, int64_t now_s, struct token_reply *reply, struct error *err);

/* --- the cache ------------------------------------------------------------------------------------------------- */

/* More than the images and blobs that one run has in flight at one host. */
#define TOKENS_KEPT 128

struct token_cache {
	struct list tokens; /* the one used last at the end */
	size_t count;
};

void token_cache_init(struct token_cache *cache);
void token_cache_release(struct token_cache *cache);

typedef bool (*token_fetcher)(void *argument, struct token_reply *reply, struct error *err);

/** The token for @key, into new memory (secret_free()), fetched by @fetch if there is no good one. Waits. */
must_check bool token_cache_get(struct token_cache *cache, const char *key, token_fetcher fetch, void *argument,
	char **token, struct error *err);

/** A registry did not take @token: forget it, unless another one is there already. */
void token_cache_drop(struct token_cache *cache, const char *key, const char *token);

/* --- the token server ------------------------------------------------------------------------------------------ */

struct token_server {
	const char *realm;   /* absolute URL */
	const char *service; /* or NULL */
	const char *registry_url;
	enum address_class registry_class; /* where the registry was found */
	const struct http_tls *tls;        /* of the registry */
	const char *domain;                /* of the registry, as the configuration names it */
	const char *const *realms;         /* "HOST" or "HOST:PORT": what the configuration allows besides */
	size_t realm_count;
	bool foreign; /* no user named that registry: a redirect led to it (RED-6) */
};

/**
 * May we ask at that realm (AUTH-14, T-12)? It is https, unless the registry itself is plain http. Credentials go to
 * the registry's own host, at its port or the usual one (a program of another user may sit at any other), to the
 * built-in pairs, and to @realms. ERR_REFUSED: the text names the realm, and the line that would allow it.
 */
must_check bool token_server_judge(const struct token_server *server, bool with_credentials, struct error *err);

/**
 * One attempt: GET with Basic, or anonymous (TOK-1); POST with an identity token, and GET where that is not known
 * (TOK-15). Errors as http_open(), ERR_UNAUTHORIZED, ERR_DENIED (403), and as token_server_judge().
 */
must_check bool token_server_ask(struct http *http, const struct token_server *server,
	const struct credential *credential, const struct scopes *scopes, struct token_reply *reply, struct error *err);

#endif
