#include "sync/registry/internal.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/mediatype.h"
#include "oci/reference.h"
#include "scheduler/task.h"

#include <string.h>

/* T-52: how long what was pushed may stay unseen, and the first pause before it is looked for again. */
enum { SETTLE_MS = 30000, SETTLE_FIRST_MS = 250 };

/* --- what a reply says ---------------------------------------------------------------------------------------------
 */

/* MAN-5: without parameters, lower case. New memory, or NULL. */
static char *type_of(const struct reply *reply)
{
	const char *header = reply_header(reply, "Content-Type");
	if (!header)
		return NULL;
	header += strspn(header, " \t");
	char *type = memory_text_of(header, strcspn(header, "; \t"));
	for (char *p = type; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return type;
}

/* MAN-9: a header that is no digest tells nothing. */
static bool digest_header(const struct reply *reply, struct digest *digest)
{
	const char *header = reply_header(reply, "Docker-Content-Digest");
	*digest = (struct digest){.algorithm = DIGEST_NONE};
	return header && digest_parse(header, digest, NULL) && digest_is_verifiable(digest);
}

static void set_descriptor(
	struct descriptor *descriptor, const struct reply *reply, const struct digest *digest, int64_t size)
{
	char *type = type_of(reply);
	*descriptor = (struct descriptor){
		.media_type = type ? type : memory_text(""),
		.digest = *digest,
		.size = size,
	};
}

/* --- asking --------------------------------------------------------------------------------------------------------
 */

static bool ask(struct registry *registry, enum http_method method, const char *repository, const char *reference,
	bool final, size_t most, struct reply *reply, struct error *err)
{
	auto_free char *url = registry_url(registry, repository, "manifests", reference);
	auto_scopes struct scopes scopes = {.count = 0};
	scopes_add(&scopes, repository, SCOPE_PULL);
	struct call call = {
		.method = method,
		.kind = HTTP_MANIFEST,
		.url = url,
		.repository = repository,
		.scopes = &scopes,
		.accept = media_manifest_accept(), /* MAN-2: on each of them */
		.reply_most = most,
		.final = final,
	};
	return registry_call(registry, &call, reply, err);
}

/* The bytes of a 200; a page for humans is none (ERR-13). */
static bool get(struct registry *registry, const char *repository, const char *reference, bool final, struct buf *bytes,
	struct reply *reply, struct error *err)
{
	if (!ask(registry, HTTP_GET, repository, reference, final, bytes->maximum, reply, err))
		return false;
	if (reply_status(reply) != 200)
		return reply_refused(registry, reply, err);
	auto_free char *type = type_of(reply);
	if (str_is(type, "text/html"))
		return error_set(err, ERR_PROTOCOL, "%s: a manifest of type text/html", http_what(reply->exchange));
	buf_clear(bytes);
	return buf_append(bytes, buf_peek(&reply->body), reply->body.length, err);
}

static bool resolve(struct registry *registry, const char *repository, const char *reference, bool final,
	struct descriptor *descriptor, struct buf *bytes, struct error *err)
{
	auto_reply struct reply reply = {0};
	struct digest asked, said;
	if (!get(registry, repository, reference, final, bytes, &reply, err))
		return false;
	struct digest found = digest_of(DIGEST_SHA256, buf_peek(bytes), bytes->length);
	if (digest_header(&reply, &said) && !digest_check(&said, buf_peek(bytes), bytes->length, err)) /* MAN-8 */
		return error_wrap(err, "%s: Docker-Content-Digest", http_what(reply.exchange));
	if (digest_parse(reference, &asked, NULL)) {
		if (!digest_check(&asked, buf_peek(bytes), bytes->length, err))
			return error_wrap(err, "%s", http_what(reply.exchange));
		found = asked;
	}
	set_descriptor(descriptor, &reply, &found, (int64_t)bytes->length);
	return true;
}

/* MAN-11: a server that does not do HEAD; ERR-2: one that says why only to a GET; RED-9: one elsewhere whose no to a
 * HEAD is no word about the manifest. */
static bool get_tells_more(const struct registry *registry, const struct reply *reply)
{
	int status = reply_status(reply);
	if (status / 100 == 4 && !registry_is_origin_of(registry, reply->exchange))
		return true;
	return status == 400 || status == 401 || status == 403 || status == 405 || status == 501;
}

bool registry_manifest_head(struct registry *registry, const char *repository, const char *reference,
	struct descriptor *descriptor, struct error *err)
{
	auto_reply struct reply reply = {0};
	if (!ask(registry, HTTP_HEAD, repository, reference, false, 0, &reply, err))
		return false;
	int status = reply_status(&reply);
	if (get_tells_more(registry, &reply)) {
		auto_buf struct buf bytes;
		buf_init(&bytes, registry->manifest_bytes_most);
		return resolve(registry, repository, reference, status == 401, descriptor, &bytes, err);
	}
	if (status != 200)
		return reply_refused(registry, &reply, err);
	struct digest digest;
	if (!digest_header(&reply, &digest))
		digest = (struct digest){.algorithm = DIGEST_NONE};
	set_descriptor(descriptor, &reply, &digest, http_content_length(reply.exchange));
	return true;
}

/*
 * MAN-13: a proxy cache may know an index by its tag alone. What is not found by its digest, and has a tag that gives
 * something else by now, is gone (T-81), or that cache has made something else of it: then *why stays what it was.
 */
static bool get_by_tag(struct registry *registry, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, struct reply *reply, struct error *why)
{
	const char *tag = wanted->reference_name;
	struct digest said;
	if (why->kind != ERR_NOT_FOUND || !tag || !reference_is_tag(tag))
		return false;
	reply_release(reply);
	if (!get(registry, repository, tag, false, bytes, reply, why))
		return false;
	if (digest_check(&wanted->digest, buf_peek(bytes), bytes->length, NULL) ||
		(digest_header(reply, &said) && digest_equal(&said, &wanted->digest)))
		return true;
	return error_wrap(why, "gone, and the tag %s gives something else by now", tag);
}

bool registry_manifest_get(struct registry *registry, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, char **media_type, struct error *err)
{
	auto_reply struct reply reply = {0};
	struct error why;
	if (!get(registry, repository, wanted->digest.text, false, bytes, &reply, &why) &&
		!get_by_tag(registry, repository, wanted, bytes, &reply, &why)) {
		if (err)
			*err = why;
		return false;
	}
	if (wanted->size >= 0 && (int64_t)bytes->length != wanted->size)
		return error_set(err, ERR_CORRUPT, "%s: %zu bytes, and not %lld", http_what(reply.exchange),
			bytes->length, (long long)wanted->size);
	if (!digest_check(&wanted->digest, buf_peek(bytes), bytes->length, err))
		return error_wrap(err, "%s", http_what(reply.exchange));
	*media_type = type_of(&reply);
	return true;
}

bool registry_manifest_resolve(struct registry *registry, const char *repository, const char *tag,
	struct descriptor *descriptor, struct buf *bytes, struct error *err)
{
	auto_buf struct buf own;
	buf_init(&own, registry->manifest_bytes_most);
	return resolve(registry, repository, tag, false, descriptor, bytes ? bytes : &own, err);
}

/* --- putting -------------------------------------------------------------------------------------------------------
 */

static bool is_put(int status)
{
	return status == 201 || status == 200 || status == 202 || status == 204; /* MAN-21 */
}

static bool altered(const char *what, struct error *err)
{
	return error_set(err, ERR_PROTOCOL, "%s: the registry altered the manifest", what);
}

/* T-52: what was written may not be to be seen at once. */
static bool head_when_it_shows(struct registry *registry, const char *repository, const char *reference,
	struct descriptor *stored, struct error *err)
{
	struct error why;
	for (int64_t waited_ms = 0, pause_ms = SETTLE_FIRST_MS;; pause_ms *= 2) {
		if (registry_manifest_head(registry, repository, reference, stored, &why))
			return true;
		if (why.kind != ERR_NOT_FOUND) {
			*err = why;
			return false;
		}
		if (waited_ms >= SETTLE_MS)
			return error_set(err, ERR_UNAVAILABLE, "pushed, and not to be seen yet");
		if (!task_sleep(pause_ms, err))
			return false;
		waited_ms += pause_ms;
	}
}

/* A registry that does not tell what it stored is asked. */
static bool confirm(struct registry *registry, const char *repository, const char *reference,
	const struct digest *digest, const char *what, struct error *err)
{
	struct descriptor stored = {.size = -1};
	struct error why;
	if (!head_when_it_shows(registry, repository, reference, &stored, &why)) {
		if (err)
			*err = why;
		return error_wrap(err, "%s: not confirmed", what);
	}
	bool told = !digest_is_empty(&stored.digest) && stored.digest.algorithm == digest->algorithm;
	bool same = digest_equal(&stored.digest, digest);
	descriptor_release(&stored);
	if (told)
		return same || altered(what, err);
	auto_buf struct buf bytes;
	buf_init(&bytes, registry->manifest_bytes_most);
	if (!resolve(registry, repository, reference, false, &stored, &bytes, err))
		return error_wrap(err, "%s: not confirmed", what);
	descriptor_release(&stored);
	return digest_check(digest, buf_peek(&bytes), bytes.length, NULL) || altered(what, err);
}

/* A tag that cannot be moved, in the words of those who have such (MAN-24). */
static bool sounds_immutable(const struct error *err)
{
	return err->http_status == 409 || err->http_status == 412 || strcasestr(err->text, "immutable") ||
	       strcasestr(err->text, "already exists") || strcasestr(err->text, "already_exists");
}

/*
 * MAN-24: an immutable tag may refuse even what it points to already, as when the reply to a PUT was lost and it is
 * tried again: then all is well. Else it is left where it is, and that is said.
 */
static bool settle_refusal(struct registry *registry, const char *repository, const char *reference,
	const struct digest *digest, struct error *err)
{
	struct descriptor stored = {0};
	struct error why;
	bool is_tag = !strchr(reference, ':');
	if (!is_tag || err->kind != ERR_DENIED || !sounds_immutable(err) ||
		!registry_manifest_head(registry, repository, reference, &stored, &why))
		return false;
	bool same = digest_equal(&stored.digest, digest), other = !digest_is_empty(&stored.digest) && !same;
	if (other)
		error_wrap(err, "the tag %s is immutable, and stays at %s", reference, stored.digest.text);
	descriptor_release(&stored);
	return same;
}

/* ERR-7: what the manifest names is not there, or not yet; whatever the status. */
static bool sounds_incomplete(const struct reply *reply)
{
	static const char *const codes[] = {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"};
	int status = reply_status(reply);
	for (size_t i = 0; i < array_count(codes) && (status == 400 || status == 404 || status == 422); i++)
		if (reply_has_code(buf_peek(&reply->body), reply->body.length, codes[i]))
			return true;
	return false;
}

bool registry_manifest_put(struct registry *registry, const char *repository, const char *reference,
	const char *media_type, const void *bytes, size_t length, const struct digest *digest, struct error *err)
{
	auto_free char *url = registry_url(registry, repository, "manifests", reference);
	auto_scopes struct scopes scopes = {.count = 0};
	auto_reply struct reply reply = {0};
	scopes_add(&scopes, repository, SCOPE_PUSH);
	struct call call = {
		.method = HTTP_PUT,
		.kind = HTTP_MANIFEST,
		.url = url,
		.repository = repository,
		.scopes = &scopes,
		.content_type = media_type,
		.body = bytes,
		.body_bytes = length,
	};
	if (!registry_call(registry, &call, &reply, err))
		return false;
	const char *what = http_what(reply.exchange);
	if (!is_put(reply_status(&reply))) {
		struct error refusal;
		reply_write_refused(registry, &reply, &refusal);
		if (sounds_incomplete(&reply))
			refusal.kind = ERR_INCOMPLETE;
		if (settle_refusal(registry, repository, reference, digest, &refusal))
			return true;
		if (err)
			*err = refusal;
		return false;
	}
	struct digest said;
	if (digest_header(&reply, &said) && said.algorithm == digest->algorithm)
		return digest_equal(&said, digest) || altered(what, err);
	return confirm(registry, repository, reference, digest, what, err);
}
