#include "sync/mirror/blob.h"

#include "base/memory.h"

#include <string.h>

struct blob_table {
	struct blob *blobs;
	struct list unused; /* oldest first */
	size_t unused_count;
};

struct blob_table *blob_table_new(void)
{
	struct blob_table *table = memory_new(1, sizeof *table);
	list_init(&table->unused);
	return table;
}

static void forget(struct blob_table *table, struct blob *blob)
{
	HASH_DEL(table->blobs, blob);
	for (size_t i = 0; i < blob->holder_count; i++)
		free(blob->holders[i].repository);
	free(blob->holders);
	free(blob->distrusted);
	free(blob);
}

void blob_table_free(struct blob_table *table)
{
	if (!table)
		return;
	struct blob *blob, *next;
	HASH_ITER(hh, table->blobs, blob, next)
	{
		forget(table, blob);
	}
	free(table);
}

struct blob *blob_use(struct run *run, const struct digest *digest)
{
	struct blob_table *table = run->blobs;
	struct blob *blob;
	HASH_FIND_STR(table->blobs, digest->text, blob);
	if (!blob) {
		blob = memory_new(1, sizeof *blob);
		memcpy(blob->key, digest->text, sizeof blob->key);
		blob->size = -1;
		list_init(&blob->unused);
		list_init(&blob->waiting);
		waitqueue_init(&blob->changed);
		HASH_ADD_STR(table->blobs, key, blob);
		run->report.blobs.unique++;
	}
	if (blob->users++ == 0 && !list_is_empty(&blob->unused)) {
		list_remove(&blob->unused);
		table->unused_count--;
	}
	return blob;
}

void blob_leave(struct run *run, struct blob *blob)
{
	struct blob_table *table = run->blobs;
	if (--blob->users > 0)
		return;
	list_append(&table->unused, &blob->unused);
	if (++table->unused_count > KNOWN_BLOBS) {
		struct blob *oldest = list_item(table->unused.next, struct blob, unused);
		list_remove(&oldest->unused);
		table->unused_count--;
		forget(table, oldest);
	}
}

/* --- who holds it ---------------------------------------------------------------------------------------------------
 */

struct holder *blob_find_holder(struct blob *blob, const struct endpoint *endpoint, const char *repository)
{
	for (size_t i = 0; i < blob->holder_count; i++)
		if (blob->holders[i].endpoint == endpoint && strcmp(blob->holders[i].repository, repository) == 0)
			return &blob->holders[i];
	return NULL;
}

void blob_drop_holder(struct blob *blob, const struct holder *holder)
{
	size_t at = (size_t)(holder - blob->holders);
	free(blob->holders[at].repository);
	blob->holders[at] = blob->holders[--blob->holder_count];
}

static bool has_another_before(const struct blob *blob, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (blob->holders[i].present && blob->holders[i].endpoint == blob->holders[at].endpoint)
			return true;
	return false;
}

/* Of those that are settled, one whose endpoint has another goes, since mounts come from the first of an endpoint. */
static void bound_holders(struct blob *blob)
{
	size_t goes = blob->holder_count;
	if (blob->holder_count < HOLDERS_PER_BLOB)
		return;
	for (size_t i = blob->holder_count; i-- > 0;) {
		bool spare = blob->holders[i].present && has_another_before(blob, i);
		if (spare || (blob->holders[i].present && goes == blob->holder_count))
			goes = i;
		if (spare)
			break;
	}
	if (goes < blob->holder_count)
		blob_drop_holder(blob, &blob->holders[goes]);
}

void blob_add_holder(struct blob *blob, struct endpoint *endpoint, const char *repository)
{
	bound_holders(blob);
	blob->holders = memory_resize(blob->holders, blob->holder_count + 1, sizeof *blob->holders);
	blob->holders[blob->holder_count++] =
		(struct holder){.endpoint = endpoint, .repository = memory_text(repository)};
}

void blob_distrust(struct run *run, const struct digest *digest, const struct endpoint *endpoint)
{
	struct blob *blob = blob_use(run, digest);
	if (!blob_is_distrusted(blob, endpoint)) {
		blob->distrusted =
			memory_resize(blob->distrusted, blob->distrusted_count + 1, sizeof(struct endpoint *));
		blob->distrusted[blob->distrusted_count++] = endpoint;
	}
	blob_leave(run, blob);
}

bool blob_is_distrusted(const struct blob *blob, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < blob->distrusted_count; i++)
		if (blob->distrusted[i] == endpoint)
			return true;
	return false;
}

void blob_forget_place(struct run *run, const struct digest *digest, const struct endpoint *endpoint,
	const char *repository, int64_t until_ms)
{
	struct blob *blob = blob_use(run, digest);
	struct holder *holder = blob_find_holder(blob, endpoint, repository);
	if (holder && holder->present && holder->since_ms <= until_ms) {
		blob_drop_holder(blob, holder);
		store_location_gone(run->store, endpoint_name(endpoint), repository, digest);
	}
	blob_leave(run, blob);
}

/* --- its diff_id ----------------------------------------------------------------------------------------------------
 */

/* Under which the store keeps its diff_id. */
static const char *decoder_name(const struct descriptor *descriptor)
{
	static const char *const names[] = {
		[DECODER_NONE] = "tar", [DECODER_GZIP] = "gzip", [DECODER_ZSTD] = "zstd", [DECODER_IMPOSSIBLE] = ""};
	return names[media_decoder(descriptor->media_type)];
}

void blob_fact(struct run *run, const struct descriptor *descriptor, struct fact *fact)
{
	struct blob *blob = blob_use(run, &descriptor->digest);
	if (blob->fact.state == FACT_UNKNOWN && media_decoder(descriptor->media_type) != DECODER_IMPOSSIBLE) {
		struct digest diff_id;
		bool found = false;
		struct error err;
		/* A store that cannot answer costs an inflate, and no more. */
		if (store_diff_id_find(
			    run->store, &descriptor->digest, decoder_name(descriptor), &diff_id, &found, &err) &&
			found && blob->fact.state == FACT_UNKNOWN) {
			blob->fact.state = FACT_REMEMBERED;
			blob->fact.diff_id = diff_id;
			run->report.verified.diff_ids_remembered++;
		}
	}
	*fact = blob->fact;
	blob_leave(run, blob);
}

void blob_learn(struct run *run, struct blob *blob, const struct descriptor *descriptor, const struct fact *fact)
{
	blob->fact = *fact;
	if (fact->state != FACT_PROVEN)
		return;
	run->report.verified.diff_ids++;
	store_diff_id_proven(
		run->store, &descriptor->digest, descriptor->size, decoder_name(descriptor), &fact->diff_id);
}

void blob_count_unproven(struct run *run, const struct digest *digest)
{
	struct blob *blob = blob_use(run, digest);
	run->report.blobs.unproven += !blob->unproven;
	blob->unproven = true;
	blob_leave(run, blob);
}
