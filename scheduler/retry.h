/*
 * What is tried again, and when: pure functions of (policy, error, attempt), tested without a loop (ERR-4 to ERR-8).
 */
#ifndef DRAY_SCHEDULER_RETRY_H
#define DRAY_SCHEDULER_RETRY_H

#include "base/error.h"

struct retry_policy {
	int attempts;       /* in all, the first included */
	int64_t base_ms;    /* the first pause, doubled each time */
	int64_t maximum_ms; /* the longest pause of our own */
	int64_t obey_ms;    /* the longest Retry-After we follow */
};

extern const struct retry_policy retry_default;

/** Is it worth another try at all? Connections, timeouts, 408, 425, 429, 5xx but 501; never what is for good (ERR-5).
 */
bool retry_is_transient(const struct error *err);

/**
 * The pause before the next attempt in milliseconds, or -1: give up. @attempt counts from 1, the one that failed with
 * @err; @random is any number (full jitter). A peer's Retry-After is a lower bound, up to obey_ms.
 */
int64_t retry_delay_ms(const struct retry_policy *policy, const struct error *err, int attempt, uint64_t random);

/** Wait before the next attempt. False, with @err as it was: give up (or cancelled: ERR_CANCELED). */
must_check bool retry_pause(const struct retry_policy *policy, int attempt, struct error *err);

#endif
