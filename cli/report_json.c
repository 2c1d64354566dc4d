#include "cli/report_json.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void put_integer(json_t *object, const char *key, int64_t value)
{
	json_object_set_new(object, key, json_integer(value));
}

/* Foreign text may not be UTF-8, which JSON must be. */
static void put_text(json_t *object, const char *key, const char *text)
{
	char clean[ERROR_TEXT_MAX * 2];
	if (text)
		str_sanitize(text, strlen(text), clean, sizeof clean);
	json_object_set_new(object, key, text ? json_string(clean) : json_null());
}

/* RFC 3339, in UTC. */
static void put_time(json_t *object, const char *key, int64_t milliseconds)
{
	char text[64];
	struct tm broken_down;
	time_t seconds = (time_t)(milliseconds / 1000);
	gmtime_r(&seconds, &broken_down);
	size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &broken_down);
	snprintf(text + length, sizeof text - length, ".%03dZ", (int)(milliseconds % 1000));
	put_text(object, key, text);
}

static json_t *add_object(json_t *parent, const char *key)
{
	json_t *child = json_object();
	json_object_set_new(parent, key, child);
	return child;
}

static void put_counts(json_t *root, const struct report *report)
{
	json_t *images = add_object(root, "images");
	put_integer(images, "total", report->images.total);
	put_integer(images, "copied", report->images.copied);
	put_integer(images, "unchanged", report->images.unchanged);
	put_integer(images, "failed", report->images.failed);
	put_integer(images, "pending", report->images.pending);
	put_integer(images, "stopped", report->images.stopped);
	put_integer(images, "gone", report->images.gone);
	put_integer(images, "kept", report->images.kept);
	put_integer(images, "rewritten", report->images.rewritten);
	put_integer(images, "sound", report->images.sound);
	put_integer(images, "repaired", report->images.repaired);
	put_integer(root, "unlisted", report->unlisted);
	json_t *blobs = add_object(root, "blobs");
	put_integer(blobs, "unique", report->blobs.unique);
	put_integer(blobs, "downloaded", report->blobs.downloaded);
	put_integer(blobs, "reread", report->blobs.reread);
	put_integer(blobs, "uploaded", report->blobs.uploaded);
	put_integer(blobs, "mounted", report->blobs.mounted);
	put_integer(blobs, "present", report->blobs.present);
	put_integer(blobs, "unproven", report->blobs.unproven);
	json_t *left_out = add_object(root, "left_out");
	put_integer(left_out, "layers", report->left_out.layers);
	put_integer(left_out, "manifests", report->left_out.manifests);
	put_integer(left_out, "referrers", report->left_out.referrers);
	put_integer(root, "referrers", report->referrers);
	json_t *bytes = add_object(root, "bytes");
	put_integer(bytes, "downloaded", report->bytes.downloaded);
	put_integer(bytes, "uploaded", report->bytes.uploaded);
	put_integer(bytes, "resumed", report->bytes.resumed);
	json_t *verified = add_object(root, "verified");
	put_integer(verified, "digests", report->verified.digests);
	put_integer(verified, "diff_ids", report->verified.diff_ids);
	put_integer(verified, "diff_ids_remembered", report->verified.diff_ids_remembered);
}

/* {"GET": {"manifest": 3, ...}, ...}, without what was never asked. */
static void put_requests(json_t *root, const struct http_counters *counters)
{
	json_t *requests = add_object(root, "requests");
	if (!counters)
		return;
	for (unsigned method = 0; method < HTTP_METHOD_COUNT; method++)
		for (unsigned kind = 0; kind < HTTP_KIND_COUNT; kind++) {
			if (counters->requests[method][kind] == 0)
				continue;
			json_t *kinds = json_object_get(requests, http_method_name(method));
			if (!kinds)
				kinds = add_object(requests, http_method_name(method));
			put_integer(kinds, http_kind_name(kind), counters->requests[method][kind]);
		}
}

static void put_notices(json_t *root, const struct report *report)
{
	json_t *warnings = json_array(), *quotas = add_object(root, "quotas");
	json_object_set_new(root, "warnings", warnings);
	for (size_t i = 0; i < report->host_count; i++) {
		const struct notices *notices = report->hosts[i].notices;
		for (size_t k = 0; k < notices->warning_count; k++) {
			json_t *row = json_object();
			put_text(row, "host", report->hosts[i].host);
			put_text(row, "text", notices->warnings[k]);
			json_array_append_new(warnings, row);
		}
		if (!notices->has_quota)
			continue;
		json_t *quota = add_object(quotas, report->hosts[i].host);
		put_integer(quota, "limit", notices->quota);
		put_integer(quota, "remaining", notices->quota_left);
		put_integer(quota, "window_s", notices->quota_window_s);
	}
}

static void put_failures(json_t *root, const struct report *report)
{
	json_t *failures = json_array();
	json_object_set_new(root, "failures", failures);
	for (size_t i = 0; i < report->failure_count; i++) {
		const struct failure *failure = &report->failures[i];
		json_t *row = json_object();
		put_text(row, "source", failure->source);
		put_text(row, "target", failure->target);
		put_text(row, "stage", failure->stage);
		put_text(row, "kind", error_kind_name(failure->err.kind));
		put_integer(row, "exit_class", exit_code_of(failure->side, failure->err.kind));
		put_text(row, "message", failure->err.text);
		json_array_append_new(failures, row);
	}
}

static void print(const json_t *root)
{
	auto_free char *text = json_dumps(root, JSON_INDENT(2));
	if (!text)
		memory_exhausted();
	puts(text);
}

void report_print_json(const struct report *report, int exit_code)
{
	auto_json json_t *root = json_object();
	put_text(root, "run", report->run_id);
	put_time(root, "started", report->started_ms);
	put_time(root, "finished", report->finished_ms);
	put_integer(root, "duration_ms", report->duration_ms);
	put_integer(root, "exit_code", exit_code);
	put_integer(root, "stopped_by", report->stopped_by);
	json_object_set_new(root, "dry_run", json_boolean(report->dry_run));
	put_counts(root, report);
	put_requests(root, report->requests);
	put_notices(root, report);
	put_failures(root, report);
	print(root);
}

static void put_totals(json_t *root, const struct run_totals *totals)
{
	json_t *images = add_object(root, "images");
	put_integer(images, "total", totals->images);
	put_integer(images, "copied", totals->copied);
	put_integer(images, "unchanged", totals->unchanged);
	put_integer(images, "failed", totals->failed);
	json_t *bytes = add_object(root, "bytes");
	put_integer(bytes, "downloaded", totals->downloaded_bytes);
	put_integer(bytes, "uploaded", totals->uploaded_bytes);
}

static json_t *failed_job(const struct history_job *job)
{
	json_t *row = json_object();
	put_text(row, "source", job->source);
	put_text(row, "target", *job->target ? job->target : NULL);
	put_text(row, "stage", job->stage);
	put_text(row, "kind", job->error_kind);
	put_text(row, "message", job->error_text);
	return row;
}

void report_print_history(const struct history *history)
{
	const struct history_run *run = &history->run;
	auto_json json_t *root = json_object();
	auto_free char *id = memory_format("%lld", (long long)run->id);
	bool finished = run->finished_ms > 0;
	put_text(root, "run", id);
	json_object_set_new(root, "running", json_boolean(!finished && history->held));
	put_time(root, "started", run->started_ms);
	if (finished) {
		put_time(root, "finished", run->finished_ms);
		put_integer(root, "exit_code", run->exit_code);
		put_totals(root, &run->totals);
	} else {
		put_text(root, "finished", NULL);
		put_text(root, "exit_code", NULL);
	}
	if (!finished) {
		json_t *done = add_object(root, "jobs_done");
		put_integer(done, "copied", history->jobs_done.copied);
		put_integer(done, "failed", history->jobs_done.failed);
		put_integer(done, "uploaded_bytes", history->jobs_done.sent_bytes);
	}
	json_t *failures = json_array();
	json_object_set_new(root, "failures", failures);
	for (size_t i = 0; i < history->job_count; i++)
		json_array_append_new(failures, failed_job(&history->jobs[i]));
	print(root);
}

static json_t *told_job(const struct history_job *job)
{
	json_t *row = failed_job(job);
	put_integer(row, "run", job->run);
	put_text(row, "outcome", job->outcome);
	put_text(row, "digest", job->digest);
	put_time(row, "finished", job->finished_ms);
	put_integer(row, "duration_ms", job->duration_ms);
	put_integer(row, "uploaded_bytes", job->bytes);
	put_integer(row, "attempts", job->attempts);
	return row;
}

static json_t *told_tag(const struct history_tag *tag)
{
	json_t *row = json_object();
	put_text(row, "target", tag->target);
	put_text(row, "digest", tag->written);
	put_text(row, "source", tag->source);
	put_text(row, "source_digest", tag->source_digest);
	put_text(row, "platforms", *tag->platforms ? tag->platforms : NULL);
	put_time(row, "first_written", tag->first_seen_ms);
	put_time(row, "last_written", tag->verified_ms);
	return row;
}

void report_print_explanation(const char *reference, const struct history *history)
{
	auto_json json_t *root = json_object();
	json_t *tags = json_array(), *jobs = json_array();
	put_text(root, "reference", reference);
	json_object_set_new(root, "holds", tags);
	json_object_set_new(root, "jobs", jobs);
	for (size_t i = 0; i < history->tag_count; i++)
		json_array_append_new(tags, told_tag(&history->tags[i]));
	for (size_t i = 0; i < history->job_count; i++)
		json_array_append_new(jobs, told_job(&history->jobs[i]));
	print(root);
}
