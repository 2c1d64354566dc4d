#include "scheduler/quota.h"

/* So many answers may be under way at a time: a count that rises by more is another window's, not an older answer. */
enum { OUT_OF_ORDER_MOST = 64 };

void quota_told(struct quota *quota, int64_t left, int64_t all, int64_t window_ms, int64_t now_ms)
{
	bool is_new = !quota->is_known || left > quota->left + OUT_OF_ORDER_MOST || now_ms >= quota_ends_ms(quota);
	if (is_new)
		quota->since_ms = now_ms;
	if (is_new || left < quota->left)
		quota->left = left;
	quota->is_known = true;
	quota->all = all;
	quota->window_ms = window_ms;
}

int64_t quota_ends_ms(const struct quota *quota)
{
	return quota->since_ms + quota->window_ms;
}

enum quota_advice quota_ask(const struct quota *quota, int64_t cost, int64_t now_ms)
{
	if (!quota->is_known || quota->left - quota->planned >= cost)
		return QUOTA_GO;
	if (quota->planned > 0)
		return QUOTA_WAIT;
	return now_ms >= quota_ends_ms(quota) ? QUOTA_GO : QUOTA_USED_UP;
}
