/*
 * URLs are taken apart by hand and strictly: what we read here and what libcurl reads later must never differ, so a
 * text that two parsers could read in two ways (backslash, userinfo, escapes in the host) is refused.
 */
#include "sync/http/origin.h"

#include "base/memory.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443, PORT_MAX = 65535, PORT_DIGITS = 5, PRINTABLE_BYTES = 512, LABEL_MAX = 63 };

/* --- taking URLs apart -------------------------------------------------------------------------------------------- */

/* The pieces of an absolute URL, within its text. */
struct pieces {
	bool tls;
	const char *authority, *path; /* the path begins at '/', '?', '#' or the end */
	size_t authority_length;
};

static bool has_control_bytes(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x21 || *p == 0x7f)
			return true;
	return false;
}

static bool take_apart(const char *url, struct pieces *pieces, struct error *err)
{
	static const struct {
		const char *prefix;
		bool tls;
	} schemes[] = {{"https://", true}, {"http://", false}};
	if (has_control_bytes(url)) {
		error_set(err, ERR_REFUSED, "a URL with blanks or control bytes");
		return false;
	}
	for (size_t i = 0; i < array_count(schemes); i++) {
		size_t length = strlen(schemes[i].prefix);
		if (strncasecmp(url, schemes[i].prefix, length) != 0)
			continue;
		pieces->tls = schemes[i].tls;
		pieces->authority = url + length;
		pieces->authority_length = strcspn(pieces->authority, "/?#");
		pieces->path = pieces->authority + pieces->authority_length;
		return true;
	}
	error_set(err, ERR_REFUSED, "the URL is neither https nor http");
	return false;
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static void copy_lower(const char *text, size_t length, char *out)
{
	for (size_t i = 0; i < length; i++)
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
	out[length] = '\0';
}

/* T-8: what is not so never comes to a resolver; some cut a name that is too long, and find another. */
static bool has_good_labels(const char *host)
{
	for (const char *label = host; *label;) {
		size_t length = strcspn(label, ".");
		if (length == 0 || length > LABEL_MAX || (label[length] && !label[length + 1]))
			return false;
		label += length + (label[length] == '.');
	}
	return true;
}

static bool take_name(const char *text, size_t length, struct origin *origin)
{
	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > ORIGIN_HOST_MAX)
		return false;
	copy_lower(text, length, origin->host);
	for (size_t i = 0; i < length; i++)
		if (!is_host_byte(origin->host[i]))
			return false;
	return has_good_labels(origin->host);
}

static bool take_ipv6(const char *text, size_t length, struct origin *origin)
{
	struct in6_addr address;
	if (length == 0 || length > ORIGIN_HOST_MAX)
		return false;
	copy_lower(text, length, origin->host);
	/* One address can be written in many ways, and is one origin. */
	return inet_pton(AF_INET6, origin->host, &address) == 1 &&
	       inet_ntop(AF_INET6, &address, origin->host, sizeof origin->host) != NULL;
}

static bool take_port(const char *text, size_t length, struct origin *origin)
{
	char digits[PORT_DIGITS + 1] = "";
	int64_t port;
	if (length == 0 || length > PORT_DIGITS)
		return false;
	memcpy(digits, text, length);
	if (!str_parse_number(digits, PORT_MAX, &port) || port == 0)
		return false;
	origin->port = (int)port;
	return true;
}

static bool take_host_and_port(const struct pieces *pieces, struct origin *origin)
{
	const char *host = pieces->authority, *end = host + pieces->authority_length;
	bool bracketed = pieces->authority_length > 0 && *host == '[';
	const char *stop = memchr(host, bracketed ? ']' : ':', pieces->authority_length);
	if (bracketed) {
		if (!stop || !take_ipv6(host + 1, (size_t)(stop - host - 1), origin))
			return false;
		stop++;
	} else if (!take_name(host, (size_t)((stop ? stop : end) - host), origin)) {
		return false;
	}
	origin->port = pieces->tls ? PORT_HTTPS : PORT_HTTP;
	if (!stop || stop == end)
		return true;
	return *stop == ':' && take_port(stop + 1, (size_t)(end - stop - 1), origin);
}

bool origin_of(const char *url, struct origin *origin, struct error *err)
{
	struct pieces pieces = {0};
	struct origin found = {0};
	if (!take_apart(url, &pieces, err))
		return false;
	if (memchr(pieces.authority, '@', pieces.authority_length))
		return error_set(err, ERR_REFUSED, "a URL with a user name in it");
	found.tls = pieces.tls;
	if (!take_host_and_port(&pieces, &found))
		return error_set(err, ERR_REFUSED, "a URL with a bad host or port");
	*origin = found;
	return true;
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
	return a->tls == b->tls && a->port == b->port && str_is(a->host, b->host);
}

bool origin_is_one_of(const struct origin *origin, const char *const *places, size_t place_count)
{
	for (size_t i = 0; i < place_count; i++) {
		struct origin place = {.tls = false};
		auto_free char *url = memory_format("%s://%s/", origin->tls ? "https" : "http", places[i]);
		if (origin_of(url, &place, NULL) && origin_equal(&place, origin))
			return true;
	}
	return false;
}

char *origin_place(const struct origin *origin)
{
	bool is_ipv6 = strchr(origin->host, ':') != NULL;
	auto_free char *host = memory_format(is_ipv6 ? "[%s]" : "%s", origin->host);
	bool is_usual = origin->port == (origin->tls ? PORT_HTTPS : PORT_HTTP);
	return is_usual ? memory_text(host) : memory_format("%s:%d", host, origin->port);
}

/* --- references --------------------------------------------------------------------------------------------------- */

static bool has_scheme(const char *reference)
{
	size_t length = strcspn(reference, ":/?#");
	return length > 0 && reference[length] == ':';
}

/* RFC 3986, 5.2.4, in place on an absolute path. */
static void remove_dot_segments(char *path)
{
	char *out = path;
	for (const char *in = path; *in;) {
		size_t length = 1 + strcspn(in + 1, "/");
		bool last = in[length] == '\0';
		bool here = length == 2 && in[1] == '.', up = length == 3 && in[1] == '.' && in[2] == '.';
		if (up)
			while (out > path && *--out != '/')
				;
		if (!here && !up) {
			memmove(out, in, length);
			out += length;
		} else if (last) {
			*out++ = '/';
		}
		in += length;
	}
	*out = '\0';
}

/* @prefix, then the path of @length bytes at @path without its dots, then @query up to a fragment. */
static char *join(const char *prefix, size_t prefix_length, const char *path, size_t length, const char *query)
{
	auto_free char *clean = memory_text_of(path, length);
	if (clean[0] == '/')
		remove_dot_segments(clean);
	return memory_format("%.*s%s%.*s", (int)prefix_length, prefix, clean, (int)strcspn(query, "#"), query);
}

/* Join when @rest is everything behind the authority. */
static char *join_rest(const char *prefix, size_t prefix_length, const char *rest)
{
	size_t length = strcspn(rest, "?#");
	return join(prefix, prefix_length, rest, length, rest + length);
}

char *origin_resolve(const char *base, const char *reference)
{
	struct pieces pieces = {0};
	if (*reference == '\0' || has_control_bytes(reference) || !take_apart(base, &pieces, NULL))
		return NULL;
	size_t authority_end = (size_t)(pieces.path - base);
	if (has_scheme(reference)) {
		struct pieces absolute = {0};
		if (!take_apart(reference, &absolute, NULL))
			return memory_text(reference);
		return join_rest(reference, (size_t)(absolute.path - reference), absolute.path);
	}
	if (str_starts_with(reference, "//")) {
		const char *scheme = pieces.tls ? "https:" : "http:";
		auto_free char *whole = memory_format("%s%s", scheme, reference);
		return origin_resolve(base, whole);
	}
	if (*reference == '/')
		return join_rest(base, authority_end, reference);

	size_t base_path_length = strcspn(pieces.path, "?#");
	size_t length = strcspn(reference, "?#");
	if (length == 0)
		return join(base, authority_end, pieces.path, base_path_length, reference);
	while (base_path_length > 0 && pieces.path[base_path_length - 1] != '/')
		base_path_length--;
	auto_free char *path = base_path_length == 0 ? memory_format("/%.*s", (int)length, reference)
						     : memory_format("%.*s%.*s", (int)base_path_length, pieces.path,
							       (int)length, reference);
	return join(base, authority_end, path, strlen(path), reference + length);
}

char *origin_printable(const char *url)
{
	size_t length = strcspn(url, "?#");
	const char *authority = strstr(url, "//");
	authority = authority && authority < url + length ? authority + 2 : url;
	size_t authority_length = strcspn(authority, "/?#\\");
	const char *at = memrchr(authority, '@', authority_length);
	const char *host = at ? at + 1 : authority;
	auto_free char *bare = memory_format("%.*s%.*s", (int)(authority - url), url, (int)(url + length - host), host);
	char *clean = memory_new(1, PRINTABLE_BYTES);
	str_sanitize(bare, strlen(bare), clean, PRINTABLE_BYTES);
	return clean;
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

struct range4 {
	uint32_t network;
	int bits;
	enum address_class is;
};

/* IANA's special-purpose registry; what is in no row is public. */
static const struct range4 ranges4[] = {
	{0x00000000, 8, ADDRESS_FORBIDDEN},  /* 0/8: "this host", which Linux connects to itself */
	{0x0a000000, 8, ADDRESS_PRIVATE},    /* 10/8 */
	{0x64400000, 10, ADDRESS_PRIVATE},   /* 100.64/10: carrier NAT */
	{0x7f000000, 8, ADDRESS_LOOPBACK},   /* 127/8 */
	{0xa9fe0000, 16, ADDRESS_FORBIDDEN}, /* 169.254/16: link-local, cloud metadata */
	{0xac100000, 12, ADDRESS_PRIVATE},   /* 172.16/12 */
	{0xc0000000, 24, ADDRESS_FORBIDDEN}, /* 192.0.0/24: protocol assignments; 192.0.0.192 is Oracle's metadata */
	{0xc0a80000, 16, ADDRESS_PRIVATE},   /* 192.168/16 */
	{0xc6120000, 15, ADDRESS_PRIVATE},   /* 198.18/15: benchmarks */
	{0xe0000000, 3, ADDRESS_FORBIDDEN},  /* 224/4 multicast, 240/4 reserved, broadcast */
};

static enum address_class class_of_ipv4(uint32_t address)
{
	if (address == 0x646464c8) /* 100.100.100.200: Alibaba's metadata, within carrier NAT */
		return ADDRESS_FORBIDDEN;
	for (size_t i = 0; i < array_count(ranges4); i++)
		if ((address ^ ranges4[i].network) >> (32 - ranges4[i].bits) == 0)
			return ranges4[i].is;
	return ADDRESS_PUBLIC;
}

static uint32_t ipv4_at(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool begins(const unsigned char *bytes, const char *prefix, size_t length)
{
	return memcmp(bytes, prefix, length) == 0;
}

static enum address_class class_of_ipv6(const unsigned char *bytes)
{
	static const char zeros[16] = "", mapped[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff", nat64[] = "\0\x64\xff\x9b";
	static const char metadata[] = "\xfd\x00\x0e\xc2"; /* fd00:ec2::254, Amazon's metadata */
	if (begins(bytes, zeros, 15) && bytes[15] == 1)
		return ADDRESS_LOOPBACK;
	/* Ways to write an IPv4 address: ::ffff:a.b.c.d, ::a.b.c.d (and :: itself), 64:ff9b::a.b.c.d, 2002:a.b.c.d:: */
	if (begins(bytes, mapped, 12) || begins(bytes, zeros, 12) || begins(bytes, nat64, 4))
		return class_of_ipv4(ipv4_at(bytes + 12));
	if (begins(bytes, "\x20\x02", 2))
		return class_of_ipv4(ipv4_at(bytes + 2));
	if (begins(bytes, metadata, 4))
		return ADDRESS_FORBIDDEN;
	if ((bytes[0] & 0xfe) == 0xfc)
		return ADDRESS_PRIVATE; /* fc00::/7 */
	if (bytes[0] == 0xff || (bytes[0] == 0xfe && (bytes[1] & 0x80)))
		return ADDRESS_FORBIDDEN; /* multicast, link-local, site-local */
	return ADDRESS_PUBLIC;
}

enum address_class origin_address_class(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, address, sizeof v4);
		return class_of_ipv4(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, address, sizeof v6);
		return class_of_ipv6(v6.sin6_addr.s6_addr);
	}
	return ADDRESS_FORBIDDEN;
}

/* --- policy ------------------------------------------------------------------------------------------------------- */

bool origin_may_follow(const struct origin *from, const struct origin *to, struct error *err)
{
	if (from->tls && !to->tls)
		return error_set(
			err, ERR_REFUSED, "%s sends us from https to http at %s:%d", from->host, to->host, to->port);
	return true;
}

bool origin_may_connect(enum address_class home, enum address_class to)
{
	switch (to) {
	case ADDRESS_PUBLIC:
		return true;
	case ADDRESS_PRIVATE:
		return home == ADDRESS_PRIVATE || home == ADDRESS_LOOPBACK;
	case ADDRESS_LOOPBACK:
		return home == ADDRESS_LOOPBACK;
	case ADDRESS_FORBIDDEN:
		break;
	}
	return false;
}
