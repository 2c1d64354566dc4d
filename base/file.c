#include "base/file.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

bool file_read(const char *path, struct buf *out, struct error *err)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang us (T-39). */
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "%s: no such file", path);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0)
		return error_errno(err, "%s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERR_IO, "%s: not a regular file", path);
	for (;;) {
		char piece[16384];
		ssize_t got = read(fd, piece, sizeof piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, "%s", path);
		if (got == 0)
			return true;
		if (!buf_append(out, piece, (size_t)got, err))
			return error_wrap(err, "%s", path);
	}
}

bool file_write_all(int fd, const void *bytes, size_t length, struct error *err)
{
	const char *p = bytes;
	while (length > 0) {
		ssize_t wrote = write(fd, p, length);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return error_errno(err, "write");
		p += wrote;
		length -= (size_t)wrote;
	}
	return true;
}

bool file_sync_directory(const char *path, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return error_errno(err, "%s: fsync", path);
	return true;
}

bool file_make_directories(const char *path, mode_t mode, struct error *err)
{
	auto_free char *walk = memory_text(path);
	for (char *p = walk + (*walk == '/');; p++) {
		if (*p && *p != '/')
			continue;
		char kept = *p;
		*p = '\0';
		if (*walk && mkdir(walk, mode) != 0 && errno != EEXIST)
			return error_errno(err, "%s", walk);
		*p = kept;
		if (!kept)
			return true;
	}
}

int file_lock(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		error_errno(err, "%s", path);
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno == EWOULDBLOCK) {
		char raw[128] = "", holder[LIMIT_FOREIGN_TEXT];
		ssize_t got = pread(fd, raw, sizeof raw - 1, 0);
		raw[got > 0 ? got : 0] = '\0';
		raw[strcspn(raw, "\n")] = '\0';
		str_sanitize(raw, strlen(raw), holder, sizeof holder);
		error_set(err, ERR_BUSY, "%s: held by %s", path, *holder ? holder : "another process");
	} else {
		error_errno(err, "%s: lock", path);
	}
	close(fd);
	return -1;
}
