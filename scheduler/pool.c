#include "scheduler/pool.h"

#include "scheduler/internal.h"

#include <string.h>

enum { VIRTUAL_JOB_MS = 4 };

struct pool_call {
	void (*job)(void *argument);
	void *argument;
	struct waitqueue waiting;
	bool finished, has_run;
	uv_work_t work;
	struct timer timer;
};

static void finish(struct pool_call *call, bool has_run)
{
	call->finished = true;
	call->has_run = has_run;
	waitqueue_wake_one(&call->waiting);
}

static void on_worker(uv_work_t *work)
{
	struct pool_call *call = work->data;
	call->job(call->argument);
}

static void after_worker(uv_work_t *work, int status)
{
	finish(work->data, status == 0);
}

static void run_virtually(void *argument)
{
	struct pool_call *call = argument;
	call->job(call->argument);
	finish(call, true);
}

static void start(struct pool_call *call, void (*job)(void *argument), void *argument)
{
	struct loop *loop = loop_current();
	memset(call, 0, sizeof *call);
	call->job = job;
	call->argument = argument;
	waitqueue_init(&call->waiting);
	if (loop->is_virtual) {
		timer_start(&call->timer, (int64_t)loop_random(VIRTUAL_JOB_MS), run_virtually, call);
		return;
	}
	call->work.data = call;
	uv_queue_work(&loop->uv, &call->work, on_worker, after_worker); /* fails only without a function */
}

/* The job has not begun, and will not. */
static bool call_back(struct pool_call *call)
{
	if (!loop_is_virtual(loop_current()))
		return uv_cancel((uv_req_t *)&call->work) == 0;
	timer_stop(&call->timer);
	call->finished = true;
	return true;
}

/* False: it was called back, and has not run. */
static bool wait_for(struct pool_call *call)
{
	if (!call->finished && !waitqueue_wait(&call->waiting, NULL))
		call_back(call);
	while (!call->finished)
		waitqueue_wait_uncancelable(&call->waiting);
	return call->has_run;
}

bool pool_run(void (*job)(void *argument), void *argument, struct error *err)
{
	struct pool_call call;
	if (task_is_canceled())
		return error_set(err, ERR_CANCELED, "stopped");
	start(&call, job, argument);
	return wait_for(&call) || error_set(err, ERR_CANCELED, "stopped");
}

bool pool_run_both(void (*job)(void *argument), void (*other)(void *argument), void *argument, struct error *err)
{
	struct pool_call calls[2];
	if (task_is_canceled())
		return error_set(err, ERR_CANCELED, "stopped");
	start(&calls[0], job, argument);
	start(&calls[1], other, argument);
	bool first = wait_for(&calls[0]), second = wait_for(&calls[1]);
	return (first && second) || error_set(err, ERR_CANCELED, "stopped");
}

void pool_run_always(void (*job)(void *argument), void *argument)
{
	struct pool_call call;
	start(&call, job, argument);
	while (!call.finished)
		waitqueue_wait_uncancelable(&call.waiting);
}
