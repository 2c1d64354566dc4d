#include "sync/registry/token.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/errors.h"
#include "sync/registry/links.h"
#include "sync/registry/secret.h"

#include <string.h>
#include <time.h>

#define CLIENT_ID "dray"

/* --- policy --------------------------------------------------------------------------------------------------------
 */

/* Who keeps another's passwords: T-12's built-in pairs, by exact host (T-19). */
static const struct {
	const char *registry, *token_server;
} pairs[] = {{"registry-1.docker.io", "auth.docker.io"}, {"registry.gitlab.com", "gitlab.com"}};

static int usual_port(const struct origin *origin)
{
	return origin->tls ? 443 : 80;
}

static bool may_have_credentials(
	const struct token_server *server, const struct origin *registry, const struct origin *realm)
{
	if (str_is(registry->host, realm->host) && (realm->port == registry->port || realm->port == usual_port(realm)))
		return true;
	if (origin_is_one_of(realm, server->realms, server->realm_count))
		return true;
	for (size_t i = 0; i < array_count(pairs); i++)
		if (str_is(registry->host, pairs[i].registry) && realm->tls &&
			origin_is_one_of(realm, &pairs[i].token_server, 1))
			return true;
	return false;
}

/* T-12: with what is to be written if it is right. */
static bool foreign_realm(
	const struct token_server *server, const struct origin *realm, const char *shown, struct error *err)
{
	auto_free char *place = origin_place(realm);
	return error_set(err, ERR_REFUSED,
		"the registry names the token server %.200s; credentials are not sent to another origin; if they "
		"belong there, write under registries, %s: `realms: [\"%s\"]`",
		shown, server->domain, place);
}

bool token_server_judge(const struct token_server *server, bool with_credentials, struct error *err)
{
	struct origin registry, realm;
	struct error why;
	auto_free char *shown = origin_printable(server->realm);
	if (!origin_of(server->registry_url, &registry, err))
		return false;
	if (!origin_of(server->realm, &realm, &why))
		/* AUTH-15: behind a proxy, Nexus said null://, and others say http or a name of their own. */
		return error_set(err, ERR_REFUSED,
			"the registry names the token server %.200s: %s; what it says of itself is wrong", shown,
			why.text);
	if (registry.tls && !realm.tls)
		return error_set(err, ERR_REFUSED,
			"the registry is reached by https and names the token server %s, which is not", shown);
	if (with_credentials && !may_have_credentials(server, &registry, &realm))
		return foreign_realm(server, &realm, shown, err);
	return true;
}

/* --- the two questions ---------------------------------------------------------------------------------------------
 */

/* As long as its parts, which are capped where they were read. */
static void add_parameter(char **query, const char *name, const char *value)
{
	auto_secret char *encoded = links_encode(value);
	char *longer = memory_format("%s%s%s=%s", *query, **query ? "&" : "", name, encoded);
	secret_free(*query);
	*query = longer;
}

static char *get_url(const struct token_server *server, const char *username, const struct scopes *scopes)
{
	auto_free char *query = memory_text("");
	if (server->service)
		add_parameter(&query, "service", server->service);
	for (size_t i = 0; i < scopes->count; i++)
		add_parameter(&query, "scope", scopes->texts[i]);
	add_parameter(&query, "client_id", CLIENT_ID);
	if (username)
		add_parameter(&query, "account", username);
	return links_add_query(server->realm, query);
}

/* TOK-2: one scope parameter here. */
static char *post_body(const struct token_server *server, const char *refresh_token, const struct scopes *scopes)
{
	char *body = memory_text("");
	auto_free char *joined = memory_text("");
	for (size_t i = 0; i < scopes->count; i++) {
		char *longer = memory_format("%s%s%s", joined, i ? " " : "", scopes->texts[i]);
		free(joined);
		joined = longer;
	}
	add_parameter(&body, "grant_type", "refresh_token");
	add_parameter(&body, "refresh_token", refresh_token);
	if (server->service)
		add_parameter(&body, "service", server->service);
	add_parameter(&body, "client_id", CLIENT_ID);
	add_parameter(&body, "scope", joined);
	return body;
}

/* --- asking --------------------------------------------------------------------------------------------------------
 */

/* What a token server says of us is about who we are; its 404 above all is no word about an image. */
static bool refusal(struct http_exchange *exchange, const char *body, size_t length, struct error *err)
{
	struct error why;
	reply_error_of(exchange, body, length, &why);
	if (why.kind == ERR_NOT_FOUND || why.kind == ERR_UNSUPPORTED ||
		(why.kind == ERR_DENIED && why.http_status != 403))
		why.kind = ERR_UNAUTHORIZED;
	if (err)
		*err = why;
	return false;
}

static bool ask(struct http *http, const struct http_request *request, int *status, struct token_reply *reply,
	struct error *err)
{
	auto_buf struct buf body;
	auto_exchange struct http_exchange *exchange = NULL;
	buf_init(&body, LIMIT_TOKEN_REPLY_BYTES);
	struct error why;
	if (!http_open(http, request, &exchange, &why) || !http_read_all(exchange, &body, &why)) {
		if (why.kind == ERR_TOO_LARGE) /* T-25: it is about who we are, not about content */
			why.kind = ERR_UNAUTHORIZED;
		if (err)
			*err = why;
		return false;
	}
	*status = http_status(exchange);
	if (*status != 200)
		return refusal(exchange, buf_peek(&body), body.length, err);
	return token_reply_parse(buf_peek(&body), body.length, (int64_t)time(NULL), reply, err) ||
	       error_wrap(err, "%s", http_what(exchange));
}

/* TOK-15: a server without OAuth2, which wants the secret as a password. */
static bool knows_no_post(int status)
{
	return status == 400 || status == 401 || status == 404 || status == 405;
}

static bool ask_by_post(struct http *http, struct http_request request, const struct token_server *server,
	const char *identity_token, const struct scopes *scopes, int *status, struct token_reply *reply,
	struct error *err)
{
	auto_secret char *body = post_body(server, identity_token, scopes);
	request.method = HTTP_POST;
	request.url = server->realm;
	request.content_type = "application/x-www-form-urlencoded";
	request.body = body;
	request.body_bytes = (int64_t)strlen(body);
	return ask(http, &request, status, reply, err);
}

static bool ask_by_get(struct http *http, struct http_request request, const struct token_server *server,
	const char *username, const char *password, const struct scopes *scopes, struct token_reply *reply,
	struct error *err)
{
	auto_secret char *basic = password ? secret_basic(username, password) : NULL;
	auto_free char *url = get_url(server, password ? username : NULL, scopes);
	int status = 0;
	request.method = HTTP_GET;
	request.url = url;
	request.authorization = basic;
	return ask(http, &request, &status, reply, err);
}

bool token_server_ask(struct http *http, const struct token_server *server, const struct credential *credential,
	const struct scopes *scopes, struct token_reply *reply, struct error *err)
{
	struct origin registry, realm;
	if (!token_server_judge(server, !credential_is_anonymous(credential), err) ||
		!origin_of(server->registry_url, &registry, err) || !origin_of(server->realm, &realm, err))
		return false;
	/* What the registry's settings say of TLS is about its host; elsewhere a CA is only more trust. */
	struct http_tls only_ca = {.ca_file = server->tls->ca_file};
	struct http_request request = {
		.kind = HTTP_TOKEN,
		.accept = "application/json",
		.body_bytes = HTTP_NO_BODY,
		.range_first = -1,
		.tls = str_is(registry.host, realm.host) ? server->tls : &only_ca,
		.anonymous_redirects_only = true,
		.foreign = server->foreign || (!origin_equal(&registry, &realm) &&
						      !origin_is_one_of(&realm, server->realms, server->realm_count)),
		.home_class = server->registry_class,
	};
	const char *username = credential->username ? credential->username : "<token>",
		   *password = credential->password;
	if (credential->identity_token) {
		int status = 0;
		if (ask_by_post(http, request, server, credential->identity_token, scopes, &status, reply, err))
			return true;
		if (!knows_no_post(status))
			return false;
		password = credential->identity_token;
	}
	return ask_by_get(http, request, server, username, password, scopes, reply, err);
}
