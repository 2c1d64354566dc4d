#include "scheduler/gate.h"

#include "scheduler/internal.h"

#include <assert.h>

/* How often a claim that cannot be met yet is passed by later ones before its share is kept for it. */
enum { OVERTAKEN_MOST = 64 };

struct gate_waiter {
	struct list node;
	struct waitqueue parked; /* the one task */
	const struct gate_claim *claims;
	size_t count;
	unsigned overtaken;
	bool granted;
};

void gate_init(struct gate *gate, size_t limit)
{
	*gate = (struct gate){.limit = limit > 0 ? limit : 1};
}

static void give_back(const struct gate_claim *claims, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert(claims[i].gate->used >= claims[i].amount);
		claims[i].gate->used -= claims[i].amount;
	}
}

/* All or nothing; claim by claim, so that several claims on one gate add up. */
static bool try_take(const struct gate_claim *claims, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct gate *gate = claims[i].gate;
		if (gate->used + gate->kept + claims[i].amount > gate->limit) {
			give_back(claims, i);
			return false;
		}
		gate->used += claims[i].amount;
	}
	return true;
}

static void keep_share(const struct gate_waiter *waiter, bool keep)
{
	for (size_t i = 0; i < waiter->count; i++)
		waiter->claims[i].gate->kept = keep ? waiter->claims[i].gate->kept + waiter->claims[i].amount : 0;
}

/*
 * Walk the queue once, from the front, and let in whoever can be. Only the first of those passed too often has its
 * share kept: many that wait for one slow host would else set aside all that the others need, and stop them too.
 */
static void grant(struct loop *loop)
{
	const struct gate_waiter *kept_for = NULL;
	unsigned waiting_in_front = 0;
	list_for_each_safe (node, &loop->gate_waiters) {
		struct gate_waiter *waiter = list_item(node, struct gate_waiter, node);
		if (!try_take(waiter->claims, waiter->count)) {
			waiting_in_front++;
			if (waiter->overtaken >= OVERTAKEN_MOST && !kept_for) {
				kept_for = waiter;
				keep_share(waiter, true);
			}
			continue;
		}
		waiter->granted = true;
		list_remove(&waiter->node);
		waitqueue_wake_one(&waiter->parked);
		if (waiting_in_front > 0)
			for (struct list *front = loop->gate_waiters.next; front != node_next; front = front->next)
				list_item(front, struct gate_waiter, node)->overtaken++;
	}
	if (kept_for)
		keep_share(kept_for, false);
}

bool gate_enter_all(const struct gate_claim *claims, size_t count, struct error *err)
{
	return gate_enter_all_until(claims, count, -1, err);
}

bool gate_enter_all_until(const struct gate_claim *claims, size_t count, int64_t deadline_ms, struct error *err)
{
	struct loop *loop = loop_current();
	assert(count <= GATE_CLAIMS_MAX);
	if (task_is_canceled())
		return error_set(err, ERR_CANCELED, "stopped");
	if (list_is_empty(&loop->gate_waiters) && try_take(claims, count))
		return true;
	struct gate_waiter waiter = {.claims = claims, .count = count};
	waitqueue_init(&waiter.parked);
	list_append(&loop->gate_waiters, &waiter.node);
	grant(loop);
	if (waiter.granted || waitqueue_wait_until(&waiter.parked, deadline_ms, err))
		return true;
	if (waiter.granted) /* let in, and cancelled or too late before it ran */
		return true;
	list_remove(&waiter.node);
	grant(loop); /* its share may have been kept */
	return false;
}

void gate_set_limit(struct gate *gate, size_t limit)
{
	bool wider = limit > gate->limit;
	gate->limit = limit > 0 ? limit : 1;
	if (wider && !list_is_empty(&loop_current()->gate_waiters))
		grant(loop_current());
}

void gate_leave_all(const struct gate_claim *claims, size_t count)
{
	give_back(claims, count);
	if (!list_is_empty(&loop_current()->gate_waiters))
		grant(loop_current());
}

bool gate_enter(struct gate *gate, struct error *err)
{
	return gate_enter_all(&(struct gate_claim){gate, 1}, 1, err);
}

void gate_leave(struct gate *gate)
{
	gate_leave_all(&(struct gate_claim){gate, 1}, 1);
}
