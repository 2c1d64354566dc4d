#include "sync/endpoint/layout_gc.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/endpoint/layout_file.h"
#include "sync/endpoint/layout_index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

struct mark {
	char key[DIGEST_TEXT_MAX + 1];
	UT_hash_handle hh;
	struct mark *next; /* still to be read */
};

struct collection {
	struct layout_gc *gc;
	int root;
	struct mark *marks;
	struct mark *unread;
};

/* --- what is reached -----------------------------------------------------------------------------------------------
 */

static void mark(struct collection *collection, const struct digest *digest)
{
	struct mark *known;
	HASH_FIND_STR(collection->marks, digest->text, known);
	if (known)
		return;
	struct mark *fresh = memory_new(1, sizeof *fresh);
	memcpy(fresh->key, digest->text, sizeof fresh->key);
	fresh->next = collection->unread;
	collection->unread = fresh;
	HASH_ADD_STR(collection->marks, key, fresh);
}

/* Every digest of that algorithm in the text, which is @size bytes and a NUL. */
static void mark_named(struct collection *collection, const char *text, size_t size, const char *algorithm)
{
	struct digest digest;
	size_t prefix = strlen(algorithm), length = str_is(algorithm, "sha512:") ? 128 : 64;
	const char *p = text, *end = text + size;
	for (; (p = memmem(p, (size_t)(end - p), algorithm, prefix)); p += prefix) {
		if (strspn(p + prefix, "0123456789abcdef") < length)
			continue;
		auto_free char *name = memory_text_of(p, prefix + length);
		if (digest_parse(name, &digest, NULL))
			mark(collection, &digest);
	}
}

static bool is_json(int fd)
{
	char head[64];
	ssize_t got = pread(fd, head, sizeof head, 0);
	for (ssize_t i = 0; i < got; i++)
		if (!strchr(" \t\r\n", head[i]) || head[i] == '\0')
			return head[i] == '{' || head[i] == '[';
	return got > 0;
}

static void mark_all_named(struct collection *collection, const char *text, size_t size)
{
	mark_named(collection, text, size, "sha256:");
	mark_named(collection, text, size, "sha512:");
}

/* JSON may write any character as \u003a; whoever made it so means the same. */
static void mark_escaped(struct collection *collection, const char *text, size_t size)
{
	auto_json json_t *document = NULL;
	if (!memmem(text, size, "\\u", 2) || !json_parse(text, size, &document, NULL))
		return;
	auto_free char *plain = json_dumps(document, JSON_COMPACT);
	if (plain)
		mark_all_named(collection, plain, strlen(plain));
}

/* A blob that is not there reaches nothing; one that is there and cannot be read might. */
static bool read_document(struct collection *collection, const char *name, struct error *err)
{
	struct digest digest;
	struct stat status;
	struct error why;
	if (!digest_parse(name, &digest, &why) || !digest_is_verifiable(&digest))
		return true;
	auto_close int fd = layout_open_blob(collection->root, &digest, &status, &why);
	if (fd < 0 && why.kind == ERR_NOT_FOUND)
		return true;
	if (fd < 0)
		return error_set(err, why.kind, "%s", why.text);
	if (!is_json(fd))
		return true;
	if (status.st_size > (off_t)LIMIT_LAYOUT_INDEX_BYTES)
		return error_set(err, ERR_TOO_LARGE, "%s: a document of %lld bytes", name, (long long)status.st_size);
	auto_free char *text = memory_new((size_t)status.st_size + 1, 1);
	if (!layout_read_file(fd, text, (size_t)status.st_size, name, err))
		return false;
	if (!digest_check(&digest, text, (size_t)status.st_size, err))
		return error_wrap(err, "it may have named what would be removed");
	mark_all_named(collection, text, (size_t)status.st_size);
	mark_escaped(collection, text, (size_t)status.st_size);
	return true;
}

static bool mark_reached(struct collection *collection, struct error *err)
{
	struct index *index;
	if (!index_load(collection->root, &index, err))
		return false;
	for (size_t i = 0; i < index->count; i++)
		mark(collection, &index->entries[i].digest);
	index_free(index);
	while (collection->unread) {
		struct mark *next = collection->unread;
		collection->unread = next->next;
		if (!read_document(collection, next->key, err))
			return false;
	}
	return true;
}

/* --- what is not ---------------------------------------------------------------------------------------------------
 */

static int64_t age_ms(const struct stat *status)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	/* A file that was renamed here lately is as young as its name. */
	time_t born = status->st_mtim.tv_sec > status->st_ctim.tv_sec ? status->st_mtim.tv_sec : status->st_ctim.tv_sec;
	return ((int64_t)now.tv_sec - (int64_t)born) * 1000;
}

static bool judge(struct collection *collection, int store, const struct digest *digest, struct error *err)
{
	struct layout_gc *gc = collection->gc;
	struct mark *known;
	struct stat status;
	const char *name = digest_encoded(digest);
	HASH_FIND_STR(collection->marks, digest->text, known);
	if (known) {
		gc->reached_count++;
		return true;
	}
	if (fstatat(store, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
		return true;
	if (age_ms(&status) < gc->grace_ms) {
		gc->young_count++;
		return true;
	}
	if (!gc->dry_run && unlinkat(store, name, 0) != 0)
		return error_errno(err, "%s", digest->text);
	gc->removed_count++;
	gc->removed_bytes += status.st_size;
	return true;
}

static bool sweep_store(struct collection *collection, const char *algorithm, struct error *err)
{
	struct digest digest;
	struct error why;
	auto_free char *prefix = memory_format("%s:", algorithm);
	struct digest any = {.algorithm = str_is(algorithm, "sha512") ? DIGEST_SHA512 : DIGEST_SHA256};
	memcpy(any.text, prefix, strlen(prefix) + 1);
	int store = layout_open_store(collection->root, &any, false, &why);
	if (store < 0)
		return why.kind == ERR_NOT_FOUND || error_set(err, why.kind, "%s", why.text);
	DIR *directory = fdopendir(store);
	if (!directory) {
		close(store);
		return error_errno(err, "blobs/%s", algorithm);
	}
	bool ok = true;
	const struct dirent *entry;
	while (ok && (entry = readdir(directory))) {
		auto_free char *name = memory_format("%s%s", prefix, entry->d_name);
		if (strlen(name) <= DIGEST_TEXT_MAX && digest_parse(name, &digest, NULL))
			ok = judge(collection, store, &digest, err);
	}
	closedir(directory);
	return ok;
}

static bool collect(struct collection *collection, struct error *err)
{
	auto_close int alone = layout_use(collection->root, true, err);
	return alone >= 0 && mark_reached(collection, err) && sweep_store(collection, "sha256", err) &&
	       sweep_store(collection, "sha512", err);
}

bool layout_collect(struct layout_gc *gc, struct error *err)
{
	struct collection collection = {.gc = gc};
	auto_close int root = open(gc->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "oci:%s: no such directory", gc->directory)
				       : error_errno(err, "oci:%s", gc->directory);
	collection.root = root;
	bool ok = collect(&collection, err) || error_wrap(err, "oci:%s", gc->directory);
	struct mark *each, *next;
	HASH_ITER(hh, collection.marks, each, next)
	{
		HASH_DEL(collection.marks, each);
		free(each);
	}
	return ok;
}
