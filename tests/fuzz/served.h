/*
 * A server in memory whose replies are the fuzzer's: each request gets the next one, in virtual time.
 *
 * A reply is written as: its first byte chooses a status, the rest of its first line is the value of its Link header
 * (none if empty), and what follows, up to a form feed, is its body. When there is none left, the server answers 404.
 */
#ifndef DRAY_TESTS_FUZZ_SERVED_H
#define DRAY_TESTS_FUZZ_SERVED_H

#include "fuzz.h"

#include "scheduler/loop.h"
#include "sync/http/transport.h"
#include "sync/registry/registry.h"

struct served {
	struct transport base;
	char *rest;            /* of the input */
	size_t count;          /* requests */
	const char *last_link; /* of the reply served last; NULL: it had none */
	int last_status;
	void (*story)(struct served *served);
	struct registry *registry;
};

struct transport_stream {
	const struct transport_events *events;
	void *context;
	struct timer timer;
	int status;
	const char *link, *body;
	size_t length, given;
	bool is_head, told;
};

static inline char *served_cut(char **rest, char end)
{
	char *piece = *rest, *at = piece ? strchr(piece, end) : NULL;
	if (at)
		*at = '\0';
	*rest = at ? at + 1 : NULL;
	return piece;
}

static inline void served_step(void *argument)
{
	struct transport_stream *stream = argument;
	if (!stream->told) {
		char length[24];
		int digits = snprintf(length, sizeof length, "%zu", stream->length);
		stream->told = true;
		stream->events->connected(stream->context, ADDRESS_PUBLIC);
		stream->events->status(stream->context, stream->status);
		stream->events->header(stream->context, "Content-Length", 14, length, (size_t)digits);
		stream->events->header(stream->context, "Content-Type", 12, "application/json", 16);
		if (stream->link && *stream->link)
			stream->events->header(stream->context, "Link", 4, stream->link, strlen(stream->link));
		stream->events->head(stream->context);
	}
	while (!stream->is_head && stream->given < stream->length) {
		size_t piece = stream->length - stream->given;
		piece = piece < TRANSPORT_BODY_MAX ? piece : TRANSPORT_BODY_MAX;
		if (stream->events->body(stream->context, stream->body + stream->given, piece) == TRANSPORT_PAUSE)
			return;
		stream->given += piece;
	}
	stream->events->end(stream->context, NULL);
}

/* The ping is not the fuzzer's: there is no challenge. */
static inline void served_choose(struct served *served, const char *url, struct transport_stream *stream)
{
	static const int statuses[] = {200, 200, 200, 200, 404, 400, 405, 401, 403, 500};
	*stream = (struct transport_stream){.status = 200, .body = ""};
	if (strcmp(url, "https://r.test/v2/") == 0)
		return;
	char *page = served_cut(&served->rest, '\f');
	must(++served->count < 100000);
	stream->status = page && *page ? statuses[(unsigned char)*page % array_count(statuses)] : 404;
	stream->body = page && *page ? page + 1 : "";
	if (page && *page) {
		char *body = page + 1;
		stream->link = served_cut(&body, '\n');
		for (char *p = (char *)stream->link; *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = ' ';
		stream->body = body ? body : "";
	}
	stream->length = strlen(stream->body);
	served->last_status = stream->status;
	served->last_link = stream->link;
}

static inline bool served_start(struct transport *base, const struct transport_request *request,
	const struct transport_events *events, void *context, struct transport_stream **stream, struct error *err)
{
	struct transport_stream *fresh = memory_new(1, sizeof *fresh);
	(void)err;
	served_choose((struct served *)base, request->url, fresh);
	/* Whatever was in a page, we ask where we were told to, and nowhere else. */
	must(str_starts_with(request->url, "https://r.test/v2/"));
	for (const char *p = request->url; *p; p++)
		must((unsigned char)*p > 0x20 && *p != 0x7f);
	fresh->is_head = request->method == HTTP_HEAD;
	fresh->events = events;
	fresh->context = context;
	timer_start(&fresh->timer, 1, served_step, fresh);
	*stream = fresh;
	return true;
}

static inline void served_resume(struct transport_stream *stream)
{
	if (stream->timer.position == 0)
		timer_start(&stream->timer, 0, served_step, stream);
}

static inline void served_release(struct transport_stream *stream)
{
	timer_stop(&stream->timer);
	free(stream);
}

static inline void served_free(struct transport *base)
{
	(void)base;
}

static inline void served_main(void *argument)
{
	struct served *served = argument;
	static const struct registry_options options = {.domain = "r.test"};
	struct http *http = http_new_over(&served->base, NULL);
	served->registry = registry_new(http, &options);
	served->story(served);
	registry_free(served->registry);
	http_free(http);
}

/** Play @story against a registry that answers with @replies, which are cut to pieces. */
static inline void serve(char *replies, void (*story)(struct served *served))
{
	struct served served = {
		.base = {served_start, served_resume, served_release, served_free},
		.rest = replies,
		.story = story,
	};
	struct loop *loop = loop_new_virtual(1);
	loop_run(loop, served_main, &served);
	loop_free(loop);
}

#endif
