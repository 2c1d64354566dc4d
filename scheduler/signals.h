/*
 * Signals, delivered on the loop. SIGPIPE is ignored for the whole process.
 */
#ifndef DRAY_SCHEDULER_SIGNALS_H
#define DRAY_SCHEDULER_SIGNALS_H

#include "scheduler/loop.h"

/**
 * Call @fire(@signal, @argument) on the loop, which must not wait, each time SIGINT, SIGTERM or SIGHUP arrives, unless
 * the process was started ignoring it, until signals_unwatch(). Inside loop_run(), once at a time; nothing in a virtual
 * loop.
 */
void signals_watch(void (*fire)(int signal, void *argument), void *argument);
void signals_unwatch(void);

#endif
