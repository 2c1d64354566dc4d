/*
 * Base64 (RFC 4648, section 4), as credentials and documents carry it.
 */
#ifndef DRAY_BASE_BASE64_H
#define DRAY_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/** How many bytes base64_decode() may write for @length characters. */
static inline size_t base64_decoded_most(size_t length)
{
	return length / 4 * 3 + 3;
}

/**
 * Decode @length characters into @out, with or without padding; *decoded is how many bytes that made. False: not
 * base64; what is in @out then means nothing.
 */
bool base64_decode(const char *base64, size_t length, unsigned char *out, size_t *decoded);

#endif
