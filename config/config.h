/*
 * The configuration: one YAML file, read strictly into one const struct (DESIGN section 8). One table (schema.c) has
 * the keys, types, defaults, ranges and help; the reader and the reference page are made from it.
 */
#ifndef DRAY_CONFIG_CONFIG_H
#define DRAY_CONFIG_CONFIG_H

#include "base/error.h"
#include "oci/platform.h"
#include "oci/reference.h"

#include <stddef.h>

/* Where in the file, for errors found later. */
struct config_place {
	int line, column;
};

enum config_tls {
	CONFIG_TLS_DEFAULT, /* on, but for loopback hosts (REF-12) */
	CONFIG_TLS_ON,
	CONFIG_TLS_OFF,
	CONFIG_TLS_INSECURE,
};

struct config_registry {
	char *domain;
	enum config_tls tls;
	char *ca_file, *certificate_file, *key_file; /* or NULL; relative to the file's folder, made absolute */
	char *username, *password;                   /* or NULL */
	char **realms;                               /* "gitlab.com", "auth.internal:8443" */
	size_t realm_count;
	char **upload_hosts; /* likewise */
	size_t upload_host_count;
	int64_t blob_slots, metadata_slots; /* 0: the default */
	struct config_place place;
};

enum config_verify { CONFIG_VERIFY_LAYERS, CONFIG_VERIFY_DIGESTS };

/* Layers at URLs, which the source itself does not hold (BLB-14). */
enum config_foreign { CONFIG_FOREIGN_AUTO, CONFIG_FOREIGN_COPY, CONFIG_FOREIGN_SKIP };

/* What refers to an image. */
enum config_referrers { CONFIG_REFERRERS_LEFT, CONFIG_REFERRERS_COPIED, CONFIG_REFERRERS_ALWAYS };

enum config_conflict { CONFIG_CONFLICT_OVERWRITE, CONFIG_CONFLICT_KEEP, CONFIG_CONFLICT_FAIL };

/* A target as resolved for one repository: either a registry repository, or a layout. */
struct config_target {
	bool is_layout;
	char *domain; /* registry: "registry.internal:5000" */
	/* registry: "mirror/library/alpine"; layout: the name under which images stand in it; for a source that is a
	 * layout: the prefix of its own names, "" for none; for a pattern: with {repository} in it (oci/template.h) */
	char *repository;
	char *directory; /* layout: absolute path */
	bool bare_tags;  /* layout: names: tag */
	struct config_place place;
};

struct tag_filter; /* selection.h */

struct config_repository {
	bool is_layout;            /* a source of `oci:DIR` */
	bool is_pattern;           /* all repositories below the prefix @repository ("": all of the host) */
	char *domain, *repository; /* of a registry source, canonical */
	char *directory;           /* of a layout source */
	char *tag;                 /* or NULL: `source: repo:tag` takes that one alone */
	struct digest digest;      /* or empty: `source: repo@digest` */
	struct tag_filter *filter; /* NULL: every tag */
	struct config_target *targets;
	size_t target_count;
	struct platform *platforms;
	size_t platform_count; /* 0: all */
	enum config_verify verify;
	enum config_foreign foreign;
	enum config_referrers referrers;
	enum config_conflict on_conflict; /* a target's tag that somebody else has moved (T-82) */
	bool keeps_sparse;                /* an index stands without what its source lacks (IDX-5) */
	bool merge;
	struct config_place place;
};

struct config {
	char *path;                  /* of the file */
	char *state_file;            /* absolute, or NULL: none */
	char *staging_directory;     /* likewise */
	int64_t staging_limit_bytes; /* what may lie there */
	char *auth_file;             /* absolute, or NULL */
	/* T-24: a password stands in the file as it is, and not as a variable; and others may read the file */
	bool has_password, shows_password;
	struct config_registry *registries;
	size_t registry_count;
	struct config_repository *repositories;
	size_t repository_count;
	int64_t keep_runs;
	/* limits of one run */
	int64_t images_in_flight, manifest_mib;
	int64_t connect_timeout_ms, stall_timeout_ms, helper_timeout_ms;
};

/* All errors of a file at once: each is one "file:line:column: text" line. */
struct config_errors {
	char **lines;
	size_t count;
};

enum config_use {
	CONFIG_TO_MIRROR,    /* what its `repos` say */
	CONFIG_FOR_SETTINGS, /* of registries, and limits: it may have no `repos` */
};

/**
 * Read and check the file: syntax, schema, references, patterns, `${VAR}`s, files named, two entries on one target
 * (DESIGN 6). Blocks; contacts nothing. *config is the caller's (config_free()). On failure every error found is in
 * *errors, in the order of the file (config_errors_release()); ERR_NOT_FOUND when there is no such file, else
 * ERR_INVALID.
 */
must_check bool config_load(
	const char *path, enum config_use use, struct config **config, struct config_errors *errors, struct error *err);

/**
 * The `state` of the file alone, absolute; NULL: it has none. Who only looks back needs neither the variables that the
 * secrets of a run are in nor the files that the rest names; what is wrong there is not told. Errors as
 * config_load()'s. *state_file is new memory.
 */
must_check bool config_state_file(const char *path, char **state_file, struct config_errors *errors, struct error *err);

void config_free(struct config *config);
void config_errors_release(struct config_errors *errors);

/** The settings of @domain, up to case and `:443` (REF-11), or NULL. */
const struct config_registry *config_find_registry(const struct config *config, const char *domain);

/** The reference page (docs/configuration.md's table of keys) as Markdown, made from the schema table. New memory. */
char *config_reference_page(void);

#endif
