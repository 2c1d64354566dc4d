/*
 * Uploads: POST opens a session, one PUT carries the blob (UPL-9); or, where the host has taught us so, PATCHes do
 * (upload_way.h).
 *
 * The happy path: open -> begin -> write... -> commit, and the registry says 201.
 *
 * The failure modes; a session in which anything went wrong is never written to again (UPL-20, UPL-22):
 *   a redirect of the first body       that body, and no other, is sent to where it leads, if blobs may go there
 * (RED-2) a reply before the last byte       it is the error; the session is cut (HTTP-8) the way is refused the host
 * is remembered for it: another session, another way (UPL-11 to UPL-15) no reply to the last request       HEAD
 * decides: there, or another session from byte 0 (UPL-21, T-45) no reply to a PATCH                another session
 * (UPL-20) the token grew old meanwhile       it is forgotten; another session (TOK-14) a mount that is refused no
 * failure at all: the blob is uploaded (TOK-5, UPL-2)
 */
#include "sync/registry/internal.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "sync/registry/links.h"

#include <string.h>

struct blob_upload {
	struct registry *registry;
	char *repository;
	char *location;    /* the newest (UPL-14) */
	bool is_elsewhere; /* which is at another origin, of upload-hosts: nobody's token goes there (T-14) */
	char *moved;       /* where the first body goes instead, as it is; or NULL */
	int redirects;
	struct upload_wishes wishes; /* of the reply to the POST */
	struct http_tls elsewhere_tls;
	struct descriptor blob; /* digest and size, from begin on */
	struct upload_plan plan;
	enum upload_advice advice;
	/* the request that runs */
	char *url;
	struct authorization who;
	struct http_exchange *exchange;
	bool closes;        /* its success is the blob's */
	int64_t begin, end; /* what it carries of the blob */
	int64_t sent;       /* of the blob, so far */
	int64_t started_ms;
};

/* --- sessions ------------------------------------------------------------------------------------------------------
 */

/* The session goes on at @location, as said by @from. */
static bool go_on_at(struct blob_upload *upload, const char *from, const char *location, struct error *err)
{
	struct registry *registry = upload->registry;
	char *url;
	struct origin home, there;
	if (!links_upload(from, location, (const char *const *)registry->upload_hosts, registry->upload_host_count,
		    &url, err))
		return false;
	free(upload->location);
	upload->location = url;
	if (!origin_of(registry->base, &home, err) || !origin_of(url, &there, err))
		return false;
	upload->is_elsewhere = !origin_equal(&home, &there);
	return true;
}

static int64_t length_header(const struct reply *reply, const char *name)
{
	const char *text = reply_header(reply, name);
	int64_t length = 0;
	if (text)
		(void)str_parse_number(text, INT64_MAX, &length);
	return length;
}

static bool new_session(struct registry *registry, const char *repository, const struct reply *reply,
	struct blob_upload **upload, struct error *err)
{
	const char *location = reply_header(reply, "Location");
	struct blob_upload *fresh = memory_new(1, sizeof *fresh);
	fresh->registry = registry;
	fresh->repository = memory_text(repository);
	fresh->wishes.least_bytes = length_header(reply, "OCI-Chunk-Min-Length");
	fresh->wishes.most_bytes = length_header(reply, "OCI-Chunk-Max-Length");
	fresh->elsewhere_tls = (struct http_tls){.ca_file = registry->tls.ca_file};
	bool ok = location ? go_on_at(fresh, http_url(reply->exchange), location, err)
			   : error_set(err, ERR_PROTOCOL, "a session without a Location");
	if (ok) {
		*upload = fresh;
		return true;
	}
	blob_upload_free(fresh);
	return error_wrap(err, "%s", http_what(reply->exchange));
}

static bool fail_as(const struct error *why, struct error *err)
{
	if (err)
		*err = *why;
	return false;
}

static struct call post(const char *url, const char *repository, struct scopes *scopes)
{
	return (struct call){
		.method = HTTP_POST,
		.kind = HTTP_UPLOAD,
		.url = url,
		.repository = repository,
		.scopes = scopes,
	};
}

bool registry_upload_open(struct registry *registry, const char *repository, const struct digest *digest,
	struct blob_upload **upload, struct error *err)
{
	char algorithm[32];
	/* UPL-29: what is usual needs no word. */
	auto_free char *name = digest->algorithm == DIGEST_SHA256 ? memory_text("uploads/")
								  : memory_format("uploads/?digest-algorithm=%s",
									    digest_algorithm_name(digest, algorithm));
	auto_free char *url = registry_url(registry, repository, "blobs", name);
	auto_scopes struct scopes scopes = {.count = 0};
	auto_reply struct reply reply = {0};
	scopes_add(&scopes, repository, SCOPE_PUSH);
	struct call call = post(url, repository, &scopes);
	if (!refusals_allow(&registry->refusals, repository, err) || !registry_call(registry, &call, &reply, err))
		return false;
	if (reply_status(&reply) != 202) {
		struct error why;
		reply_write_refused(registry, &reply, &why);
		refusals_note(&registry->refusals, repository, &why);
		return fail_as(&why, err);
	}
	return new_session(registry, repository, &reply, upload, err);
}

/* TOK-5: whatever fails here, the blob can be uploaded; but for what ends everything. */
static bool is_for_good(const struct error *why)
{
	return why->kind == ERR_CANCELED || why->kind == ERR_REFUSED;
}

bool registry_blob_mount(struct registry *registry, const char *repository, const char *from,
	const struct digest *digest, bool *mounted, struct blob_upload **upload, struct error *err)
{
	auto_free char *digest_text = links_encode(digest->text), *from_text = links_encode(from);
	auto_free char *name = memory_format("uploads/?mount=%s&from=%s", digest_text, from_text);
	auto_free char *url = registry_url(registry, repository, "blobs", name);
	auto_scopes struct scopes scopes = {.count = 0};
	auto_reply struct reply reply = {0};
	struct error why = {.kind = ERR_NONE};
	scopes_add(&scopes, repository, SCOPE_PUSH); /* TOK-3: first */
	scopes_add(&scopes, from, SCOPE_PULL);
	struct call call = post(url, repository, &scopes);
	call.once = call.final = true;
	*mounted = false;
	*upload = NULL;
	if (!refusals_allow(&registry->refusals, repository, NULL))
		return true; /* it is told by whoever opens a session */
	if (registry_call(registry, &call, &reply, &why)) {
		*mounted = reply_status(&reply) == 201;
		if (reply_status(&reply) != 202 || new_session(registry, repository, &reply, upload, &why))
			return true;
	}
	if (!is_for_good(&why))
		return true;
	return fail_as(&why, err);
}

/* --- one request ---------------------------------------------------------------------------------------------------
 */

static char *closing_url(const struct blob_upload *upload)
{
	auto_free char *digest = links_encode(upload->blob.digest.text);
	auto_free char *query = memory_format("digest=%s", digest);
	return links_add_query(upload->location, query);
}

/* Send a request that carries the blob from upload->begin to upload->end; as a PUT, if it closes. */
static bool send_part(struct blob_upload *upload, struct error *err)
{
	auto_scopes struct scopes scopes = {.count = 0};
	struct registry *registry = upload->registry;
	int64_t bytes = upload->end - upload->begin;
	bool ranged = upload->plan.way == UPLOAD_CHUNKS && bytes > 0 && bytes < upload->blob.size;
	free(upload->url);
	upload->url = upload->moved    ? upload->moved
		      : upload->closes ? closing_url(upload)
				       : memory_text(upload->location);
	upload->moved = NULL;
	authorization_release(&upload->who);
	scopes_add(&scopes, upload->repository, SCOPE_PUSH);
	if (!upload->is_elsewhere && !registry_authorize(registry, upload->repository, &scopes, &upload->who, err))
		return false;
	struct http_request request = {
		.method = upload->closes ? HTTP_PUT : HTTP_PATCH,
		.kind = HTTP_UPLOAD,
		.url = upload->url,
		.authorization = upload->who.header,
		.content_type = "application/octet-stream", /* UPL-19 */
		.body_bytes = bytes,
		.range_first = ranged ? upload->begin : -1,
		.range_last = upload->end - 1,
		.bulk = true,
		.tls = upload->is_elsewhere ? &upload->elsewhere_tls : &registry->tls,
		.foreign = upload->is_elsewhere,
		.home_class = registry->address_class,
	};
	upload->started_ms = loop_now_ms();
	return http_open(registry->http, &request, &upload->exchange, err);
}

/* The next request that carries something, by the plan. */
static bool send_next(struct blob_upload *upload, struct error *err)
{
	const struct upload_plan *plan = &upload->plan;
	int64_t left = upload->blob.size - upload->sent;
	int64_t bytes = plan->way == UPLOAD_CHUNKS && plan->part_bytes < left ? plan->part_bytes : left;
	bool is_last = bytes == left;
	upload->begin = upload->sent;
	upload->end = upload->sent + bytes;
	/* A blob that fits into one part is sent as if there were none. */
	upload->closes = plan->way == UPLOAD_PUT ||
			 (plan->way == UPLOAD_CHUNKS && is_last && (plan->full_close || upload->sent == 0));
	return send_part(upload, err);
}

/* --- refusals ------------------------------------------------------------------------------------------------------
 */

/* The session is good for nothing any more, and another may be better. */
static bool try_another(struct error *err, const struct error *why, const char *remark)
{
	struct error said = *why;
	error_set(err, ERR_UNAVAILABLE, "%s%s", said.text, remark);
	if (err) {
		err->http_status = said.http_status;
		err->retry_after_ms = said.retry_after_ms;
	}
	return false;
}

static bool says(const struct reply *reply, const char *code)
{
	return memmem(buf_peek(&reply->body), reply->body.length, code, strlen(code)) != NULL;
}

/* Has the host taught us, or somebody else's upload, that there is another way? */
static bool has_another_way(const struct blob_upload *upload)
{
	struct upload_plan now = upload_plan_for(&upload->registry->uploads, upload->blob.size, &upload->wishes);
	return !upload_plan_equal(&now, &upload->plan);
}

/*
 * RED-2: 307 and 308 are followed with the same method and body, of which we have the beginning only while nothing of
 * the blob has been stored. Where they lead is a Location as any other (T-14).
 */
static bool follow(struct blob_upload *upload, const struct http_exchange *exchange, struct error *err)
{
	int status = http_status(exchange);
	const char *location = http_header(exchange, "Location", 0);
	if ((status != 307 && status != 308) || !location || upload->begin != 0 ||
		upload->redirects++ == LIMIT_REDIRECTS)
		return true;
	if (!go_on_at(upload, http_url(exchange), location, err))
		return error_wrap(err, "%s", http_what(exchange));
	upload->moved = memory_text(upload->location);
	upload->advice = UPLOAD_MOVED;
	return true;
}

static void learn(struct blob_upload *upload, const struct reply *reply, int status)
{
	struct upload_refusal refusal = {
		.status = status,
		.closes = upload->closes && upload->end == upload->begin && upload->blob.size > 0,
		/* A 404 is about the session, unless it says otherwise (UPL-11, UPL-21). */
		.session_is_gone = status == 404 && !says(reply, "UNSUPPORTED"),
		.digest_is_wrong = says(reply, "DIGEST_INVALID") || says(reply, "SIZE_INVALID"),
		.begins = upload->begin == 0,
		.body_bytes = upload->end - upload->begin,
	};
	upload_learn(&upload->registry->uploads, &upload->plan, &refusal);
	if (has_another_way(upload))
		upload->advice = UPLOAD_OTHER_WAY;
	else if (refusal.digest_is_wrong)
		upload->advice = UPLOAD_ONCE_MORE; /* UPL-23: our own bytes are proven */
	else if (refusal.session_is_gone)
		upload->advice = UPLOAD_GONE;
}

/*
 * The reply as an error. Another session is the remedy for a way that is not taken, for a token that grew old, for a
 * session that is gone, and for a success that is none (UPL-10).
 */
static bool refused(struct blob_upload *upload, struct error *err)
{
	auto_reply struct reply reply = {.exchange = upload->exchange, .anonymous = upload->who.anonymous};
	struct error why;
	upload->exchange = NULL;
	reply_read_short(&reply);
	reply_write_refused(upload->registry, &reply, &why);
	int status = reply_status(&reply);
	if (!follow(upload, reply.exchange, err))
		return false;
	if (status == 401 && !upload->is_elsewhere)
		registry_unauthorized(upload->registry, &upload->who, reply.exchange, NULL);
	if (upload->advice != UPLOAD_MOVED)
		learn(upload, &reply, status);
	/* What the registry says of our bytes twice is its last word, and an error of the target. */
	bool other_session = upload->advice == UPLOAD_OTHER_WAY || upload->advice == UPLOAD_MOVED || status < 300 ||
			     status == 401 || status == 404 || status == 416;
	if (other_session)
		return try_another(err, &why, "");
	if (!upload->is_elsewhere)
		refusals_note(&upload->registry->refusals, upload->repository, &why);
	return fail_as(&why, err);
}

/* No reply came. */
static void was_cut(struct blob_upload *upload)
{
	upload_learn_cut(&upload->registry->uploads, loop_now_ms() - upload->started_ms, upload->end - upload->begin);
	if (has_another_way(upload))
		upload->advice = UPLOAD_OTHER_WAY;
}

/* --- the parts -----------------------------------------------------------------------------------------------------
 */

/* The reply to a PATCH: where the session goes on. What it says of the bytes it has is not to be trusted (UPL-16). */
static bool end_part(struct blob_upload *upload, struct error *err)
{
	if (!http_reply(upload->exchange, err)) {
		was_cut(upload);
		return false;
	}
	int status = http_status(upload->exchange);
	if (status != 202 && status != 201 && status != 204 && status != 200)
		return refused(upload, err);
	auto_reply struct reply reply = {.exchange = upload->exchange};
	upload->exchange = NULL;
	const char *location = reply_header(&reply, "Location");
	if (location && !go_on_at(upload, http_url(reply.exchange), location, err))
		return error_wrap(err, "%s", http_what(reply.exchange));
	reply_read_short(&reply);
	return true;
}

bool blob_upload_begin(struct blob_upload *upload, const struct descriptor *blob, struct error *err)
{
	upload->blob.digest = blob->digest;
	upload->blob.size = blob->size;
	upload->sent = 0;
	upload->advice = UPLOAD_NO_ADVICE;
	upload->plan = upload_plan_for(&upload->registry->uploads, blob->size, &upload->wishes);
	return send_next(upload, err);
}

static bool write_some(struct blob_upload *upload, const void *bytes, size_t length, struct error *err)
{
	struct error why;
	if (http_write(upload->exchange, bytes, length, &why)) {
		upload->sent += (int64_t)length;
		return true;
	}
	/* It may have answered in the middle; then that is the reason. */
	if (why.kind == ERR_UNAVAILABLE && http_reply(upload->exchange, NULL))
		return refused(upload, err);
	was_cut(upload);
	return fail_as(&why, err);
}

bool blob_upload_write(struct blob_upload *upload, const void *bytes, size_t length, struct error *err)
{
	const unsigned char *from = bytes;
	while (length > 0) {
		if (upload->sent == upload->end && (!end_part(upload, err) || !send_next(upload, err)))
			return false;
		size_t some =
			(int64_t)length < upload->end - upload->sent ? length : (size_t)(upload->end - upload->sent);
		if (!write_some(upload, from, some, err))
			return false;
		from += some;
		length -= some;
	}
	return true;
}

/* --- the end -------------------------------------------------------------------------------------------------------
 */

/* UPL-21: what the reply does not tell, the registry does. */
static bool settle(struct blob_upload *upload, const struct error *why, struct error *err)
{
	bool present = false;
	struct error failure;
	if (registry_blob_head(upload->registry, upload->repository, &upload->blob, &present, &failure))
		return present || try_another(err, why, "; the blob is not there");
	if (failure.kind != ERR_CANCELED)
		return try_another(err, why, "");
	return fail_as(&failure, err);
}

/* Read to its end, so that the connection serves again. */
static bool finish(struct blob_upload *upload)
{
	auto_reply struct reply reply = {.exchange = upload->exchange};
	upload->exchange = NULL;
	reply_read_short(&reply);
	return true;
}

/* After PATCHes: the PUT that has nothing to bring. */
static bool close_session(struct blob_upload *upload, struct error *err)
{
	upload->closes = true;
	upload->begin = upload->end;
	return send_part(upload, err);
}

bool blob_upload_commit(struct blob_upload *upload, struct error *err)
{
	struct error why;
	if (!upload->closes && !end_part(upload, err))
		return false;
	bool answered = (upload->closes || close_session(upload, &why)) && http_reply(upload->exchange, &why);
	if (!answered && is_for_good(&why))
		return fail_as(&why, err);
	if (!answered) {
		was_cut(upload);
		return settle(upload, &why, err);
	}
	int status = http_status(upload->exchange);
	if (status == 201)
		return finish(upload);
	refused(upload, &why);
	if (why.kind == ERR_UNAVAILABLE && status != 401 &&
		(upload->advice == UPLOAD_NO_ADVICE || upload->advice == UPLOAD_GONE))
		return settle(upload, &why, err);
	return fail_as(&why, err);
}

enum upload_advice blob_upload_advice(const struct blob_upload *upload)
{
	return upload->advice;
}

void blob_upload_free(struct blob_upload *upload)
{
	if (!upload)
		return;
	http_close(upload->exchange);
	authorization_release(&upload->who);
	free(upload->url);
	free(upload->moved);
	free(upload->location);
	free(upload->repository);
	free(upload);
}
