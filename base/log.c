#include "base/log.h"

#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum log_level log_level = LOG_INFO;
static void (*log_sink)(const char *line, void *context);
static void *log_context;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_sink(void (*sink)(const char *line, void *context), void *context)
{
	log_sink = sink;
	log_context = context;
}

/* Apart, so that a line that is dropped touches nothing of its caller's stack: tasks have many. */
static __attribute__((noinline, format(printf, 2, 0))) void put_line(
	enum log_level level, const char *format, va_list args)
{
	static const char *const prefix[] = {
		[LOG_ERROR] = "error: ", [LOG_WARNING] = "warning: ", [LOG_INFO] = "", [LOG_DEBUG] = "debug: "};
	char raw[2048], line[4096];
	vsnprintf(raw, sizeof raw, format, args);
	str_sanitize(raw, strlen(raw), line, sizeof line);
	if (log_sink) {
		char whole[4200];
		snprintf(whole, sizeof whole, "%s%s", prefix[level], line);
		log_sink(whole, log_context);
		return;
	}
	/* A closed or full stderr must not stop the work (T-70). */
	fprintf(stderr, "%s%s\n", prefix[level], line);
}

void log_line(enum log_level level, const char *format, ...)
{
	if (level > log_level)
		return;
	va_list args;
	va_start(args, format);
	put_line(level, format, args);
	va_end(args);
}
