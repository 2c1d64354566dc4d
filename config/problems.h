/*
 * What is wrong with a file, collected so that one reading tells all of it (T-75).
 */
#ifndef DRAY_CONFIG_PROBLEMS_H
#define DRAY_CONFIG_PROBLEMS_H

#include "config/config.h"

struct problem {
	struct config_place place; /* line 0: the file as a whole */
	char *text;
};

struct problems {
	struct problem *items;
	size_t count;
	size_t untold; /* more than are kept */
};

/** Note a problem, unless the same text stands at the same place already (an alias shows its content many times). */
void problems_add(struct problems *problems, struct config_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Turn them into `path:line:column: text` lines in the order of the file, fit for a terminal (T-73). */
void problems_tell(struct problems *problems, const char *path, struct config_errors *errors);

void problems_release(struct problems *problems);

#endif
