#include "oci/reference.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <string.h>

#define LOWER    "abcdefghijklmnopqrstuvwxyz"
#define UPPER    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DECIMALS "0123456789"

#define HUB "docker.io"

bool reference_is_tag(const char *text)
{
	size_t length = strspn(text, LOWER UPPER DECIMALS "_.-");
	return length > 0 && length <= REFERENCE_TAG_MAX && text[length] == '\0' && text[0] != '.' && text[0] != '-';
}

/* The length of one path component at @text, [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*; 0: there is none. */
static size_t component_length(const char *text)
{
	size_t length = strspn(text, LOWER DECIMALS);
	while (length > 0) {
		const char *p = text + length;
		size_t separator = *p == '.' ? 1 : *p == '_' ? 1 + (p[1] == '_') : strspn(p, "-");
		if (separator == 0)
			break;
		size_t more = strspn(p + separator, LOWER DECIMALS);
		if (more == 0)
			return 0;
		length += separator + more;
	}
	return length;
}

bool reference_is_repository(const char *text)
{
	if (strnlen(text, REFERENCE_NAME_MAX + 1) > REFERENCE_NAME_MAX)
		return false;
	for (;;) {
		size_t length = component_length(text);
		if (length == 0)
			return false;
		if (text[length] == '\0')
			return true;
		if (text[length] != '/')
			return false;
		text += length + 1;
	}
}

/* The length of "[::1]" at @text; 0: not an address. A zone id is none (REF-10). */
static size_t ipv6_length(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr binary;
	size_t length = strcspn(text + 1, "]");
	if (length >= sizeof address || text[1 + length] != ']')
		return 0;
	memcpy(address, text + 1, length);
	address[length] = '\0';
	return inet_pton(AF_INET6, address, &binary) == 1 ? length + 2 : 0;
}

/* The length of a host name or IPv4 address at @text; 0: neither. */
static size_t host_length(const char *text)
{
	size_t length = 0;
	for (;;) {
		size_t label = strspn(text + length, LOWER UPPER DECIMALS "-");
		if (label == 0 || text[length] == '-' || text[length + label - 1] == '-')
			return 0;
		length += label;
		if (text[length] != '.')
			return length;
		length++;
	}
}

bool reference_is_domain(const char *text)
{
	if (strnlen(text, REFERENCE_NAME_MAX + 1) > REFERENCE_NAME_MAX)
		return false;
	size_t length = text[0] == '[' ? ipv6_length(text) : host_length(text);
	if (length == 0)
		return false;
	int64_t port;
	return text[length] == '\0' ||
	       (text[length] == ':' && str_parse_number(text + length + 1, 65535, &port) && port > 0);
}

const char *reference_host(const char *domain)
{
	return str_is(domain, HUB) ? "registry-1.docker.io" : domain;
}

/* REF-1: is what stands before the first slash a domain? It may still be a bad one. */
static bool looks_like_domain(const char *first, size_t length)
{
	static const char name[] = "localhost";
	for (size_t i = 0; i < length; i++)
		if (first[i] == '.' || first[i] == ':' || (first[i] >= 'A' && first[i] <= 'Z'))
			return true;
	return length == sizeof name - 1 && memcmp(first, name, length) == 0;
}

static void split_domain(const char *text, char **domain, char **path)
{
	const char *slash = strchr(text, '/');
	if (!slash || !looks_like_domain(text, (size_t)(slash - text))) {
		*domain = memory_text(HUB);
		*path = memory_text(text);
		return;
	}
	*domain = memory_text_of(text, (size_t)(slash - text));
	*path = memory_text(slash + 1);
	if (str_is_nocase(*domain, HUB) || str_is_nocase(*domain, "index." HUB)) {
		free(*domain);
		*domain = memory_text(HUB);
	}
}

/* Cut the tag off @path, if there is one. */
static char *split_tag(char *path)
{
	char *colon = strrchr(path, ':');
	if (!colon || strchr(colon, '/'))
		return NULL;
	*colon = '\0';
	return memory_text(colon + 1);
}

/* REF-2: only the Hub's own images have a short name. */
static void add_library(struct reference *reference)
{
	if (!str_is(reference->domain, HUB) || strchr(reference->repository, '/') || !*reference->repository)
		return;
	char *full = memory_format("library/%s", reference->repository);
	free(reference->repository);
	reference->repository = full;
}

/* The rule that the parts break, or NULL. */
static const char *broken_rule(const struct reference *reference)
{
	if (str_is(reference->domain, "https:") || str_is(reference->domain, "http:"))
		return "it begins with its host, without http:// or https://";
	if (!reference_is_domain(reference->domain))
		return "what stands before the first / is not a host, host:port or [IPv6]:port";
	if (reference->tag && !reference_is_tag(reference->tag))
		return "a tag is 1 to 128 letters, digits, _ . and -, and starts with none of . and -";
	if (reference_is_repository(reference->repository))
		return NULL;
	if (strpbrk(reference->repository, UPPER))
		return "upper case is not allowed in a repository name";
	if (strlen(reference->repository) > REFERENCE_NAME_MAX)
		return "a repository name has at most 255 characters";
	return "a repository name is made of a-z and 0-9, with single . _ __ or - between them, and / between parts";
}

static bool is_image_id(const char *text)
{
	return strlen(text) == 64 && strspn(text, DECIMALS "abcdef") == 64;
}

static bool parse_parts(const char *text, struct reference *reference, struct error *err)
{
	const char *at = strchr(text, '@');
	if (str_starts_with(text, "/") || str_starts_with(text, "./") || str_starts_with(text, "../"))
		return error_set(err, ERR_INVALID, "that is a path; a layout is written oci:DIR");
	if (at && !digest_parse(at + 1, &reference->digest, err))
		return false;
	auto_free char *name = memory_text_of(text, at ? (size_t)(at - text) : strlen(text));
	if (is_image_id(name))
		return error_set(err, ERR_INVALID, "64 hex digits are an image ID, not a name"); /* REF-7 */
	split_domain(name, &reference->domain, &reference->repository);
	reference->tag = split_tag(reference->repository);
	add_library(reference);
	const char *broken = broken_rule(reference);
	return !broken || error_set(err, ERR_INVALID, "%s", broken);
}

bool reference_parse(const char *text, struct reference *reference, struct error *err)
{
	static const char transport[] = "docker://";
	struct reference fresh = {0};
	const char *bare = str_starts_with(text, transport) ? text + sizeof transport - 1 : text;
	if (!parse_parts(bare, &fresh, err)) {
		char shown[LIMIT_FOREIGN_TEXT];
		str_sanitize(text, strlen(text), shown, sizeof shown);
		reference_release(&fresh);
		return error_wrap(err, "reference \"%s\"", shown);
	}
	*reference = fresh;
	return true;
}

void reference_default_tag(struct reference *reference)
{
	if (!reference->tag && digest_is_empty(&reference->digest))
		reference->tag = memory_text("latest");
}

void reference_release(struct reference *reference)
{
	free(reference->domain);
	free(reference->repository);
	free(reference->tag);
	*reference = (struct reference){0};
}

char *reference_format(const struct reference *reference)
{
	return memory_format("%s/%s%s%s%s%s", reference->domain, reference->repository, reference->tag ? ":" : "",
		reference->tag ? reference->tag : "", digest_is_empty(&reference->digest) ? "" : "@",
		reference->digest.text);
}

char *reference_name(const struct reference *reference)
{
	return memory_format("%s/%s", reference->domain, reference->repository);
}
