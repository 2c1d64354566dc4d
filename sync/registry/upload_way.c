#include "sync/registry/upload_way.h"

#include "base/limits.h"

/* UPL-13; GHCR takes 4 MiB at most, nginx as it is installed 1 MiB, and less than that is asked for by nobody. */
#define PART_MOST  ((int64_t)(16 * MIB))
#define PART_LEAST ((int64_t)MIB)
/* A peer that proposes parts of one byte does not get a billion requests. */
#define PROPOSAL_LEAST ((int64_t)(64 * KIB))

/* UPL-30: what is cut sooner is not a proxy's clock. */
enum { CUT_LEAST_MS = 10000 };

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

struct upload_plan upload_plan_for(const struct upload_habits *habits, int64_t size, const struct upload_wishes *wishes)
{
	struct upload_plan plan = {.way = UPLOAD_PUT};
	bool is_too_large = habits->most_bytes > 0 && size > habits->most_bytes && !habits->puts_only;
	if (!is_too_large && !habits->patches)
		return plan;
	if (!is_too_large && !habits->full_close) {
		plan.way = UPLOAD_PATCH;
		return plan;
	}
	/* Where neither a PUT alone nor an empty one will do, the body is halved. */
	int64_t part = is_too_large ? habits->most_bytes : larger(smaller(PART_MOST, size / 2), 1);
	if (wishes->most_bytes > 0)
		part = smaller(part, larger(wishes->most_bytes, PROPOSAL_LEAST));
	part = larger(part, wishes->least_bytes); /* what it must have goes before what it would like */
	return (struct upload_plan){UPLOAD_CHUNKS, part, habits->full_close};
}

bool upload_plan_equal(const struct upload_plan *a, const struct upload_plan *b)
{
	return a->way == b->way && a->part_bytes == b->part_bytes && a->full_close == b->full_close;
}

/* A body of @bytes is too much: the largest step below it, if there is one. */
static void learn_limit(struct upload_habits *habits, int64_t bytes)
{
	int64_t limit = PART_MOST;
	while (limit >= bytes && limit > PART_LEAST)
		limit /= 2;
	if (limit < bytes && (habits->most_bytes == 0 || limit < habits->most_bytes))
		habits->most_bytes = limit;
}

static bool says_not_this_way(int status)
{
	return status == 400 || status == 404 || status == 405 || status == 411 || status == 501;
}

void upload_learn(struct upload_habits *habits, const struct upload_plan *plan, const struct upload_refusal *refusal)
{
	int status = refusal->status;
	if (refusal->session_is_gone || refusal->digest_is_wrong)
		return;
	/* At the beginning of a session no range can be wrong: 416 is GHCR's word for too large. */
	bool too_large = status == 413 || (status == 416 && plan->way == UPLOAD_CHUNKS && refusal->begins);
	if (too_large && !refusal->closes)
		learn_limit(habits, refusal->body_bytes);
	else if (refusal->closes && (says_not_this_way(status) || status == 416))
		habits->full_close = true;
	else if (plan->way == UPLOAD_PUT && status != 400 && says_not_this_way(status))
		habits->patches = true;
	else if (plan->way == UPLOAD_CHUNKS && refusal->begins && !habits->patches && (status == 405 || status == 501))
		habits->puts_only = true; /* then what is wrong with PUTs is the error, and not this */
}

void upload_learn_cut(struct upload_habits *habits, int64_t elapsed_ms, int64_t body_bytes)
{
	int64_t before = habits->cut_ms;
	if (elapsed_ms < CUT_LEAST_MS)
		return;
	habits->cut_ms = elapsed_ms;
	if (before > 0 && elapsed_ms > before - before / 5 && elapsed_ms < before + before / 5)
		learn_limit(habits, body_bytes);
}
