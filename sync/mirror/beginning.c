/*
 * The beginning of a blob: what an earlier run, or an attempt of this one, left of it.
 *
 * It lies where an unfinished file outlives us: in a layout that is a target, or else in staging, a layout that never
 * gets an image and stands beside registries alone. There it is read back, for the verifier and for all sinks, and the
 * source is asked for the rest. Nothing of it is believed: if the whole is wrong it is gone, and nobody is blamed.
 *
 * What this run leaves there is right as far as it goes: it stays if the link broke or we were stopped, and goes if the
 * bytes were wrong. What is staged goes, too, when nobody lacks the blob any more.
 */
#include "sync/mirror/transfer.h"

#include "base/limits.h"
#include "base/log.h"
#include "scheduler/retry.h"

/* A smaller one is fetched again sooner than it is worth a file. */
#define STAGED_LEAST ((int64_t)(8 * MIB))

/* Of a smaller blob no beginning is looked for. */
#define BEGINNING_LEAST ((int64_t)MIB)

bool beginning_survives(const struct error *why)
{
	return retry_is_transient(why) || why->kind == ERR_CANCELED;
}

/* --- what is there ---------------------------------------------------------------------------------------------------
 */

/* The first target that has a beginning of the blob gives it; its writer goes on where that ends. */
static void look_at_targets(struct transfer *transfer)
{
	struct error err;
	for (size_t i = 0; i < transfer->sink_count && transfer->found == 0; i++) {
		struct sink *sink = &transfer->sinks[i];
		if (sink->put_out || sink->want->session || transfer->blob.size < BEGINNING_LEAST)
			continue;
		if (!endpoint_blob_resume(sink->want->endpoint, &transfer->blob, &sink->want->session,
			    &transfer->beginning, &transfer->found, &err))
			log_debug("%s: no beginning: %s", transfer->image, err.text);
	}
}

/* Between registries nothing else outlives us. */
static bool may_be_staged(const struct transfer *transfer)
{
	const struct run *run = transfer->run;
	if (!run->staging || transfer->blob.size < STAGED_LEAST || endpoint_is_layout(transfer->source))
		return false;
	for (size_t i = 0; i < transfer->sink_count; i++)
		if (endpoint_is_layout(transfer->sinks[i].want->endpoint))
			return false;
	return true;
}

/* What is there of it has its room already. For the rest, the oldest leftovers give way; of one that is in use, none.
 */
static bool take_room(struct transfer *transfer)
{
	struct run *run = transfer->run;
	int64_t wanted = transfer->blob.size - transfer->found;
	if (run->staging_left_bytes < wanted)
		run->staging_left_bytes += endpoint_make_room(run->staging, wanted - run->staging_left_bytes);
	if (run->staging_left_bytes < wanted)
		return false;
	run->staging_left_bytes -= wanted;
	transfer->staged_bytes = wanted;
	return true;
}

/* It is left to another time. */
static void leave_staging(struct transfer *transfer)
{
	endpoint_writer_keep(transfer->staged);
	endpoint_writer_free(transfer->staged);
	transfer->staged = NULL;
	if (transfer->beginning)
		endpoint_reader_close(transfer->beginning);
	transfer->beginning = NULL;
	transfer->found = 0;
}

static void look_at_staging(struct transfer *transfer)
{
	struct error err;
	transfer->is_staged = may_be_staged(transfer);
	if (!transfer->is_staged)
		return;
	if (!endpoint_blob_resume(transfer->run->staging, &transfer->blob, &transfer->staged, &transfer->beginning,
		    &transfer->found, &err))
		log_debug("%s: staging: %s", transfer->image, err.text);
	transfer->is_staged = take_room(transfer);
	if (!transfer->is_staged)
		leave_staging(transfer);
}

void transfer_find_beginning(struct transfer *transfer)
{
	char name[24];
	look_at_targets(transfer);
	look_at_staging(transfer);
	if (transfer->found > 0)
		log_debug("%s: blob %s: the first %ld bytes are there", transfer->image,
			digest_short(&transfer->blob.digest, name), (long)transfer->found);
}

/* --- what stays -----------------------------------------------------------------------------------------------------
 */

/* Who cannot write there says so, and the blob is carried all the same. */
void transfer_stage(void *argument)
{
	struct transfer *transfer = argument;
	const unsigned char *data;
	size_t length;
	struct error err, ended;
	bool ok = true;
	while (ok && transfer->staged_offset < transfer->blob.size &&
		channel_read(&transfer->stager, &data, &length, &ended) && length > 0) {
		ok = transfer->staged ||
		     endpoint_blob_create(transfer->run->staging, "", &transfer->blob, &transfer->staged, &err);
		ok = ok && endpoint_writer_write(transfer->staged, data, length, &err);
		transfer->staged_offset += (int64_t)length;
		channel_advance(&transfer->stager);
	}
	if (!ok) {
		if (err.kind != ERR_CANCELED)
			log_warning("%s: staging: %s; it is carried without", transfer->image, err.text);
		endpoint_writer_free(transfer->staged);
		transfer->staged = NULL;
	}
	channel_leave(&transfer->stager);
}

/* It stays for as long as somebody lacks the blob, if what came of it is right as far as it goes. */
void transfer_end_staging(struct transfer *transfer)
{
	const struct error *why =
		transfer->source_err.kind != ERR_NONE ? &transfer->source_err : &transfer->verdict_err;
	bool stays = why->kind != ERR_NONE && beginning_survives(why);
	for (size_t i = 0; i < transfer->sink_count && why->kind == ERR_NONE; i++)
		stays |= !transfer->sinks[i].arrived;
	int64_t had = transfer->found > transfer->staged_offset ? transfer->found : transfer->staged_offset;
	int64_t kept = stays && transfer->staged ? had : 0;
	if (kept > 0)
		endpoint_writer_keep(transfer->staged);
	transfer->run->staging_left_bytes += transfer->staged_bytes + transfer->found - kept;
	endpoint_writer_free(transfer->staged);
	transfer->staged = NULL;
}
