/*
 * One carry: whom a transfer serves, where it reads, and what came of it for each (DESIGN section 5).
 *
 * The bytes are read from memory, from a target that has them already, or else from the source, once in the run. Where
 * the source fails, it fails for the images that named it; where a target fails or is late, for the want at that target
 * alone. Whoever is left over stays open, and looks again or is carried again.
 */
#include "sync/mirror/ensure.h"
#include "sync/mirror/transfer.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/retry.h"

#include <stdio.h>

/* Wrong bytes may be the link's fault, so the next image that needs the blob asks once more; then no other (T-44). */
enum { CARRIES_MOST = 4, CORRUPT_MOST = 2 };

/* Where to read it from: memory, a target that has it already, else the source. */
struct source_choice {
	struct endpoint *endpoint;
	const char *repository;
	const struct content *memory; /* instead, where it is not NULL; to be released */
};

static struct source_choice choose_source(const struct ensure *e)
{
	struct source_choice source = {e->source->endpoint, e->source->repository, content_peek(e->run, e->descriptor)};
	if (source.memory || !e->blob->crossed || e->blob->no_reading_back)
		return source;
	for (size_t i = 0; i < e->blob->holder_count; i++) {
		const struct holder *holder = &e->blob->holders[i];
		if (holder->present && endpoint_pause_ends_ms(holder->endpoint) == 0)
			return (struct source_choice){holder->endpoint, holder->repository, NULL};
	}
	return source;
}

static bool serves(const struct transfer *transfer, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < transfer->sink_count; i++)
		if (transfer->sinks[i].want->endpoint == endpoint)
			return true;
	return false;
}

/* A stale one's own task is about to look, and may settle it; one that is late would hold the others up. */
static void add_sink(struct transfer *transfer, struct want *want)
{
	bool has_company = transfer->sink_count > 0 && (want->alone || transfer->sinks[0].want->alone);
	if (want->stale || want->carried || has_company || want_is_put_off(want) ||
		endpoint_pause_ends_ms(want->endpoint) > 0 || transfer->sink_count == transfer->sinks_most ||
		serves(transfer, want->endpoint))
		return;
	want->carried = true;
	transfer->sinks[transfer->sink_count++].want = want;
}

/* One want of each endpoint, of all that wait: ours first, so that it is we who fail when our source does. */
static void gather(struct transfer *transfer, struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (want_is_open(&e->wants[i]))
			add_sink(transfer, &e->wants[i]);
	list_for_each (node, &e->blob->waiting)
		add_sink(transfer, list_item(node, struct want, waiting));
	/* Also where this image asks for digests alone: another may ask for more, and it is carried once. */
	transfer->want_diff_id = e->run->verifies_layers && e->blob->fact.state == FACT_UNKNOWN;
}

static void keep_fact(struct ensure *e, const struct transfer *transfer)
{
	if (transfer->fact.state != FACT_UNKNOWN && e->blob->fact.state == FACT_UNKNOWN)
		blob_learn(e->run, e->blob, e->descriptor, &transfer->fact);
}

/* At one target, while others may still be at it: who waits there for its neighbour can look now. */
static void on_arrival(struct sink *sink)
{
	struct ensure *e = sink->transfer->owner;
	struct want *want = sink->want;
	struct endpoint *endpoint = want->endpoint;
	keep_fact(e, sink->transfer);
	e->blob->size = e->descriptor->size;
	e->blob->crossed = true;
	e->blob->transfers++;
	e->run->report.blobs.uploaded++;
	sink->want = NULL; /* its task may go on, and be gone */
	want->carried = false;
	want->delivery->sent_bytes += e->descriptor->size;
	want_fulfil(want);
	list_for_each (node, &e->blob->waiting) {
		struct want *other = list_item(node, struct want, waiting);
		other->stale |= other->endpoint == endpoint && !other->carried;
	}
}

static size_t most_sinks(const struct ensure *e)
{
	size_t count = e->want_count;
	list_for_each (node, &e->blob->waiting)
		count++;
	return count < TRANSFER_SINKS_MOST ? count : TRANSFER_SINKS_MOST;
}

static struct transfer *prepare(struct ensure *e)
{
	size_t most = most_sinks(e);
	struct transfer *transfer = memory_new(1, sizeof *transfer + most * sizeof transfer->sinks[0]);
	transfer->sinks_most = most;
	list_init(&transfer->node);
	transfer->run = e->run;
	transfer->blob = *e->descriptor;
	transfer->arrived = on_arrival;
	transfer->owner = e;
	snprintf(transfer->image, sizeof transfer->image, "%s", e->source->image);
	struct source_choice choice = choose_source(e);
	transfer->source = choice.endpoint;
	transfer->repository = choice.repository;
	transfer->memory = choice.memory;
	gather(transfer, e);
	return transfer;
}

/* Why the bytes did not come, or were wrong; NULL: they came, or nobody was left who wanted them. */
static const struct error *failure_of_source(const struct transfer *transfer)
{
	if (transfer->abandoned)
		return NULL;
	if (transfer->source_err.kind != ERR_NONE)
		return &transfer->source_err;
	return transfer->verdict_err.kind != ERR_NONE ? &transfer->verdict_err : NULL;
}

static void count_source(struct ensure *e, const struct transfer *transfer, bool crossed_before)
{
	struct report *report = &e->run->report;
	bool from_source =
		!transfer->memory && transfer->source == e->source->endpoint && transfer->offset > transfer->found;
	/* What goes on where an attempt of this run ended is one reading still. */
	if (from_source && !crossed_before)
		report->blobs.downloaded++;
	else if (from_source && transfer->found == 0)
		report->blobs.reread++;
	report->bytes.resumed += transfer->found;
	e->blob->crossed |= from_source || transfer->memory;
	if (!transfer->memory && !transfer->abandoned && !failure_of_source(transfer))
		report->verified.digests++;
}

/* It left the transfer: because the beginning was gone that it had to start over from, or for good. */
static bool is_worth_another_carry(struct want *want, const struct sink *sink)
{
	if (sink->advice == UPLOAD_OTHER_WAY)
		return true; /* what a host teaches comes to an end */
	if (want->sessions_gone > SESSIONS_GONE_MOST)
		return false;
	bool is_first = ++want->failed_carries == 1;
	if (sink->advice == UPLOAD_ONCE_MORE)
		return is_first && sink->attempts == 1;
	return want->failed_carries < CARRIES_MOST && retry_is_transient(&sink->err);
}

/* What came of it for one that it did not reach, though the source did its part. */
static void settle(struct sink *sink)
{
	struct want *want = sink->want;
	if (sink->put_out)
		want_put_off(want);
	else if (!is_worth_another_carry(want, sink))
		want_fail(want, SIDE_TARGET, &sink->err);
}

static bool is_same_request(const struct ensure *e)
{
	return e->blob->corrupt_source == e->source->endpoint && e->blob->corrupt_size == e->descriptor->size;
}

static void note_corrupt(struct ensure *e, const struct error *err)
{
	if (!is_same_request(e))
		e->blob->corrupt_count = 0;
	e->blob->corrupt_source = e->source->endpoint;
	e->blob->corrupt_size = e->descriptor->size;
	e->blob->corrupt = *err;
	e->blob->corrupt_count++;
}

bool ensure_is_known_corrupt(const struct ensure *e)
{
	return e->blob->corrupt_count >= CORRUPT_MOST && is_same_request(e);
}

/* That our source failed says nothing of another image's; that a target did not give it back, nothing of any. */
static void settle_unfed(struct ensure *e, struct transfer *transfer, const struct error *why)
{
	/* What a dead run left may be what is wrong: it is gone now, and all of the blob is asked for. */
	if (transfer->found > 0 && why->kind == ERR_CORRUPT)
		return;
	bool from_source = transfer->memory || (transfer->source == e->source->endpoint &&
						       str_is(transfer->repository, e->source->repository));
	e->blob->no_reading_back |= !from_source;
	if (from_source && why->kind == ERR_CORRUPT)
		note_corrupt(e, why);
	for (size_t i = 0; i < transfer->sink_count; i++) {
		struct want *want = transfer->sinks[i].want;
		if (want && want->ensure == e && (from_source || why->kind == ERR_CANCELED))
			want_fail(want, SIDE_SOURCE, why);
	}
}

static void release_sinks(struct transfer *transfer)
{
	for (size_t i = 0; i < transfer->sink_count; i++)
		if (transfer->sinks[i].want)
			transfer->sinks[i].want->carried = false;
}

static void settle_all(struct ensure *e, struct transfer *transfer)
{
	const struct error *why = failure_of_source(transfer);
	release_sinks(transfer);
	if (why)
		settle_unfed(e, transfer, why);
	for (size_t i = 0; i < transfer->sink_count && !why; i++)
		if (transfer->sinks[i].want)
			settle(&transfer->sinks[i]);
	list_for_each (node, &e->blob->waiting) {
		struct want *want = list_item(node, struct want, waiting);
		want->stale |= !want->carried && want_neighbour(want);
	}
}

void ensure_carry(struct ensure *e)
{
	struct transfer *transfer = prepare(e);
	auto_free char *repository = memory_text(transfer->repository); /* a holder's may move meanwhile */
	bool crossed_before = e->blob->crossed;
	char name[24];
	transfer->repository = repository;
	log_debug("%s: blob %s goes from %s to %zu targets", transfer->image,
		digest_short(&transfer->blob.digest, name),
		transfer->memory ? "memory" : endpoint_name(transfer->source), transfer->sink_count);
	e->blob->carried[e->alone] = true;
	transfer_run(transfer);
	e->blob->carried[e->alone] = false;
	content_release(e->run, transfer->memory);
	if (transfer->found_paused) {
		release_sinks(transfer);
		waitqueue_wake_all(&e->blob->changed);
		free(transfer);
		return;
	}
	e->blob->transfers++;
	count_source(e, transfer, crossed_before);
	keep_fact(e, transfer);
	settle_all(e, transfer);
	waitqueue_wake_all(&e->blob->changed);
	free(transfer);
}

int64_t ensure_held_up_until_ms(struct ensure *e)
{
	struct source_choice choice = choose_source(e);
	int64_t source_ms = choice.memory ? 0 : endpoint_pause_ends_ms(choice.endpoint);
	int64_t first_ms = -1;
	content_release(e->run, choice.memory);
	for (size_t i = 0; i < e->want_count; i++) {
		int64_t ends_ms = endpoint_pause_ends_ms(e->wants[i].endpoint);
		if (want_is_open(&e->wants[i]) && (first_ms < 0 || ends_ms < first_ms))
			first_ms = ends_ms;
	}
	return source_ms > first_ms ? source_ms : first_ms;
}
