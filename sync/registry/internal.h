/*
 * What the files of sync/registry share, and nobody else sees: the registry, and the one way to ask it something.
 */
#ifndef DRAY_SYNC_REGISTRY_INTERNAL_H
#define DRAY_SYNC_REGISTRY_INTERNAL_H

#include "scheduler/pace.h"
#include "scheduler/quota.h"
#include "sync/registry/challenge.h"
#include "sync/registry/errors.h"
#include "sync/registry/notices.h"
#include "sync/registry/refusals.h"
#include "sync/registry/registry.h"
#include "sync/registry/scope.h"
#include "sync/registry/token.h"
#include "sync/registry/upload_way.h"

struct flight;

/* Basic where the token server is not there (AUTH-9): tried once. */
enum basic_instead { BASIC_UNTRIED, BASIC_IN_USE, BASIC_REFUSED };

struct registry {
	struct http *http;
	char *domain;
	char *base;          /* "https://host:port" */
	struct http_tls tls; /* texts of its own */
	struct credential *configured;
	struct credential_store *credentials;
	char **realms, **upload_hosts;
	size_t realm_count, upload_host_count;
	struct gate blobs, metadata;
	/* what it told us of itself */
	bool pinged;
	struct flight *pinging;
	enum address_class address_class;
	struct challenge challenge; /* realm is absolute */
	enum basic_instead basic_instead;
	struct scopes wanted_scopes; /* what it wants in every token: "aws", "*" (AUTH-19) */
	struct token_cache tokens;
	struct upload_habits uploads;
	struct refusals refusals;
	struct pace pace;        /* a limit that one request met is one for all (ERR-10) */
	struct waitqueue pacing; /* who waits for the one that goes first behind a pause */
	size_t blob_places;      /* as configured */
	size_t manifest_bytes_most;
	struct notices notices;
	struct quota quota;        /* of manifests */
	struct waitqueue planning; /* who waits for what others planned and may not need */
	struct waitqueue *pauses;  /* NULL, or woken when the host has asked for a pause */
	struct referrers_api {
		enum { REFERRERS_API_UNKNOWN, REFERRERS_API_THERE, REFERRERS_API_ABSENT } state;
		struct gate probe; /* one at a time asks while it is unknown */
	} referrers;
};

/* --- who we are (auth.c) --------------------------------------------------------------------------------------- */

/* What goes into one request. */
struct authorization {
	char *header; /* NULL: anonymous */
	char *key;    /* of the token in the cache, or NULL */
	bool anonymous;
};

void authorization_release(struct authorization *authorization);
#define auto_authorization __attribute__((cleanup(authorization_release)))

/** Ping once (AUTH-1, AUTH-3), then find what the registry wants for @scopes on @repository. Waits. */
must_check bool registry_authorize(struct registry *registry, const char *repository, const struct scopes *scopes,
	struct authorization *authorization, struct error *err);

/**
 * A 401 came to a request with @used: learn its challenge, forget the token, and add the challenge's scopes to @scopes
 * (AUTH-11, AUTH-18). @exchange NULL: there is no challenge to learn.
 */
void registry_unauthorized(struct registry *registry, const struct authorization *used,
	const struct http_exchange *exchange, struct scopes *scopes);

/* What is left to try, for one request, when a token as fresh as can be got a 401 again. */
enum last_try {
	LAST_NONE, /* it lacks a scope, or there was no token */
	LAST_WAIT, /* it may be good in a moment, where the clocks of the registry and of its token server differ (T-21)
		    */
	LAST_BASIC, /* Basic is all that the registry takes here: Harbor's catalog (AUTH-11) */
};

enum last_try registry_last_try(const struct authorization *used, const struct http_exchange *exchange);

/** Basic for this one request; no header where there is no password. */
must_check bool registry_authorize_by_basic(
	struct registry *registry, const char *repository, struct authorization *authorization, struct error *err);

/** What all WWW-Authenticate of a reply say (AUTH-5); to be released. */
void registry_read_challenge(const struct http_exchange *exchange, struct challenge *challenge);

/** Did the registry itself answer, and not one that it redirected to? Only then a 401 is a question to us (T-13). */
bool registry_is_origin_of(const struct registry *registry, const struct http_exchange *exchange);

/* --- asking (call.c) ------------------------------------------------------------------------------------------- */

struct call {
	enum http_method method;
	enum http_kind kind;
	const char *url;
	const char *repository;
	struct scopes *scopes; /* may grow by what a challenge says */
	const char *accept, *content_type;
	const void *body;
	size_t body_bytes;
	int64_t range_first, range_last; /* as in http.h; a last of 0: none */
	size_t reply_most;               /* 0: LIMIT_ERROR_BODY_BYTES */
	bool bulk;  /* a blob's GET: outside the metadata gate, and the body of a 2xx is the caller's to read */
	bool once;  /* not tried again */
	bool final; /* a 401 is the answer */
	bool here;  /* a redirect to another origin is not followed: ERR_REFUSED */
};

struct reply {
	struct http_exchange *exchange;
	struct buf body;
	bool anonymous;
};

/**
 * Send it, with what authorizes it; answer a 401 once, try again what may be. True: a reply that is final, of whatever
 * status. False: none came, after all attempts; ERR_RATE_LIMITED and ERR_UNAVAILABLE also when the last was a 429 or
 * 5xx.
 */
must_check bool registry_call(
	struct registry *registry, const struct call *call, struct reply *reply, struct error *err);

void reply_release(struct reply *reply);
#define auto_reply __attribute__((cleanup(reply_release)))

int reply_status(const struct reply *reply);
const char *reply_header(const struct reply *reply, const char *name);

/** Is it of Content-Type @type, whatever its parameters (MAN-5)? */
bool reply_is_of_type(const struct reply *reply, const char *type);

/** The target of its first Link of rel=next, as it stands there (TAG-4, RFR-10). New memory, or NULL. */
char *reply_next_link(const struct reply *reply);

/** Read a body that matters little, as that of a refusal: what is beyond the cap, or does not come, is not missed. */
void reply_read_short(struct reply *reply);

/** Fill @err from a reply that is not what was wanted. Returns false. */
bool reply_refused(const struct registry *registry, const struct reply *reply, struct error *err);

/** The same where we write: a 404 there is a refusal (UPL-28), and no word about what we look for. */
bool reply_write_refused(const struct registry *registry, const struct reply *reply, struct error *err);

/**
 * A reader of the body of @reply, a 200, or a 206 from @offset on; takes its exchange. ERR_CORRUPT, ERR_PROTOCOL: it is
 * announced as something else (BLB-2, BLB-5).
 */
must_check bool blob_reader_new(struct reply *reply, const struct descriptor *blob, int64_t offset,
	struct blob_reader **reader, struct error *err);

/* --- when we may ask (pacing.c) --------------------------------------------------------------------------------- */

struct turn {
	int64_t sent_ms;
	bool is_first; /* behind a pause; the others wait for what comes of it */
};

/**
 * Wait until the host may be asked, with a place in @gate (NULL: none is wanted). ERR_RATE_LIMITED: it wants to be left
 * alone for longer than we wait; nothing may be sent. ERR_CANCELED. Else registry_turn_end() follows.
 */
must_check bool registry_turn_begin(struct registry *registry, struct gate *gate, struct turn *turn, struct error *err);

/** Leave the gate, and learn from what came: @exchange is NULL, and @err tells why, where nothing came. */
void registry_turn_end(struct registry *registry, struct gate *gate, const struct turn *turn,
	const struct http_exchange *exchange, const struct error *err);

/* --- referrers (referrers.c) ------------------------------------------------------------------------------------- */

/** Does the registry have the referrers API? It is asked about @subject, unless that is known. */
must_check bool registry_has_referrers_api(
	struct registry *registry, const char *repository, const struct digest *subject, bool *has, struct error *err);

/** Take @gone out of the list of @subject's referrers that its tags are (DEL-6). */
must_check bool registry_referrers_forget(struct registry *registry, const char *repository,
	const struct digest *subject, const struct digest *gone, struct error *err);

/** "2026-01-31 12:00:00Z", @left_ms from now, into @text, which is returned. */
const char *registry_time_in(int64_t left_ms, char text[32]);

/** quota.c: keep what the reply tells of it. */
void registry_learn_quota(struct registry *registry, const struct http_exchange *exchange);

/** "base/v2/repository/what". New memory. */
char *registry_url(const struct registry *registry, const char *repository, const char *what, const char *name);

#endif
