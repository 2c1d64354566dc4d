/*
 * Many repositories in one text: a prefix stands for all that is below it, and a template, a text with {repository} in
 * it once, says what each becomes. Pure functions.
 */
#ifndef DRAY_OCI_TEMPLATE_H
#define DRAY_OCI_TEMPLATE_H

#include <stdbool.h>

#define TEMPLATE_REPOSITORY "{repository}"

/** "team" covers "team/app", and neither "team" nor "teams/app"; "" covers all. */
bool prefix_covers(const char *prefix, const char *repository);

/** @template with @repository in its place. New memory. */
char *template_fill(const char *template, const char *repository);

/** The repository that @template makes @text from; new memory, or NULL: there is none. */
char *template_match(const char *template, const char *text);

/** May a repository below @prefix become, by @template, what one below @other_prefix becomes by @other? */
bool templates_may_meet(const char *prefix, const char *template, const char *other_prefix, const char *other);

#endif
