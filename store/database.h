/*
 * The seam between the queue and what keeps its operations: sqlite.c and sqlite_open.c. Everything here blocks: call it
 * on a worker, one call at a time.
 */
#ifndef DRAY_STORE_DATABASE_H
#define DRAY_STORE_DATABASE_H

#include "base/error.h"
#include "base/list.h"

#include <stddef.h>

struct database;

/** See store_open(). */
must_check bool database_open(const char *path, struct database **database, char **moved_to, struct error *err);

/** Close and unlock. */
void database_close(struct database *database);

/**
 * Run the operations of @batch in order, as one transaction: when this returns, each either is on the disk or has
 * failed set. If the transaction fails, all that write have failed; those that only read are answered without it.
 */
void database_run(struct database *database, struct list *batch);

/** What the last failure was; borrowed. */
const struct error *database_last_error(const struct database *database);

/** How long to wait for a reader that holds the file. Default: 30 s (T-62). */
void database_set_patience(struct database *database, int milliseconds);

/** Transactions that wrote, so far. */
size_t database_commit_count(const struct database *database);

#endif
