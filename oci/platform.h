/*
 * Platforms: `os/architecture[/variant]`, as in an index entry and on the command line.
 */
#ifndef DRAY_OCI_PLATFORM_H
#define DRAY_OCI_PLATFORM_H

#include "base/json.h"

struct platform {
	char os[32];
	char architecture[32];
	char variant[32]; /* "": any, in a wish; none, in a document */
};

/** "linux/arm64/v8". ERR_INVALID. */
must_check bool platform_parse(const char *text, struct platform *platform, struct error *err);

/** Decode what a document says, of an image config or of the platform of an index entry. ERR_CORRUPT: no text. */
must_check bool platform_read(const json_t *object, struct platform *platform, struct error *err);

/** Does the platform of an index entry satisfy the wish? arm64 and arm64/v8 are the same, and unknown is nobody's. */
bool platform_matches(const struct platform *wish, const struct platform *entry);

/** Into @out (at least 100 bytes); "" for an empty platform. */
const char *platform_format(const struct platform *platform, char out[100]);

/** Is os or architecture "unknown"? Then the entry is no image (IDX-7). */
bool platform_is_unknown(const struct platform *platform);

static inline bool platform_is_empty(const struct platform *platform)
{
	return platform->os[0] == '\0' && platform->architecture[0] == '\0';
}

#endif
