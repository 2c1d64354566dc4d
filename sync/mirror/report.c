#include "sync/mirror/report.h"

#include "base/memory.h"

enum exit_code exit_code_of(enum side side, enum error_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return EXIT_DONE;
	case ERR_UNAUTHORIZED:
		return EXIT_AUTHENTICATION;
	case ERR_DENIED:
		return side == SIDE_SOURCE ? EXIT_AUTHENTICATION : EXIT_TARGET;
	case ERR_RATE_LIMITED:
	case ERR_UNAVAILABLE:
	case ERR_TIMEOUT:
	case ERR_CANCELED:
		return EXIT_NETWORK;
	case ERR_NOT_FOUND:
	case ERR_PROTOCOL:
	case ERR_CORRUPT:
	case ERR_INCOMPLETE:
	case ERR_CONFLICT:
	case ERR_TOO_LARGE:
	case ERR_INVALID:
	case ERR_UNSUPPORTED:
		return side == SIDE_SOURCE ? EXIT_CONTENT : EXIT_TARGET;
	case ERR_REFUSED:
		return EXIT_SECURITY;
	case ERR_BUSY:
		return EXIT_BUSY;
	case ERR_IO:
	case ERR_STORE:
		return EXIT_LOCAL;
	}
	return EXIT_BUG;
}

void report_release(struct report *report)
{
	for (size_t i = 0; i < report->failure_count; i++) {
		free(report->failures[i].source);
		free(report->failures[i].target);
	}
	free(report->failures);
	free(report->hosts);
	*report = (struct report){0};
}

void report_add_failure(struct report *report, const char *source, const char *target, const char *stage,
	enum side side, const struct error *err)
{
	report->failures = memory_resize(report->failures, report->failure_count + 1, sizeof *report->failures);
	report->failures[report->failure_count++] = (struct failure){
		.source = memory_text(source),
		.target = memory_text(target),
		.stage = stage,
		.side = side,
		.err = *err,
	};
}

int report_exit_code(const struct report *report)
{
	enum exit_code worst = EXIT_DONE;
	bool security = false, local = false;
	for (size_t i = 0; i < report->failure_count; i++) {
		enum exit_code code = exit_code_of(report->failures[i].side, report->failures[i].err.kind);
		security |= code == EXIT_SECURITY;
		local |= code == EXIT_LOCAL;
		if (worst == EXIT_DONE)
			worst = code; /* of several classes, the first that happened */
	}
	if (security)
		return EXIT_SECURITY;
	if (local)
		return EXIT_LOCAL;
	if (report->stopped_by)
		return EXIT_SIGNAL + report->stopped_by;
	bool some_done = report->places_done + report->images.pending > 0;
	return worst != EXIT_DONE && some_done ? EXIT_PARTIAL : (int)worst;
}
