#include "cli/view.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { REDRAW_MS = 200, TRANSFERS_SHOWN = 8, LINE_MAX_BYTES = 8192 };

static struct winsize terminal_size(void)
{
	struct winsize size;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
		return (struct winsize){.ws_col = 80, .ws_row = 24};
	return size;
}

static void erase(struct view *view)
{
	if (view->drawn_lines > 0)
		fprintf(stderr, "\r\033[%dA\033[J", view->drawn_lines);
	view->drawn_lines = 0;
}

/* What has scrolled away cannot be erased: the view stays below the height of the terminal. */
static void put_line(struct view *view, const struct winsize *size, const char *line)
{
	if (view->drawn_lines + 1 >= size->ws_row)
		return;
	fprintf(stderr, "%.*s\n", size->ws_col - 1, line);
	view->drawn_lines++;
}

static void measure_rate(struct view *view, const struct progress *progress)
{
	int64_t now = loop_now_ms();
	int64_t bytes = progress->downloaded_bytes > progress->uploaded_bytes ? progress->downloaded_bytes
									      : progress->uploaded_bytes;
	if (now <= view->last_ms)
		return;
	double current = (double)(bytes - view->last_bytes) * 1000 / (double)(now - view->last_ms);
	view->rate = view->rate * 0.8 + current * 0.2;
	view->last_bytes = bytes;
	view->last_ms = now;
}

/* What the running transfers still need at this rate, and for the images behind them the mean so far; nothing while
 * more may be found. */
static const char *time_left(const struct view *view, const struct progress *progress, char out[32])
{
	char duration[16];
	int64_t left = progress->images_found - progress->images_done;
	if (progress->listing || left == 0 || view->rate < 1)
		return "";
	int64_t transfers_ms = (int64_t)((double)progress->transfer_bytes_left * 1000 / view->rate);
	int64_t elapsed = loop_now_ms() - view->started_ms;
	int64_t images_ms = progress->images_done > 0 ? elapsed * left / progress->images_done : 0;
	snprintf(out, 32, ", about %s left",
		str_format_duration(transfers_ms > images_ms ? transfers_ms : images_ms, duration));
	return out;
}

static void draw(struct view *view)
{
	struct progress progress;
	char down[16], up[16], rate[16], left[32], line[512];
	const struct winsize size = terminal_size();
	run_progress(view->run, &progress);
	measure_rate(view, &progress);
	erase(view);
	snprintf(line, sizeof line, "%ld/%ld%s images, %s down, %s up, %s/s%s", (long)progress.images_done,
		(long)progress.images_found, progress.listing ? "+" : "",
		str_format_bytes(progress.downloaded_bytes, down), str_format_bytes(progress.uploaded_bytes, up),
		str_format_bytes((int64_t)view->rate, rate), time_left(view, &progress, left));
	put_line(view, &size, line);
	for (size_t i = 0; i < progress.transfer_count && i < TRANSFERS_SHOWN; i++) {
		const struct progress_transfer *t = &progress.transfers[i];
		snprintf(line, sizeof line, "  %3d%% of %-10s %s  %s",
			t->size > 0 ? (int)(t->bytes * 100 / t->size) : 100, str_format_bytes(t->size, down), t->digest,
			t->image);
		put_line(view, &size, line);
	}
	if (progress.transfers_in_all > TRANSFERS_SHOWN) {
		snprintf(line, sizeof line, "  and %zu more", progress.transfers_in_all - TRANSFERS_SHOWN);
		put_line(view, &size, line);
	}
	fflush(stderr);
}

static void redraw_task(void *argument)
{
	struct view *view = argument;
	do
		draw(view);
	while (task_sleep(REDRAW_MS, NULL));
}

/* A line of text above the live view, or where lines go. */
static void print(struct view *view, const char *line)
{
	if (view->live) {
		erase(view);
		fprintf(stderr, "%s\n", line);
		draw(view);
		if (!view->lines_to_stderr && !isatty(STDOUT_FILENO))
			puts(line); /* into the file that the output goes to */
		return;
	}
	fprintf(view->lines_to_stderr ? stderr : stdout, "%s\n", line);
}

static void log_above_view(const char *line, void *context)
{
	print(context, line);
}

void view_init(struct view *view, bool quiet, bool json)
{
	*view = (struct view){.quiet = quiet, .lines_to_stderr = json};
	group_init(&view->group, 1);
}

void view_start(struct view *view, const struct run *run)
{
	struct error err;
	const char *terminal = getenv("TERM");
	view->run = run;
	view->started_ms = view->last_ms = loop_now_ms();
	if (view->quiet || !isatty(STDERR_FILENO) || !terminal || !*terminal || str_is(terminal, "dumb"))
		return;
	view->live = group_spawn(&view->group, redraw_task, view, &err);
	if (view->live)
		log_set_sink(log_above_view, view);
}

void view_stop(struct view *view)
{
	group_cancel(&view->group);
	group_wait(&view->group);
	if (view->live)
		erase(view);
	view->live = false;
	log_set_sink(NULL, NULL);
}

static void join_targets(const struct image_event *event, struct buf *out)
{
	for (size_t i = 0; i < event->target_count; i++)
		(void)!buf_appendf(out, NULL, "%s%s", i > 0 ? ", " : "", event->targets[i]);
}

void view_image(void *context, const struct image_event *event)
{
	static const char *const words[] = {[IMAGE_COPIED] = "copied",
		[IMAGE_UNCHANGED] = "unchanged",
		[IMAGE_FAILED] = "failed",
		[IMAGE_PENDING] = "would copy",
		[IMAGE_KEPT] = "kept",
		[IMAGE_SOUND] = "sound",
		[IMAGE_REPAIRED] = "repaired"};
	struct view *view = context;
	char digest[24], bytes[16], duration[16];
	if (event->outcome == IMAGE_FAILED) {
		log_error("%s", event->failure ? event->failure->err.text : event->source);
		return;
	}
	if (event->outcome == IMAGE_GONE) {
		log_warning("%s: gone: it was listed, and then was not there; nothing is changed at the targets",
			event->source);
		return;
	}
	if (view->quiet)
		return;
	auto_buf struct buf targets;
	buf_init(&targets, LINE_MAX_BYTES);
	join_targets(event, &targets);
	auto_free char *head = memory_format("%-10s %s%s%s  %s%s", words[event->outcome], event->source,
		event->target_count > 0 ? " -> " : "", event->target_count > 0 ? buf_peek(&targets) : "",
		digest_short(event->digest, digest), event->rewritten ? " (cut to its platforms)" : "");
	if (event->outcome == IMAGE_UNCHANGED || event->outcome == IMAGE_PENDING || event->outcome == IMAGE_KEPT) {
		print(view, head);
		return;
	}
	auto_free char *line = memory_format("%s  %s  %s", head, str_format_bytes(event->bytes, bytes),
		str_format_duration(event->duration_ms, duration));
	print(view, line);
}

static void summarize_look(const struct report *report, FILE *out)
{
	char read[16], duration[16];
	fprintf(out, "%ld images: %ld sound, %ld repaired, %ld failed", (long)report->images.total,
		(long)report->images.sound, (long)report->images.repaired, (long)report->images.failed);
	if (report->unlisted > 0)
		fprintf(out, ", %ld repositories could not be listed", (long)report->unlisted);
	if (report->images.stopped > 0)
		fprintf(out, ", %ld stopped", (long)report->images.stopped);
	fprintf(out, "; %ld blobs seen, %s read; %ld digests and %ld diff_ids proven; %s\n",
		(long)report->blobs.present, str_format_bytes(report->bytes.downloaded, read),
		(long)report->verified.digests, (long)report->verified.diff_ids,
		str_format_duration(report->duration_ms, duration));
}

void view_summary(const struct view *view, const struct report *report)
{
	char down[16], up[16], duration[16];
	FILE *out = view->lines_to_stderr ? stderr : stdout;
	if (view->quiet && report->failure_count == 0)
		return;
	if (report->verifies) {
		summarize_look(report, out);
		return;
	}
	fprintf(out, "%ld images: %ld copied, %ld unchanged, %ld failed", (long)report->images.total,
		(long)report->images.copied, (long)report->images.unchanged, (long)report->images.failed);
	if (report->unlisted > 0)
		fprintf(out, ", %ld repositories could not be listed", (long)report->unlisted);
	if (report->images.gone > 0)
		fprintf(out, ", %ld gone", (long)report->images.gone);
	if (report->images.kept > 0)
		fprintf(out, ", %ld kept", (long)report->images.kept);
	if (report->images.stopped > 0)
		fprintf(out, ", %ld stopped", (long)report->images.stopped);
	if (report->dry_run)
		fprintf(out, ", %ld to copy (dry run)", (long)report->images.pending);
	fprintf(out, "; %s down, %s up, %ld blobs mounted; %ld digests and %ld diff_ids proven, %ld remembered",
		str_format_bytes(report->bytes.downloaded, down), str_format_bytes(report->bytes.uploaded, up),
		(long)report->blobs.mounted, (long)report->verified.digests, (long)report->verified.diff_ids,
		(long)report->verified.diff_ids_remembered);
	if (report->blobs.unproven > 0)
		fprintf(out, ", %ld layers unproven", (long)report->blobs.unproven);
	if (report->referrers > 0)
		fprintf(out, ", %ld referrers", (long)report->referrers);
	if (report->left_out.layers + report->left_out.manifests > 0)
		fprintf(out, ", %ld layers and %ld manifests left out", (long)report->left_out.layers,
			(long)report->left_out.manifests);
	if (report->left_out.referrers > 0)
		fprintf(out, ", %ld referrers left out", (long)report->left_out.referrers);
	fprintf(out, "; %s\n", str_format_duration(report->duration_ms, duration));
	if (report->stopped_by && report->has_rest)
		fprintf(out, "stopped by signal %d; what is finished stays, run it again for the rest\n",
			report->stopped_by);
	else if (report->stopped_by && report->failure_count == 0)
		fprintf(out, "stopped by signal %d, when all was done\n", report->stopped_by);
	else if (report->failure_count > 0)
		fprintf(out, "run it again to try what failed; what is there is not sent again\n");
}
