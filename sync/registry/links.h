/*
 * The URLs that registries hand out: next pages and upload locations. Pure functions of texts.
 */
#ifndef DRAY_SYNC_REGISTRY_LINKS_H
#define DRAY_SYNC_REGISTRY_LINKS_H

#include "base/error.h"

#include <stddef.h>

/** @text for a place in a query: all but RFC 3986's unreserved bytes as %XX (REF-13). New memory. */
char *links_encode(const char *text);

/** @url with @query behind it, by '?' or, where it has a query, by '&'; what is there stays as it is. New memory. */
char *links_add_query(const char *url, const char *query);

/** What stands behind '?', or "". Borrowed from @url. */
const char *links_query(const char *url);
bool links_query_has(const char *query, const char *name);

/** The target of the first rel=next in one Link header (TAG-4, RFR-10). New memory, or NULL. */
char *links_next(const char *header);

/**
 * Where @target of a Link leads, seen from @from: always to @from's own origin, whatever host it names (TAG-5), and to
 * a path below /v2/ (T-15), be it that of @from behind a prefix that is left out (TAG-7: Nexus). The caller frees *url.
 * ERR_REFUSED: it leads elsewhere. ERR_PROTOCOL: no URL.
 */
must_check bool links_page(const char *from, const char *target, char **url, struct error *err);

/**
 * Where an upload goes on that was told @location by @from (UPL-6, UPL-7): another scheme or port of the same host is a
 * proxy's mistake, and becomes @from's own; the query stays byte for byte. The caller frees *url.
 * One of @hosts ("HOST" or "HOST:PORT") may be sent to over https, or over http where @from is http (T-14, UPL-8).
 * ERR_REFUSED: another host; the text has the line to add. ERR_PROTOCOL: no URL.
 */
must_check bool links_upload(const char *from, const char *location, const char *const *hosts, size_t host_count,
	char **url, struct error *err);

/** The numbers of "bytes FIRST-LAST/TOTAL"; *total is -1 for '*' (BLB-5). False: not such a text. */
bool links_content_range(const char *text, int64_t *first, int64_t *last, int64_t *total);

#endif
