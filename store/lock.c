#include "store/lock.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define UNTIL ", until "

enum {
	LINE_MAX_BYTES = 160,
	SIGNATURE_TRIES = 20, /* a holder signs as soon as it has seen whose file it is: some milliseconds */
	SIGNATURE_WAIT_MS = 10
};

/* How the state stands: its size, and when it was last written. "" if that cannot be seen. */
static void see(const char *state_path, char out[64])
{
	struct stat status;
	out[0] = '\0';
	if (stat(state_path, &status) == 0)
		snprintf(out, 64, " with %lld bytes of %lld.%09ld\n", (long long)status.st_size,
			(long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

/* Did who had the state close it, and has nobody touched it since? */
static bool is_as_closed(const char *line, const char *state_path)
{
	char seen[64];
	see(state_path, seen);
	const char *until = strstr(line, UNTIL);
	const char *with = until ? strstr(until, " with ") : NULL;
	return with && strcmp(with, seen) == 0;
}

/* A holder that has not signed yet left the name of the one before it there: wait a little for its own. */
static int lock_or_name_holder(const char *state_path, const char *path, struct error *err)
{
	char holder[LINE_MAX_BYTES];
	struct error failure = {.kind = ERR_NONE};
	int fd = file_lock(path, &failure);
	for (int tries = 0; fd < 0 && failure.kind == ERR_BUSY && tries < SIGNATURE_TRIES; tries++) {
		if (state_lock_is_held(state_path, holder, sizeof holder))
			break;
		poll(NULL, 0, SIGNATURE_WAIT_MS);
		fd = file_lock(path, &failure);
	}
	if (fd < 0 && err)
		*err = failure;
	return fd;
}

bool state_lock_take(const char *state_path, struct state_lock *lock, struct error *err)
{
	auto_free char *path = memory_format("%s.lock", state_path);
	int fd = lock_or_name_holder(state_path, path, err);
	if (fd < 0)
		return false;
	char line[LINE_MAX_BYTES];
	ssize_t length = pread(fd, line, sizeof line - 1, 0);
	if (length < 0) {
		error_errno(err, "%s", path);
		close(fd);
		return false;
	}
	line[length] = '\0';
	*lock = (struct state_lock){.fd = fd, .was_signed = length > 0, .was_closed = is_as_closed(line, state_path)};
	return true;
}

static const char *now(char out[32])
{
	time_t seconds = time(NULL);
	struct tm broken;
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &broken));
	return out;
}

bool state_lock_sign(struct state_lock *lock, const char *state_path, struct error *err)
{
	char line[LINE_MAX_BYTES], when[32];
	lock->length = snprintf(line, sizeof line, "pid %ld, since %s\n", (long)getpid(), now(when));
	if (lseek(lock->fd, 0, SEEK_SET) != 0)
		return error_errno(err, "%s.lock", state_path);
	if (!file_write_all(lock->fd, line, (size_t)lock->length, err))
		return error_wrap(err, "%s.lock", state_path);
	lock->is_synced = false;
	return ftruncate(lock->fd, lock->length) == 0 || error_errno(err, "%s.lock", state_path);
}

bool state_lock_sync(struct state_lock *lock, const char *state_path, struct error *err)
{
	if (!lock->is_synced && fsync(lock->fd) != 0)
		return error_errno(err, "%s.lock: fsync", state_path);
	lock->is_synced = true;
	return true;
}

void state_lock_close(struct state_lock *lock, const char *state_path)
{
	char text[LINE_MAX_BYTES], when[32], seen[64];
	see(state_path, seen);
	int length = snprintf(text, sizeof text, UNTIL "%s%s", now(when), seen);
	if (lock->length > 0 && seen[0])
		(void)!pwrite(lock->fd, text, (size_t)length, lock->length - 1);
}

void state_lock_release(struct state_lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
}

/* "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF", a line a lock; one that waits for it has an arrow in front. */
static bool kernel_has_lock(const char *holder, unsigned long long inode)
{
	char line[256], by[32], on[32];
	if (!str_starts_with(holder, "pid "))
		return false;
	snprintf(by, sizeof by, " WRITE %ld ", strtol(holder + strlen("pid "), NULL, 10));
	snprintf(on, sizeof on, ":%llu ", inode);
	FILE *locks = fopen("/proc/locks", "re");
	bool found = false;
	while (locks && !found && fgets(line, sizeof line, locks))
		found = strstr(line, "FLOCK") && !strstr(line, "->") && strstr(line, by) && strstr(line, on);
	if (locks)
		fclose(locks);
	return found;
}

bool state_lock_is_held(const char *state_path, char *holder, size_t holder_size)
{
	auto_free char *path = memory_format("%s.lock", state_path);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;
	holder[0] = '\0';
	if (fd < 0 || fstat(fd, &status) != 0)
		return false;
	ssize_t length = read(fd, holder, holder_size - 1);
	holder[length > 0 ? length : 0] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
	return kernel_has_lock(holder, (unsigned long long)status.st_ino);
}
