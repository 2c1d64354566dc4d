#include "sync/http/hop.h"

#include "base/str.h"
#include "scheduler/loop.h"

#include <string.h>

#define SPILL_BYTES   (64 * KIB)
#define DISCARD_BYTES (64 * KIB)

enum { STATUS_FINAL = 200 };

/* T-5: who sends a byte now and then would keep us for ever. */
#define LEAST_BYTES_PER_S ((int64_t)KIB)

/* --- the clocks --------------------------------------------------------------------------------------------------- */

static void progress(struct hop *hop)
{
	hop->since_ms = loop_now_ms();
	hop->waited_ms = 0;
	hop->moved_bytes = 0;
}

/* Bytes of a body are progress once they are as many as the slowest of peers moves while we are patient. */
static void move(struct hop *hop, size_t length)
{
	hop->moved_bytes += (int64_t)length;
	if (hop->moved_bytes * 1000 >= LEAST_BYTES_PER_S * hop->settings->stall_timeout_ms)
		progress(hop);
}

static void wake(struct hop *hop)
{
	waitqueue_wake_one(&hop->changed);
}

static bool body_is_taken(const struct hop *hop)
{
	return hop->taken_bytes >= hop->body_bytes;
}

static bool has_begun_to_answer(const struct hop *hop)
{
	return hop->status >= STATUS_FINAL;
}

static int64_t patience_ms(const struct hop *hop, const char **what)
{
	if (!hop->connected) {
		*what = "no connection within";
		return hop->settings->connect_timeout_ms;
	}
	/* A head that has begun comes without a pause, however long it took to begin; one whose end was lost never
	 * comes. */
	if (hop->answered || has_begun_to_answer(hop) || !body_is_taken(hop)) {
		*what = hop->moved_bytes > 0 ? "less than 1 KiB/s for" : "no byte within";
		return hop->settings->stall_timeout_ms;
	}
	*what = "no reply within";
	return hop->method == HTTP_PUT ? hop->settings->commit_timeout_ms : hop->settings->first_byte_timeout_ms;
}

/* --- what the transport tells ------------------------------------------------------------------------------------- */

static void on_connected(void *context, enum address_class peer)
{
	struct hop *hop = context;
	hop->connected = true;
	hop->peer = peer;
	progress(hop);
	/* Who waits has set its alarm by the clock of connecting; all other phases end with a wake-up anyway. */
	const char *what;
	if (hop->since_ms + patience_ms(hop, &what) < hop->deadline_ms)
		wake(hop);
}

static bool on_status(void *context, int status)
{
	struct hop *hop = context;
	hop->status = status;
	if (has_begun_to_answer(hop)) {
		progress(hop);
		wake(hop); /* who waits has set its alarm by the clock of the reply */
	}
	return headers_restart(&hop->headers, &hop->failure);
}

static bool on_header(void *context, const char *name, size_t name_length, const char *value, size_t value_length)
{
	struct hop *hop = context;
	return headers_add(&hop->headers, name, name_length, value, value_length, &hop->failure);
}

/* Of our pauses; @paused says which. */
static void resume(struct hop *hop, bool *paused)
{
	if (!*paused || hop->ended)
		return;
	*paused = false;
	hop->transport->resume(hop->stream);
}

static void on_head(void *context)
{
	struct hop *hop = context;
	hop->answered = true;
	progress(hop);
	wake(hop);
	/* libcurl sends no more of a body that was refused, but while that is paused it does not end either. */
	resume(hop, &hop->take_paused);
}

static void count_received(struct hop *hop, size_t length)
{
	hop->received_bytes += (int64_t)length;
	if (hop->kind == HTTP_BLOB && hop->status / 100 == 2)
		hop->counters->received_bytes += (int64_t)length;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool is_filled(const struct hop *hop)
{
	return hop->into && hop->into_length == hop->into_capacity;
}

/* By whoever waits for it, as far as there is room, and the rest in the spill; all or nothing. */
static bool take_body(struct hop *hop, const char *bytes, size_t length)
{
	size_t direct = hop->into ? smaller(length, hop->into_capacity - hop->into_length) : 0;
	if (length > direct && !buf_append(&hop->spill, bytes + direct, length - direct, NULL))
		return false;
	if (direct > 0)
		memcpy(hop->into + hop->into_length, bytes, direct);
	hop->into_length += direct;
	return true;
}

static size_t on_body(void *context, const void *bytes, size_t length)
{
	struct hop *hop = context;
	if (!hop->discard && !take_body(hop, bytes, length)) {
		hop->body_paused = true;
		return TRANSPORT_PAUSE;
	}
	count_received(hop, length);
	move(hop, length);
	if (hop->discard || is_filled(hop))
		wake(hop);
	return length;
}

static size_t on_take(void *context, void *bytes, size_t capacity)
{
	struct hop *hop = context;
	size_t length = smaller(capacity, hop->lent_length - hop->lent_taken);
	if (length == 0) {
		hop->take_paused = true;
		return TRANSPORT_PAUSE;
	}
	memcpy(bytes, hop->lent + hop->lent_taken, length);
	hop->lent_taken += length;
	hop->taken_bytes += (int64_t)length;
	if (hop->kind == HTTP_UPLOAD)
		hop->counters->sent_bytes += (int64_t)length;
	move(hop, length);
	if (body_is_taken(hop))
		progress(hop); /* another clock: that of the reply */
	if (hop->lent_taken == hop->lent_length)
		wake(hop);
	return length;
}

static bool on_rewind(void *context)
{
	struct hop *hop = context;
	/* A part of a blob that may have arrived is never sent into its session again: whoever has the session asks
	 * what became of it, or opens another one (UPL-20, UPL-21). */
	if (hop->taken_bytes > 0 && (hop->kind == HTTP_UPLOAD || hop->lent_at != 0 || !hop->lent))
		return false;
	hop->lent_taken = 0;
	hop->taken_bytes = 0;
	return true;
}

static bool reply_has_body(const struct hop *hop)
{
	return hop->method != HTTP_HEAD && hop->status != 204 && hop->status != 304;
}

/* A transport should have seen it; but what a cut body costs is too much to believe that (HTTP-12). */
static void check_length(struct hop *hop)
{
	int64_t announced = headers_content_length(&hop->headers);
	if (announced < 0 || announced == hop->received_bytes || !reply_has_body(hop) ||
		headers_get(&hop->headers, "Transfer-Encoding", 0))
		return;
	error_set(&hop->failure, ERR_UNAVAILABLE, "the body ended after %lld of %lld bytes",
		(long long)hop->received_bytes, (long long)announced);
}

static void on_end(void *context, const struct error *failure)
{
	struct hop *hop = context;
	hop->ended = true;
	if (hop->failure.kind != ERR_NONE)
		; /* our own verdict, which made the transport give up */
	else if (failure)
		hop->failure = *failure;
	else if (!hop->answered)
		error_set(&hop->failure, ERR_UNAVAILABLE, "the connection ended without a reply");
	else
		check_length(hop);
	wake(hop);
}

static const struct transport_events hop_events = {
	.connected = on_connected,
	.status = on_status,
	.header = on_header,
	.head = on_head,
	.body = on_body,
	.take = on_take,
	.rewind = on_rewind,
	.end = on_end,
};

/* --- waiting ------------------------------------------------------------------------------------------------------ */

static void drop_stream(struct hop *hop)
{
	if (hop->stream)
		hop->transport->release(hop->stream);
	hop->stream = NULL;
}

static bool tell_failure(const struct hop *hop, struct error *err)
{
	if (err)
		*err = hop->failure;
	return false;
}

/* We end it: whatever is asked of it later gives the same answer. */
static bool give_up(struct hop *hop, struct error *err)
{
	drop_stream(hop);
	buf_release(&hop->spill);
	hop->ended = true;
	return tell_failure(hop, err);
}

static bool wait_while_patient(struct hop *hop, bool (*is_ready)(const struct hop *), struct error *err)
{
	while (!is_ready(hop)) {
		const char *what;
		int64_t patience = patience_ms(hop, &what);
		hop->deadline_ms = hop->since_ms + patience;
		if (loop_now_ms() >= hop->deadline_ms) {
			char text[16];
			error_set(&hop->failure, ERR_TIMEOUT, "%s %s", what, str_format_duration(patience, text));
			return give_up(hop, err);
		}
		/* A deadline that passes is only a reason to look again: there may have been progress since. */
		if (!waitqueue_wait_until(&hop->changed, hop->deadline_ms, NULL) && task_is_canceled()) {
			error_set(&hop->failure, ERR_CANCELED, "stopped");
			return give_up(hop, err);
		}
	}
	return true;
}

static bool wait_until(struct hop *hop, bool (*is_ready)(const struct hop *), struct error *err)
{
	hop->since_ms = loop_now_ms() - hop->waited_ms; /* the time before was ours */
	bool ok = wait_while_patient(hop, is_ready, err);
	hop->waited_ms = loop_now_ms() - hop->since_ms;
	return ok;
}

/* --- the calls ---------------------------------------------------------------------------------------------------- */

void hop_init(struct hop *hop, struct transport *transport, const struct http_settings *settings,
	struct http_counters *counters)
{
	*hop = (struct hop){.transport = transport, .settings = settings, .counters = counters};
	waitqueue_init(&hop->changed);
	headers_init(&hop->headers);
	buf_init(&hop->spill, SPILL_BYTES);
}

void hop_release(struct hop *hop)
{
	drop_stream(hop);
	headers_release(&hop->headers);
	buf_release(&hop->spill);
}

static void forget_last_hop(struct hop *hop)
{
	drop_stream(hop);
	headers_clear(&hop->headers);
	buf_clear(&hop->spill);
	hop->spill_read = 0;
	hop->connected = hop->answered = hop->ended = hop->discard = false;
	hop->take_paused = hop->body_paused = false;
	hop->status = 0;
	hop->taken_bytes = hop->lent_at = hop->received_bytes = 0;
	hop->failure.kind = ERR_NONE;
}

bool hop_start(struct hop *hop, const struct transport_request *request, enum http_kind kind, const void *body,
	struct error *err)
{
	forget_last_hop(hop);
	hop->method = request->method;
	hop->kind = kind;
	hop->body_bytes = request->body_bytes > 0 ? request->body_bytes : 0;
	hop->lent = body;
	hop->lent_length = body ? (size_t)hop->body_bytes : 0;
	hop->lent_taken = 0;
	if (!hop->transport->start(hop->transport, request, &hop_events, hop, &hop->stream, err))
		return false;
	hop->counters->requests[request->method][kind]++;
	progress(hop);
	return true;
}

static bool has_head(const struct hop *hop)
{
	return hop->answered || hop->ended;
}

bool hop_wait_head(struct hop *hop, struct error *err)
{
	if (!wait_until(hop, has_head, err))
		return false;
	return hop->answered || tell_failure(hop, err);
}

static bool is_taken(const struct hop *hop)
{
	return hop->lent_taken == hop->lent_length || has_head(hop);
}

static bool write_failed(const struct hop *hop, struct error *err)
{
	if (hop->answered)
		return error_set(
			err, ERR_UNAVAILABLE, "the server answered %d before it had the whole body", hop->status);
	return tell_failure(hop, err);
}

bool hop_write(struct hop *hop, const void *bytes, size_t length, struct error *err)
{
	if (has_head(hop))
		return write_failed(hop, err);
	if ((int64_t)length > hop->body_bytes - hop->taken_bytes)
		return error_set(err, ERR_INVALID, "more bytes than were announced");
	hop->lent = bytes;
	hop->lent_length = length;
	hop->lent_taken = 0;
	hop->lent_at = hop->taken_bytes;
	if (length > 0)
		resume(hop, &hop->take_paused);
	bool waited = wait_until(hop, is_taken, err);
	bool taken = hop->lent_taken == length;
	hop->lent = NULL;
	hop->lent_length = hop->lent_taken = 0;
	if (!waited)
		return false;
	return taken || write_failed(hop, err);
}

static bool take_spilt(struct hop *hop, void *bytes, size_t capacity, size_t *got)
{
	size_t left = hop->spill.length - hop->spill_read;
	if (left == 0)
		return false;
	*got = smaller(capacity, left);
	memcpy(bytes, hop->spill.data + hop->spill_read, *got);
	hop->spill_read += *got;
	if (*got == left) {
		buf_clear(&hop->spill);
		hop->spill_read = 0;
	}
	return true;
}

static bool is_filled_or_ended(const struct hop *hop)
{
	return is_filled(hop) || hop->ended;
}

bool hop_read(struct hop *hop, void *bytes, size_t capacity, size_t *got, struct error *err)
{
	if (take_spilt(hop, bytes, capacity, got))
		return true;
	hop->into = bytes;
	hop->into_capacity = capacity;
	hop->into_length = 0;
	resume(hop, &hop->body_paused);
	(void)!wait_until(hop, is_filled_or_ended, NULL);
	*got = hop->into_length;
	hop->into = NULL;
	hop->into_length = 0;
	/* What came before the trouble is taken; the next call tells of it. */
	return *got > 0 || hop->failure.kind == ERR_NONE || tell_failure(hop, err);
}

static bool is_discarded(const struct hop *hop)
{
	return hop->ended || hop->received_bytes > (int64_t)DISCARD_BYTES;
}

bool hop_discard(struct hop *hop, struct error *err)
{
	hop->discard = true;
	resume(hop, &hop->body_paused);
	if (!wait_until(hop, is_discarded, NULL) && hop->failure.kind == ERR_CANCELED)
		return tell_failure(hop, err);
	drop_stream(hop);
	return true;
}
