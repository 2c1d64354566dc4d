/*
 * A clock on the wall that is wrong, and jumps: preloaded into dray (T-72).
 *
 * WRONG_BY is a list of seconds, such as "-100,3e9"; each question for the time gets the next of them added to it. The
 * monotonic clock is left alone: no system changes that one.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static long wrong_by(void)
{
	static atomic_uint asked;
	const char *list = getenv("WRONG_BY");
	unsigned count = 1;
	if (!list)
		return 0;
	for (const char *p = list; *p; p++)
		count += *p == ',';
	for (unsigned skip = asked++ % count; skip > 0; skip--)
		list = strchr(list, ',') + 1;
	return (long)strtod(list, NULL);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	int status = real(clock, now);
	if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += wrong_by();
	return status;
}

time_t time(time_t *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}
