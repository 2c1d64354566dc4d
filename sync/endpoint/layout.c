/*
 * The endpoint of an OCI layout directory: opened, asked for names, given names, closed.
 */
#include "sync/endpoint/layout.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/endpoint/layout_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MARKER      "oci-layout"
#define MARKER_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"

enum { BLOB_SLOTS = 8 };

/* --- opening --------------------------------------------------------------------------------------------------- */

struct open_layout_job {
	struct layout_job head;
	const char *directory;
	enum layout_mode mode;
	int root, in_use;
	struct index *index;
};

/* LAY-1: any 1.x is read; regctl and containerd take 1.0.0 only, so that is what we write. */
static bool check_marker(int root, struct error *err)
{
	auto_buf struct buf bytes;
	auto_json json_t *document = NULL;
	struct stat status;
	const char *version = NULL;
	const struct json_field field = {"imageLayoutVersion", JSON_WANT_TEXT, JSON_REQUIRED, &version};
	buf_init(&bytes, LIMIT_ERROR_BODY_BYTES);
	if (!layout_load_file(root, MARKER, &bytes, &status, err))
		return false;
	if (!json_parse(bytes.data, bytes.length, &document, err) || !json_read(document, &field, 1, err))
		return error_wrap(err, MARKER);
	return str_starts_with(version, "1.") || error_set(err, ERR_CORRUPT, MARKER ": not of version 1");
}

static bool write_marker(int root, struct error *err)
{
	struct temporary temporary;
	if (!temporary_open(root, NULL, &temporary, err))
		return false;
	if (!file_write_all(temporary.fd, MARKER_TEXT, strlen(MARKER_TEXT), err)) {
		temporary_abort(&temporary);
		return false;
	}
	return temporary_publish(&temporary, root, MARKER, err);
}

/* The layout's own name, as far as we may: the directory above it may be another's. */
static void sync_parent(int root)
{
	auto_close int parent = openat(root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0)
		fsync(parent);
}

/* Somebody's directory is not made a layout because of a typing error; an empty one, or a bare file system, is,
 * and one that somebody else makes a layout of at this moment. */
static bool is_vacant(int root)
{
	DIR *directory = fdopendir(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;
	bool vacant = true;
	while (directory && vacant && (entry = readdir(directory)))
		vacant = str_is(entry->d_name, ".") || str_is(entry->d_name, "..") ||
			 str_is(entry->d_name, "lost+found") || str_is(entry->d_name, "blobs") ||
			 str_is(entry->d_name, MARKER) || str_is(entry->d_name, "index.json") ||
			 str_is(entry->d_name, "ingest");
	if (directory)
		closedir(directory);
	return vacant;
}

/* The stores, then the marker, then their directory: what has the marker has all (LAY-2). */
static bool make_layout(int root, struct error *err)
{
	static const struct digest usual = {.algorithm = DIGEST_SHA256, .text = "sha256:"};
	struct error why;
	bool is_layout = check_marker(root, &why);
	if (!is_layout && why.kind != ERR_NOT_FOUND) {
		*err = why;
		return false;
	}
	if (!is_layout && !is_vacant(root))
		return error_set(err, ERR_IO, "it is not empty, and not an OCI layout; it is left as it is");
	auto_close int store = layout_open_store(root, &usual, true, err);
	if (store < 0)
		return false;
	temporary_sweep(root);
	if (is_layout)
		return true;
	if (!write_marker(root, err))
		return error_wrap(err, MARKER);
	sync_parent(root);
	return fsync(root) == 0 || error_errno(err, "fsync");
}

static bool read_layout(int root, struct error *err)
{
	if (check_marker(root, err))
		return true;
	return err->kind == ERR_NOT_FOUND ? error_wrap(err, "not an OCI layout") : false;
}

static bool open_directory(struct open_layout_job *job, struct error *err)
{
	if (job->mode == LAYOUT_WRITE && !file_make_directories(job->directory, 0755, err))
		return false;
	job->root = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (job->root >= 0)
		return true;
	if (errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "no such directory");
	return error_errno(err, "open");
}

static bool open_layout(void *argument, struct error *err)
{
	struct open_layout_job *job = argument;
	if (!open_directory(job, err))
		return false;
	if (job->mode == LAYOUT_READ && read_layout(job->root, err) && index_load(job->root, &job->index, err))
		return true;
	if (job->mode == LAYOUT_WRITE && make_layout(job->root, err)) {
		job->in_use = layout_use(job->root, false, err);
		if (job->in_use >= 0 && index_load(job->root, &job->index, err))
			return true;
	}
	if (job->in_use >= 0)
		close(job->in_use);
	close(job->root);
	return false;
}

static const struct endpoint_ops layout_ops;

static struct layout *layout_new(const char *directory)
{
	struct layout *layout = memory_new(1, sizeof *layout);
	layout->name = memory_format("oci:%s", directory);
	layout->root = layout->in_use = -1;
	layout->endpoint = (struct endpoint){&layout_ops, layout->name, &layout->blob_gate, NULL, true, NULL, NULL};
	gate_init(&layout->blob_gate, BLOB_SLOTS);
	waitqueue_init(&layout->loaded);
	waitqueue_init(&layout->written);
	waitqueue_init(&layout->searched);
	return layout;
}

static void layout_free(struct layout *layout)
{
	if (layout->in_use >= 0)
		close(layout->in_use);
	if (layout->root >= 0)
		close(layout->root);
	index_free(layout->index);
	layout_relations_free(layout->relations);
	free(layout->name);
	free(layout);
}

bool endpoint_open_layout(
	const char *directory, enum layout_mode mode, bool bare_tags, struct endpoint **endpoint, struct error *err)
{
	struct layout *layout = layout_new(directory);
	struct open_layout_job job = {.directory = directory, .mode = mode, .in_use = -1};
	if (!layout_run(layout, &job, open_layout, err)) {
		layout_free(layout);
		return false;
	}
	layout->root = job.root;
	layout->in_use = job.in_use;
	layout->index = job.index;
	layout->is_target = mode == LAYOUT_WRITE;
	layout->bare_tags = bare_tags;
	*endpoint = &layout->endpoint;
	return true;
}

struct close_job {
	struct layout_job head;
	int root;
};

static bool tidy(void *argument, struct error *err)
{
	(void)err;
	temporary_tidy(((struct close_job *)argument)->root);
	return true;
}

static void release(struct endpoint *endpoint)
{
	struct layout *layout = layout_of(endpoint);
	struct close_job job = {.root = layout->root};
	struct error err;
	layout_flush_last(layout);
	if (layout->is_target)
		(void)!layout_run_always(layout, &job, tidy, &err);
	layout_free(layout);
}

/* --- the snapshot ---------------------------------------------------------------------------------------------- */

void layout_set_index(struct layout *layout, struct index *index)
{
	index_free(layout->index);
	layout->index = index;
}

/* On the loop: the status of one file that is looked at all the time is in memory. */
static bool is_current(const struct layout *layout)
{
	struct stat status = {0};
	if (fstatat(layout->root, "index.json", &status, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
		return false;
	return index_is_current(layout->index, &status);
}

struct load_job {
	struct layout_job head;
	int root;
	struct index *index;
};

static bool load(void *argument, struct error *err)
{
	struct load_job *job = argument;
	return index_load(job->root, &job->index, err);
}

bool layout_refresh(struct layout *layout, struct error *err)
{
	while (!is_current(layout)) {
		if (layout->loading) {
			if (!waitqueue_wait(&layout->loaded, err))
				return false;
			continue;
		}
		struct load_job job = {.root = layout->root};
		layout->loading = true;
		bool ok = layout_run(layout, &job, load, err);
		layout->loading = false;
		waitqueue_wake_all(&layout->loaded);
		if (!ok)
			return false;
		layout_set_index(layout, job.index);
		return true;
	}
	return true;
}

/* --- names ----------------------------------------------------------------------------------------------------- */

static char *format_reference(const struct endpoint *endpoint, const char *repository, const char *reference)
{
	const struct layout *layout = (const struct layout *)endpoint;
	struct digest digest;
	bool bare = layout->bare_tags && !layout_is_digest(reference, &digest);
	auto_free char *request = layout_request(bare ? "" : repository, reference);
	return memory_format("%s:%s", layout->name, request);
}

static bool not_found(const struct layout *layout, const char *repository, const char *reference, struct error *err)
{
	auto_free char *name = format_reference(&layout->endpoint, repository, reference);
	char shown[LIMIT_FOREIGN_TEXT];
	str_sanitize(name, strlen(name), shown, sizeof shown);
	return error_set(err, ERR_NOT_FOUND, "%s: index.json has no such image", shown);
}

/*
 * A target is asked whether it has what we would write, under the name that we would give it: found any other way, it
 * would never get that name. And an entry without its manifest is none (P5).
 */
static bool resolve_target(struct layout *layout, const char *repository, const char *reference,
	struct descriptor *root, struct error *err)
{
	struct descriptor wanted = {0};
	struct digest digest = {0};
	bool present = true;
	layout_is_digest(reference, &digest);
	if (!layout_name_entry(layout, repository, reference, &digest, &wanted, err))
		return error_wrap(err, "%s", layout->name);
	const struct descriptor *found = layout_find_pending(layout, &wanted);
	bool pending = found != NULL;
	if (!found)
		found = layout_find(layout->index, &wanted);
	descriptor_release(&wanted);
	if (!found)
		return not_found(layout, repository, reference, err);
	struct descriptor copy;
	descriptor_copy(&copy, found);
	bool ok = pending || layout_blob_present(&layout->endpoint, repository, &copy, &present, err);
	if (ok && present) {
		*root = copy;
		return true;
	}
	descriptor_release(&copy);
	return ok ? not_found(layout, repository, reference, err) : false;
}

static bool resolve_source(struct layout *layout, const char *repository, const char *reference,
	struct descriptor *root, struct error *err)
{
	const struct descriptor *found;
	if (!layout_select(layout->index, repository, reference, &found, err)) {
		if (err->kind == ERR_NOT_FOUND)
			return not_found(layout, repository, reference, err);
		return error_wrap(err, "%s", layout->name);
	}
	descriptor_copy(root, found);
	return true;
}

static bool resolve(struct endpoint *endpoint, const char *repository, const char *reference, struct descriptor *root,
	struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	if (!layout_refresh(layout, err))
		return false;
	return layout->is_target ? resolve_target(layout, repository, reference, root, err)
				 : resolve_source(layout, repository, reference, root, err);
}

static struct name_pages *list(struct endpoint *endpoint, const char *repository)
{
	return layout_list(layout_of(endpoint), repository, &layout_ops);
}

/* --- writing --------------------------------------------------------------------------------------------------- */

static bool blob_mount(struct endpoint *endpoint, const char *repository, const char *from_repository,
	const struct descriptor *blob, bool *mounted, struct endpoint_writer **writer, struct error *err)
{
	(void)from_repository;
	*writer = NULL;
	return layout_blob_present(endpoint, repository, blob, mounted, err);
}

static bool manifest_put(struct endpoint *endpoint, const char *repository, const char *tag,
	const struct descriptor *manifest, const void *bytes, struct error *err)
{
	struct layout *layout = layout_of(endpoint);
	struct descriptor entry = {.size = manifest->size, .platform = manifest->platform};
	if (tag && !layout_name_entry(layout, repository, tag, &manifest->digest, &entry, err))
		return error_wrap(err, "%s", layout->name);
	bool ok = layout_store_manifest(layout, manifest, bytes, err);
	if (ok && tag) {
		entry.media_type = memory_text(manifest->media_type ? manifest->media_type : "");
		layout_put(layout, &entry);
	}
	descriptor_release(&entry);
	return ok;
}

static bool flush(struct endpoint *endpoint, struct error *err)
{
	return layout_flush(layout_of(endpoint), err);
}

static const struct endpoint_ops layout_ops = {
	.release = release,
	.reference = format_reference,
	.list = list,
	.pages_next = layout_pages_next,
	.pages_free = layout_pages_free,
	.resolve = resolve,
	.manifest = layout_manifest,
	.manifest_present = layout_manifest_present,
	.referrers = layout_referrers,
	.blob_open = layout_blob_open,
	.reader_read = layout_reader_read,
	.reader_close = layout_reader_close,
	.blob_present = layout_blob_present,
	.blob_mount = blob_mount,
	.blob_create = layout_blob_create,
	.blob_resume = layout_blob_resume,
	.left_bytes = layout_left_bytes,
	.make_room = layout_make_room,
	.writer_keep = layout_writer_keep,
	.writer_write = layout_writer_write,
	.writer_commit = layout_writer_commit,
	.writer_free = layout_writer_free,
	.manifest_put = manifest_put,
	.referrers_note = layout_referrers_note,
	.flush = flush,
};
