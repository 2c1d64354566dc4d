/*
 * How fast one host may be asked: pure decisions of (state, event, now), tested without a loop (ERR-4, ERR-10, T-6,
 * T-7).
 *
 *     open --refused--> paused until a deadline --> one goes first --answered--> open, half as wide
 *                         ^                              |
 *                         +---------- refused -----------+   too often in a row, or a pause too long to wait: closed
 *
 * Everybody who asks the host shares one pace, so that a limit that one request met is not met by a hundred others.
 */
#ifndef DRAY_SCHEDULER_PACE_H
#define DRAY_SCHEDULER_PACE_H

#include "scheduler/retry.h"

#include <stddef.h>

struct pace {
	size_t full, width;    /* requests at a time: as configured, and now */
	int64_t not_before_ms; /* of the loop's clock: nobody asks before it */
	int64_t narrowed_ms;   /* when it was narrowed last: one decrease per congestion */
	int refused_in_a_row;  /* without an answer in between */
	bool first_is_out;     /* behind a pause: the others wait for what comes of it */
	bool closed;           /* not_before_ms is too far away to be waited for */
	size_t answered;       /* since it was widened last */
	uint64_t answers;      /* in all */
	int retries_left;
	int64_t trouble; /* share of failures lately, in thousandths */
};

enum pace_advice {
	PACE_GO,
	PACE_GO_FIRST,       /* and tell pace_refused() or pace_first_ended() what came of it */
	PACE_WAIT_UNTIL,     /* not_before_ms */
	PACE_WAIT_FOR_FIRST, /* until the state changes */
	PACE_CLOSED,         /* fail: the host wants to be left alone until not_before_ms */
};

void pace_init(struct pace *pace, size_t width);

/** What a request that is ready to go out at @now_ms shall do. */
enum pace_advice pace_ask(struct pace *pace, int64_t now_ms);

/** When the pause ends that is being waited for at @now_ms; 0: there is none, or it is too long to be waited for. */
int64_t pace_pause_ends_ms(const struct pace *pace, int64_t now_ms);

/** The host answered a request, whatever it said, but for a limit. */
void pace_answered(struct pace *pace);

/**
 * A limit (429): to a request sent at @sent_ms. @err->retry_after_ms is what the host asked for, or 0; @random is any
 * number (jitter).
 */
void pace_refused(struct pace *pace, int64_t sent_ms, int64_t now_ms, const struct error *err, uint64_t random);

/** Trouble: no answer, or 5xx, to a request sent at @sent_ms. Much of it narrows, as a limit does. */
void pace_failed(struct pace *pace, int64_t sent_ms, int64_t now_ms);

/** The one that went first is back, with whatever. */
void pace_first_ended(struct pace *pace);

/**
 * May one more retry be spent on this host, for a request that has failed @attempts times? @answers_before is
 * pace->answers when it began: a host that answers others meanwhile, but fails often, is worth more attempts.
 */
bool pace_may_retry(struct pace *pace, const struct error *err, int attempts, uint64_t answers_before);

/**
 * The same, with the wait before the next attempt. A limit is waited for where the host is asked next, unless it asked
 * for more than we wait. False, with @err as it was: give up (or cancelled: ERR_CANCELED).
 */
must_check bool pace_retry_pause(struct pace *pace, int attempts, uint64_t answers_before, struct error *err);

/** The policy that goes with it: as retry_default, with the attempts that pace_may_retry() grants. */
extern const struct retry_policy pace_policy;

#endif
