/*
 * A world of registries in memory: contents, and hosts whose repositories hold some of them.
 *
 * Contents are made once and shared by all worlds; a world is cheap, one for each seed. What a run did wrong is noted
 * where it happens and told after the run, since a failed assertion must not jump out of a task.
 */
#ifndef DRAY_TESTS_UNIT_MIRROR_WORLD_H
#define DRAY_TESTS_UNIT_MIRROR_WORLD_H

#include "base/memory.h"
#include "oci/digest.h"
#include "oci/mediatype.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { CONTENTS_MAX = 128, PARTS_MAX = 8, HOSTS_MAX = 5, REPOSITORIES_MAX = 8, TAGS_MAX = 4, UPLOADS_MAX = 512 };

/* --- contents ----------------------------------------------------------------------------------------------------- */

struct content {
	size_t number; /* in the table */
	struct digest digest;
	unsigned char *bytes;
	size_t length;
	size_t period;                          /* that many bytes are kept, and repeated to @length */
	const char *media_type;                 /* of a manifest; NULL: a blob */
	const struct content *parts[PARTS_MAX]; /* what a manifest names: blobs, or children */
	size_t part_count;
};

static struct content contents[CONTENTS_MAX];
static size_t contents_count;

static inline struct content *content_find(const struct digest *digest)
{
	for (size_t i = 0; i < contents_count; i++)
		if (digest_equal(&contents[i].digest, digest))
			return &contents[i];
	return NULL;
}

/* Takes @bytes. */
static inline struct content *content_new(void *bytes, size_t length, const char *media_type)
{
	struct digest digest = digest_of(DIGEST_SHA256, bytes, length);
	struct content *known = content_find(&digest);
	if (known || contents_count == CONTENTS_MAX) {
		free(bytes);
		return known;
	}
	struct content *content = &contents[contents_count];
	*content = (struct content){.number = contents_count++,
		.digest = digest,
		.bytes = bytes,
		.length = length,
		.period = length,
		.media_type = media_type};
	return content;
}

/* Bytes of @content from @offset on, as many as lie together, at most *@length. */
static inline const unsigned char *content_piece(const struct content *content, size_t offset, size_t *length)
{
	size_t within = content->period > 0 ? offset % content->period : 0;
	if (*length > content->period - within)
		*length = content->period - within;
	return content->bytes + within;
}

static inline void contents_free(void)
{
	while (contents_count > 0)
		free(contents[--contents_count].bytes);
}

struct layer {
	const struct content *blob;
	struct digest diff_id;
	const char *media_type;
};

static inline void *noise(unsigned seed, size_t length)
{
	unsigned char *bytes = memory_new(length, 1);
	for (size_t i = 0; i < length; i++) {
		seed = seed * 1664525U + 1013904223U;
		bytes[i] = (unsigned char)(seed >> 24);
	}
	return bytes;
}

static inline struct layer layer_plain(unsigned seed, size_t length)
{
	struct layer layer = {.blob = content_new(noise(seed, length), length, NULL),
		.media_type = "application/vnd.oci.image.layer.v1.tar"};
	layer.diff_id = layer.blob->digest;
	return layer;
}

static inline struct layer layer_gzip(unsigned seed, size_t length)
{
	auto_free unsigned char *tar = noise(seed, length);
	z_stream stream = {.next_in = tar, .avail_in = (uInt)length};
	struct layer layer = {.diff_id = digest_of(DIGEST_SHA256, tar, length),
		.media_type = "application/vnd.oci.image.layer.v1.tar+gzip"};
	if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return layer;
	size_t room = deflateBound(&stream, length);
	stream.next_out = memory_new(room, 1);
	stream.avail_out = (uInt)room;
	unsigned char *start = stream.next_out;
	deflate(&stream, Z_FINISH);
	layer.blob = content_new(start, stream.total_out, NULL);
	deflateEnd(&stream);
	return layer;
}

/* So large that no memory would hold it: the same @period bytes again and again. */
static inline struct layer layer_endless(unsigned seed, size_t period, size_t times)
{
	struct hasher *hasher = hasher_new(DIGEST_SHA256);
	unsigned char *bytes = noise(seed, period);
	for (size_t i = 0; i < times; i++)
		hasher_update(hasher, bytes, period);
	struct content *content = content_new(bytes, period, NULL);
	content->digest = hasher_finish(hasher);
	hasher_free(hasher);
	content->length = period * times;
	return (struct layer){content, content->digest, "application/vnd.oci.image.layer.v1.tar"};
}

static inline char *descriptor_json(const struct content *content, const char *media_type)
{
	return memory_format("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", media_type, content->digest.text,
		content->length);
}

/* "[a,b,...]" -> "[a,b,...,item]"; takes both. */
static inline char *array_with(char *array, char *item)
{
	array[strlen(array) - 1] = '\0';
	char *longer = memory_format("%s%s%s]", array, strlen(array) > 1 ? "," : "", item);
	free(array);
	free(item);
	return longer;
}

/* The config of an image; @lie: it names another diff_id for the last layer. */
static inline const struct content *config_new(
	const char *name, const struct layer *const *layers, size_t layer_count, bool lie)
{
	auto_free char *diff_ids = memory_text("[]");
	for (size_t i = 0; i < layer_count; i++) {
		struct digest wrong = digest_of(DIGEST_SHA256, "lie", 3);
		const struct digest *said = lie && i + 1 == layer_count ? &wrong : &layers[i]->diff_id;
		diff_ids = array_with(diff_ids, memory_format("\"%s\"", said->text));
	}
	char *text = memory_format("{\"os\":\"linux\",\"architecture\":\"amd64\",\"author\":\"%s\","
				   "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":%s}}",
		name, diff_ids);
	return content_new(text, strlen(text), NULL);
}

static inline const struct content *image_new(
	const char *name, const struct layer *const *layers, size_t layer_count, bool lie)
{
	const struct content *config = config_new(name, layers, layer_count, lie);
	auto_free char *config_text = descriptor_json(config, MEDIA_OCI_CONFIG);
	auto_free char *layer_texts = memory_text("[]");
	for (size_t i = 0; i < layer_count; i++)
		layer_texts = array_with(layer_texts, descriptor_json(layers[i]->blob, layers[i]->media_type));
	char *text = memory_format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":%s}",
		MEDIA_OCI_MANIFEST, config_text, layer_texts);
	struct content *image = content_new(text, strlen(text), MEDIA_OCI_MANIFEST);
	image->part_count = 0;
	image->parts[image->part_count++] = config;
	for (size_t i = 0; i < layer_count; i++)
		image->parts[image->part_count++] = layers[i]->blob;
	return image;
}

static inline const struct content *index_new(const struct content *const *children, size_t child_count)
{
	auto_free char *texts = memory_text("[]");
	for (size_t i = 0; i < child_count; i++)
		texts = array_with(texts, descriptor_json(children[i], children[i]->media_type));
	char *text =
		memory_format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":%s}", MEDIA_OCI_INDEX, texts);
	struct content *index = content_new(text, strlen(text), MEDIA_OCI_INDEX);
	for (size_t i = 0; i < child_count; i++)
		index->parts[i] = children[i];
	index->part_count = child_count;
	return index;
}

/* --- hosts -------------------------------------------------------------------------------------------------------- */

struct tag {
	char name[32];
	const struct content *root;
	int64_t put_ms; /* when it was put last, in a run */
};

struct repository {
	char name[64];
	bool holds[CONTENTS_MAX];
	struct tag tags[TAGS_MAX];
	size_t tag_count;
};

/* What goes wrong, how often in a thousand requests. */
struct faults {
	unsigned refused;              /* no connection */
	unsigned cut;                  /* the connection breaks within a body */
	unsigned failed;               /* 500, or 503 */
	unsigned limited;              /* 429, with Retry-After */
	unsigned lost;                 /* done, and the reply never comes */
	unsigned stalled;              /* a body stops coming, or being taken */
	unsigned no_head;              /* of a thousand HEADs of blobs: 500 */
	unsigned no_mount;             /* of a thousand mounts */
	unsigned no_range;             /* of a thousand Ranges: ignored */
	const struct content *flipped; /* one byte of this blob is wrong */
};

struct host {
	struct world *world;
	char name[32];
	size_t blob_slots;
	int64_t latency_ms; /* a seeded time up to this before each reply */
	int64_t piece_ms;   /* and before each piece of a body */
	int64_t reply_ms;   /* certain, before each reply */
	struct faults faults;
	size_t limit_after; /* so many requests, each is refused for limit_ms; 0: never */
	int64_t limit_ms, limited_until_ms;
	int64_t quota, quota_left; /* of GETs of manifests; 0: none is told of */
	size_t over_quota;         /* GETs that were refused for it */
	size_t asking;             /* requests that go on now and are no blob's */
	struct repository repositories[REPOSITORIES_MAX];
	size_t repository_count;
	struct repository *uploads[UPLOADS_MAX]; /* by session; NULL: closed */
	size_t upload_count;
	size_t receiving, sending; /* bodies of blobs that go on now */
	/* what was asked of it */
	unsigned gets[CONTENTS_MAX];   /* GETs that brought a content, or a part of it */
	int64_t came_ms[CONTENTS_MAX]; /* when a blob was first taken; 0: not in a run */
	size_t needless_puts;          /* of blobs that the repository held already */
	size_t requests, manifest_gets, blob_gets, blob_puts, manifest_puts, posts, mounts;
	int64_t received_bytes; /* of blobs that it took whole */
};

struct world {
	struct host hosts[HOSTS_MAX];
	size_t host_count;
	size_t memory_most; /* of the heap, while bodies are given; measured where it is not 0 */
	char wrong[512];    /* the first thing that was; "": nothing */
};

#define world_note(world, ...)                                                                                         \
	do {                                                                                                           \
		if ((world)->wrong[0] == '\0')                                                                         \
			snprintf((world)->wrong, sizeof(world)->wrong, __VA_ARGS__);                                   \
	} while (0)

/* Of the sanitizers, where they are linked: their allocator is not malloc.h's. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

/* Bytes of the heap that are in use. */
static inline size_t heap_bytes(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static inline void world_measure_memory(struct world *world)
{
	size_t now = world->memory_most > 0 ? heap_bytes() : 0;
	if (now > world->memory_most)
		world->memory_most = now;
}

static inline struct host *host_add(struct world *world, const char *name, size_t blob_slots)
{
	struct host *host = &world->hosts[world->host_count++];
	host->world = world;
	snprintf(host->name, sizeof host->name, "%s", name);
	host->blob_slots = blob_slots;
	host->latency_ms = 20;
	host->piece_ms = 2;
	return host;
}

static inline struct repository *repository_find(struct host *host, const char *name)
{
	for (size_t i = 0; i < host->repository_count; i++)
		if (strcmp(host->repositories[i].name, name) == 0)
			return &host->repositories[i];
	return NULL;
}

static inline struct repository *repository_at(struct host *host, const char *name)
{
	struct repository *known = repository_find(host, name);
	if (known || host->repository_count == REPOSITORIES_MAX)
		return known;
	struct repository *fresh = &host->repositories[host->repository_count++];
	snprintf(fresh->name, sizeof fresh->name, "%s", name);
	return fresh;
}

static inline const struct content *tag_find(const struct repository *repository, const char *name)
{
	for (size_t i = 0; repository && i < repository->tag_count; i++)
		if (strcmp(repository->tags[i].name, name) == 0)
			return repository->tags[i].root;
	return NULL;
}

/* Of no more than TAGS_MAX. */
static inline struct tag *tag_set(struct repository *repository, const char *name, const struct content *root)
{
	size_t i = 0;
	while (i < repository->tag_count && strcmp(repository->tags[i].name, name) != 0)
		i++;
	snprintf(repository->tags[i].name, sizeof repository->tags[i].name, "%s", name);
	repository->tags[i].root = root;
	if (i == repository->tag_count)
		repository->tag_count++;
	return &repository->tags[i];
}

/* Put a whole image there, as if it had always been. */
static inline void repository_fill(struct repository *repository, const struct content *content)
{
	repository->holds[content->number] = true;
	for (size_t i = 0; i < content->part_count; i++)
		repository_fill(repository, content->parts[i]);
}

static inline bool repository_is_whole(const struct repository *repository, const struct content *content)
{
	if (!repository->holds[content->number])
		return false;
	for (size_t i = 0; i < content->part_count; i++)
		if (!repository_is_whole(repository, content->parts[i]))
			return false;
	return true;
}

static inline bool content_reaches(const struct content *content, const struct content *part)
{
	if (content == part)
		return true;
	for (size_t i = 0; i < content->part_count; i++)
		if (content_reaches(content->parts[i], part))
			return true;
	return false;
}

#endif
