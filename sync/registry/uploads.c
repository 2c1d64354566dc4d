/*
 * Uploads: POST opens a session, one PUT carries the blob (UPL-9).
 *
 * The happy path: open -> begin -> write... -> commit, and the registry says 201.
 *
 * The failure modes:
 *   a reply before the last byte       it is the error; the session is cut (HTTP-8)
 *   no reply, or one that is unclear   HEAD decides: there, or another session from byte 0 (UPL-21, T-45)
 *   the token grew old meanwhile       it is forgotten; another session (TOK-14)
 *   a mount that is refused            no failure at all: the blob is uploaded (TOK-5, UPL-2)
 */
#include "sync/registry/internal.h"

#include "base/memory.h"
#include "sync/registry/links.h"

struct blob_upload {
	struct registry *registry;
	char *repository;
	char *location;           /* of the session */
	struct descriptor blob;   /* digest and size, from begin on */
	char *url;                /* of the PUT */
	struct authorization who; /* of the PUT */
	struct http_exchange *exchange;
};

/* --- sessions ------------------------------------------------------------------------------------------------------
 */

static bool new_session(struct registry *registry, const char *repository, const struct reply *reply,
	struct blob_upload **upload, struct error *err)
{
	const char *location = reply_header(reply, "Location");
	char *url;
	if (!location)
		return error_set(err, ERR_PROTOCOL, "%s: a session without a Location", http_what(reply->exchange));
	if (!links_upload(http_url(reply->exchange), location, &url, err))
		return error_wrap(err, "%s", http_what(reply->exchange));
	struct blob_upload *fresh = memory_new(1, sizeof *fresh);
	fresh->registry = registry;
	fresh->repository = memory_text(repository);
	fresh->location = url;
	*upload = fresh;
	return true;
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

bool registry_upload_open(
	struct registry *registry, const char *repository, struct blob_upload **upload, struct error *err)
{
	auto_free char *url = registry_url(registry, repository, "blobs", "uploads/");
	auto_scopes struct scopes scopes = {.count = 0};
	auto_reply struct reply reply = {0};
	scopes_add(&scopes, repository, SCOPE_PUSH);
	struct call call = post(url, repository, &scopes);
	if (!registry_call(registry, &call, &reply, err))
		return false;
	if (reply_status(&reply) != 202)
		return reply_write_refused(registry, &reply, err);
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
	if (registry_call(registry, &call, &reply, &why)) {
		*mounted = reply_status(&reply) == 201;
		if (reply_status(&reply) != 202 || new_session(registry, repository, &reply, upload, &why))
			return true;
	}
	if (!is_for_good(&why))
		return true;
	if (err)
		*err = why;
	return false;
}

/* --- the PUT -------------------------------------------------------------------------------------------------------
 */

bool blob_upload_begin(struct blob_upload *upload, const struct descriptor *blob, struct error *err)
{
	auto_scopes struct scopes scopes = {.count = 0};
	auto_free char *digest = links_encode(blob->digest.text);
	auto_free char *query = memory_format("digest=%s", digest);
	struct registry *registry = upload->registry;
	upload->blob.digest = blob->digest;
	upload->blob.size = blob->size;
	upload->url = links_add_query(upload->location, query);
	scopes_add(&scopes, upload->repository, SCOPE_PUSH);
	if (!registry_authorize(registry, upload->repository, &scopes, &upload->who, err))
		return false;
	struct http_request request = {
		.method = HTTP_PUT,
		.kind = HTTP_UPLOAD,
		.url = upload->url,
		.authorization = upload->who.header,
		.content_type = "application/octet-stream", /* UPL-19 */
		.body_bytes = blob->size,
		.range_first = -1,
		.bulk = true,
		.tls = &registry->tls,
	};
	return http_open(registry->http, &request, &upload->exchange, err);
}

/* The session is good for nothing any more, and another may be better. */
static bool try_another(struct error *err, const struct error *why, const char *remark)
{
	struct error said = *why;
	error_set(err, ERR_UNAVAILABLE, "%s%s", said.text, remark);
	if (err)
		err->http_status = said.http_status;
	return false;
}

/*
 * The reply as an error. Another session is the remedy for a token that grew old, for a session that is gone, and for a
 * success that is none (UPL-10).
 */
static bool refused(struct blob_upload *upload, struct error *err)
{
	auto_reply struct reply reply = {.exchange = upload->exchange, .anonymous = upload->who.anonymous};
	struct error why;
	upload->exchange = NULL;
	reply_read_short(&reply);
	reply_refused(upload->registry, &reply, &why);
	if (why.http_status == 401)
		registry_unauthorized(upload->registry, &upload->who, reply.exchange, NULL);
	if (why.http_status < 300 || why.http_status == 401 || why.http_status == 404 || why.http_status == 416)
		return try_another(err, &why, "");
	if (err)
		*err = why;
	return false;
}

bool blob_upload_write(struct blob_upload *upload, const void *bytes, size_t length, struct error *err)
{
	struct error why;
	if (http_write(upload->exchange, bytes, length, &why))
		return true;
	/* It may have answered in the middle; then that is the reason. */
	if (why.kind == ERR_UNAVAILABLE && http_reply(upload->exchange, NULL))
		return refused(upload, err);
	if (err)
		*err = why;
	return false;
}

/* UPL-21: what the reply does not tell, the registry does. */
static bool settle(struct blob_upload *upload, const struct error *why, struct error *err)
{
	bool present = false;
	struct error failure;
	if (registry_blob_head(upload->registry, upload->repository, &upload->blob, &present, &failure))
		return present || try_another(err, why, "; the blob is not there");
	if (failure.kind != ERR_CANCELED)
		return try_another(err, why, "");
	if (err)
		*err = failure;
	return false;
}

/* Read to its end, so that the connection serves again. */
static bool finish(struct blob_upload *upload)
{
	auto_reply struct reply reply = {.exchange = upload->exchange};
	upload->exchange = NULL;
	reply_read_short(&reply);
	return true;
}

bool blob_upload_commit(struct blob_upload *upload, struct error *err)
{
	struct error why;
	if (!http_reply(upload->exchange, &why)) {
		if (!is_for_good(&why))
			return settle(upload, &why, err);
		if (err)
			*err = why;
		return false;
	}
	int status = http_status(upload->exchange);
	if (status == 201)
		return finish(upload);
	refused(upload, &why);
	if (why.kind == ERR_UNAVAILABLE && status != 401)
		return settle(upload, &why, err);
	if (err)
		*err = why;
	return false;
}

void blob_upload_free(struct blob_upload *upload)
{
	if (!upload)
		return;
	http_close(upload->exchange);
	authorization_release(&upload->who);
	free(upload->url);
	free(upload->location);
	free(upload->repository);
	free(upload);
}
