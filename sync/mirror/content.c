/*
 * Small content in memory: manifests, and the configs that hold diff_ids. One table by digest, single flight for
 * each, and what nobody uses any more stays until CONTENT_BYTES are full: tags that share a digest, and images that
 * share a config, cost one request.
 */
#include "sync/mirror/internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "scheduler/retry.h"

#include <string.h>

enum entry_state { ENTRY_FETCHING, ENTRY_READY, ENTRY_FAILED };

struct entry {
	struct content content; /* first: what is lent out */
	char *key;
	enum entry_state state;
	size_t users;
	struct waitqueue waiting;
	struct error err;
	struct list unused; /* in the cache's list, oldest first, while users == 0 */
	UT_hash_handle hh;
};

struct content_cache {
	struct entry *entries;
	struct list unused;
	size_t bytes;
};

struct content_cache *content_cache_new(void)
{
	struct content_cache *cache = memory_new(1, sizeof *cache);
	list_init(&cache->unused);
	return cache;
}

static void entry_free(struct entry *entry)
{
	free((void *)(uintptr_t)entry->content.bytes);
	free((void *)(uintptr_t)entry->content.media_type);
	free(entry->key);
	free(entry);
}

static void drop(struct content_cache *cache, struct entry *entry)
{
	HASH_DEL(cache->entries, entry); // NOLINT(clang-analyzer-core.NullDereference): it is in the table
	list_remove(&entry->unused);
	cache->bytes -= entry->content.length;
	entry_free(entry);
}

void content_cache_free(struct content_cache *cache)
{
	if (!cache)
		return;
	struct entry *entry, *next;
	HASH_ITER(hh, cache->entries, entry, next)
	{
		drop(cache, entry);
	}
	free(cache);
}

static void trim(struct content_cache *cache)
{
	while (cache->bytes > CONTENT_BYTES && !list_is_empty(&cache->unused))
		drop(cache, list_item(cache->unused.next, struct entry, unused));
}

static void leave(struct content_cache *cache, struct entry *entry)
{
	if (--entry->users > 0)
		return;
	if (entry->state == ENTRY_FAILED) {
		entry_free(entry);
		return;
	}
	list_append(&cache->unused, &entry->unused);
	trim(cache);
}

void content_release(struct run *run, const struct content *content)
{
	if (content)
		leave(run->contents, (struct entry *)(uintptr_t)content);
}

static struct entry *find(struct content_cache *cache, const char *key)
{
	struct entry *entry;
	HASH_FIND_STR(cache->entries, key, entry);
	return entry;
}

/* Content is what its digest says, wherever it comes from; but who verifies wants to see it there. New memory. */
static char *key_of(
	const struct run *run, const struct endpoint *source, const char *repository, const struct descriptor *wanted)
{
	if (!run->report.verifies)
		return memory_text(wanted->digest.text);
	return memory_format("%s %s/%s", wanted->digest.text, endpoint_name(source), repository);
}

static bool came_along(const struct run *run, const struct descriptor *wanted)
{
	return wanted->data && !run->report.verifies;
}

static void use(struct entry *entry)
{
	entry->users++;
	list_remove(&entry->unused);
}

/* --- fetching -------------------------------------------------------------------------------------------------------
 */

typedef bool (*fetcher)(struct run *run, struct endpoint *source, const char *repository,
	const struct descriptor *wanted, struct buf *bytes, char **media_type, struct error *err);

static bool fetch_manifest(struct run *run, struct endpoint *source, const char *repository,
	const struct descriptor *wanted, struct buf *bytes, char **media_type, struct error *err)
{
	(void)run;
	if (wanted->size > (int64_t)bytes->maximum)
		return error_set(err, ERR_TOO_LARGE, "a manifest of %lld bytes, more than %zu", (long long)wanted->size,
			bytes->maximum);
	return endpoint_manifest(source, repository, wanted, bytes, media_type, err);
}

/* Of a size that its caller has bounded. */
static bool read_whole(struct endpoint *source, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, struct error *err)
{
	size_t size = (size_t)wanted->size, got = 0;
	char *room = buf_room(bytes, size, err);
	struct endpoint_reader *reader;
	if (!room || !endpoint_blob_open(source, repository, wanted, 0, &reader, err))
		return false;
	bool ok;
	do {
		ok = endpoint_reader_read(reader, room + bytes->length, size - bytes->length, &got, err);
		if (ok)
			buf_grow(bytes, got);
	} while (ok && got > 0 && bytes->length < size);
	if (ok && !digest_check(&wanted->digest, bytes->data, bytes->length, err)) {
		ok = false;
		if (*endpoint_reader_encoding(reader))
			error_wrap(err, "sent with Content-Encoding %s", endpoint_reader_encoding(reader));
	}
	endpoint_reader_close(reader);
	return ok;
}

/* A config is a blob: it has its place at the host as any other. */
static bool read_blob(struct endpoint *source, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, struct error *err)
{
	struct gate *gate = endpoint_blob_gate(source);
	if (!gate_enter(gate, err))
		return false;
	bool ok = read_whole(source, repository, wanted, bytes, err);
	gate_leave(gate);
	return ok;
}

static bool fetch_config(struct run *run, struct endpoint *source, const char *repository,
	const struct descriptor *wanted, struct buf *bytes, char **media_type, struct error *err)
{
	*media_type = NULL;
	if (wanted->size > (int64_t)LIMIT_CONFIG_BYTES)
		return error_set(err, ERR_TOO_LARGE, "config of %ld bytes, more than %zu", (long)wanted->size,
			LIMIT_CONFIG_BYTES);
	uint64_t answers = endpoint_answers(source);
	for (int attempt = 1;; attempt++) {
		buf_clear(bytes);
		struct error why;
		if (read_blob(source, repository, wanted, bytes, &why)) {
			run->report.blobs.downloaded++;
			run->report.bytes.downloaded += (int64_t)bytes->length;
			return true;
		}
		if (!endpoint_retry_pause(source, attempt, answers, &why)) {
			*err = why;
			return false;
		}
	}
}

static struct entry *add(struct content_cache *cache, const char *key)
{
	struct entry *entry = memory_new(1, sizeof *entry);
	entry->key = memory_text(key);
	waitqueue_init(&entry->waiting);
	list_init(&entry->unused);
	HASH_ADD_KEYPTR(hh, cache->entries, entry->key, strlen(entry->key), entry);
	return entry;
}

static void fill(struct run *run, struct entry *entry, fetcher fetch, struct endpoint *source, const char *repository,
	const struct descriptor *wanted)
{
	auto_buf struct buf bytes;
	char *media_type = NULL;
	buf_init(&bytes, fetch == fetch_manifest ? run->manifest_bytes_most : LIMIT_CONFIG_BYTES);
	bool ok = came_along(run, wanted)
			  ? buf_append(&bytes, wanted->data, (size_t)wanted->size, &entry->err) /* BLB-13 */
			  : fetch(run, source, repository, wanted, &bytes, &media_type, &entry->err);
	if (ok) {
		entry->state = ENTRY_READY;
		entry->content.bytes = (unsigned char *)buf_take(&bytes, &entry->content.length);
		entry->content.media_type = media_type;
		run->contents->bytes += entry->content.length;
		run->report.verified.digests++;
	} else {
		entry->state = ENTRY_FAILED;
		HASH_DEL(run->contents->entries, entry); /* who asks from now on tries anew */
	}
	waitqueue_wake_all(&entry->waiting);
}

const struct content *content_peek(struct run *run, const struct descriptor *wanted)
{
	struct entry *entry = find(run->contents, wanted->digest.text);
	if (!entry && came_along(run, wanted)) {
		entry = add(run->contents, wanted->digest.text);
		fill(run, entry, NULL, NULL, NULL, wanted);
	}
	if (!entry || entry->state != ENTRY_READY)
		return NULL;
	use(entry);
	return &entry->content;
}

/* Who asks for another size than it has lies, whether it was fetched for him or for another (T-32). */
static bool lend(struct content_cache *cache, struct entry *entry, const struct descriptor *wanted,
	const struct content **content, struct error *err)
{
	if (wanted->size >= 0 && (size_t)wanted->size != entry->content.length) {
		error_set(err, ERR_CORRUPT, "%zu bytes, and its descriptor says %ld", entry->content.length,
			(long)wanted->size);
		leave(cache, entry);
		return false;
	}
	*content = &entry->content;
	return true;
}

static bool get(struct run *run, fetcher fetch, struct endpoint *source, const char *repository,
	const struct descriptor *wanted, const struct content **content, struct error *err)
{
	if (!descriptor_check_data(wanted, err))
		return false;
	auto_free char *key = key_of(run, source, repository, wanted);
	for (;;) {
		struct entry *entry = find(run->contents, key);
		bool mine = !entry;
		if (mine)
			entry = add(run->contents, key);
		use(entry);
		if (mine)
			fill(run, entry, fetch, source, repository, wanted);
		while (entry->state == ENTRY_FETCHING)
			if (!waitqueue_wait(&entry->waiting, err)) {
				leave(run->contents, entry);
				return false;
			}
		if (entry->state == ENTRY_READY)
			return lend(run->contents, entry, wanted, content, err);
		/* Another image's repository, or its being stopped, is no reason for ours to fail: ask ourselves. */
		struct error why = entry->err;
		leave(run->contents, entry);
		if (mine) {
			*err = why;
			return false;
		}
	}
}

bool content_manifest(struct run *run, struct endpoint *source, const char *repository, const struct descriptor *wanted,
	const struct content **content, struct error *err)
{
	return get(run, fetch_manifest, source, repository, wanted, content, err);
}

bool content_config(struct run *run, struct endpoint *source, const char *repository, const struct descriptor *wanted,
	const struct content **content, struct error *err)
{
	return get(run, fetch_config, source, repository, wanted, content, err);
}
