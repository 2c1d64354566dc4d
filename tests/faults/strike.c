/*
 * Preloaded into dray: makes one call fail, or kills the process at it.
 *
 * FAULT=CALLS:K:ACTION strikes at the K-th (from 1) of the calls that CALLS names: a set (files, system, memory, all)
 * or one call. ACTION is the number of an errno; or "usual", what this call fails with in life; or "short", half of
 * the bytes are written; or "kill" and "killed", SIGKILL in front of the call and behind it; or "count", nothing.
 *
 * FAULT_REPORT=FILE gets a line "NAME K ERRNO" when it strikes, and "end COUNT 0" when the process ends by itself.
 *
 * "files" are the calls that change files and directories; write() to anything else is among "system". Counting
 * begins behind the constructors of all libraries. Not struck: calls whose failure libuv ends the process for by
 * abort(), and which cannot fail as it uses them (epoll_ctl() but for memory, its eventfd).
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 1, SYSTEM = 2, MEMORY = 4 };

static struct {
	unsigned set;
	char name[32]; /* or "": any of the set */
	long at;
	int code; /* 0: the usual one */
	bool shorter, kill, killed, count;
} wanted;

static long seen_count;
static int report = -1;
static __thread bool dies_behind; /* this thread is in the call behind which it kills */

/* --- striking ---------------------------------------------------------------------------------------------------- */

static void say(const char *name, long number, int code)
{
	char line[96];
	int length = snprintf(line, sizeof line, "%s %ld %d\n", name, number, code);
	if (report >= 0)
		syscall(SYS_write, report, line, (size_t)length);
}

static void die(void)
{
	syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

static bool strikes(unsigned set, const char *name)
{
	if (wanted.at == 0 || (wanted.name[0] ? strcmp(name, wanted.name) != 0 : !(wanted.set & set)))
		return false;
	return __atomic_add_fetch(&seen_count, 1, __ATOMIC_RELAXED) == wanted.at && !wanted.count;
}

/* The call is to fail, with errno set. */
static bool fails(unsigned set, const char *name, int usual)
{
	if (!strikes(set, name))
		return false;
	int code = wanted.code && usual != EINTR ? wanted.code : usual; /* what waits can only be interrupted */
	say(name, wanted.at, code);
	if (wanted.kill)
		die();
	dies_behind = wanted.killed;
	if (wanted.killed)
		return false;
	errno = code;
	return true;
}

static void behind(void)
{
	if (dies_behind)
		die();
}

/* The call behind this one, in a static `real`. */
#define FIND_REAL(name)                                                                                                \
	static __typeof__(&name) real;                                                                                 \
	if (!real)                                                                                                     \
	real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define CALL(set, usual, failed, type, name, parameters, ...)                                                          \
	type name parameters                                                                                           \
	{                                                                                                              \
		FIND_REAL(name);                                                                                       \
		if (fails(set, #name, usual))                                                                          \
			return failed;                                                                                 \
		type result = real(__VA_ARGS__);                                                                       \
		behind();                                                                                              \
		return result;                                                                                         \
	}

static bool is_file(int fd)
{
	struct stat about;
	return fd > 2 && syscall(SYS_fstat, fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
}

static bool is_socket(int fd)
{
	struct stat about;
	return syscall(SYS_fstat, fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static size_t shortened(size_t length)
{
	return length > 1 ? length / 2 : length;
}

#define WRITE(name, parameters, call)                                                                                  \
	ssize_t name parameters                                                                                        \
	{                                                                                                              \
		FIND_REAL(name);                                                                                       \
		if (is_file(fd) && fails(FILES, #name, ENOSPC)) {                                                      \
			if (!wanted.shorter)                                                                           \
				return -1;                                                                             \
			length = shortened(length);                                                                    \
		}                                                                                                      \
		ssize_t result = real call;                                                                            \
		behind();                                                                                              \
		return result;                                                                                         \
	}

WRITE(write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
WRITE(pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at))
WRITE(pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at))

CALL(FILES, EIO, -1, int, fsync, (int fd), fd)
CALL(FILES, EIO, -1, int, fdatasync, (int fd), fd)
CALL(FILES, ENOSPC, -1, int, ftruncate, (int fd, off_t length), fd, length)
CALL(FILES, ENOSPC, -1, int, ftruncate64, (int fd, off64_t length), fd, length)
CALL(FILES, ENOSPC, -1, int, fallocate, (int fd, int mode, off_t at, off_t length), fd, mode, at, length)
CALL(FILES, ENOSPC, -1, int, rename, (const char *from, const char *to), from, to)
CALL(FILES, ENOSPC, -1, int, renameat, (int a, const char *from, int b, const char *to), a, from, b, to)
CALL(FILES, EROFS, -1, int, unlink, (const char *path), path)
CALL(FILES, EROFS, -1, int, unlinkat, (int at, const char *path, int flags), at, path, flags)
CALL(FILES, EDQUOT, -1, int, mkdir, (const char *path, mode_t mode), path, mode)
CALL(FILES, EDQUOT, -1, int, mkdirat, (int at, const char *path, mode_t mode), at, path, mode)
CALL(FILES, EPERM, -1, int, fchmod, (int fd, mode_t mode), fd, mode)
CALL(FILES, EPERM, -1, int, fchown, (int fd, uid_t user, gid_t group), fd, user, group)

static bool opening_fails(const char *name, int flags)
{
	bool writes = flags & (O_CREAT | O_WRONLY | O_RDWR);
	return fails(writes ? FILES : SYSTEM, name, writes && !(wanted.at & 1) ? ENOSPC : EMFILE);
}

#define OPEN(name, parameters, ...)                                                                                    \
	int name parameters                                                                                            \
	{                                                                                                              \
		FIND_REAL(name);                                                                                       \
		va_list more;                                                                                          \
		va_start(more, flags);                                                                                 \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                \
		va_end(more);                                                                                          \
		if (opening_fails(#name, flags))                                                                       \
			return -1;                                                                                     \
		int result = real(__VA_ARGS__, mode);                                                                  \
		behind();                                                                                              \
		return result;                                                                                         \
	}

OPEN(open, (const char *path, int flags, ...), path, flags)
OPEN(open64, (const char *path, int flags, ...), path, flags)
OPEN(openat, (int at, const char *path, int flags, ...), at, path, flags)
OPEN(openat64, (int at, const char *path, int flags, ...), at, path, flags)

/* What _FORTIFY_SOURCE calls when there is no mode. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int at, const char *path, int flags);

int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __open64_2(const char *path, int flags)
{
	return open64(path, flags);
}

int __openat_2(int at, const char *path, int flags)
{
	return openat(at, path, flags);
}

/* --- the rest of the system -------------------------------------------------------------------------------------- */

ssize_t read(int fd, void *bytes, size_t length)
{
	FIND_REAL(read);
	if (fails(SYSTEM, "read", is_file(fd) ? EIO : is_socket(fd) ? ECONNRESET : EINTR))
		return -1;
	return real(fd, bytes, length);
}

int close(int fd)
{
	FIND_REAL(close);
	bool failing = is_file(fd) && fails(SYSTEM, "close", EIO);
	int result = real(fd); /* that it fails does not keep it open */
	behind();
	if (failing)
		errno = EIO;
	return failing ? -1 : result;
}

int fcntl(int fd, int command, ...)
{
	FIND_REAL(fcntl);
	va_list more;
	va_start(more, command);
	void *argument = va_arg(more, void *);
	va_end(more);
	bool locks = command == F_SETLK || command == F_SETLKW || command == F_GETLK;
	if ((locks || command == F_DUPFD_CLOEXEC) && fails(SYSTEM, "fcntl", locks ? ENOLCK : EMFILE))
		return -1;
	return real(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
	va_list more;
	va_start(more, command);
	void *argument = va_arg(more, void *);
	va_end(more);
	return fcntl(fd, command, argument);
}

CALL(SYSTEM, EIO, -1, ssize_t, pread, (int fd, void *bytes, size_t length, off_t at), fd, bytes, length, at)
CALL(SYSTEM, EIO, -1, ssize_t, pread64, (int fd, void *bytes, size_t length, off64_t at), fd, bytes, length, at)
CALL(SYSTEM, EIO, -1, int, stat, (const char *path, struct stat *about), path, about)
CALL(SYSTEM, EIO, -1, int, stat64, (const char *path, struct stat64 *about), path, about)
CALL(SYSTEM, EIO, -1, int, lstat, (const char *path, struct stat *about), path, about)
CALL(SYSTEM, EIO, -1, int, lstat64, (const char *path, struct stat64 *about), path, about)
CALL(SYSTEM, EIO, -1, int, fstat, (int fd, struct stat *about), fd, about)
CALL(SYSTEM, EIO, -1, int, fstat64, (int fd, struct stat64 *about), fd, about)
CALL(SYSTEM, EIO, -1, int, fstatat, (int at, const char *path, struct stat *about, int flags), at, path, about, flags)
CALL(SYSTEM, EIO, -1, int, access, (const char *path, int mode), path, mode)
CALL(SYSTEM, EACCES, -1, ssize_t, readlink, (const char *path, char *to, size_t length), path, to, length)
CALL(SYSTEM, ENOMEM, NULL, DIR *, opendir, (const char *path), path)
CALL(SYSTEM, ENOMEM, NULL, DIR *, fdopendir, (int fd), fd)
CALL(SYSTEM, EIO, NULL, struct dirent *, readdir, (DIR * directory), directory)
CALL(SYSTEM, EIO, NULL, struct dirent64 *, readdir64, (DIR * directory), directory)
CALL(SYSTEM, EMFILE, NULL, FILE *, fopen, (const char *path, const char *mode), path, mode)
CALL(SYSTEM, EMFILE, NULL, FILE *, fopen64, (const char *path, const char *mode), path, mode)
CALL(SYSTEM, ENOLCK, -1, int, flock, (int fd, int how), fd, how)
CALL(SYSTEM, EMFILE, -1, int, socket, (int domain, int type, int protocol), domain, type, protocol)
CALL(SYSTEM, EMFILE, -1, int, socketpair, (int d, int type, int protocol, int fds[2]), d, type, protocol, fds)
CALL(SYSTEM, EMFILE, -1, int, pipe2, (int fds[2], int flags), fds, flags)
CALL(SYSTEM, EMFILE, -1, int, eventfd, (unsigned count, int flags), count, flags)
CALL(SYSTEM, EMFILE, -1, int, epoll_create1, (int flags), flags)
CALL(SYSTEM, ECONNREFUSED, -1, int, connect, (int fd, const struct sockaddr *to, socklen_t length), fd, to, length)
CALL(SYSTEM, ENOBUFS, -1, int, getsockopt, (int fd, int level, int o, void *v, socklen_t *n), fd, level, o, v, n)
CALL(SYSTEM, ENOBUFS, -1, int, setsockopt, (int fd, int level, int o, const void *v, socklen_t n), fd, level, o, v, n)
CALL(SYSTEM, ENOBUFS, -1, int, getsockname, (int fd, struct sockaddr *name, socklen_t *length), fd, name, length)
CALL(SYSTEM, ENOTCONN, -1, int, getpeername, (int fd, struct sockaddr *name, socklen_t *length), fd, name, length)
CALL(SYSTEM, ECONNRESET, -1, ssize_t, recv, (int fd, void *bytes, size_t length, int flags), fd, bytes, length, flags)
CALL(SYSTEM, EPIPE, -1, ssize_t, send, (int fd, const void *bytes, size_t length, int flags), fd, bytes, length, flags)
CALL(SYSTEM, EPIPE, -1, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), fd, message, flags)
CALL(SYSTEM, EINTR, -1, int, poll, (struct pollfd * fds, nfds_t count, int ms), fds, count, ms)
CALL(SYSTEM, EINTR, -1, int, epoll_wait, (int fd, struct epoll_event *events, int most, int ms), fd, events, most, ms)
CALL(SYSTEM, EINTR, -1, int, epoll_pwait, (int fd, struct epoll_event *events, int most, int ms, const sigset_t *mask),
	fd, events, most, ms, mask)
CALL(SYSTEM, ENOMEM, MAP_FAILED, void *, mmap, (void *at, size_t length, int prot, int flags, int fd, off_t offset), at,
	length, prot, flags, fd, offset)
CALL(SYSTEM, ENOMEM, MAP_FAILED, void *, mmap64, (void *at, size_t length, int prot, int flags, int fd, off64_t offset),
	at, length, prot, flags, fd, offset)
CALL(SYSTEM, ENOMEM, -1, int, mprotect, (void *at, size_t length, int protection), at, length, protection)
CALL(SYSTEM, EPERM, -1, int, setrlimit, (__rlimit_resource_t what, const struct rlimit *limit), what, limit)
CALL(SYSTEM, EAGAIN, EAGAIN, int, pthread_create,
	(pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument), thread,
	attributes, start, argument)
CALL(SYSTEM, EAGAIN, EAI_AGAIN, int, getaddrinfo,
	(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found), node, service,
	hints, found)

/* --- memory ------------------------------------------------------------------------------------------------------ */

/* glibc's own; dlsym() itself allocates. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	return fails(MEMORY, "malloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(MEMORY, "calloc", ENOMEM) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	return fails(MEMORY, "realloc", ENOMEM) ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails(MEMORY, "aligned_alloc", ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	if (fails(MEMORY, "posix_memalign", ENOMEM))
		return ENOMEM;
	*memory = __libc_memalign(alignment, size);
	return *memory ? 0 : ENOMEM;
}

/* --- what is wanted ---------------------------------------------------------------------------------------------- */

static unsigned set_named(const char *name)
{
	static const char *const names[] = {"", "files", "system", "", "memory", "", "", "all"};
	for (unsigned i = 1; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return 0;
}

static void read_wish(const char *text)
{
	char how[16];
	long at;
	if (sscanf(text, "%31[^:]:%ld:%15s", wanted.name, &at, how) != 3)
		abort();
	wanted.set = set_named(wanted.name);
	if (wanted.set)
		wanted.name[0] = '\0';
	wanted.shorter = strcmp(how, "short") == 0;
	wanted.kill = strcmp(how, "kill") == 0;
	wanted.killed = strcmp(how, "killed") == 0;
	wanted.count = strcmp(how, "count") == 0;
	wanted.code = (int)strtol(how, NULL, 10);
	wanted.at = at;
}

__attribute__((constructor)) static void begin(void)
{
	const char *wish = getenv("FAULT"), *path = getenv("FAULT_REPORT");
	if (path)
		report = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (wish)
		read_wish(wish);
}

__attribute__((destructor)) static void end(void)
{
	long count = seen_count;
	wanted.at = 0;
	say("end", count, 0);
}
