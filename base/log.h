/*
 * Lines for humans on stderr. Only sync/mirror and cli log; everybody else returns an error.
 */
#ifndef DRAY_BASE_LOG_H
#define DRAY_BASE_LOG_H

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_INFO,
	LOG_DEBUG,
};

/** Lines above @level are dropped. Default: LOG_INFO. */
void log_set_level(enum log_level level);

/**
 * Where lines go instead of stderr: a progress view takes them, so that they do not tear it. NULL: stderr again.
 * @sink gets one whole line without its newline.
 */
void log_set_sink(void (*sink)(const char *line, void *context), void *context);

/** One line. Control bytes in it are escaped, so that foreign text cannot forge another (T-73). */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)

#endif
