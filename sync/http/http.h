/*
 * HTTP from a task: one exchange is a request that is opened, a body that is written, a reply that is read.
 *
 * Below it is a transport (transport.h): libcurl multi on the loop, or, in tests, a registry model in memory. Here live
 * what both need: redirects by our own hand under one origin policy (origin.h), the clocks, the caps, the counters.
 * There is no retry here: who asks knows what may be asked again (scheduler/retry.h decides).
 *
 * Not used of libcurl, ever: its redirects, authentication, netrc, cookies, content decoding (HTTP-1 to HTTP-4, T-26).
 */
#ifndef DRAY_SYNC_HTTP_HTTP_H
#define DRAY_SYNC_HTTP_HTTP_H

#include "base/buf.h"
#include "base/error.h"
#include "sync/http/origin.h"

#include <stddef.h>

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_METHOD_COUNT };

/* What a request is for: the report counts by method and kind. */
enum http_kind {
	HTTP_PING,
	HTTP_TOKEN,
	HTTP_TAGS,
	HTTP_CATALOG,
	HTTP_MANIFEST,
	HTTP_REFERRERS,
	HTTP_BLOB,
	HTTP_UPLOAD,
	HTTP_KIND_COUNT
};

/** The versions of libcurl and of what it stands on, as it tells them. */
const char *http_library_version(void);

const char *http_method_name(enum http_method method);
const char *http_kind_name(enum http_kind kind);

/* What errors say to who has the wrong one of http and https; `copy` and others without a configuration have the
 * defaults. */
#define HTTP_HINT_TLS   "the host speaks TLS there, and tls is off for it (the default of loopback hosts): set it to on"
#define HTTP_HINT_PLAIN "the host speaks plain http there, and tls is on for it (the default): set it to off"

/* How TLS is done with one registry. Borrowed texts; NULL: the system's default. */
struct http_tls {
	const char *ca_file;
	const char *client_certificate_file;
	const char *client_key_file;
	bool insecure; /* no verification: only where the configuration says so, and it is warned about */
};

struct http_settings {
	int64_t connect_timeout_ms;
	int64_t first_byte_timeout_ms; /* request sent -> head of the reply */
	int64_t stall_timeout_ms;      /* no byte either way, our own pauses not counted */
	int64_t commit_timeout_ms;     /* body of a PUT sent -> head of the reply (HTTP-11) */
	const char *user_agent;
};

extern const struct http_settings http_settings_default;

struct http_counters {
	int64_t requests[HTTP_METHOD_COUNT][HTTP_KIND_COUNT];
	int64_t received_bytes; /* bodies of blobs */
	int64_t sent_bytes;     /* bodies of uploads */
};

struct http;
struct transport;

/** A client on the current loop, over libcurl. Inside loop_run() only. ERR_IO: libcurl cannot be set up. */
struct http *http_new(const struct http_settings *settings, struct error *err);

/** A client over @transport, which it takes. For tests. */
struct http *http_new_over(struct transport *transport, const struct http_settings *settings);

/** Waits until every connection is closed. No exchange may be open. NULL is fine. */
void http_free(struct http *http);

const struct http_counters *http_counters(const struct http *http);

#define HTTP_NO_BODY (-1)

struct http_request {
	enum http_method method;
	enum http_kind kind;
	const char *url;           /* absolute */
	const char *authorization; /* value of the header, or NULL; sent to the origin of @url and to no other */
	const char *accept;        /* or NULL */
	const char *content_type;  /* or NULL */
	const void *body;          /* small body in memory, or NULL: it comes by http_write() */
	int64_t body_bytes;        /* HTTP_NO_BODY, or its exact length */
	int64_t range_first;       /* closed Range (BLB-4), of a body that is sent its Content-Range (UPL-12); negative,
				      or a last of 0: the whole */
	int64_t range_last;
	bool bulk;                     /* a blob: HTTP/1.1, a connection for itself (HTTP-9) */
	const struct http_tls *tls;    /* or NULL */
	bool anonymous_redirects_only; /* refuse to follow to another origin (AUTH-14, RFR-2) */
	bool foreign; /* a server named the origin of @url (a realm, an upload location), not the user: it must be at an
			 address that one at @home_class may send us to (T-17) */
	enum address_class home_class;
};

struct http_exchange;

/**
 * Send the request. With no body, or one in memory, wait for the head of the reply, and follow redirects as RED-1 to
 * RED-5 say: GET and HEAD; others with no body or one in memory on 307 and 308 only, and not to another origin. With
 * a body that is to be written, return as soon as writing can begin, and follow nothing. All texts of @request but its
 * URL are borrowed until http_close().
 *
 * A reply of any status is a success here.
 * ERR_UNAVAILABLE  no connection, or it broke     ERR_TIMEOUT  connect or first byte
 * ERR_REFUSED      certificate, downgrade, foreign address or scheme, a loop of redirects
 * ERR_PROTOCOL     not HTTP, or headers above the caps of base/limits.h
 * ERR_CANCELED
 */
must_check bool http_open(
	struct http *http, const struct http_request *request, struct http_exchange **exchange, struct error *err);

/**
 * Send the next @length bytes of the body; waits until they are taken. If the server has answered already, or the
 * connection broke, false with ERR_UNAVAILABLE; http_reply() then tells which. Errors else as http_open().
 */
must_check bool http_write(struct http_exchange *exchange, const void *bytes, size_t length, struct error *err);

/** After the body was written: wait for the head of the reply, commit_timeout_ms at most. At once if it is there. */
must_check bool http_reply(struct http_exchange *exchange, struct error *err);

/**
 * Read some of the body into @bytes; waits, for @capacity of them where more will come. *got == 0: the end, and the
 * length agreed with Content-Length. ERR_UNAVAILABLE: broken or short (HTTP-12); ERR_TIMEOUT: stalled; what came before
 * is given first.
 */
must_check bool http_read(struct http_exchange *exchange, void *bytes, size_t capacity, size_t *got, struct error *err);

/** Read the whole body; ERR_TOO_LARGE above the maximum of @out. */
must_check bool http_read_all(struct http_exchange *exchange, struct buf *out, struct error *err);

/** End it, at whatever point; an unfinished one loses its connection. NULL is fine. */
void http_close(struct http_exchange *exchange);

int http_status(const struct http_exchange *exchange);

/** The value of the @nth header of that name (from 0), or NULL. Borrowed until http_close(). */
const char *http_header(const struct http_exchange *exchange, const char *name, size_t nth);

/** Content-Length, or -1. A hint (T-3). */
int64_t http_content_length(const struct http_exchange *exchange);

/** The URL that answered, after redirects. Borrowed until http_close(). */
const char *http_url(const struct http_exchange *exchange);

/** At what class of address the origin of the request was found: home_class of requests that follow from it. */
enum address_class http_address_class(const struct http_exchange *exchange);

/** "GET https://host/path" without query or userinfo, for errors (T-23). Borrowed until http_close(). */
const char *http_what(const struct http_exchange *exchange);

static inline void http_close_pointer(struct http_exchange **slot)
{
	http_close(*slot);
}
#define auto_exchange __attribute__((cleanup(http_close_pointer)))

/** The one table from HTTP status to error kind (ERR-3). 2xx: ERR_NONE. */
enum error_kind http_status_kind(int status);

#endif
