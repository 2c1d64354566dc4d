/*
 * The pages of a listing. The happy path: GET path?n=1000, and as long as a Link names a next page, that one.
 *
 * What is met in the field, and what is done:
 *   the page size is refused                    ask without one (TAG-8)
 *   the Link leads to nothing (400, 404, 405)   the first URL with the Link's query, then with last=LAST (TAG-7)
 *   the name in `last` is gone (400, 404)       begin again, once; names that came before are not given again (TAG-12)
 *   a full page without a Link                  ask once what stands behind its last name (TAG-9)
 *   pages that go in a circle                   a page without a new name, or a URL met before, is an error (TAG-10)
 *
 * A listing is complete, or it ends with an error: nobody takes a part of it for the whole (T-33).
 */
#include "sync/registry/listing.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/links.h"

#include <string.h>

enum {
	PAGE_SIZE = 1000,
	PAGE_SIZE_OF_OTHERS = 100,
	SEEN_NAMES = 8192, /* remembered to drop what comes twice; of more, some come twice (P6) */
};

enum asked_by { BY_START, BY_LINK, BY_GUESS };

struct listing {
	struct registry *registry;
	const struct listing_kind *kind;
	const char *repository;
	char *path, *scope;
	size_t page_size; /* to ask for; 0: the server's own */
	char *url;        /* of the next page; NULL: there is none */
	enum asked_by by;
	char *last; /* name received, in the server's order */
	bool restarted;
	size_t repeats;  /* pages that come again after that */
	char *milestone; /* a URL of before, to see a loop by */
	size_t page_count, milestone_page;
	size_t name_count, skipped;
	json_t *document; /* of the current page: its texts */
	char **names;
	size_t count;
	uint64_t *seen; /* hashes, each at its own place; NULL: there was no page before this one */
};

static char *start_url(const struct listing *listing)
{
	return listing->page_size ? memory_format("%s?n=%zu", listing->path, listing->page_size)
				  : memory_text(listing->path);
}

struct listing *listing_new(
	struct registry *registry, const struct listing_kind *kind, const char *repository, char *path, char *scope)
{
	struct listing *listing = memory_new(1, sizeof *listing);
	listing->registry = registry;
	listing->kind = kind;
	listing->repository = repository;
	listing->path = path;
	listing->scope = scope;
	listing->page_size = PAGE_SIZE;
	listing->url = start_url(listing);
	return listing;
}

void listing_free(struct listing *listing)
{
	if (!listing)
		return;
	json_decref(listing->document);
	free(listing->seen);
	free(listing->names);
	free(listing->milestone);
	free(listing->last);
	free(listing->url);
	free(listing->scope);
	free(listing->path);
	free(listing);
}

size_t listing_skipped(const struct listing *listing)
{
	return listing->skipped;
}

/* --- asking for a page, and for another in the place of one that is refused ----------------------------------------
 */

static bool ask(struct listing *listing, struct reply *reply, struct error *err)
{
	auto_scopes struct scopes scopes = {.count = 0};
	scopes_add_list(&scopes, listing->scope);
	struct call call = {
		.method = HTTP_GET,
		.kind = listing->kind->request,
		.url = listing->url,
		.repository = listing->repository,
		.scopes = &scopes,
		.accept = "application/json",
		.reply_most = LIMIT_TAG_PAGE_BYTES,
	};
	return registry_call(listing->registry, &call, reply, err);
}

/* The first URL with the query of @link: what it says of n and last stands, and our n only where it says nothing. */
static char *at_our_path(const struct listing *listing, const char *link)
{
	const char *query = links_query(link);
	if (!*query || links_query_has(query, "n") || listing->page_size == 0)
		return memory_format("%s%s%s", listing->path, *query ? "?" : "", query);
	return memory_format("%s?n=%zu&%s", listing->path, listing->page_size, query);
}

static char *behind_last(const struct listing *listing, size_t page_size)
{
	auto_free char *encoded = links_encode(listing->last);
	if (page_size == 0)
		return memory_format("%s?last=%s", listing->path, encoded);
	return memory_format("%s?n=%zu&last=%s", listing->path, page_size, encoded);
}

/* What to ask after a refusal; *tried counts what was tried for this page. New memory; NULL: nothing is left. */
static char *instead(struct listing *listing, int status, int *tried)
{
	char *url = NULL;
	if (listing->by == BY_START) {
		bool again = (status == 400 || status == 405) && listing->page_size > 0;
		listing->page_size = 0;
		return again ? memory_text(listing->path) : NULL;
	}
	while (listing->by == BY_LINK && *tried < 2) {
		url = (*tried)++ == 0 ? at_our_path(listing, listing->url) : behind_last(listing, listing->page_size);
		if (!str_is(url, listing->url))
			return url;
		free(url);
	}
	if (status == 405 || listing->restarted)
		return NULL;
	listing->restarted = true;
	listing->repeats = listing->page_count;
	listing->by = BY_START;
	free(listing->milestone);
	listing->milestone = NULL;
	return start_url(listing);
}

static bool fetch(struct listing *listing, struct reply *reply, struct error *err)
{
	int tried = 0;
	for (;;) {
		if (!ask(listing, reply, err))
			return false;
		int status = reply_status(reply);
		if (status == 200)
			return true;
		bool is_about_the_query = status == 400 || status == 404 || status == 405;
		char *other = is_about_the_query ? instead(listing, status, &tried) : NULL;
		if (!other) {
			reply_refused(listing->registry, reply, err);
			return listing->page_count > 0 && error_wrap(err, "the listing is incomplete");
		}
		reply_release(reply);
		free(listing->url);
		listing->url = other;
	}
}

/* --- reading one ---------------------------------------------------------------------------------------------------
 */

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_and_drop_repeated(struct listing *listing)
{
	size_t kept = 0;
	if (listing->count > 0)
		qsort(listing->names, listing->count, sizeof *listing->names, compare);
	for (size_t i = 0; i < listing->count; i++)
		if (kept == 0 || strcmp(listing->names[kept - 1], listing->names[i]) != 0)
			listing->names[kept++] = listing->names[i];
	listing->count = kept;
}

/* True: it was not seen before, as far as is remembered. Now it is. */
static bool note_name(struct listing *listing, const char *name)
{
	struct digest digest = digest_of(DIGEST_SHA256, name, strlen(name));
	uint64_t hash = 1;
	for (const char *p = strchr(digest.text, ':') + 1, *end = p + 15; p < end; p++)
		hash = hash * 16 + (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
	uint64_t *place = &listing->seen[hash % SEEN_NAMES];
	bool fresh = *place != hash;
	*place = hash;
	return fresh;
}

/* Most listings are one page, and need no memory of it. */
static void remember_first_page(struct listing *listing)
{
	size_t i;
	json_t *name;
	listing->seen = memory_new(SEEN_NAMES, sizeof *listing->seen);
	json_array_foreach (json_object_get(listing->document, listing->kind->key), i, name)
		if (json_is_string(name))
			note_name(listing, json_string_value(name));
}

/* ERR-13: a page for humans, from a portal or a login, is none of ours. */
static bool parse_page(struct listing *listing, const struct reply *reply, json_t **names, struct error *err)
{
	char shown[64];
	const char *type = reply_header(reply, "Content-Type");
	const struct json_field fields[] = {{listing->kind->key, JSON_WANT_ARRAY, JSON_OPTIONAL, (void *)names}};
	struct error why;
	str_sanitize(type ? type : "", type ? strlen(type) : 0, shown, sizeof shown);
	if (type && strcasestr(type, "html"))
		return error_set(err, ERR_PROTOCOL, "a page of Content-Type %s, and not JSON", shown);
	if (json_parse_large(buf_peek(&reply->body), reply->body.length, LIMIT_TAGS, &listing->document, &why) &&
		json_read(listing->document, fields, array_count(fields), &why))
		return true;
	return error_set(err, ERR_PROTOCOL, "%s (Content-Type: %s)", why.text, type ? shown : "none");
}

/* *listed: entries of whatever kind; *fresh: some of them were not seen before. */
static bool read_page(
	struct listing *listing, const struct reply *reply, size_t *listed, bool *fresh, struct error *err)
{
	json_t *names = NULL;
	json_decref(listing->document);
	listing->document = NULL;
	listing->count = 0;
	*fresh = false;
	if (!parse_page(listing, reply, &names, err))
		return false;
	*listed = json_array_size(names);
	listing->names = memory_resize(listing->names, *listed + 1, sizeof *listing->names);
	for (size_t i = 0; i < *listed; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		bool is_name = name && listing->kind->is_name(name);
		bool is_new = name && (!listing->seen || note_name(listing, name));
		*fresh |= is_new;
		listing->skipped += name && !is_name;
		if (is_name && is_new)
			listing->names[listing->count++] = (char *)name;
	}
	const char *last = *listed ? json_string_value(json_array_get(names, *listed - 1)) : NULL;
	if (last) {
		free(listing->last);
		listing->last = memory_text(last);
	}
	sort_and_drop_repeated(listing);
	return true;
}

/* --- from page to page ---------------------------------------------------------------------------------------------
 */

/*
 * A loop of URLs in constant memory: one is kept, and a later one each time the count of pages has doubled; a loop
 * comes back to what was kept in it.
 */
static bool guard(struct listing *listing, const char *next, struct error *err)
{
	if (++listing->page_count > LIMIT_TAG_PAGES || listing->name_count > LIMIT_TAGS)
		return error_set(err, ERR_PROTOCOL, "the listing does not end");
	if (str_is(next, listing->milestone) || str_is(next, listing->url))
		return error_set(err, ERR_PROTOCOL, "the pages go in a circle");
	if (!listing->milestone || listing->page_count >= 2 * listing->milestone_page) {
		free(listing->milestone);
		listing->milestone = memory_text(next);
		listing->milestone_page = listing->page_count;
	}
	return true;
}

/* TAG-9: a full page without a link may be one of several. The last in the server's order is what it goes on behind. */
static bool may_go_on(const struct listing *listing, size_t listed)
{
	return listing->last && (listed == PAGE_SIZE || listed == PAGE_SIZE_OF_OTHERS);
}

/* A link is seen from where we asked, not from where a redirect led: our token goes with it. */
static bool find_next(struct listing *listing, const struct reply *reply, size_t listed, bool fresh, struct error *err)
{
	auto_free char *target = reply_next_link(reply), *next = NULL;
	bool progress = fresh || listing->repeats > 0;
	listing->repeats -= listing->repeats > 0;
	if (target && listed == 0)
		return error_set(err, ERR_PROTOCOL, "an empty page that is not the last");
	if (target && !progress)
		return error_set(err, ERR_PROTOCOL, "the pages go in a circle: one brought nothing new");
	if (target && !links_page(listing->url, target, &next, err))
		return false;
	/* Nothing new behind a guess: the server does not know `last`, and sent again what there is. */
	if (!target && progress && may_go_on(listing, listed))
		next = behind_last(listing, listed);
	if (next && !guard(listing, next, err))
		return false;
	listing->by = target ? BY_LINK : BY_GUESS;
	free(listing->url);
	listing->url = next;
	next = NULL;
	return true;
}

static bool next_page(struct listing *listing, struct error *err)
{
	auto_reply struct reply reply = {0};
	size_t listed;
	bool fresh;
	if (listing->document && !listing->seen)
		remember_first_page(listing);
	if (!fetch(listing, &reply, err))
		return false;
	if (!read_page(listing, &reply, &listed, &fresh, err) || !find_next(listing, &reply, listed, fresh, err))
		return error_wrap(err, "%s", http_what(reply.exchange));
	listing->name_count += listing->count;
	return true;
}

bool listing_is_over(const struct listing *listing)
{
	return !listing->url;
}

bool listing_next(struct listing *listing, char ***names, size_t *count, struct error *err)
{
	listing->count = 0;
	while (listing->url && listing->count == 0)
		if (!next_page(listing, err))
			return false;
	*names = listing->names;
	*count = listing->count;
	return true;
}
