/*
 * Turns: a request goes out with a place in the gate, and when the pace of its host says so. Whoever has to wait gives
 * the place back first, and asks again: what queues at the gate when a limit is met goes out after it, not before.
 */
#include "sync/registry/internal.h"

#include "scheduler/loop.h"

#include <time.h>

const char *registry_time_in(int64_t left_ms, char text[32])
{
	time_t until = time(NULL) + (time_t)(left_ms / 1000);
	struct tm broken_down;
	gmtime_r(&until, &broken_down);
	strftime(text, 32, "%Y-%m-%d %H:%M:%SZ", &broken_down);
	return text;
}

static bool closed(const struct registry *registry, struct error *err)
{
	int64_t left_ms = registry->pace.not_before_ms - loop_now_ms();
	char text[32];
	error_set(err, ERR_RATE_LIMITED, "%s: rate limited; waits until %s, and is not asked before", registry->domain,
		registry_time_in(left_ms, text));
	if (err) /* nobody waits for that in this run */
		err->retry_after_ms = left_ms > pace_policy.obey_ms ? left_ms : pace_policy.obey_ms + 1;
	return false;
}

static bool wait_as_advised(struct registry *registry, enum pace_advice advice, struct error *err)
{
	if (advice == PACE_CLOSED)
		return closed(registry, err);
	if (advice == PACE_WAIT_FOR_FIRST)
		return waitqueue_wait(&registry->pacing, err);
	return task_sleep(registry->pace.not_before_ms - loop_now_ms(), err);
}

bool registry_turn_begin(struct registry *registry, struct gate *gate, struct turn *turn, struct error *err)
{
	for (;;) {
		if (gate && !gate_enter(gate, err))
			return false;
		int64_t now_ms = loop_now_ms();
		enum pace_advice advice = pace_ask(&registry->pace, now_ms);
		*turn = (struct turn){now_ms, advice == PACE_GO_FIRST};
		if (advice == PACE_GO || advice == PACE_GO_FIRST)
			return true;
		if (gate)
			gate_leave(gate);
		if (!wait_as_advised(registry, advice, err))
			return false;
	}
}

/* Blobs share what the host bears in the proportion of their places. */
static void apply_width(struct registry *registry)
{
	const struct pace *pace = &registry->pace;
	size_t blobs = registry->blob_places * pace->width / pace->full;
	size_t least = registry->blob_places < 2 ? registry->blob_places : 2;
	gate_set_limit(&registry->metadata, pace->width);
	gate_set_limit(&registry->blobs, blobs > least ? blobs : least);
}

void registry_turn_end(struct registry *registry, struct gate *gate, const struct turn *turn,
	const struct http_exchange *exchange, const struct error *err)
{
	struct pace *pace = &registry->pace;
	size_t width = pace->width;
	if (turn->is_first)
		pace_first_ended(pace);
	if (err->kind == ERR_RATE_LIMITED)
		pace_refused(pace, turn->sent_ms, loop_now_ms(), err, loop_random(UINT32_MAX));
	else if (retry_is_transient(err))
		pace_failed(pace, turn->sent_ms, loop_now_ms());
	else if (exchange)
		pace_answered(pace);
	if (exchange) {
		notices_take(&registry->notices, exchange);
		registry_learn_quota(registry, exchange);
	}
	if (err->kind == ERR_RATE_LIMITED && registry->pauses)
		waitqueue_wake_all(registry->pauses);
	if (pace->width != width)
		apply_width(registry);
	if (gate)
		gate_leave(gate);
	if (turn->is_first)
		waitqueue_wake_all(&registry->pacing);
}
