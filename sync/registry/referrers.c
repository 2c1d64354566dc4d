/*
 * What refers to a manifest: the referrers API where there is one, and the tags that stand in for it elsewhere.
 *
 *     asked             GET referrers/DIGEST, page by page; from a host that has shown that it has no API, nothing
 *     without the API   GET the tag "sha256-aa..", an index that lists them
 *     noted             listed by the API: done. Else the tag: read, add, PUT, read again, three times at most
 *
 * Whether there is an API is learnt from the first reply that tells it (RFR-1, RFR-2): an OCI index from the
 * registry's own origin is one; a page for humans, a redirect to elsewhere, and an error are none. That a repository or
 * a subject is unknown, or that one is not for us, tells nothing of it: others are asked again. Headers tell nothing
 * either: there are registries that send OCI-Subject and have no API, and others that have it and send none (RFR-4).
 */
#include "sync/registry/internal.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/links.h"

#include <string.h>

/* RFR-7: of two who write one tag, each adds what the other took away, until both are in it. */
enum { WRITES_MOST = 3 };

enum heard {
	HEARD_LIST,
	HEARD_NOTHING, /* of a repository or a subject that is not known, or not to us */
	HEARD_NO_API,
};

/* --- the API ------------------------------------------------------------------------------------------------------ */

static bool is_about_the_subject(const struct reply *reply)
{
	static const char *const codes[] = {"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_INVALID" /* Quay */};
	int status = reply_status(reply);
	for (size_t i = 0; i < array_count(codes); i++)
		if ((status == 404 || status == 400) &&
			reply_has_code(buf_peek(&reply->body), reply->body.length, codes[i]))
			return true;
	return false;
}

static enum heard hear(const struct reply *reply)
{
	int status = reply_status(reply);
	if (status == 200)
		return reply_is_of_type(reply, MEDIA_OCI_INDEX) ? HEARD_LIST : HEARD_NO_API;
	if (status == 401 || status == 403) /* rights are given for each repository */
		return HEARD_NOTHING;
	return is_about_the_subject(reply) ? HEARD_NOTHING : HEARD_NO_API;
}

static bool ask(struct registry *registry, const char *repository, const char *url, struct reply *reply,
	enum heard *heard, struct error *err)
{
	auto_scopes struct scopes scopes = {.count = 0};
	struct error why;
	scopes_add(&scopes, repository, SCOPE_PULL);
	struct call call = {
		.method = HTTP_GET,
		.kind = HTTP_REFERRERS,
		.url = url,
		.repository = repository,
		.scopes = &scopes,
		.accept = MEDIA_OCI_INDEX,
		.reply_most = LIMIT_REFERRERS_PAGE_BYTES,
		.here = true,
	};
	if (registry_call(registry, &call, reply, &why)) {
		*heard = hear(reply);
		return true;
	}
	*heard = HEARD_NO_API;
	if (why.kind == ERR_REFUSED) /* GHCR leads to an API of github.com, which is another one */
		return true;
	*err = why;
	return false;
}

/* What a reply that is no list means, of a registry that had none to show so far. */
static bool settle(struct registry *registry, const struct reply *reply, enum heard heard, struct error *err)
{
	struct referrers_api *api = &registry->referrers;
	bool was_there = api->state == REFERRERS_API_THERE;
	if (heard == HEARD_NOTHING)
		return true;
	if (!was_there)
		api->state = REFERRERS_API_ABSENT;
	int status = reply->exchange ? reply_status(reply) : 0;
	if (!was_there || status == 404 || status == 400) /* how some say that there are none */
		return true;
	return error_set(err, ERR_PROTOCOL, "%s: no list of referrers",
		reply->exchange ? http_what(reply->exchange) : registry->domain);
}

/* The first page decides what the registry is; of a later one only a list will do. */
static bool take_page(struct registry *registry, const struct reply *reply, enum heard heard, bool is_first,
	struct referrer_list *list, struct error *err)
{
	struct error why;
	size_t before = list->count;
	if (heard != HEARD_LIST)
		return is_first ? settle(registry, reply, heard, err)
				: error_set(err, ERR_PROTOCOL, "the list of referrers is incomplete");
	if (!referrer_list_add(list, buf_peek(&reply->body), reply->body.length, MEDIA_OCI_INDEX, &why)) {
		if (is_first && why.kind != ERR_TOO_LARGE)
			return settle(registry, reply, HEARD_NO_API, err);
		*err = why;
		return error_wrap(err, "%s", http_what(reply->exchange));
	}
	registry->referrers.state = REFERRERS_API_THERE;
	return is_first || list->count > before ||
	       error_set(err, ERR_PROTOCOL, "%s: the pages go in a circle", http_what(reply->exchange));
}

static bool read_pages(struct registry *registry, const char *repository, const struct digest *subject,
	struct referrer_list *list, struct error *err)
{
	char *url = registry_url(registry, repository, "referrers", subject->text);
	bool ok = true;
	for (bool is_first = true; ok && url; is_first = false) {
		auto_reply struct reply reply = {0};
		auto_free char *target = NULL, *from = url;
		enum heard heard;
		url = NULL;
		ok = ask(registry, repository, from, &reply, &heard, err) &&
		     take_page(registry, &reply, heard, is_first, list, err);
		if (ok && heard == HEARD_LIST && (target = reply_next_link(&reply)))
			ok = links_page(from, target, &url, err);
	}
	free(url);
	return ok;
}

static bool list_by_api(struct registry *registry, const char *repository, const struct digest *subject,
	struct referrer_list *list, struct error *err)
{
	struct referrers_api *api = &registry->referrers;
	bool probing = api->state == REFERRERS_API_UNKNOWN;
	if (probing && !gate_enter(&api->probe, err))
		return false;
	if (probing && api->state != REFERRERS_API_UNKNOWN) {
		gate_leave(&api->probe);
		probing = false;
	}
	bool ok = api->state == REFERRERS_API_ABSENT || read_pages(registry, repository, subject, list, err);
	if (probing)
		gate_leave(&api->probe);
	return ok;
}

/* --- the tags ----------------------------------------------------------------------------------------------------- */

static bool read_tag(struct registry *registry, const char *repository, const char *tag, struct buf *bytes, bool *found,
	struct error *err)
{
	struct descriptor list = {0};
	struct error why;
	*found = registry_manifest_resolve(registry, repository, tag, &list, bytes, &why);
	descriptor_release(&list);
	if (*found || why.kind == ERR_NOT_FOUND)
		return true;
	*err = why;
	return false;
}

static bool list_by_tag(struct registry *registry, const char *repository, const char *tag, struct referrer_list *list,
	struct error *err)
{
	auto_buf struct buf bytes;
	struct error why;
	bool found = false;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	if (!read_tag(registry, repository, tag, &bytes, &found, &why)) {
		if (why.kind == ERR_DENIED) /* MAN-14: of a tag that is not there */
			return true;
		*err = why;
		return false;
	}
	if (!found || referrer_list_add(list, buf_peek(&bytes), bytes.length, MEDIA_OCI_INDEX, &why))
		return true;
	if (why.kind == ERR_TOO_LARGE) {
		*err = why;
		return error_wrap(err, "%s/%s:%s", registry->domain, repository, tag);
	}
	free(list->odd_tag);
	list->odd_tag = memory_text(tag);
	return true;
}

/* Others do not cut a long digest (RFR-5), and some registries have tags of that length. */
static bool list_by_tags(struct registry *registry, const char *repository, const struct digest *subject,
	struct referrer_list *list, struct error *err)
{
	auto_free char *cut = referrer_tag(subject, false), *whole = referrer_tag(subject, true);
	return list_by_tag(registry, repository, cut, list, err) &&
	       (str_is(cut, whole) || list_by_tag(registry, repository, whole, list, err));
}

static bool put_list(
	struct registry *registry, const char *repository, const char *tag, const char *list, struct error *err)
{
	struct digest digest = digest_of(DIGEST_SHA256, list, strlen(list));
	return registry_manifest_put(registry, repository, tag, MEDIA_OCI_INDEX, list, strlen(list), &digest, err);
}

static bool note_by_tag(struct registry *registry, const char *repository, const char *tag,
	const struct referrer *referrers, size_t count, struct error *err)
{
	auto_buf struct buf bytes;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	for (int writes = 0; writes <= WRITES_MOST; writes++) {
		auto_free char *longer = NULL;
		bool found;
		if (!read_tag(registry, repository, tag, &bytes, &found, err) ||
			!referrer_list_merge(found ? &bytes : NULL, referrers, count, &longer, err))
			return false;
		if (!longer)
			return true;
		if (writes < WRITES_MOST && !put_list(registry, repository, tag, longer, err))
			return false;
	}
	return error_set(err, ERR_UNAVAILABLE, "what was added to it was gone again %d times: somebody else writes it",
		WRITES_MOST);
}

/* --- the calls ---------------------------------------------------------------------------------------------------- */

bool registry_referrers(struct registry *registry, const char *repository, const struct digest *subject, bool with_tags,
	struct referrer_list *list, struct error *err)
{
	*list = (struct referrer_list){0};
	if (list_by_api(registry, repository, subject, list, err) &&
		(!with_tags || list_by_tags(registry, repository, subject, list, err)))
		return true;
	referrer_list_release(list);
	return false;
}

static bool api_lists(struct registry *registry, const char *repository, const struct digest *subject,
	const struct referrer *referrers, size_t count, bool *lists, struct error *err)
{
	auto_referrer_list struct referrer_list list = {0};
	*lists = false;
	if (!list_by_api(registry, repository, subject, &list, err))
		return false;
	*lists = list.count > 0;
	for (size_t i = 0; i < count; i++)
		*lists &= referrer_list_has(&list, &referrers[i].descriptor->digest);
	return true;
}

bool registry_referrers_note(struct registry *registry, const char *repository, const struct digest *subject,
	const struct referrer *referrers, size_t count, struct error *err)
{
	auto_free char *tag = referrer_tag(subject, false);
	bool lists;
	if (!api_lists(registry, repository, subject, referrers, count, &lists, err))
		return false;
	return lists || note_by_tag(registry, repository, tag, referrers, count, err) ||
	       error_wrap(err, "%s/%s:%s, the list of referrers", registry->domain, repository, tag);
}

bool registry_has_referrers_api(
	struct registry *registry, const char *repository, const struct digest *subject, bool *has, struct error *err)
{
	auto_referrer_list struct referrer_list list = {0};
	if (registry->referrers.state == REFERRERS_API_UNKNOWN &&
		!list_by_api(registry, repository, subject, &list, err))
		return false;
	*has = registry->referrers.state == REFERRERS_API_THERE;
	return true;
}

static bool forget_by_tag(struct registry *registry, const char *repository, const char *tag, const struct digest *gone,
	struct error *err)
{
	auto_free char *without = NULL;
	auto_buf struct buf bytes;
	struct error why;
	bool found = false;
	buf_init(&bytes, LIMIT_MANIFEST_BYTES);
	if (!read_tag(registry, repository, tag, &bytes, &found, &why) && why.kind != ERR_DENIED) {
		*err = why;
		return false;
	}
	if (!found)
		return true;
	if (!referrer_list_without(&bytes, gone, &without, err))
		return error_wrap(err, "%s/%s:%s", registry->domain, repository, tag);
	return !without || put_list(registry, repository, tag, without, err);
}

bool registry_referrers_forget(struct registry *registry, const char *repository, const struct digest *subject,
	const struct digest *gone, struct error *err)
{
	auto_free char *cut = referrer_tag(subject, false), *whole = referrer_tag(subject, true);
	return forget_by_tag(registry, repository, cut, gone, err) &&
	       (str_is(cut, whole) || forget_by_tag(registry, repository, whole, gone, err));
}
