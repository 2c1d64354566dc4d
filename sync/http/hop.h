/*
 * One hop of an exchange: a request to one URL and its reply, as waiting calls over the events of a transport, with
 * the clocks. Of the clocks only the one of the current wait runs: while nobody waits, it is we who pause.
 */
#ifndef DRAY_SYNC_HTTP_HOP_H
#define DRAY_SYNC_HTTP_HOP_H

#include "base/buf.h"
#include "scheduler/task.h"
#include "sync/http/headers.h"
#include "sync/http/transport.h"

struct hop {
	struct transport *transport;
	const struct http_settings *settings;
	struct http_counters *counters;
	enum http_method method;
	enum http_kind kind;

	struct transport_stream *stream; /* NULL: not started, or given up */
	struct waitqueue changed;
	int64_t since_ms;    /* the last progress, our own pauses not counted */
	int64_t waited_ms;   /* since then, in waits that are over */
	int64_t moved_bytes; /* of a body, since then */
	int64_t deadline_ms; /* of the wait that goes on: when it looks again */
	struct error failure;
	bool connected, answered, ended;

	enum address_class peer;
	int status;
	struct headers headers;

	/* our body: a piece is lent to the transport until it has taken all of it */
	int64_t body_bytes, taken_bytes;
	int64_t lent_at; /* where in the body the piece begins */
	const unsigned char *lent;
	size_t lent_length, lent_taken;
	bool take_paused;

	/* their body: into the buffer of who reads; what is beyond it, or comes before anybody reads, is spilt */
	unsigned char *into;
	size_t into_capacity, into_length;
	struct buf spill;
	size_t spill_read;
	int64_t received_bytes;
	bool body_paused, discard;
};

void hop_init(struct hop *hop, struct transport *transport, const struct http_settings *settings,
	struct http_counters *counters);

/** End it, at whatever point; an unfinished one loses its connection. */
void hop_release(struct hop *hop);

/**
 * Send a request; @body NULL: what it announces comes by hop_write(). Errors of this and all that follow as in
 * http.h, without the name of the request in front.
 */
must_check bool hop_start(struct hop *hop, const struct transport_request *request, enum http_kind kind,
	const void *body, struct error *err);

must_check bool hop_wait_head(struct hop *hop, struct error *err);
must_check bool hop_write(struct hop *hop, const void *bytes, size_t length, struct error *err);

/** Waits until @capacity bytes are there, or the end; fewer come before the end, before an error, and now and then. */
must_check bool hop_read(struct hop *hop, void *bytes, size_t capacity, size_t *got, struct error *err);

/** Throw the body of the reply away, so that the connection can be used again; a long one costs the connection. */
must_check bool hop_discard(struct hop *hop, struct error *err);

#endif
