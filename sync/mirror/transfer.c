/*
 * One transfer: a blob's bytes from one source to some targets, through the verifier (DESIGN section 5).
 *
 *     source --> channel --+--> verifier   hashes (and inflates) on a worker, gives the verdict (verdict.c)
 *                          +--> sink       one a target: its own session, at its own pace
 *
 * The happy path: take all places in one step; read the source chunk by chunk; each sink opens its session when the
 * first chunk is there, holds the last chunk back until the verdict, then commits.
 *
 * The failure modes:
 *   the source breaks      asked again from the byte where it broke, while the sinks wait
 *   the bytes are wrong    the verdict says so: no sink has sent the last chunk, every session is cut
 *   a sink breaks          while the first chunk is still in the channel it starts over in a new session; later it
 *                          leaves, and is served afterwards from another target, or by another carry
 *   a run died             what it had got of the blob is read back first, and the source is asked for the rest
 *                          (beginning.c)
 *   a sink is slow         it is put out after SLOW_TARGET_MS, if others wait for it, and served afterwards
 */
#include "sync/mirror/transfer.h"

#include "base/log.h"
#include "base/memory.h"
#include "scheduler/loop.h"
#include "scheduler/retry.h"

#include <stdio.h>
#include <string.h>

/* BLB-5: a source that begins anew after every break costs the square of the blob's size. */
enum { RESTARTS_MOST = 3 };

/* A source that breaks moves if it has brought so much since it last did: then only breaks without moving count. */
enum { MOVES_BYTES = 64 * 1024 };

enum { SINK_ATTEMPTS = 3 };

/* Of a blob that begins while the run is being stopped; no link worth having needs --grace for it. */
enum { BEGINS_LATE_MOST = 1024 * 1024 };

/* --- places --------------------------------------------------------------------------------------------------------
 */

/* A small blob takes no more than it fills. */
static size_t chunks_of(const struct descriptor *blob)
{
	return blob->size > (int64_t)CHANNEL_CHUNK_BYTES ? TRANSFER_CHUNKS : 1;
}

static void add_place(struct transfer *transfer, struct gate *gate, size_t amount)
{
	size_t at = 0;
	while (at < transfer->place_count && transfer->places[at].gate != gate)
		at++;
	/* One place of a host serves both directions: it then needs no second one (DESIGN 5.9). */
	if (at == transfer->place_count)
		transfer->places[transfer->place_count++] = (struct gate_claim){gate, amount};
	transfer->place_users[at]++;
}

static void is_late(const struct sink *sink)
{
	delivery_is_late(sink->want->delivery, sink->transfer->image, sink->want->endpoint);
}

static void list_places(struct transfer *transfer)
{
	transfer->place_count = 0;
	memset(transfer->place_users, 0, sizeof transfer->place_users);
	add_place(transfer, &transfer->run->chunks, chunks_of(&transfer->blob));
	if (!transfer->memory)
		add_place(transfer, endpoint_blob_gate(transfer->source), 1);
	for (size_t i = 0; i < transfer->sink_count; i++)
		if (!transfer->sinks[i].put_out)
			add_place(transfer, transfer->sinks[i].gate, 1);
}

/* Those that have no place while others have are too slow for them: what they do takes all their places. */
static void put_out_the_full(struct transfer *transfer)
{
	size_t full = 0, left = 0;
	for (size_t i = 0; i < transfer->sink_count; i++) {
		left += !transfer->sinks[i].put_out;
		full += !transfer->sinks[i].put_out && gate_is_full(transfer->sinks[i].gate);
	}
	for (size_t i = 0; i < transfer->sink_count && full < left; i++) {
		struct sink *sink = &transfer->sinks[i];
		if (sink->put_out || !gate_is_full(sink->gate))
			continue;
		sink->put_out = true;
		is_late(sink);
	}
}

/* All that it needs, in one step. */
static bool take_places(struct transfer *transfer, struct error *err)
{
	for (size_t i = 0; i < transfer->sink_count; i++)
		transfer->sinks[i] = (struct sink){.transfer = transfer,
			.want = transfer->sinks[i].want,
			.gate = endpoint_blob_gate(transfer->sinks[i].want->endpoint)};
	for (;;) {
		int64_t deadline = transfer->sink_count > 1 ? loop_now_ms() + SLOW_TARGET_MS : -1;
		struct error why;
		list_places(transfer);
		if (gate_enter_all_until(transfer->places, transfer->place_count, deadline, &why))
			return true;
		if (why.kind != ERR_TIMEOUT) {
			*err = why;
			return false;
		}
		put_out_the_full(transfer);
	}
}

/* Each on its own: a host that is done with is not kept by one that is slow. */
static void leave_place(struct transfer *transfer, const struct gate *gate)
{
	size_t at = 0;
	while (transfer->places[at].gate != gate)
		at++;
	if (--transfer->place_users[at] == 0)
		gate_leave_all(&transfer->places[at], 1);
}

/* --- the sinks ------------------------------------------------------------------------------------------------------
 */

static bool wait_for_verdict(struct transfer *transfer, struct error *err)
{
	if (!latch_wait(&transfer->verdict, err))
		return false;
	if (transfer->verdict_err.kind == ERR_NONE)
		return true;
	*err = transfer->verdict_err;
	return false;
}

static bool open_session(struct sink *sink, struct error *err)
{
	struct want *want = sink->want;
	if (sink->writer)
		return true;
	return endpoint_blob_create(want->endpoint, want->repository, &sink->transfer->blob, &sink->writer, err);
}

/* One attempt, from the chunk at which the reader stands: the first. */
static bool send_blob(struct sink *sink, struct error *err)
{
	struct transfer *transfer = sink->transfer;
	int64_t sent = 0;
	for (;;) {
		const unsigned char *data;
		size_t length;
		if (!channel_read(&sink->reader, &data, &length, err))
			return false;
		/* A session is opened when there is something to put into it: it must not grow old while the source
		 * stalls (T-5). */
		bool last = sent + (int64_t)length == transfer->blob.size;
		if (last && !wait_for_verdict(transfer, err))
			return false;
		if (!open_session(sink, err))
			return false;
		if (length > 0 && !endpoint_writer_write(sink->writer, data, length, err))
			return false;
		sent += (int64_t)length;
		transfer->run->report.bytes.uploaded += (int64_t)length;
		if (length > 0)
			channel_advance(&sink->reader);
		if (last)
			return endpoint_writer_commit(sink->writer, err);
		if (length == 0)
			return error_set(err, ERR_CORRUPT, "the source ended after %ld of %ld bytes", (long)sent,
				(long)transfer->blob.size);
	}
}

/* Another session from the first chunk on, while that is still there? Waits before it, unless the way was the fault. */
static bool starts_over(struct sink *sink)
{
	bool other_way = sink->advice == UPLOAD_OTHER_WAY || sink->advice == UPLOAD_MOVED;
	bool once_more = sink->advice == UPLOAD_ONCE_MORE && sink->attempts == 1;
	if (sink->want->sessions_gone > SESSIONS_GONE_MOST)
		return false;
	if (!other_way && !once_more && (sink->attempts >= SINK_ATTEMPTS || !retry_is_transient(&sink->err)))
		return false;
	if (sink->advice == UPLOAD_ONCE_MORE && !once_more)
		return false;
	return channel_rewind(&sink->reader) && (other_way || retry_pause(&retry_default, sink->attempts, &sink->err));
}

static void end_writer(struct sink *sink)
{
	if (!sink->arrived && beginning_survives(&sink->err))
		endpoint_writer_keep(sink->writer);
	if (sink->advice == UPLOAD_MOVED) {
		endpoint_writer_restart(sink->writer);
		return;
	}
	endpoint_writer_free(sink->writer);
	sink->writer = NULL;
}

static void sink_task(void *argument)
{
	struct sink *sink = argument;
	do {
		sink->arrived = send_blob(sink, &sink->err);
		sink->advice = sink->arrived ? UPLOAD_NO_ADVICE : endpoint_writer_advice(sink->writer);
		sink->attempts += sink->advice != UPLOAD_OTHER_WAY && sink->advice != UPLOAD_MOVED;
		sink->want->sessions_gone += sink->advice == UPLOAD_GONE;
		end_writer(sink);
	} while (!sink->arrived && starts_over(sink));
	channel_leave(&sink->reader);
	sink->put_out = sink->reader.put_out && !sink->arrived;
	sink->ended = true;
	sink->transfer->sinks_left--;
	leave_place(sink->transfer, sink->gate);
	if (sink->arrived) {
		sink->err = (struct error){.kind = ERR_NONE};
		sink->transfer->arrived(sink);
	}
}

/* --- the source -----------------------------------------------------------------------------------------------------
 */

/* What was got so far of the chunk being filled survives a break, so that not a byte is asked for twice. */
struct partial {
	unsigned char *data; /* NULL: none reserved */
	size_t length;
};

static int64_t position(const struct transfer *transfer, const struct partial *partial)
{
	return transfer->offset + (int64_t)partial->length;
}

static bool reserve(struct transfer *transfer, struct partial *partial, struct error *err)
{
	int64_t patience = transfer->sinks_left > 1 ? SLOW_TARGET_MS : -1;
	if (partial->data)
		return true;
	partial->length = 0;
	bool ok = channel_reserve_within(&transfer->channel, patience, &partial->data, err);
	for (size_t i = 0; i < transfer->sink_count; i++)
		if (transfer->sinks[i].reader.put_out && transfer->sinks[i].want)
			is_late(&transfer->sinks[i]);
	return ok;
}

/* The next bytes that @reader has before @end; a chunk goes when it is full, and the blob's last one. */
static bool fill_chunk(struct transfer *transfer, struct endpoint_reader *reader, int64_t end, struct partial *partial,
	struct error *err)
{
	size_t wanted = transfer->channel.slot_bytes, got;
	if ((int64_t)wanted > transfer->blob.size - transfer->offset)
		wanted = (size_t)(transfer->blob.size - transfer->offset);
	while (partial->length < wanted && position(transfer, partial) < end) {
		if (!endpoint_reader_read(reader, partial->data + partial->length, wanted - partial->length, &got, err))
			return false;
		if (got == 0)
			return error_set(err, ERR_UNAVAILABLE, "ended after %ld of %ld bytes",
				(long)position(transfer, partial), (long)transfer->blob.size);
		partial->length += got;
		if (reader != transfer->beginning)
			transfer->run->report.bytes.downloaded += (int64_t)got;
	}
	if (partial->length < wanted)
		return true;
	transfer->offset += (int64_t)partial->length;
	channel_publish(&transfer->channel, partial->length);
	*partial = (struct partial){0};
	return true;
}

static bool pump_reader(struct transfer *transfer, struct endpoint_reader *reader, int64_t end, struct partial *partial,
	struct error *err)
{
	bool ok = true;
	while (ok && position(transfer, partial) < end && transfer->sinks_left > 0)
		ok = reserve(transfer, partial, err) && fill_chunk(transfer, reader, end, partial, err);
	return ok;
}

static bool may_go_on(struct transfer *transfer, const struct endpoint_reader *reader, int64_t from, struct error *err)
{
	if (!endpoint_reader_starts_over(reader) || ++transfer->restarts <= RESTARTS_MOST)
		return true;
	return error_set(err, ERR_PROTOCOL,
		"the source breaks off, and then begins anew instead of going on; given up after %d times, at byte %ld "
		"of %ld",
		RESTARTS_MOST, (long)from, (long)transfer->blob.size);
}

/* From where we are to the end, or to the next break. */
static bool pump_once(struct transfer *transfer, struct partial *partial, struct error *err)
{
	struct endpoint_reader *reader;
	int64_t from = position(transfer, partial);
	if (!endpoint_blob_open(transfer->source, transfer->repository, &transfer->blob, from, &reader, err))
		return false;
	snprintf(transfer->encoding, sizeof transfer->encoding, "%s", endpoint_reader_encoding(reader));
	bool ok = may_go_on(transfer, reader, from, err) &&
		  pump_reader(transfer, reader, transfer->blob.size, partial, err);
	endpoint_reader_close(reader);
	return ok;
}

/* What is there of it already, and the rest from the source. */
static bool pump(struct transfer *transfer, struct error *err)
{
	struct partial partial = {0};
	if (!pump_reader(transfer, transfer->beginning, transfer->found, &partial, err))
		return false;
	if (transfer->offset == transfer->blob.size)
		return true;
	uint64_t answers = endpoint_answers(transfer->source);
	int64_t mark = position(transfer, &partial);
	for (int attempt = 1;; attempt++) {
		/* What has not begun does not keep its places at others through this host's pause. */
		transfer->found_paused =
			position(transfer, &partial) == 0 && endpoint_pause_ends_ms(transfer->source) > 0;
		if (transfer->found_paused)
			return error_set(err, ERR_RATE_LIMITED, "the source is paused");
		if (pump_once(transfer, &partial, err))
			return true;
		int64_t now = position(transfer, &partial);
		if (now - mark >= MOVES_BYTES) {
			attempt = 1;
			mark = now;
		}
		log_debug("%s: after %ld bytes: %s", transfer->image, (long)now, err->text);
		if (!endpoint_retry_pause(transfer->source, attempt, answers, err))
			return false;
	}
}

static bool pump_memory(struct transfer *transfer, struct error *err)
{
	const struct content *memory = transfer->memory;
	while (transfer->offset < transfer->blob.size && transfer->sinks_left > 0) {
		unsigned char *data;
		size_t length = transfer->channel.slot_bytes;
		if ((int64_t)length > transfer->blob.size - transfer->offset)
			length = (size_t)(transfer->blob.size - transfer->offset);
		if (!channel_reserve(&transfer->channel, &data, err))
			return false;
		memcpy(data, memory->bytes + transfer->offset, length);
		transfer->offset += (int64_t)length;
		channel_publish(&transfer->channel, length);
	}
	return true;
}

/* --- the whole ------------------------------------------------------------------------------------------------------
 */

static void start_tasks(struct transfer *transfer, struct group *group)
{
	size_t chunk_bytes = CHANNEL_CHUNK_BYTES;
	if (transfer->blob.size < (int64_t)chunk_bytes)
		chunk_bytes = (size_t)transfer->blob.size;
	channel_init(&transfer->channel, chunks_of(&transfer->blob), chunk_bytes > 0 ? chunk_bytes : 1);
	latch_init(&transfer->verdict);
	channel_join(&transfer->channel, &transfer->verifier);
	transfer->verifier.essential = true;
	if (transfer->is_staged)
		channel_join(&transfer->channel, &transfer->stager);
	group_init(group, transfer->sink_count + 2);
	for (size_t i = 0; i < transfer->sink_count; i++) {
		struct sink *sink = &transfer->sinks[i];
		sink->ended = sink->put_out;
		if (sink->ended)
			continue;
		transfer->sinks_left++;
		sink->writer = sink->want->session;
		sink->want->session = NULL;
		channel_join(&transfer->channel, &sink->reader);
	}
	bool started = group_spawn(group, transfer_verify, transfer, &transfer->source_err);
	if (started && transfer->is_staged)
		started = group_spawn(group, transfer_stage, transfer, &transfer->source_err);
	for (size_t i = 0; i < transfer->sink_count && started; i++)
		if (!transfer->sinks[i].ended)
			started = group_spawn(group, sink_task, &transfer->sinks[i], &transfer->source_err);
}

/* How the source ended, as the verifier and the sinks learn it. */
static void close_source(struct transfer *transfer, bool ok)
{
	struct error nobody;
	if (ok)
		transfer->source_err = (struct error){.kind = ERR_NONE};
	transfer->abandoned = ok && transfer->offset < transfer->blob.size;
	error_set(&nobody, ERR_CANCELED, "every target failed");
	channel_close(&transfer->channel, !ok ? &transfer->source_err : transfer->abandoned ? &nobody : NULL);
}

static void carry(struct transfer *transfer)
{
	struct group group;
	if (!transfer->memory)
		transfer_find_beginning(transfer);
	start_tasks(transfer, &group);
	bool ok = transfer->source_err.kind == ERR_NONE &&
		  (transfer->memory ? pump_memory(transfer, &transfer->source_err)
				    : pump(transfer, &transfer->source_err));
	close_source(transfer, ok);
	if (!transfer->memory)
		leave_place(transfer, endpoint_blob_gate(transfer->source));
	group_wait(&group);
	for (size_t i = 0; i < transfer->sink_count; i++) {
		if (transfer->sinks[i].ended)
			continue;
		endpoint_writer_free(transfer->sinks[i].writer); /* of a task that was never started */
		transfer->sinks[i].writer = NULL;
		leave_place(transfer, transfer->sinks[i].gate);
	}
	if (transfer->is_staged)
		transfer_end_staging(transfer);
	channel_release(&transfer->channel);
}

/* While a run is being stopped, what is small may still begin: an image may lack nothing else. */
void transfer_run(struct transfer *transfer)
{
	if (!take_places(transfer, &transfer->source_err))
		return;
	list_append(&transfer->run->transfers, &transfer->node);
	if (run_is_stopping(transfer->run) && transfer->blob.size > BEGINS_LATE_MOST)
		error_set(&transfer->source_err, ERR_CANCELED, "stopped");
	else
		carry(transfer);
	if (transfer->beginning)
		endpoint_reader_close(transfer->beginning);
	list_remove(&transfer->node);
	leave_place(transfer, &transfer->run->chunks);
}
