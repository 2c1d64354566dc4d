/*
 * What status and explain share.
 */
#ifndef DRAY_CLI_HISTORY_TEXT_H
#define DRAY_CLI_HISTORY_TEXT_H

#include "base/memory.h"
#include "cli/command.h"
#include "store/history.h"

/** The state file of --config, or of the usual configuration. New memory; NULL: what is wrong has been printed. */
char *history_state_file(const struct arguments *arguments);

/** Print it; EXIT_USAGE where what was asked for is not there, else EXIT_LOCAL. */
int history_fail(const struct error *err);

/** "blob, unavailable: GET https://...: 503", and a line end. */
void history_print_failure(const struct history_job *job);

#endif
