/* A layout directory of its own for each test, images to put into it, and the body run as the main task of a loop. */
#ifndef DRAY_TESTS_UNIT_ENDPOINT_SUPPORT_H
#define DRAY_TESTS_UNIT_ENDPOINT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/mediatype.h"
#include "scheduler/group.h"
#include "scheduler/loop.h"
#include "sync/endpoint/endpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[PATH_MAX]; /* the test's own */
static char layout[PATH_MAX + 16];

static inline int make_directory(void **state)
{
	const char *parent = getenv("TMPDIR");
	(void)state;
	snprintf(directory, sizeof directory, "%s/dray-endpoint-XXXXXX", parent ? parent : "/tmp");
	if (!mkdtemp(directory))
		return -1;
	snprintf(layout, sizeof layout, "%s/layout", directory);
	return 0;
}

static inline int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static inline int remove_directory(void **state)
{
	(void)state;
	return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void in_loop(void (*body)(void *argument), void *argument)
{
	struct loop *loop = loop_new();
	loop_run(loop, body, argument);
	loop_free(loop);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

/* Below the layout; new memory. */
static inline char *path_of(const char *name)
{
	return memory_format("%s/%s", layout, name);
}

static inline char *blob_path(const struct digest *digest)
{
	return memory_format("%s/blobs/sha256/%s", layout, digest_encoded(digest));
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_true(file_write_all(fd, text, strlen(text), NULL));
	close(fd);
}

/* index.json as it stands; new memory, "" if there is none. */
static inline char *index_text(void)
{
	struct buf bytes;
	struct error err;
	auto_free char *path = path_of("index.json");
	buf_init(&bytes, 64 * MIB);
	if (!file_read(path, &bytes, &err))
		assert_int_equal(err.kind, ERR_NOT_FOUND);
	return buf_take(&bytes, NULL);
}

static inline json_t *index_document(void)
{
	json_t *document = NULL;
	auto_free char *text = index_text();
	assert_true(json_parse(text, strlen(text), &document, NULL));
	return document;
}

static inline size_t index_count(void)
{
	auto_json json_t *document = index_document();
	return json_array_size(json_object_get(document, "manifests"));
}

/* Files in ingest/; 0 also where there is no such directory. */
static inline size_t temporary_count(void)
{
	auto_free char *path = path_of("ingest");
	DIR *listing = opendir(path);
	size_t count = 0;
	for (const struct dirent *entry; listing && (entry = readdir(listing));)
		count += entry->d_name[0] != '.';
	if (listing)
		closedir(listing);
	return count;
}

/* --- images ------------------------------------------------------------------------------------------------------ */

struct part {
	struct descriptor descriptor; /* borrowed texts */
	char bytes[1024];
};

struct image {
	struct part layer, config, manifest;
};

static inline void part_set(struct part *part, const char *media_type)
{
	part->descriptor = (struct descriptor){
		.media_type = (char *)(uintptr_t)media_type,
		.digest = digest_of(DIGEST_SHA256, part->bytes, strlen(part->bytes)),
		.size = (int64_t)strlen(part->bytes),
	};
}

/* Different numbers make different images; the layer is shared by the numbers of one ten. */
static inline struct image image_make(unsigned number)
{
	struct image image = {0};
	snprintf(image.layer.bytes, sizeof image.layer.bytes, "layer %u", number / 10);
	snprintf(image.config.bytes, sizeof image.config.bytes, "{\"author\":\"%u\"}", number);
	part_set(&image.layer, "application/vnd.oci.image.layer.v1.tar");
	part_set(&image.config, MEDIA_OCI_CONFIG);
	snprintf(image.manifest.bytes, sizeof image.manifest.bytes,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":"
		"%jd},"
		"\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%jd}]}",
		MEDIA_OCI_MANIFEST, MEDIA_OCI_CONFIG, image.config.descriptor.digest.text,
		(intmax_t)image.config.descriptor.size, image.layer.descriptor.media_type,
		image.layer.descriptor.digest.text, (intmax_t)image.layer.descriptor.size);
	part_set(&image.manifest, MEDIA_OCI_MANIFEST);
	return image;
}

static inline bool put_blob(
	struct endpoint *endpoint, const struct descriptor *blob, const void *bytes, size_t length, struct error *err)
{
	struct endpoint_writer *writer;
	if (!endpoint_blob_create(endpoint, "", blob, &writer, err))
		return false;
	bool ok = endpoint_writer_write(writer, bytes, length, err) && endpoint_writer_commit(writer, err);
	endpoint_writer_free(writer);
	return ok;
}

static inline bool put_part(struct endpoint *endpoint, const struct part *part, struct error *err)
{
	return put_blob(endpoint, &part->descriptor, part->bytes, strlen(part->bytes), err);
}

/* Everything but the flush. */
static inline bool put_image(struct endpoint *endpoint, const char *repository, const char *tag,
	const struct image *image, struct error *err)
{
	return put_part(endpoint, &image->layer, err) && put_part(endpoint, &image->config, err) &&
	       endpoint_manifest_put(
		       endpoint, repository, tag, &image->manifest.descriptor, image->manifest.bytes, err);
}

static inline struct endpoint *open_target(bool bare_tags)
{
	struct endpoint *endpoint = NULL;
	struct error err = {0};
	if (!endpoint_open_layout(layout, LAYOUT_WRITE, bare_tags, &endpoint, &err))
		print_error("%s\n", err.text);
	assert_non_null(endpoint);
	return endpoint;
}

static inline struct endpoint *open_source(void)
{
	struct endpoint *endpoint = NULL;
	struct error err = {0};
	if (!endpoint_open_layout(layout, LAYOUT_READ, false, &endpoint, &err))
		print_error("%s\n", err.text);
	assert_non_null(endpoint);
	return endpoint;
}

/* A layout with these images, closed again; names are "repository:tag". */
static inline void write_image(const char *repository, const char *tag, unsigned number, bool bare_tags)
{
	struct endpoint *endpoint = open_target(bare_tags);
	struct image image = image_make(number);
	struct error err = {0};
	bool ok = put_image(endpoint, repository, tag, &image, &err) && endpoint_flush(endpoint, &err);
	assert_string_equal(err.text, "");
	assert_true(ok);
	endpoint_free(endpoint);
}

/* What the name points to: the number of the image, or minus the kind of the error. */
static inline int number_of(struct endpoint *endpoint, const char *repository, const char *reference)
{
	struct descriptor root;
	struct error err = {0};
	if (!endpoint_resolve(endpoint, repository, reference, &root, &err))
		return -(int)err.kind;
	int number = 0;
	for (;; number++) {
		struct image image = image_make((unsigned)number);
		if (digest_equal(&image.manifest.descriptor.digest, &root.digest))
			break;
		assert_true(number < 1000);
	}
	descriptor_release(&root);
	return number;
}

#endif
