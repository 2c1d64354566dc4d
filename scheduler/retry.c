#include "scheduler/retry.h"

#include "scheduler/loop.h"
#include "scheduler/task.h"

/* ERR-4: five attempts and more, 0.5 s to 30 s; ERR-8: a Retry-After is followed up to ten minutes. */
const struct retry_policy retry_default = {.attempts = 5, .base_ms = 500, .maximum_ms = 30000, .obey_ms = 600000};

/* ERR-8: a hint of a millisecond, as GHCR's, is useless. */
enum { LIMIT_LEAST_MS = 1000 };

bool retry_is_transient(const struct error *err)
{
	return err->kind == ERR_UNAVAILABLE || err->kind == ERR_TIMEOUT || err->kind == ERR_RATE_LIMITED;
}

int64_t retry_delay_ms(const struct retry_policy *policy, const struct error *err, int attempt, uint64_t random)
{
	if (attempt >= policy->attempts || !retry_is_transient(err) || err->retry_after_ms > policy->obey_ms)
		return -1;
	int64_t ceiling = policy->base_ms;
	for (int i = 1; i < attempt && ceiling < policy->maximum_ms; i++)
		ceiling *= 2;
	if (ceiling > policy->maximum_ms)
		ceiling = policy->maximum_ms;
	/* Full jitter, but never at once: half of it is certain. */
	int64_t delay = ceiling / 2 + (int64_t)(random % (uint64_t)(ceiling / 2 + 1));
	if (err->kind == ERR_RATE_LIMITED)
		delay += LIMIT_LEAST_MS;
	return delay > err->retry_after_ms ? delay : err->retry_after_ms;
}

bool retry_pause(const struct retry_policy *policy, int attempt, struct error *err)
{
	int64_t delay = retry_delay_ms(policy, err, attempt, loop_random(UINT32_MAX));
	return delay >= 0 && task_sleep(delay, err);
}
