/*
 * What fuzz targets share. A target is one file, fuzz_NAME.c, with one LLVMFuzzerTestOneInput(): libFuzzer calls it
 * with what it invents, and corpus.c with every line of corpus/NAME.txt, as an ordinary test.
 */
#ifndef DRAY_TESTS_FUZZ_FUZZ_H
#define DRAY_TESTS_FUZZ_FUZZ_H

#include "base/memory.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The oracle: what must be so whatever the input is. */
#define must(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/** The input up to its first NUL, as text. New memory. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	return memory_text_of((const char *)data, strnlen((const char *)data, size));
}

/** Cut @text at its next '\n', and go behind it. NULL: there was nothing more. */
static inline char *fuzz_line(char **text)
{
	char *line = *text, *end = line ? strchr(line, '\n') : NULL;
	if (end)
		*end = '\0';
	*text = end ? end + 1 : NULL;
	return line;
}

#endif
