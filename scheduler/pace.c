#include "scheduler/pace.h"

enum {
	WIDTH_LEAST = 2,          /* DESIGN 5.9 */
	REFUSALS_MOST = 5,        /* in a row; the fifth closes the host */
	LIMIT_LEAST_MS = 1000,    /* ERR-8: GHCR's hints of a millisecond are useless */
	RETRIES_AT_FIRST = 100,   /* T-6: a host that is down costs no more than these, whatever the number of images */
	RETRIES_PER_ANSWER = 2,   /* at half of all requests failing, retries do not run out */
	ATTEMPTS_IN_A_STORM = 16, /* at half of all failing: one request in 65,536 is given up */
	TROUBLE_LEAST = 200,
	TROUBLE_MOST = 950,
};

const struct retry_policy pace_policy = {
	.attempts = ATTEMPTS_IN_A_STORM, .base_ms = 500, .maximum_ms = 30000, .obey_ms = 600000};

void pace_init(struct pace *pace, size_t width)
{
	*pace = (struct pace){.full = width, .width = width, .narrowed_ms = -1, .retries_left = RETRIES_AT_FIRST};
}

enum pace_advice pace_ask(struct pace *pace, int64_t now_ms)
{
	if (now_ms < pace->not_before_ms)
		return pace->closed ? PACE_CLOSED : PACE_WAIT_UNTIL;
	if (pace->refused_in_a_row == 0)
		return PACE_GO;
	if (pace->first_is_out)
		return PACE_WAIT_FOR_FIRST;
	pace->first_is_out = true;
	return PACE_GO_FIRST;
}

int64_t pace_pause_ends_ms(const struct pace *pace, int64_t now_ms)
{
	return now_ms < pace->not_before_ms && !pace->closed ? pace->not_before_ms : 0;
}

static void note_trouble(struct pace *pace, bool failed)
{
	pace->trouble += ((failed ? 1000 : 0) - pace->trouble) / 16;
}

void pace_answered(struct pace *pace)
{
	pace->refused_in_a_row = 0;
	pace->closed = false;
	pace->answers++;
	note_trouble(pace, false);
	pace->retries_left += RETRIES_PER_ANSWER;
	if (pace->retries_left > RETRIES_AT_FIRST)
		pace->retries_left = RETRIES_AT_FIRST;
	if (++pace->answered < pace->width)
		return;
	pace->answered = 0;
	pace->width += pace->width < pace->full;
}

static void narrow(struct pace *pace, int64_t now_ms)
{
	size_t least = pace->full < WIDTH_LEAST ? pace->full : WIDTH_LEAST;
	pace->width = pace->width / 2 > least ? pace->width / 2 : least;
	pace->narrowed_ms = now_ms;
	pace->answered = 0;
}

void pace_refused(struct pace *pace, int64_t sent_ms, int64_t now_ms, const struct error *err, uint64_t random)
{
	/* What was on its way when the limit was met says nothing new. */
	bool is_news = sent_ms > pace->narrowed_ms;
	if (is_news) {
		narrow(pace, now_ms);
		pace->refused_in_a_row++;
	}
	int64_t wait = LIMIT_LEAST_MS;
	for (int i = 1; i < pace->refused_in_a_row && wait < pace_policy.maximum_ms; i++)
		wait *= 2;
	wait += (int64_t)(random % LIMIT_LEAST_MS);
	if (wait < err->retry_after_ms)
		wait = err->retry_after_ms;
	if (pace->refused_in_a_row >= REFUSALS_MOST && wait < pace_policy.obey_ms)
		wait = pace_policy.obey_ms;
	if (!(is_news || err->retry_after_ms > 0) || now_ms + wait <= pace->not_before_ms)
		return;
	pace->not_before_ms = now_ms + wait;
	pace->closed = pace->refused_in_a_row >= REFUSALS_MOST || wait > pace_policy.obey_ms;
}

void pace_failed(struct pace *pace, int64_t sent_ms, int64_t now_ms)
{
	note_trouble(pace, true);
	if (pace->trouble >= TROUBLE_LEAST && sent_ms > pace->narrowed_ms)
		narrow(pace, now_ms);
}

void pace_first_ended(struct pace *pace)
{
	pace->first_is_out = false;
}

bool pace_may_retry(struct pace *pace, const struct error *err, int attempts, uint64_t answers_before)
{
	if (err->kind == ERR_RATE_LIMITED) /* the pause decides, and ends it */
		return attempts < pace_policy.attempts;
	bool storm = pace->trouble >= TROUBLE_LEAST && pace->trouble <= TROUBLE_MOST && pace->answers > answers_before;
	if (attempts >= (storm ? ATTEMPTS_IN_A_STORM : retry_default.attempts) || pace->retries_left == 0)
		return false;
	pace->retries_left--;
	return true;
}

bool pace_retry_pause(struct pace *pace, int attempts, uint64_t answers_before, struct error *err)
{
	if (!retry_is_transient(err) || err->retry_after_ms > pace_policy.obey_ms ||
		!pace_may_retry(pace, err, attempts, answers_before))
		return false;
	return err->kind == ERR_RATE_LIMITED || retry_pause(&pace_policy, attempts, err);
}
