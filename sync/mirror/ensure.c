/*
 * Every blob once (DESIGN section 5, P4): how the wants of images for a blob are settled.
 *
 * A want is a blob at one place, an endpoint and a repository. One task at a time decides a place; who wants the same
 * place waits. It looks: is it there, can it be mounted? What only a transfer can fulfil goes to blob->waiting. When
 * nobody looks any more, one of those who wait carries the blob to all endpoints that wait for it, one place each,
 * whoever's image wanted it; the others at an endpoint look again once it has arrived there, and mount. A want is
 * settled when the blob is at its own place, whatever the others still wait for. Who holds the others up is put off:
 * its image comes back with a want that is carried alone.
 *
 * Nobody who carries waits for a place, so the two kinds of waiting cannot wait for each other. Images are never
 * stopped one by one, only all together when the run is; who is being carried for waits for that to end.
 */
#include "sync/mirror/blob.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "scheduler/retry.h"

#include <stdio.h>
#include <string.h>

/* Wrong bytes may be the link's fault, so the next image that needs the blob asks once more; then no other (T-44). */
enum { CARRIES_MOST = 4, CORRUPT_MOST = 2 };

struct ensure {
	struct run *run;
	const struct blob_source *source;
	const struct descriptor *descriptor;
	struct blob *blob;
	struct want *wants;
	size_t want_count;
	bool alone; /* all of them are */
	struct group looks;
};

/* Ours to bring there, as soon as something can. */
static bool is_open(const struct want *want)
{
	return want->ours && !want->settled && !want->looking;
}

static bool any_open(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (is_open(&e->wants[i]))
			return true;
	return false;
}

/* --- settling one want ----------------------------------------------------------------------------------------------
 */

static void close_want(struct want *want)
{
	bool was_ours = want->ours;
	want->settled = true;
	want->ours = false;
	list_remove(&want->waiting);
	endpoint_writer_free(want->session);
	want->session = NULL;
	want->delivery->pending--;
	waitqueue_wake_all(want->delivery->news);
	if (was_ours)
		waitqueue_wake_all(&want->ensure->blob->changed);
}

/* It is there. Where it came under its true size, an image that tells another is not given it (T-32). */
static void accept(struct want *want)
{
	const struct ensure *e = want->ensure;
	struct error err;
	if (e->blob->size >= 0 && e->blob->size != e->descriptor->size) {
		error_set(&err, ERR_CORRUPT, "blob %s has %ld bytes, not %ld", e->descriptor->digest.text,
			(long)e->blob->size, (long)e->descriptor->size);
		outcome_fail(want->outcome, "blob", SIDE_SOURCE, &err);
	}
	close_want(want);
}

static void is_present(struct want *want)
{
	const struct ensure *e = want->ensure;
	struct holder *holder = blob_find_holder(e->blob, want->endpoint, want->repository);
	if (holder) {
		holder->present = true;
		holder->since_ms = loop_now_ms();
	}
	if (!endpoint_is_layout(want->endpoint))
		store_location_seen(
			e->run->store, endpoint_name(want->endpoint), want->repository, &e->descriptor->digest);
	accept(want);
}

static void release_holder(struct want *want)
{
	struct holder *holder = blob_find_holder(want->ensure->blob, want->endpoint, want->repository);
	if (holder && want->ours)
		blob_drop_holder(want->ensure->blob, holder);
}

void delivery_is_late(struct delivery *delivery, const char *image, const struct endpoint *endpoint)
{
	if (delivery->late)
		return;
	delivery->late = true;
	log_debug("%s: %s holds the others up, and is served after them", image, endpoint_name(endpoint));
	waitqueue_wake_all(delivery->news);
}

/* Its image comes back for it, when the others have been served. */
static bool is_put_off(const struct want *want)
{
	return want->delivery->late && !want->alone && !want->carried && !want->looking;
}

static void put_off(struct want *want)
{
	release_holder(want);
	close_want(want);
}

static void has_failed(struct want *want, enum side side, const struct error *why)
{
	const struct ensure *e = want->ensure;
	struct error err = *why;
	char name[24];
	release_holder(want);
	if (err.kind != ERR_CANCELED)
		error_wrap(&err, "blob %s", digest_short(&e->descriptor->digest, name));
	outcome_fail(want->outcome, "blob", side, &err);
	close_want(want);
}

static void fail_all(struct ensure *e, const struct error *why)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (!e->wants[i].settled)
			has_failed(&e->wants[i], SIDE_SOURCE, why);
}

/* --- looking --------------------------------------------------------------------------------------------------------
 */

/* Another repository of the same endpoint that holds it. */
static const struct holder *neighbour(const struct want *want)
{
	const struct blob *blob = want->ensure->blob;
	for (size_t i = 0; i < blob->holder_count; i++)
		if (blob->holders[i].present && blob->holders[i].endpoint == want->endpoint &&
			strcmp(blob->holders[i].repository, want->repository) != 0)
			return &blob->holders[i];
	return NULL;
}

/* Where to mount it from: a repository that has it, or, at its own registry, the source (PSH-8). NULL: nowhere. */
static const char *mountable_from(const struct want *want)
{
	const struct holder *near = neighbour(want);
	const struct blob_source *source = want->ensure->source;
	if (near || source->endpoint != want->endpoint || str_is(source->repository, want->repository))
		return near ? near->repository : NULL;
	return source->repository;
}

/* True: settled, one way or the other. False: it cannot be mounted from there. */
static bool try_mount(struct want *want, const char *from)
{
	const struct ensure *e = want->ensure;
	bool mounted = false;
	struct error err;
	auto_free char *from_repository = memory_text(from); /* the holder may move while we wait */
	char name[24];
	endpoint_writer_free(want->session);
	want->session = NULL;
	if (!endpoint_blob_mount(
		    want->endpoint, want->repository, from_repository, e->descriptor, &mounted, &want->session, &err)) {
		has_failed(want, SIDE_TARGET, &err);
		return true;
	}
	if (!mounted)
		return false;
	e->run->report.blobs.mounted++;
	log_debug("%s: blob %s mounted in %s/%s from %s", e->source->image, digest_short(&e->descriptor->digest, name),
		endpoint_name(want->endpoint), want->repository, from_repository);
	is_present(want);
	return true;
}

/* A repository that held it in an earlier run: a hint is good enough to try. */
static void try_remembered_mount(struct want *want)
{
	const struct ensure *e = want->ensure;
	auto_free char *from = NULL;
	const char *registry = endpoint_name(want->endpoint);
	struct error err;
	if (endpoint_is_layout(want->endpoint) ||
		!store_location_find(e->run->store, registry, want->repository, &e->descriptor->digest, &from, &err) ||
		!from)
		return;
	if (!try_mount(want, from))
		store_location_gone(e->run->store, registry, from, &e->descriptor->digest);
}

/* What is true of every request to that host, and is not to be asked for twice. */
static bool is_no_question(enum error_kind kind)
{
	return kind == ERR_CANCELED || kind == ERR_REFUSED || kind == ERR_RATE_LIMITED || kind == ERR_UNAUTHORIZED ||
	       kind == ERR_IO || kind == ERR_STORE;
}

static void look(struct want *want)
{
	const struct ensure *e = want->ensure;
	const char *near = mountable_from(want);
	bool present = false;
	struct error err;
	char name[24];
	want->stale = false;
	want->looked_at = e->blob->transfers;
	if (e->blob->distrusted == want->endpoint)
		return;
	if (near && !endpoint_is_layout(want->endpoint) && try_mount(want, near))
		return; /* a layout has one store for all: there, just look */
	if (!endpoint_blob_present(want->endpoint, want->repository, e->descriptor, &present, &err)) {
		/* UPL-1: a question that fails is only the slower way: the upload tells. But not where none may be
		 * asked. */
		if (is_no_question(err.kind))
			has_failed(want, SIDE_TARGET, &err);
	} else if (present) {
		e->run->report.blobs.present++;
		log_debug("%s: blob %s is at %s already", e->source->image, digest_short(&e->descriptor->digest, name),
			endpoint_name(want->endpoint));
		is_present(want);
	} else if (!near) {
		try_remembered_mount(want);
	}
}

static void look_task(void *argument)
{
	struct want *want = argument;
	look(want);
	want->looking = false;
	waitqueue_wake_all(&want->ensure->blob->changed);
}

/* A diff_id proven in an earlier run need not be proven again. */
static void remember_fact(struct ensure *e)
{
	struct fact fact;
	if (e->run->verifies_layers)
		blob_fact(e->run, e->descriptor, &fact);
}

/* What is still open needs a transfer, or, if one has ended since we asked, another look where a neighbour has it. */
static void enlist(struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++) {
		struct want *want = &e->wants[i];
		if (!is_open(want))
			continue;
		want->stale |= !want->carried && want->looked_at != e->blob->transfers && neighbour(want);
		if (list_is_empty(&want->waiting))
			list_append(&e->blob->waiting, &want->waiting);
	}
}

static size_t count_looking(const struct ensure *e)
{
	size_t count = 0;
	for (size_t i = 0; i < e->want_count; i++)
		count += e->wants[i].looking && !e->wants[i].delivery->late;
	return count;
}

static bool any_is_ready(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (!e->wants[i].looking && !e->wants[i].delivery->late)
			return true;
	return false;
}

/* Until all have answered that are not late; who has not SLOW_TARGET_MS after another has, is. */
static void wait_for_looks(struct ensure *e)
{
	struct error err;
	int64_t deadline = -1;
	while (count_looking(e) > 0) {
		if (deadline < 0 && any_is_ready(e))
			deadline = loop_now_ms() + SLOW_TARGET_MS;
		if (waitqueue_wait_until(&e->blob->changed, deadline, &err))
			continue;
		if (err.kind != ERR_TIMEOUT) {
			group_wait(&e->looks);
			return;
		}
		for (size_t i = 0; i < e->want_count; i++)
			if (e->wants[i].looking)
				delivery_is_late(e->wants[i].delivery, e->source->image, e->wants[i].endpoint);
	}
}

/* At all places that we decide and have not looked at since the last transfer, side by side. */
static void look_at_all(struct ensure *e)
{
	struct error err;
	e->blob->looking[e->alone]++;
	for (size_t i = 0; i < e->want_count; i++) {
		struct want *want = &e->wants[i];
		if (!is_open(want) || !want->stale)
			continue;
		if (e->want_count == 1) {
			look(want);
			continue;
		}
		want->looking = true;
		if (!group_spawn(&e->looks, look_task, want, &err)) {
			want->looking = false;
			has_failed(want, SIDE_TARGET, &err);
		}
	}
	wait_for_looks(e);
	if (any_open(e))
		remember_fact(e);
	enlist(e);
	if (--e->blob->looking[e->alone] == 0)
		waitqueue_wake_all(&e->blob->changed);
}

/* --- carrying -------------------------------------------------------------------------------------------------------
 */

/* Where to read it from: memory, a target that has it already, else the source. */
static void choose_source(struct ensure *e, struct transfer *transfer)
{
	transfer->source = e->source->endpoint;
	transfer->repository = e->source->repository;
	transfer->memory = content_peek(e->run, e->descriptor);
	if (transfer->memory || !e->blob->crossed || e->blob->no_reading_back)
		return;
	for (size_t i = 0; i < e->blob->holder_count; i++) {
		const struct holder *holder = &e->blob->holders[i];
		if (holder->present && endpoint_pause_ends_ms(holder->endpoint) == 0) {
			transfer->source = holder->endpoint;
			transfer->repository = holder->repository;
			return;
		}
	}
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
	if (want->stale || want->carried || has_company || is_put_off(want) ||
		endpoint_pause_ends_ms(want->endpoint) > 0 || transfer->sink_count == array_count(transfer->sinks) ||
		serves(transfer, want->endpoint))
		return;
	want->carried = true;
	transfer->sinks[transfer->sink_count++].want = want;
}

/* One want of each endpoint, of all that wait: ours first, so that it is we who fail when our source does. */
static void gather(struct transfer *transfer, struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (is_open(&e->wants[i]))
			add_sink(transfer, &e->wants[i]);
	list_for_each (node, &e->blob->waiting)
		add_sink(transfer, list_item(node, struct want, waiting));
	/* Also where this image asks for digests alone: another may ask for more, and it is carried once. */
	transfer->want_diff_id = e->run->verifies_layers && e->blob->fact.state == FACT_UNKNOWN;
}

static void keep_fact(struct ensure *e, const struct transfer *transfer)
{
	if (transfer->fact.state == FACT_UNKNOWN || e->blob->fact.state != FACT_UNKNOWN)
		return;
	e->blob->fact = transfer->fact;
	if (transfer->fact.state != FACT_PROVEN)
		return;
	e->run->report.verified.diff_ids++;
	store_diff_id_proven(e->run->store, &e->descriptor->digest, e->descriptor->size,
		blob_decoder_name(e->descriptor), &transfer->fact.diff_id);
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
	is_present(want);
	list_for_each (node, &e->blob->waiting) {
		struct want *other = list_item(node, struct want, waiting);
		other->stale |= other->endpoint == endpoint && !other->carried;
	}
}

static struct transfer *prepare(struct ensure *e)
{
	struct transfer *transfer = memory_new(1, sizeof *transfer);
	list_init(&transfer->node);
	transfer->run = e->run;
	transfer->blob = *e->descriptor;
	transfer->arrived = on_arrival;
	transfer->owner = e;
	snprintf(transfer->image, sizeof transfer->image, "%s", e->source->image);
	choose_source(e, transfer);
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
		put_off(want);
	else if (!is_worth_another_carry(want, sink))
		has_failed(want, SIDE_TARGET, &sink->err);
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
			has_failed(want, SIDE_SOURCE, why);
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
		want->stale |= !want->carried && neighbour(want);
	}
}

static void carry(struct ensure *e)
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

/*
 * When a carry of ours can begin: 0, or the end of the pause of the source, or of all targets of ours. Meanwhile
 * another task, whose own hosts are not paused, may carry for us, too.
 */
static int64_t held_up_until_ms(struct ensure *e)
{
	struct transfer choice = {0};
	int64_t first_ms = -1;
	choose_source(e, &choice);
	int64_t source_ms = choice.memory ? 0 : endpoint_pause_ends_ms(choice.source);
	content_release(e->run, choice.memory);
	for (size_t i = 0; i < e->want_count; i++) {
		int64_t ends_ms = endpoint_pause_ends_ms(e->wants[i].endpoint);
		if (is_open(&e->wants[i]) && (first_ms < 0 || ends_ms < first_ms))
			first_ms = ends_ms;
	}
	return source_ms > first_ms ? source_ms : first_ms;
}

/* --- the whole ------------------------------------------------------------------------------------------------------
 */

/* Take the places that nobody decides. */
static void claim(struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++) {
		struct want *want = &e->wants[i];
		if (want->settled)
			continue;
		const struct holder *holder = blob_find_holder(e->blob, want->endpoint, want->repository);
		if (holder && holder->present) {
			accept(want);
		} else if (is_put_off(want)) {
			put_off(want);
		} else if (!holder) {
			blob_add_holder(e->blob, want->endpoint, want->repository);
			want->ours = want->stale = true;
		}
	}
}

/* At our source and under our size, that is: another may have it whole. */
static bool is_known_corrupt(const struct ensure *e)
{
	return e->blob->corrupt_count >= CORRUPT_MOST && is_same_request(e);
}

static bool must_look(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (is_open(&e->wants[i]) && e->wants[i].stale)
			return true;
	return false;
}

static bool is_carried(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (e->wants[i].carried)
			return true;
	return false;
}

static bool all_settled(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (!e->wants[i].settled)
			return false;
	return true;
}

static bool wait_for_change(struct ensure *e, int64_t deadline_ms, struct error *err)
{
	if (waitqueue_wait_until(&e->blob->changed, deadline_ms, err) || err->kind == ERR_TIMEOUT)
		return true;
	group_wait(&e->looks);
	while (is_carried(e)) /* somebody's transfer uses our wants; it is being stopped too */
		waitqueue_wait_uncancelable(&e->blob->changed);
	return false;
}

void blob_ensure(struct run *run, const struct blob_source *source, const struct descriptor *descriptor,
	struct want *wants, size_t want_count)
{
	struct ensure e = {.run = run,
		.source = source,
		.descriptor = descriptor,
		.blob = blob_use(run, &descriptor->digest),
		.wants = wants,
		.want_count = want_count,
		.alone = want_count > 0 && wants[0].alone};
	struct error err;
	group_init(&e.looks, want_count);
	for (size_t i = 0; i < want_count; i++) {
		wants[i].ensure = &e;
		list_init(&wants[i].waiting);
	}
	for (claim(&e); !all_settled(&e); claim(&e)) {
		bool may_carry = any_open(&e) && !e.blob->carried[e.alone];
		int64_t held_ms = may_carry ? held_up_until_ms(&e) : 0;
		if (must_look(&e)) {
			look_at_all(&e);
		} else if (may_carry && is_known_corrupt(&e)) {
			fail_all(&e, &e.blob->corrupt);
		} else if (may_carry && e.blob->looking[e.alone] == 0 && held_ms <= 0) {
			carry(&e);
		} else if (!wait_for_change(&e, held_ms > 0 ? held_ms : -1, &err)) {
			fail_all(&e, &err);
		}
	}
	group_wait(&e.looks);
	blob_leave(run, e.blob);
}
