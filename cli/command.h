/*
 * Commands: one table row each (commands.c) with its options; parsing, --help and the man page text come from it.
 */
#ifndef DRAY_CLI_COMMAND_H
#define DRAY_CLI_COMMAND_H

#include "base/error.h"
#include "config/config.h"
#include "sync/mirror/report.h"

#include <stddef.h>
#include <stdio.h>

enum option_id {
	OPTION_HELP,
	OPTION_ALL_TAGS,
	OPTION_ALLOW_MISSING,
	OPTION_CONFIG,
	OPTION_DEEP,
	OPTION_DRY_RUN,
	OPTION_FOREIGN,
	OPTION_GRACE,
	OPTION_JSON,
	OPTION_OLDER_THAN,
	OPTION_PLATFORM,
	OPTION_QUIET,
	OPTION_REFERRERS,
	OPTION_REPAIR,
	OPTION_VERBOSE,
	OPTION_VERIFY,
	OPTION_COUNT,
};

enum { OPTION_VALUES_MAX = 16, OPERANDS_MAX = 64 };

/* What the command line said. All texts are borrowed from argv. */
struct arguments {
	const char *operands[OPERANDS_MAX];
	size_t operand_count;
	bool given[OPTION_COUNT];
	const char *values[OPTION_COUNT][OPTION_VALUES_MAX]; /* of options that take one */
	size_t value_counts[OPTION_COUNT];
};

struct command {
	const char *name;     /* "config check": two words */
	const char *operands; /* for the synopsis */
	size_t least, most;   /* operands */
	const char *summary;
	const char *description;
	const char *examples;
	const enum option_id *options; /* ends with OPTION_COUNT */
	const char *exits;             /* "0|2|6": the exit codes that it may end with */
	int (*run)(const struct arguments *arguments);
};

extern const struct command commands[];
extern const size_t command_count;

/** The command that argv[1] (and argv[2]) name, or NULL; *used counts the words. */
const struct command *command_find(int argc, char **argv, int *used);

/** One of those whose first of two words is @word, or NULL. */
const struct command *command_begun_by(const char *word);

/** Parse what stands behind the command's name. ERR_INVALID. */
must_check bool command_parse(
	const struct command *command, int argc, char **argv, struct arguments *arguments, struct error *err);

void command_print_help(const struct command *command);
void command_print_overview(FILE *out);
/** All of it as the text of a manual page, in roff. */
void command_print_manual(void);

/** The last value of an option, or NULL. */
const char *argument_of(const struct arguments *arguments, enum option_id option);

/** Of an option that takes one of some words: the how-manieth it is, from 0 on; 0 also if it was not given. */
int argument_choice(const struct arguments *arguments, enum option_id option);

int command_sync(const struct arguments *arguments);
int command_copy(const struct arguments *arguments);
int command_tags(const struct arguments *arguments);
int command_inspect(const struct arguments *arguments);
int command_delete(const struct arguments *arguments);
int command_status(const struct arguments *arguments);
int command_explain(const struct arguments *arguments);
int command_retry(const struct arguments *arguments);
int command_verify(const struct arguments *arguments);
int command_gc(const struct arguments *arguments);
int command_config_check(const struct arguments *arguments);

/* --- what the commands share (common.c) ------------------------------------------------------------------------------
 */

/**
 * Read the configuration that --config names, for its registries and limits; without the option *config is NULL.
 * False: every error has been printed.
 */
must_check bool common_config(const struct arguments *arguments, struct config **config);

/** Print what config_load() found, a line each, and release it. */
void common_tell_errors(struct config_errors *errors, const struct error *err);

/** Read the configuration at @path. False: every error has been printed. */
must_check bool common_load(const char *path, enum config_use use, struct config **config);

/** Print "error: TEXT" and give the exit code of that error. */
int common_fail(enum side side, const struct error *err);

#endif
