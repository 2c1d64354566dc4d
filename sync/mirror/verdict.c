/*
 * The verifier of a transfer: it hashes (and inflates) what comes through the channel, on a worker, and gives the
 * verdict for which every sink holds back the last chunk.
 */
#include "sync/mirror/transfer.h"

#include "base/log.h"
#include "base/memory.h"
#include "scheduler/pool.h"
#include "sync/verify/verify.h"

/* Below this, handing a blob to a worker costs more than hashing it here; what it inflates to is bounded by it, too. */
enum { INLINE_BYTES = 16 * 1024 };

struct verify_job {
	struct verifier *verifier;
	const unsigned char *chunk;
	size_t length;
	bool hashed;
	size_t inflated; /* bytes of it */
};

static void hash_on_worker(void *argument)
{
	struct verify_job *job = argument;
	verifier_hash(job->verifier, job->chunk, job->length);
}

static void inflate_on_worker(void *argument)
{
	struct verify_job *job = argument;
	job->inflated += verifier_inflate(job->verifier, job->chunk + job->inflated, job->length - job->inflated);
}

static void verify_on_worker(void *argument)
{
	struct verify_job *job = argument;
	if (!job->hashed)
		hash_on_worker(job);
	inflate_on_worker(job);
}

/* A layer that is alone on its way is hashed on one core while it is inflated on another; many fill them all anyway. */
static bool use_workers(struct transfer *transfer, struct verify_job *job, struct error *err)
{
	if (!job->hashed && list_has_one(&transfer->run->transfers) && verifier_has_halves(job->verifier))
		return pool_run_both(hash_on_worker, inflate_on_worker, job, err);
	return pool_run(verify_on_worker, job, err);
}

/* Whoever has a wide decoder has all else that it needs, so that those who wait for one wait for no one who waits. */
static bool give_room(struct transfer *transfer, struct verifier *verifier, struct error *err)
{
	if (!gate_enter(&transfer->run->wide_decoders, err))
		return false;
	transfer->has_wide_decoder = true;
	verifier_give_room(verifier);
	return true;
}

static bool feed(struct transfer *transfer, struct verify_job *job, struct error *err)
{
	job->hashed = false;
	job->inflated = 0;
	for (;;) {
		if (transfer->blob.size <= INLINE_BYTES)
			verify_on_worker(job);
		else if (!use_workers(transfer, job, err))
			return false;
		job->hashed = true;
		if (!verifier_wants_room(job->verifier))
			return true;
		if (!give_room(transfer, job->verifier, err))
			return false;
	}
}

static bool read_all(struct transfer *transfer, struct verifier *verifier, struct error *err)
{
	struct verify_job job = {.verifier = verifier};
	for (;;) {
		if (!channel_read(&transfer->verifier, &job.chunk, &job.length, err))
			return false;
		if (job.length == 0)
			return true;
		if (!feed(transfer, &job, err))
			return false;
		channel_advance(&transfer->verifier);
	}
}

/* LYR-3: what the bytes are stands over what they are called. */
static void warn_of_wrong_type(const struct transfer *transfer, const struct verifier *verifier)
{
	char name[24];
	if (transfer->want_diff_id && media_kind(transfer->blob.media_type) == MEDIA_LAYER &&
		verifier_decoder(verifier) != media_decoder(transfer->blob.media_type))
		log_warning("%s: layer %s is not what its media type %s says; it is proven as what it is",
			transfer->image, digest_short(&transfer->blob.digest, name), transfer->blob.media_type);
}

static void learn(struct transfer *transfer, struct verifier *verifier)
{
	struct fact *fact = &transfer->fact;
	warn_of_wrong_type(transfer, verifier);
	switch (verifier_diff_id(verifier, &fact->diff_id, &fact->broken)) {
	case DIFF_ID_NONE:
		break;
	case DIFF_ID_PROVEN:
		fact->state = FACT_PROVEN;
		break;
	case DIFF_ID_BROKEN:
		fact->state = FACT_BROKEN;
		break;
	}
}

static bool check(struct transfer *transfer, struct verifier *verifier)
{
	if (verifier_check(verifier, &transfer->verdict_err))
		return true;
	return *transfer->encoding
		       ? error_wrap(&transfer->verdict_err, "sent with Content-Encoding %s", transfer->encoding)
		       : false;
}

void transfer_verify(void *argument)
{
	struct transfer *transfer = argument;
	struct verifier *verifier = verifier_new(&transfer->blob, transfer->want_diff_id);
	verifier_ask_for_room(verifier);
	if (read_all(transfer, verifier, &transfer->verdict_err) && check(transfer, verifier))
		learn(transfer, verifier);
	channel_leave(&transfer->verifier);
	verifier_free(verifier);
	if (transfer->has_wide_decoder)
		gate_leave(&transfer->run->wide_decoders);
	latch_open(&transfer->verdict);
}
