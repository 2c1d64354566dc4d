/*
 * Deletion, only where a user asked for it (DESIGN P8): a tag alone, or a manifest with every tag that points to it.
 *
 * Many registries delete no tags by the protocol, and say so with whatever status (DEL-4). A tag is never deleted by
 * deleting its digest: that would take every other tag of the digest with it (DEL-2), nor by pointing it to a manifest
 * of ours that is deleted then: where that fails, the dummy stays (DEL-3).
 */
#include "sync/registry/internal.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/mediatype.h"

#include <string.h>

static bool is_deleted(int status)
{
	return status == 202 || status == 200 || status == 204;
}

/* Distribution wants the action `delete`; Quay's token server knows no such word, and `push` is enough (DEL-5, TOK-4).
 */
static bool ask(
	struct registry *registry, const char *url, const char *repository, struct reply *reply, struct error *err)
{
	static const char *const actions[] = {SCOPE_PUSH ",delete", SCOPE_PUSH};
	for (size_t i = 0;; i++) {
		struct error why;
		auto_scopes struct scopes scopes = {.count = 0};
		scopes_add(&scopes, repository, actions[i]);
		struct call call = {
			.method = HTTP_DELETE,
			.kind = HTTP_MANIFEST,
			.url = url,
			.repository = repository,
			.scopes = &scopes,
		};
		if (registry_call(registry, &call, reply, &why))
			return true;
		bool may_be_the_word = why.kind == ERR_UNAUTHORIZED || why.kind == ERR_DENIED;
		if (i + 1 < array_count(actions) && may_be_the_word)
			continue;
		if (err)
			*err = why;
		return false;
	}
}

/* Is it gone, whatever the reply to DELETE was? A first one may have got there, and its reply not here. */
static bool is_gone(struct registry *registry, const char *repository, const char *reference)
{
	struct descriptor found = {0};
	struct error why = {.kind = ERR_NONE};
	bool there = registry_manifest_head(registry, repository, reference, &found, &why);
	descriptor_release(&found);
	return !there && why.kind == ERR_NOT_FOUND;
}

static bool refused(const struct registry *registry, const struct reply *reply, bool is_tag, struct error *err)
{
	int status = reply_status(reply);
	struct error why;
	reply_write_refused(registry, reply, &why);
	bool unsupported = status == 404 || status == 405 || status == 501 || (is_tag && status == 400) ||
			   why.kind == ERR_UNSUPPORTED;
	/* Quay says 405 DENIED of what is read-only. */
	if (unsupported && !(status == 405 && why.kind == ERR_DENIED))
		return error_set(err, ERR_UNSUPPORTED, "this registry does not delete %s (%s); use its own interface",
			is_tag ? "tags" : "manifests", why.text);
	if (err)
		*err = why;
	return false;
}

static bool send_delete(
	struct registry *registry, const char *repository, const char *reference, bool is_tag, struct error *err)
{
	auto_free char *url = registry_url(registry, repository, "manifests", reference);
	auto_reply struct reply reply = {0};
	if (!ask(registry, url, repository, &reply, err))
		return false;
	if (is_deleted(reply_status(&reply)) ||
		(reply_status(&reply) == 404 && is_gone(registry, repository, reference)))
		return true;
	return refused(registry, &reply, is_tag, err);
}

/* --- the referrers' list of a registry without the API (DEL-6) -----------------------------------------------------
 */

/* The digest that the manifest @bytes names as its subject; false: none. */
static bool subject_of(const struct buf *bytes, struct digest *subject)
{
	auto_json json_t *document = NULL;
	if (!json_parse(buf_peek(bytes), bytes->length, &document, NULL))
		return false;
	const char *text = json_string_value(json_object_get(json_object_get(document, "subject"), "digest"));
	return text && digest_parse(text, subject, NULL);
}

/* --- the whole -----------------------------------------------------------------------------------------------------
 */

bool registry_tag_delete(struct registry *registry, const char *repository, const char *tag, struct error *err)
{
	return send_delete(registry, repository, tag, true, err);
}

bool registry_manifest_delete(
	struct registry *registry, const char *repository, const struct digest *digest, struct error *err)
{
	struct descriptor wanted = {.digest = *digest, .size = -1};
	struct digest subject;
	auto_buf struct buf bytes;
	auto_free char *type = NULL;
	bool has_api = true;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	if (!registry_manifest_get(registry, repository, &wanted, &bytes, &type, err))
		return false;
	bool has_subject = subject_of(&bytes, &subject);
	if (has_subject && !registry_has_referrers_api(registry, repository, &subject, &has_api, err))
		return false;
	if (!send_delete(registry, repository, digest->text, false, err))
		return false;
	if (has_subject && !has_api && !registry_referrers_forget(registry, repository, &subject, digest, err))
		return error_wrap(err, "deleted, and still in the list of its subject's referrers");
	return true;
}
