/*
 * The quota that a registry tells of in its replies, planned before it is spent (ERR-11). Where it counts at all, it
 * counts the GETs of manifests: looking up with HEAD goes on when it is used up.
 */
#include "sync/registry/internal.h"

#include "scheduler/loop.h"

void registry_learn_quota(struct registry *registry, const struct http_exchange *exchange)
{
	const char *left = http_header(exchange, "ratelimit-remaining", 0);
	const char *all = http_header(exchange, "ratelimit-limit", 0);
	int64_t left_count, all_count = 0, window_s, unused;
	if (!left || !notice_quota(left, &left_count, &window_s))
		return;
	if (all && !notice_quota(all, &all_count, &unused))
		all_count = 0;
	if (window_s > INT64_MAX / 1000)
		window_s = 0;
	quota_told(&registry->quota, left_count, all_count, window_s * 1000, loop_now_ms());
	waitqueue_wake_all(&registry->planning);
}

static bool used_up(const struct registry *registry, int64_t cost, struct error *err)
{
	const struct quota *quota = &registry->quota;
	int64_t left_ms = quota_ends_ms(quota) - loop_now_ms();
	char until[32];
	error_set(err, ERR_RATE_LIMITED,
		"%s: rate limited; %lld of %lld manifests are left, and this takes %lld; all are back by %s",
		registry->domain, (long long)quota->left, (long long)quota->all, (long long)cost,
		registry_time_in(left_ms, until));
	if (err) /* nobody waits for that in this run */
		err->retry_after_ms = left_ms > pace_policy.obey_ms ? left_ms : pace_policy.obey_ms + 1;
	return false;
}

bool registry_plan(struct registry *registry, int64_t cost, struct error *err)
{
	for (;;) {
		switch (quota_ask(&registry->quota, cost, loop_now_ms())) {
		case QUOTA_GO:
			registry->quota.planned += cost;
			return true;
		case QUOTA_USED_UP:
			return used_up(registry, cost, err);
		case QUOTA_WAIT:
			break;
		}
		if (!waitqueue_wait(&registry->planning, err))
			return false;
	}
}

void registry_plan_end(struct registry *registry, int64_t cost)
{
	registry->quota.planned -= cost;
	waitqueue_wake_all(&registry->planning);
}
