/*
 * Latches: many wait for one result. Once open, a latch stays open.
 */
#ifndef DRAY_SCHEDULER_LATCH_H
#define DRAY_SCHEDULER_LATCH_H

#include "scheduler/task.h"

struct latch {
	bool open;
	struct waitqueue waiting;
};

void latch_init(struct latch *latch);

/** Wait until it is open. ERR_CANCELED. */
must_check bool latch_wait(struct latch *latch, struct error *err);

/** Open it, and wake all. */
void latch_open(struct latch *latch);

#endif
