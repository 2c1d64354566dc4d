/*
 * Gates: a limit with a queue. What a job needs of several gates it takes in one step, and holds nothing while it
 * waits: so two jobs can never hold what the other lacks (DESIGN 5.9).
 *
 * First come, first served, except that a claim which cannot be met yet may be overtaken a bounded number of times by
 * later ones that can; then its share is kept for it, so that nothing starves.
 */
#ifndef DRAY_SCHEDULER_GATE_H
#define DRAY_SCHEDULER_GATE_H

#include "scheduler/task.h"

struct gate {
	size_t limit;
	size_t used;
	size_t kept; /* scratch of the queue walk: set aside for those in front */
};

struct gate_claim {
	struct gate *gate;
	size_t amount; /* not above the gate's limit; several claims on one gate add up */
};

#define GATE_CLAIMS_MAX 24

void gate_init(struct gate *gate, size_t limit);

/** Another limit from now on; what is taken above it stays taken. */
void gate_set_limit(struct gate *gate, size_t limit);

/** Take one place; waits for it. ERR_CANCELED: nothing is taken. */
must_check bool gate_enter(struct gate *gate, struct error *err);
void gate_leave(struct gate *gate);

/** Take all claims at once, or none: waits until that can be. At most GATE_CLAIMS_MAX. ERR_CANCELED. */
must_check bool gate_enter_all(const struct gate_claim *claims, size_t count, struct error *err);

/** As gate_enter_all(), at most until loop_now_ms() reaches @deadline_ms (negative: for ever). ERR_TIMEOUT. */
must_check bool gate_enter_all_until(
	const struct gate_claim *claims, size_t count, int64_t deadline_ms, struct error *err);

/** Is every place taken? */
static inline bool gate_is_full(const struct gate *gate)
{
	return gate->used >= gate->limit;
}

void gate_leave_all(const struct gate_claim *claims, size_t count);

#endif
