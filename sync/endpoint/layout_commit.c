/*
 * Who writes index.json, and when: group commit (LAY-2, T-58).
 *
 * Names are put into a table in memory. A flush waits until the write that has its names is done: the first to wait
 * writes, and whoever comes meanwhile shares the next write. An index of 100,000 entries takes long to write, so the
 * next write starts no sooner than ten times what the last one took: writing costs a tenth of the time at most,
 * whatever the length of index and run.
 *
 * A write that failed leaves its names pending. Everyone who waited for it gets its error; who flushes later tries
 * again.
 *
 * Who takes no lock may write back an index.json that it has read before ours was there. What we have put is
 * remembered, and put once more, with the next write or at the end, where its name is gone and its manifest is not. A
 * name that says something else now has been moved, and stays.
 */
#include "sync/endpoint/layout.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "scheduler/loop.h"
#include "sync/endpoint/layout_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_FACTOR = 10, LOCK_POLL_MS = 5, LOCK_PATIENCE_MS = 60000 };

struct pending {
	struct descriptor *entry;
	uint64_t number; /* the how-manieth name put */
};

/* Where the identity stands in layout->pending, or would stand. */
static size_t position(const struct layout *layout, const char *identity, bool *there)
{
	size_t low = 0, high = layout->pending_count;
	*there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(index_identity(layout->pending[middle].entry), identity);
		*there |= order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void pending_release(struct pending *pending)
{
	descriptor_release(pending->entry);
	free(pending->entry);
}

static void make_room(struct layout *layout, size_t at)
{
	if (layout->pending_count == layout->pending_capacity) {
		layout->pending_capacity = layout->pending_capacity * 2 + 16;
		layout->pending = memory_resize(layout->pending, layout->pending_capacity, sizeof *layout->pending);
	}
	memmove(layout->pending + at + 1, layout->pending + at, (layout->pending_count - at) * sizeof *layout->pending);
	layout->pending_count++;
}

void layout_put(struct layout *layout, struct descriptor *entry)
{
	bool there;
	size_t at = position(layout, index_identity(entry), &there);
	if (there)
		pending_release(&layout->pending[at]);
	else
		make_room(layout, at);
	struct descriptor *kept = memory_new(1, sizeof *kept);
	*kept = *entry;
	*entry = (struct descriptor){0};
	layout->pending[at] = (struct pending){kept, ++layout->put_count};
}

const struct descriptor *layout_find_pending(const struct layout *layout, const struct descriptor *wanted)
{
	bool there;
	size_t at = position(layout, index_identity(wanted), &there);
	return there ? layout->pending[at].entry : NULL;
}

/* --- one write, on a worker ------------------------------------------------------------------------------------ */

struct write_job {
	struct layout_job head;
	int root;
	struct descriptor *entries;
	size_t count;
	const struct pending *standing; /* borrowed: nobody else writes meanwhile */
	size_t standing_count;
	struct stat left;
	size_t lost;           /* of standing: put again */
	struct index *index;   /* what is there afterwards */
	int64_t locked_out_ms; /* how long another process had the lock */
	bool sync_failed;
};

/*
 * The directory's lock goes with its open file: other runs, and other endpoints on this directory, have another.
 * Whoever has it is at work already, so that waiting here cannot lock anybody up.
 */
static bool lock(struct write_job *job, struct error *err)
{
	static const struct timespec poll = {.tv_nsec = LOCK_POLL_MS * 1000000L};
	while (flock(job->root, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_errno(err, "lock");
		if (job->locked_out_ms >= LOCK_PATIENCE_MS)
			return error_set(err, ERR_BUSY, "another process keeps the directory locked");
		nanosleep(&poll, NULL);
		job->locked_out_ms += LOCK_POLL_MS;
	}
	return true;
}

static bool sync_root(struct write_job *job, struct error *err)
{
	job->sync_failed = fsync(job->root) != 0;
	return !job->sync_failed || error_errno(err, "fsync");
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t left = ((const struct pending *)a)->number, right = ((const struct pending *)b)->number;
	return (left > right) - (left < right);
}

static bool is_as_left(int root, const struct stat *left)
{
	struct stat now;
	return fstatat(root, "index.json", &now, AT_SYMLINK_NOFOLLOW) != 0 || status_is_same(&now, left);
}

static bool has_manifest(int root, const struct digest *digest)
{
	struct stat status;
	struct error err;
	auto_close int fd = layout_open_blob(root, digest, &status, &err);
	return fd >= 0;
}

static bool is_written_now(const struct write_job *job, size_t count, const char *identity)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(index_identity(&job->entries[i]), identity) == 0)
			return true;
	return false;
}

static int compare_standing(const void *a, const void *b)
{
	const struct pending *left = a, *right = b;
	int order = strcmp(index_identity(left->entry), index_identity(right->entry));
	return order != 0 ? order : compare_numbers(a, b);
}

/* What stands no longer in @index, to what will be written. */
static void add_lost(struct write_job *job, const struct index *index)
{
	auto_free struct pending *sorted = memory_new(job->standing_count + 1, sizeof *sorted);
	size_t count, own_count = job->count;
	memcpy(sorted, job->standing, job->standing_count * sizeof *sorted);
	qsort(sorted, job->standing_count, sizeof *sorted, compare_standing);
	job->entries = memory_resize(job->entries, job->count + job->standing_count + 1, sizeof *job->entries);
	for (size_t i = 0; i < job->standing_count; i++) {
		const struct descriptor *entry = sorted[i].entry;
		const char *identity = index_identity(entry);
		bool again = i + 1 < job->standing_count && strcmp(index_identity(sorted[i + 1].entry), identity) == 0;
		index_find(index, INDEX_BY_IDENTITY, identity, &count);
		if (count == 0 && !again && !is_written_now(job, own_count, identity) &&
			has_manifest(job->root, &entry->digest))
			descriptor_copy(&job->entries[job->count++], entry);
	}
	job->lost = job->count - own_count;
}

static bool find_lost(struct write_job *job, struct error *err)
{
	struct index *index;
	if (job->standing_count == 0 || is_as_left(job->root, &job->left))
		return true;
	if (!index_load(job->root, &index, err))
		return false;
	add_lost(job, index);
	index_free(index);
	return true;
}

static bool write_locked(struct write_job *job, struct error *err)
{
	if (!find_lost(job, err) || !layout_sync_stores(job->root, &job->sync_failed, err) ||
		!index_merge(job->root, job->entries, job->count, &job->index, err))
		return false;
	return sync_root(job, err);
}

static bool write_index(void *argument, struct error *err)
{
	struct write_job *job = argument;
	if (!lock(job, err))
		return false;
	bool ok = write_locked(job, err);
	flock(job->root, LOCK_UN);
	return ok;
}

/* --- the batch ------------------------------------------------------------------------------------------------- */

/* In the order in which they were put, so that index.json is the same whatever the names. */
static void collect(const struct layout *layout, struct write_job *job)
{
	auto_free struct pending *sorted = memory_new(layout->pending_count + 1, sizeof *sorted);
	*job = (struct write_job){.root = layout->root,
		.count = layout->pending_count,
		.standing = layout->standing,
		.standing_count = layout->standing_count,
		.left = layout->left};
	job->entries = memory_new(job->count + 1, sizeof *job->entries);
	if (job->count > 0)
		memcpy(sorted, layout->pending, job->count * sizeof *sorted);
	qsort(sorted, job->count, sizeof *sorted, compare_numbers);
	for (size_t i = 0; i < job->count; i++)
		descriptor_copy(&job->entries[i], sorted[i].entry);
}

static void keep_standing(struct layout *layout, const struct pending *written)
{
	if (layout->standing_count == layout->standing_capacity) {
		layout->standing_capacity = layout->standing_capacity * 2 + 16;
		layout->standing = memory_resize(layout->standing, layout->standing_capacity, sizeof *layout->standing);
	}
	layout->standing[layout->standing_count++] = *written;
}

static void drop_written(struct layout *layout, uint64_t last)
{
	size_t kept = 0;
	for (size_t i = 0; i < layout->pending_count; i++)
		if (layout->pending[i].number <= last)
			keep_standing(layout, &layout->pending[i]);
		else
			layout->pending[kept++] = layout->pending[i];
	layout->pending_count = kept;
}

/* The names up to the @last-th were to be written. A writer that was stopped says nothing of whether they can be. */
static void conclude(struct layout *layout, struct write_job *job, uint64_t last, bool ok, const struct error *err)
{
	if (job->index) {
		layout->left = job->index->status;
		layout_set_index(layout, job->index);
	}
	if (ok) {
		layout->written_count = last;
		drop_written(layout, last);
		if (job->lost > 0)
			log_warning(
				"%s: another program took %zu names of this run out of index.json; they are put again",
				layout->name, job->lost);
	} else if (err->kind != ERR_CANCELED) {
		layout->failure = *err;
		layout->failed_count = last;
		layout->failures++;
	}
	if (job->sync_failed)
		layout->broken = *err;
	for (size_t i = 0; i < job->count; i++)
		descriptor_release(&job->entries[i]);
	free(job->entries);
}

static bool write_batch(struct layout *layout, bool always, struct error *err)
{
	struct write_job job;
	struct error why;
	collect(layout, &job);
	int64_t start_ms = loop_now_ms();
	uint64_t last = layout->put_count;
	bool ok = always ? layout_run_always(layout, &job, write_index, &why)
			 : layout_run(layout, &job, write_index, &why);
	int64_t end_ms = loop_now_ms();
	layout->next_write_ms = end_ms + PAUSE_FACTOR * (end_ms - start_ms - job.locked_out_ms);
	conclude(layout, &job, last, ok, &why);
	if (!ok)
		*err = why;
	return ok;
}

/* --- flushing -------------------------------------------------------------------------------------------------- */

/* Our turn to write. */
static bool write_in_turn(struct layout *layout, struct error *err)
{
	layout->writing = true;
	int64_t pause_ms = layout->next_write_ms - loop_now_ms();
	bool ok = (pause_ms <= 0 || task_sleep(pause_ms, err)) && write_batch(layout, false, err);
	layout->writing = false;
	waitqueue_wake_all(&layout->written);
	return ok;
}

bool layout_flush(struct layout *layout, struct error *err)
{
	uint64_t wanted = layout->put_count;
	while (layout->written_count < wanted) {
		if (layout->broken.kind != ERR_NONE) {
			*err = layout->broken;
			return false;
		}
		if (!layout->writing)
			return write_in_turn(layout, err);
		uint64_t failures = layout->failures;
		if (!waitqueue_wait(&layout->written, err))
			return false;
		if (layout->written_count < wanted && layout->failures > failures && layout->failed_count >= wanted) {
			*err = layout->failure;
			return false;
		}
	}
	return true;
}

void layout_flush_last(struct layout *layout)
{
	struct error err;
	bool lost = layout->standing_count > 0 && !is_as_left(layout->root, &layout->left);
	if ((layout->pending_count > 0 || lost) && layout->broken.kind == ERR_NONE)
		(void)!write_batch(layout, true, &err);
	drop_written(layout, UINT64_MAX);
	for (size_t i = 0; i < layout->standing_count; i++)
		pending_release(&layout->standing[i]);
	free(layout->standing);
	free(layout->pending);
	layout->standing = layout->pending = NULL;
}
