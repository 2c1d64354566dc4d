/*
 * Blobs and manifests of a layout.
 *
 * Pieces are written and read on the pool, one job each: write() into the page cache is cheap until the kernel has too
 * many dirty pages, and then it waits for the disk, which is what bulk copying comes to. The way to a worker and back
 * costs a tenth of the copying of 256 KiB.
 */
#include "sync/endpoint/layout.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "sync/endpoint/layout_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Smaller files are not worth a reservation. */
#define RESERVE_LEAST ((int64_t)MIB)

/* --- jobs ------------------------------------------------------------------------------------------------------ */

static void run_function(void *argument)
{
	struct layout_job *job = argument;
	job->ok = job->function(job, &job->err);
}

static bool outcome(const struct layout *layout, const struct layout_job *job, struct error *err)
{
	if (job->ok)
		return true;
	*err = job->err;
	return error_wrap(err, "%s", layout->name);
}

bool layout_run(
	const struct layout *layout, void *job, bool (*function)(void *job, struct error *err), struct error *err)
{
	struct layout_job *head = job;
	head->function = function;
	return pool_run(run_function, job, err) && outcome(layout, head, err);
}

bool layout_run_always(
	const struct layout *layout, void *job, bool (*function)(void *job, struct error *err), struct error *err)
{
	struct layout_job *head = job;
	head->function = function;
	pool_run_always(run_function, job);
	return outcome(layout, head, err);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

struct open_job {
	struct layout_job head;
	int root, fd;
	const struct descriptor *blob;
	bool present;
};

/* The open file of the blob, whose size is what its descriptor says (T-39, T-40). */
static bool open_blob(void *argument, struct error *err)
{
	struct open_job *job = argument;
	char shown[BLOB_PATH_MAX];
	struct stat status;
	job->fd = layout_open_blob(job->root, &job->blob->digest, &status, err);
	if (job->fd < 0)
		return false;
	if (job->blob->size < 0 || status.st_size == job->blob->size)
		return true;
	close(job->fd);
	return error_set(err, ERR_CORRUPT, "%s: %jd bytes, and its descriptor says %jd",
		layout_blob_path(&job->blob->digest, shown), (intmax_t)status.st_size, (intmax_t)job->blob->size);
}

struct layout_reader {
	struct endpoint_reader head;
	const struct layout *layout;
	int fd;
	struct digest digest;
	int64_t offset, size;
};

bool layout_blob_open(struct endpoint *endpoint, const char *repository, const struct descriptor *blob, int64_t offset,
	struct endpoint_reader **reader, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	struct open_job job = {.root = layout->root, .blob = blob};
	(void)repository;
	if (!layout_run(layout, &job, open_blob, err))
		return false;
	posix_fadvise(job.fd, offset, 0, POSIX_FADV_SEQUENTIAL);
	struct layout_reader *made = memory_new(1, sizeof *made);
	*made = (struct layout_reader){{endpoint->ops, NULL}, layout, job.fd, blob->digest, offset, blob->size};
	*reader = &made->head;
	return true;
}

struct read_job {
	struct layout_job head;
	const struct layout_reader *reader;
	void *bytes;
	size_t wanted, got;
};

static bool read_piece(void *argument, struct error *err)
{
	struct read_job *job = argument;
	const struct layout_reader *reader = job->reader;
	char shown[BLOB_PATH_MAX];
	ssize_t got;
	do
		got = pread(reader->fd, job->bytes, job->wanted, (off_t)reader->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_errno(err, "%s", layout_blob_path(&reader->digest, shown));
	if (got == 0)
		return error_set(err, ERR_CORRUPT, "%s: ends after %jd of %jd bytes",
			layout_blob_path(&reader->digest, shown), (intmax_t)reader->offset, (intmax_t)reader->size);
	job->got = (size_t)got;
	return true;
}

bool layout_reader_read(
	struct endpoint_reader *endpoint_reader, void *bytes, size_t capacity, size_t *got, struct error *err)
{
	struct layout_reader *reader = (struct layout_reader *)endpoint_reader;
	int64_t left = reader->size - reader->offset;
	struct read_job job = {.reader = reader, .bytes = bytes, .wanted = capacity};
	if ((int64_t)job.wanted > left)
		job.wanted = (size_t)left;
	*got = 0;
	if (left <= 0)
		return true;
	if (!layout_run(reader->layout, &job, read_piece, err))
		return false;
	reader->offset += (int64_t)job.got;
	*got = job.got;
	return true;
}

void layout_reader_close(struct endpoint_reader *endpoint_reader)
{
	struct layout_reader *reader = (struct layout_reader *)endpoint_reader;
	close(reader->fd);
	free(reader);
}

/* --- manifests ------------------------------------------------------------------------------------------------- */

struct manifest_job {
	struct layout_job head;
	int root;
	const struct descriptor *wanted;
	struct buf *bytes;
};

static bool read_manifest(void *argument, struct error *err)
{
	struct manifest_job *job = argument;
	char shown[BLOB_PATH_MAX];
	struct stat status;
	layout_blob_path(&job->wanted->digest, shown);
	auto_close int fd = layout_open_blob(job->root, &job->wanted->digest, &status, err);
	if (fd < 0)
		return false;
	size_t size = (size_t)status.st_size;
	if (job->wanted->size >= 0 && status.st_size != job->wanted->size)
		return error_set(err, ERR_CORRUPT, "%s: %zu bytes, and its descriptor says %jd", shown, size,
			(intmax_t)job->wanted->size);
	if (size > job->bytes->maximum)
		return error_set(err, ERR_TOO_LARGE, "%s: %zu bytes, and at most %zu are read", shown, size,
			job->bytes->maximum);
	auto_free char *content = memory_new(size + 1, 1);
	return layout_read_file(fd, content, size, shown, err) &&
	       (digest_check(&job->wanted->digest, content, size, err) || error_wrap(err, "%s", shown)) &&
	       buf_append(job->bytes, content, size, err);
}

/* What index.json calls it; of a child of an index, it says nothing. */
static char *known_media_type(const struct layout *layout, const struct digest *digest)
{
	size_t count;
	const struct index_row *rows = index_find(layout->index, INDEX_BY_DIGEST, digest->text, &count);
	const char *type = count > 0 ? layout->index->entries[rows[0].entry].media_type : "";
	return *type ? memory_text(type) : NULL;
}

bool layout_manifest(struct endpoint *endpoint, const char *repository, const struct descriptor *wanted,
	struct buf *bytes, char **media_type, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	struct manifest_job job = {.root = layout->root, .wanted = wanted, .bytes = bytes};
	(void)repository;
	if (!layout_run(layout, &job, read_manifest, err))
		return false;
	*media_type = known_media_type(layout, &wanted->digest);
	return true;
}

bool layout_manifest_present(struct endpoint *endpoint, const char *repository, const struct digest *digest,
	bool *present, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	const struct descriptor wanted = {.digest = *digest, .size = -1};
	struct open_job job = {.root = layout->root, .blob = &wanted};
	struct error why;
	(void)repository;
	*present = layout_run(layout, &job, open_blob, &why);
	if (*present)
		close(job.fd);
	else if (why.kind != ERR_NOT_FOUND && why.kind != ERR_CORRUPT)
		*err = why;
	return *present || why.kind == ERR_NOT_FOUND || why.kind == ERR_CORRUPT;
}

struct store_job {
	struct layout_job head;
	int root;
	const struct descriptor *manifest;
	const void *bytes;
};

/* A file of the right name and size may still hold the zeroes of somebody's power loss (LAY-3). */
static bool is_stored(const struct store_job *job)
{
	struct stat status;
	size_t size = (size_t)job->manifest->size;
	auto_close int fd = layout_open_blob(job->root, &job->manifest->digest, &status, NULL);
	if (fd < 0 || status.st_size != job->manifest->size)
		return false;
	auto_free char *content = memory_new(size + 1, 1);
	return layout_read_file(fd, content, size, "", NULL) && memcmp(content, job->bytes, size) == 0;
}

static bool store_manifest(void *argument, struct error *err)
{
	struct store_job *job = argument;
	const struct digest *digest = &job->manifest->digest;
	char shown[BLOB_PATH_MAX];
	struct temporary temporary;
	layout_blob_path(digest, shown);
	if (is_stored(job))
		return true;
	auto_close int store = layout_open_store(job->root, digest, true, err);
	if (store < 0 || !temporary_open(job->root, NULL, &temporary, err))
		return error_wrap(err, "%s", shown);
	if (!file_write_all(temporary.fd, job->bytes, (size_t)job->manifest->size, err)) {
		temporary_abort(&temporary);
		return error_wrap(err, "%s", shown);
	}
	return temporary_publish(&temporary, store, digest_encoded(digest), err) || error_wrap(err, "%s", shown);
}

bool layout_store_manifest(
	struct layout *layout, const struct descriptor *manifest, const void *bytes, struct error *err)
{
	struct store_job job = {.root = layout->root, .manifest = manifest, .bytes = bytes};
	return layout_run(layout, &job, store_manifest, err);
}

/* --- writing --------------------------------------------------------------------------------------------------- */

/* Not there, or not as it should be: then it is written again, over whatever is there (LAY-3). */
static bool look_for_blob(void *argument, struct error *err)
{
	struct open_job *job = argument;
	struct error why;
	struct stat status;
	auto_close int fd = layout_open_blob(job->root, &job->blob->digest, &status, &why);
	job->present = fd >= 0 && status.st_size == job->blob->size;
	if (fd >= 0 || why.kind == ERR_NOT_FOUND || why.kind == ERR_CORRUPT)
		return true;
	*err = why;
	return false;
}

bool layout_blob_present(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	bool *present, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	struct open_job job = {.root = layout->root, .blob = blob};
	(void)repository;
	if (!layout_run(layout, &job, look_for_blob, err))
		return false;
	*present = job.present;
	return true;
}

struct layout_writer {
	struct endpoint_writer head;
	const struct layout *layout;
	struct digest digest;
	int64_t size, written;
	int64_t found; /* so many bytes of it were there before: they are not written again */
	bool keeps;    /* what is there of it, for another writer */
	struct temporary temporary;
};

struct writer_job {
	struct layout_job head;
	struct layout_writer *writer;
	const void *bytes;
	size_t length;
};

/* A disk that cannot hold the blob says so before it has come over the link (T-55). Not every file system can tell. */
static bool reserve(const struct layout_writer *writer, struct error *err)
{
	if (writer->size < RESERVE_LEAST ||
		fallocate(writer->temporary.fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)writer->size) == 0)
		return true;
	return (errno != ENOSPC && errno != EDQUOT && errno != EFBIG) ||
	       error_errno(err, "%jd bytes", (intmax_t)writer->size);
}

static bool start_writer(void *argument, struct error *err)
{
	struct layout_writer *writer = ((struct writer_job *)argument)->writer;
	char shown[BLOB_PATH_MAX];
	auto_close int store = layout_open_store(writer->layout->root, &writer->digest, true, err);
	return (store >= 0 && temporary_open(writer->layout->root, &writer->digest, &writer->temporary, err) &&
		       reserve(writer, err)) ||
	       error_wrap(err, "%s", layout_blob_path(&writer->digest, shown));
}

static bool write_piece(void *argument, struct error *err)
{
	struct writer_job *job = argument;
	char shown[BLOB_PATH_MAX];
	return file_write_all(job->writer->temporary.fd, job->bytes, job->length, err) ||
	       error_wrap(err, "%s", layout_blob_path(&job->writer->digest, shown));
}

static bool commit_writer(void *argument, struct error *err)
{
	struct layout_writer *writer = ((struct writer_job *)argument)->writer;
	char shown[BLOB_PATH_MAX];
	auto_close int store = layout_open_store(writer->layout->root, &writer->digest, true, err);
	return (store >= 0 && temporary_publish(&writer->temporary, store, digest_encoded(&writer->digest), err)) ||
	       error_wrap(err, "%s", layout_blob_path(&writer->digest, shown));
}

static bool abort_writer(void *argument, struct error *err)
{
	struct layout_writer *writer = ((struct writer_job *)argument)->writer;
	(void)err;
	if (writer->keeps)
		temporary_keep(&writer->temporary);
	else
		temporary_abort(&writer->temporary);
	return true;
}

static struct layout_writer *writer_new(struct endpoint *endpoint, const struct descriptor *blob)
{
	struct layout_writer *writer = memory_new(1, sizeof *writer);
	*writer = (struct layout_writer){
		.head = {endpoint->ops},
		.layout = layout_of(endpoint),
		.digest = blob->digest,
		.size = blob->size,
		.temporary = {.fd = -1, .directory = -1},
	};
	return writer;
}

static bool resume_writer(void *argument, struct error *err)
{
	struct layout_writer *writer = ((struct writer_job *)argument)->writer;
	char shown[BLOB_PATH_MAX];
	return temporary_resume(
		       writer->layout->root, &writer->digest, writer->size, &writer->temporary, &writer->found, err) ||
	       error_wrap(err, "%s", layout_blob_path(&writer->digest, shown));
}

bool layout_blob_resume(struct endpoint *endpoint, const struct descriptor *blob, struct endpoint_writer **writer_out,
	struct endpoint_reader **reader, int64_t *length, struct error *err)
{
	struct layout_writer *writer = writer_new(endpoint, blob);
	struct writer_job job = {.writer = writer};
	bool ok = layout_run(layout_of(endpoint), &job, resume_writer, err);
	int fd = ok && writer->found > 0 ? dup(writer->temporary.fd) : -1;
	*length = fd >= 0 ? writer->found : 0;
	if (fd < 0) {
		layout_writer_free(&writer->head);
		return ok;
	}
	struct layout_reader *made = memory_new(1, sizeof *made);
	*made = (struct layout_reader){{endpoint->ops, NULL}, layout_of(endpoint), fd, blob->digest, 0, writer->found};
	*reader = &made->head;
	*writer_out = &writer->head;
	return true;
}

struct left_job {
	struct layout_job head;
	int root;
	int64_t bytes;
};

static bool sum_left(void *argument, struct error *err)
{
	struct left_job *job = argument;
	(void)err;
	job->bytes = temporary_left_bytes(job->root);
	return true;
}

int64_t layout_left_bytes(struct endpoint *endpoint)
{
	struct left_job job = {.root = layout_of(endpoint)->root};
	struct error err;
	return layout_run(layout_of(endpoint), &job, sum_left, &err) ? job.bytes : 0;
}

struct room_job {
	struct layout_job head;
	int root;
	int64_t bytes, freed;
};

static bool make_room(void *argument, struct error *err)
{
	struct room_job *job = argument;
	(void)err;
	job->freed = temporary_make_room(job->root, job->bytes);
	return true;
}

int64_t layout_make_room(struct endpoint *endpoint, int64_t bytes)
{
	struct room_job job = {.root = layout_of(endpoint)->root, .bytes = bytes};
	struct error err;
	return layout_run(layout_of(endpoint), &job, make_room, &err) ? job.freed : 0;
}

void layout_writer_keep(struct endpoint_writer *endpoint_writer)
{
	((struct layout_writer *)endpoint_writer)->keeps = true;
}

bool layout_blob_create(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
	struct endpoint_writer **writer_out, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	struct layout_writer *writer = writer_new(endpoint, blob);
	(void)repository;
	struct writer_job job = {.writer = writer};
	if (!layout_run(layout, &job, start_writer, err)) {
		layout_writer_free(&writer->head);
		return false;
	}
	*writer_out = &writer->head;
	return true;
}

bool layout_writer_write(struct endpoint_writer *endpoint_writer, const void *bytes, size_t length, struct error *err)
{
	struct layout_writer *writer = (struct layout_writer *)endpoint_writer;
	/* What was found is what is read back for the others, and proven with the rest. */
	int64_t old = writer->found > writer->written ? writer->found - writer->written : 0;
	size_t skipped = old < (int64_t)length ? (size_t)old : length;
	struct writer_job job = {.writer = writer, .bytes = (const char *)bytes + skipped, .length = length - skipped};
	if ((int64_t)length > writer->size - writer->written)
		return error_set(err, ERR_CORRUPT, "%s: %s has more than %jd bytes", writer->layout->name,
			writer->digest.text, (intmax_t)writer->size);
	if (job.length > 0 && !layout_run(writer->layout, &job, write_piece, err))
		return false;
	writer->written += (int64_t)length;
	return true;
}

bool layout_writer_commit(struct endpoint_writer *endpoint_writer, struct error *err)
{
	struct layout_writer *writer = (struct layout_writer *)endpoint_writer;
	struct writer_job job = {.writer = writer};
	if (writer->written != writer->size)
		return error_set(err, ERR_CORRUPT, "%s: %s ended after %jd of %jd bytes", writer->layout->name,
			writer->digest.text, (intmax_t)writer->written, (intmax_t)writer->size);
	return layout_run(writer->layout, &job, commit_writer, err);
}

/* Giving the blocks of a large file back takes time. */
void layout_writer_free(struct endpoint_writer *endpoint_writer)
{
	struct layout_writer *writer = (struct layout_writer *)endpoint_writer;
	struct writer_job job = {.writer = writer};
	struct error err;
	if (writer->temporary.fd >= 0)
		(void)!layout_run_always(writer->layout, &job, abort_writer, &err);
	free(writer);
}
