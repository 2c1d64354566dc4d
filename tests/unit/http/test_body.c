/* covers: HTTP-6, HTTP-7, HTTP-8, HTTP-9, T-5, T-11 */
#include "story.h"

#include <uv.h>

#define MIB_BYTES ((size_t)1 << 20)

static unsigned char byte_at(size_t offset)
{
	return (unsigned char)(offset * 7 + (offset >> 8) * 13 + (offset >> 16));
}

static unsigned char *pattern(size_t length)
{
	unsigned char *bytes = memory_new(length, 1);
	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(i);
	return bytes;
}

static bool reply_bodies(struct peer *peer)
{
	size_t length = 0;
	auto_free char *head = NULL;
	if (sscanf(peer->path, "/get/%zu", &length) == 1) {
		auto_free unsigned char *bytes = pattern(length);
		head = memory_format("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
		peer_say(peer, head);
		peer_say_bytes(peer, bytes, length);
		return true;
	}
	if (str_is(peer->path, "/put")) {
		char value[32];
		bool same = peer_header(peer, "Content-Length", value, sizeof value);
		size_t left = (size_t)strtoull(value, NULL, 10), at = 0;
		unsigned char bytes[8192];
		while (left > 0) {
			ssize_t n = peer_body(peer, bytes, left < sizeof bytes ? left : sizeof bytes);
			if (n <= 0)
				return false;
			for (ssize_t i = 0; i < n; i++)
				same = same && bytes[i] == byte_at(at++);
			left -= (size_t)n;
		}
		peer_say(peer, same ? "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
				    : "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
		return true;
	}
	if (str_is(peer->path, "/too-large")) {
		peer_say(peer, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbig\n");
		peer_wait_close(peer);
		return false;
	}
	if (str_is(peer->path, "/hang-up"))
		return false;
	if (str_is(peer->path, "/silent")) {
		peer_wait_close(peer);
		return false;
	}
	if (str_is(peer->path, "/half-a-head")) {
		peer_drop_body(peer);
		peer_say(peer, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n");
		peer_wait_close(peer);
		return false;
	}
	if (str_is(peer->path, "/half")) {
		peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
		peer_wait_close(peer);
		return false;
	}
	peer_drop_body(peer);
	peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	return true;
}

/* --- downloads ---------------------------------------------------------------------------------------------------- */

static void read_and_compare(struct http_exchange *exchange, size_t length, size_t step, int yield_every)
{
	auto_free unsigned char *bytes = memory_new(step, 1);
	struct error err;
	size_t at = 0;
	for (int i = 0;; i++) {
		size_t got;
		if (!http_read(exchange, bytes, step, &got, &err))
			fail_msg("%s", err.text);
		if (got == 0)
			break;
		assert_true(got <= step);
		for (size_t k = 0; k < got; k++)
			if (bytes[k] != byte_at(at + k))
				fail_msg("byte %zu", at + k);
		at += got;
		if (yield_every && i % yield_every == 0)
			assert_true(task_yield(&err));
	}
	assert_int_equal(at, length);
}

static void downloads(struct story *story)
{
	static const struct {
		size_t length, step;
		int yield_every;
		bool bulk;
	} rows[] = {
		{MIB_BYTES, 256 * 1024, 0, true},
		{MIB_BYTES, 7001, 1, true},
		{MIB_BYTES, 1 << 21, 0, false},
		{9 * MIB_BYTES + 1, 65536, 1, true},
		{9 * MIB_BYTES + 1, 3000, 0, false},
		{1, 1, 0, true},
		{0, 16, 0, false},
		{65536, 1, 0, true},
	};
	int64_t sum = 0;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *path = memory_format("/get/%zu", rows[i].length);
		auto_free char *url = url_at(&story->server, path);
		struct http_request request = request_of(HTTP_GET, url);
		auto_exchange struct http_exchange *exchange = NULL;
		struct error err;
		request.bulk = rows[i].bulk;
		assert_true(http_open(story->http, &request, &exchange, &err));
		read_and_compare(exchange, rows[i].length, rows[i].step, rows[i].yield_every);
		sum += (int64_t)rows[i].length;
	}
	assert_int_equal(http_counters(story->http)->received_bytes, sum);
	assert_int_equal(story->server.connections, 1);
}

static void a_slow_reader_gets_every_byte_in_order(void **state)
{
	(void)state;
	tell(downloads, reply_bodies, NULL);
}

static void too_large(struct story *story)
{
	auto_free char *url = url_at(&story->server, "/get/100000");
	auto_exchange struct http_exchange *exchange = open_url(story, HTTP_GET, url);
	auto_buf struct buf body;
	struct error err;
	buf_init(&body, 99999);
	assert_false(http_read_all(exchange, &body, &err));
	assert_int_equal(err.kind, ERR_TOO_LARGE);
	assert_true(str_starts_with(err.text, http_what(exchange)));
}

static void a_body_above_the_cap_is_too_large(void **state)
{
	(void)state;
	tell(too_large, reply_bodies, NULL);
}

/* --- uploads ------------------------------------------------------------------------------------------------------ */

static struct http_exchange *open_upload(struct story *story, const char *url, size_t length)
{
	struct http_request request = request_of(HTTP_PUT, url);
	struct http_exchange *exchange;
	struct error err;
	request.kind = HTTP_UPLOAD;
	request.bulk = true;
	request.body_bytes = (int64_t)length;
	assert_true(http_open(story->http, &request, &exchange, &err));
	return exchange;
}

static void uploads(struct story *story)
{
	static const struct {
		size_t length, step;
		int yield_every;
	} rows[] = {
		{MIB_BYTES, 256 * 1024, 0},
		{MIB_BYTES, 10007, 1},
		{9 * MIB_BYTES + 1, 65536, 3},
		{3 * MIB_BYTES, 4 * MIB_BYTES, 0},
		{1, 1, 0},
		{2, 1, 1},
	};
	auto_free char *url = url_at(&story->server, "/put");
	auto_free unsigned char *bytes = pattern(9 * MIB_BYTES + 1);
	int64_t sum = 0;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_exchange struct http_exchange *exchange = open_upload(story, url, rows[i].length);
		struct error err;
		int round = 0;
		for (size_t at = 0, n; at < rows[i].length; at += n) {
			n = rows[i].length - at < rows[i].step ? rows[i].length - at : rows[i].step;
			if (!http_write(exchange, bytes + at, n, &err))
				fail_msg("%s", err.text);
			if (rows[i].yield_every && round++ % rows[i].yield_every == 0)
				assert_true(task_yield(&err));
		}
		assert_false(http_write(exchange, bytes, 1, &err)); /* more than announced */
		if (!http_reply(exchange, &err))
			fail_msg("%s", err.text);
		assert_int_equal(http_status(exchange), 201);
		sum += (int64_t)rows[i].length;
	}
	assert_int_equal(http_counters(story->http)->sent_bytes, sum);
	assert_int_equal(story->server.connections, 1);
}

static void an_upload_arrives_byte_for_byte(void **state)
{
	(void)state;
	tell(uploads, reply_bodies, NULL);
}

static void early_reply(struct story *story)
{
	auto_free char *url = url_at(&story->server, "/too-large");
	auto_free unsigned char *bytes = pattern(MIB_BYTES);
	auto_exchange struct http_exchange *exchange = open_upload(story, url, 1000 * MIB_BYTES);
	struct error err;
	int written = 0;
	while (http_write(exchange, bytes, MIB_BYTES, &err))
		assert_true(++written < 100);
	assert_int_equal(err.kind, ERR_UNAVAILABLE);
	assert_true(http_reply(exchange, &err));
	assert_int_equal(http_status(exchange), 413);
	assert_body(exchange, "big\n");
	assert_false(http_write(exchange, bytes, MIB_BYTES, &err));
}

static void a_server_that_says_no_early_stops_the_upload(void **state)
{
	(void)state;
	tell(early_reply, reply_bodies, NULL);
}

/* A source that stalls has the upload paused when the reply comes. */
static void early_reply_to_a_pause(struct story *story)
{
	auto_free char *url = url_at(&story->server, "/too-large");
	auto_free unsigned char *bytes = pattern(1000);
	auto_exchange struct http_exchange *exchange = open_upload(story, url, 1000 * MIB_BYTES);
	struct error err;
	int64_t start_ms = loop_now_ms();
	assert_true(http_write(exchange, bytes, 1000, &err));
	assert_true(http_reply(exchange, &err));
	assert_int_equal(http_status(exchange), 413);
	assert_body(exchange, "big\n");
	assert_true(loop_now_ms() - start_ms < 10000);
}

static void a_no_ends_an_upload_that_is_paused(void **state)
{
	(void)state;
	const struct http_settings settings = {.connect_timeout_ms = 20000,
		.first_byte_timeout_ms = 20000,
		.stall_timeout_ms = 20000,
		.commit_timeout_ms = 20000};
	tell(early_reply_to_a_pause, reply_bodies, &settings);
}

static void cut_upload(struct story *story)
{
	auto_free char *url = url_at(&story->server, "/hang-up");
	auto_free unsigned char *bytes = pattern(MIB_BYTES);
	auto_exchange struct http_exchange *exchange = open_upload(story, url, 1000 * MIB_BYTES);
	struct error err;
	int written = 0;
	while (http_write(exchange, bytes, MIB_BYTES, &err))
		assert_true(++written < 100);
	assert_int_equal(err.kind, ERR_UNAVAILABLE);
	assert_false(http_reply(exchange, &err));
	assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void an_upload_that_is_cut_fails(void **state)
{
	(void)state;
	tell(cut_upload, reply_bodies, NULL);
}

static void both_ways_at_once(struct story *story)
{
	/* The bulk of both directions and small requests share handles and connections. */
	auto_free char *get = url_at(&story->server, "/get/1048576"), *put = url_at(&story->server, "/put");
	auto_free unsigned char *bytes = pattern(MIB_BYTES);
	struct error err;
	for (int i = 0; i < 5; i++) {
		auto_exchange struct http_exchange *up = open_upload(story, put, MIB_BYTES);
		assert_true(http_write(up, bytes, 1000, &err));
		auto_exchange struct http_exchange *down = open_url(story, HTTP_GET, get);
		assert_true(http_write(up, bytes + 1000, MIB_BYTES - 1000, &err));
		read_and_compare(down, MIB_BYTES, 65536, 1);
		assert_true(http_reply(up, &err));
		assert_int_equal(http_status(up), 201);
	}
	assert_int_equal(story->server.connections, 2);
}

static void handles_are_used_again_for_anything(void **state)
{
	(void)state;
	tell(both_ways_at_once, reply_bodies, NULL);
}

/* --- clocks ------------------------------------------------------------------------------------------------------- */

static void clocks(struct story *story)
{
	struct error err;
	assert_int_equal(failure_at(story, HTTP_GET, "/silent"), ERR_TIMEOUT);

	auto_free char *half = url_at(&story->server, "/half");
	auto_exchange struct http_exchange *exchange = open_url(story, HTTP_GET, half);
	char bytes[16];
	size_t got;
	assert_true(http_read(exchange, bytes, sizeof bytes, &got, &err));
	assert_int_equal(got, 5);
	assert_false(http_read(exchange, bytes, sizeof bytes, &got, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_non_null(strstr(err.text, "less than 1 KiB/s for"));

	auto_free char *put = url_at(&story->server, "/silent");
	auto_exchange struct http_exchange *upload = open_upload(story, put, 5);
	assert_true(http_write(upload, "hello", 5, &err));
	assert_false(http_reply(upload, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_non_null(strstr(err.text, "no reply within"));
}

static void silence_ends_by_our_clocks(void **state)
{
	(void)state;
	const struct http_settings settings = {.connect_timeout_ms = 5000,
		.first_byte_timeout_ms = 40,
		.stall_timeout_ms = 40,
		.commit_timeout_ms = 40};
	tell(clocks, reply_bodies, &settings);
}

static void half_a_head(struct story *story)
{
	struct error err;
	auto_free char *put = url_at(&story->server, "/half-a-head");
	auto_exchange struct http_exchange *upload = open_upload(story, put, 5);
	assert_true(http_write(upload, "hello", 5, &err));
	assert_false(http_reply(upload, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_non_null(strstr(err.text, "no byte within"));
}

/* Found by network chaos, seed 40105: it took the ten minutes that a registry may need to begin its reply to an upload.
 */
static void a_reply_whose_head_never_ends_is_a_stall(void **state)
{
	(void)state;
	const struct http_settings settings = {.connect_timeout_ms = 5000,
		.first_byte_timeout_ms = 60000,
		.stall_timeout_ms = 40,
		.commit_timeout_ms = 600000};
	tell(half_a_head, reply_bodies, &settings);
}

/* --- many, and cancellation --------------------------------------------------------------------------------------- */

struct head_job {
	struct story *story;
	const char *url;
	int done;
};

static void head_task(void *argument)
{
	struct head_job *job = argument;
	auto_exchange struct http_exchange *exchange = open_url(job->story, HTTP_HEAD, job->url);
	assert_int_equal(http_status(exchange), 200);
	job->done++;
}

static void heads(struct story *story)
{
	enum { HEADS = 500 };
	auto_free char *url = url_at(&story->server, "/");
	struct head_job job = {story, url, 0};
	struct group group;
	struct error err;
	group_init(&group, HEADS);
	for (int i = 0; i < HEADS; i++)
		assert_true(group_spawn(&group, head_task, &job, &err));
	group_wait(&group);
	assert_int_equal(job.done, HEADS);
	assert_int_equal(story->server.requests, HEADS);
}

static void five_hundred_tasks_ask_at_once(void **state)
{
	(void)state;
	tell(heads, reply_bodies, NULL);
}

enum stop_at { STOP_OPEN, STOP_CONNECT, STOP_READ, STOP_WRITE, STOP_REPLY, STOP_COUNT };

struct stop_job {
	struct story *story;
	enum stop_at at;
	bool waits;
	struct error err;
};

static void stop_task(void *argument)
{
	struct stop_job *job = argument;
	auto_free char *silent = url_at(&job->story->server, "/silent"), *half = url_at(&job->story->server, "/half");
	auto_free unsigned char *bytes = pattern(16 * MIB_BYTES);
	auto_exchange struct http_exchange *exchange = NULL;
	struct http_request request = request_of(HTTP_GET, silent);
	char few[16];
	size_t got;
	bool ok = true;
	switch (job->at) {
	case STOP_CONNECT: /* as early as can be */
	case STOP_OPEN:
		job->waits = true;
		ok = http_open(job->story->http, &request, &exchange, &job->err);
		break;
	case STOP_READ:
		exchange = open_url(job->story, HTTP_GET, half);
		assert_true(http_read(exchange, few, 5, &got, &job->err));
		job->waits = true;
		ok = http_read(exchange, few, sizeof few, &got, &job->err);
		break;
	case STOP_WRITE:
		exchange = open_upload(job->story, silent, 1000 * MIB_BYTES);
		job->waits = true;
		while (ok)
			ok = http_write(exchange, bytes, 16 * MIB_BYTES, &job->err);
		break;
	case STOP_REPLY:
		exchange = open_upload(job->story, silent, 5);
		assert_true(http_write(exchange, "hello", 5, &job->err));
		job->waits = true;
		ok = http_reply(exchange, &job->err);
		break;
	case STOP_COUNT:
		break;
	}
	assert_false(ok);
}

static void stops(struct story *story)
{
	struct error err;
	for (int at = 0; at < STOP_COUNT; at++) {
		struct stop_job job = {.story = story, .at = (enum stop_at)at};
		struct group group;
		int before = __atomic_load_n(&story->server.requests, __ATOMIC_RELAXED);
		group_init(&group, 1);
		assert_true(group_spawn(&group, stop_task, &job, &err));
		while (!job.waits)
			assert_true(task_yield(&err));
		while (at != STOP_CONNECT && __atomic_load_n(&story->server.requests, __ATOMIC_RELAXED) == before)
			assert_true(task_yield(&err));
		for (int turns = 0; at != STOP_CONNECT && turns < 100; turns++)
			assert_true(task_yield(&err));
		group_cancel(&group);
		group_wait(&group);
		assert_int_equal(job.err.kind, ERR_CANCELED);
	}
	/* and the client goes on as if nothing had been */
	assert_int_equal(failure_at(story, HTTP_GET, "/get/10"), ERR_NONE);
}

static void every_wait_can_be_cancelled(void **state)
{
	(void)state;
	tell(stops, reply_bodies, NULL);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void count_handle(uv_handle_t *handle, void *argument)
{
	(void)handle;
	++*(int *)argument;
}

static int handles_now(void)
{
	int count = 0;
	uv_walk(loop_uv(loop_current()), count_handle, &count);
	return count;
}

static void unfinished(struct story *story)
{
	auto_free char *half = url_at(&story->server, "/half"), *whole = url_at(&story->server, "/get/9000000");
	struct error err;
	int before = handles_now();
	struct http *http = http_new(NULL, &err);
	for (int i = 0; i < 3; i++) {
		struct http_request request = request_of(HTTP_GET, i ? whole : half);
		struct http_exchange *exchange;
		assert_true(http_open(http, &request, &exchange, &err));
		http_close(exchange); /* the rest of its body is still to come */
	}
	assert_int_equal(story->server.connections, 3);
	http_free(http);
	http_free(NULL);
	http_close(NULL);
	assert_int_equal(handles_now(), before);
}

static void a_client_leaves_nothing_on_the_loop(void **state)
{
	(void)state;
	tell(unfinished, reply_bodies, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slow_reader_gets_every_byte_in_order),
		cmocka_unit_test(a_body_above_the_cap_is_too_large),
		cmocka_unit_test(an_upload_arrives_byte_for_byte),
		cmocka_unit_test(a_server_that_says_no_early_stops_the_upload),
		cmocka_unit_test(a_no_ends_an_upload_that_is_paused),
		cmocka_unit_test(an_upload_that_is_cut_fails),
		cmocka_unit_test(handles_are_used_again_for_anything),
		cmocka_unit_test(silence_ends_by_our_clocks),
		cmocka_unit_test(a_reply_whose_head_never_ends_is_a_stall),
		cmocka_unit_test(five_hundred_tasks_ask_at_once),
		cmocka_unit_test(every_wait_can_be_cancelled),
		cmocka_unit_test(a_client_leaves_nothing_on_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
