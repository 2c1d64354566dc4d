/*
 * The one table of keys. What may stand in the file, what is there when nothing is said, and what it means: the checker
 * (check.h) and the reference page (config_reference_page()) are made from it.
 */
#ifndef DRAY_CONFIG_SCHEMA_H
#define DRAY_CONFIG_SCHEMA_H

#include "config/tree.h"

enum schema_form {
	SCHEMA_TEXT,
	SCHEMA_CHOICE,
	SCHEMA_NUMBER,
	SCHEMA_DURATION,
	SCHEMA_LIST,
	SCHEMA_MAP,
	SCHEMA_HOSTS, /* a mapping whose keys are registry hosts */
	SCHEMA_LATER, /* a key whose feature is not built yet: refused, and never suggested */
};

struct schema_key;

struct schema {
	enum schema_form form;
	const char *what;              /* text: "a path" */
	const char *const *choices;    /* choice: its words; NULL ends */
	int64_t minimum, maximum;      /* number; duration in ms */
	const struct schema_key *keys; /* map: one without a name ends */
	const struct schema *item;     /* list, hosts: of each */
	const struct schema *scalar;   /* map: what else may stand there, or NULL */
};

struct schema_key {
	const char *name;
	const struct schema *value;
	bool required;
	const char *fallback; /* read as if it stood in the file; "{}" for a map whose own keys have fallbacks */
	const char *absent;   /* in words, for the page, where there is no fallback */
	const char *help;
};

/* The file as a whole. */
extern const struct schema schema_file;

/** "a whole number from 1 to 64", "one of on, off or a mapping": for messages and the page. New memory. */
char *schema_wants(const struct schema *schema);

/* In the order of the choices in the table. */
enum { SCHEMA_FALSE, SCHEMA_TRUE };
enum { SCHEMA_NAMES_FULL, SCHEMA_NAMES_TAG };

#endif
