/*
 * A registry host as an endpoint: sync/registry does the work.
 */
#include "sync/endpoint/internal.h"

#include "base/memory.h"

#include <string.h>

/* The URLs in descriptors, as a source: a sibling of the registry whose manifests have them. */
struct elsewhere {
	struct endpoint head;
	struct registry *registry;
	struct gate gate;
};

struct registry_endpoint {
	struct endpoint head;
	struct registry *registry;
	struct elsewhere elsewhere;
};

/* It is one for all hosts that are named there. */
enum { ELSEWHERE_BLOBS = 4 };

static struct registry *registry_of(struct endpoint *endpoint)
{
	return ((struct registry_endpoint *)endpoint)->registry;
}

static bool is_digest_text(const char *reference)
{
	return strchr(reference, ':') != NULL; /* no tag has a colon (REF-5) */
}

static void release(struct endpoint *endpoint)
{
	registry_free(registry_of(endpoint));
	free(endpoint);
}

static char *format_reference(const struct endpoint *endpoint, const char *repository, const char *reference)
{
	return memory_format("%s/%s%s%s", endpoint->name, repository, is_digest_text(reference) ? "@" : ":", reference);
}

/* --- listing --------------------------------------------------------------------------------------------------- */

struct listed_names {
	struct name_pages head;
	char *repository; /* whose tags; NULL: the registry's repositories */
	struct listing *listing;
	struct image_name *names;
};

static const struct endpoint_ops registry_ops;

static struct name_pages *list(struct endpoint *endpoint, const char *repository)
{
	struct listed_names *listed = memory_new(1, sizeof *listed);
	listed->head.ops = &registry_ops;
	listed->repository = memory_text(repository);
	listed->listing = repository ? registry_tags(registry_of(endpoint), listed->repository)
				     : registry_catalog(registry_of(endpoint));
	return &listed->head;
}

/* TAG-14: the catalog is optional, and mostly for administrators; its 404 is no word about any image. */
static bool no_catalog(struct error *err)
{
	if (err->kind == ERR_NOT_FOUND)
		err->kind = ERR_UNSUPPORTED;
	if (err->kind == ERR_UNSUPPORTED || err->kind == ERR_DENIED || err->kind == ERR_UNAUTHORIZED)
		error_wrap(err, "this registry does not list its repositories to us, name them one by one");
	return false;
}

static bool pages_next(struct name_pages *pages, const struct image_name **names, size_t *count, struct error *err)
{
	struct listed_names *listed = (struct listed_names *)pages;
	char **texts;
	if (!listing_next(listed->listing, &texts, count, err))
		return listed->repository ? false : no_catalog(err);
	listed->head.skipped = listing_skipped(listed->listing);
	listed->names = memory_resize(listed->names, *count + 1, sizeof *listed->names);
	for (size_t i = 0; i < *count; i++)
		listed->names[i] = listed->repository ? (struct image_name){listed->repository, texts[i]}
						      : (struct image_name){texts[i], NULL};
	*names = listed->names;
	return true;
}

static bool pages_are_over(const struct name_pages *pages)
{
	return listing_is_over(((const struct listed_names *)pages)->listing);
}

static void pages_free(struct name_pages *pages)
{
	struct listed_names *listed = (struct listed_names *)pages;
	listing_free(listed->listing);
	free(listed->names);
	free(listed->repository);
	free(listed);
}

/* --- manifests ------------------------------------------------------------------------------------------------- */

static bool resolve_by_reading(
	struct endpoint *endpoint, const char *repository, const char *tag, struct descriptor *root, struct error *err)
{
	return registry_manifest_resolve(registry_of(endpoint), repository, tag, root, NULL, err);
}

static bool resolve(struct endpoint *endpoint, const char *repository, const char *reference, struct descriptor *root,
	struct error *err)
{
	struct descriptor found = {0};
	struct digest asked = {0};
	if (is_digest_text(reference) && !digest_parse(reference, &asked, err))
		return false;
	if (!registry_manifest_head(registry_of(endpoint), repository, reference, &found, err))
		return false;
	if (digest_is_empty(&asked) && digest_is_empty(&found.digest)) {
		descriptor_release(&found);
		return resolve_by_reading(endpoint, repository, reference, root, err);
	}
	if (!digest_is_empty(&asked))
		found.digest = asked;
	else
		found.reference_name = memory_text(reference);
	found.size = -1; /* MAN-12: what HEAD says of it is a hint, and wrong behind what compresses */
	*root = found;
	return true;
}

static bool manifest(struct endpoint *endpoint, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, char **media_type, struct error *err)
{
	return registry_manifest_get(registry_of(endpoint), repository, wanted, bytes, media_type, err);
}

static bool manifest_present(struct endpoint *endpoint, const char *repository, const struct digest *digest,
	bool *present, struct error *err)
{
	struct descriptor found = {0};
	struct error why;
	*present = registry_manifest_head(registry_of(endpoint), repository, digest->text, &found, &why);
	descriptor_release(&found);
	if (*present || why.kind == ERR_NOT_FOUND || why.kind == ERR_DENIED)
		return true;
	*err = why;
	return false;
}

static bool referrers(struct endpoint *endpoint, const char *repository, const struct digest *subject, bool with_tags,
	struct referrer_list *list, struct error *err)
{
	return registry_referrers(registry_of(endpoint), repository, subject, with_tags, list, err);
}

static bool referrers_note(struct endpoint *endpoint, const char *repository, const struct digest *subject,
	const struct referrer *noted, size_t count, struct error *err)
{
	return registry_referrers_note(registry_of(endpoint), repository, subject, noted, count, err);
}

static bool manifest_put(struct endpoint *endpoint, const char *repository, const char *tag,
	const struct descriptor *descriptor, const void *bytes, struct error *err)
{
	return registry_manifest_put(registry_of(endpoint), repository, tag ? tag : descriptor->digest.text,
		descriptor->media_type, bytes, (size_t)descriptor->size, &descriptor->digest, err);
}

/* A tag is visible once its PUT was answered. */
static bool flush(struct endpoint *endpoint, struct error *err)
{
	(void)endpoint;
	(void)err;
	return true;
}

/* --- blobs ----------------------------------------------------------------------------------------------------- */

struct registry_reader {
	struct endpoint_reader head;
	struct blob_reader *reader;
};

static struct endpoint_reader *reader_new(struct blob_reader *opened)
{
	struct registry_reader *made = memory_new(1, sizeof *made);
	*made = (struct registry_reader){{&registry_ops, blob_reader_encoding(opened)}, opened};
	return &made->head;
}

static bool blob_open(struct endpoint *endpoint, const char *repository, const struct descriptor *blob, int64_t offset,
	struct endpoint_reader **reader, struct error *err)
{
	struct blob_reader *opened;
	if (!registry_blob_open(registry_of(endpoint), repository, blob, offset, &opened, err))
		return false;
	*reader = reader_new(opened);
	return true;
}

static bool elsewhere_open(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	int64_t offset, struct endpoint_reader **reader, struct error *err)
{
	struct blob_reader *opened;
	(void)repository;
	if (!registry_foreign_open(((struct elsewhere *)endpoint)->registry, blob, offset, &opened, err))
		return false;
	*reader = reader_new(opened);
	return true;
}

static bool reader_read(struct endpoint_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err)
{
	return blob_reader_read(((struct registry_reader *)reader)->reader, bytes, capacity, got, err);
}

static bool reader_starts_over(const struct endpoint_reader *reader)
{
	return blob_reader_starts_over(((const struct registry_reader *)reader)->reader);
}

static void reader_close(struct endpoint_reader *reader)
{
	blob_reader_close(((struct registry_reader *)reader)->reader);
	free(reader);
}

static bool blob_present(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	bool *present, struct error *err)
{
	return registry_blob_head(registry_of(endpoint), repository, blob, present, err);
}

struct registry_writer {
	struct endpoint_writer head;
	struct blob_upload *upload;
	struct descriptor blob;
	bool begun;
};

static struct endpoint_writer *writer_new(struct blob_upload *upload, const struct descriptor *blob)
{
	struct registry_writer *writer = memory_new(1, sizeof *writer);
	*writer = (struct registry_writer){.head = {&registry_ops}, .upload = upload};
	descriptor_copy(&writer->blob, blob);
	return &writer->head;
}

static bool blob_mount(struct endpoint *endpoint, const char *repository, const char *from_repository,
	const struct descriptor *blob, bool *mounted, struct endpoint_writer **writer, struct error *err)
{
	struct blob_upload *upload = NULL;
	*writer = NULL;
	if (!registry_blob_mount(
		    registry_of(endpoint), repository, from_repository, &blob->digest, mounted, &upload, err))
		return false;
	if (upload)
		*writer = writer_new(upload, blob);
	return true;
}

static bool blob_create(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	struct endpoint_writer **writer, struct error *err)
{
	struct blob_upload *upload;
	if (!registry_upload_open(registry_of(endpoint), repository, &blob->digest, &upload, err))
		return false;
	*writer = writer_new(upload, blob);
	return true;
}

/* The PUT starts with the first bytes, since a session may wait for its blob, and a request must not (T-5). */
static bool begin(struct registry_writer *writer, struct error *err)
{
	if (!writer->begun && !blob_upload_begin(writer->upload, &writer->blob, err))
		return false;
	writer->begun = true;
	return true;
}

static bool writer_write(struct endpoint_writer *endpoint_writer, const void *bytes, size_t length, struct error *err)
{
	struct registry_writer *writer = (struct registry_writer *)endpoint_writer;
	return begin(writer, err) && blob_upload_write(writer->upload, bytes, length, err);
}

static bool writer_commit(struct endpoint_writer *endpoint_writer, struct error *err)
{
	struct registry_writer *writer = (struct registry_writer *)endpoint_writer;
	return begin(writer, err) && blob_upload_commit(writer->upload, err);
}

static enum upload_advice writer_advice(const struct endpoint_writer *endpoint_writer)
{
	return blob_upload_advice(((const struct registry_writer *)endpoint_writer)->upload);
}

static void writer_restart(struct endpoint_writer *endpoint_writer)
{
	((struct registry_writer *)endpoint_writer)->begun = false;
}

static void writer_free(struct endpoint_writer *endpoint_writer)
{
	struct registry_writer *writer = (struct registry_writer *)endpoint_writer;
	blob_upload_free(writer->upload);
	descriptor_release(&writer->blob);
	free(writer);
}

/* --- the kind -------------------------------------------------------------------------------------------------- */

static bool delete_reference(
	struct endpoint *endpoint, const char *repository, const char *reference, struct error *err)
{
	struct digest digest;
	if (!is_digest_text(reference))
		return registry_tag_delete(registry_of(endpoint), repository, reference, err);
	return digest_parse(reference, &digest, err) &&
	       registry_manifest_delete(registry_of(endpoint), repository, &digest, err);
}

static int64_t pause_ends_ms(const struct endpoint *endpoint)
{
	return registry_pause_ends_ms(((const struct registry_endpoint *)endpoint)->registry);
}

static bool plan(struct endpoint *endpoint, int64_t cost, struct error *err)
{
	return registry_plan(registry_of(endpoint), cost, err);
}

static void plan_end(struct endpoint *endpoint, int64_t cost)
{
	registry_plan_end(registry_of(endpoint), cost);
}

static const struct endpoint_ops registry_ops = {
	.pause_ends_ms = pause_ends_ms,
	.plan = plan,
	.plan_end = plan_end,
	.release = release,
	.reference = format_reference,
	.list = list,
	.pages_next = pages_next,
	.pages_are_over = pages_are_over,
	.pages_free = pages_free,
	.resolve = resolve,
	.resolve_by_reading = resolve_by_reading,
	.manifest = manifest,
	.manifest_present = manifest_present,
	.referrers = referrers,
	.blob_open = blob_open,
	.reader_read = reader_read,
	.reader_starts_over = reader_starts_over,
	.reader_close = reader_close,
	.blob_present = blob_present,
	.blob_mount = blob_mount,
	.blob_create = blob_create,
	.writer_write = writer_write,
	.writer_commit = writer_commit,
	.writer_advice = writer_advice,
	.writer_restart = writer_restart,
	.writer_free = writer_free,
	.manifest_put = manifest_put,
	.referrers_note = referrers_note,
	.delete = delete_reference,
	.flush = flush,
};

/* Of everything else it can do nothing, and is never asked. */
static const struct endpoint_ops elsewhere_ops = {.blob_open = elsewhere_open};

struct endpoint *endpoint_elsewhere(struct endpoint *endpoint)
{
	return endpoint->ops == &registry_ops ? &((struct registry_endpoint *)endpoint)->elsewhere.head : NULL;
}

struct endpoint *endpoint_new_registry(struct registry *registry)
{
	struct registry_endpoint *endpoint = memory_new(1, sizeof *endpoint);
	*endpoint = (struct registry_endpoint){
		.head = {.ops = &registry_ops,
			.name = registry_domain(registry),
			.blob_gate = registry_blob_gate(registry),
			.notices = registry_notices(registry),
			.pace = registry_pace(registry)},
		.registry = registry,
	};
	gate_init(&endpoint->elsewhere.gate, ELSEWHERE_BLOBS);
	endpoint->elsewhere.registry = registry;
	endpoint->elsewhere.head =
		(struct endpoint){.ops = &elsewhere_ops, .name = "elsewhere", .blob_gate = &endpoint->elsewhere.gate};
	return &endpoint->head;
}
