#include "sync/endpoint/layout_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>

#define STORES "blobs"
#define INGEST "ingest"
#define PREFIX "dray-"
/* In a name: whose beginning it may be. */
#define BEGINNING "-of-"

static const int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

const char *layout_blob_path(const struct digest *digest, char out[BLOB_PATH_MAX])
{
	char algorithm[32];
	snprintf(out, BLOB_PATH_MAX, STORES "/%s/%s", digest_algorithm_name(digest, algorithm), digest_encoded(digest));
	return out;
}

/* Why an open failed; what stands in the way of O_NOFOLLOW and O_DIRECTORY is the layout's fault, not the disk's. */
static bool open_failed(const char *shown, struct error *err)
{
	if (errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "%s: no such file", shown);
	if (errno == ELOOP || errno == ENOTDIR || errno == ENXIO)
		return error_set(
			err, ERR_CORRUPT, "%s: not what a layout has there, but a link or a special file", shown);
	return error_errno(err, "%s", shown);
}

int layout_open_file(int directory, const char *name, const char *shown, struct stat *status, struct error *err)
{
	/* O_NONBLOCK: a FIFO must not hang us (T-39). */
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		open_failed(shown, err);
		return -1;
	}
	if (fstat(fd, status) != 0)
		error_errno(err, "%s", shown);
	else if (!S_ISREG(status->st_mode))
		error_set(err, ERR_CORRUPT, "%s: not a regular file", shown);
	else
		return fd;
	close(fd);
	return -1;
}

bool layout_read_file(int fd, void *bytes, size_t size, const char *shown, struct error *err)
{
	size_t have = 0;
	while (have < size) {
		ssize_t got = pread(fd, (char *)bytes + have, size - have, (off_t)have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "%s", shown);
		if (got == 0)
			return error_set(err, ERR_CORRUPT, "%s: ends after %zu of %zu bytes", shown, have, size);
		have += (size_t)got;
	}
	return true;
}

bool layout_load_file(int directory, const char *name, struct buf *bytes, struct stat *status, struct error *err)
{
	auto_close int fd = layout_open_file(directory, name, name, status, err);
	if (fd < 0)
		return false;
	if (status->st_size > (off_t)bytes->maximum)
		return error_set(err, ERR_TOO_LARGE, "%s: %jd bytes, and at most %zu are read", name,
			(intmax_t)status->st_size, bytes->maximum);
	size_t size = (size_t)status->st_size;
	auto_free char *content = memory_new(size + 1, 1);
	return layout_read_file(fd, content, size, name, err) && buf_append(bytes, content, size, err);
}

int layout_use(int root, bool alone, struct error *err)
{
	static const struct timespec poll = {.tv_nsec = 20 * 1000000L};
	struct stat status;
	int fd = layout_open_file(root, "oci-layout", "oci-layout", &status, err);
	for (int waited_ms = 0; fd >= 0; waited_ms += 20) {
		if (flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
			return fd;
		if (errno != EWOULDBLOCK && errno != EINTR)
			error_errno(err, "oci-layout: lock");
		else if (alone)
			error_set(err, ERR_BUSY, "a copy is writing into it");
		else if (waited_ms >= LAYOUT_USE_PATIENCE_MS)
			error_set(err, ERR_BUSY, "dray gc is at work in it");
		else {
			nanosleep(&poll, NULL);
			continue;
		}
		close(fd);
		fd = -1;
	}
	return -1;
}

/* --- blobs ----------------------------------------------------------------------------------------------------- */

/* A directory below @parent, made first if it is not there. */
static int open_directory(int parent, const char *name, bool make, struct error *err)
{
	int fd = openat(parent, name, directory_flags);
	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST)
			error_errno(err, "%s", name);
		else if (fsync(parent) != 0)
			error_errno(err, "%s: fsync", name);
		else
			return open_directory(parent, name, false, err);
		return -1;
	}
	if (fd < 0)
		open_failed(name, err);
	return fd;
}

int layout_open_store(int root, const struct digest *digest, bool make, struct error *err)
{
	char algorithm[32];
	if (!digest_is_verifiable(digest)) {
		error_set(err, ERR_UNSUPPORTED, "%s: an algorithm that dray cannot verify", digest->text);
		return -1;
	}
	auto_close int stores = open_directory(root, STORES, make, err);
	return stores < 0 ? -1 : open_directory(stores, digest_algorithm_name(digest, algorithm), make, err);
}

int layout_open_blob(int root, const struct digest *digest, struct stat *status, struct error *err)
{
	char shown[BLOB_PATH_MAX];
	auto_close int store = layout_open_store(root, digest, false, err);
	return store < 0
		       ? -1
		       : layout_open_file(store, digest_encoded(digest), layout_blob_path(digest, shown), status, err);
}

static bool sync_directory(int fd, const char *shown, bool *lost, struct error *err)
{
	if (fsync(fd) == 0)
		return true;
	*lost = true;
	return error_errno(err, "%s: fsync", shown);
}

bool layout_sync_stores(int root, bool *lost, struct error *err)
{
	static const char *const algorithms[] = {"sha256", "sha512"};
	auto_close int stores = open_directory(root, STORES, true, err);
	if (stores < 0)
		return false;
	for (size_t i = 0; i < array_count(algorithms); i++) {
		auto_close int store = openat(stores, algorithms[i], directory_flags);
		if (store < 0 && errno == ENOENT)
			continue;
		if (store < 0)
			return error_errno(err, STORES "/%s", algorithms[i]);
		if (!sync_directory(store, algorithms[i], lost, err))
			return false;
	}
	return sync_directory(stores, STORES, lost, err);
}

/* --- files in the making --------------------------------------------------------------------------------------- */

/* One try. False with errno ENOENT or EWOULDBLOCK: another run tidied or swept in between; try again. */
static bool try_open(int root, const struct digest *digest, struct temporary *temporary)
{
	uint64_t random;
	struct stat status;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return false;
	snprintf(temporary->name, sizeof temporary->name, PREFIX "%ld-%016" PRIx64 "%s%s", (long)getpid(), random,
		digest ? BEGINNING : "", digest ? digest->text : "");
	if (mkdirat(root, INGEST, 0755) != 0 && errno != EEXIST)
		return false;
	temporary->directory = openat(root, INGEST, directory_flags);
	if (temporary->directory < 0)
		return false;
	temporary->fd =
		openat(temporary->directory, temporary->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (temporary->fd < 0)
		return false;
	if (flock(temporary->fd, LOCK_EX | LOCK_NB) != 0 || fstat(temporary->fd, &status) != 0)
		return false;
	if (status.st_nlink > 0)
		return true;
	errno = EWOULDBLOCK; /* swept between creation and lock */
	return false;
}

bool temporary_open(int root, const struct digest *digest, struct temporary *temporary, struct error *err)
{
	enum { TRIES_MOST = 100 };
	for (int i = 0; i < TRIES_MOST; i++) {
		*temporary = (struct temporary){.fd = -1, .directory = -1};
		if (try_open(root, digest, temporary))
			return true;
		int why = errno;
		temporary_abort(temporary);
		errno = why;
		if (why != ENOENT && why != EWOULDBLOCK)
			break;
	}
	return error_errno(err, INGEST);
}

void temporary_abort(struct temporary *temporary)
{
	if (temporary->fd >= 0) {
		unlinkat(temporary->directory, temporary->name, 0);
		close(temporary->fd); /* last: what is not locked is swept */
	}
	if (temporary->directory >= 0)
		close(temporary->directory);
	*temporary = (struct temporary){.fd = -1, .directory = -1};
}

bool temporary_publish(struct temporary *temporary, int directory, const char *name, struct error *err)
{
	bool ok = fsync(temporary->fd) == 0 || error_errno(err, "fsync");
	if (ok)
		ok = renameat(temporary->directory, temporary->name, directory, name) == 0 ||
		     error_errno(err, "rename");
	if (!ok) {
		temporary_abort(temporary);
		return false;
	}
	close(temporary->fd);
	close(temporary->directory);
	*temporary = (struct temporary){.fd = -1, .directory = -1};
	return true;
}

void temporary_keep(struct temporary *temporary)
{
	struct stat status;
	if (temporary->fd >= 0) {
		/* What was reserved for the whole is given back; where that fails, it stays reserved. */
		if (fstat(temporary->fd, &status) == 0)
			(void)!ftruncate(temporary->fd, status.st_size);
		close(temporary->fd);
	}
	if (temporary->directory >= 0)
		close(temporary->directory);
	*temporary = (struct temporary){.fd = -1, .directory = -1};
}

/* NULL: there is none, or it cannot be read. */
static DIR *list_ingest(int root)
{
	int fd = openat(root, INGEST, directory_flags);
	DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
	if (!listing && fd >= 0)
		close(fd);
	return listing;
}

/* A beginning that nobody has, of the length that it has; -1: none. It is ours as long as *fd is open. */
static int64_t claim(int directory, const char *name, int *fd)
{
	struct stat status;
	*fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return -1;
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0 && fstat(*fd, &status) == 0 && S_ISREG(status.st_mode) &&
		status.st_nlink > 0)
		return status.st_size;
	close(*fd);
	return -1;
}

static void take_longer(struct temporary *best, int64_t *length, int64_t most, const char *name)
{
	int fd;
	int64_t found = claim(best->directory, name, &fd);
	if (found < 0)
		return;
	if (found > most || found <= *length) { /* no beginning of it, or one that a longer one makes useless */
		unlinkat(best->directory, name, 0);
		close(fd);
		return;
	}
	if (best->fd >= 0) {
		unlinkat(best->directory, best->name, 0);
		close(best->fd);
	}
	best->fd = fd;
	*length = found;
	snprintf(best->name, sizeof best->name, "%s", name);
}

static bool is_beginning_of(const char *name, const struct digest *digest)
{
	const char *of = strstr(name, BEGINNING);
	return str_starts_with(name, PREFIX) && of && str_is(of + strlen(BEGINNING), digest->text);
}

bool temporary_resume(int root, const struct digest *digest, int64_t most, struct temporary *temporary, int64_t *length,
	struct error *err)
{
	*temporary = (struct temporary){.fd = -1, .directory = openat(root, INGEST, directory_flags)};
	*length = 0;
	if (temporary->directory < 0)
		return errno == ENOENT || error_errno(err, INGEST);
	DIR *listing = list_ingest(root);
	const struct dirent *entry;
	while (listing && (entry = readdir(listing)))
		if (is_beginning_of(entry->d_name, digest))
			take_longer(temporary, length, most, entry->d_name);
	if (listing)
		closedir(listing);
	if (*length > 0 && lseek(temporary->fd, (off_t)*length, SEEK_SET) >= 0)
		return true;
	temporary_abort(temporary);
	*length = 0;
	return true;
}

static void sweep_one(int directory, const char *name)
{
	struct stat status;
	auto_close int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &status) != 0)
		return;
	bool may_be_used =
		strstr(name, BEGINNING) && status.st_size >= (off_t)TEMPORARY_LEAST_BYTES && S_ISREG(status.st_mode);
	if (!may_be_used || status.st_mtim.tv_sec < time(NULL) - TEMPORARY_KEPT_S)
		unlinkat(directory, name, 0);
}

void temporary_sweep(int root)
{
	DIR *listing = list_ingest(root);
	const struct dirent *entry;
	while (listing && (entry = readdir(listing)))
		if (str_starts_with(entry->d_name, PREFIX))
			sweep_one(dirfd(listing), entry->d_name);
	if (listing)
		closedir(listing);
}

int64_t temporary_left_bytes(int root)
{
	DIR *listing = list_ingest(root);
	int64_t sum = 0;
	struct stat status;
	const struct dirent *entry;
	while (listing && (entry = readdir(listing)))
		if (strstr(entry->d_name, BEGINNING) &&
			fstatat(dirfd(listing), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
			sum += status.st_size;
	if (listing)
		closedir(listing);
	return sum;
}

struct leftover {
	char name[256];
	int64_t bytes;
	struct timespec changed;
};

static int older_first(const void *a, const void *b)
{
	const struct timespec *left = &((const struct leftover *)a)->changed;
	const struct timespec *right = &((const struct leftover *)b)->changed;
	if (left->tv_sec != right->tv_sec)
		return left->tv_sec < right->tv_sec ? -1 : 1;
	return (left->tv_nsec > right->tv_nsec) - (left->tv_nsec < right->tv_nsec);
}

/* All that nobody has, oldest first. New memory. */
static struct leftover *list_leftovers(DIR *listing, size_t *count)
{
	struct leftover *all = NULL;
	const struct dirent *entry;
	*count = 0;
	while ((entry = readdir(listing))) {
		struct leftover one = {.bytes = -1};
		struct stat status;
		int fd;
		if (!str_starts_with(entry->d_name, PREFIX) || !strstr(entry->d_name, BEGINNING))
			continue;
		if ((one.bytes = claim(dirfd(listing), entry->d_name, &fd)) < 0)
			continue;
		bool ok = fstat(fd, &status) == 0;
		close(fd);
		if (!ok)
			continue;
		one.changed = status.st_mtim;
		snprintf(one.name, sizeof one.name, "%s", entry->d_name);
		if ((*count & (*count - 1)) == 0)
			all = memory_resize(all, *count ? *count * 2 : 1, sizeof *all);
		all[(*count)++] = one;
	}
	if (*count > 0)
		qsort(all, *count, sizeof *all, older_first);
	return all;
}

int64_t temporary_make_room(int root, int64_t bytes)
{
	DIR *listing = list_ingest(root);
	int64_t held = 0, freed = 0;
	size_t count;
	if (!listing)
		return 0;
	auto_free struct leftover *all = list_leftovers(listing, &count);
	for (size_t i = 0; i < count; i++)
		held += all[i].bytes;
	for (size_t i = 0; i < count && held >= bytes && freed < bytes; i++) {
		int fd;
		int64_t found = claim(dirfd(listing), all[i].name, &fd);
		if (found < 0) /* somebody has taken it meanwhile */
			continue;
		if (unlinkat(dirfd(listing), all[i].name, 0) == 0)
			freed += found;
		close(fd);
	}
	closedir(listing);
	return freed;
}

void temporary_tidy(int root)
{
	unlinkat(root, INGEST, AT_REMOVEDIR);
}
