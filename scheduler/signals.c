#include "scheduler/signals.h"

#include "scheduler/internal.h"

#include <signal.h>

static void on_uv_signal(uv_signal_t *handle, int number)
{
	struct loop *loop = handle->data;
	loop->on_signal(number, loop->on_signal_argument);
}

/* Who started us ignoring it (nohup, a shell's job in the background) means that. */
static bool is_ignored(int number)
{
	struct sigaction old;
	return sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

/* What waits in write() for a reader of stdout that reads no more would never hear a signal: libuv has the call begun
 * again, and the loop does not turn. With EINTR that output is lost, and the signal is heard. */
static void let_it_interrupt(int number)
{
	struct sigaction action;
	if (sigaction(number, NULL, &action) == 0) {
		action.sa_flags &= ~SA_RESTART;
		(void)!sigaction(number, &action, NULL);
	}
}

void signals_watch(void (*fire)(int signal, void *argument), void *argument)
{
	static const int numbers[SIGNALS_WATCHED] = {SIGINT, SIGTERM, SIGHUP};
	struct loop *loop = loop_current();
	if (loop->is_virtual || loop->signals_watched)
		return;
	loop->signals_watched = true;
	loop->on_signal = fire;
	loop->on_signal_argument = argument;
	for (int i = 0; i < SIGNALS_WATCHED; i++) {
		uv_signal_init(&loop->uv, &loop->signals[i]);
		loop->signals[i].data = loop;
		if (!is_ignored(numbers[i]) && uv_signal_start(&loop->signals[i], on_uv_signal, numbers[i]) == 0)
			let_it_interrupt(numbers[i]);
		uv_unref((uv_handle_t *)&loop->signals[i]);
	}
}

void signals_unwatch(void)
{
	struct loop *loop = loop_current();
	if (!loop->signals_watched)
		return;
	loop->signals_watched = false;
	for (int i = 0; i < SIGNALS_WATCHED; i++)
		uv_close((uv_handle_t *)&loop->signals[i], NULL);
}
