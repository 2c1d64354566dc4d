/*
 * Content at the URLs of its own descriptor (BLB-14, BLB-15). It is the writer of a manifest who names these hosts, and
 * anybody may be that: they get no credentials and no exception from verification, https does not become http, and a
 * host at a private address is none that a stranger may send us to, since the user did not name it (T-16, T-17). Only
 * who reads a registry on this very machine may be sent to what is on it.
 */
#include "sync/registry/internal.h"

static bool may_be_asked(const struct registry *registry, const char *url, struct error *err)
{
	struct origin home, there;
	return origin_of(registry->base, &home, err) && origin_of(url, &there, err) &&
	       origin_may_follow(&home, &there, err);
}

static bool ask(const struct registry *registry, const char *url, const struct descriptor *blob, int64_t offset,
	struct reply *reply, struct error *err)
{
	const struct http_tls tls = {.ca_file = registry->tls.ca_file};
	bool at_home = registry->address_class == ADDRESS_LOOPBACK;
	struct http_request request = {
		.method = HTTP_GET,
		.kind = HTTP_BLOB,
		.url = url,
		.body_bytes = HTTP_NO_BODY,
		.range_first = offset > 0 ? offset : -1,
		.range_last = blob->size - 1,
		.bulk = true,
		.tls = &tls,
		.foreign = true,
		.home_class = at_home ? ADDRESS_LOOPBACK : ADDRESS_PUBLIC,
	};
	return http_open(registry->http, &request, &reply->exchange, err);
}

static bool open_one(struct registry *registry, const char *url, const struct descriptor *blob, int64_t offset,
	struct blob_reader **reader, struct error *err)
{
	auto_reply struct reply reply = {0};
	if (!may_be_asked(registry, url, err))
		return error_wrap(err, "a URL of its descriptor");
	if (!ask(registry, url, blob, offset, &reply, err))
		return false;
	int status = reply_status(&reply);
	if (status == 200 || (status == 206 && offset > 0))
		return blob_reader_new(&reply, blob, offset, reader, err);
	reply_read_short(&reply);
	return reply_error_of(reply.exchange, buf_peek(&reply.body), reply.body.length, err);
}

/* What a host that nobody named refuses is not there, as far as we can tell: it is no word about our credentials. */
static void settle_kind(struct error *err)
{
	if (err->kind == ERR_DENIED || err->kind == ERR_UNAUTHORIZED || err->kind == ERR_UNSUPPORTED)
		err->kind = ERR_NOT_FOUND;
}

bool registry_foreign_open(struct registry *registry, const struct descriptor *blob, int64_t offset,
	struct blob_reader **reader, struct error *err)
{
	struct error why;
	error_set(&why, ERR_NOT_FOUND, "its descriptor has no URL");
	for (size_t i = 0; i < blob->url_count; i++) {
		if (open_one(registry, blob->urls[i], blob, offset, reader, &why))
			return true;
		if (why.kind == ERR_CANCELED)
			break;
	}
	settle_kind(&why);
	if (err)
		*err = why;
	return false;
}
