/* Write a file for a test. */
#ifndef DRAY_TESTS_UNIT_PUT_FILE_H
#define DRAY_TESTS_UNIT_PUT_FILE_H

#include "base/file.h"

#include <fcntl.h>

static inline bool put_file(const char *path, const void *bytes, size_t length, mode_t mode)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	return fd >= 0 && file_write_all(fd, bytes, length, NULL);
}

#endif
