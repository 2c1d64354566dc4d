#include "store/lock.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool state_lock_take(const char *state_path, struct state_lock *lock, struct error *err)
{
	auto_free char *path = memory_format("%s.lock", state_path);
	int fd = file_lock(path, err);
	if (fd < 0)
		return false;
	struct stat status;
	if (fstat(fd, &status) != 0) {
		error_errno(err, "%s", path);
		close(fd);
		return false;
	}
	*lock = (struct state_lock){.fd = fd, .was_signed = status.st_size > 0};
	return true;
}

bool state_lock_sign(struct state_lock *lock, struct error *err)
{
	char line[96], when[32];
	time_t now = time(NULL);
	struct tm broken;
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &broken));
	int length = snprintf(line, sizeof line, "pid %ld, since %s\n", (long)getpid(), when);
	if (ftruncate(lock->fd, 0) != 0 || lseek(lock->fd, 0, SEEK_SET) != 0)
		return error_errno(err, "lock file");
	if (!file_write_all(lock->fd, line, (size_t)length, err))
		return error_wrap(err, "lock file");
	return fsync(lock->fd) == 0 || error_errno(err, "lock file: fsync");
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
	long pid;
	if (sscanf(holder, "pid %ld,", &pid) != 1)
		return false;
	snprintf(by, sizeof by, " WRITE %ld ", pid);
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
