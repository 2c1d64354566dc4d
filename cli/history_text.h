/*
 * What status, explain and retry share.
 */
#ifndef DRAY_CLI_HISTORY_TEXT_H
#define DRAY_CLI_HISTORY_TEXT_H

#include "base/memory.h"
#include "cli/command.h"
#include "store/history.h"

/** RUN on the command line; 0: none, the last is meant. False: what is wrong has been printed. */
must_check bool history_run_number(const struct arguments *arguments, int64_t *id);

/** The configuration of --config, or the usual one, which has a state. False: what is wrong has been printed. */
must_check bool history_config(const struct arguments *arguments, struct config **config);

/** The state file of --config, or of the usual configuration. New memory; NULL: what is wrong has been printed. */
char *history_state_file(const struct arguments *arguments);

/** Print it; EXIT_USAGE where what was asked for is not there, else EXIT_LOCAL. */
int history_fail(const struct error *err);

/** "blob, unavailable: GET https://...: 503", and a line end. */
void history_print_failure(const struct history_job *job);

#endif
