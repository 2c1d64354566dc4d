/*
 * Preloaded into dray: writes down every change of files and directories below RECORD_ROOT, with its data and in the
 * order of its effect, into RECORD. tests/support/disk.py makes of it what a disk may hold when the power goes.
 *
 * A record is a line of words between tabs, then as many bytes of data as its last word says:
 *   create PATH INODE 0    mkdir PATH 0    rename FROM TO 0    unlink PATH 0
 *   write INODE OFFSET LENGTH    size INODE SIZE 0    sync INODE 0    syncdir PATH 0
 *
 * One lock is held over a call and its record, so that they have the same order in both.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *record;
static char root[PATH_MAX];

#define FIND_REAL(name)                                                                                                \
	static __typeof__(&name) real;                                                                                 \
	if (!real)                                                                                                     \
	real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* --- what and where ---------------------------------------------------------------------------------------------- */

static bool is_below_root(const char *path)
{
	size_t length = strlen(root);
	return record && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool path_of_fd(int fd, char path[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, PATH_MAX - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	return is_below_root(path);
}

/* Where @name below the directory @at is. */
static bool path_at(int at, const char *name, char path[PATH_MAX])
{
	char directory[PATH_MAX];
	if (name[0] == '/') {
		snprintf(path, PATH_MAX, "%s", name);
		return is_below_root(path);
	}
	if (at == AT_FDCWD ? !getcwd(directory, sizeof directory) : !path_of_fd(at, directory))
		return false;
	if ((size_t)snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
		abort();
	return is_below_root(path);
}

static bool inode_of(int fd, unsigned long *inode, bool *is_directory)
{
	struct stat status;
	char path[PATH_MAX];
	if (!path_of_fd(fd, path) || fstat(fd, &status) != 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
		return false;
	*inode = status.st_ino;
	*is_directory = S_ISDIR(status.st_mode);
	return true;
}

/* The end of every call: the lock is given back, errno is the call's. */
#define DONE(result)                                                                                                   \
	do {                                                                                                           \
		int kept = errno;                                                                                      \
		pthread_mutex_unlock(&lock);                                                                           \
		errno = kept;                                                                                          \
		return result;                                                                                         \
	} while (0)

/* --- data -------------------------------------------------------------------------------------------------------- */

static void wrote(int fd, const void *bytes, ssize_t length, off_t at)
{
	unsigned long inode;
	bool is_directory;
	if (length <= 0 || !inode_of(fd, &inode, &is_directory))
		return;
	fprintf(record, "write\t%lu\t%ld\t%zd\n", inode, (long)at, length);
	fwrite(bytes, 1, (size_t)length, record);
}

static void sized(int fd)
{
	unsigned long inode;
	bool is_directory;
	struct stat status;
	if (inode_of(fd, &inode, &is_directory) && fstat(fd, &status) == 0)
		fprintf(record, "size\t%lu\t%ld\t0\n", inode, (long)status.st_size);
}

static void synced(int fd)
{
	unsigned long inode;
	bool is_directory;
	char path[PATH_MAX];
	if (!inode_of(fd, &inode, &is_directory) || !path_of_fd(fd, path))
		return;
	if (is_directory)
		fprintf(record, "syncdir\t%s\t0\n", path);
	else
		fprintf(record, "sync\t%lu\t0\n", inode);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	FIND_REAL(write);
	pthread_mutex_lock(&lock);
	ssize_t result = real(fd, bytes, length);
	int code = errno;
	if (result > 0 && record)
		wrote(fd, bytes, result, lseek(fd, 0, SEEK_CUR) - result);
	errno = code;
	DONE(result);
}

#define CALL(type, name, parameters, arguments, after)                                                                 \
	type name parameters                                                                                           \
	{                                                                                                              \
		FIND_REAL(name);                                                                                       \
		pthread_mutex_lock(&lock);                                                                             \
		type result = real arguments;                                                                          \
		int failure = errno;                                                                                   \
		if (result >= 0)                                                                                       \
			after;                                                                                         \
		errno = failure;                                                                                       \
		DONE(result);                                                                                          \
	}

CALL(ssize_t, pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at),
	wrote(fd, bytes, result, at))
CALL(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at),
	wrote(fd, bytes, result, at))
CALL(int, ftruncate, (int fd, off_t length), (fd, length), sized(fd))
CALL(int, ftruncate64, (int fd, off64_t length), (fd, length), sized(fd))
CALL(int, fallocate, (int fd, int mode, off_t at, off_t length), (fd, mode, at, length), sized(fd))
CALL(int, fsync, (int fd), (fd), synced(fd))
CALL(int, fdatasync, (int fd), (fd), synced(fd))

/* --- names ------------------------------------------------------------------------------------------------------- */

static void renamed(int from_at, const char *from, int to_at, const char *to)
{
	char old[PATH_MAX], new[PATH_MAX];
	if (path_at(from_at, from, old) && path_at(to_at, to, new))
		fprintf(record, "rename\t%s\t%s\t0\n", old, new);
}

static void changed(const char *how, int at, const char *name)
{
	char path[PATH_MAX];
	if (path_at(at, name, path))
		fprintf(record, "%s\t%s\t0\n", how, path);
}

CALL(int, rename, (const char *from, const char *to), (from, to), renamed(AT_FDCWD, from, AT_FDCWD, to))
CALL(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), renamed(a, from, b, to))
CALL(int, unlink, (const char *path), (path), changed("unlink", AT_FDCWD, path))
CALL(int, unlinkat, (int at, const char *path, int flags), (at, path, flags), changed("unlink", at, path))
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), changed("mkdir", AT_FDCWD, path))
CALL(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode), changed("mkdir", at, path))

static int open_recorded(int at, const char *name, int flags, mode_t mode)
{
	static int (*real)(int, const char *, int, ...);
	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "openat");
	if (!record || !(flags & (O_CREAT | O_TRUNC)))
		return real(at, name, flags, mode);
	if ((flags & O_TMPFILE) == O_TMPFILE)
		abort(); /* nobody does; who begins to must tell of linkat(), too */
	pthread_mutex_lock(&lock);
	bool was_there = faccessat(at, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	int fd = real(at, name, flags, mode);
	int failure = errno;
	unsigned long inode;
	bool is_directory;
	char path[PATH_MAX];
	if (fd >= 0 && inode_of(fd, &inode, &is_directory) && path_of_fd(fd, path)) {
		if (!was_there)
			fprintf(record, "create\t%s\t%lu\t0\n", path, inode);
		else if (flags & O_TRUNC)
			sized(fd);
	}
	errno = failure;
	DONE(fd);
}

#define OPEN(name, parameters, ...)                                                                                    \
	int name parameters                                                                                            \
	{                                                                                                              \
		va_list more;                                                                                          \
		va_start(more, flags);                                                                                 \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                \
		va_end(more);                                                                                          \
		return open_recorded(__VA_ARGS__, flags, mode);                                                        \
	}

OPEN(open, (const char *path, int flags, ...), AT_FDCWD, path)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, path)
OPEN(openat, (int at, const char *path, int flags, ...), at, path)
OPEN(openat64, (int at, const char *path, int flags, ...), at, path)

/* --- beginning and end ------------------------------------------------------------------------------------------- */

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("RECORD"), *below = getenv("RECORD_ROOT");
	if (!path || !below || !realpath(below, root))
		abort();
	FILE *file = fopen(path, "we");
	if (!file)
		abort();
	record = file;
}

__attribute__((destructor)) static void end(void)
{
	FILE *file = record;
	record = NULL;
	if (fclose(file) != 0)
		abort();
}
