/*
 * A quota of requests in a window, as a host tells it beside its answers: pure decisions of (state, event, now),
 * tested without a loop (ERR-11).
 *
 * It is planned before it is spent: who begins something that costs requests says how many, and begins only if they
 * are left beside what the others in flight have planned. So what is begun can be finished, and what cannot is not
 * begun.
 */
#ifndef DRAY_SCHEDULER_QUOTA_H
#define DRAY_SCHEDULER_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct quota {
	bool is_known;     /* false: none was told, all is free */
	int64_t all, left; /* as told; @all 0: not told */
	int64_t window_ms; /* 0: not told */
	int64_t since_ms;  /* of the loop's clock: when this window was first seen */
	int64_t planned;   /* by what is in flight, spent or not */
};

/** An answer told that @left of @all are left, in a window of @window_ms. Answers may come in another order. */
void quota_told(struct quota *quota, int64_t left, int64_t all, int64_t window_ms, int64_t now_ms);

enum quota_advice {
	QUOTA_GO,
	QUOTA_WAIT,    /* until something in flight ends: it may not need what it planned */
	QUOTA_USED_UP, /* nothing in flight gives any back: not before quota_ends_ms() */
};

/** May something begin that costs @cost requests? */
enum quota_advice quota_ask(const struct quota *quota, int64_t cost, int64_t now_ms);

/** When the window ends at the latest. */
int64_t quota_ends_ms(const struct quota *quota);

#endif
