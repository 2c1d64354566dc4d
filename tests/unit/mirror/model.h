/*
 * The hosts of a world as registries below the transport seam: requests are answered in virtual time, pieces of bodies
 * and faults come as the seed says, and what no run may ever do is noted at the request that does it:
 *
 *   - a manifest that names what its repository does not hold (P2), or that nobody made (P1)
 *   - a blob whose last byte arrives, and whose bytes are wrong
 *   - more bodies at once than the host has places for, each way
 */
#ifndef DRAY_TESTS_UNIT_MIRROR_MODEL_H
#define DRAY_TESTS_UNIT_MIRROR_MODEL_H

#include "base/buf.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "sync/http/transport.h"
#include "world.h"

enum { REPLY_HEADERS_MAX = 8, PAGE_TAGS = 2, REQUESTS_MAX = 200000, METADATA_PLACES = 16 };

struct model {
	struct transport base;
	struct world *world;
	size_t streams;
};

enum phase { CONNECTING, TAKING, ANSWERING, GIVING, ENDING };
enum fault { FAULT_NONE, FAULT_REFUSED, FAULT_CUT, FAULT_FAILED, FAULT_LIMITED, FAULT_LOST, FAULT_STALLED };
enum resource { PING, TAGS, MANIFEST, BLOB, UPLOADS, UPLOAD, UNKNOWN };

struct reply_header {
	const char *name;
	char value[400];
};

struct reply {
	int status;
	struct reply_header headers[REPLY_HEADERS_MAX];
	size_t header_count;
	const unsigned char *body; /* @text, or NULL: of @content */
	size_t length;
	const struct content *content;
	size_t from; /* its first byte that is sent */
	char *text;
};

struct transport_stream {
	struct model *model;
	struct host *host;
	const struct transport_events *events;
	void *context;
	struct timer timer;
	enum phase phase;
	enum fault fault;
	bool paused;
	/* the request */
	enum http_method method;
	enum resource resource;
	char repository[128], name[200], query[600]; /* @name: tag, digest or session */
	char media_type[128];
	int64_t range_first, range_last; /* -1: the whole */
	int64_t body_bytes;
	struct buf body;                /* of a manifest */
	const struct content *uploaded; /* what a PUT says that it brings: its bytes are compared as they come */
	size_t taken;
	bool differs;
	size_t *moving; /* the host's count that we are part of, or NULL */
	/* the reply */
	struct reply reply;
	size_t given, cut_at;
};

/* --- reading a request -------------------------------------------------------------------------------------------- */

static inline void copy_text(char *out, size_t out_size, const char *text, size_t length)
{
	snprintf(out, out_size, "%.*s", (int)length, text);
}

/* "/v2/team/app/manifests/1.0?x=y" -> its parts */
static inline void parse_path(struct transport_stream *stream, const char *path)
{
	static const struct {
		const char *between;
		enum resource resource;
	} rows[] = {{"/tags/list", TAGS}, {"/manifests/", MANIFEST}, {"/blobs/uploads/", UPLOADS}, {"/blobs/", BLOB}};
	const char *query = strchr(path, '?');
	size_t length = query ? (size_t)(query - path) : strlen(path);
	snprintf(stream->query, sizeof stream->query, "%s", query ? query + 1 : "");
	stream->resource = length == 4 ? PING : UNKNOWN;
	for (size_t i = 0; i < array_count(rows) && stream->resource == UNKNOWN; i++) {
		const char *found = strstr(path, rows[i].between);
		if (!found || found >= path + length)
			continue;
		const char *rest = found + strlen(rows[i].between);
		copy_text(stream->repository, sizeof stream->repository, path + 4, (size_t)(found - path - 4));
		copy_text(stream->name, sizeof stream->name, rest, (size_t)(path + length - rest));
		stream->resource = rows[i].resource == UPLOADS && stream->name[0] ? UPLOAD : rows[i].resource;
	}
}

/* The value of @key in the query, percent-decoded, or "". */
static inline const char *query_value(const struct transport_stream *stream, const char *key, char out[256])
{
	size_t length = strlen(key), at = 0;
	for (const char *p = stream->query; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (strncmp(p, key, length) != 0 || p[length] != '=')
			continue;
		for (p += length + 1; *p && *p != '&' && at < 255; p++) {
			char hex[3] = {*p == '%' ? p[1] : '0', *p == '%' ? p[2] : '0', '\0'};
			out[at++] = *p == '%' ? (char)strtol(hex, NULL, 16) : *p;
			p += *p == '%' ? 2 : 0;
		}
		break;
	}
	out[at] = '\0';
	return out;
}

static inline void read_header(struct transport_stream *stream, const struct transport_header *header)
{
	char *end;
	if (str_is_nocase(header->name, "Content-Type"))
		snprintf(stream->media_type, sizeof stream->media_type, "%s", header->value);
	if (str_is_nocase(header->name, "Range") && str_starts_with(header->value, "bytes=")) {
		stream->range_first = strtoll(header->value + 6, &end, 10);
		stream->range_last = *end == '-' && end[1] ? strtoll(end + 1, NULL, 10) : -1;
		if (stream->range_last < stream->range_first)
			world_note(stream->model->world, "%s: a Range that is not closed: %s", stream->host->name,
				header->value);
	}
}

/* --- writing a reply ---------------------------------------------------------------------------------------------- */

static inline void reply_header(struct reply *reply, const char *name, const char *value)
{
	struct reply_header *header = &reply->headers[reply->header_count++];
	header->name = name;
	snprintf(header->value, sizeof header->value, "%s", value);
}

static inline void reply_body(struct reply *reply, const void *body, size_t length)
{
	char text[32];
	reply->body = body;
	reply->length = length;
	snprintf(text, sizeof text, "%zu", length);
	reply_header(reply, "Content-Length", text);
}

static inline void reply_status(struct reply *reply, int status)
{
	reply->status = status;
	if (reply->header_count == 0)
		reply_body(reply, NULL, 0);
}

static inline void reply_content(struct transport_stream *stream, const struct content *content)
{
	struct reply *reply = &stream->reply;
	int64_t last = (int64_t)content->length - 1;
	bool part = stream->range_first >= 0 && stream->range_first <= last &&
		    loop_random(1000) >= stream->host->faults.no_range;
	int64_t from = part ? stream->range_first : 0;
	int64_t to = part && stream->range_last < last ? stream->range_last : last;
	char text[96];
	reply_header(reply, "Docker-Content-Digest", content->digest.text);
	reply_header(reply, "Content-Type", content->media_type ? content->media_type : "application/octet-stream");
	snprintf(text, sizeof text, "bytes %lld-%lld/%zu", (long long)from, (long long)to, content->length);
	if (part)
		reply_header(reply, "Content-Range", text);
	reply_body(reply, NULL, (size_t)(to - from + 1));
	reply->content = content;
	reply->from = (size_t)from;
	reply_status(reply, part ? 206 : 200);
	if (stream->method == HTTP_GET)
		stream->host->gets[content->number]++;
}

/* --- what a registry does ----------------------------------------------------------------------------------------- */

static inline void list_tags(struct transport_stream *stream, const struct repository *repository)
{
	struct reply *reply = &stream->reply;
	char last[256];
	size_t from = 0;
	if (!repository) {
		reply_status(reply, 404);
		return;
	}
	for (size_t i = 0; i < repository->tag_count && *query_value(stream, "last", last); i++)
		if (str_is(repository->tags[i].name, last))
			from = i + 1;
	size_t to = from + PAGE_TAGS < repository->tag_count ? from + PAGE_TAGS : repository->tag_count;
	auto_free char *tags = memory_text("[]");
	for (size_t i = from; i < to; i++)
		tags = array_with(tags, memory_format("\"%s\"", repository->tags[i].name));
	reply->text = memory_format("{\"name\":\"%s\",\"tags\":%s}", repository->name, tags);
	if (to < repository->tag_count) {
		auto_free char *link = memory_format("</v2/%s/tags/list?n=%d&last=%s>; rel=\"next\"", repository->name,
			PAGE_TAGS, repository->tags[to - 1].name);
		reply_header(reply, "Link", link);
	}
	reply_body(reply, reply->text, strlen(reply->text));
	reply_status(reply, 200);
}

static inline const struct content *held(const struct repository *repository, const char *digest_text)
{
	struct digest digest;
	if (!repository || !digest_parse(digest_text, &digest, NULL))
		return NULL;
	const struct content *content = content_find(&digest);
	return content && repository->holds[content->number] ? content : NULL;
}

static inline void give_manifest(struct transport_stream *stream, const struct repository *repository)
{
	const struct content *content = tag_find(repository, stream->name);
	if (!content)
		content = held(repository, stream->name);
	if (stream->method == HTTP_GET)
		stream->host->manifest_gets++;
	if (content && content->media_type)
		reply_content(stream, content);
	else
		reply_status(&stream->reply, 404);
}

static inline void give_blob(struct transport_stream *stream, const struct repository *repository)
{
	const struct content *content = held(repository, stream->name);
	if (stream->method == HTTP_GET)
		stream->host->blob_gets++;
	if (content && !content->media_type)
		reply_content(stream, content);
	else
		reply_status(&stream->reply, 404);
}

static inline void put_manifest(struct transport_stream *stream, struct repository *repository)
{
	struct host *host = stream->host;
	struct digest digest = digest_of(DIGEST_SHA256, stream->body.data, stream->body.length), named;
	const struct content *content = content_find(&digest);
	bool by_digest = digest_parse(stream->name, &named, NULL);
	host->manifest_puts++;
	if (!content || !str_is(content->media_type, stream->media_type))
		world_note(host->world, "%s/%s:%s: a manifest that nobody made", host->name, repository->name,
			stream->name);
	for (size_t i = 0; content && i < content->part_count; i++)
		if (!repository_is_whole(repository, content->parts[i]))
			world_note(host->world, "%s/%s:%s: its manifest came before %s", host->name, repository->name,
				stream->name, content->parts[i]->digest.text);
	if (!content || host->world->wrong[0] || (by_digest && !digest_equal(&named, &digest))) {
		reply_status(&stream->reply, 400);
		return;
	}
	repository->holds[content->number] = true;
	if (!by_digest)
		tag_set(repository, stream->name, content)->put_ms = loop_now_ms();
	reply_header(&stream->reply, "Docker-Content-Digest", digest.text);
	reply_body(&stream->reply, NULL, 0);
	reply_status(&stream->reply, 201);
}

static inline void open_upload(struct transport_stream *stream, struct repository *repository)
{
	struct host *host = stream->host;
	struct reply *reply = &stream->reply;
	char digest[256], from[256], location[300];
	host->posts++;
	const struct content *content =
		held(repository_find(host, query_value(stream, "from", from)), query_value(stream, "mount", digest));
	if (content && loop_random(1000) >= host->faults.no_mount) {
		repository->holds[content->number] = true;
		host->mounts++;
		reply_status(reply, 201);
		return;
	}
	if (host->upload_count == UPLOADS_MAX) {
		reply_status(reply, 503);
		return;
	}
	host->uploads[host->upload_count++] = repository;
	bool absolute = loop_random(2) == 0;
	snprintf(location, sizeof location, "%s%s/v2/%s/blobs/uploads/%zu?_state=%u", absolute ? "http://" : "",
		absolute ? host->name : "", repository->name, host->upload_count, (unsigned)loop_random(1000));
	reply_header(reply, "Location", location);
	reply_body(reply, NULL, 0);
	reply_status(reply, 202);
}

static inline void close_upload(struct transport_stream *stream, struct repository *repository)
{
	struct host *host = stream->host;
	char text[256], state[256];
	size_t session = strtoul(stream->name, NULL, 10);
	const struct content *content = stream->uploaded;
	host->blob_puts++;
	if (!content || stream->differs || stream->taken != content->length)
		world_note(host->world, "%s/%s: a whole blob of wrong bytes, for %s", host->name, repository->name,
			query_value(stream, "digest", text));
	if (!*query_value(stream, "_state", state))
		world_note(host->world, "%s/%s: the query of the location is lost", host->name, repository->name);
	if (session == 0 || session > host->upload_count || host->uploads[session - 1] != repository) {
		reply_status(&stream->reply, 404);
		return;
	}
	host->uploads[session - 1] = NULL;
	if (!content || host->world->wrong[0]) {
		reply_status(&stream->reply, 400);
		return;
	}
	host->needless_puts += repository->holds[content->number];
	if (host->came_ms[content->number] == 0)
		host->came_ms[content->number] = loop_now_ms();
	repository->holds[content->number] = true;
	host->received_bytes += (int64_t)content->length;
	reply_status(&stream->reply, 201);
}

static inline void answer(struct transport_stream *stream)
{
	bool reads = stream->method == HTTP_GET || stream->method == HTTP_HEAD;
	struct repository *repository = reads ? repository_find(stream->host, stream->repository)
					      : repository_at(stream->host, stream->repository);
	if (stream->resource == PING)
		reply_status(&stream->reply, 200);
	else if (stream->resource == TAGS && stream->method == HTTP_GET)
		list_tags(stream, repository);
	else if (stream->resource == MANIFEST && reads)
		give_manifest(stream, repository);
	else if (stream->resource == BLOB && reads)
		give_blob(stream, repository);
	else if (stream->resource == MANIFEST && stream->method == HTTP_PUT)
		put_manifest(stream, repository);
	else if (stream->resource == UPLOADS && stream->method == HTTP_POST)
		open_upload(stream, repository);
	else if (stream->resource == UPLOAD && stream->method == HTTP_PUT)
		close_upload(stream, repository);
	else
		reply_status(&stream->reply, 405);
}

static inline void answer_with_a_fault(struct transport_stream *stream)
{
	char seconds[24];
	int64_t left_ms = stream->host->limited_until_ms - loop_now_ms();
	snprintf(seconds, sizeof seconds, "%lld",
		left_ms > 0 ? (long long)(left_ms + 999) / 1000 : 1 + (long long)loop_random(5));
	bool limited = stream->fault == FAULT_LIMITED;
	if (limited || loop_random(2) == 0)
		reply_header(&stream->reply, "Retry-After", seconds);
	reply_body(&stream->reply, NULL, 0);
	reply_status(&stream->reply, limited ? 429 : loop_random(2) == 0 ? 500 : 503);
}

/* --- the phases of a stream --------------------------------------------------------------------------------------- */

static inline void on_phase(void *argument);

static inline void next_phase(struct transport_stream *stream, enum phase phase, int64_t most_ms)
{
	stream->phase = phase;
	int64_t least_ms = phase == ANSWERING ? stream->host->reply_ms : 0;
	timer_start(&stream->timer, least_ms + (int64_t)loop_random((uint64_t)most_ms + 1), on_phase, stream);
}

static inline void stop_moving(struct transport_stream *stream)
{
	if (stream->moving)
		--*stream->moving;
	stream->moving = NULL;
}

static inline void end_stream(struct transport_stream *stream, const char *why)
{
	struct error failure;
	stop_moving(stream);
	if (why)
		error_set(&failure, ERR_UNAVAILABLE, "%s", why);
	stream->events->end(stream->context, why ? &failure : NULL);
}

static inline bool keep_taken(struct transport_stream *stream, const void *bytes, size_t length, struct error *err)
{
	const struct content *content = stream->uploaded;
	if (stream->resource != UPLOAD)
		return buf_append(&stream->body, bytes, length, err);
	stream->differs |= !content || stream->taken + length > content->length;
	for (size_t at = 0; at < length && !stream->differs;) {
		size_t piece = length - at;
		const unsigned char *right = content_piece(content, stream->taken + at, &piece);
		stream->differs |= memcmp(right, (const char *)bytes + at, piece) != 0;
		at += piece;
	}
	return true;
}

static inline void take_body(struct transport_stream *stream)
{
	char bytes[TRANSPORT_BODY_MAX];
	struct error err;
	if (stream->fault == FAULT_STALLED && stream->taken >= stream->cut_at)
		return;
	if (stream->fault == FAULT_CUT && stream->taken >= stream->cut_at) {
		end_stream(stream, "reset by peer");
		return;
	}
	size_t got = stream->events->take(stream->context, bytes, 1 + loop_random(sizeof bytes));
	stream->paused = got == TRANSPORT_PAUSE;
	if (stream->paused)
		return;
	if (!keep_taken(stream, bytes, got, &err))
		world_note(stream->model->world, "%s: %s", stream->host->name, err.text);
	stream->taken += got;
	bool all = (int64_t)stream->taken >= stream->body_bytes;
	next_phase(stream, all ? ANSWERING : TAKING, all ? stream->host->latency_ms : stream->host->piece_ms);
}

static inline void tell_quota(struct transport_stream *stream)
{
	char text[40];
	snprintf(text, sizeof text, "%lld;w=21600", (long long)stream->host->quota);
	reply_header(&stream->reply, "ratelimit-limit", text);
	snprintf(text, sizeof text, "%lld;w=21600", (long long)stream->host->quota_left);
	reply_header(&stream->reply, "ratelimit-remaining", text);
}

static inline void give_head(struct transport_stream *stream)
{
	const struct reply *reply = &stream->reply;
	bool counts = stream->resource == MANIFEST && stream->method == HTTP_GET && stream->host->quota > 0;
	if (counts && stream->host->quota_left == 0) {
		stream->host->over_quota++;
		stream->fault = FAULT_LIMITED;
	}
	stream->host->quota_left -= counts && stream->host->quota_left > 0;
	if (stream->host->quota > 0 && stream->resource == MANIFEST && stream->method != HTTP_PUT)
		tell_quota(stream);
	if (stream->fault == FAULT_FAILED || stream->fault == FAULT_LIMITED)
		answer_with_a_fault(stream);
	else
		answer(stream);
	if (stream->fault == FAULT_LOST) {
		end_stream(stream, "reset by peer");
		return;
	}
	bool ok = stream->events->status(stream->context, reply->status);
	for (size_t i = 0; i < reply->header_count && ok; i++)
		ok = stream->events->header(stream->context, reply->headers[i].name, strlen(reply->headers[i].name),
			reply->headers[i].value, strlen(reply->headers[i].value));
	if (!ok) {
		end_stream(stream, NULL);
		return;
	}
	stream->events->head(stream->context);
	bool has_body = reply->length > 0 && stream->method != HTTP_HEAD;
	stream->cut_at = has_body ? loop_random(reply->length) : 0;
	next_phase(stream, has_body ? GIVING : ENDING, stream->host->piece_ms);
}

static inline void give_body(struct transport_stream *stream)
{
	const struct reply *reply = &stream->reply;
	const struct content *flipped = stream->host->faults.flipped;
	size_t length = 1 + loop_random(TRANSPORT_BODY_MAX);
	if (stream->fault == FAULT_STALLED && stream->given >= stream->cut_at)
		return;
	if (stream->fault == FAULT_CUT && stream->given >= stream->cut_at) {
		end_stream(stream, "reset by peer");
		return;
	}
	if (length > reply->length - stream->given)
		length = reply->length - stream->given;
	const unsigned char *from = reply->content ? content_piece(reply->content, reply->from + stream->given, &length)
						   : reply->body + stream->given;
	world_measure_memory(stream->host->world);
	unsigned char wrong = flipped && from == flipped->bytes ? *from ^ 1 : *from;
	if (wrong != *from) { /* in a piece of its own */
		from = &wrong;
		length = 1;
	}
	stream->paused = stream->events->body(stream->context, from, length) == TRANSPORT_PAUSE;
	if (stream->paused)
		return;
	stream->given += length;
	next_phase(stream, stream->given < reply->length ? GIVING : ENDING, stream->host->piece_ms);
}

static inline void on_phase(void *argument)
{
	struct transport_stream *stream = argument;
	switch (stream->phase) {
	case CONNECTING:
		if (stream->fault == FAULT_REFUSED) {
			end_stream(stream, "connection refused");
			return;
		}
		stream->events->connected(stream->context, ADDRESS_LOOPBACK);
		bool answers_early = stream->fault == FAULT_FAILED && loop_random(2) == 0;
		bool takes = stream->body_bytes > 0 && !answers_early;
		next_phase(
			stream, takes ? TAKING : ANSWERING, takes ? stream->host->piece_ms : stream->host->latency_ms);
		return;
	case TAKING:
		take_body(stream);
		return;
	case ANSWERING:
		give_head(stream);
		return;
	case GIVING:
		give_body(stream);
		return;
	case ENDING:
		end_stream(stream, NULL);
		return;
	}
}

/* --- the transport ------------------------------------------------------------------------------------------------ */

static inline enum fault draw_fault(const struct faults *faults)
{
	const struct {
		unsigned share;
		enum fault fault;
	} rows[] = {{faults->refused, FAULT_REFUSED}, {faults->cut, FAULT_CUT}, {faults->failed, FAULT_FAILED},
		{faults->limited, FAULT_LIMITED}, {faults->lost, FAULT_LOST}, {faults->stalled, FAULT_STALLED}};
	uint64_t number = loop_random(1000);
	for (size_t i = 0; i < array_count(rows); i++) {
		if (number < rows[i].share)
			return rows[i].fault;
		number -= rows[i].share;
	}
	return FAULT_NONE;
}

static inline struct host *host_of(struct world *world, const char *url, const char **path)
{
	const char *name = url + strlen("http://");
	size_t length = strcspn(name, "/");
	*path = name + length;
	for (size_t i = 0; i < world->host_count && str_starts_with(url, "http://"); i++)
		if (strlen(world->hosts[i].name) == length && strncmp(world->hosts[i].name, name, length) == 0)
			return &world->hosts[i];
	return NULL;
}

/* It needs a place, be it for a blob that comes or goes or for anything else. */
static inline void start_moving(struct transport_stream *stream)
{
	struct host *host = stream->host;
	if (stream->method == HTTP_GET && stream->resource == BLOB)
		stream->moving = &host->sending;
	else if (stream->method == HTTP_PUT && stream->resource == UPLOAD)
		stream->moving = &host->receiving;
	else
		stream->moving = &host->asking;
	size_t places = stream->moving == &host->asking ? METADATA_PLACES : host->blob_slots;
	if (++*stream->moving > places)
		world_note(host->world, "%s: %zu %s at once, and %zu places", host->name, *stream->moving,
			stream->moving == &host->asking ? "requests" : "blobs", places);
}

static inline bool model_start(struct transport *base, const struct transport_request *request,
	const struct transport_events *events, void *context, struct transport_stream **out, struct error *err)
{
	struct model *model = (struct model *)base;
	const char *path;
	struct host *host = host_of(model->world, request->url, &path);
	if (!host || host->requests >= REQUESTS_MAX) {
		world_note(model->world, "%s: %s", request->url, host ? "no end of requests" : "no such host");
		return error_set(err, ERR_INVALID, "%s: not in this world", request->url);
	}
	struct transport_stream *stream = memory_new(1, sizeof *stream);
	*stream = (struct transport_stream){.model = model,
		.host = host,
		.events = events,
		.context = context,
		.fault = draw_fault(&host->faults),
		.method = request->method,
		.range_first = -1,
		.range_last = -1,
		.body_bytes = request->body_bytes};
	host->requests++;
	if (host->limit_after > 0 && host->requests == host->limit_after)
		host->limited_until_ms = loop_now_ms() + host->limit_ms;
	if (loop_now_ms() < host->limited_until_ms)
		stream->fault = FAULT_LIMITED;
	model->streams++;
	buf_init(&stream->body, request->body_bytes > 0 ? (size_t)request->body_bytes : 0);
	parse_path(stream, path);
	for (size_t i = 0; i < request->header_count; i++)
		read_header(stream, &request->headers[i]);
	stream->cut_at = request->body_bytes > 0 ? loop_random((uint64_t)request->body_bytes) : 0;
	if (stream->resource == UPLOAD) {
		char text[256];
		struct digest digest;
		if (digest_parse(query_value(stream, "digest", text), &digest, NULL))
			stream->uploaded = content_find(&digest);
	}
	if (stream->resource == BLOB && stream->method == HTTP_HEAD && loop_random(1000) < host->faults.no_head)
		stream->fault = loop_random(2) == 0 ? FAULT_FAILED : FAULT_REFUSED;
	start_moving(stream);
	next_phase(stream, CONNECTING, host->latency_ms);
	*out = stream;
	return true;
}

static inline void model_resume(struct transport_stream *stream)
{
	if (stream->paused)
		next_phase(stream, stream->phase, 0);
	stream->paused = false;
}

static inline void model_release(struct transport_stream *stream)
{
	timer_stop(&stream->timer);
	stop_moving(stream);
	stream->model->streams--;
	buf_release(&stream->body);
	free(stream->reply.text);
	free(stream);
}

static inline void model_free(struct transport *base)
{
	struct model *model = (struct model *)base;
	if (model->streams > 0)
		world_note(model->world, "%zu requests were left open", model->streams);
	free(model);
}

static inline struct transport *model_new(struct world *world)
{
	struct model *model = memory_new(1, sizeof *model);
	model->base = (struct transport){model_start, model_resume, model_release, model_free};
	model->world = world;
	return &model->base;
}

#endif
