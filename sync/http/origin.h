/*
 * Origins: scheme, host and port; and the one policy that says which URL a server may send us to (RED, T-12 to T-18).
 * Pure functions of texts and addresses.
 */
#ifndef DRAY_SYNC_HTTP_ORIGIN_H
#define DRAY_SYNC_HTTP_ORIGIN_H

#include "base/error.h"

#include <stddef.h>

struct sockaddr;

#define ORIGIN_HOST_MAX 253 /* what a resolver takes (T-8) */

struct origin {
	bool tls;                       /* https */
	char host[ORIGIN_HOST_MAX + 1]; /* lower case, no brackets, no trailing dot */
	int port;
};

/** The origin of an absolute http or https URL. ERR_REFUSED: another scheme, userinfo, a bad host or port. */
must_check bool origin_of(const char *url, struct origin *origin, struct error *err);

bool origin_equal(const struct origin *a, const struct origin *b);

/**
 * Is @origin at one of @places? They are "HOST" or "HOST:PORT", without a scheme; a host alone is at the usual port of
 * @origin's scheme. Exact, after folding of case and a trailing dot (T-19).
 */
bool origin_is_one_of(const struct origin *origin, const char *const *places, size_t place_count);

/** "host", "host:8443" or "[::1]:8443": as a user writes it among such places. New memory. */
char *origin_place(const struct origin *origin);

/** Resolve @reference against the absolute @base (RFC 3986), keeping its query as it is written. New memory, or NULL.
 */
char *origin_resolve(const char *base, const char *reference);

/** "https://host:port/path" of @url: no query, no userinfo, no fragment. New memory. */
char *origin_printable(const char *url);

enum address_class {
	ADDRESS_PUBLIC,
	ADDRESS_PRIVATE,
	ADDRESS_LOOPBACK,
	ADDRESS_FORBIDDEN, /* link-local, metadata, unspecified, multicast */
};

enum address_class origin_address_class(const struct sockaddr *address);

/**
 * May a server at @from send us to @to? From https never to http (T-18). The address is judged where it is known,
 * after resolution: origin_may_connect(). ERR_REFUSED with the reason.
 */
must_check bool origin_may_follow(const struct origin *from, const struct origin *to, struct error *err);

/**
 * May a hop to another origin connect to an address of class @to, when the origin the user wrote is at class @home?
 * To a private address only if the user's own origin is at one, or at loopback; to loopback only from loopback;
 * to forbidden ones never (T-17).
 */
bool origin_may_connect(enum address_class home, enum address_class to);

#endif
