/*
 * What a run knows of a digest: one record, kept for as long as somebody uses it and, among the KNOWN_BLOBS used last,
 * afterwards.
 */
#ifndef DRAY_SYNC_MIRROR_BLOB_H
#define DRAY_SYNC_MIRROR_BLOB_H

#include "base/hash.h"
#include "sync/mirror/internal.h"

/* Who has it, or will. A place (endpoint, repository) is decided by one task at a time. */
struct holder {
	struct endpoint *endpoint;
	char *repository;
	bool present;     /* false: a task is finding out, or making it so */
	int64_t since_ms; /* when it was found to be so, or made so */
	bool seen;        /* verify.c: there, by its own look */
	bool read;        /* and its content is right */
};

struct blob {
	char key[DIGEST_TEXT_MAX + 1];
	UT_hash_handle hh;
	struct list unused;
	size_t users;
	struct holder *holders;
	size_t holder_count;
	struct fact fact;
	int64_t size;                       /* proven in this run, or -1 */
	bool unproven;                      /* counted as such */
	bool being_read;                    /* verify.c */
	const struct endpoint **distrusted; /* what they say of this blob is not believed: they were seen to be wrong */
	size_t distrusted_count;
	bool crossed;           /* the source link, in this run */
	bool no_reading_back;   /* a target that has it did not give it back: from now on the source is asked */
	unsigned corrupt_count; /* times that one source gave wrong bytes for it */
	const struct endpoint *corrupt_source; /* which */
	int64_t corrupt_size;                  /* asked for under which size: it may be that which is wrong */
	struct error corrupt;                  /* and how they were wrong */
	/* apart for those that are served alone, who must hold nobody up: [want->alone] */
	bool carried[2];          /* a transfer runs: at most one at a time */
	unsigned looking[2];      /* tasks that find out whether it is where they want it */
	unsigned transfers;       /* that have ended, and arrivals: what was seen before one may be true no more */
	struct list waiting;      /* wants that only a transfer can fulfil */
	struct waitqueue changed; /* any of this */
};

/** The record of @digest, in use until blob_leave(). */
struct blob *blob_use(struct run *run, const struct digest *digest);
void blob_leave(struct run *run, struct blob *blob);

/** The place, or NULL: nobody has looked. Borrowed until the next wait. */
struct holder *blob_find_holder(struct blob *blob, const struct endpoint *endpoint, const char *repository);
void blob_add_holder(struct blob *blob, struct endpoint *endpoint, const char *repository);
void blob_drop_holder(struct blob *blob, const struct holder *holder);

/** What @endpoint says of it is not believed from now on; it is sent there. */
void blob_distrust(struct run *run, const struct digest *digest, const struct endpoint *endpoint);
bool blob_is_distrusted(const struct blob *blob, const struct endpoint *endpoint);

/**
 * What was known until @until_ms of the place is forgotten, so that who wants the blob there looks, or sends it,
 * again. What was learnt since, and what a task is finding out, stays.
 */
void blob_forget_place(struct run *run, const struct digest *digest, const struct endpoint *endpoint,
	const char *repository, int64_t until_ms);

/** What reading @descriptor, which is of @blob, told of its diff_id: counted, and remembered if it is proven. */
void blob_learn(struct run *run, struct blob *blob, const struct descriptor *descriptor, const struct fact *fact);

#endif
