/*
 * A tree against the schema table: kinds, keys, types and ranges. What a scalar was read as is left in the tree, and
 * what is missing and has a fallback is put there, so that who comes after only looks up.
 */
#ifndef DRAY_CONFIG_CHECK_H
#define DRAY_CONFIG_CHECK_H

#include "config/schema.h"
#include "config/tree.h"

/** Note what is wrong in @problems, and mark the nodes. */
void check_tree(struct node *root, struct problems *problems);

#endif
