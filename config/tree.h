/*
 * The YAML file as a tree of nodes that know their places. Everything that YAML may mean beside mappings, lists and
 * text is refused here (T-74): tags, merge keys, duplicate keys, a second document. A scalar is text; the schema types
 * it.
 */
#ifndef DRAY_CONFIG_TREE_H
#define DRAY_CONFIG_TREE_H

#include "config/problems.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	struct config_place place;
	bool bad; /* a problem was noted: whoever meets it passes over it */

	char *key; /* in a mapping, or NULL */
	struct config_place key_place;

	char *text;     /* of a scalar, variables replaced */
	bool is_plain;  /* without quotes */
	bool is_masked; /* came from a variable: not to be shown in messages */
	int64_t number; /* what the schema made of the text: number, milliseconds, index of the choice */

	struct node **children;
	size_t child_count;
};

/**
 * Read one document of @length bytes, behind which stands a NUL. Problems go to @problems. NULL where reading could not
 * go on: no YAML, or beyond a limit.
 */
struct node *tree_read(const char *bytes, size_t length, struct problems *problems);

/** A node of @kind at @place; the caller's until it is appended. */
struct node *node_new(enum node_kind kind, struct config_place place);
void node_append(struct node *parent, struct node *child);

/** Free it and what is below. NULL is fine. */
void node_free(struct node *node);

/** The value of @key in a mapping, or NULL. Borrowed. */
struct node *node_get(const struct node *map, const char *key);

/** Its text, or NULL where it is missing or bad. Borrowed. */
const char *node_text(const struct node *map, const char *key);

/** Of libyaml, such as "0.2.5". */
const char *tree_library_version(void);

#endif
