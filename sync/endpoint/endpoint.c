/*
 * The seam: each call goes to the endpoint's own kind.
 */
#include "sync/endpoint/internal.h"

void endpoint_free(struct endpoint *endpoint)
{
	if (endpoint)
		endpoint->ops->release(endpoint);
}

const char *endpoint_name(const struct endpoint *endpoint)
{
	return endpoint->name;
}

char *endpoint_reference(const struct endpoint *endpoint, const char *repository, const char *reference)
{
	return endpoint->ops->reference(endpoint, repository, reference);
}

bool endpoint_is_layout(const struct endpoint *endpoint)
{
	return endpoint->is_layout;
}

const struct notices *endpoint_notices(const struct endpoint *endpoint)
{
	return endpoint->notices;
}

bool endpoint_retry_pause(struct endpoint *endpoint, int attempts, uint64_t answers_before, struct error *err)
{
	if (!endpoint->pace)
		return retry_pause(&retry_default, attempts, err);
	return pace_retry_pause(endpoint->pace, attempts, answers_before, err);
}

uint64_t endpoint_answers(const struct endpoint *endpoint)
{
	return endpoint->pace ? endpoint->pace->answers : 0;
}

int64_t endpoint_pause_ends_ms(const struct endpoint *endpoint)
{
	return endpoint->ops->pause_ends_ms ? endpoint->ops->pause_ends_ms(endpoint) : 0;
}

bool endpoint_plan(struct endpoint *endpoint, int64_t cost, struct error *err)
{
	return !endpoint->ops->plan || endpoint->ops->plan(endpoint, cost, err);
}

void endpoint_plan_end(struct endpoint *endpoint, int64_t cost)
{
	if (endpoint->ops->plan_end)
		endpoint->ops->plan_end(endpoint, cost);
}

struct gate *endpoint_blob_gate(struct endpoint *endpoint)
{
	return endpoint->blob_gate;
}

struct name_pages *endpoint_list(struct endpoint *endpoint, const char *repository)
{
	return endpoint->ops->list(endpoint, repository);
}

bool name_pages_next(struct name_pages *pages, const struct image_name **names, size_t *count, struct error *err)
{
	return pages->ops->pages_next(pages, names, count, err);
}

size_t name_pages_skipped(const struct name_pages *pages)
{
	return pages->skipped;
}

bool name_pages_are_over(const struct name_pages *pages)
{
	return pages->ops->pages_are_over && pages->ops->pages_are_over(pages);
}

void name_pages_free(struct name_pages *pages)
{
	if (pages)
		pages->ops->pages_free(pages);
}

bool endpoint_resolve(struct endpoint *endpoint, const char *repository, const char *reference, struct descriptor *root,
	struct error *err)
{
	return endpoint->ops->resolve(endpoint, repository, reference, root, err);
}

bool endpoint_resolve_source(struct endpoint *endpoint, const char *repository, const char *reference,
	struct descriptor *root, struct error *err)
{
	struct error why;
	if (endpoint_resolve(endpoint, repository, reference, root, &why))
		return true;
	if (why.kind == ERR_NOT_FOUND && endpoint->ops->resolve_by_reading)
		return endpoint->ops->resolve_by_reading(endpoint, repository, reference, root, err);
	if (err)
		*err = why;
	return false;
}

bool endpoint_manifest(struct endpoint *endpoint, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, char **media_type, struct error *err)
{
	return endpoint->ops->manifest(endpoint, repository, wanted, bytes, media_type, err);
}

bool endpoint_blob_open(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	int64_t offset, struct endpoint_reader **reader, struct error *err)
{
	return endpoint->ops->blob_open(endpoint, repository, blob, offset, reader, err);
}

bool endpoint_reader_read(struct endpoint_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err)
{
	return reader->ops->reader_read(reader, bytes, capacity, got, err);
}

bool endpoint_reader_starts_over(const struct endpoint_reader *reader)
{
	return reader->ops->reader_starts_over && reader->ops->reader_starts_over(reader);
}

const char *endpoint_reader_encoding(const struct endpoint_reader *reader)
{
	return reader->encoding ? reader->encoding : "";
}

void endpoint_reader_close(struct endpoint_reader *reader)
{
	if (reader)
		reader->ops->reader_close(reader);
}

bool endpoint_blob_present(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	bool *present, struct error *err)
{
	return endpoint->ops->blob_present(endpoint, repository, blob, present, err);
}

bool endpoint_blob_mount(struct endpoint *endpoint, const char *repository, const char *from_repository,
	const struct descriptor *blob, bool *mounted, struct endpoint_writer **writer, struct error *err)
{
	return endpoint->ops->blob_mount(endpoint, repository, from_repository, blob, mounted, writer, err);
}

bool endpoint_blob_create(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	struct endpoint_writer **writer, struct error *err)
{
	return endpoint->ops->blob_create(endpoint, repository, blob, writer, err);
}

bool endpoint_blob_resume(struct endpoint *endpoint, const struct descriptor *blob, struct endpoint_writer **writer,
	struct endpoint_reader **reader, int64_t *length, struct error *err)
{
	*length = 0;
	return !endpoint->ops->blob_resume || endpoint->ops->blob_resume(endpoint, blob, writer, reader, length, err);
}

int64_t endpoint_left_bytes(struct endpoint *endpoint)
{
	return endpoint->ops->left_bytes ? endpoint->ops->left_bytes(endpoint) : 0;
}

int64_t endpoint_make_room(struct endpoint *endpoint, int64_t bytes)
{
	return endpoint->ops->make_room ? endpoint->ops->make_room(endpoint, bytes) : 0;
}

void endpoint_writer_keep(struct endpoint_writer *writer)
{
	if (writer && writer->ops->writer_keep)
		writer->ops->writer_keep(writer);
}

bool endpoint_writer_write(struct endpoint_writer *writer, const void *bytes, size_t length, struct error *err)
{
	return writer->ops->writer_write(writer, bytes, length, err);
}

bool endpoint_writer_commit(struct endpoint_writer *writer, struct error *err)
{
	return writer->ops->writer_commit(writer, err);
}

enum upload_advice endpoint_writer_advice(const struct endpoint_writer *writer)
{
	return writer && writer->ops->writer_advice ? writer->ops->writer_advice(writer) : UPLOAD_NO_ADVICE;
}

void endpoint_writer_restart(struct endpoint_writer *writer)
{
	writer->ops->writer_restart(writer);
}

void endpoint_writer_free(struct endpoint_writer *writer)
{
	if (writer)
		writer->ops->writer_free(writer);
}

bool endpoint_manifest_put(struct endpoint *endpoint, const char *repository, const char *tag,
	const struct descriptor *manifest, const void *bytes, struct error *err)
{
	return endpoint->ops->manifest_put(endpoint, repository, tag, manifest, bytes, err);
}

bool endpoint_manifest_present(struct endpoint *endpoint, const char *repository, const struct digest *digest,
	bool *present, struct error *err)
{
	return endpoint->ops->manifest_present(endpoint, repository, digest, present, err);
}

bool endpoint_referrers(struct endpoint *endpoint, const char *repository, const struct digest *subject, bool with_tags,
	struct referrer_list *list, struct error *err)
{
	return endpoint->ops->referrers(endpoint, repository, subject, with_tags, list, err);
}

bool endpoint_delete(struct endpoint *endpoint, const char *repository, const char *reference, struct error *err)
{
	if (!endpoint->ops->delete)
		return error_set(err, ERR_UNSUPPORTED, "%s: nothing is deleted there", endpoint->name);
	return endpoint->ops->delete (endpoint, repository, reference, err);
}

bool endpoint_flush(struct endpoint *endpoint, struct error *err)
{
	return endpoint->ops->flush(endpoint, err);
}
