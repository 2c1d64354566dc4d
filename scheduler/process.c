#include "scheduler/process.h"

#include "base/memory.h"
#include "scheduler/internal.h"

#include <signal.h>
#include <string.h>

/* One child and what talks to it; freed when the last of its handles has closed. */
struct child {
	uv_process_t process;
	uv_pipe_t input, output;
	uv_write_t write;
	struct buf *collected; /* the caller's */
	struct error failure;  /* kind ERR_NONE: none */
	int64_t exit_status;
	int open_handles;
	bool exited, output_ended;
	struct waitqueue changed;
	char piece[4096];
};

static void on_closed(uv_handle_t *handle)
{
	struct child *child = handle->data;
	if (--child->open_handles == 0)
		waitqueue_wake_all(&child->changed);
}

static void close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal)
{
	struct child *child = process->data;
	child->exited = true;
	child->exit_status = signal ? -1 : status;
	waitqueue_wake_all(&child->changed);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct child *child = handle->data;
	(void)suggested;
	*buf = uv_buf_init(child->piece, sizeof child->piece);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct child *child = stream->data;
	if (got > 0 && child->failure.kind == ERR_NONE)
		(void)!buf_append(child->collected, buf->base, (size_t)got, &child->failure);
	if (got < 0)
		child->output_ended = true;
	if (got < 0 || child->failure.kind != ERR_NONE)
		waitqueue_wake_all(&child->changed);
}

static void on_written(uv_write_t *write, int status)
{
	struct child *child = write->data;
	(void)status; /* a helper that does not read its input says so by its exit status */
	close_handle(&child->input);
}

static void add_handle(struct child *child, void *handle)
{
	((uv_handle_t *)handle)->data = child;
	child->open_handles++;
}

static int spawn(struct child *child, char *const argv[], char *const environment[])
{
	uv_loop_t *uv = loop_uv(loop_current());
	uv_stdio_container_t stdio[3] = {
		{.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_READABLE_PIPE),
			.data.stream = (uv_stream_t *)&child->input},
		{.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE),
			.data.stream = (uv_stream_t *)&child->output},
		{.flags = UV_INHERIT_FD, .data.fd = 2},
	};
	uv_process_options_t options = {
		.file = argv[0],
		.args = (char **)argv,
		.env = (char **)environment,
		.exit_cb = on_exit_status,
		.flags = UV_PROCESS_DETACHED, /* a group of its own, so that a kill reaches what it started */
		.stdio = stdio,
		.stdio_count = 3,
	};
	uv_pipe_init(uv, &child->input, 0);
	uv_pipe_init(uv, &child->output, 0);
	add_handle(child, &child->input);
	add_handle(child, &child->output);
	int status = uv_spawn(uv, &child->process, &options);
	add_handle(child, &child->process);
	return status;
}

static void talk(struct child *child, const char *input)
{
	uv_buf_t bytes = uv_buf_init((char *)(uintptr_t)input, (unsigned)strlen(input));
	child->write.data = child;
	if (uv_write(&child->write, (uv_stream_t *)&child->input, &bytes, 1, on_written) != 0)
		close_handle(&child->input);
	uv_read_start((uv_stream_t *)&child->output, on_allocate, on_read);
}

static bool wait_for_end(struct child *child, int64_t timeout_ms, struct error *err)
{
	int64_t deadline = loop_now_ms() + timeout_ms;
	while (!child->exited || !child->output_ended) {
		if (child->failure.kind != ERR_NONE) {
			if (err)
				*err = child->failure;
			return false;
		}
		struct error why;
		if (!waitqueue_wait_until(&child->changed, deadline, &why)) {
			if (why.kind == ERR_TIMEOUT)
				return error_set(err, ERR_TIMEOUT, "no answer within %ld s", (long)(timeout_ms / 1000));
			if (err)
				*err = why;
			return false;
		}
	}
	return true;
}

static void end(struct child *child)
{
	/* Its group, so that what it started and left behind does not hold the pipe. */
	if (child->process.pid > 0 && !(child->exited && child->output_ended))
		kill(-child->process.pid, SIGKILL);
	while (child->process.pid > 0 && !child->exited)
		waitqueue_wait_uncancelable(&child->changed);
	close_handle(&child->input);
	close_handle(&child->output);
	close_handle(&child->process);
	while (child->open_handles > 0)
		waitqueue_wait_uncancelable(&child->changed);
}

bool process_run(char *const argv[], char *const environment[], const char *input, int64_t timeout_ms,
	struct buf *output, struct process_result *result, struct error *err)
{
	if (loop_is_virtual(loop_current()))
		return error_set(err, ERR_UNSUPPORTED, "%s: no processes in virtual time", argv[0]);
	struct child *child = memory_new(1, sizeof *child);
	child->collected = output;
	waitqueue_init(&child->changed);
	bool ok;
	int status = spawn(child, argv, environment);
	if (status != 0) {
		ok = error_set(err, ERR_IO, "%s", uv_strerror(status));
	} else {
		talk(child, input);
		ok = wait_for_end(child, timeout_ms, err);
	}
	end(child);
	result->exit_status = (int)child->exit_status;
	free(child);
	return ok || error_wrap(err, "%s", argv[0]);
}
