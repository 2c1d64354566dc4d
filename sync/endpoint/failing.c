/*
 * An endpoint that could not be opened: every call fails with the reason, so that whoever needs it fails, and nobody
 * else.
 */
#include "sync/endpoint/internal.h"

#include "base/memory.h"

struct failing {
	struct endpoint endpoint;
	char *name;
	struct gate gate;
	struct error reason;
};

static bool fail(const struct endpoint *endpoint, struct error *err)
{
	*err = ((const struct failing *)endpoint)->reason;
	return false;
}

static void release(struct endpoint *endpoint)
{
	free(((struct failing *)endpoint)->name);
	free(endpoint);
}

static char *reference(const struct endpoint *endpoint, const char *repository, const char *name)
{
	bool has_repository = repository && *repository;
	return memory_format(
		"%s:%s%s%s", endpoint->name, has_repository ? repository : "", has_repository ? ":" : "", name);
}

struct failing_pages {
	struct name_pages pages;
	struct endpoint *endpoint;
};

static bool pages_next(struct name_pages *pages, const struct image_name **names, size_t *count, struct error *err)
{
	*names = NULL;
	*count = 0;
	return fail(((struct failing_pages *)pages)->endpoint, err);
}

static void pages_free(struct name_pages *pages)
{
	free(pages);
}

static struct name_pages *list(struct endpoint *endpoint, const char *repository)
{
	struct failing_pages *pages = memory_new(1, sizeof *pages);
	(void)repository;
	pages->pages.ops = endpoint->ops;
	pages->endpoint = endpoint;
	return &pages->pages;
}

static bool resolve(
	struct endpoint *endpoint, const char *repository, const char *name, struct descriptor *root, struct error *err)
{
	(void)repository, (void)name, (void)root;
	return fail(endpoint, err);
}

static bool manifest(struct endpoint *endpoint, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, char **media_type, struct error *err)
{
	(void)repository, (void)wanted, (void)bytes, (void)media_type;
	return fail(endpoint, err);
}

static bool blob_open(struct endpoint *endpoint, const char *repository, const struct descriptor *blob, int64_t offset,
	struct endpoint_reader **reader, struct error *err)
{
	(void)repository, (void)blob, (void)offset, (void)reader;
	return fail(endpoint, err);
}

static bool blob_present(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	bool *present, struct error *err)
{
	(void)repository, (void)blob, (void)present;
	return fail(endpoint, err);
}

static bool blob_mount(struct endpoint *endpoint, const char *repository, const char *from_repository,
	const struct descriptor *blob, bool *mounted, struct endpoint_writer **writer, struct error *err)
{
	(void)repository, (void)from_repository, (void)blob, (void)mounted, (void)writer;
	return fail(endpoint, err);
}

static bool blob_create(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	struct endpoint_writer **writer, struct error *err)
{
	(void)repository, (void)blob, (void)writer;
	return fail(endpoint, err);
}

static bool manifest_put(struct endpoint *endpoint, const char *repository, const char *tag,
	const struct descriptor *described, const void *bytes, struct error *err)
{
	(void)repository, (void)tag, (void)described, (void)bytes;
	return fail(endpoint, err);
}

static bool manifest_present(struct endpoint *endpoint, const char *repository, const struct digest *digest,
	bool *present, struct error *err)
{
	(void)repository, (void)digest, (void)present;
	return fail(endpoint, err);
}

static bool referrers(struct endpoint *endpoint, const char *repository, const struct digest *subject, bool with_tags,
	struct referrer_list *list, struct error *err)
{
	(void)repository, (void)subject, (void)with_tags, (void)list;
	return fail(endpoint, err);
}

static bool referrers_note(struct endpoint *endpoint, const char *repository, const struct digest *subject,
	const struct referrer *noted, size_t count, struct error *err)
{
	(void)repository, (void)subject, (void)noted, (void)count;
	return fail(endpoint, err);
}

static bool flush(struct endpoint *endpoint, struct error *err)
{
	return fail(endpoint, err);
}

/* No reader or writer is ever handed out, so their calls have no function. */
static const struct endpoint_ops failing_ops = {
	.release = release,
	.reference = reference,
	.list = list,
	.pages_next = pages_next,
	.pages_free = pages_free,
	.resolve = resolve,
	.manifest = manifest,
	.blob_open = blob_open,
	.blob_present = blob_present,
	.blob_mount = blob_mount,
	.blob_create = blob_create,
	.manifest_put = manifest_put,
	.manifest_present = manifest_present,
	.referrers = referrers,
	.referrers_note = referrers_note,
	.flush = flush,
};

struct endpoint *endpoint_new_failing(const char *directory, const struct error *reason)
{
	struct failing *failing = memory_new(1, sizeof *failing);
	failing->name = memory_format("oci:%s", directory);
	failing->reason = *reason;
	gate_init(&failing->gate, 1);
	failing->endpoint = (struct endpoint){&failing_ops, failing->name, &failing->gate, NULL, true, NULL, NULL};
	return &failing->endpoint;
}
