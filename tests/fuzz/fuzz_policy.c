/*
 * F15: the origin policy, against a model of it that is slow and knows nothing of it. An input is: where we are, where
 * a server sends us, the places that the user named; one a line. The model takes URLs apart with libcurl's parser, and
 * says in one function each where a redirect, an upload, a page and a password may go.
 */
#include "second_url.h"
#include "sync/registry/links.h"
#include "sync/registry/token.h"

enum { PLACES_MOST = 8 };

/* --- the model ------------------------------------------------------------------------------------------------------
 */

struct place {
	bool is_url, tls, numeric;
	char *host; /* lower case, no trailing dot, no brackets */
	long port;
};

static void place_release(struct place *place)
{
	free(place->host);
}
#define auto_place __attribute__((cleanup(place_release)))

static char *plain_host(const char *host)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];
	size_t length = strlen(host);
	if (*host == '[') {
		auto_free char *bare = memory_text_of(host + 1, length - 2);
		if (inet_pton(AF_INET6, bare, &address) != 1)
			return NULL;
		return memory_text(inet_ntop(AF_INET6, &address, text, sizeof text));
	}
	char *lower = memory_text_of(host, length > 1 && host[length - 1] == '.' ? length - 1 : length);
	for (char *p = lower; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return lower;
}

static struct place place_of(const char *text)
{
	struct place place = {.is_url = false};
	CURLU *url = curl_url();
	if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
		char *scheme = second_url_part(url, CURLUPART_SCHEME, 0),
		     *user = second_url_part(url, CURLUPART_USER, 0);
		char *host = second_url_part(url, CURLUPART_HOST, 0);
		char *port = second_url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
		place.tls = scheme && strcasecmp(scheme, "https") == 0;
		place.is_url = scheme && host && port && !user && (place.tls || strcasecmp(scheme, "http") == 0);
		place.host = place.is_url ? plain_host(host) : NULL;
		place.is_url &= place.host != NULL;
		place.numeric = place.host && strspn(place.host, "0123456789.") == strlen(place.host);
		place.port = port ? strtol(port, NULL, 10) : 0;
		curl_free(scheme);
		curl_free(user);
		curl_free(host);
		curl_free(port);
	}
	curl_url_cleanup(url);
	return place;
}

static bool same_place(const struct place *a, const struct place *b)
{
	return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* T-12, T-14: what the user named, at the usual port if none is said. */
static bool is_named(const struct place *place, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		auto_free char *text = memory_format("%s://%s/", place->tls ? "https" : "http", names[i]);
		auto_place struct place named = place_of(text);
		if (named.is_url && same_place(&named, place))
			return true;
	}
	return false;
}

/* RED-5, T-18. */
static bool model_follows(const struct place *from, const struct place *to)
{
	return !(from->tls && !to->tls);
}

/* UPL-6 to UPL-8, T-14. */
static bool model_uploads(const struct place *from, const struct place *to, char *const *names, size_t count)
{
	return strcmp(from->host, to->host) == 0 || (model_follows(from, to) && is_named(to, names, count));
}

/* AUTH-14 to AUTH-16, T-12. */
static bool model_tells_password(const struct place *from, const struct place *to, char *const *names, size_t count)
{
	bool usual = to->port == (to->tls ? 443 : 80);
	if (!model_follows(from, to))
		return false;
	if (strcmp(from->host, to->host) == 0 && (to->port == from->port || usual))
		return true;
	if (is_named(to, names, count))
		return true;
	bool hub = strcmp(from->host, "registry-1.docker.io") == 0 && strcmp(to->host, "auth.docker.io") == 0;
	bool gitlab = strcmp(from->host, "registry.gitlab.com") == 0 && strcmp(to->host, "gitlab.com") == 0;
	return (hub || gitlab) && to->tls && usual;
}

/* --- the comparison --------------------------------------------------------------------------------------------------
 */

static void compare_follow(const char *from_text, const char *to_text, const struct place *from, const struct place *to)
{
	struct origin a, b;
	must(origin_of(from_text, &a, NULL) && origin_of(to_text, &b, NULL));
	must(origin_equal(&a, &b) == same_place(from, to));
	must(origin_may_follow(&a, &b, NULL) == model_follows(from, to));
}

static void compare_upload(const char *from_text, const char *to_text, const struct place *from, const struct place *to,
	char *const *names, size_t count)
{
	char *url = NULL;
	bool ours = links_upload(from_text, to_text, (const char *const *)names, count, &url, NULL);
	must(ours == model_uploads(from, to, names, count));
	if (!ours)
		return;
	auto_place struct place there = place_of(url);
	must(there.is_url && (same_place(&there, from) || same_place(&there, to)));
	free(url);
}

static void compare_page(const char *from_text, const char *to_text, const struct place *from)
{
	char *url = NULL;
	if (!links_page(from_text, to_text, &url, NULL))
		return;
	auto_place struct place there = place_of(url);
	must(there.is_url && same_place(&there, from));
	free(url);
}

static void compare_password(const char *from_text, const char *to_text, const struct place *from,
	const struct place *to, char *const *names, size_t count)
{
	static const struct http_tls tls = {.insecure = false};
	struct token_server server = {
		.realm = to_text,
		.registry_url = from_text,
		.tls = &tls,
		.domain = "r.test",
		.realms = (const char *const *)names,
		.realm_count = count,
	};
	must(token_server_judge(&server, true, NULL) == model_tells_password(from, to, names, count));
	must(token_server_judge(&server, false, NULL) == model_follows(from, to));
}

/* Names are the user's, and the configuration takes no others. */
static bool is_place(const char *name)
{
	struct origin origin;
	auto_free char *url = memory_format("https://%s/", name);
	return strcspn(name, "/?#") == strlen(name) && origin_of(url, &origin, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = fuzz_text(data, size);
	char *rest = text, *names[PLACES_MOST];
	size_t count = 0;
	const char *from_text = fuzz_line(&rest), *to_text = fuzz_line(&rest);
	struct origin origin;
	if (!from_text || !to_text)
		return 0;
	while (rest && count < PLACES_MOST) {
		names[count] = fuzz_line(&rest);
		count += is_place(names[count]);
	}
	second_url_agrees(from_text);
	second_url_agrees(to_text);
	/* What we do not take for a URL is refused everywhere; F4 has relative ones. */
	if (!origin_of(from_text, &origin, NULL) || !origin_of(to_text, &origin, NULL))
		return 0;
	auto_place struct place from = place_of(from_text), to = place_of(to_text);
	must(from.is_url && to.is_url);
	/* libcurl calls 0x7f.1 another name than we do, and asks for neither: addresses are judged when they are known.
	 */
	if (from.numeric || to.numeric)
		return 0;
	compare_follow(from_text, to_text, &from, &to);
	compare_upload(from_text, to_text, &from, &to, names, count);
	compare_page(from_text, to_text, &from);
	compare_password(from_text, to_text, &from, &to, names, count);
	return 0;
}
