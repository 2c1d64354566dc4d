/*
 * One transfer on its way, as transfer.c, verdict.c and beginning.c share it.
 */
#ifndef DRAY_SYNC_MIRROR_TRANSFER_H
#define DRAY_SYNC_MIRROR_TRANSFER_H

#include "scheduler/channel.h"
#include "sync/mirror/internal.h"

struct sink {
	struct transfer *transfer;
	struct channel_reader reader;
	struct want *want; /* NULL: it has arrived, and is settled */
	struct gate *gate; /* its target's */
	struct endpoint_writer *writer;
	struct error err; /* kind ERR_NONE: it arrived */
	bool arrived;
	bool ended;   /* its task */
	bool put_out; /* too slow for the others */
	int attempts;
	enum upload_advice advice; /* of the last */
};

/* Room for TRANSFER_SINKS_MOST sinks: each has one place, beside those of the source and of the ring. */
enum { TRANSFER_SINKS_MOST = GATE_CLAIMS_MAX - 2 };

struct transfer {
	struct list node; /* run->transfers */
	struct run *run;
	struct descriptor blob; /* borrowed */
	struct endpoint *source;
	const char *repository;
	const struct content *memory; /* instead of the source */
	bool want_diff_id;
	bool found_paused; /* the source, before a byte came: it was not waited for, and nothing failed */
	char image[128];
	void (*arrived)(struct sink *sink); /* told at once, while others may still be under way */
	void *owner;                        /* of whom it tells */
	/* filled while it runs */
	struct gate_claim places[GATE_CLAIMS_MAX];
	unsigned place_users[GATE_CLAIMS_MAX]; /* a place is left with the last of its users */
	size_t place_count;
	struct channel channel;
	int64_t offset;    /* bytes that went into the channel */
	int restarts;      /* how often the source began anew instead of going on */
	char encoding[32]; /* Content-Encoding of what came, "": none (BLB-9) */
	size_t sinks_left;
	struct error source_err;
	bool abandoned; /* every sink failed before the source's end: the verdict means nothing */
	/* verdict.c: */
	struct channel_reader verifier;
	bool has_wide_decoder;
	struct latch verdict;
	struct error verdict_err; /* kind ERR_NONE: size and digest agree */
	struct fact fact;
	/* beginning.c: */
	struct endpoint_reader *beginning; /* or NULL */
	int64_t found;                     /* bytes that it has, which the source is not asked for */
	bool is_staged;
	struct endpoint_writer *staged; /* a copy in staging, which the next run goes on from; or NULL */
	struct channel_reader stager;
	int64_t staged_bytes;  /* room that is kept for it there, beside what was found */
	int64_t staged_offset; /* bytes that went into it, those that were found with the others */
	size_t sink_count, sinks_most;
	struct sink sinks[];
};

/** Carry it. Waits for its places first. Outcomes are in the sinks, source_err, verdict_err and fact. */
void transfer_run(struct transfer *transfer);

/** verdict.c: the task of its verifier; it opens transfer->verdict whatever comes. @argument is a struct transfer. */
void transfer_verify(void *argument);

/**
 * beginning.c: look for what there is of the blob already: at its targets, where a writer is then their want's session,
 * and, if it is for registries alone and room can be made, in staging. Waits. Nothing is found where looking fails.
 */
void transfer_find_beginning(struct transfer *transfer);

/** beginning.c, if is_staged: the task that writes the copy in staging. @argument is a struct transfer. */
void transfer_stage(void *argument);

/** beginning.c, if is_staged, when all its tasks have ended: what is staged stays for as long as somebody may need it.
 */
void transfer_end_staging(struct transfer *transfer);

/** beginning.c: after *why, is what came right as far as it goes? */
bool beginning_survives(const struct error *why);

#endif
