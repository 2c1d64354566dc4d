#include "sync/registry/internal.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/reference.h"
#include "sync/registry/links.h"

#include <string.h>

enum { PAGE_SIZE = 1000, PAGE_SIZE_OF_OTHERS = 100 };

struct tag_pages {
	struct registry *registry;
	const char *repository;
	char *url;       /* of the next page; NULL: there is none */
	char *milestone; /* a URL of before, to see a loop by (TAG-10) */
	size_t page_count, milestone_page;
	size_t tag_count;
	json_t *document; /* of the current page: its texts */
	char **tags;
	size_t count;
	struct digest page_digest; /* of the tags, to see a page that is served again */
	bool guessed;              /* the page was asked for without a link (TAG-9) */
	char *path;
};

struct tag_pages *registry_tags(struct registry *registry, const char *repository)
{
	struct tag_pages *pages = memory_new(1, sizeof *pages);
	pages->registry = registry;
	pages->repository = repository;
	pages->path = registry_url(registry, repository, "tags", "list");
	pages->url = memory_format("%s?n=%d", pages->path, PAGE_SIZE);
	return pages;
}

void tag_pages_free(struct tag_pages *pages)
{
	if (!pages)
		return;
	json_decref(pages->document);
	free(pages->tags);
	free(pages->milestone);
	free(pages->url);
	free(pages->path);
	free(pages);
}

/* --- one page ------------------------------------------------------------------------------------------------------
 */

static bool fetch(struct tag_pages *pages, struct reply *reply, struct error *err)
{
	auto_scopes struct scopes scopes = {.count = 0};
	scopes_add(&scopes, pages->repository, SCOPE_PULL);
	struct call call = {
		.method = HTTP_GET,
		.kind = HTTP_TAGS,
		.url = pages->url,
		.repository = pages->repository,
		.scopes = &scopes,
		.accept = "application/json",
		.reply_most = LIMIT_TAG_PAGE_BYTES,
	};
	if (!registry_call(pages->registry, &call, reply, err))
		return false;
	int status = reply_status(reply);
	if (status == 200)
		return true;
	/* TAG-8: there are servers that do not like our page size. */
	if ((status == 400 || status == 405) && pages->page_count == 0 && !str_is(pages->url, pages->path)) {
		reply_release(reply);
		free(pages->url);
		pages->url = memory_text(pages->path);
		return fetch(pages, reply, err);
	}
	return reply_refused(pages->registry, reply, err);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_and_drop_repeated(struct tag_pages *pages)
{
	size_t kept = 0;
	if (pages->count > 0)
		qsort(pages->tags, pages->count, sizeof *pages->tags, compare);
	for (size_t i = 0; i < pages->count; i++)
		if (kept == 0 || strcmp(pages->tags[kept - 1], pages->tags[i]) != 0)
			pages->tags[kept++] = pages->tags[i];
	pages->count = kept;
}

/* *listed: entries of whatever kind. */
static bool read_page(struct tag_pages *pages, const struct buf *body, size_t *listed, struct error *err)
{
	json_t *tags = NULL;
	const struct json_field fields[] = {{"tags", JSON_WANT_ARRAY, JSON_OPTIONAL, (void *)&tags}};
	json_decref(pages->document);
	pages->document = NULL;
	pages->count = 0;
	if (!json_parse_large(buf_peek(body), body->length, LIMIT_TAGS, &pages->document, err) ||
		!json_read(pages->document, fields, array_count(fields), err))
		return false;
	*listed = json_array_size(tags);
	pages->tags = memory_resize(pages->tags, *listed + 1, sizeof *pages->tags);
	for (size_t i = 0; i < *listed; i++) {
		const char *tag = json_string_value(json_array_get(tags, i));
		if (tag && reference_is_tag(tag)) /* TAG-2 */
			pages->tags[pages->count++] = (char *)tag;
	}
	sort_and_drop_repeated(pages);
	return true;
}

/* --- from page to page ---------------------------------------------------------------------------------------------
 */

static char *link_of(const struct reply *reply)
{
	const char *header;
	for (size_t i = 0; (header = http_header(reply->exchange, "Link", i)); i++) {
		char *target = links_next(header);
		if (target)
			return target;
	}
	return NULL;
}

/*
 * TAG-10 in constant memory: a URL is kept, and a later one each time the count of pages has doubled; a loop comes back
 * to what was kept in it.
 */
static bool guard(struct tag_pages *pages, const char *next, struct error *err)
{
	if (++pages->page_count > LIMIT_TAG_PAGES || pages->tag_count > LIMIT_TAGS)
		return error_set(err, ERR_PROTOCOL, "the listing does not end");
	if (str_is(next, pages->milestone) || str_is(next, pages->url))
		return error_set(err, ERR_PROTOCOL, "the pages go in a circle");
	if (pages->page_count >= 2 * pages->milestone_page) {
		free(pages->milestone);
		pages->milestone = memory_text(next);
		pages->milestone_page = pages->page_count;
	}
	return true;
}

static struct digest digest_of_page(const struct tag_pages *pages)
{
	struct hasher *hasher = hasher_new(DIGEST_SHA256);
	for (size_t i = 0; i < pages->count; i++)
		hasher_update(hasher, pages->tags[i], strlen(pages->tags[i]) + 1);
	struct digest digest = hasher_finish(hasher);
	hasher_free(hasher);
	return digest;
}

/* TAG-9: a full page without a link may be one of several. The last in the server's order is what it goes on behind. */
static char *guess_next(const struct tag_pages *pages, size_t listed)
{
	const json_t *tags = json_object_get(pages->document, "tags");
	const char *last = listed ? json_string_value(json_array_get(tags, listed - 1)) : NULL;
	if (!last || (listed != PAGE_SIZE && listed != PAGE_SIZE_OF_OTHERS))
		return NULL;
	auto_free char *encoded = links_encode(last);
	return memory_format("%s?n=%zu&last=%s", pages->path, listed, encoded);
}

/* A link is seen from where we asked, not from where a redirect led: our token goes with it. */
static bool find_next(struct tag_pages *pages, const struct reply *reply, size_t listed, struct error *err)
{
	auto_free char *target = link_of(reply), *next = NULL;
	if (target && listed == 0)
		return error_set(err, ERR_PROTOCOL, "an empty page that is not the last");
	if (target && !links_page(pages->url, target, &next, err))
		return false;
	if (!target)
		next = guess_next(pages, listed);
	if (next && !guard(pages, next, err))
		return false;
	pages->guessed = next && !target;
	free(pages->url);
	pages->url = next;
	next = NULL;
	return true;
}

static bool next_page(struct tag_pages *pages, struct error *err)
{
	auto_reply struct reply reply = {0};
	size_t listed;
	if (!fetch(pages, &reply, err))
		return false;
	if (!read_page(pages, &reply.body, &listed, err)) {
		if (err)
			err->kind = ERR_PROTOCOL;
		return error_wrap(err, "%s", http_what(reply.exchange));
	}
	struct digest digest = digest_of_page(pages);
	if (pages->guessed && digest_equal(&digest, &pages->page_digest)) {
		/* It does not know `last`, and sent all there is before. */
		pages->count = 0;
		free(pages->url);
		pages->url = NULL;
		return true;
	}
	pages->page_digest = digest;
	pages->tag_count += pages->count;
	return find_next(pages, &reply, listed, err) || error_wrap(err, "%s", http_what(reply.exchange));
}

bool tag_pages_next(struct tag_pages *pages, char ***tags, size_t *count, struct error *err)
{
	pages->count = 0;
	while (pages->url && pages->count == 0)
		if (!next_page(pages, err))
			return false;
	*tags = pages->tags;
	*count = pages->count;
	return true;
}
