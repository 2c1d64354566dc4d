#include "scheduler/channel.h"

#include "base/limits.h"
#include "base/memory.h"
#include "scheduler/internal.h"

#include <assert.h>

/* Chunks are used again: fresh ones would cost a page fault for every 4 KiB that flows through. */
enum { SPARE_CHUNKS_MOST = 32 };

struct spare_chunk {
	struct spare_chunk *next;
};

static unsigned char *take_chunk(size_t bytes)
{
	struct loop *loop = loop_current();
	struct spare_chunk *spare = bytes == CHANNEL_CHUNK_BYTES && loop ? loop->spare_chunks : NULL;
	if (spare) {
		loop->spare_chunks = spare->next;
		loop->spare_chunk_count--;
		return (unsigned char *)spare;
	}
	unsigned char *fresh = malloc(bytes); /* not zeroed: pages that no byte reaches cost nothing */
	if (!fresh)
		memory_exhausted();
	return fresh;
}

static void give_chunk_back(void *chunk, size_t bytes)
{
	struct loop *loop = loop_current();
	struct spare_chunk *spare = chunk;
	if (bytes != CHANNEL_CHUNK_BYTES || !loop || loop->spare_chunk_count == SPARE_CHUNKS_MOST) {
		free(chunk);
		return;
	}
	spare->next = loop->spare_chunks;
	loop->spare_chunks = spare;
	loop->spare_chunk_count++;
}

void channel_release_spare_chunks(struct loop *loop)
{
	while (loop->spare_chunks) {
		struct spare_chunk *spare = loop->spare_chunks;
		loop->spare_chunks = spare->next;
		free(spare);
	}
}

void channel_init(struct channel *channel, size_t slot_count, size_t slot_bytes)
{
	assert(slot_count > 0 && slot_count <= CHANNEL_SLOTS_MAX && slot_bytes > 0);
	*channel = (struct channel){.slot_count = slot_count, .slot_bytes = slot_bytes};
	for (size_t i = 0; i < slot_count; i++)
		channel->slots[i].data = take_chunk(slot_bytes);
	list_init(&channel->readers);
	list_init(&channel->out);
	waitqueue_init(&channel->changed);
}

void channel_release(struct channel *channel)
{
	for (size_t i = 0; i < channel->slot_count; i++)
		give_chunk_back(channel->slots[i].data, channel->slot_bytes);
	for (size_t i = 0; i < channel->kept_count; i++)
		give_chunk_back(channel->kept[i], channel->slot_bytes);
	free(channel->kept);
	*channel = (struct channel){0};
}

static bool holds_back(const struct channel *channel, const struct channel_reader *reader)
{
	return channel->written - reader->position >= channel->slot_count;
}

static bool has_room(const struct channel *channel)
{
	list_for_each (node, &channel->readers)
		if (holds_back(channel, list_item(node, struct channel_reader, node)))
			return false;
	return true;
}

/* Somebody who could go on is held back by the slow. */
static bool anybody_waits_for_more(const struct channel *channel)
{
	list_for_each (node, &channel->readers) {
		const struct channel_reader *reader = list_item(node, struct channel_reader, node);
		if (!reader->essential && !holds_back(channel, reader))
			return true;
	}
	return false;
}

static void put_out_the_slow(struct channel *channel)
{
	if (!anybody_waits_for_more(channel))
		return;
	list_for_each_safe (node, &channel->readers) {
		struct channel_reader *reader = list_item(node, struct channel_reader, node);
		if (reader->essential || !holds_back(channel, reader))
			continue;
		list_remove(&reader->node);
		list_append(&channel->out, &reader->node);
		reader->put_out = true;
	}
	waitqueue_wake_all(&channel->changed);
}

/* Who was put out may be reading the slot all the same, on a worker: its memory is kept, and the slot gets other. */
static void leave_to_those_put_out(struct channel *channel, struct channel_slot *slot)
{
	bool is_read = false;
	list_for_each (node, &channel->out) {
		struct channel_reader *reader = list_item(node, struct channel_reader, node);
		if (!reader->reads || &channel->slots[reader->position % channel->slot_count] != slot)
			continue;
		reader->reads = false;
		is_read = true;
	}
	if (!is_read)
		return;
	channel->kept = memory_resize(channel->kept, channel->kept_count + 1, sizeof *channel->kept);
	channel->kept[channel->kept_count++] = slot->data;
	slot->data = take_chunk(channel->slot_bytes);
}

bool channel_reserve_within(struct channel *channel, int64_t patience_ms, unsigned char **data, struct error *err)
{
	int64_t deadline = patience_ms < 0 ? -1 : loop_now_ms() + patience_ms;
	while (!has_room(channel)) {
		struct error why;
		if (waitqueue_wait_until(&channel->changed, deadline, &why))
			continue;
		if (why.kind != ERR_TIMEOUT) {
			if (err)
				*err = why;
			return false;
		}
		put_out_the_slow(channel);
		deadline = loop_now_ms() + patience_ms;
	}
	struct channel_slot *slot = &channel->slots[channel->written % channel->slot_count];
	leave_to_those_put_out(channel, slot);
	channel->reserved = true;
	*data = slot->data;
	return true;
}

bool channel_reserve(struct channel *channel, unsigned char **data, struct error *err)
{
	return channel_reserve_within(channel, -1, data, err);
}

void channel_publish(struct channel *channel, size_t length)
{
	assert(channel->reserved && length > 0 && length <= channel->slot_bytes);
	channel->slots[channel->written % channel->slot_count].length = length;
	channel->written++;
	channel->reserved = false;
	waitqueue_wake_all(&channel->changed);
}

void channel_close(struct channel *channel, const struct error *reason)
{
	channel->closed = true;
	if (reason)
		channel->reason = *reason;
	waitqueue_wake_all(&channel->changed);
}

void channel_join(struct channel *channel, struct channel_reader *reader)
{
	assert(channel->written == 0);
	*reader = (struct channel_reader){.channel = channel};
	list_append(&channel->readers, &reader->node);
}

void channel_leave(struct channel_reader *reader)
{
	list_remove(&reader->node);
	waitqueue_wake_all(&reader->channel->changed);
}

bool channel_read(struct channel_reader *reader, const unsigned char **data, size_t *length, struct error *err)
{
	struct channel *channel = reader->channel;
	while (!reader->put_out && channel->written == reader->position && !channel->closed)
		if (!waitqueue_wait(&channel->changed, err))
			return false;
	if (reader->put_out)
		return error_set(err, ERR_TIMEOUT, "too slow, the others go on without it");
	reader->reads = channel->written > reader->position;
	if (!reader->reads && channel->reason.kind != ERR_NONE) {
		if (err)
			*err = channel->reason;
		return false;
	}
	const struct channel_slot *chunk = &channel->slots[reader->position % channel->slot_count];
	*data = reader->reads ? chunk->data : NULL;
	*length = reader->reads ? chunk->length : 0;
	return true;
}

void channel_advance(struct channel_reader *reader)
{
	assert(reader->put_out || reader->position < reader->channel->written);
	reader->position++;
	reader->reads = false;
	waitqueue_wake_all(&reader->channel->changed);
}

bool channel_rewind(struct channel_reader *reader)
{
	const struct channel *channel = reader->channel;
	if (reader->put_out || channel->written + channel->reserved > channel->slot_count)
		return false;
	reader->position = 0;
	reader->reads = false;
	return true;
}
