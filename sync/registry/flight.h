/*
 * Single flight: one does it, and all who need it meanwhile wait for the same outcome (TOK-12).
 */
#ifndef DRAY_SYNC_REGISTRY_FLIGHT_H
#define DRAY_SYNC_REGISTRY_FLIGHT_H

#include "base/error.h"

struct flight;

/**
 * Do @fly(@argument), or, if somebody does it already, wait for that. *slot is NULL while nobody does, and must stay
 * where it is until this returns. A failure goes to all, but for a cancellation, which is only the one's who flew:
 * then another of them flies. Errors: those of @fly; ERR_CANCELED.
 */
must_check bool flight_share(
	struct flight **slot, bool (*fly)(void *argument, struct error *err), void *argument, struct error *err);

#endif
