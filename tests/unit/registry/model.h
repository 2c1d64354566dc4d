/*
 * A registry in memory, for stories in virtual time: each row is a request that must come next, and the reply to it.
 */
#ifndef DRAY_TESTS_UNIT_REGISTRY_MODEL_H
#define DRAY_TESTS_UNIT_REGISTRY_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "sync/http/transport.h"
#include "sync/registry/registry.h"

/* A row says what matters in it; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum { ROW_HEADERS = 4 };

enum fault {
	FAULT_NONE,
	FAULT_NO_REPLY, /* the connection breaks when the whole request is there */
	FAULT_EARLY,    /* the reply comes before the body */
	FAULT_CUT,      /* the connection breaks behind the body of the reply */
};

struct row {
	const char *request; /* "GET https://host/v2/" */
	const char *headers; /* what the request must have, "Name: value" lines; NULL: not looked at */
	int status;
	const char *reply_headers[ROW_HEADERS]; /* "Name: value" */
	const char *body;
	enum fault fault;
	const char *sent; /* the body that the request must have; NULL: not looked at */
};

struct model {
	struct transport base;
	const struct row *rows;
	size_t row_count, at;
	int streams;
	enum address_class peer;
	void (*body)(struct model *model);
	struct http *http;
	struct registry *registry;
	struct registry_options options;
	void *data;
};

enum stage { STAGE_CONNECT, STAGE_TAKE, STAGE_HEAD, STAGE_BODY, STAGE_END, STAGE_OVER };

struct transport_stream {
	struct model *model;
	const struct row *row;
	const struct transport_events *events;
	void *context;
	enum stage stage;
	int64_t body_bytes;
	struct buf taken;
	struct timer timer;
	bool is_head;
};

static inline void model_tell_head(struct transport_stream *stream)
{
	const struct row *row = stream->row;
	bool has_length = false;
	stream->events->status(stream->context, row->status);
	for (size_t i = 0; i < ROW_HEADERS && row->reply_headers[i]; i++) {
		const char *line = row->reply_headers[i], *colon = strchr(line, ':');
		has_length |= str_starts_with(line, "Content-Length:") || str_starts_with(line, "Transfer-Encoding:");
		stream->events->header(stream->context, line, (size_t)(colon - line), colon + 2, strlen(colon + 2));
	}
	if (!has_length && !stream->is_head && row->body) {
		char length[24];
		snprintf(length, sizeof length, "%zu", strlen(row->body));
		stream->events->header(stream->context, "Content-Length", 14, length, strlen(length));
	}
	stream->events->head(stream->context);
}

/* False: paused. */
static inline bool model_take(struct transport_stream *stream)
{
	char bytes[1000];
	while ((int64_t)stream->taken.length < stream->body_bytes) {
		size_t got = stream->events->take(stream->context, bytes, sizeof bytes);
		if (got == TRANSPORT_PAUSE)
			return false;
		assert_true(buf_append(&stream->taken, bytes, got, NULL));
	}
	if (stream->row->sent)
		assert_string_equal(buf_peek(&stream->taken), stream->row->sent);
	return true;
}

static inline bool model_give(struct transport_stream *stream)
{
	const char *body = stream->is_head ? NULL : stream->row->body;
	return !body || !*body || stream->events->body(stream->context, body, strlen(body)) != TRANSPORT_PAUSE;
}

static inline void model_end(struct transport_stream *stream, const char *failure)
{
	struct error err;
	stream->stage = STAGE_OVER;
	if (failure)
		error_set(&err, ERR_UNAVAILABLE, "%s", failure);
	stream->events->end(stream->context, failure ? &err : NULL);
}

static inline void model_step(void *argument)
{
	struct transport_stream *stream = argument;
	bool early = stream->row->fault == FAULT_EARLY;
	switch (stream->stage) {
	case STAGE_CONNECT:
		stream->events->connected(stream->context, stream->model->peer);
		stream->stage = early ? STAGE_HEAD : STAGE_TAKE;
		break;
	case STAGE_TAKE:
		if (!model_take(stream))
			return;
		stream->stage = STAGE_HEAD;
		if (stream->row->fault == FAULT_NO_REPLY) {
			model_end(stream, "connection reset");
			return;
		}
		break;
	case STAGE_HEAD:
		model_tell_head(stream);
		stream->stage = STAGE_BODY;
		break;
	case STAGE_BODY:
		if (!model_give(stream))
			return;
		stream->stage = STAGE_END;
		break;
	case STAGE_END:
		model_end(stream, stream->row->fault == FAULT_CUT ? "connection reset" : NULL);
		return;
	case STAGE_OVER:
		return;
	}
	timer_start(&stream->timer, 1, model_step, stream);
}

static inline void model_check_headers(const struct row *row, const struct transport_request *request)
{
	auto_free char *all = memory_text("");
	for (size_t i = 0; i < request->header_count; i++) {
		if (str_is(request->headers[i].name, "User-Agent"))
			continue;
		char *longer = memory_format("%s%s: %s\n", all, request->headers[i].name, request->headers[i].value);
		free(all);
		all = longer;
	}
	if (row->headers && strcmp(all, row->headers) != 0)
		fail_msg("%s came with\n%sand not with\n%s", row->request, all, row->headers);
}

/* What a server named is judged by its address, and the user's exception for the registry is not for it (T-17). */
static inline void model_check_trust(
	const struct model *model, const struct row *row, const struct transport_request *request)
{
	bool elsewhere = !strstr(row->request, "//r.test/"), named = false;
	for (size_t i = 0; i < model->options.realm_count; i++)
		named |= strstr(row->request, model->options.realms[i]) != NULL;
	assert_int_equal(request->foreign, elsewhere && !named);
	assert_true(!elsewhere || !request->tls->insecure);
}

static inline bool model_start(struct transport *base, const struct transport_request *request,
	const struct transport_events *events, void *context, struct transport_stream **stream, struct error *err)
{
	struct model *model = (struct model *)base;
	auto_free char *line = memory_format("%s %s", http_method_name(request->method), request->url);
	(void)err;
	if (model->at == model->row_count)
		fail_msg("one request too many: %s", line);
	const struct row *row = &model->rows[model->at++];
	assert_string_equal(line, row->request);
	model_check_headers(row, request);
	model_check_trust(model, row, request);
	struct transport_stream *fresh = memory_new(1, sizeof *fresh);
	*fresh = (struct transport_stream){.model = model,
		.row = row,
		.events = events,
		.context = context,
		.body_bytes = request->body_bytes,
		.is_head = request->method == HTTP_HEAD};
	buf_init(&fresh->taken, 1 << 20);
	timer_start(&fresh->timer, 1, model_step, fresh);
	model->streams++;
	*stream = fresh;
	return true;
}

static inline void model_resume(struct transport_stream *stream)
{
	if (stream->stage != STAGE_OVER && stream->timer.position == 0)
		timer_start(&stream->timer, 0, model_step, stream);
}

static inline void model_release(struct transport_stream *stream)
{
	timer_stop(&stream->timer);
	buf_release(&stream->taken);
	stream->model->streams--;
	free(stream);
}

static inline void model_free(struct transport *base)
{
	assert_int_equal(((struct model *)base)->streams, 0);
}

static inline void model_main(void *argument)
{
	struct model *model = argument;
	model->http = http_new_over(&model->base, NULL);
	model->registry = registry_new(model->http, &model->options);
	model->body(model);
	registry_free(model->registry);
	http_free(model->http);
}

/* Play @body against the rows, which must all be asked for. */
static inline void play(void (*body)(struct model *model), const struct registry_options *options,
	const struct row *rows, size_t row_count, void *data)
{
	struct model model = {
		.base = {model_start, model_resume, model_release, model_free},
		.rows = rows,
		.row_count = row_count,
		.peer = ADDRESS_PUBLIC,
		.body = body,
		.options = options ? *options : (struct registry_options){.domain = "r.test", .tls.insecure = true},
		.data = data,
	};
	struct loop *loop = loop_new_virtual(1);
	loop_run(loop, model_main, &model);
	loop_free(loop);
	if (model.at != row_count)
		fail_msg("never asked for: %s", rows[model.at].request);
}

#define PLAY(body, options, rows, data) play(body, options, rows, array_count(rows), data)

#endif
