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
 */
#include "sync/endpoint/layout.h"

#include "base/hash.h"
#include "base/memory.h"
#include "scheduler/loop.h"
#include "sync/endpoint/layout_file.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_FACTOR = 10, LOCK_POLL_MS = 5, LOCK_PATIENCE_MS = 60000 };

struct pending {
	struct descriptor entry;
	uint64_t number; /* the how-manieth name put */
	UT_hash_handle hh;
};

static void drop(struct layout *layout, struct pending *pending)
{
	HASH_DEL(layout->pending, pending);
	descriptor_release(&pending->entry);
	free(pending);
}

static struct pending *find(const struct layout *layout, const char *identity)
{
	struct pending *found;
	HASH_FIND_STR(layout->pending, identity, found);
	return found;
}

void layout_put(struct layout *layout, struct descriptor *entry)
{
	struct pending *old = find(layout, index_identity(entry));
	if (old)
		drop(layout, old);
	struct pending *pending = memory_new(1, sizeof *pending);
	pending->entry = *entry;
	pending->number = ++layout->put_count;
	const char *identity = index_identity(&pending->entry);
	HASH_ADD_KEYPTR(hh, layout->pending, identity, strlen(identity), pending);
	*entry = (struct descriptor){0};
}

const struct descriptor *layout_find_pending(const struct layout *layout, const struct descriptor *wanted)
{
	const struct pending *pending = find(layout, index_identity(wanted));
	return pending ? &pending->entry : NULL;
}

/* --- one write, on a worker ------------------------------------------------------------------------------------ */

struct write_job {
	struct layout_job head;
	int root;
	struct descriptor *entries;
	size_t count;
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

static bool write_locked(struct write_job *job, struct error *err)
{
	if (!layout_sync_stores(job->root, &job->sync_failed, err) ||
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

static void collect(struct layout *layout, struct write_job *job)
{
	struct pending *pending, *next;
	*job = (struct write_job){.root = layout->root};
	job->entries = memory_new(HASH_COUNT(layout->pending) + 1, sizeof *job->entries);
	HASH_ITER(hh, layout->pending, pending, next)
	{
		descriptor_copy(&job->entries[job->count++], &pending->entry);
	}
}

static void drop_written(struct layout *layout, uint64_t last)
{
	struct pending *pending, *next;
	HASH_ITER(hh, layout->pending, pending, next)
	{
		if (pending->number <= last)
			drop(layout, pending);
	}
}

static void conclude(struct layout *layout, struct write_job *job, bool ok, const struct error *err)
{
	if (job->index)
		layout_set_index(layout, job->index);
	if (ok) {
		layout->written_count = layout->tried_count;
		drop_written(layout, layout->tried_count);
	} else {
		layout->failure = *err;
		if (job->sync_failed)
			layout->broken = *err;
	}
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
	uint64_t tried_before = layout->tried_count;
	layout->tried_count = layout->put_count;
	bool ok = always ? layout_run_always(layout, &job, write_index, &why)
			 : layout_run(layout, &job, write_index, &why);
	if (!ok && why.kind == ERR_CANCELED)
		layout->tried_count = tried_before;
	int64_t end_ms = loop_now_ms();
	layout->next_write_ms = end_ms + PAUSE_FACTOR * (end_ms - start_ms - job.locked_out_ms);
	conclude(layout, &job, ok, &why);
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
		uint64_t tried = layout->tried_count;
		if (!waitqueue_wait(&layout->written, err))
			return false;
		if (layout->written_count < wanted && layout->tried_count >= wanted && tried < wanted) {
			*err = layout->failure;
			return false;
		}
	}
	return true;
}

void layout_flush_last(struct layout *layout)
{
	struct error err;
	if (layout->pending && layout->broken.kind == ERR_NONE)
		(void)!write_batch(layout, true, &err);
	drop_written(layout, UINT64_MAX);
}
