#include "sync/registry/internal.h"

#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/links.h"

#include <inttypes.h>
#include <string.h>

/* --- is it there ---------------------------------------------------------------------------------------------------
 */

bool registry_blob_head(struct registry *registry, const char *repository, const struct descriptor *blob, bool *present,
	struct error *err)
{
	auto_free char *url = registry_url(registry, repository, "blobs", blob->digest.text);
	auto_scopes struct scopes scopes = {.count = 0};
	auto_reply struct reply reply = {0};
	/* Whoever asks this is about to push: one token for both (AUTH-20). */
	scopes_add(&scopes, repository, SCOPE_PUSH);
	struct call call = {
		.method = HTTP_HEAD,
		.kind = HTTP_BLOB,
		.url = url,
		.repository = repository,
		.scopes = &scopes,
	};
	if (!registry_call(registry, &call, &reply, err))
		return false;
	int status = reply_status(&reply);
	int64_t size = http_content_length(reply.exchange);
	/* RED-9: it was told to look elsewhere, so it is not to be called absent; but that it is there was not said. */
	bool is_elsewhere = !registry_is_origin_of(registry, reply.exchange);
	if (status != 200 && status != 404 && status != 405 && !is_elsewhere)
		return reply_refused(registry, &reply, err);
	*present = status == 200 && (size < 0 || size == blob->size);
	return true;
}

/* --- its bytes -----------------------------------------------------------------------------------------------------
 */

struct blob_reader {
	struct http_exchange *exchange; /* NULL: nothing is left to read */
	int64_t skip;                   /* sent although we did not ask for it */
	int64_t left;
	char encoding[32]; /* "": none */
};

/* BLB-9: what is sent is what is hashed; a coding of its own is told only where that was wrong. */
static void read_encoding(const struct http_exchange *exchange, char *out, size_t out_size)
{
	const char *encoding = http_header(exchange, "Content-Encoding", 0);
	*out = '\0';
	if (encoding && !str_is_nocase(encoding, "identity"))
		str_sanitize(encoding, strlen(encoding), out, out_size);
}

/* BLB-2, BLB-5: what is about to come, judged before a byte of it is used. */
static bool judge_reply(const struct http_exchange *exchange, const struct descriptor *blob, int64_t offset,
	int64_t *skip, struct error *err)
{
	int status = http_status(exchange);
	int64_t first = 0, last = blob->size - 1, total = blob->size, length = http_content_length(exchange);
	*skip = status == 206 ? 0 : offset;
	if (status == 206) {
		const char *range = http_header(exchange, "Content-Range", 0);
		bool right = range && links_content_range(range, &first, &last, &total) && first == offset &&
			     last == blob->size - 1 && (total == blob->size || total < 0);
		if (!right)
			return error_set(
				err, ERR_PROTOCOL, "%s: another range than was asked for", http_what(exchange));
	}
	int64_t expected = blob->size - first;
	if (length >= 0 && length != expected)
		return error_set(err, ERR_CORRUPT, "%s: %" PRId64 " bytes, and not %" PRId64, http_what(exchange),
			length, expected);
	return true;
}

/* Behind an error that the coding explains. Returns false. */
static bool blob_reader_explain(const struct blob_reader *reader, struct error *err)
{
	return *reader->encoding ? error_wrap(err, "sent with Content-Encoding %s", reader->encoding) : false;
}

bool blob_reader_new(struct reply *reply, const struct descriptor *blob, int64_t offset, struct blob_reader **reader,
	struct error *err)
{
	struct blob_reader *fresh = memory_new(1, sizeof *fresh);
	read_encoding(reply->exchange, fresh->encoding, sizeof fresh->encoding);
	if (!judge_reply(reply->exchange, blob, offset, &fresh->skip, err)) {
		blob_reader_explain(fresh, err);
		free(fresh);
		return false;
	}
	fresh->exchange = reply->exchange;
	fresh->left = blob->size - offset;
	reply->exchange = NULL;
	*reader = fresh;
	return true;
}

static bool ask(struct registry *registry, const char *repository, const struct descriptor *blob, int64_t offset,
	struct reply *reply, struct error *err)
{
	auto_free char *url = registry_url(registry, repository, "blobs", blob->digest.text);
	auto_scopes struct scopes scopes = {.count = 0};
	scopes_add(&scopes, repository, SCOPE_PULL);
	struct call call = {
		.method = HTTP_GET,
		.kind = HTTP_BLOB,
		.url = url,
		.repository = repository,
		.scopes = &scopes,
		.range_first = offset,
		.range_last = offset > 0 ? blob->size - 1 : 0, /* BLB-4: closed */
		.bulk = true,
		.once = true,
	};
	return registry_call(registry, &call, reply, err);
}

/* 416, or a part that is not what was asked for: the server does not do ranges as it should (T-4). */
static bool has_no_such_range(const struct reply *reply, const struct descriptor *blob, int64_t offset)
{
	int64_t skip;
	int status = reply_status(reply);
	return offset > 0 &&
	       (status == 416 || (status == 206 && !judge_reply(reply->exchange, blob, offset, &skip, NULL)));
}

bool registry_blob_open(struct registry *registry, const char *repository, const struct descriptor *blob,
	int64_t offset, struct blob_reader **reader, struct error *err)
{
	auto_reply struct reply reply = {0};
	if (!ask(registry, repository, blob, offset, &reply, err))
		return false;
	bool ranged = offset > 0 && !has_no_such_range(&reply, blob, offset);
	if (!ranged && offset > 0) {
		reply_release(&reply); /* and with it the connection, on which the wrong part is coming (BLB-5) */
		if (!ask(registry, repository, blob, 0, &reply, err))
			return false;
	}
	int status = reply_status(&reply);
	if (status != 200 && (status != 206 || !ranged))
		return reply_refused(registry, &reply, err);
	return blob_reader_new(&reply, blob, offset, reader, err);
}

bool blob_reader_starts_over(const struct blob_reader *reader)
{
	return reader->skip > 0;
}

static size_t smaller(size_t capacity, int64_t left)
{
	return (int64_t)capacity < left ? capacity : (size_t)left;
}

static bool read_some(struct blob_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err)
{
	if (!http_read(reader->exchange, bytes, capacity, got, err))
		return false;
	if (*got > 0)
		return true;
	error_set(err, ERR_UNAVAILABLE, "%s: ended %" PRId64 " bytes early", http_what(reader->exchange),
		reader->skip + reader->left);
	return blob_reader_explain(reader, err);
}

static bool skip_what_was_not_asked_for(struct blob_reader *reader, void *bytes, size_t capacity, struct error *err)
{
	while (reader->skip > 0) {
		size_t got;
		if (!read_some(reader, bytes, smaller(capacity, reader->skip), &got, err))
			return false;
		reader->skip -= (int64_t)got;
	}
	return true;
}

/*
 * Reading to the end, and not only to the last byte, tells whether more comes, and frees the connection. Where the end
 * itself is broken, all bytes are there, and their digest judges them.
 */
static bool finish(struct blob_reader *reader, struct error *err)
{
	char more;
	size_t got = 0;
	struct error why;
	if (!http_read(reader->exchange, &more, 1, &got, &why) && why.kind == ERR_CANCELED) {
		*err = why;
		return false;
	}
	if (got > 0) {
		error_set(err, ERR_CORRUPT, "%s: more bytes than the blob has", http_what(reader->exchange));
		return blob_reader_explain(reader, err);
	}
	http_close(reader->exchange);
	reader->exchange = NULL;
	return true;
}

bool blob_reader_read(struct blob_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err)
{
	*got = 0;
	if (!reader->exchange)
		return true;
	if (!skip_what_was_not_asked_for(reader, bytes, capacity, err))
		return false;
	size_t wanted = smaller(capacity, reader->left);
	if (wanted > 0 && !read_some(reader, bytes, wanted, got, err))
		return false;
	reader->left -= (int64_t)*got;
	return reader->left > 0 || finish(reader, err);
}

const char *blob_reader_encoding(const struct blob_reader *reader)
{
	return reader->encoding;
}

void blob_reader_close(struct blob_reader *reader)
{
	if (!reader)
		return;
	http_close(reader->exchange);
	free(reader);
}
