/* covers: RED-2, RED-4, RED-5, RED-11, HTTP-2, AUTH-14, UPL-8, TAG-5, T-12, T-13, T-14, T-15, T-17, T-18, P7 */
/*
 * The one origin policy as a table (T-13): 5 codes x 8 destinations x 6 operations, and where a Location of an upload,
 * a Link, a realm and its token lead. What is asserted is what was sent: to whom, and with whose Authorization.
 *
 * The registry is https://r.test, which wants Basic; every other host would answer, too, if it were asked. Expectations
 * are written down here a second time, by hand, and not computed by the code under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "sync/http/transport.h"
#include "sync/registry/registry.h"

/* A row says what matters in it; the rest is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define HOME_AUTH  "Basic dTpw"
#define SENT_BYTES 8192

/* --- a world in memory ---------------------------------------------------------------------------------------------
 */

struct world {
	struct transport base;
	const char *victim;      /* the part of a URL that makes the registry answer with what the case is about */
	int code;                /* of that answer */
	const char *header;      /* "Location" or "Link" */
	const char *destination; /* its value */
	const char *realm;       /* NULL: Basic */
	char *challenge;
	bool back;             /* the destination sends us home again */
	bool led;              /* the victim was asked */
	char sent[SENT_BYTES]; /* "METHOD URL[ Authorization]\n" of each request, but for the ping */
	bool badly_judged;     /* a foreign host was not to be judged by its address, or was trusted as home is */
	struct http *http;
	struct registry *registry;
	void (*ask)(struct world *world, struct error *err);
	struct error err;
};

struct transport_stream {
	struct world *world;
	const struct transport_events *events;
	void *context;
	int64_t body_bytes, taken;
	enum http_method method;
	char url[1024];
	struct timer timer;
};

struct answer {
	int status;
	const char *name, *value; /* of a header; NULL: none */
	const char *body;
};

static bool is_home(const char *url)
{
	return str_starts_with(url, "https://r.test/");
}

/* What a server that means well answers. */
static struct answer plain_answer(const struct transport_stream *stream)
{
	if (strstr(stream->url, "/token"))
		return (struct answer){200, NULL, NULL, "{\"token\":\"tok\"}"};
	if (stream->method == HTTP_POST)
		return (struct answer){202, "Location", "https://r.test/v2/a/blobs/uploads/u", ""};
	if (stream->method == HTTP_PUT)
		return (struct answer){201, NULL, NULL, ""};
	if (strstr(stream->url, "/blobs/"))
		return (struct answer){200, NULL, NULL, "0123456789"};
	return (struct answer){200, NULL, NULL, "{\"name\":\"a\",\"tags\":[\"2\"]}"};
}

static struct answer answer_to(struct transport_stream *stream)
{
	struct world *world = stream->world;
	if (str_is(stream->url, "https://r.test/v2/"))
		return (struct answer){401, "WWW-Authenticate", world->challenge, ""};
	if (!world->led && is_home(stream->url) && strstr(stream->url, world->victim)) {
		world->led = true;
		return (struct answer){world->code, world->header, world->destination,
			world->code == 200 ? "{\"name\":\"a\",\"tags\":[\"1\"]}" : ""};
	}
	if (world->back && !is_home(stream->url))
		return (struct answer){307, "Location", "https://r.test/v2/home/again", ""};
	return plain_answer(stream);
}

static void tell_header(struct transport_stream *stream, const char *name, const char *value)
{
	stream->events->header(stream->context, name, strlen(name), value, strlen(value));
}

static void answer(struct transport_stream *stream)
{
	struct answer reply = answer_to(stream);
	auto_free char *length = memory_format("%zu", strlen(reply.body));
	stream->events->connected(stream->context, ADDRESS_PUBLIC);
	stream->events->status(stream->context, reply.status);
	if (reply.name)
		tell_header(stream, reply.name, reply.value);
	tell_header(stream, "Content-Length", length);
	stream->events->head(stream->context);
	if (*reply.body && stream->method != HTTP_HEAD)
		stream->events->body(stream->context, reply.body, strlen(reply.body));
	stream->events->end(stream->context, NULL);
}

static void step(void *argument)
{
	struct transport_stream *stream = argument;
	char bytes[64];
	while (stream->taken < stream->body_bytes) {
		size_t got = stream->events->take(stream->context, bytes, sizeof bytes);
		if (got == TRANSPORT_PAUSE)
			return;
		stream->taken += (int64_t)got;
	}
	answer(stream);
}

static bool world_start(struct transport *base, const struct transport_request *request,
	const struct transport_events *events, void *context, struct transport_stream **stream, struct error *err)
{
	struct world *world = (struct world *)base;
	const char *authorization = "";
	(void)err;
	for (size_t i = 0; i < request->header_count; i++)
		if (str_is(request->headers[i].name, "Authorization"))
			authorization = request->headers[i].value;
	bool is_ping = str_is(request->url, "https://r.test/v2/");
	size_t used = strlen(world->sent);
	if (!is_ping)
		snprintf(world->sent + used, sizeof world->sent - used, "%s %s%s%s\n",
			http_method_name(request->method), request->url, *authorization ? " " : "", authorization);
	bool abroad = !is_home(request->url);
	world->badly_judged |= request->foreign != abroad || (abroad && request->tls->insecure);
	struct transport_stream *fresh = memory_new(1, sizeof *fresh);
	*fresh = (struct transport_stream){
		.world = world,
		.events = events,
		.context = context,
		.body_bytes = request->body_bytes,
		.method = request->method,
	};
	snprintf(fresh->url, sizeof fresh->url, "%s", request->url);
	timer_start(&fresh->timer, 1, step, fresh);
	*stream = fresh;
	return true;
}

static void world_resume(struct transport_stream *stream)
{
	if (stream->timer.position == 0 && stream->taken < stream->body_bytes)
		timer_start(&stream->timer, 0, step, stream);
}

static void world_release(struct transport_stream *stream)
{
	timer_stop(&stream->timer);
	free(stream);
}

static void world_free(struct transport *base)
{
	(void)base;
}

static void world_main(void *argument)
{
	static struct credential user = {.username = "u", .password = "p"};
	static char *hosts[] = {"named.test"};
	struct world *world = argument;
	struct registry_options options = {.domain = "r.test",
		.credential = &user,
		.tls.insecure = true,
		.upload_hosts = hosts,
		.upload_host_count = 1};
	world->http = http_new_over(&world->base, NULL);
	world->registry = registry_new(world->http, &options);
	world->ask(world, &world->err);
	registry_free(world->registry);
	http_free(world->http);
}

static void run_world(struct world *world)
{
	world->base = (struct transport){world_start, world_resume, world_release, world_free};
	world->challenge =
		world->realm ? memory_format("Bearer realm=\"%s\"", world->realm) : memory_text("Basic realm=\"r\"");
	struct loop *loop = loop_new_virtual(1);
	loop_run(loop, world_main, world);
	loop_free(loop);
	free(world->challenge);
	assert_false(world->badly_judged);
}

/* --- the operations ------------------------------------------------------------------------------------------------
 */

static struct descriptor blob;

static void ask_manifest_head(struct world *world, struct error *err)
{
	struct descriptor descriptor;
	if (registry_manifest_head(world->registry, "a", "1", &descriptor, err))
		descriptor_release(&descriptor);
}

static void ask_manifest(struct world *world, struct error *err)
{
	auto_buf struct buf bytes;
	struct descriptor descriptor;
	buf_init(&bytes, 4096);
	if (registry_manifest_resolve(world->registry, "a", "1", &descriptor, &bytes, err))
		descriptor_release(&descriptor);
}

static void ask_blob(struct world *world, struct error *err)
{
	struct blob_reader *reader = NULL;
	char bytes[16];
	size_t got;
	if (registry_blob_open(world->registry, "a", &blob, 0, &reader, err))
		(void)!blob_reader_read(reader, bytes, sizeof bytes, &got, err);
	blob_reader_close(reader);
}

static void ask_tags(struct world *world, struct error *err)
{
	struct listing *listing = registry_tags(world->registry, "a");
	char **names;
	size_t count = 1;
	while (count > 0 && listing_next(listing, &names, &count, err))
		;
	listing_free(listing);
}

static void ask_upload(struct world *world, struct error *err)
{
	struct blob_upload *upload = NULL;
	if (registry_upload_open(world->registry, "a", &blob.digest, &upload, err) &&
		blob_upload_begin(upload, &blob, err) && blob_upload_write(upload, "0123456789", 10, err))
		(void)!blob_upload_commit(upload, err);
	if (upload && blob_upload_advice(upload) == UPLOAD_MOVED && blob_upload_begin(upload, &blob, err) &&
		blob_upload_write(upload, "0123456789", 10, err))
		(void)!blob_upload_commit(upload, err);
	blob_upload_free(upload);
}

static void ask_manifest_put(struct world *world, struct error *err)
{
	(void)!registry_manifest_put(world->registry, "a", "1", "x/y", "{}", 2, &blob.digest, err);
}

struct operation {
	const char *name, *victim, *method;
	void (*ask)(struct world *world, struct error *err);
	enum { READS, WRITES, WRITES_A_BLOB } kind;
};

static const struct operation operations[] = {
	{"HEAD manifest", "/manifests/", "HEAD", ask_manifest_head, READS},
	{"GET manifest", "/manifests/", "GET", ask_manifest, READS},
	{"GET blob", "/blobs/sha256", "GET", ask_blob, READS},
	{"tags", "/tags/", "GET", ask_tags, READS},
	{"PUT manifest", "/manifests/", "PUT", ask_manifest_put, WRITES},
	{"PUT blob", "/uploads/u", "PUT", ask_upload, WRITES_A_BLOB},
};

struct destination {
	const char *why, *url;
	bool is_home, is_refused; /* refused whatever is asked */
	bool is_named;            /* in upload-hosts */
	bool back;
};

static const struct destination destinations[] = {
	{"itself", "https://r.test/other/path", .is_home = true},
	{"another host", "https://evil.test/x"},
	{"another port", "https://r.test:8443/x"},
	{"plain http", "http://r.test/x", .is_refused = true},
	{"a look-alike", "https://r.test.evil.test/x"},
	{"a user name", "https://r.test@evil.test/x", .is_refused = true},
	{"back again", "https://evil.test/back", .back = true},
	{"a host for uploads", "https://named.test/x", .is_named = true},
};

static const int codes[] = {301, 302, 303, 307, 308};

/* --- redirects ------------------------------------------------------------------------------------------------------
 */

/* Is it followed? A blob that goes up goes where uploads may go: another port of the same host is put right, and is the
 * registry itself (UPL-6). */
static bool is_followed(const struct operation *operation, const struct destination *to, int code)
{
	bool keeps_method = code == 307 || code == 308;
	bool same_host = to->is_home || str_starts_with(to->url, "https://r.test:");
	if (to->is_refused && !(operation->kind == WRITES_A_BLOB && str_starts_with(to->url, "http://r.test/")))
		return false;
	switch (operation->kind) {
	case READS:
		return true;
	case WRITES:
		return keeps_method && to->is_home;
	case WRITES_A_BLOB:
		return keeps_method && (same_host || to->is_refused || to->is_named);
	}
	return false;
}

static int count_of(const char *text, const char *part)
{
	int count = 0;
	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		count++;
	return count;
}

/* Every line that leads to r.test has our Authorization, and no other line has any. */
static bool is_told_to_nobody_else(const char *sent)
{
	auto_free char *copy = memory_text(sent);
	for (char *line = copy, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		bool home = strstr(line, " https://r.test/") != NULL;
		if (home != (strstr(line, " " HOME_AUTH) != NULL) || strstr(line, "Bearer"))
			return false;
	}
	return true;
}

static void check_redirect(const struct operation *operation, const struct destination *to, int code)
{
	struct world world = {
		.victim = operation->victim,
		.code = code,
		.header = "Location",
		.destination = to->url,
		.back = to->back,
		.ask = operation->ask,
	};
	run_world(&world);
	bool followed = is_followed(operation, to, code);
	/* At the same host, an upload's Location is the registry's own origin. */
	bool put_right = operation->kind == WRITES_A_BLOB && strstr(to->url, "//r.test") && !strchr(to->url, '@');
	const char *path = strchr(strstr(to->url, "//") + 2, '/');
	auto_free char *line = memory_format(
		"%s %s%s", operation->method, put_right ? "https://r.test" : to->url, put_right ? path : "");
	int sent = count_of(world.sent, line), evil = count_of(world.sent, "evil.test"),
	    named = count_of(world.sent, "named.test");
	bool right = (sent > 0) == followed && sent <= 1 && is_told_to_nobody_else(world.sent);
	right = right && (followed || (evil == 0 && named == 0 && count_of(world.sent, "http://") == 0 &&
					      count_of(world.sent, ":8443") == 0));
	right = right && count_of(world.sent, "/home/again") == (to->back && followed ? 1 : 0);
	/* What is refused is refused on security grounds, where the code was one to follow at all. */
	bool would_follow = operation->kind == READS || code == 307 || code == 308;
	right = right && (world.err.kind == ERR_REFUSED) == (!followed && would_follow);
	if (!right)
		fail_msg("%s, %d to %s (%s): %s: %s\n%s", operation->name, code, to->why,
			followed ? "followed" : "not followed", error_kind_name(world.err.kind), world.err.text,
			world.sent);
}

static void authorization_goes_to_its_origin_in_240_cases(void **state)
{
	(void)state;
	int count = 0;
	for (size_t o = 0; o < array_count(operations); o++)
		for (size_t d = 0; d < array_count(destinations); d++)
			for (size_t c = 0; c < array_count(codes); c++, count++)
				check_redirect(&operations[o], &destinations[d], codes[c]);
	assert_int_equal(count, 240);
}

/* --- the other ways to be sent somewhere ----------------------------------------------------------------------------
 */

struct led_row {
	const char *destination;
	const char *sent; /* the request that follows, or NULL: none does, and it is ERR_REFUSED */
};

static void check_led(struct world *world, const struct led_row *row)
{
	run_world(world);
	bool right = row->sent ? world->err.kind == ERR_NONE && strstr(world->sent, row->sent)
			       : world->err.kind == ERR_REFUSED;
	right = right && !strstr(world->sent, "evil") && !strstr(world->sent, "169.254") &&
		!strstr(world->sent, "http://");
	if (!right)
		fail_msg("%s: %s: %s\n%s", row->destination, error_kind_name(world->err.kind), world->err.text,
			world->sent);
}

static void upload_goes_where_it_may(void **state)
{
	static const struct led_row rows[] = {
		{"/v2/a/blobs/uploads/x?_state=a%2Fb+c%3D%3D&z",
			"PUT https://r.test/v2/a/blobs/uploads/x?_state=a%2Fb+c%3D%3D&z&digest=sha256%3A"},
		{"https://r.test/v2/x", "PUT https://r.test/v2/x?digest="},
		{"https://R.TEST.:443/v2/x", "PUT https://r.test/v2/x?digest="},
		{"http://r.test/v2/x", "PUT https://r.test/v2/x?digest="},
		{"https://r.test:8443/v2/x", "PUT https://r.test/v2/x?digest="},
		{"https://named.test/x", "PUT https://named.test/x?digest="},
		{"http://named.test/x", NULL},
		{"https://named.test:8443/x", NULL},
		{"https://evil.test/x", NULL},
		{"//evil.test/x", NULL},
		{"https://r.test.evil.test/x", NULL},
		{"https://r.test@evil.test/x", NULL},
		{"https://169.254.169.254/x", NULL},
		{"http://169.254.169.254/x", NULL},
		{"file:///etc/passwd", NULL},
		{"https://r.test\\@evil.test/x", NULL},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct world world = {.victim = "/blobs/uploads/",
			.code = 202,
			.header = "Location",
			.destination = rows[i].destination,
			.ask = ask_upload};
		check_led(&world, &rows[i]);
		bool named = rows[i].sent && strstr(rows[i].sent, "named.test");
		assert_int_equal(count_of(world.sent, "PUT "), rows[i].sent ? 1 : 0);
		assert_int_equal(count_of(world.sent, HOME_AUTH), rows[i].sent && !named ? 2 : 1);
	}
}

static void next_page_is_the_registrys(void **state)
{
	static const struct led_row rows[] = {
		{"</v2/a/tags/list?last=1&n=1>; rel=\"next\"",
			"GET https://r.test/v2/a/tags/list?last=1&n=1 " HOME_AUTH},
		{"<https://r.test/v2/a/tags/list?last=1>; rel=next",
			"GET https://r.test/v2/a/tags/list?last=1 " HOME_AUTH},
		/* TAG-5: path and query count, the origin is ours */
		{"<http://internal:8080/v2/a/tags/list?last=1>; rel=next",
			"GET https://r.test/v2/a/tags/list?last=1 " HOME_AUTH},
		{"<//evil.test/v2/a/tags/list?last=1>; rel=next",
			"GET https://r.test/v2/a/tags/list?last=1 " HOME_AUTH},
		{"<https://evil.test/x>; rel=next", NULL},
		{"<file:///etc/passwd>; rel=next", NULL},
		{"<https://r.test@evil.test/v2/x>; rel=next", NULL},
		{"<http://169.254.169.254/latest>; rel=next", NULL},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct world world = {.victim = "/tags/",
			.code = 200,
			.header = "Link",
			.destination = rows[i].destination,
			.ask = ask_tags};
		check_led(&world, &rows[i]);
	}
}

static void password_goes_to_its_token_server(void **state)
{
	static const struct led_row rows[] = {
		{"https://r.test/token",
			"GET https://r.test/token?scope=repository%3Aa%3Apull&client_id=dray&account=u " HOME_AUTH},
		{"/token", "GET https://r.test/token?scope="},
		{"https://evil.test/token", NULL},
		{"https://token.r.test/token", NULL},
		{"https://r.test.evil.test/token", NULL},
		{"https://r.test:8443/token", NULL},
		{"http://r.test/token", NULL},
		{"https://r.test@evil.test/token", NULL},
		{"https://169.254.169.254/token", NULL},
		{"file:///token", NULL},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct world world = {.victim = "nothing", .realm = rows[i].destination, .ask = ask_blob};
		check_led(&world, &rows[i]);
		assert_int_equal(count_of(world.sent, HOME_AUTH), rows[i].sent ? 1 : 0);
		assert_int_equal(count_of(world.sent, "Bearer tok"), rows[i].sent ? 1 : 0);
	}
}

static int describe_blob(void **state)
{
	(void)state;
	blob = (struct descriptor){.digest = digest_of(DIGEST_SHA256, "0123456789", 10), .size = 10};
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authorization_goes_to_its_origin_in_240_cases),
		cmocka_unit_test(upload_goes_where_it_may),
		cmocka_unit_test(next_page_is_the_registrys),
		cmocka_unit_test(password_goes_to_its_token_server),
	};
	return cmocka_run_group_tests(tests, describe_blob, NULL);
}
