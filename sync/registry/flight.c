#include "sync/registry/flight.h"

#include "base/memory.h"
#include "scheduler/latch.h"

#include <assert.h>

struct flight {
	struct latch landed;
	struct error outcome; /* ERR_NONE: it went well */
	size_t users;
};

static void leave(struct flight *flight)
{
	if (--flight->users == 0)
		free(flight);
}

static bool lead(
	struct flight **slot, bool (*fly)(void *argument, struct error *err), void *argument, struct error *err)
{
	struct flight *flight = memory_new(1, sizeof *flight);
	latch_init(&flight->landed);
	flight->users = 1;
	*slot = flight;
	bool ok = fly(argument, &flight->outcome);
	if (ok)
		flight->outcome = (struct error){.kind = ERR_NONE};
	else if (err)
		*err = flight->outcome;
	*slot = NULL;
	latch_open(&flight->landed);
	leave(flight);
	return ok;
}

bool flight_share(
	struct flight **slot, bool (*fly)(void *argument, struct error *err), void *argument, struct error *err)
{
	while (*slot) {
		struct flight *flight = *slot;
		flight->users++;
		bool landed = latch_wait(&flight->landed, err);
		struct error outcome = flight->outcome;
		assert(!landed || *slot != flight); /* who flew has left the slot to the next */
		leave(flight);
		if (!landed)
			return false;
		if (outcome.kind == ERR_NONE)
			return true;
		if (outcome.kind != ERR_CANCELED) {
			if (err)
				*err = outcome;
			return false;
		}
	}
	return lead(slot, fly, argument, err);
}
