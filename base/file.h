/*
 * Local files. All of these block: call them on a worker (pool_run), or before the loop runs.
 */
#ifndef DRAY_BASE_FILE_H
#define DRAY_BASE_FILE_H

#include "base/buf.h"

#include <sys/types.h>
#include <unistd.h>

/** Read the whole regular file into @out, whose maximum holds. ERR_NOT_FOUND: no such file; ERR_TOO_LARGE; ERR_IO. */
must_check bool file_read(const char *path, struct buf *out, struct error *err);

/** Write all of it, through short writes and EINTR. ERR_IO. */
must_check bool file_write_all(int fd, const void *bytes, size_t length, struct error *err);

/** fsync the directory @path. ERR_IO. */
must_check bool file_sync_directory(const char *path, struct error *err);

/** mkdir -p. ERR_IO. */
must_check bool file_make_directories(const char *path, mode_t mode, struct error *err);

/**
 * Open (create 0600) and lock @path without waiting; the kernel frees the lock when the process ends, however it
 * ends. Returns the descriptor, or -1: ERR_BUSY with the first line of the file (who holds it), or ERR_IO.
 */
int file_lock(const char *path, struct error *err);

static inline void file_close_pointer(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* A descriptor that is closed when its scope ends. */
#define auto_close __attribute__((cleanup(file_close_pointer)))

#endif
