#ifndef DRAY_CLI_REPORT_JSON_H
#define DRAY_CLI_REPORT_JSON_H

#include "store/history.h"
#include "sync/mirror/report.h"

/** Print @report as one JSON object and a newline on stdout. docs/commands.md describes it. */
void report_print_json(const struct report *report, int exit_code);

/** The same of a run that a state file remembers: what is left of it. */
void report_print_history(const struct history *history);

/** What `explain --json` prints. */
void report_print_explanation(const char *reference, const struct history *history);

#endif
