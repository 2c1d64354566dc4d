/*
 * Noting referrers, one at a time for each subject: a list is read, made longer and written, and whoever reads it in
 * between would write it without what the other added (RFR-7).
 */
#include "sync/endpoint/internal.h"

#include "base/memory.h"
#include "base/str.h"

struct noting {
	struct noting *next; /* of the same endpoint */
	char *key;
	struct gate turn;
	size_t users;
};

static struct noting *use(struct endpoint *endpoint, const char *repository, const struct digest *subject)
{
	auto_free char *key = memory_format("%s@%s", repository, subject->text);
	struct noting *noting = endpoint->noting;
	while (noting && !str_is(noting->key, key))
		noting = noting->next;
	if (!noting) {
		noting = memory_new(1, sizeof *noting);
		noting->key = key;
		key = NULL;
		gate_init(&noting->turn, 1);
		noting->next = endpoint->noting;
		endpoint->noting = noting;
	}
	noting->users++;
	return noting;
}

static void leave(struct endpoint *endpoint, struct noting *noting)
{
	struct noting **at = &endpoint->noting;
	if (--noting->users > 0)
		return;
	while (*at != noting)
		at = &(*at)->next;
	*at = noting->next;
	free(noting->key);
	free(noting);
}

bool endpoint_referrers_note(struct endpoint *endpoint, const char *repository, const struct digest *subject,
	const struct referrer *referrers, size_t count, struct error *err)
{
	struct noting *noting = use(endpoint, repository, subject);
	bool ok = gate_enter(&noting->turn, err);
	if (ok) {
		ok = endpoint->ops->referrers_note(endpoint, repository, subject, referrers, count, err);
		gate_leave(&noting->turn);
	}
	leave(endpoint, noting);
	return ok;
}
