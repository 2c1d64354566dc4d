/*
 * Hash tables: uthash, with FNV-1a as its function. uthash's own one falls through its switch on purpose, which is an
 * error in this house.
 */
#ifndef DRAY_BASE_HASH_H
#define DRAY_BASE_HASH_H

#include "base/memory.h"

#include <stddef.h>

static inline unsigned hash_bytes(const void *bytes, size_t length)
{
	const unsigned char *p = bytes;
	unsigned hash = 2166136261U;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ p[i]) * 16777619U;
	return hash;
}

#define HASH_FUNCTION(key, length, hash) ((hash) = hash_bytes((key), (length)))

#define uthash_fatal(text) memory_exhausted()

#include <uthash.h>

#endif
