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
#include "sync/mirror/ensure.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"

#include <string.h>

static bool any_open(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (want_is_open(&e->wants[i]))
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

/* Where it came under its true size, an image that tells another is not given it (T-32). */
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

void want_fulfil(struct want *want)
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

bool want_is_put_off(const struct want *want)
{
	return want->delivery->late && !want->alone && !want->carried && !want->looking;
}

void want_put_off(struct want *want)
{
	release_holder(want);
	close_want(want);
}

void want_fail(struct want *want, enum side side, const struct error *why)
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
			want_fail(&e->wants[i], SIDE_SOURCE, why);
}

/* --- looking --------------------------------------------------------------------------------------------------------
 */

const struct holder *want_neighbour(const struct want *want)
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
	const struct holder *near = want_neighbour(want);
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
		want_fail(want, SIDE_TARGET, &err);
		return true;
	}
	if (!mounted)
		return false;
	e->run->report.blobs.mounted++;
	log_debug("%s: blob %s mounted in %s/%s from %s", e->source->image, digest_short(&e->descriptor->digest, name),
		endpoint_name(want->endpoint), want->repository, from_repository);
	want_fulfil(want);
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
	if (blob_is_distrusted(e->blob, want->endpoint))
		return;
	if (near && !endpoint_is_layout(want->endpoint) && try_mount(want, near))
		return; /* a layout has one store for all: there, just look */
	if (!endpoint_blob_present(want->endpoint, want->repository, e->descriptor, &present, &err)) {
		/* UPL-1: a question that fails is only the slower way: the upload tells. But not where none may be
		 * asked. */
		if (is_no_question(err.kind))
			want_fail(want, SIDE_TARGET, &err);
	} else if (present) {
		e->run->report.blobs.present++;
		log_debug("%s: blob %s is at %s already", e->source->image, digest_short(&e->descriptor->digest, name),
			endpoint_name(want->endpoint));
		want_fulfil(want);
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
		if (!want_is_open(want))
			continue;
		want->stale |= !want->carried && want->looked_at != e->blob->transfers && want_neighbour(want);
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
		if (!want_is_open(want) || !want->stale)
			continue;
		if (e->want_count == 1) {
			look(want);
			continue;
		}
		want->looking = true;
		if (!group_spawn(&e->looks, look_task, want, &err)) {
			want->looking = false;
			want_fail(want, SIDE_TARGET, &err);
		}
	}
	wait_for_looks(e);
	if (any_open(e))
		remember_fact(e);
	enlist(e);
	if (--e->blob->looking[e->alone] == 0)
		waitqueue_wake_all(&e->blob->changed);
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
		} else if (want_is_put_off(want)) {
			want_put_off(want);
		} else if (!holder) {
			blob_add_holder(e->blob, want->endpoint, want->repository);
			want->ours = want->stale = true;
		}
	}
}

static bool must_look(const struct ensure *e)
{
	for (size_t i = 0; i < e->want_count; i++)
		if (want_is_open(&e->wants[i]) && e->wants[i].stale)
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
		int64_t held_ms = may_carry ? ensure_held_up_until_ms(&e) : 0;
		if (must_look(&e)) {
			look_at_all(&e);
		} else if (may_carry && ensure_is_known_corrupt(&e)) {
			fail_all(&e, &e.blob->corrupt);
		} else if (may_carry && e.blob->looking[e.alone] == 0 && held_ms <= 0) {
			ensure_carry(&e);
		} else if (!wait_for_change(&e, held_ms > 0 ? held_ms : -1, &err)) {
			fail_all(&e, &err);
		}
	}
	group_wait(&e.looks);
	blob_leave(run, e.blob);
}
