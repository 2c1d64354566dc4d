/*
 * Who we are to a registry: one ping tells what it wants; then Basic, or a token for the scopes of each request.
 *
 * What goes on: a challenge is learnt from the ping or from a later 401 (AUTH-2, AUTH-3); a registry that once said
 * Bearer stays one, since Harbor says Basic whenever it does not like a token (AUTH-11). Where it offers Basic beside a
 * token server that is not there, Basic is tried once (AUTH-9).
 */
#include "sync/registry/internal.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/digest.h"
#include "sync/registry/authfile.h"
#include "sync/registry/flight.h"
#include "sync/registry/secret.h"

#include <string.h>

void authorization_release(struct authorization *authorization)
{
	secret_free(authorization->header);
	free(authorization->key);
	*authorization = (struct authorization){0};
}

/* --- the challenge -------------------------------------------------------------------------------------------------
 */

void registry_read_challenge(const struct http_exchange *exchange, struct challenge *challenge)
{
	const char *header;
	for (size_t i = 0; (header = http_header(exchange, "WWW-Authenticate", i)); i++)
		challenge_read(challenge, header);
}

static void learn(struct registry *registry, const struct http_exchange *exchange, struct challenge *fresh)
{
	registry_read_challenge(exchange, fresh);
	if (fresh->scheme == CHALLENGE_NONE || fresh->scheme < registry->challenge.scheme)
		return;
	if (fresh->scheme == CHALLENGE_BEARER) { /* AUTH-13; what cannot be resolved is judged, and told, as it is */
		char *absolute = origin_resolve(http_url(exchange), fresh->realm);
		if (absolute) {
			free(fresh->realm);
			fresh->realm = absolute;
		}
	}
	challenge_release(&registry->challenge);
	registry->challenge = (struct challenge){
		.scheme = fresh->scheme,
		.realm = memory_text(fresh->realm),
		.service = memory_text(fresh->service),
		.offers_basic = fresh->offers_basic,
	};
}

bool registry_is_origin_of(const struct registry *registry, const struct http_exchange *exchange)
{
	struct origin home, answered;
	return origin_of(registry->base, &home, NULL) && origin_of(http_url(exchange), &answered, NULL) &&
	       origin_equal(&home, &answered);
}

static bool ping(void *argument, struct error *err)
{
	struct registry *registry = argument;
	auto_exchange struct http_exchange *exchange = NULL;
	auto_free char *url = memory_format("%s/v2/", registry->base);
	struct http_request request = {
		.method = HTTP_GET,
		.kind = HTTP_PING,
		.url = url,
		.body_bytes = HTTP_NO_BODY,
		.range_first = -1,
		.tls = &registry->tls,
	};
	if (!gate_enter(&registry->metadata, err))
		return false;
	auto_buf struct buf body;
	buf_init(&body, LIMIT_ERROR_BODY_BYTES);
	bool ok = http_open(registry->http, &request, &exchange, err);
	if (ok) /* only so that the connection can serve again */
		(void)!http_read_all(exchange, &body, NULL);
	gate_leave(&registry->metadata);
	if (!ok)
		return false;
	registry->address_class = http_address_class(exchange);
	registry->pinged = true;
	struct challenge fresh = {.scheme = CHALLENGE_NONE};
	if (http_status(exchange) == 401 &&
		registry_is_origin_of(registry, exchange)) /* AUTH-1, AUTH-4: else go on without */
		learn(registry, exchange, &fresh);
	challenge_release(&fresh);
	return true;
}

/* --- the credential ------------------------------------------------------------------------------------------------
 */

static bool find_credential(
	struct registry *registry, const char *repository, struct credential *credential, struct error *err)
{
	*credential = (struct credential){0};
	if (registry->configured) {
		credential_copy(credential, registry->configured);
		return true;
	}
	if (!registry->credentials)
		return true;
	return credential_store_find(registry->credentials, registry->domain, repository, credential, err) ||
	       error_wrap(err, "credentials for %s", registry->domain);
}

/* --- tokens --------------------------------------------------------------------------------------------------------
 */

struct question {
	struct registry *registry;
	const struct credential *credential;
	const struct scopes *scopes;
};

static bool fetch(void *argument, struct token_reply *reply, struct error *err)
{
	struct question *question = argument;
	struct registry *registry = question->registry;
	/* The challenge may change while we wait. */
	auto_free char *realm = memory_text(registry->challenge.realm),
		       *service = memory_text(registry->challenge.service);
	struct token_server server = {
		.realm = realm,
		.service = service,
		.registry_url = registry->base,
		.registry_class = registry->address_class,
		.tls = &registry->tls,
		.domain = registry->domain,
		.realms = (const char *const *)registry->realms,
		.realm_count = registry->realm_count,
	};
	/* TOK-22: what limits the token server limits who needs its tokens; a place in the gate it needs none. */
	struct turn turn;
	struct error why = {.kind = ERR_NONE};
	if (!registry_turn_begin(registry, NULL, &turn, err))
		return false;
	bool ok = token_server_ask(registry->http, &server, question->credential, question->scopes, reply, &why);
	registry_turn_end(registry, NULL, &turn, NULL, &why);
	if (!ok && err)
		*err = why;
	return ok;
}

/* TOK-11, T-20: whose token, from whom, for what. */
static char *cache_key(
	const struct registry *registry, const struct credential *credential, const struct scopes *scopes)
{
	auto_secret char *who = memory_format("%s\n%s\n%s", credential->username ? credential->username : "",
		credential->password ? credential->password : "",
		credential->identity_token ? credential->identity_token : "");
	struct digest identity = digest_of(DIGEST_SHA256, who, strlen(who));
	auto_free char *joined = scopes_key(scopes);
	const char *service = registry->challenge.service;
	return memory_format(
		"%s\n%s\n%s\n%s", identity.text, registry->challenge.realm, service ? service : "", joined);
}

static bool authorize_by_token(struct registry *registry, const struct credential *credential,
	const struct scopes *scopes, struct authorization *authorization, struct error *err)
{
	auto_scopes struct scopes all = {.count = 0};
	for (size_t i = 0; i < scopes->count; i++)
		scopes_add_list(&all, scopes->texts[i]);
	scopes_add_general(&all, &registry->wanted_scopes);
	struct question question = {registry, credential, &all};
	auto_secret char *token = NULL;
	auto_free char *key = cache_key(registry, credential, &all);
	if (!token_cache_get(&registry->tokens, key, fetch, &question, &token, err))
		return false;
	authorization->header = memory_format("Bearer %s", token);
	authorization->key = key;
	key = NULL;
	return true;
}

/* --- both ----------------------------------------------------------------------------------------------------------
 */

/* AUTH-9: there is no token server, or what is there is none. One that refuses us is one. */
static bool is_no_token_server(const struct error *why)
{
	if (why->kind == ERR_UNAUTHORIZED)
		return why->http_status == 0 || why->http_status == 404 || why->http_status == 405;
	return why->kind == ERR_UNAVAILABLE || why->kind == ERR_TIMEOUT || why->kind == ERR_PROTOCOL;
}

static bool authorize_by_bearer(struct registry *registry, const struct credential *credential,
	const struct scopes *scopes, struct authorization *authorization, struct error *err)
{
	struct error why;
	if (authorize_by_token(registry, credential, scopes, authorization, &why))
		return true;
	if (registry->challenge.offers_basic && registry->basic_instead == BASIC_UNTRIED && credential->password &&
		is_no_token_server(&why)) {
		registry->basic_instead = BASIC_IN_USE;
		return true;
	}
	if (err)
		*err = why;
	return false;
}

static bool authorize_with(struct registry *registry, const struct credential *credential, const struct scopes *scopes,
	struct authorization *authorization, struct error *err)
{
	authorization->anonymous = credential_is_anonymous(credential);
	if (registry->challenge.scheme == CHALLENGE_NONE)
		return true;
	if (credential->registry_token) { /* TOK-17 */
		authorization->header = memory_format("Bearer %s", credential->registry_token);
		return true;
	}
	if (registry->challenge.scheme == CHALLENGE_BEARER && registry->basic_instead != BASIC_IN_USE &&
		!authorize_by_bearer(registry, credential, scopes, authorization, err))
		return false;
	if (!authorization->header && credential->username && credential->password)
		authorization->header = secret_basic(credential->username, credential->password);
	return true;
}

/* CRED-11: what a helper said once may have grown old, and is asked again; what comes then is new, or was all. */
static bool find_newer(struct registry *registry, const char *repository, struct credential *credential)
{
	struct credential newer;
	if (registry->configured || !registry->credentials)
		return false;
	credential_store_refused(registry->credentials, registry->domain);
	if (!find_credential(registry, repository, &newer, NULL))
		return false;
	bool is_newer = !credential_equal(&newer, credential);
	credential_release(credential);
	*credential = newer;
	return is_newer;
}

bool registry_authorize(struct registry *registry, const char *repository, const struct scopes *scopes,
	struct authorization *authorization, struct error *err)
{
	struct credential credential;
	struct error why;
	*authorization = (struct authorization){0};
	if (!registry->pinged && !flight_share(&registry->pinging, ping, registry, err))
		return false;
	if (registry->challenge.scheme == CHALLENGE_NONE)
		return true;
	if (!find_credential(registry, repository, &credential, err))
		return false;
	bool ok = authorize_with(registry, &credential, scopes, authorization, &why);
	if (!ok && why.http_status == 401 && find_newer(registry, repository, &credential))
		ok = authorize_with(registry, &credential, scopes, authorization, &why);
	credential_release(&credential);
	if (!ok && err)
		*err = why;
	return ok;
}

static bool says_insufficient_scope(const struct challenge *challenge)
{
	return challenge->error && str_is_nocase(challenge->error, "insufficient_scope");
}

void registry_unauthorized(struct registry *registry, const struct authorization *used,
	const struct http_exchange *exchange, struct scopes *scopes)
{
	struct challenge fresh = {.scheme = CHALLENGE_NONE};
	if (exchange && registry_is_origin_of(registry, exchange))
		learn(registry, exchange, &fresh);
	if (fresh.scheme == CHALLENGE_BEARER && fresh.scope && scopes) {
		scopes_add_list(scopes, fresh.scope);
		scopes_add_general(&registry->wanted_scopes, scopes);
	}
	if (used->key && !says_insufficient_scope(&fresh)) /* AUTH-18: else it is good for what it is for */
		token_cache_drop(&registry->tokens, used->key, used->header + strlen("Bearer "));
	if (used->header && !used->key && registry->credentials && !registry->configured)
		credential_store_refused(registry->credentials, registry->domain);
	if (used->header && !used->key && registry->basic_instead == BASIC_IN_USE)
		registry->basic_instead = BASIC_REFUSED;
	challenge_release(&fresh);
}

enum last_try registry_last_try(const struct authorization *used, const struct http_exchange *exchange)
{
	struct challenge challenge = {.scheme = CHALLENGE_NONE};
	registry_read_challenge(exchange, &challenge);
	bool wants_basic = challenge.scheme == CHALLENGE_BASIC, lacks_scope = says_insufficient_scope(&challenge);
	challenge_release(&challenge);
	if (!used->key || lacks_scope)
		return LAST_NONE;
	return wants_basic ? LAST_BASIC : LAST_WAIT;
}

bool registry_authorize_by_basic(
	struct registry *registry, const char *repository, struct authorization *authorization, struct error *err)
{
	struct credential credential;
	*authorization = (struct authorization){0};
	if (!find_credential(registry, repository, &credential, err))
		return false;
	if (credential.username && credential.password)
		authorization->header = secret_basic(credential.username, credential.password);
	credential_release(&credential);
	return true;
}
