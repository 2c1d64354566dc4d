/* covers: HTTP-7, HTTP-11, HTTP-12, RED-5, T-2, T-5, T-17 */
/* The exchange over a transport in memory, in virtual time: the clocks to the millisecond, and the seam itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "sync/http/transport.h"

enum { STEPS_MAX = 16 };

/* What a reply does, one step after another, each after its delay. */
enum step_kind { CONNECT, STATUS, HEADER, HEAD, BODY, TAKE, REWIND, END, FAIL };

struct step {
	int64_t delay_ms;
	enum step_kind kind;
	int number;       /* of a STATUS; the bytes of a TAKE; the class of a CONNECT; whether a REWIND can be */
	const char *text; /* "Name: value" of a HEADER, the bytes of a BODY, the text of a FAIL */
};

struct script {
	const char *url;
	struct step steps[STEPS_MAX];
};

struct memory {
	struct transport base;
	const struct script *scripts;
	size_t script_count;
	int streams, resumed, paused;
	bool foreign;
	enum address_class home;
	char authorization[64];
	struct http_tls tls;
	char taken[16]; /* of the body, since the last rewind */
	size_t taken_length;
};

struct transport_stream {
	struct memory *memory;
	const struct script *script;
	const struct transport_events *events;
	void *context;
	size_t step;
	struct timer timer;
};

static void next_step(struct transport_stream *stream);

static bool play(struct transport_stream *stream, const struct step *step)
{
	const struct transport_events *events = stream->events;
	struct memory *memory = stream->memory;
	struct error failure;
	size_t length;
	switch (step->kind) {
	case CONNECT:
		events->connected(stream->context, (enum address_class)step->number);
		return true;
	case STATUS:
		return events->status(stream->context, step->number);
	case HEADER: {
		const char *colon = strchr(step->text, ':');
		return events->header(
			stream->context, step->text, (size_t)(colon - step->text), colon + 2, strlen(colon + 2));
	}
	case HEAD:
		events->head(stream->context);
		return true;
	case BODY:
		if (events->body(stream->context, step->text, strlen(step->text)) != TRANSPORT_PAUSE)
			return true;
		memory->paused++;
		return false;
	case TAKE:
		length = events->take(stream->context, memory->taken + memory->taken_length, (size_t)step->number);
		if (length == TRANSPORT_PAUSE) {
			memory->paused++;
			return false;
		}
		memory->taken_length += length;
		return true;
	case REWIND:
		assert_int_equal(events->rewind(stream->context), step->number);
		if (step->number)
			memory->taken_length = 0;
		return true;
	case END:
		events->end(stream->context, NULL);
		return true;
	case FAIL:
		error_set(&failure, ERR_UNAVAILABLE, "%s", step->text);
		events->end(stream->context, &failure);
		return true;
	}
	return false;
}

static void on_step(void *argument)
{
	struct transport_stream *stream = argument;
	const struct step *step = &stream->script->steps[stream->step];
	if (!play(stream, step))
		return; /* until resumed */
	stream->step++;
	if (step->kind != END && step->kind != FAIL)
		next_step(stream);
}

static void next_step(struct transport_stream *stream)
{
	timer_start(&stream->timer, stream->script->steps[stream->step].delay_ms, on_step, stream);
}

static bool memory_start(struct transport *base, const struct transport_request *request,
	const struct transport_events *events, void *context, struct transport_stream **stream, struct error *err)
{
	struct memory *memory = (struct memory *)base;
	memory->foreign = request->foreign;
	memory->home = request->home;
	memory->authorization[0] = '\0';
	memory->tls = request->tls ? *request->tls : (struct http_tls){.insecure = false};
	memory->taken_length = 0;
	for (size_t i = 0; i < request->header_count; i++)
		if (str_is(request->headers[i].name, "Authorization"))
			strncpy(memory->authorization, request->headers[i].value, sizeof memory->authorization - 1);
	for (size_t i = 0; i < memory->script_count; i++)
		if (str_is(memory->scripts[i].url, request->url)) {
			*stream = memory_new(1, sizeof **stream);
			**stream = (struct transport_stream){
				.memory = memory, .script = &memory->scripts[i], .events = events, .context = context};
			memory->streams++;
			next_step(*stream);
			return true;
		}
	return error_set(err, ERR_INVALID, "no script for %s", request->url);
}

static void memory_resume(struct transport_stream *stream)
{
	stream->memory->resumed++;
	next_step(stream);
}

static void memory_release(struct transport_stream *stream)
{
	timer_stop(&stream->timer);
	stream->memory->streams--;
	free(stream);
}

static void memory_free(struct transport *base)
{
	assert_int_equal(((struct memory *)base)->streams, 0);
}

/* --- stories ------------------------------------------------------------------------------------------------------ */

struct play {
	struct memory memory;
	struct http *http;
	struct http_settings settings;
	void (*body)(struct play *play);
};

static void play_main(void *argument)
{
	struct play *story = argument;
	story->http = http_new_over(&story->memory.base, &story->settings);
	story->body(story);
	http_free(story->http);
}

static void in_virtual_time(void (*body)(struct play *play), const struct script *scripts, size_t count)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct play story = {.memory = {.base = {memory_start, memory_resume, memory_release, memory_free},
					     .scripts = scripts,
					     .script_count = count},
			.settings = http_settings_default,
			.body = body};
		struct loop *loop = loop_new_virtual(seed);
		loop_run(loop, play_main, &story);
		loop_free(loop);
	}
}

static struct http_request request_of(enum http_method method, const char *url)
{
	return (struct http_request){
		.method = method, .kind = HTTP_UPLOAD, .url = url, .body_bytes = HTTP_NO_BODY, .range_first = -1};
}

#define SECOND 1000

static char chunk[TRANSPORT_BODY_MAX + 1];

static const struct script scripts[] = {
	{"http://never/", {{31 * SECOND, CONNECT, ADDRESS_PUBLIC, NULL}}},
	{"http://mute/", {{29 * SECOND, CONNECT, ADDRESS_PUBLIC, NULL}, {61 * SECOND, STATUS, 200, NULL}}},
	{"http://slow/",
		{{29 * SECOND, CONNECT, ADDRESS_PUBLIC, NULL}, {59 * SECOND, STATUS, 200, NULL}, {0, HEAD, 0, NULL},
			{59 * SECOND, BODY, 0, chunk}, {0, BODY, 0, chunk}, {0, BODY, 0, chunk}, {0, BODY, 0, chunk},
			{59 * SECOND, BODY, 0, chunk}, {0, BODY, 0, chunk}, {0, BODY, 0, chunk}, {0, BODY, 0, chunk},
			{59 * SECOND, END, 0, NULL}}},
	{"http://drips/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, STATUS, 200, NULL}, {0, HEAD, 0, NULL},
				  {10 * SECOND, BODY, 0, "a"}, {10 * SECOND, BODY, 0, "b"}, {10 * SECOND, BODY, 0, "c"},
				  {10 * SECOND, BODY, 0, "d"}, {10 * SECOND, BODY, 0, "e"}, {10 * SECOND, BODY, 0, "f"},
				  {10 * SECOND, BODY, 0, "g"}, {10 * SECOND, BODY, 0, "h"}}},
	{"http://sips/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, TAKE, 1, NULL}, {40 * SECOND, TAKE, 1, NULL},
				 {40 * SECOND, TAKE, 1, NULL}, {40 * SECOND, TAKE, 1, NULL}}},
	{"http://stalls/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, STATUS, 200, NULL}, {0, HEAD, 0, NULL},
				   {0, BODY, 0, "a"}, {61 * SECOND, BODY, 0, "b"}, {0, END, 0, NULL}}},
	{"http://drips-1xx/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {25 * SECOND, STATUS, 100, NULL},
				      {25 * SECOND, STATUS, 100, NULL}, {25 * SECOND, STATUS, 100, NULL},
				      {0, STATUS, 200, NULL}, {0, HEAD, 0, NULL}, {0, END, 0, NULL}}},
	{"http://commits/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, TAKE, 2, NULL}, {0, TAKE, 3, NULL},
				    {599 * SECOND, STATUS, 201, NULL}, {0, HEAD, 0, NULL}, {0, END, 0, NULL}}},
	{"http://lost-commit/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, TAKE, 2, NULL}, {0, TAKE, 3, NULL},
					{601 * SECOND, STATUS, 201, NULL}}},
	{"http://stuck-upload/",
		{{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, TAKE, 2, NULL}, {61 * SECOND, TAKE, 3, NULL}}},
	{"http://rewinds/",
		{{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, REWIND, true, NULL}, {0, TAKE, 2, NULL},
			{0, REWIND, false, NULL}, {0, TAKE, 9, NULL}, {SECOND, REWIND, false, NULL}, {0, TAKE, 9, NULL},
			{SECOND, REWIND, false, NULL}, {0, STATUS, 201, NULL}, {0, HEAD, 0, NULL}, {0, END, 0, NULL}}},
	{"http://rewinds-memory/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, TAKE, 2, NULL}, {0, TAKE, 9, NULL},
					   {0, REWIND, true, NULL}, {0, TAKE, 4, NULL}, {0, TAKE, 9, NULL},
					   {0, STATUS, 201, NULL}, {0, HEAD, 0, NULL}, {0, END, 0, NULL}}},
	{"http://short/",
		{{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, STATUS, 200, NULL}, {0, HEADER, 0, "Content-Length: 3"},
			{0, HEAD, 0, NULL}, {0, BODY, 0, "ab"}, {0, END, 0, NULL}}},
	{"http://breaks/",
		{{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, STATUS, 200, NULL}, {0, HEADER, 0, "Content-Length: 3"},
			{0, HEAD, 0, NULL}, {0, BODY, 0, "ab"}, {0, FAIL, 0, "reset by peer"}}},
	{"http://silent-end/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, END, 0, NULL}}},
	{"https://home/away",
		{{0, CONNECT, ADDRESS_PRIVATE, NULL}, {0, STATUS, 307, NULL}, {0, HEADER, 0, "Location: //cdn/x?sig=1"},
			{0, HEAD, 0, NULL}, {0, END, 0, NULL}}},
	{"https://home/down",
		{{0, CONNECT, ADDRESS_PRIVATE, NULL}, {0, STATUS, 307, NULL}, {0, HEADER, 0, "Location: http://home/x"},
			{0, HEAD, 0, NULL}, {0, END, 0, NULL}}},
	{"https://cdn/x?sig=1",
		{{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, STATUS, 200, NULL}, {0, HEAD, 0, NULL}, {0, END, 0, NULL}}},
};

static struct error open_failure(struct play *story, const char *url)
{
	struct http_request request = request_of(HTTP_GET, url);
	struct http_exchange *exchange;
	struct error err;
	assert_false(http_open(story->http, &request, &exchange, &err));
	return err;
}

static struct http_exchange *opened(struct play *story, const struct http_request *request)
{
	struct http_exchange *exchange;
	struct error err;
	if (!http_open(story->http, request, &exchange, &err))
		fail_msg("%s", err.text);
	return exchange;
}

static void clocks_of_the_head(struct play *story)
{
	int64_t start = loop_now_ms();
	struct error err = open_failure(story, "http://never/");
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_string_equal(err.text, "GET http://never/: no connection within 30.0s");
	assert_int_equal(loop_now_ms() - start, 30 * SECOND);

	start = loop_now_ms();
	err = open_failure(story, "http://mute/");
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_int_equal(loop_now_ms() - start, 89 * SECOND);

	start = loop_now_ms();
	err = open_failure(story, "http://drips-1xx/");
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_int_equal(loop_now_ms() - start, 60 * SECOND);

	story->settings.first_byte_timeout_ms = SECOND;
	struct http *hasty = http_new_over(&story->memory.base, &story->settings);
	struct http_request request = request_of(HTTP_GET, "http://drips-1xx/");
	struct http_exchange *exchange;
	start = loop_now_ms();
	assert_false(http_open(hasty, &request, &exchange, &err));
	assert_int_equal(loop_now_ms() - start, SECOND);
	http_free(hasty);
}

static void each_part_of_a_request_has_its_clock(void **state)
{
	(void)state;
	in_virtual_time(clocks_of_the_head, scripts, array_count(scripts));
}

static void clocks_of_the_body(struct play *story)
{
	struct http_request request = request_of(HTTP_GET, "http://slow/");
	struct http_exchange *exchange = opened(story, &request);
	static char large[2 * TRANSPORT_BODY_MAX];
	char bytes[8];
	size_t got, sum = 0;
	struct error err;
	do {
		assert_true(http_read(exchange, large, sizeof large, &got, &err));
		sum += got;
	} while (got > 0);
	assert_int_equal(sum, 8 * TRANSPORT_BODY_MAX);
	http_close(exchange);

	request.url = "http://drips/";
	exchange = opened(story, &request);
	int64_t start = loop_now_ms();
	for (int i = 0; i < 5; i++)
		assert_true(http_read(exchange, bytes, 1, &got, &err));
	assert_true(task_sleep(5 * SECOND, &err)); /* ours, and not counted */
	while (http_read(exchange, bytes, 1, &got, &err))
		;
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_string_equal(err.text, "GET http://drips/: less than 1 KiB/s for 1m00s");
	assert_int_equal(loop_now_ms() - start, 65 * SECOND);
	http_close(exchange);

	request.url = "http://stalls/";
	exchange = opened(story, &request);
	assert_true(http_read(exchange, bytes, sizeof bytes, &got, &err)); /* what came before it stalled */
	assert_int_equal(got, 1);
	assert_false(http_read(exchange, bytes, sizeof bytes, &got, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	http_close(exchange);

	exchange = opened(story, &request);
	assert_true(http_read(exchange, bytes, 1, &got, &err));
	assert_true(task_sleep(50 * SECOND, &err)); /* our own pause, which no clock counts */
	assert_true(http_read(exchange, bytes, sizeof bytes, &got, &err));
	assert_int_equal(got, 1);
	http_close(exchange);
}

static void only_waiting_for_the_server_is_counted(void **state)
{
	(void)state;
	in_virtual_time(clocks_of_the_body, scripts, array_count(scripts));
}

static struct http_exchange *upload_at(struct play *story, const char *url)
{
	struct http_request request = request_of(HTTP_PUT, url);
	request.body_bytes = 5;
	return opened(story, &request);
}

static void clocks_of_uploads(struct play *story)
{
	struct error err;
	struct http_exchange *exchange = upload_at(story, "http://commits/");
	assert_true(http_write(exchange, "ab", 2, &err));
	assert_true(task_sleep(1000 * SECOND, &err)); /* the source stalls; the server's clock is not ours */
	assert_int_equal(story->memory.paused, 1);
	assert_true(http_write(exchange, "cde", 3, &err));
	assert_int_equal(story->memory.resumed, 1);
	assert_true(http_reply(exchange, &err));
	assert_int_equal(http_status(exchange), 201);
	assert_int_equal(http_counters(story->http)->sent_bytes, 5);
	http_close(exchange);

	exchange = upload_at(story, "http://lost-commit/");
	assert_true(http_write(exchange, "abcde", 5, &err));
	int64_t start = loop_now_ms();
	assert_false(http_reply(exchange, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_int_equal(loop_now_ms() - start, 600 * SECOND);
	http_close(exchange);

	exchange = upload_at(story, "http://sips/");
	start = loop_now_ms();
	assert_false(http_write(exchange, "abcde", 5, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_int_equal(loop_now_ms() - start, 60 * SECOND);
	http_close(exchange);

	exchange = upload_at(story, "http://stuck-upload/");
	assert_false(http_write(exchange, "abcde", 5, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	assert_false(http_reply(exchange, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	http_close(exchange);
}

static void a_commit_may_take_ten_minutes(void **state)
{
	(void)state;
	in_virtual_time(clocks_of_uploads, scripts, array_count(scripts));
}

static void rewinds(struct play *story)
{
	struct error err;
	struct http_exchange *exchange = upload_at(story, "http://rewinds/");
	assert_true(http_write(exchange, "abc", 3, &err));
	assert_true(http_write(exchange, "de", 2, &err));
	assert_true(http_reply(exchange, &err));
	assert_memory_equal(story->memory.taken, "abcde", 5);
	http_close(exchange);

	struct http_request request = request_of(HTTP_PUT, "http://rewinds-memory/");
	request.kind = HTTP_MANIFEST;
	request.body = "abcde";
	request.body_bytes = 5;
	exchange = opened(story, &request);
	assert_int_equal(http_status(exchange), 201);
	assert_int_equal(story->memory.taken_length, 5);
	assert_memory_equal(story->memory.taken, "abcde", 5);
	http_close(exchange);
}

static void a_body_that_may_have_arrived_is_sent_again_only_if_that_is_harmless(void **state)
{
	(void)state;
	in_virtual_time(rewinds, scripts, array_count(scripts));
}

static void broken_replies(struct play *story)
{
	static const char *const urls[] = {"http://short/", "http://breaks/"};
	for (size_t i = 0; i < array_count(urls); i++) {
		struct http_request request = request_of(HTTP_GET, urls[i]);
		struct http_exchange *exchange = opened(story, &request);
		char bytes[8];
		size_t got;
		struct error err;
		assert_true(task_sleep(1, &err)); /* it is over, and what came is still given first */
		assert_true(http_read(exchange, bytes, sizeof bytes, &got, &err));
		assert_int_equal(got, 2);
		assert_false(http_read(exchange, bytes, sizeof bytes, &got, &err));
		assert_int_equal(err.kind, ERR_UNAVAILABLE);
		http_close(exchange);
	}
	assert_int_equal(open_failure(story, "http://silent-end/").kind, ERR_UNAVAILABLE);
}

static void what_came_before_a_break_is_given_first(void **state)
{
	(void)state;
	in_virtual_time(broken_replies, scripts, array_count(scripts));
}

static void foreign_hops(struct play *story)
{
	struct http_request request = request_of(HTTP_GET, "https://home/away");
	const struct http_tls tls = {
		.ca_file = "ca", .client_certificate_file = "cert", .client_key_file = "key", .insecure = true};
	request.authorization = "Bearer secret";
	request.tls = &tls;
	struct http_exchange *exchange = opened(story, &request);
	assert_string_equal(http_url(exchange), "https://cdn/x?sig=1");
	assert_string_equal(http_what(exchange), "GET https://cdn/x");
	assert_string_equal(story->memory.authorization, "");
	assert_string_equal(story->memory.tls.ca_file, "ca");
	assert_null(story->memory.tls.client_certificate_file);
	assert_null(story->memory.tls.client_key_file);
	assert_false(story->memory.tls.insecure);
	assert_true(story->memory.foreign);
	assert_int_equal(story->memory.home, ADDRESS_PRIVATE); /* learnt from the first hop */
	assert_int_equal(http_address_class(exchange), ADDRESS_PRIVATE);
	http_close(exchange);
	struct error err = open_failure(story, "https://home/down");
	assert_int_equal(err.kind, ERR_REFUSED);
	assert_int_equal(http_counters(story->http)->requests[HTTP_GET][HTTP_UPLOAD], 3);
}

static void a_hop_abroad_is_judged_and_anonymous(void **state)
{
	(void)state;
	in_virtual_time(foreign_hops, scripts, array_count(scripts));
}

/* --- back-pressure ------------------------------------------------------------------------------------------------ */

static const struct script flood[] = {
	{"http://flood/", {{0, CONNECT, ADDRESS_PUBLIC, NULL}, {0, STATUS, 200, NULL}, {0, HEAD, 0, NULL},
				  {0, BODY, 0, chunk}, {0, BODY, 0, chunk}, {0, BODY, 0, chunk}, {0, BODY, 0, chunk},
				  {0, BODY, 0, chunk}, {0, BODY, 0, chunk}, {0, END, 0, NULL}}}};

static void flooded(struct play *story)
{
	struct http_request request = request_of(HTTP_GET, "http://flood/");
	struct http_exchange *exchange = opened(story, &request);
	struct error err;
	size_t got, sum = 0;
	static char bytes[5000];
	assert_true(task_sleep(SECOND, &err));
	assert_int_equal(story->memory.paused, 1); /* four chunks are kept, and not one more */
	do {
		assert_true(http_read(exchange, bytes, sizeof bytes, &got, &err));
		sum += got;
	} while (got > 0);
	assert_int_equal(sum, 6 * TRANSPORT_BODY_MAX);
	assert_true(story->memory.resumed >= 1);
	http_close(exchange);
}

static void a_body_that_nobody_reads_pauses_at_64_kib(void **state)
{
	(void)state;
	in_virtual_time(flooded, flood, 1);
}

/* --- cancellation ------------------------------------------------------------------------------------------------- */

static void open_never(void *argument)
{
	struct play *story = argument;
	assert_int_equal(open_failure(story, "http://never/").kind, ERR_CANCELED);
}

static void cancelled(struct play *story)
{
	struct group group;
	struct error err;
	group_init(&group, 1);
	assert_true(group_spawn(&group, open_never, story, &err));
	assert_true(task_sleep(SECOND, &err));
	group_cancel(&group);
	group_wait(&group);
	assert_int_equal(story->memory.streams, 0);
}

static void a_cancelled_request_is_released(void **state)
{
	(void)state;
	in_virtual_time(cancelled, scripts, array_count(scripts));
}

static void read_drips(void *argument)
{
	struct http_request request = request_of(HTTP_GET, "http://drips/");
	struct http_exchange *exchange = opened(argument, &request);
	char bytes[8];
	size_t got;
	struct error err;
	assert_true(http_read(exchange, bytes, sizeof bytes, &got, &err));
	assert_int_equal(got, 2);
	assert_memory_equal(bytes, "ab", 2);
	assert_false(http_read(exchange, bytes, sizeof bytes, &got, &err));
	assert_int_equal(err.kind, ERR_CANCELED);
	http_close(exchange);
}

static void cancelled_while_it_reads(struct play *story)
{
	struct group group;
	struct error err;
	group_init(&group, 1);
	assert_true(group_spawn(&group, read_drips, story, &err));
	assert_true(task_sleep(25 * SECOND, &err));
	group_cancel(&group);
	group_wait(&group);
	assert_int_equal(story->memory.streams, 0);
}

static void what_came_before_the_stop_is_given_first(void **state)
{
	(void)state;
	in_virtual_time(cancelled_while_it_reads, scripts, array_count(scripts));
}

int main(void)
{
	memset(chunk, 'x', TRANSPORT_BODY_MAX);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_part_of_a_request_has_its_clock),
		cmocka_unit_test(only_waiting_for_the_server_is_counted),
		cmocka_unit_test(a_commit_may_take_ten_minutes),
		cmocka_unit_test(a_body_that_may_have_arrived_is_sent_again_only_if_that_is_harmless),
		cmocka_unit_test(what_came_before_a_break_is_given_first),
		cmocka_unit_test(a_hop_abroad_is_judged_and_anonymous),
		cmocka_unit_test(a_body_that_nobody_reads_pauses_at_64_kib),
		cmocka_unit_test(a_cancelled_request_is_released),
		cmocka_unit_test(what_came_before_the_stop_is_given_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
