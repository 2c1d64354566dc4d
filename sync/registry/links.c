#include "sync/registry/links.h"

#include "base/memory.h"
#include "base/str.h"
#include "sync/http/origin.h"

#include <string.h>

char *links_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *encoded = memory_new(3 * strlen(text) + 1, 1), *out = encoded;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     strchr("-._~", *p);
		if (plain) {
			*out++ = (char)*p;
			continue;
		}
		*out++ = '%';
		*out++ = digits[*p >> 4];
		*out++ = digits[*p & 15];
	}
	return encoded;
}

char *links_add_query(const char *url, const char *query)
{
	size_t length = strcspn(url, "#");
	const char *mark = memchr(url, '?', length);
	const char *joint = !mark ? "?" : (mark + 1 == url + length || url[length - 1] == '&') ? "" : "&";
	return memory_format("%.*s%s%s", (int)length, url, joint, query);
}

const char *links_query(const char *url)
{
	url += strcspn(url, "?");
	return *url ? url + 1 : url;
}

bool links_query_has(const char *query, const char *name)
{
	size_t length = strlen(name);
	for (const char *p = query; *p; p += *p == '&') {
		if (strncmp(p, name, length) == 0 && strchr("=&", p[length])) /* or the end */
			return true;
		p += strcspn(p, "&");
	}
	return false;
}

/* --- Link ----------------------------------------------------------------------------------------------------------
 */

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* "next" among the words of @value? */
static bool names_next(const char *value, size_t length)
{
	auto_free char *words = memory_text_of(value, length);
	for (const char *p = words; *p; p += strspn(p, " \t")) {
		size_t word = strcspn(p, " \t");
		auto_free char *one = memory_text_of(p, word);
		if (str_is_nocase(one, "next"))
			return true;
		p += word;
	}
	return false;
}

/* One `;name=value` behind a target. *is_next: it was rel=next. */
static const char *skip_parameter(const char *p, bool *is_next)
{
	const char *name = skip_blanks(p + 1);
	size_t name_length = strcspn(name, " \t=;,");
	p = skip_blanks(name + name_length);
	if (*p != '=')
		return p;
	p = skip_blanks(p + 1);
	bool quoted = *p == '"';
	const char *value = p + quoted;
	size_t length = strcspn(value, quoted ? "\"" : " \t;,");
	auto_free char *key = memory_text_of(name, name_length);
	if (str_is_nocase(key, "rel"))
		*is_next |= names_next(value, length);
	p = value + length;
	return quoted && *p ? p + 1 : p;
}

char *links_next(const char *header)
{
	const char *p = header;
	for (;;) {
		p = strchr(p, '<');
		if (!p)
			return NULL;
		const char *target = p + 1, *end = strchr(target, '>');
		if (!end)
			return NULL;
		bool is_next = false;
		for (p = skip_blanks(end + 1); *p == ';'; p = skip_blanks(p))
			p = skip_parameter(p, &is_next);
		if (is_next)
			return memory_text_of(target, (size_t)(end - target));
	}
}

/* --- where they lead -----------------------------------------------------------------------------------------------
 */

static size_t origin_length(const char *url)
{
	const char *authority = strstr(url, "://");
	return authority ? (size_t)(authority + 3 - url) + strcspn(authority + 3, "/?#") : 0;
}

/* The path and query of @url at the origin of @from. */
static char *move_to(const char *from, const char *url)
{
	return memory_format("%.*s%s", (int)origin_length(from), from, url + origin_length(url));
}

static bool path_ends_with_path_of(const char *url, const char *other)
{
	size_t length = strcspn(url, "?#"), from = origin_length(url);
	size_t other_length = strcspn(other, "?#"), other_from = origin_length(other);
	size_t tail = other_length - other_from;
	return length - from > tail && memcmp(url + length - tail, other + other_from, tail) == 0;
}

bool links_page(const char *from, const char *target, char **url, struct error *err)
{
	struct origin origin;
	auto_free char *resolved = origin_resolve(from, target);
	if (!resolved)
		return error_set(err, ERR_PROTOCOL, "the link to the next page is no URL");
	if (!origin_of(resolved, &origin, NULL))
		return error_set(err, ERR_REFUSED, "the link to the next page is no URL of a registry");
	if (str_starts_with(resolved + origin_length(resolved), "/v2/"))
		*url = move_to(from, resolved);
	else if (path_ends_with_path_of(resolved, from)) /* TAG-7: a prefix that only the server itself sees */
		*url = memory_format("%.*s%s", (int)strcspn(from, "?#"), from, resolved + strcspn(resolved, "?#"));
	else
		return error_set(err, ERR_REFUSED, "the link to the next page leads out of the registry");
	return true;
}

/* UPL-6: some leave the scheme out, and name the host all the same. */
static char *resolve_location(const char *from, const char *location)
{
	const char *authority = strstr(from, "://") + 3;
	size_t length = strcspn(authority, "/?#");
	if (strncmp(location, authority, length) != 0 || location[length] != '/')
		return origin_resolve(from, location);
	auto_free char *whole = memory_format("//%s", location);
	return origin_resolve(from, whole);
}

/* T-14: the bytes of private images are not for whom a server names, but for whom the user does. */
static bool may_upload_to(const struct origin *home, const struct origin *there, const char *const *hosts,
	size_t host_count, struct error *err)
{
	if (!origin_may_follow(home, there, err))
		return false;
	if (origin_is_one_of(there, hosts, host_count))
		return true;
	auto_free char *place = origin_place(there);
	return error_set(err, ERR_REFUSED,
		"the upload's Location is at another host, %s; if blobs may go there, write under registries, %s: "
		"`upload-hosts: [\"%s\"]`",
		there->host, home->host, place);
}

bool links_upload(const char *from, const char *location, const char *const *hosts, size_t host_count, char **url,
	struct error *err)
{
	struct origin home, there;
	struct error why;
	if (!origin_of(from, &home, err))
		return false;
	auto_free char *resolved = resolve_location(from, location);
	if (!resolved)
		return error_set(err, ERR_PROTOCOL, "the upload's Location is no URL");
	if (!origin_of(resolved, &there, &why))
		return error_set(err, ERR_REFUSED, "the upload's Location: %s", why.text);
	if (str_is(home.host, there.host)) {
		*url = move_to(from, resolved);
		return true;
	}
	if (!may_upload_to(&home, &there, hosts, host_count, err))
		return false;
	*url = resolved;
	resolved = NULL;
	return true;
}

/* --- Content-Range -------------------------------------------------------------------------------------------------
 */

static bool take_number(const char **text, const char *ends, int64_t *number)
{
	size_t length = strcspn(*text, ends);
	auto_free char *digits = memory_text_of(*text, length);
	*text += length;
	return str_parse_number(digits, INT64_MAX, number);
}

bool links_content_range(const char *text, int64_t *first, int64_t *last, int64_t *total)
{
	if (!str_starts_with(text, "bytes "))
		return false;
	const char *p = text + strlen("bytes ");
	if (!take_number(&p, "-", first) || *p++ != '-' || !take_number(&p, "/", last) || *p++ != '/')
		return false;
	*total = -1;
	return str_is(p, "*") || take_number(&p, "", total);
}
