/* covers: HTTP-1, HTTP-3, HTTP-4, HTTP-5, HTTP-6, HTTP-12, RED-1, RED-2, RED-3, RED-4, RED-10, T-2, T-10, T-13, T-17,
 * T-41 */
#include "story.h"

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* --- replies ------------------------------------------------------------------------------------------------------ */

static bool moved(struct peer *peer, int status, const char *location)
{
	auto_free char *text = memory_format("HTTP/1.1 %d Moved\r\nContent-Length: 3\r\nLocation: %s\r\n\r\n%s", status,
		location, str_is(peer->method, "HEAD") ? "" : "no\n");
	peer_drop_body(peer);
	peer_say(peer, text);
	return true;
}

static bool reply_simple(struct peer *peer)
{
	struct story *story = peer->server->data;
	int status, steps;
	if (sscanf(peer->path, "/same/%d", &status) == 1)
		return moved(peer, status, "/end");
	if (sscanf(peer->path, "/away/%d", &status) == 1) {
		auto_free char *url = url_at(&story->other, "/end");
		return moved(peer, status, url);
	}
	if (sscanf(peer->path, "/steps/%d", &steps) == 1 && steps > 0) {
		auto_free char *next = memory_format("%d", steps - 1);
		return moved(peer, 302, next);
	}
	if (str_is(peer->path, "/wordy")) {
		static char words[60000];
		memset(words, ' ', sizeof words);
		peer_say(peer, "HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 60000\r\n\r\n");
		peer_say_bytes(peer, words, sizeof words);
		return true;
	}
	if (str_is(peer->path, "/circle"))
		return moved(peer, 302, "/circle2");
	if (str_is(peer->path, "/circle2"))
		return moved(peer, 302, "/circle");
	if (str_is(peer->path, "/metadata"))
		return moved(peer, 302, "http://169.254.169.254/latest");
	if (str_is(peer->path, "/userinfo"))
		return moved(peer, 302, "http://user:secret@127.0.0.1/");
	if (str_is(peer->path, "/file"))
		return moved(peer, 302, "file:///etc/passwd");
	if (str_is(peer->path, "/blank"))
		return moved(peer, 302, "/a b");
	peer_drop_body(peer);
	if (str_is(peer->method, "HEAD"))
		peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nSet-Cookie: sid=1\r\n\r\n");
	else
		peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: sid=1\r\n\r\nhello");
	return true;
}

static bool reply_odd(struct peer *peer)
{
	static const struct {
		const char *path, *text;
	} rows[] = {
		{"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a:  2 \r\n\r\n"
			     "5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\nTrailer: 1\r\n\r\n"},
		{"/interim", "HTTP/1.1 100 Continue\r\nX-A: interim\r\n\r\nHTTP/1.1 103 Early\r\nX-B: interim\r\n\r\n"
			     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: final\r\n\r\nhello"},
		{"/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst half"},
		{"/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"/cut-head", "HTTP/1.1 200 OK\r\nContent-Le"},
		{"/nothing", ""},
		{"/close", "HTTP/1.1 200 OK\r\n\r\nhello"},
		{"/0.9", "hello"},
		{"/not-http", "SSH-2.0-OpenSSH_9.2\r\n"},
		{"/folded", "HTTP/1.1 200 OK\r\nLocation: /a\r\n b\r\nContent-Length: 0\r\n\r\n"},
		{"/gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"},
		{"/204", "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"},
		{"/304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"},
		{"/302-nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (str_is(peer->path, rows[i].path))
			peer_say(peer, rows[i].text);
	return false;
}

/* --- the ordinary way --------------------------------------------------------------------------------------------- */

static void three_requests(struct story *story)
{
	auto_free char *url = url_at(&story->server, "/v2/?a=b%2fc");
	for (int i = 0; i < 3; i++) {
		auto_exchange struct http_exchange *exchange = open_url(story, HTTP_GET, url);
		assert_int_equal(http_status(exchange), 200);
		assert_int_equal(http_content_length(exchange), 5);
		assert_string_equal(http_url(exchange), url);
		auto_free char *what = memory_format("GET http://127.0.0.1:%d/v2/", story->server.port);
		assert_string_equal(http_what(exchange), what);
		assert_body(exchange, "hello");
		assert_int_equal(http_address_class(exchange), ADDRESS_LOOPBACK);
	}
	assert_int_equal(story->server.connections, 1);
	assert_string_equal(story->server.log, "GET /v2/?a=b%2fc\nGET /v2/?a=b%2fc\nGET /v2/?a=b%2fc\n");
	assert_int_equal(http_counters(story->http)->requests[HTTP_GET][HTTP_BLOB], 3);
	assert_int_equal(http_counters(story->http)->received_bytes, 15);
}

static void a_connection_serves_request_after_request(void **state)
{
	(void)state;
	tell(three_requests, reply_simple, NULL);
}

static void head_request(struct story *story)
{
	auto_free char *url = url_at(&story->server, "/x");
	for (int i = 0; i < 2; i++) {
		auto_exchange struct http_exchange *exchange = open_url(story, HTTP_HEAD, url);
		assert_int_equal(http_content_length(exchange), 12345);
		assert_body(exchange, "");
	}
	assert_int_equal(story->server.connections, 1);
}

static void a_head_has_a_length_and_no_body(void **state)
{
	(void)state;
	tell(head_request, reply_simple, NULL);
}

static bool reply_with_head(struct peer *peer)
{
	/* The request comes back as the body of the reply. */
	peer_drop_body(peer);
	auto_free char *text = memory_format("HTTP/1.1 200 OK\r\nSet-Cookie: sid=1\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(peer->head), peer->head);
	peer_say(peer, text);
	return true;
}

static char *head_of(struct story *story, const struct http_request *request)
{
	struct error err;
	auto_exchange struct http_exchange *exchange = NULL;
	struct buf body;
	buf_init(&body, 65536);
	assert_true(http_open(story->http, request, &exchange, &err));
	assert_true(http_read_all(exchange, &body, &err));
	return buf_take(&body, NULL);
}

static void what_is_sent(struct story *story)
{
	auto_free char *url = url_at(&story->server, "/p/../q?x=%2F&y");
	struct http_request request = request_of(HTTP_GET, url);
	request.authorization = "Bearer abc";
	request.accept = "application/json";
	request.range_first = 5;
	request.range_last = 9;
	for (int i = 0; i < 2; i++) { /* the second after a Set-Cookie */
		auto_free char *head = head_of(story, &request);
		auto_free char *want = memory_format("GET /p/../q?x=%%2F&y HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
						     "User-Agent: test/1\r\nAccept: application/json\r\n"
						     "Authorization: Bearer abc\r\nRange: bytes=5-9\r\n\r\n",
			story->server.port);
		assert_string_equal(head, want);
	}

	static char big[2 << 20];
	request = request_of(HTTP_PUT, url);
	request.content_type = "application/octet-stream";
	request.body = big;
	request.body_bytes = sizeof big;
	auto_free char *put = head_of(story, &request);
	assert_non_null(strstr(put, "\r\nContent-Length: 2097152\r\n"));
	assert_non_null(strstr(put, "\r\nContent-Type: application/octet-stream\r\n"));
	assert_null(strstr(put, "Expect"));
	assert_null(strstr(put, "Transfer-Encoding"));
	assert_null(strstr(put, "Cookie"));

	static const enum http_method empty[] = {HTTP_POST, HTTP_PUT, HTTP_PATCH};
	for (size_t i = 0; i < array_count(empty); i++) {
		request = request_of(empty[i], url);
		auto_free char *post = head_of(story, &request);
		assert_non_null(strstr(post, "\r\nContent-Length: 0\r\n"));
		assert_null(strstr(post, "Expect"));
		assert_null(strstr(post, "Content-Type"));
		assert_true(str_starts_with(post, http_method_name(empty[i])));
	}
	request = request_of(HTTP_DELETE, url);
	auto_free char *gone = head_of(story, &request);
	assert_true(str_starts_with(gone, "DELETE "));
	assert_null(strstr(gone, "Content-Length"));
}

static void only_what_was_asked_for_is_sent(void **state)
{
	(void)state;
	struct http_settings settings = http_settings_default;
	settings.user_agent = "test/1";
	tell(what_is_sent, reply_with_head, &settings);
}

static void odd_replies(struct story *story)
{
	auto_free char *chunked = url_at(&story->server, "/chunked"), *interim = url_at(&story->server, "/interim");
	struct http_exchange *exchange = open_url(story, HTTP_GET, chunked);
	assert_int_equal(http_content_length(exchange), -1);
	assert_string_equal(http_header(exchange, "X-A", 0), "1");
	assert_string_equal(http_header(exchange, "X-A", 1), "2");
	assert_null(http_header(exchange, "X-A", 2));
	assert_body(exchange, "hello!");
	assert_null(http_header(exchange, "Trailer", 0));
	http_close(exchange);

	exchange = open_url(story, HTTP_GET, interim);
	assert_int_equal(http_status(exchange), 200);
	assert_string_equal(http_header(exchange, "x-a", 0), "final");
	assert_null(http_header(exchange, "x-b", 0));
	assert_body(exchange, "hello");
	http_close(exchange);

	static const char *const empty[] = {"/204", "/304", "/302-nowhere"};
	for (size_t i = 0; i < array_count(empty); i++) {
		auto_free char *url = url_at(&story->server, empty[i]);
		exchange = open_url(story, HTTP_GET, url);
		assert_body(exchange, "");
		http_close(exchange);
	}
	static const char *const plain[] = {"/gzip", "/close"};
	for (size_t i = 0; i < array_count(plain); i++) {
		auto_free char *url = url_at(&story->server, plain[i]);
		exchange = open_url(story, HTTP_GET, url);
		assert_body(exchange, "hello");
		http_close(exchange);
	}
}

static void a_reply_is_read_as_it_is(void **state)
{
	(void)state;
	tell(odd_replies, reply_odd, NULL);
}

/* --- what breaks -------------------------------------------------------------------------------------------------- */

static void cut_bodies(struct story *story)
{
	static const struct {
		const char *path, *first;
	} rows[] = {{"/cut", "first half"}, {"/cut-chunk", "hello"}};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *url = url_at(&story->server, rows[i].path);
		auto_exchange struct http_exchange *exchange = open_url(story, HTTP_GET, url);
		char bytes[64];
		size_t got;
		struct error err;
		assert_true(http_read(exchange, bytes, sizeof bytes, &got, &err));
		assert_int_equal(got, strlen(rows[i].first));
		for (int again = 0; again < 2; again++) {
			assert_false(http_read(exchange, bytes, sizeof bytes, &got, &err));
			assert_int_equal(err.kind, ERR_UNAVAILABLE);
			assert_true(str_starts_with(err.text, http_what(exchange)));
		}
	}
	assert_int_equal(failure_at(story, HTTP_GET, "/nothing"), ERR_UNAVAILABLE);
	assert_int_equal(failure_at(story, HTTP_GET, "/cut-head"), ERR_UNAVAILABLE);
	assert_int_equal(failure_at(story, HTTP_GET, "/0.9"), ERR_PROTOCOL);
	assert_int_equal(failure_at(story, HTTP_GET, "/not-http"), ERR_PROTOCOL);
	assert_int_equal(failure_at(story, HTTP_GET, "/folded"), ERR_PROTOCOL);
}

static void a_short_reply_is_never_a_whole_one(void **state)
{
	(void)state;
	tell(cut_bodies, reply_odd, NULL);
}

static void no_server(struct story *story)
{
	struct error err;
	struct http_request request = request_of(HTTP_GET, "http://127.0.0.1:1/v2/?secret=1");
	assert_int_equal(failure_of(story, &request, &err), ERR_UNAVAILABLE);
	assert_string_equal(err.text, "GET http://127.0.0.1:1/v2/: Connection refused");

	auto_free char *tls = memory_format("https://127.0.0.1:%d/", story->server.port);
	struct http_tls missing = {.ca_file = "/nonexistent/ca.pem"};
	request = request_of(HTTP_GET, tls);
	request.tls = &missing;
	assert_int_equal(failure_of(story, &request, &err), ERR_IO);

	/* Each port is resolved anew, by a resolver whose descriptors come and go behind libcurl's back. */
	for (int port = 1; port <= 5; port++) {
		auto_free char *closed = memory_format("http://localhost:%d/", port);
		request = request_of(HTTP_GET, closed);
		assert_int_equal(failure_of(story, &request, &err), ERR_UNAVAILABLE);
	}
	/* Of the two addresses of a name one may not listen. */
	auto_free char *name = memory_format("http://localhost:%d/", story->server.port);
	for (int i = 0; i < 3; i++) {
		auto_exchange struct http_exchange *exchange = open_url(story, HTTP_GET, name);
		assert_body(exchange, "hello");
	}
}

static void who_does_not_answer_is_named(void **state)
{
	(void)state;
	tell(no_server, reply_simple, NULL);
}

static bool reply_and_reset(struct peer *peer)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	peer_say(peer, HELLO);
	setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	return false;
}

static void resets(struct story *story)
{
	for (int i = 0; i < 100; i++) {
		auto_free char *url = url_at(&story->server, "/");
		auto_exchange struct http_exchange *exchange = open_url(story, HTTP_GET, url);
		assert_body(exchange, "hello");
	}
}

static void what_came_before_a_reset_is_read(void **state)
{
	(void)state;
	tell(resets, reply_and_reset, NULL);
}

static bool reply_flood(struct peer *peer)
{
	int count = 0, bytes = 0;
	sscanf(peer->path, "/%d/%d", &count, &bytes);
	if (strstr(peer->path, "interim")) {
		for (int i = 0; i < count; i++)
			peer_say(peer, "HTTP/1.1 100 Continue\r\n\r\n");
		peer_say(peer, HELLO);
		return false;
	}
	char *line = memory_new((size_t)bytes + 1, 1);
	memset(line, 'x', (size_t)bytes);
	peer_say(peer, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < count; i++) {
		peer_say(peer, "X: ");
		peer_say(peer, line);
		peer_say(peer, "\r\n");
	}
	peer_say(peer, "Content-Length: 0\r\n\r\n");
	free(line);
	return false;
}

static void floods(struct story *story)
{
	assert_int_equal(failure_at(story, HTTP_GET, "/90/10"), ERR_NONE);
	assert_int_equal(failure_at(story, HTTP_GET, "/100/10"), ERR_PROTOCOL);
	assert_int_equal(failure_at(story, HTTP_GET, "/1/32000"), ERR_NONE);
	assert_int_equal(failure_at(story, HTTP_GET, "/1/33000"), ERR_PROTOCOL);
	assert_int_equal(failure_at(story, HTTP_GET, "/1/200000"), ERR_PROTOCOL); /* above libcurl's own cap */
	assert_int_equal(failure_at(story, HTTP_GET, "/60/1000"), ERR_NONE);
	assert_int_equal(failure_at(story, HTTP_GET, "/70/1000"), ERR_PROTOCOL);
	assert_int_equal(failure_at(story, HTTP_GET, "/20/0/interim"), ERR_NONE);
	assert_int_equal(failure_at(story, HTTP_GET, "/2000/0/interim"), ERR_PROTOCOL);
}

static void a_flood_of_headers_is_a_failure(void **state)
{
	(void)state;
	tell(floods, reply_flood, NULL);
}

static void injections(struct story *story)
{
	struct error err;
	auto_free char *url = url_at(&story->server, "/");
	struct http_request request = request_of(HTTP_GET, url);
	request.authorization = "Bearer x\r\nX-Evil: 1";
	assert_int_equal(failure_of(story, &request, &err), ERR_REFUSED);
	assert_null(strstr(err.text, "Bearer"));
	request.authorization = NULL;
	request.accept = "a\nb";
	assert_int_equal(failure_of(story, &request, &err), ERR_REFUSED);
	request.accept = "a\x7f";
	assert_int_equal(failure_of(story, &request, &err), ERR_REFUSED);
	assert_int_equal(failure_at(story, HTTP_GET, "/a b"), ERR_REFUSED);
	assert_int_equal(failure_at(story, HTTP_GET, "/a\r\nX-Evil: 1"), ERR_REFUSED);
	request = request_of(HTTP_GET, "file:///etc/passwd");
	assert_int_equal(failure_of(story, &request, &err), ERR_REFUSED);
	assert_int_equal(story->server.requests, 0);
	for (int kind = 0; kind < HTTP_KIND_COUNT; kind++)
		assert_int_equal(http_counters(story->http)->requests[HTTP_GET][kind], 0);
}

static void a_line_end_never_makes_a_header(void **state)
{
	(void)state;
	tell(injections, reply_simple, NULL);
}

/* --- redirects ---------------------------------------------------------------------------------------------------- */

struct redirect_row {
	enum http_method method;
	int status;
	const char *same, *away; /* what the last server sees: a method, "" when not followed, NULL when refused */
};

static void follow_row(struct story *story, const struct redirect_row *row, bool away)
{
	const char *want = away ? row->away : row->same;
	struct server *last = away ? &story->other : &story->server;
	auto_free char *path = memory_format("/%s/%d", away ? "away" : "same", row->status);
	auto_free char *url = url_at(&story->server, path);
	struct http_request request = request_of(row->method, url);
	auto_exchange struct http_exchange *exchange = NULL;
	struct error err = {.kind = ERR_NONE};
	request.authorization = "Bearer secret";
	if (row->method != HTTP_GET && row->method != HTTP_HEAD) {
		request.body = "{}";
		request.body_bytes = 2;
	}
	story->server.log[0] = story->other.log[0] = '\0';
	bool opened = http_open(story->http, &request, &exchange, &err);
	auto_free char *first = memory_format("%s %s Bearer secret\n", http_method_name(row->method), path);
	auto_free char *second =
		want && *want ? memory_format("%s /end%s\n", want, away ? "" : " Bearer secret") : NULL;
	assert_true(str_starts_with(story->server.log, first));
	if (!want) {
		assert_false(opened);
		assert_int_equal(err.kind, ERR_REFUSED);
		assert_string_equal(story->other.log, "");
		return;
	}
	assert_true(opened);
	assert_int_equal(http_status(exchange), *want ? 200 : row->status);
	const char *seen = away ? last->log : last->log + strlen(first);
	assert_string_equal(seen, second ? second : "");
}

static void follow_rows(struct story *story)
{
	static const struct redirect_row rows[] = {
		{HTTP_GET, 301, "GET", "GET"},
		{HTTP_GET, 302, "GET", "GET"},
		{HTTP_GET, 303, "GET", "GET"},
		{HTTP_GET, 307, "GET", "GET"},
		{HTTP_GET, 308, "GET", "GET"},
		{HTTP_GET, 300, "", ""},
		{HTTP_HEAD, 301, "HEAD", "HEAD"},
		{HTTP_HEAD, 303, "HEAD", "HEAD"},
		{HTTP_HEAD, 307, "HEAD", "HEAD"},
		{HTTP_PUT, 301, "", ""},
		{HTTP_PUT, 303, "", ""},
		{HTTP_PUT, 307, "PUT", NULL},
		{HTTP_PUT, 308, "PUT", NULL},
		{HTTP_POST, 302, "", ""},
		{HTTP_POST, 307, "POST", NULL},
		{HTTP_DELETE, 303, "", ""},
		{HTTP_DELETE, 307, "DELETE", NULL},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		follow_row(story, &rows[i], false);
		follow_row(story, &rows[i], true);
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(failure_at(story, HTTP_GET, "/wordy"), ERR_NONE);
	/* The connections survived all of it. */
	assert_int_equal(story->server.connections, 1);
	assert_int_equal(story->other.connections, 1);
}

static void authorization_stays_at_home_whatever_redirects(void **state)
{
	(void)state;
	tell(follow_rows, reply_simple, NULL);
}

static void bad_redirects(struct story *story)
{
	assert_int_equal(failure_at(story, HTTP_GET, "/steps/10"), ERR_NONE);
	assert_int_equal(http_counters(story->http)->requests[HTTP_GET][HTTP_BLOB], 11);
	assert_int_equal(failure_at(story, HTTP_GET, "/steps/11"), ERR_REFUSED);
	int before = story->server.requests;
	assert_int_equal(failure_at(story, HTTP_GET, "/circle"), ERR_REFUSED);
	assert_int_equal(story->server.requests, before + 2);
	assert_int_equal(failure_at(story, HTTP_GET, "/metadata"), ERR_REFUSED);
	assert_int_equal(failure_at(story, HTTP_GET, "/userinfo"), ERR_REFUSED);
	assert_int_equal(failure_at(story, HTTP_GET, "/file"), ERR_REFUSED);
	assert_int_equal(failure_at(story, HTTP_GET, "/blank"), ERR_PROTOCOL);

	struct error err;
	auto_free char *url = url_at(&story->server, "/away/302");
	struct http_request request = request_of(HTTP_GET, url);
	request.anonymous_redirects_only = true;
	assert_int_equal(failure_of(story, &request, &err), ERR_REFUSED);
	assert_int_equal(story->other.requests, 0);
}

static void a_redirect_that_may_not_be_is_refused(void **state)
{
	(void)state;
	tell(bad_redirects, reply_simple, NULL);
}

static void foreign_requests(struct story *story)
{
	struct error err;
	auto_free char *url = url_at(&story->server, "/");
	struct http_request request = request_of(HTTP_GET, url);
	request.foreign = true;
	request.home_class = ADDRESS_PUBLIC;
	assert_int_equal(failure_of(story, &request, &err), ERR_REFUSED);
	assert_int_equal(story->server.connections, 0);

	request.foreign = false;
	assert_int_equal(failure_of(story, &request, &err), ERR_NONE);
	request.foreign = true;
	assert_int_equal(failure_of(story, &request, &err), ERR_REFUSED); /* over the connection that is there now */
	assert_int_equal(story->server.requests, 1);

	request.home_class = ADDRESS_LOOPBACK;
	assert_int_equal(failure_of(story, &request, &err), ERR_NONE);
}

static void a_public_server_never_sends_us_to_loopback(void **state)
{
	(void)state;
	tell(foreign_requests, reply_simple, NULL);
}

static void statuses_have_kinds(void **state)
{
	(void)state;
	static const struct {
		int status;
		enum error_kind want;
	} rows[] = {
		{200, ERR_NONE},
		{202, ERR_NONE},
		{206, ERR_NONE},
		{302, ERR_PROTOCOL},
		{400, ERR_DENIED},
		{401, ERR_UNAUTHORIZED},
		{403, ERR_DENIED},
		{404, ERR_NOT_FOUND},
		{405, ERR_UNSUPPORTED},
		{408, ERR_UNAVAILABLE},
		{410, ERR_DENIED},
		{413, ERR_DENIED},
		{425, ERR_UNAVAILABLE},
		{429, ERR_RATE_LIMITED},
		{499, ERR_UNAVAILABLE},
		{500, ERR_UNAVAILABLE},
		{501, ERR_UNSUPPORTED},
		{503, ERR_UNAVAILABLE},
		{524, ERR_UNAVAILABLE},
		{101, ERR_PROTOCOL},
		{0, ERR_PROTOCOL},
		{600, ERR_PROTOCOL},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (http_status_kind(rows[i].status) != rows[i].want)
			fail_msg("%d", rows[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_serves_request_after_request),
		cmocka_unit_test(a_head_has_a_length_and_no_body),
		cmocka_unit_test(only_what_was_asked_for_is_sent),
		cmocka_unit_test(a_reply_is_read_as_it_is),
		cmocka_unit_test(a_short_reply_is_never_a_whole_one),
		cmocka_unit_test(who_does_not_answer_is_named),
		cmocka_unit_test(what_came_before_a_reset_is_read),
		cmocka_unit_test(a_flood_of_headers_is_a_failure),
		cmocka_unit_test(a_line_end_never_makes_a_header),
		cmocka_unit_test(authorization_stays_at_home_whatever_redirects),
		cmocka_unit_test(a_redirect_that_may_not_be_is_refused),
		cmocka_unit_test(a_public_server_never_sends_us_to_loopback),
		cmocka_unit_test(statuses_have_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
