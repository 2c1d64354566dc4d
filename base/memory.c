#include "base/memory.h"

#include "base/limits.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Noreturn void memory_exhausted(void)
{
	static const char line[] = "dray: out of memory, threads or open files; nothing half done is visible, run "
				   "again with less in flight\n";
	if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
		_exit(6);
	_exit(6);
}

void memory_keep_large_blocks_apart(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, 128 * KIB);
	mallopt(M_TRIM_THRESHOLD, 2 * MIB); /* the heap breathes with every image */
#endif
}

void *memory_new(size_t count, size_t size)
{
	void *fresh = calloc(count ? count : 1, size ? size : 1);
	if (!fresh)
		memory_exhausted();
	return fresh;
}

void *memory_resize(void *old, size_t count, size_t size)
{
	void *moved = reallocarray(old, count ? count : 1, size ? size : 1);
	if (!moved)
		memory_exhausted();
	return moved;
}

void *memory_for_library(size_t size)
{
	void *fresh = malloc(size ? size : 1);
	if (!fresh)
		memory_exhausted();
	return fresh;
}

void *memory_zeroed_for_library(size_t count, size_t size)
{
	return memory_new(count, size);
}

void *memory_resized_for_library(void *old, size_t size)
{
	void *moved = realloc(old, size);
	if (!moved && size > 0)
		memory_exhausted();
	return moved;
}

char *memory_text_for_library(const char *text)
{
	return memory_text_of(text, strlen(text));
}

char *memory_text(const char *text)
{
	return text ? memory_text_of(text, strlen(text)) : NULL;
}

char *memory_text_of(const void *bytes, size_t length)
{
	char *copy = memory_new(length + 1, 1);
	if (length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

char *memory_format(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		memory_exhausted();
	return text;
}
