/* Run a test's body as the main task of a real or of a virtual loop. */
#ifndef DRAY_TESTS_UNIT_SCHEDULER_IN_LOOP_H
#define DRAY_TESTS_UNIT_SCHEDULER_IN_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"

static inline void in_real_loop(void (*body)(void *argument), void *argument)
{
	struct loop *loop = loop_new();
	loop_run(loop, body, argument);
	loop_free(loop);
}

static inline void in_virtual_loop(uint64_t seed, void (*body)(void *argument), void *argument)
{
	struct loop *loop = loop_new_virtual(seed);
	loop_run(loop, body, argument);
	loop_free(loop);
}

static inline void in_both_loops(void (*body)(void *argument), void *argument)
{
	in_real_loop(body, argument);
	for (uint64_t seed = 1; seed <= 20; seed++)
		in_virtual_loop(seed, body, argument);
}

#endif
