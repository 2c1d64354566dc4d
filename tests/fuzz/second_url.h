/*
 * A second opinion on URLs: libcurl's own parser, which is the one that connects.
 */
#ifndef DRAY_TESTS_FUZZ_SECOND_URL_H
#define DRAY_TESTS_FUZZ_SECOND_URL_H

#include "fuzz.h"

#include "sync/http/origin.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <strings.h>

static inline char *second_url_part(CURLU *url, CURLUPart part, unsigned flags)
{
	char *value = NULL;
	return curl_url_get(url, part, &value, flags) == CURLUE_OK ? value : NULL;
}

/* libcurl spells an IPv6 address anew. */
static inline bool second_url_same_address(const char *bracketed, const char *ours)
{
	struct in6_addr a, b;
	auto_free char *bare = memory_text_of(bracketed + 1, strlen(bracketed) - 2);
	return inet_pton(AF_INET6, bare, &a) == 1 && inet_pton(AF_INET6, ours, &b) == 1 &&
	       memcmp(&a, &b, sizeof a) == 0;
}

/* The host as an origin has it: no brackets, no trailing dot, lower case. */
static inline bool second_url_same_host(const char *theirs, const char *ours)
{
	size_t length = strlen(theirs);
	if (*theirs == '[')
		return second_url_same_address(theirs, ours);
	if (length > 0 && theirs[length - 1] == '.')
		length--;
	return strlen(ours) == length && strncasecmp(theirs, ours, length) == 0;
}

/**
 * If we take @text for a URL, libcurl must read the same scheme, host and port in it, and no user. libcurl also
 * normalises numeric hosts (0x7f.1 is 127.0.0.1 to it): those may differ, for addresses are judged after resolution.
 */
static inline void second_url_agrees(const char *text)
{
	struct origin origin;
	if (!origin_of(text, &origin, NULL))
		return;
	CURLU *url = curl_url();
	must(curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK);
	char *scheme = second_url_part(url, CURLUPART_SCHEME, 0), *host = second_url_part(url, CURLUPART_HOST, 0);
	char *port = second_url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	char *user = second_url_part(url, CURLUPART_USER, 0);
	must(scheme && host && port && !user);
	must(origin.tls == (strcasecmp(scheme, "https") == 0));
	must(strtol(port, NULL, 10) == origin.port);
	bool numeric = strspn(host, "0123456789.") == strlen(host);
	must(numeric || second_url_same_host(host, origin.host));
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_url_cleanup(url);
}

#endif
