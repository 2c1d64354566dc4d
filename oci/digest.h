/*
 * Digests: `algorithm:encoded` (image-spec descriptor.md, REF-6). There is one parser, and paths and URLs are built
 * only from what it accepted (T-37).
 */
#ifndef DRAY_OCI_DIGEST_H
#define DRAY_OCI_DIGEST_H

#include "base/error.h"

#include <stddef.h>

#define DIGEST_TEXT_MAX 160

enum digest_algorithm {
	DIGEST_NONE, /* an empty struct digest */
	DIGEST_SHA256,
	DIGEST_SHA512,
	DIGEST_UNKNOWN, /* fits the grammar; can be carried in a document, never verified */
};

struct digest {
	enum digest_algorithm algorithm;
	char text[DIGEST_TEXT_MAX + 1]; /* "sha256:..." */
};

/** Once, before anything of OpenSSL is used: it gets memory that does not fail, since it does not survive less (T-71).
 */
void digest_set_up_library(void);

/** Parse NUL-ended @text. ERR_INVALID: outside the grammar, or upper-case or wrong-length hex of a known algorithm. */
must_check bool digest_parse(const char *text, struct digest *digest, struct error *err);

bool digest_equal(const struct digest *a, const struct digest *b);

static inline bool digest_is_empty(const struct digest *digest)
{
	return digest->algorithm == DIGEST_NONE;
}

/** Can we compute it? */
bool digest_is_verifiable(const struct digest *digest);

/** Is @text a digest that we can compute? A name such as "redis:7" fits the grammar of digests, and is none. */
bool digest_is_text(const char *text);

/** "sha256" into @out (at least 32 bytes), and the part behind the colon. */
const char *digest_algorithm_name(const struct digest *digest, char out[32]);
const char *digest_encoded(const struct digest *digest);

/** "sha256:0123456789ab" for humans, into @out (at least 24 bytes). */
const char *digest_short(const struct digest *digest, char out[24]);

/** The digest of @length bytes; @algorithm is DIGEST_SHA256 or DIGEST_SHA512. */
struct digest digest_of(enum digest_algorithm algorithm, const void *bytes, size_t length);

/** ERR_CORRUPT unless the bytes hash to @expected; ERR_UNSUPPORTED when it cannot be computed. */
must_check bool digest_check(const struct digest *expected, const void *bytes, size_t length, struct error *err);

/** A running hash. */
struct hasher;
struct hasher *hasher_new(enum digest_algorithm algorithm);
void hasher_update(struct hasher *hasher, const void *bytes, size_t length);
/** The digest of all updates; the hasher is good for nothing but hasher_free() afterwards. */
struct digest hasher_finish(struct hasher *hasher);
void hasher_free(struct hasher *hasher);

#endif
