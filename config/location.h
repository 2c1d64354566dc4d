/*
 * Where images come from and go to, as written in the file: texts to values. Pure functions; no file is touched.
 */
#ifndef DRAY_CONFIG_LOCATION_H
#define DRAY_CONFIG_LOCATION_H

#include "config/config.h"

/**
 * @path as seen from the absolute @folder, without `.` and double slashes, so that two spellings of one directory are
 * equal. `..` stays: only the file system knows where it leads. New memory.
 */
char *location_path(const char *folder, const char *path);

/**
 * Fill the source of @repository: a reference, a prefix with a star, or oci:DIR. ERR_INVALID, or ERR_UNSUPPORTED for
 * kinds of sources to come.
 */
must_check bool location_source(
	const char *text, const char *folder, struct config_repository *repository, struct error *err);

/** Free what is in it, and leave zero. */
void config_repository_release(struct config_repository *repository);

enum location_use {
	LOCATION_PREFIX, /* of `defaults`: the source's path is put behind it, unless it has placeholders */
	LOCATION_EXACT,  /* of an entry: the very repository; a prefix where the source is a layout */
};

/** Fill @target for images of @source. Errors as location_source(); nothing is filled then. */
must_check bool location_target(const char *text, enum location_use use, const char *folder,
	const struct config_repository *source, struct config_target *target, struct error *err);

/** The canonical domain of a registry host ("docker.io" for "index.docker.io"), new memory. ERR_INVALID. */
must_check bool location_host(const char *text, char **domain, struct error *err);

/** "docker.io/library/alpine:3.20", "oci:/srv/air-gap": for messages. New memory. */
char *location_source_name(const struct config_repository *repository);

/** "registry.internal/mirror/alpine", "oci:/srv/air-gap:docker.io/library/alpine". New memory. */
char *location_target_name(const struct config_target *target);

#endif
