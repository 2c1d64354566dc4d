/*
 * Places on the command line: a registry reference, one with a star for all repositories below it, or
 * `oci:DIR[:NAME]`.
 */
#ifndef DRAY_CLI_PLACE_H
#define DRAY_CLI_PLACE_H

#include "oci/reference.h"
#include "sync/mirror/run.h"

struct place {
	bool is_layout;
	bool every_tag;        /* REPOSITORY:* */
	bool is_pattern;       /* all below a prefix, which stands as the repository of the reference */
	char *directory;       /* of a layout */
	char *name;            /* in a layout: what stands behind DIR:, or NULL */
	char *name_repository; /* and its two parts: "x:1" is "x" and "1"; "latest" or a digest is "" and itself */
	char *name_tag;
	struct reference reference; /* of a registry */
};

/** ERR_INVALID: says what is wrong, and names what this version does not support. */
must_check bool place_parse(const char *text, struct place *place, struct error *err);
void place_release(struct place *place);

/** Of a layout: by its whole path, as the state has it. ERR_IO: the working directory is gone. */
must_check bool place_make_absolute(struct place *place, struct error *err);

/** The endpoint to read it from, and the names it has there; borrowed from @place. Waits. */
must_check bool place_open_source(struct run *run, const struct place *place, struct endpoint **endpoint,
	const char **repository, const char **reference, struct error *err);

#endif
