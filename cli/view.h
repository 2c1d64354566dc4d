/*
 * What a person sees while a run goes on: on a terminal a live view on stderr, elsewhere one line an image.
 */
#ifndef DRAY_CLI_VIEW_H
#define DRAY_CLI_VIEW_H

#include "scheduler/group.h"
#include "sync/mirror/run.h"

struct view {
	const struct run *run;
	bool quiet, live;
	bool lines_to_stderr; /* stdout belongs to the report */
	int drawn_lines;
	int64_t started_ms, last_bytes, last_ms;
	double rate;        /* bytes a second, smoothed */
	struct group group; /* the task that redraws */
};

/** Decide how to show, and take the log lines. Pass view_image() as the run's observer. */
void view_init(struct view *view, bool quiet, bool json);

/** Begin to redraw, on a terminal. Inside loop_run(). */
void view_start(struct view *view, const struct run *run);

/** Take the view away; log lines go to stderr again. */
void view_stop(struct view *view);

/** A struct run_observer's image. @context is the view. */
void view_image(void *context, const struct image_event *event);

/** The last line of a run, on stdout, or on stderr with --json. */
void view_summary(const struct view *view, const struct report *report);

#endif
