/*
 * Every blob once (DESIGN section 5, P4).
 *
 * One record a digest, kept for as long as somebody uses it and, among the KNOWN_BLOBS last used, afterwards. It knows
 * who holds the blob (endpoint and repository), who is finding that out, whether it crossed the source link already,
 * what its diff_id is, and the transfer that carries it now.
 *
 * Two latches, both told by `changed`: a place (endpoint, repository) is decided by one task at a time, and at most one
 * transfer of a digest runs. Nobody who carries waits for a place, so the two cannot wait for each other.
 *
 * The task that carries is the image's that asked first. Images are never stopped one by one, only all together when
 * the run is, so nobody else's transfer ends with it.
 */
#include "sync/mirror/internal.h"

#include "base/memory.h"
#include "scheduler/retry.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

/* Wrong bytes may be the link's fault, so the next image that needs the blob asks once more; then no other (T-44). */
enum { CARRIES_MOST = 4, CORRUPT_MOST = 2 };

struct holder {
	struct endpoint *endpoint;
	char *repository;
	bool present; /* false: a task is finding out, or making it so */
};

struct blob {
	char key[DIGEST_TEXT_MAX + 1];
	UT_hash_handle hh;
	struct list unused;
	size_t users;
	struct holder *holders;
	size_t holder_count;
	bool crossed;           /* the source link, in this run */
	unsigned corrupt_count; /* times that the source gave wrong bytes for it */
	struct error corrupt;   /* and how they were wrong */
	struct fact fact;
	bool carried; /* a transfer runs */
	struct waitqueue changed;
};

struct blob_table {
	struct blob *blobs;
	struct list unused; /* oldest first */
	size_t unused_count;
};

struct blob_table *blob_table_new(void)
{
	struct blob_table *table = memory_new(1, sizeof *table);
	list_init(&table->unused);
	return table;
}

static void forget(struct blob_table *table, struct blob *blob)
{
	HASH_DEL(table->blobs, blob);
	for (size_t i = 0; i < blob->holder_count; i++)
		free(blob->holders[i].repository);
	free(blob->holders);
	free(blob);
}

void blob_table_free(struct blob_table *table)
{
	if (!table)
		return;
	struct blob *blob, *next;
	HASH_ITER(hh, table->blobs, blob, next)
	{
		forget(table, blob);
	}
	free(table);
}

static struct blob *blob_use(struct run *run, const struct digest *digest)
{
	struct blob_table *table = run->blobs;
	struct blob *blob;
	HASH_FIND_STR(table->blobs, digest->text, blob);
	if (!blob) {
		blob = memory_new(1, sizeof *blob);
		memcpy(blob->key, digest->text, sizeof blob->key);
		list_init(&blob->unused);
		waitqueue_init(&blob->changed);
		HASH_ADD_STR(table->blobs, key, blob);
		run->report.blobs.unique++;
	}
	if (blob->users++ == 0 && !list_is_empty(&blob->unused)) {
		list_remove(&blob->unused);
		table->unused_count--;
	}
	return blob;
}

static void blob_leave(struct run *run, struct blob *blob)
{
	struct blob_table *table = run->blobs;
	if (--blob->users > 0)
		return;
	list_append(&table->unused, &blob->unused);
	if (++table->unused_count > KNOWN_BLOBS) {
		struct blob *oldest = list_item(table->unused.next, struct blob, unused);
		list_remove(&oldest->unused);
		table->unused_count--;
		forget(table, oldest);
	}
}

/* --- who holds it ---------------------------------------------------------------------------------------------------
 */

static struct holder *find_holder(struct blob *blob, const struct endpoint *endpoint, const char *repository)
{
	for (size_t i = 0; i < blob->holder_count; i++)
		if (blob->holders[i].endpoint == endpoint && strcmp(blob->holders[i].repository, repository) == 0)
			return &blob->holders[i];
	return NULL;
}

static void drop_holder(struct blob *blob, const struct holder *holder)
{
	size_t at = (size_t)(holder - blob->holders);
	free(blob->holders[at].repository);
	blob->holders[at] = blob->holders[--blob->holder_count];
}

/* The oldest that is settled makes room; the first one of an endpoint is the one that mounts come from, so keep it. */
static void bound_holders(struct blob *blob)
{
	if (blob->holder_count < HOLDERS_PER_BLOB)
		return;
	for (size_t i = 1; i < blob->holder_count; i++)
		if (blob->holders[i].present && blob->holders[i].endpoint == blob->holders[0].endpoint) {
			drop_holder(blob, &blob->holders[i]);
			return;
		}
}

static void add_holder(struct blob *blob, struct endpoint *endpoint, const char *repository)
{
	bound_holders(blob);
	blob->holders = memory_resize(blob->holders, blob->holder_count + 1, sizeof *blob->holders);
	blob->holders[blob->holder_count++] = (struct holder){endpoint, memory_text(repository), false};
}

/* Another repository of the same endpoint that holds it. */
static const struct holder *neighbour(const struct blob *blob, const struct want *want)
{
	for (size_t i = 0; i < blob->holder_count; i++)
		if (blob->holders[i].present && blob->holders[i].endpoint == want->endpoint &&
			strcmp(blob->holders[i].repository, want->repository) != 0)
			return &blob->holders[i];
	return NULL;
}

/* --- settling one want ----------------------------------------------------------------------------------------------
 */

struct ensure {
	struct run *run;
	const struct blob_source *source;
	const struct descriptor *descriptor;
	struct blob *blob;
	struct want *wants;
	size_t want_count;
};

static void is_present(struct ensure *e, struct want *want)
{
	struct holder *holder = find_holder(e->blob, want->endpoint, want->repository);
	if (holder)
		holder->present = true;
	want->settled = true;
	want->ours = false;
	endpoint_writer_free(want->session);
	want->session = NULL;
	if (!endpoint_is_layout(want->endpoint))
		store_location_seen(
			e->run->store, endpoint_name(want->endpoint), want->repository, &e->descriptor->digest);
	waitqueue_wake_all(&e->blob->changed);
}

static void has_failed(struct ensure *e, struct want *want, enum side side, struct error *err)
{
	char name[24];
	struct holder *holder = find_holder(e->blob, want->endpoint, want->repository);
	if (holder && want->ours)
		drop_holder(e->blob, holder);
	want->settled = true;
	want->ours = false;
	endpoint_writer_free(want->session);
	want->session = NULL;
	if (err->kind != ERR_CANCELED)
		error_wrap(err, "blob %s", digest_short(&e->descriptor->digest, name));
	outcome_fail(want->outcome, "blob", side, err);
	waitqueue_wake_all(&e->blob->changed);
}

/* From a neighbour's repository. False: not that way, with the error only if it ends the want. */
static bool try_mount(struct ensure *e, struct want *want, const char *from)
{
	bool mounted = false;
	struct error err;
	auto_free char *neighbour_name = memory_text(from); /* the holder may move while we wait */
	endpoint_writer_free(want->session);
	want->session = NULL;
	if (!endpoint_blob_mount(
		    want->endpoint, want->repository, neighbour_name, e->descriptor, &mounted, &want->session, &err)) {
		has_failed(e, want, SIDE_TARGET, &err);
		return true;
	}
	if (!mounted)
		return false;
	e->run->report.blobs.mounted++;
	is_present(e, want);
	return true;
}

/* A repository that held it in an earlier run: a hint is good enough to try. */
static bool try_remembered_mount(struct ensure *e, struct want *want)
{
	auto_free char *from = NULL;
	const char *registry = endpoint_name(want->endpoint);
	if (endpoint_is_layout(want->endpoint) ||
		!store_location_find(e->run->store, registry, want->repository, &e->descriptor->digest, &from, NULL) ||
		!from)
		return false;
	if (try_mount(e, want, from))
		return true;
	store_location_gone(e->run->store, registry, from, &e->descriptor->digest);
	return false;
}

/* Find out whether it is there, or can be without carrying it. */
static void look(struct ensure *e, struct want *want)
{
	const struct holder *near = neighbour(e->blob, want);
	if (endpoint_is_layout(want->endpoint))
		near = NULL; /* one store for all its repositories */
	if (near && try_mount(e, want, near->repository))
		return;
	bool present = false;
	struct error err;
	if (!endpoint_blob_present(want->endpoint, want->repository, e->descriptor, &present, &err)) {
		/* UPL-1: only what will not get better ends it here; else the upload tells. */
		if (err.kind == ERR_DENIED || err.kind == ERR_PROTOCOL || err.kind == ERR_UNSUPPORTED)
			return;
		has_failed(e, want, SIDE_TARGET, &err);
		return;
	}
	if (present) {
		e->run->report.blobs.present++;
		is_present(e, want);
		return;
	}
	if (!near)
		try_remembered_mount(e, want);
}

struct look_task {
	struct ensure *ensure;
	struct want *want;
};

static void look_task(void *argument)
{
	struct look_task *task = argument;
	look(task->ensure, task->want);
}

static void look_at_all(struct ensure *e)
{
	struct look_task tasks[GATE_CLAIMS_MAX];
	struct group group;
	struct error err;
	size_t count = 0;
	group_init(&group, e->want_count);
	for (size_t i = 0; i < e->want_count && count < array_count(tasks); i++)
		if (e->wants[i].ours && !e->wants[i].settled)
			tasks[count++] = (struct look_task){e, &e->wants[i]};
	if (count == 1)
		look(e, tasks[0].want);
	for (size_t i = 0; i < count && count > 1; i++)
		if (!group_spawn(&group, look_task, &tasks[i], &err))
			has_failed(e, tasks[i].want, SIDE_TARGET, &err);
	group_wait(&group);
}

/* --- carrying -------------------------------------------------------------------------------------------------------
 */

/* Where to read it from: memory, a target that has it already, else the source. */
static void choose_source(struct ensure *e, struct transfer *transfer)
{
	transfer->source = e->source->endpoint;
	transfer->repository = e->source->repository;
	transfer->memory = content_peek(e->run, &e->descriptor->digest);
	if (transfer->memory || !e->blob->crossed)
		return;
	for (size_t i = 0; i < e->blob->holder_count; i++) {
		const struct holder *holder = &e->blob->holders[i];
		if (holder->present) {
			transfer->source = holder->endpoint;
			transfer->repository = holder->repository;
			return;
		}
	}
}

static struct transfer *prepare(struct ensure *e)
{
	struct transfer *transfer = memory_new(1, sizeof *transfer);
	list_init(&transfer->node);
	transfer->run = e->run;
	transfer->blob = *e->descriptor;
	choose_source(e, transfer);
	transfer->want_diff_id = e->source->verify_layers && e->blob->fact.state == FACT_UNKNOWN;
	snprintf(transfer->image, sizeof transfer->image, "%s", e->source->image);
	for (size_t i = 0; i < e->want_count && transfer->sink_count < array_count(transfer->sinks); i++)
		if (e->wants[i].ours && !e->wants[i].settled)
			transfer->sinks[transfer->sink_count++].want = &e->wants[i];
	return transfer;
}

static void count_source(struct ensure *e, const struct transfer *transfer)
{
	bool from_source = !transfer->memory && transfer->source == e->source->endpoint && transfer->offset > 0;
	if (from_source && e->blob->crossed)
		e->run->report.blobs.reread++;
	else if (from_source)
		e->run->report.blobs.downloaded++;
	e->blob->crossed |= from_source || transfer->memory;
}

static void keep_fact(struct ensure *e, const struct transfer *transfer)
{
	static const char *const decoders[] = {
		[DECODER_NONE] = "tar", [DECODER_GZIP] = "gzip", [DECODER_ZSTD] = "zstd"};
	if (!transfer->memory && !transfer->abandoned && transfer->verdict_err.kind == ERR_NONE)
		e->run->report.verified.digests++;
	if (transfer->fact.state == FACT_UNKNOWN || e->blob->fact.state != FACT_UNKNOWN)
		return;
	e->blob->fact = transfer->fact;
	if (transfer->fact.state != FACT_PROVEN)
		return;
	e->run->report.verified.diff_ids++;
	store_diff_id_proven(e->run->store, &e->descriptor->digest, e->descriptor->size,
		decoders[media_decoder(e->descriptor->media_type)], &transfer->fact.diff_id);
}

/* What came of one carry, for each want. @last: there will be no other. */
static void settle(struct ensure *e, struct transfer *transfer, bool last)
{
	const struct error *source_err =
		transfer->source_err.kind != ERR_NONE ? &transfer->source_err : &transfer->verdict_err;
	bool source_failed = source_err->kind != ERR_NONE && !transfer->abandoned;
	if (source_failed && source_err->kind == ERR_CORRUPT && transfer->source == e->source->endpoint) {
		e->blob->corrupt = *source_err;
		e->blob->corrupt_count++;
	}
	for (size_t i = 0; i < transfer->sink_count; i++) {
		struct sink *sink = &transfer->sinks[i];
		if (sink->arrived) {
			e->run->report.blobs.uploaded++;
			is_present(e, sink->want);
		} else if (source_failed) {
			struct error own = *source_err;
			has_failed(e, sink->want, SIDE_SOURCE, &own);
		} else if (last || !retry_is_transient(&sink->err)) {
			has_failed(e, sink->want, SIDE_TARGET, &sink->err);
		}
	}
}

static bool all_settled(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (e->wants[i].ours && !e->wants[i].settled)
			return false;
	return true;
}

static void fail_the_rest(struct ensure *e, const struct error *why)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (e->wants[i].ours && !e->wants[i].settled) {
			struct error own = *why;
			has_failed(e, &e->wants[i], SIDE_SOURCE, &own);
		}
}

/* A transfer for another image runs: wait for its end, then there may be a neighbour to mount from. */
static bool wait_for_other_carry(struct ensure *e, struct error *err)
{
	while (e->blob->carried)
		if (!waitqueue_wait(&e->blob->changed, err))
			return false;
	for (size_t i = 0; i < e->want_count; i++) {
		struct want *want = &e->wants[i];
		const struct holder *near = want->ours && !want->settled ? neighbour(e->blob, want) : NULL;
		if (near)
			try_mount(e, want, near->repository);
	}
	return true;
}

static void carry_once(struct ensure *e, bool last)
{
	struct transfer *transfer = prepare(e);
	auto_free char *repository = memory_text(transfer->repository); /* a holder's may move meanwhile */
	transfer->repository = repository;
	e->blob->carried = true;
	transfer_run(transfer);
	e->blob->carried = false;
	waitqueue_wake_all(&e->blob->changed);
	content_release(e->run, transfer->memory);
	count_source(e, transfer);
	keep_fact(e, transfer);
	settle(e, transfer, last);
	free(transfer);
}

static void carry_all(struct ensure *e)
{
	struct error err;
	for (int carries = 0; !all_settled(e);) {
		if (e->blob->corrupt_count >= CORRUPT_MOST)
			fail_the_rest(e, &e->blob->corrupt);
		else if (!e->blob->carried)
			carry_once(e, ++carries >= CARRIES_MOST);
		else if (!wait_for_other_carry(e, &err))
			fail_the_rest(e, &err);
	}
}

/* --- the whole ------------------------------------------------------------------------------------------------------
 */

/* Take the places that nobody decides; true if others decide some that we wait for. */
static bool claim(struct ensure *e)
{
	bool others = false;
	for (size_t i = 0; i < e->want_count; i++) {
		struct want *want = &e->wants[i];
		if (want->settled)
			continue;
		const struct holder *holder = find_holder(e->blob, want->endpoint, want->repository);
		if (!holder) {
			add_holder(e->blob, want->endpoint, want->repository);
			want->ours = true;
		} else if (holder->present) {
			want->settled = true;
		} else if (!want->ours) {
			others = true;
		}
	}
	return others;
}

static void remember_fact(struct ensure *e)
{
	struct fact fact;
	if (e->source->verify_layers)
		blob_fact(e->run, e->descriptor, &fact);
}

void blob_ensure(struct run *run, const struct blob_source *source, const struct descriptor *descriptor,
	struct want *wants, size_t want_count)
{
	struct ensure e = {run, source, descriptor, blob_use(run, &descriptor->digest), wants, want_count};
	for (;;) {
		struct error err;
		bool others = claim(&e);
		if (!all_settled(&e)) {
			look_at_all(&e);
			if (!all_settled(&e))
				remember_fact(&e);
			carry_all(&e);
			continue;
		}
		if (!others)
			break;
		if (!waitqueue_wait(&e.blob->changed, &err)) {
			for (size_t i = 0; i < want_count; i++)
				if (!wants[i].settled)
					has_failed(&e, &wants[i], SIDE_SOURCE, &err);
			break;
		}
	}
	blob_leave(run, e.blob);
}

void blob_fact(struct run *run, const struct descriptor *descriptor, struct fact *fact)
{
	static const char *const decoders[] = {
		[DECODER_NONE] = "tar", [DECODER_GZIP] = "gzip", [DECODER_ZSTD] = "zstd"};
	struct blob *blob = blob_use(run, &descriptor->digest);
	enum decoder decoder = media_decoder(descriptor->media_type);
	if (blob->fact.state == FACT_UNKNOWN && decoder != DECODER_IMPOSSIBLE) {
		struct digest diff_id;
		bool found = false;
		struct error err;
		/* A store that cannot answer costs an inflate, and no more. */
		if (store_diff_id_find(run->store, &descriptor->digest, decoders[decoder], &diff_id, &found, &err) &&
			found && blob->fact.state == FACT_UNKNOWN) {
			blob->fact.state = FACT_REMEMBERED;
			blob->fact.diff_id = diff_id;
			run->report.verified.diff_ids_remembered++;
		}
	}
	*fact = blob->fact;
	blob_leave(run, blob);
}
