#include "sync/registry/refusals.h"

#include "base/hash.h"
#include "base/memory.h"

#include <string.h>

enum { REPOSITORIES_MOST = 256 };

struct refusal {
	char *repository;
	struct error why;
	UT_hash_handle hh;
};

void refusals_release(struct refusals *refusals)
{
	struct refusal *refusal, *next;
	HASH_ITER(hh, refusals->by_repository, refusal, next)
	{
		HASH_DEL(refusals->by_repository, refusal);
		free(refusal->repository);
		free(refusal);
	}
}

/* 403: quota, read-only, no right; 405: disabled; 404: not there and not made by a push; 507: full. */
static bool is_about_the_repository(const struct error *why)
{
	return why->http_status == 403 || why->http_status == 404 || why->http_status == 405 || why->http_status == 507;
}

static struct refusal *find(const struct refusals *refusals, const char *repository)
{
	struct refusal *refusal;
	HASH_FIND_STR(refusals->by_repository, repository, refusal);
	return refusal;
}

void refusals_note(struct refusals *refusals, const char *repository, const struct error *why)
{
	bool is_final = why->kind == ERR_DENIED || why->kind == ERR_UNSUPPORTED;
	if (!is_final || !is_about_the_repository(why) || find(refusals, repository) ||
		HASH_COUNT(refusals->by_repository) >= REPOSITORIES_MOST)
		return;
	struct refusal *refusal = memory_new(1, sizeof *refusal);
	refusal->repository = memory_text(repository);
	refusal->why = *why;
	HASH_ADD_KEYPTR(hh, refusals->by_repository, refusal->repository, strlen(refusal->repository), refusal);
}

bool refusals_allow(const struct refusals *refusals, const char *repository, struct error *err)
{
	const struct refusal *refusal = find(refusals, repository);
	if (!refusal)
		return true;
	if (err)
		*err = refusal->why;
	return error_wrap(err, "nothing more is sent to %s in this run", repository);
}
