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
		if (!is_ignored(numbers[i]))
			uv_signal_start(&loop->signals[i], on_uv_signal, numbers[i]);
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
