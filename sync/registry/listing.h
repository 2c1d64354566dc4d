/*
 * Listings page by page: tags of a repository, repositories of a registry. One machine, two documents (tags.c,
 * catalog.c).
 */
#ifndef DRAY_SYNC_REGISTRY_LISTING_H
#define DRAY_SYNC_REGISTRY_LISTING_H

#include "sync/registry/internal.h"

/* What is listed, and what its pages look like. */
struct listing_kind {
	enum http_kind request;
	const char *key;                   /* the page is {key: [text, ...]} */
	bool (*is_name)(const char *name); /* else it is skipped (TAG-2) */
};

/**
 * A listing of @kind that begins at @path (taken), with @scope (taken) for its token. @repository, or "", is
 * borrowed until listing_free(). Sends nothing.
 */
struct listing *listing_new(
	struct registry *registry, const struct listing_kind *kind, const char *repository, char *path, char *scope);

#endif
