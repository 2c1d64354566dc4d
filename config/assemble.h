/*
 * A checked tree to a struct config: what the schema cannot say (references, patterns, files, settings inherited from
 * `defaults`), and what two entries say together (conflicts.c).
 */
#ifndef DRAY_CONFIG_ASSEMBLE_H
#define DRAY_CONFIG_ASSEMBLE_H

#include "config/tree.h"

/** Fill @config from @root; relative paths are seen from the absolute @folder. Whatever is wrong goes to @problems. */
void assemble_config(struct node *root, const char *folder, struct config *config, struct problems *problems);

/** Two entries on one target (DESIGN 6). */
void conflicts_find(const struct config *config, struct problems *problems);

/** Free what is in them, and leave zero. */
void config_target_release(struct config_target *target);

/** Are they one host, up to case and the port 443 (REF-11)? */
bool config_same_host(const char *a, const char *b);

#endif
