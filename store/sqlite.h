/*
 * The SQLite file as the two files that use it share it: sqlite_open.c and sqlite.c.
 */
#ifndef DRAY_STORE_SQLITE_H
#define DRAY_STORE_SQLITE_H

#include "store/database.h"
#include "store/lock.h"
#include "store/operation.h"

#include <sqlite3.h>

enum { PRIMARY_CODE = 0xff };

struct database {
	char *path;
	struct state_lock lock;
	sqlite3 *connection;
	sqlite3_stmt *statements[OPERATION_KIND_COUNT];
	struct error last_error;
	size_t commit_count;
	int64_t run_id; /* begun last; 0: none */
	bool is_open, is_damaged;
};

/** Does @code, of a call that failed, say that the file itself is wrong? */
bool sqlite_is_damage(int code);

/** Make the statement of every kind of operation. SQLITE_OK, or why one does not fit the file. */
int sqlite_prepare(struct database *database);

/** Finalize the statements and close the connection, not the lock; harmless without either. */
void sqlite_disconnect(struct database *database);

#endif
