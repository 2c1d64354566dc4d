#include "scheduler/channel.h"

#include "base/memory.h"
#include "scheduler/loop.h"

#include <assert.h>

void channel_init(struct channel *channel, size_t slot_count, size_t slot_bytes)
{
	assert(slot_count > 0 && slot_count <= CHANNEL_SLOTS_MAX && slot_bytes > 0);
	*channel = (struct channel){.slot_count = slot_count, .slot_bytes = slot_bytes};
	for (size_t i = 0; i < slot_count; i++) {
		channel->slots[i].data = malloc(slot_bytes); /* not zeroed: pages that no byte reaches cost nothing */
		if (!channel->slots[i].data)
			memory_exhausted();
	}
	list_init(&channel->readers);
	waitqueue_init(&channel->changed);
}

void channel_release(struct channel *channel)
{
	for (size_t i = 0; i < channel->slot_count; i++)
		free(channel->slots[i].data);
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
		channel_leave(reader);
		reader->put_out = true;
	}
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
	channel->reserved = true;
	*data = channel->slots[channel->written % channel->slot_count].data;
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
	while (!reader->put_out && reader->position == channel->written && !channel->closed)
		if (!waitqueue_wait(&channel->changed, err))
			return false;
	if (reader->put_out)
		return error_set(err, ERR_TIMEOUT, "too slow, the others go on without it");
	if (reader->position < channel->written) {
		const struct channel_slot *slot = &channel->slots[reader->position % channel->slot_count];
		*data = slot->data;
		*length = slot->length;
		return true;
	}
	if (channel->reason.kind != ERR_NONE) {
		if (err)
			*err = channel->reason;
		return false;
	}
	*length = 0;
	return true;
}

void channel_advance(struct channel_reader *reader)
{
	assert(reader->put_out || reader->position < reader->channel->written);
	reader->position++;
	waitqueue_wake_all(&reader->channel->changed);
}

bool channel_rewind(struct channel_reader *reader)
{
	const struct channel *channel = reader->channel;
	if (reader->put_out || channel->written + channel->reserved > channel->slot_count)
		return false;
	reader->position = 0;
	return true;
}
