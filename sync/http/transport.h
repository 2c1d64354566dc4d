/*
 * The seam below http.h: one hop goes out (no redirects, no policy), events come back.
 *
 * Two implement it: curl.c, and a registry model in memory for tests. Events are called on the loop or from within a
 * transport function that says so; they only note what happened and wake the task that waits for it: they never wait,
 * and never call the transport back.
 *
 * Order of events: connected, status, header..., head; body...; end, exactly once. `take` may be called at any time
 * after connected until all of the body is taken, also after the head: a server may answer early. A 1xx reply has a
 * status and headers, and no head.
 */
#ifndef DRAY_SYNC_HTTP_TRANSPORT_H
#define DRAY_SYNC_HTTP_TRANSPORT_H

#include "sync/http/http.h"
#include "sync/http/origin.h"

struct transport_header {
	const char *name, *value; /* free of control bytes */
};

struct transport_request {
	enum http_method method;
	const char *url;
	const struct transport_header *headers;
	size_t header_count;
	int64_t body_bytes; /* what `take` will give; HTTP_NO_BODY: none. POST, PUT and PATCH always have one, maybe of
			       0 */
	bool bulk;
	const struct http_tls *tls; /* or NULL */
	int64_t connect_timeout_ms;
	bool foreign; /* not an origin that the user named: judge the address by origin_may_connect(@home, ...) */
	enum address_class home;
};

/* Returned by `body` and `take`: nothing now; go on after transport->resume(). */
#define TRANSPORT_PAUSE ((size_t)-1)

/* No `body` event brings more than this. */
#define TRANSPORT_BODY_MAX ((size_t)16 * 1024)

struct transport_events {
	/** There is a connection to an address of that class, and it may be used; the request goes out now. */
	void (*connected)(void *context, enum address_class peer);

	/** A status line: what was noted of an earlier one (1xx) is void. False: as `header`. */
	bool (*status)(void *context, int status);

	/** One header, in the order of the reply; the texts are the transport's. False: give up, and end(NULL). */
	bool (*header)(void *context, const char *name, size_t name_length, const char *value, size_t value_length);

	/** The final head is complete. */
	void (*head)(void *context);

	/** Bytes of the body: returns @length, or TRANSPORT_PAUSE (then all of them come again after resume()). */
	size_t (*body)(void *context, const void *bytes, size_t length);

	/** Give up to @capacity bytes of our body: how many, or TRANSPORT_PAUSE. Never called once all were taken. */
	size_t (*take)(void *context, void *bytes, size_t capacity);

	/** The connection died before any reply: take the body from its start again? False: it cannot be. */
	bool (*rewind)(void *context);

	/** It is over. @failure NULL: a whole reply came (or an event said to give up). */
	void (*end)(void *context, const struct error *failure);
};

struct transport_stream; /* one hop; each transport has its own */

struct transport {
	/**
	 * Start one hop; no event comes before it has returned. All of @request is the caller's again then, but for its
	 * tls, which stays until release(). False: nothing was started. ERR_INVALID: it cannot be sent as it is.
	 */
	bool (*start)(struct transport *transport, const struct transport_request *request,
		const struct transport_events *events, void *context, struct transport_stream **stream,
		struct error *err);

	/** Ask again, from the loop, for what `body` or `take` paused. From a task; harmless if nothing is paused. */
	void (*resume)(struct transport_stream *stream);

	/** No more events. A stream that has not ended loses its connection. */
	void (*release)(struct transport_stream *stream);

	/** Close and free everything; waits. No stream is left. */
	void (*free)(struct transport *transport);
};

/** libcurl multi on the current loop, which is a real one. ERR_IO. */
struct transport *transport_curl_new(struct error *err);

#endif
