/*
 * Verification: a stage that a blob's bytes pass through. It hashes what is stored and, for a layer, inflates it and
 * hashes what comes out: the diff_id, a fact about the digest.
 *
 * No waiting, no files, no sockets: bytes in, verdict out, bounded memory. The caller feeds it in order, from a worker.
 * ISA-L inflates; a gzip error of its is judged by zlib before content is called undecodable (T-42).
 */
#ifndef DRAY_SYNC_VERIFY_VERIFY_H
#define DRAY_SYNC_VERIFY_VERIFY_H

#include "oci/descriptor.h"
#include "oci/mediatype.h"

struct verifier;

/** For @blob (digest and size are what is proven). @want_diff_id false: hash only (`verify: digests`). */
struct verifier *verifier_new(const struct descriptor *blob, bool want_diff_id);
void verifier_free(struct verifier *verifier);

/**
 * The next bytes, for both halves: what is stored is hashed, what is in it is inflated and hashed. The halves may be at
 * work at the same time, on two threads; each wants all bytes, in order. What is beyond the blob's size is counted, and
 * nothing else. Inflating returns how many bytes it took: all, unless it wants room.
 */
void verifier_hash(struct verifier *verifier, const void *bytes, size_t length);
size_t verifier_inflate(struct verifier *verifier, const void *bytes, size_t length);

/** Known from the first bytes on: has the second half anything to do? */
bool verifier_has_halves(const struct verifier *verifier);

/**
 * T-43: a decoder takes up to 128 MiB. After verifier_ask_for_room() it takes 8 MiB, and where that is too little it
 * wants room, and takes no more bytes until it is given it; what it has not taken then is to be given again.
 */
void verifier_ask_for_room(struct verifier *verifier);
bool verifier_wants_room(const struct verifier *verifier);
void verifier_give_room(struct verifier *verifier);

/** After the last byte: ERR_CORRUPT unless size and digest agree; ERR_UNSUPPORTED: an unknown algorithm. */
must_check bool verifier_check(struct verifier *verifier, struct error *err);

enum diff_id_state {
	DIFF_ID_NONE, /* not a layer, encrypted, or not wanted */
	DIFF_ID_PROVEN,
	DIFF_ID_BROKEN, /* the digest is right and the content cannot be decoded */
};

/**
 * After verifier_check() succeeded: what was learnt. *diff_id is filled for DIFF_ID_PROVEN; @err (may be NULL) says
 * why for DIFF_ID_BROKEN (ERR_CORRUPT, or ERR_TOO_LARGE for a bomb, T-43).
 */
enum diff_id_state verifier_diff_id(struct verifier *verifier, struct digest *diff_id, struct error *err);

/**
 * How the bytes were decoded, by their own magic; DECODER_IMPOSSIBLE where the state is DIFF_ID_NONE. Where
 * media_decoder() of the blob's type says something else, that is worth a warning (LYR-3).
 */
enum decoder verifier_decoder(const struct verifier *verifier);

/** The versions of ISA-L, zlib and zstd, into @out, which is returned. */
const char *verifier_library_versions(char out[128]);

#endif
