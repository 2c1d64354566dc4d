/*
 * Channels: a bounded ring of byte chunks from one writer to one or more readers, each at its own pace. The slowest
 * reader holds the writer back; memory is slots x slot_bytes, whatever flows through.
 *
 *     writer:  channel_reserve() -> fill -> channel_publish() ... channel_close()
 *     reader:  channel_read() -> use -> channel_advance() ... until end
 *
 * A chunk stays valid for a reader until it advances. All readers join before the first publish.
 */
#ifndef DRAY_SCHEDULER_CHANNEL_H
#define DRAY_SCHEDULER_CHANNEL_H

#include "scheduler/task.h"

#define CHANNEL_SLOTS_MAX 16

/* The size that is kept for the next channel. Smaller ones cost wake-ups, larger ones memory: both were measured. */
#define CHANNEL_CHUNK_BYTES ((size_t)192 * 1024)

struct channel_slot {
	unsigned char *data;
	size_t length;
};

struct channel {
	struct channel_slot slots[CHANNEL_SLOTS_MAX];
	size_t slot_count;
	size_t slot_bytes;
	uint64_t written; /* chunks published so far */
	bool reserved;    /* the writer fills a slot right now */
	bool closed;
	struct error reason; /* kind ERR_NONE: a regular end */
	struct list readers;
	struct list out;      /* readers that were put out and have not left */
	unsigned char **kept; /* chunks that some of them read: not used again before the release */
	size_t kept_count;
	struct waitqueue changed; /* everybody: states are few, and a wake-up costs less than a mistake */
};

struct channel_reader {
	struct list node;
	struct channel *channel;
	uint64_t position; /* chunks it is done with */
	bool put_out;      /* too slow */
	bool reads;        /* it has a chunk, which it has not advanced over */
	bool essential;    /* set by who joins: never put out */
};

/** A channel with memory of its own. channel_release() frees it; no task may still use it. */
void channel_init(struct channel *channel, size_t slot_count, size_t slot_bytes);
void channel_release(struct channel *channel);

/** Wait for a slot that every reader is done with. ERR_CANCELED. Without readers there is always one. */
must_check bool channel_reserve(struct channel *channel, unsigned char **data, struct error *err);

/**
 * As channel_reserve(), but a reader that holds the writer back for @patience_ms is put out of the channel: its
 * next read fails with ERR_TIMEOUT, and the others go on; the chunk that it reads is not used again; an essential one
 * never is, nor is any while all that are not essential are as slow. Negative: for ever.
 */
must_check bool channel_reserve_within(
	struct channel *channel, int64_t patience_ms, unsigned char **data, struct error *err);

/** Make the reserved slot readable, with @length bytes (> 0). */
void channel_publish(struct channel *channel, size_t length);

/** No more chunks; @reason NULL: a regular end, else what every reader gets once it has read what is there. */
void channel_close(struct channel *channel, const struct error *reason);

void channel_join(struct channel *channel, struct channel_reader *reader);

/** Leave: what the reader has not read holds nobody back. Needed also by who was put out; harmless a second time. */
void channel_leave(struct channel_reader *reader);

/**
 * Wait for the next chunk. true with *length > 0: the chunk; true with 0: the regular end.
 * False: ERR_CANCELED, ERR_TIMEOUT (put out), or the reason of the close.
 */
must_check bool channel_read(
	struct channel_reader *reader, const unsigned char **data, size_t *length, struct error *err);

/** Done with the chunk that channel_read() gave. */
void channel_advance(struct channel_reader *reader);

/** Go back to the first chunk; false if its slot was already used again. Done chunks are then kept from reuse. */
bool channel_rewind(struct channel_reader *reader);

#endif
