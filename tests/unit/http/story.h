/*
 * A story: a client in a task on a real loop, against one or two scripted servers.
 */
#ifndef DRAY_TESTS_UNIT_HTTP_STORY_H
#define DRAY_TESTS_UNIT_HTTP_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "server.h"
#include "sync/http/http.h"

struct story {
	struct server server, other; /* of two origins */
	struct http *http;
	struct http_settings settings;
	void (*body)(struct story *story);
	void *data;
};

static inline void story_main(void *argument)
{
	struct story *story = argument;
	struct error err;
	story->http = http_new(&story->settings, &err);
	assert_non_null(story->http);
	story->body(story);
	http_free(story->http);
}

static inline void tell(
	void (*body)(struct story *story), bool (*reply)(struct peer *peer), const struct http_settings *settings)
{
	struct story story = {.body = body, .settings = settings ? *settings : http_settings_default};
	server_start(&story.server, reply, &story);
	server_start(&story.other, reply, &story);
	struct loop *loop = loop_new();
	loop_run(loop, story_main, &story);
	loop_free(loop);
	server_stop(&story.server);
	server_stop(&story.other);
}

static inline struct http_request request_of(enum http_method method, const char *url)
{
	return (struct http_request){
		.method = method, .kind = HTTP_BLOB, .url = url, .body_bytes = HTTP_NO_BODY, .range_first = -1};
}

static inline char *url_at(const struct server *server, const char *path)
{
	return memory_format("http://127.0.0.1:%d%s", server->port, path);
}

/* Open @path at the first server, or at an absolute URL; the text is kept for the exchange's life. */
static inline struct http_exchange *open_url(struct story *story, enum http_method method, const char *url)
{
	struct error err = {.kind = ERR_NONE};
	struct http_exchange *exchange;
	struct http_request request = request_of(method, url);
	if (!http_open(story->http, &request, &exchange, &err))
		fail_msg("%s", err.text);
	return exchange;
}

static inline enum error_kind failure_of(struct story *story, const struct http_request *request, struct error *err)
{
	struct http_exchange *exchange;
	*err = (struct error){.kind = ERR_NONE};
	if (http_open(story->http, request, &exchange, err))
		http_close(exchange);
	return err->kind;
}

static inline enum error_kind failure_at(struct story *story, enum http_method method, const char *path)
{
	struct error err;
	auto_free char *url = url_at(&story->server, path);
	struct http_request request = request_of(method, url);
	return failure_of(story, &request, &err);
}

static inline void assert_body(struct http_exchange *exchange, const char *want)
{
	auto_buf struct buf body;
	struct error err;
	buf_init(&body, 1 << 20);
	if (!http_read_all(exchange, &body, &err))
		fail_msg("%s", err.text);
	assert_string_equal(buf_peek(&body), want);
}

#endif
