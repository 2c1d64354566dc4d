/*
 * What the tests of the store may see of it.
 */
#ifndef DRAY_STORE_INTERNAL_H
#define DRAY_STORE_INTERNAL_H

#include "store/database.h"
#include "store/store.h"

/** Borrowed; NULL without a file. */
struct database *store_database(struct store *store);

/** Operations that could not be recorded, so far. */
size_t store_unrecorded_count(const struct store *store);

#endif
