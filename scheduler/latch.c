#include "scheduler/latch.h"

void latch_init(struct latch *latch)
{
	latch->open = false;
	waitqueue_init(&latch->waiting);
}

bool latch_wait(struct latch *latch, struct error *err)
{
	while (!latch->open)
		if (!waitqueue_wait(&latch->waiting, err))
			return false;
	return true;
}

void latch_open(struct latch *latch)
{
	latch->open = true;
	waitqueue_wake_all(&latch->waiting);
}
