/*
 * One request to a registry:
 *
 *     authorize -> gate, pause the host asked for -> send -> read -> leave the gate ---+-> final: to the caller
 *          ^                          ^                                                |
 *          |                          +-- once, for a 401 -----------------------------+
 *          |                          +-- once, for a 401 of where a redirect led ------+  anonymous
 *          +-- again, as scheduler/retry.h allows, for what may pass -------------------+
 */
#include "sync/registry/internal.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "scheduler/retry.h"
#include "sync/registry/links.h"
#include "sync/registry/secret.h"

#include <string.h>

/* T-21: clocks that differ by more are somebody's to put right. */
enum { TOKEN_RIPENS_MS = 2000 };

void reply_release(struct reply *reply)
{
	http_close(reply->exchange);
	reply->exchange = NULL;
	buf_release(&reply->body);
}

int reply_status(const struct reply *reply)
{
	return http_status(reply->exchange);
}

const char *reply_header(const struct reply *reply, const char *name)
{
	return http_header(reply->exchange, name, 0);
}

bool reply_is_of_type(const struct reply *reply, const char *type)
{
	const char *said = reply_header(reply, "Content-Type");
	if (!said)
		return false;
	said += strspn(said, " \t");
	auto_free char *bare = memory_text_of(said, strcspn(said, "; \t"));
	return str_is_nocase(bare, type);
}

char *reply_next_link(const struct reply *reply)
{
	const char *header;
	for (size_t i = 0; (header = http_header(reply->exchange, "Link", i)); i++) {
		char *target = links_next(header);
		if (target)
			return target;
	}
	return NULL;
}

bool reply_refused(const struct registry *registry, const struct reply *reply, struct error *err)
{
	reply_error_of(reply->exchange, buf_peek(&reply->body), reply->body.length, err);
	if (err && err->kind == ERR_UNAUTHORIZED && reply->anonymous) {
		struct error said = *err;
		error_set(err, said.kind, "%s (no credentials for %s)", said.text, registry->domain);
		err->http_status = said.http_status;
	}
	return false;
}

bool reply_write_refused(const struct registry *registry, const struct reply *reply, struct error *err)
{
	reply_refused(registry, reply, err);
	if (err && err->kind == ERR_NOT_FOUND)
		err->kind = ERR_DENIED;
	return false;
}

void reply_read_short(struct reply *reply)
{
	char piece[TASK_STEP_BYTES];
	size_t got;
	buf_init(&reply->body, LIMIT_ERROR_BODY_BYTES);
	while (http_read(reply->exchange, piece, sizeof piece, &got, NULL) && got > 0)
		if (!buf_append(&reply->body, piece, got, NULL))
			return;
}

static bool read_body(const struct call *call, struct reply *reply, struct error *err)
{
	if (http_status_kind(reply_status(reply)) != ERR_NONE) {
		reply_read_short(reply);
		return true;
	}
	if (call->bulk)
		return true;
	buf_init(&reply->body, call->reply_most ? call->reply_most : LIMIT_ERROR_BODY_BYTES);
	return http_read_all(reply->exchange, &reply->body, err);
}

/* Where a request goes, and with what. */
struct way {
	const char *url; /* NULL: the call's */
	const char *authorization;
	const struct http_tls *tls;    /* NULL: the registry's */
	enum address_class home_class; /* if the URL is not the registry's */
};

static bool send_by(struct registry *registry, const struct call *call, const struct way *way, struct reply *reply,
	struct error *err)
{
	struct http_request request = {
		.method = call->method,
		.kind = call->kind,
		.url = way->url ? way->url : call->url,
		.authorization = way->authorization,
		.accept = call->accept,
		.content_type = call->content_type,
		.body = call->body,
		.body_bytes = call->body ? (int64_t)call->body_bytes : HTTP_NO_BODY,
		.range_first = call->range_last > 0 ? call->range_first : -1,
		.range_last = call->range_last,
		.bulk = call->bulk,
		.tls = way->tls ? way->tls : &registry->tls,
		.foreign = way->url != NULL,
		.home_class = way->home_class,
		.anonymous_redirects_only = call->here,
	};
	struct gate *gate = call->bulk ? NULL : &registry->metadata;
	struct turn turn;
	struct error why;
	if (!registry_turn_begin(registry, gate, &turn, err))
		return false;
	bool ok = http_open(registry->http, &request, &reply->exchange, &why) && read_body(call, reply, &why);
	struct error refusal = {.kind = ERR_NONE};
	if (ok && http_status_kind(reply_status(reply)) != ERR_NONE)
		reply_refused(registry, reply, &refusal);
	registry_turn_end(registry, gate, &turn, reply->exchange, ok ? &refusal : &why);
	if (!ok && err)
		*err = why;
	return ok;
}

static bool send(struct registry *registry, const struct call *call, const char *authorization, struct reply *reply,
	struct error *err)
{
	struct way way = {.authorization = authorization};
	return send_by(registry, call, &way, reply, err);
}

/* A 401; and AUTH-17: a 403 is final, but for one with a challenge. */
static bool is_question(const struct registry *registry, const struct call *call, const struct reply *reply)
{
	int status = reply_status(reply);
	return (status == 401 || (status == 403 && reply_header(reply, "WWW-Authenticate"))) && !call->final &&
	       registry_is_origin_of(registry, reply->exchange);
}

/* The token is fresh and was refused: what is left to try, once. */
static bool try_last(struct registry *registry, const struct call *call, const struct authorization *used,
	struct reply *reply, struct error *err)
{
	auto_authorization struct authorization basic = {0};
	if (reply_status(reply) != 401 || !registry_is_origin_of(registry, reply->exchange))
		return true;
	switch (registry_last_try(used, reply->exchange)) {
	case LAST_NONE:
		return true;
	case LAST_WAIT:
		if (!task_sleep(TOKEN_RIPENS_MS, err))
			return false;
		break;
	case LAST_BASIC:
		if (!registry_authorize_by_basic(registry, call->repository, &basic, err))
			return false;
		if (!basic.header)
			return true;
		break;
	}
	reply_release(reply);
	return send(registry, call, basic.header ? basic.header : used->header, reply, err);
}

/* One more try after a 401, unless it would say the same (AUTH-18). */
static bool answer_challenge(struct registry *registry, const struct call *call, struct authorization *used,
	struct reply *reply, struct error *err)
{
	auto_authorization struct authorization fresh = {0};
	registry_unauthorized(registry, used, reply->exchange, call->scopes);
	if (!registry_authorize(registry, call->repository, call->scopes, &fresh, err))
		return false;
	reply->anonymous = fresh.anonymous;
	if (!fresh.header || str_is(fresh.header, used->header))
		return true;
	reply_release(reply);
	return send(registry, call, fresh.header, reply, err) && try_last(registry, call, &fresh, reply, err);
}

/* --- where a redirect led ----------------------------------------------------------------------------------------
 */

static bool is_safe(const struct call *call)
{
	return call->method == HTTP_GET || call->method == HTTP_HEAD;
}

static bool is_question_of_another(const struct registry *registry, const struct call *call, const struct reply *reply)
{
	return reply_status(reply) == 401 && is_safe(call) && !registry_is_origin_of(registry, reply->exchange);
}

/* RED-6: what a server that a redirect led to wants. Nobody's password goes there (RED-11), and nothing of it is kept.
 */
static bool ask_anonymously(struct registry *registry, const struct http_exchange *exchange,
	const struct challenge *challenge, const struct http_tls *tls, struct token_reply *token, struct error *err)
{
	static const struct credential nobody = {0};
	auto_scopes struct scopes scopes = {.count = 0};
	auto_free char *realm = origin_resolve(http_url(exchange), challenge->realm);
	struct token_server server = {
		.realm = realm ? realm : challenge->realm,
		.service = challenge->service,
		.registry_url = http_url(exchange),
		.registry_class = http_address_class(exchange),
		.tls = tls,
		.domain = registry->domain,
		.foreign = true,
	};
	if (challenge->scope)
		scopes_add_list(&scopes, challenge->scope);
	return token_server_ask(registry->http, &server, &nobody, &scopes, token, err);
}

/* The same request again, at the place that asked, with a token for it alone. */
static bool answer_another(struct registry *registry, const struct call *call, struct reply *reply, struct error *err)
{
	struct challenge challenge = {.scheme = CHALLENGE_NONE};
	const struct http_tls tls = {.ca_file = registry->tls.ca_file};
	struct token_reply token = {0};
	bool ok = true;
	registry_read_challenge(reply->exchange, &challenge);
	if (challenge.scheme == CHALLENGE_BEARER) {
		ok = ask_anonymously(registry, reply->exchange, &challenge, &tls, &token, err);
		auto_free char *url = memory_text(http_url(reply->exchange));
		auto_secret char *header = ok ? memory_format("Bearer %s", token.token) : NULL;
		struct way way = {url, header, &tls, http_address_class(reply->exchange)};
		if (ok) {
			reply_release(reply);
			ok = send_by(registry, call, &way, reply, err);
		}
	}
	token_reply_release(&token);
	challenge_release(&challenge);
	return ok;
}

/* RED-7, HTTP-13: a signed URL that is refused is old; the registry, asked again, gives another. What refuses a HEAD
 * may have been signed for a GET: whoever sent it knows (RED-9). */
static void refused_by_another(
	const struct registry *registry, const struct call *call, const struct reply *reply, struct error *refusal)
{
	int status = reply_status(reply);
	if ((status == 400 || status == 403) && call->method == HTTP_GET &&
		!registry_is_origin_of(registry, reply->exchange))
		refusal->kind = ERR_UNAVAILABLE;
}

/* --- the whole -----------------------------------------------------------------------------------------------------
 */

static bool attempt(struct registry *registry, const struct call *call, struct reply *reply, struct error *err)
{
	auto_authorization struct authorization authorization = {0};
	if (!registry_authorize(registry, call->repository, call->scopes, &authorization, err))
		return false;
	reply->anonymous = authorization.anonymous;
	if (!send(registry, call, authorization.header, reply, err))
		return false;
	if (is_question(registry, call, reply) && !answer_challenge(registry, call, &authorization, reply, err))
		return false;
	if (is_question_of_another(registry, call, reply) && !answer_another(registry, call, reply, err))
		return false;
	struct error refusal = {.kind = ERR_NONE};
	if (http_status_kind(reply_status(reply)) != ERR_NONE) {
		reply_refused(registry, reply, &refusal);
		refused_by_another(registry, call, reply, &refusal);
	}
	if (!retry_is_transient(&refusal))
		return true;
	if (err)
		*err = refusal;
	return false;
}

/* A limit is waited for by all who ask the host, at their next turn; other trouble by this one alone. */
static bool waits_for_another(struct registry *registry, int attempts, uint64_t answers, struct error *why)
{
	if (!retry_is_transient(why) || !pace_may_retry(&registry->pace, why, attempts, answers))
		return false;
	return why->kind == ERR_RATE_LIMITED || retry_pause(&pace_policy, attempts, why);
}

bool registry_call(struct registry *registry, const struct call *call, struct reply *reply, struct error *err)
{
	struct error why;
	uint64_t answers = registry->pace.answers;
	*reply = (struct reply){0};
	for (int attempts = 1;; attempts++) {
		if (attempt(registry, call, reply, &why))
			return true;
		reply_release(reply);
		if (call->once || !waits_for_another(registry, attempts, answers, &why))
			break;
	}
	if (err)
		*err = why;
	return false;
}
