/*
 * Memory: our own allocations do not fail; when the system has none left, the process ends in one place, with exit
 * code 6, which is as safe as a kill. Sizes that a peer chose are checked against base/limits.h before they get here.
 */
#ifndef DRAY_BASE_MEMORY_H
#define DRAY_BASE_MEMORY_H

#include <stddef.h>
#include <stdlib.h>

#define array_count(array) (sizeof(array) / sizeof((array)[0]))

/** Zeroed memory for @count items of @size bytes; never NULL. The caller frees it with free(). */
void *memory_new(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/** realloc() that cannot fail, and whose product cannot overflow. */
void *memory_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

/** A copy of @text, or NULL for NULL. The caller frees it. */
char *memory_text(const char *text);

/** A copy of @length bytes at @bytes with a NUL behind them. The caller frees it. */
char *memory_text_of(const void *bytes, size_t length) __attribute__((returns_nonnull));

/** printf() into new memory. The caller frees it. */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/**
 * What the libraries get that can be given an allocator: like ours it does not fail, since some of them report their
 * own failed allocation as a fault of what they read, or do not survive it (T-71).
 */
void *memory_for_library(size_t size) __attribute__((malloc, returns_nonnull));
void *memory_zeroed_for_library(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *memory_resized_for_library(void *old, size_t size);
char *memory_text_for_library(const char *text) __attribute__((returns_nonnull));

/**
 * Once, at the start: blocks from 128 KiB up get mappings of their own, whatever is freed. glibc would raise that limit
 * with the first chunk that is freed, and what is as large as a chunk would then lie about in the heap.
 */
void memory_keep_large_blocks_apart(void);

/** The one way out when there is no memory, thread or descriptor for what cannot do without. A signal's handler may. */
_Noreturn void memory_exhausted(void);

static inline void memory_free_pointer(void *slot)
{
	free(*(void **)slot);
}

/* A local that is freed when its scope ends: `auto_free char *name = ...`. */
#define auto_free __attribute__((cleanup(memory_free_pointer)))

#endif
