/*
 * The exchange: hops under one policy.
 *
 *     open -> hop -> head -+-> no redirect: the caller reads the body of this hop
 *              ^           |
 *              +-- follow -+   another URL, judged by origin.h; Authorization goes to the first origin only
 */
#include "sync/http/http.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/http/hop.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEADERS_SENT_MOST = 8, RANGE_TEXT_BYTES = 64 };

struct http {
	struct transport *transport;
	struct http_settings settings;
	struct http_counters counters;
	size_t open_exchanges;
};

struct http_exchange {
	struct http *http;
	struct http_request request;
	struct hop hop;
	struct origin home, origin;    /* of the request, and of the hop that goes on */
	enum address_class home_class; /* where the home origin was found; known after the first hop to it */
	struct http_tls foreign_tls;
	char *own_url; /* of the request */
	const char *url;
	char *what;
	char *followed[LIMIT_REDIRECTS]; /* the URLs after the first */
	size_t followed_count;
};

/* --- names and tables --------------------------------------------------------------------------------------------- */

const struct http_settings http_settings_default = {
	.connect_timeout_ms = 30000,
	.first_byte_timeout_ms = 60000,
	.stall_timeout_ms = 60000,
	.commit_timeout_ms = 600000,
	.user_agent = "dray/" DRAY_VERSION,
};

const char *http_method_name(enum http_method method)
{
	static const char *const names[HTTP_METHOD_COUNT] = {
		[HTTP_GET] = "GET",
		[HTTP_HEAD] = "HEAD",
		[HTTP_POST] = "POST",
		[HTTP_PUT] = "PUT",
		[HTTP_PATCH] = "PATCH",
		[HTTP_DELETE] = "DELETE",
	};
	return names[method];
}

const char *http_kind_name(enum http_kind kind)
{
	static const char *const names[HTTP_KIND_COUNT] = {
		[HTTP_PING] = "ping",
		[HTTP_TOKEN] = "token",
		[HTTP_TAGS] = "tags",
		[HTTP_CATALOG] = "catalog",
		[HTTP_MANIFEST] = "manifest",
		[HTTP_REFERRERS] = "referrers",
		[HTTP_BLOB] = "blob",
		[HTTP_UPLOAD] = "upload",
	};
	return names[kind];
}

enum error_kind http_status_kind(int status)
{
	/* The first row that holds it. */
	static const struct {
		int first, last;
		enum error_kind kind;
	} rows[] = {
		{200, 299, ERR_NONE},
		{401, 401, ERR_UNAUTHORIZED},
		{404, 404, ERR_NOT_FOUND},
		{405, 405, ERR_UNSUPPORTED},
		{408, 408, ERR_UNAVAILABLE},
		{421, 421, ERR_UNAVAILABLE}, /* the wrong connection: another may do (HTTP-9) */
		{425, 425, ERR_UNAVAILABLE},
		{429, 429, ERR_RATE_LIMITED},
		{499, 499, ERR_UNAVAILABLE}, /* nginx: its backend was cut */
		{400, 498, ERR_DENIED},
		{501, 501, ERR_UNSUPPORTED},
		{507, 507, ERR_DENIED}, /* full, until somebody makes room (T-51) */
		{500, 599, ERR_UNAVAILABLE},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (status >= rows[i].first && status <= rows[i].last)
			return rows[i].kind;
	return ERR_PROTOCOL;
}

/* --- the client --------------------------------------------------------------------------------------------------- */

struct http *http_new_over(struct transport *transport, const struct http_settings *settings)
{
	struct http *http = memory_new(1, sizeof *http);
	http->transport = transport;
	http->settings = settings ? *settings : http_settings_default;
	if (!http->settings.user_agent)
		http->settings.user_agent = http_settings_default.user_agent;
	return http;
}

struct http *http_new(const struct http_settings *settings, struct error *err)
{
	struct transport *transport = transport_curl_new(err);
	return transport ? http_new_over(transport, settings) : NULL;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	assert(http->open_exchanges == 0);
	http->transport->free(http->transport);
	free(http);
}

const struct http_counters *http_counters(const struct http *http)
{
	return &http->counters;
}

/* --- one hop of the exchange -------------------------------------------------------------------------------------- */

struct header_list {
	struct transport_header items[HEADERS_SENT_MOST];
	size_t count;
};

/* The one place where a header of ours is made: what holds a line end would be two headers (T-41). */
static bool add_header(struct header_list *list, const char *name, const char *value, struct error *err)
{
	if (!value)
		return true;
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return error_set(err, ERR_REFUSED, "control bytes in the header %s", name);
	list->items[list->count++] = (struct transport_header){name, value};
	return true;
}

static bool is_foreign(const struct http_exchange *exchange)
{
	return !origin_equal(&exchange->home, &exchange->origin);
}

/* RED-10: what goes along on a redirect; RED-4: Authorization does not leave its origin. */
static int64_t body_bytes(const struct http_request *request)
{
	if (request->body_bytes > 0)
		return request->body_bytes;
	bool always = request->method == HTTP_POST || request->method == HTTP_PUT || request->method == HTTP_PATCH;
	return always ? 0 : HTTP_NO_BODY; /* HTTP-6: Content-Length: 0 */
}

static bool make_headers(const struct http_exchange *exchange, char *range, struct header_list *list, struct error *err)
{
	const struct http_request *request = &exchange->request;
	bool ranged = request->range_first >= 0 && request->range_last > 0;
	bool sent = ranged && body_bytes(request) > 0; /* UPL-12: then without "bytes" */
	if (ranged)
		snprintf(range, RANGE_TEXT_BYTES, "%s%" PRId64 "-%" PRId64, sent ? "" : "bytes=", request->range_first,
			request->range_last);
	return add_header(list, "User-Agent", exchange->http->settings.user_agent, err) &&
	       add_header(list, "Accept", request->accept, err) &&
	       add_header(list, "Authorization", is_foreign(exchange) ? NULL : request->authorization, err) &&
	       add_header(list, "Content-Type", request->content_type, err) &&
	       add_header(list, sent ? "Content-Range" : "Range", ranged ? range : NULL, err);
}

/* A registry's exception from verification and its client certificate are for it alone; a CA is only more trust. */
static struct http_tls tls_of_foreigners(const struct http_tls *home)
{
	return (struct http_tls){.ca_file = home ? home->ca_file : NULL};
}

static bool body_is_written(const struct http_request *request)
{
	return !request->body && body_bytes(request) > 0;
}

static void set_url(struct http_exchange *exchange, const char *url)
{
	auto_free char *printable = origin_printable(url);
	free(exchange->what);
	exchange->what = memory_format("%s %s", http_method_name(exchange->request.method), printable);
	exchange->url = url;
}

static bool send_hop(struct http_exchange *exchange, struct error *err)
{
	const struct http_request *request = &exchange->request;
	struct header_list headers = {.count = 0};
	char range[RANGE_TEXT_BYTES];
	if (!make_headers(exchange, range, &headers, err))
		return false;
	bool foreign = is_foreign(exchange);
	struct transport_request hop = {
		.method = request->method,
		.url = exchange->url,
		.headers = headers.items,
		.header_count = headers.count,
		.body_bytes = body_bytes(request),
		.bulk = request->bulk,
		.tls = foreign ? &exchange->foreign_tls : request->tls,
		.connect_timeout_ms = exchange->http->settings.connect_timeout_ms,
		.foreign = foreign || request->foreign,
		.home = exchange->home_class,
	};
	return hop_start(&exchange->hop, &hop, request->kind, request->body, err);
}

/* --- redirects ---------------------------------------------------------------------------------------------------- */

static bool is_safe(enum http_method method)
{
	return method == HTTP_GET || method == HTTP_HEAD;
}

/* RED-2. A reply that we do not follow is the caller's to judge. */
static bool is_redirect(const struct http_exchange *exchange)
{
	switch (exchange->hop.status) {
	case 301:
	case 302:
	case 303:
		return is_safe(exchange->request.method);
	case 307:
	case 308:
		return true;
	default:
		return false;
	}
}

static bool was_visited(const struct http_exchange *exchange, const char *url)
{
	for (size_t i = 0; i < exchange->followed_count; i++)
		if (str_is(exchange->followed[i], url))
			return true;
	return str_is(exchange->request.url, url);
}

static bool may_follow(const struct http_exchange *exchange, const struct origin *to, struct error *err)
{
	if (!origin_may_follow(&exchange->origin, to, err))
		return false;
	if (origin_equal(&exchange->home, to))
		return true;
	if (exchange->request.anonymous_redirects_only || !is_safe(exchange->request.method))
		return error_set(err, ERR_REFUSED, "redirected to another origin, %s:%d", to->host, to->port);
	return true;
}

static bool follow(struct http_exchange *exchange, const char *location, struct error *err)
{
	auto_free char *url = origin_resolve(exchange->url, location);
	struct origin to;
	if (!url)
		return error_set(err, ERR_PROTOCOL, "redirected to a Location that is no URL");
	if (!origin_of(url, &to, err))
		return error_wrap(err, "redirected");
	if (!may_follow(exchange, &to, err))
		return false;
	if (was_visited(exchange, url))
		return error_set(err, ERR_REFUSED, "redirected in a circle");
	if (exchange->followed_count == LIMIT_REDIRECTS)
		return error_set(err, ERR_REFUSED, "redirected more than %d times", LIMIT_REDIRECTS);
	if (!hop_discard(&exchange->hop, err))
		return false;
	exchange->origin = to;
	exchange->followed[exchange->followed_count++] = url;
	set_url(exchange, url);
	url = NULL;
	return send_hop(exchange, err);
}

static void learn_home_class(struct http_exchange *exchange)
{
	if (!exchange->request.foreign && !is_foreign(exchange) && exchange->hop.connected)
		exchange->home_class = exchange->hop.peer;
}

/* --- the exchange ------------------------------------------------------------------------------------------------- */

static bool wrapped(const struct http_exchange *exchange, struct error *err)
{
	return error_wrap(err, "%s", exchange->what);
}

static bool reach_reply(struct http_exchange *exchange, struct error *err)
{
	if (!origin_of(exchange->url, &exchange->home, err))
		return false;
	exchange->origin = exchange->home;
	if (!send_hop(exchange, err))
		return false;
	if (body_is_written(&exchange->request))
		return true;
	for (;;) {
		if (!hop_wait_head(&exchange->hop, err))
			return false;
		learn_home_class(exchange);
		const char *location = headers_get(&exchange->hop.headers, "Location", 0);
		if (!location || !is_redirect(exchange))
			return true;
		if (!follow(exchange, location, err))
			return false;
	}
}

static struct http_exchange *exchange_new(struct http *http, const struct http_request *request)
{
	struct http_exchange *exchange = memory_new(1, sizeof *exchange);
	exchange->http = http;
	exchange->request = *request;
	exchange->home_class = request->foreign ? request->home_class : ADDRESS_PUBLIC;
	exchange->foreign_tls = tls_of_foreigners(request->tls);
	hop_init(&exchange->hop, http->transport, &http->settings, &http->counters);
	exchange->own_url = memory_text(request->url);
	exchange->request.url = exchange->own_url;
	set_url(exchange, exchange->own_url);
	http->open_exchanges++;
	return exchange;
}

bool http_open(
	struct http *http, const struct http_request *request, struct http_exchange **exchange, struct error *err)
{
	auto_exchange struct http_exchange *fresh = exchange_new(http, request);
	if (!reach_reply(fresh, err))
		return wrapped(fresh, err);
	*exchange = fresh;
	fresh = NULL;
	return true;
}

bool http_write(struct http_exchange *exchange, const void *bytes, size_t length, struct error *err)
{
	return hop_write(&exchange->hop, bytes, length, err) || wrapped(exchange, err);
}

bool http_reply(struct http_exchange *exchange, struct error *err)
{
	if (!hop_wait_head(&exchange->hop, err))
		return wrapped(exchange, err);
	learn_home_class(exchange);
	return true;
}

bool http_read(struct http_exchange *exchange, void *bytes, size_t capacity, size_t *got, struct error *err)
{
	return hop_read(&exchange->hop, bytes, capacity, got, err) || wrapped(exchange, err);
}

bool http_read_all(struct http_exchange *exchange, struct buf *out, struct error *err)
{
	char step[TASK_STEP_BYTES];
	for (;;) {
		size_t got;
		if (!http_read(exchange, step, sizeof step, &got, err))
			return false;
		if (got == 0)
			return true;
		if (!buf_append(out, step, got, err))
			return wrapped(exchange, err);
	}
}

void http_close(struct http_exchange *exchange)
{
	if (!exchange)
		return;
	hop_release(&exchange->hop);
	for (size_t i = 0; i < exchange->followed_count; i++)
		free(exchange->followed[i]);
	free(exchange->what);
	free(exchange->own_url);
	exchange->http->open_exchanges--;
	free(exchange);
}

int http_status(const struct http_exchange *exchange)
{
	return exchange->hop.status;
}

const char *http_header(const struct http_exchange *exchange, const char *name, size_t nth)
{
	return headers_get(&exchange->hop.headers, name, nth);
}

int64_t http_content_length(const struct http_exchange *exchange)
{
	return headers_content_length(&exchange->hop.headers);
}

enum address_class http_address_class(const struct http_exchange *exchange)
{
	return exchange->home_class;
}

const char *http_url(const struct http_exchange *exchange)
{
	return exchange->url;
}

const char *http_what(const struct http_exchange *exchange)
{
	return exchange->what;
}
