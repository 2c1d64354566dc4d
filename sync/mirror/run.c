/*
 * The run: endpoints, one for each host and directory; jobs; the groups that bound them; the report.
 */
#include "sync/mirror/transfer.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "config/selection.h"
#include "oci/reference.h"
#include "scheduler/loop.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TARGETS_MOST = GATE_CLAIMS_MAX - 4 };

/* --- endpoints ------------------------------------------------------------------------------------------------------
 */

static struct endpoint *find_endpoint(const struct run *run, const char *key)
{
	for (size_t i = 0; i < run->endpoint_count; i++)
		if (strcmp(run->endpoints[i].key, key) == 0)
			return run->endpoints[i].endpoint;
	return NULL;
}

struct endpoint_slot *run_slot(const struct run *run, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < run->endpoint_count; i++)
		if (run->endpoints[i].endpoint == endpoint)
			return &run->endpoints[i];
	return NULL;
}

static struct endpoint *add_endpoint(struct run *run, char *key, struct endpoint *endpoint)
{
	run->endpoints = memory_resize(run->endpoints, run->endpoint_count + 1, sizeof *run->endpoints);
	run->endpoints[run->endpoint_count++] = (struct endpoint_slot){.key = key, .endpoint = endpoint};
	return endpoint;
}

/* REF-12: plain http is the default for what never leaves the machine; a name may begin with 127. and do that. */
static bool is_loopback(const char *domain)
{
	auto_free char *host = memory_text_of(domain, strcspn(domain, ":"));
	unsigned char address[4];
	return str_is(host, "localhost") || (inet_pton(AF_INET, host, address) == 1 && address[0] == 127) ||
	       str_is(domain, "[::1]") || str_starts_with(domain, "[::1]:");
}

static bool is_plain_http(const struct config_registry *settings, const char *domain)
{
	switch (settings ? settings->tls : CONFIG_TLS_DEFAULT) {
	case CONFIG_TLS_DEFAULT:
		return is_loopback(domain);
	case CONFIG_TLS_OFF:
		return true;
	case CONFIG_TLS_ON:
	case CONFIG_TLS_INSECURE:
		break;
	}
	return false;
}

/* PSH-8, REF-11: one host under several names is one endpoint, so that what is there is mounted. New memory. */
static char *registry_key(const char *domain)
{
	const char *host = reference_host(domain);
	char *key = memory_text_of(host, strlen(host) - (str_ends_with(host, ":443") ? 4 : 0));
	for (char *p = key; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return key;
}

struct endpoint *run_registry(struct run *run, const char *domain)
{
	auto_free char *key = registry_key(domain);
	struct endpoint *known = find_endpoint(run, key);
	if (known)
		return known;
	const struct config_registry *settings = run->config ? config_find_registry(run->config, domain) : NULL;
	struct registry_options options = {
		.domain = domain,
		.plain_http = is_plain_http(settings, domain),
		.credentials = run->credentials,
		.pauses = &run->admitted,
		.manifest_bytes_most = run->manifest_bytes_most,
	};
	struct credential credential = {0};
	if (settings) {
		options.tls = (struct http_tls){.ca_file = settings->ca_file,
			.client_certificate_file = settings->certificate_file,
			.client_key_file = settings->key_file,
			.insecure = settings->tls == CONFIG_TLS_INSECURE};
		options.blob_slots = (size_t)settings->blob_slots;
		options.metadata_slots = (size_t)settings->metadata_slots;
		options.realms = settings->realms;
		options.realm_count = settings->realm_count;
		options.upload_hosts = settings->upload_hosts;
		options.upload_host_count = settings->upload_host_count;
		credential = (struct credential){.username = settings->username, .password = settings->password};
		if (settings->username)
			options.credential = &credential;
		if (options.tls.insecure)
			log_warning("%s: its certificate is not verified (tls: insecure)", domain);
	}
	return add_endpoint(run, memory_text(key), endpoint_new_registry(registry_new(run->http, &options)));
}

/* One that is read and one that is written are two, even in the same directory: only the second may change it. */
bool run_layout(struct run *run, const char *directory, enum layout_mode mode, bool bare_tags,
	struct endpoint **endpoint, struct error *err)
{
	auto_free char *key = memory_format("%s:%s", mode == LAYOUT_WRITE ? "write" : "read", directory);
	enum layout_mode opened = run->dry_run ? LAYOUT_READ : mode; /* a dry run makes no directory */
	struct error why;
	*endpoint = find_endpoint(run, key);
	if (*endpoint)
		return true;
	if (!endpoint_open_layout(directory, opened, bare_tags, endpoint, &why)) {
		if (opened == mode || why.kind != ERR_NOT_FOUND) {
			*err = why;
			return false;
		}
		*endpoint = endpoint_new_failing(directory, &why); /* what would be made holds nothing yet */
	}
	add_endpoint(run, memory_text(key), *endpoint);
	return true;
}

/* A layout that cannot be opened fails what needs it, and nothing else. ERR_CANCELED only. */
static bool layout_or_failing(struct run *run, const char *directory, enum layout_mode mode, bool bare_tags,
	struct endpoint **endpoint, struct error *err)
{
	if (run_layout(run, directory, mode, bare_tags, endpoint, err))
		return true;
	if (err->kind == ERR_CANCELED)
		return false;
	auto_free char *key = memory_format("%s:%s", mode == LAYOUT_WRITE ? "write" : "read", directory);
	*endpoint = add_endpoint(run, memory_text(key), endpoint_new_failing(directory, err));
	return true;
}

/* --- life -----------------------------------------------------------------------------------------------------------
 */

bool run_new(const struct run_options *options, struct run **run_out, struct error *err)
{
	const struct config *config = options->config;
	struct http_settings settings = http_settings_default;
	if (config && config->connect_timeout_ms > 0)
		settings.connect_timeout_ms = config->connect_timeout_ms;
	if (config && config->stall_timeout_ms > 0)
		settings.first_byte_timeout_ms = settings.stall_timeout_ms = config->stall_timeout_ms;
	struct credential_store *credentials =
		credential_store_new(config ? config->auth_file : NULL, config ? config->helper_timeout_ms : 0, err);
	if (!credentials)
		return false;
	const char *missing = credential_store_missing(credentials);
	if (missing)
		log_warning(
			"docker-credential-%s, the credsStore of the credentials' file, is not in PATH: what it holds "
			"is not used",
			missing);
	struct http *http =
		options->transport ? http_new_over(options->transport, &settings) : http_new(&settings, err);
	if (!http) {
		credential_store_free(credentials);
		return false;
	}
	if (config && config->shows_password)
		log_warning("%s has a password in it, and others may read it; run: chmod 600 %s", config->path,
			config->path);
	struct run *run = memory_new(1, sizeof *run);
	run->config = config;
	run->store = options->store;
	run->dry_run = options->dry_run;
	run->observer = options->observer;
	run->credentials = credentials;
	run->http = http;
	run->contents = content_cache_new();
	run->blobs = blob_table_new();
	run->report.requests = http_counters(http);
	run->report.dry_run = options->dry_run;
	gate_init(&run->chunks, CHUNKS_PER_RUN);
	gate_init(&run->wide_decoders, WIDE_DECODERS);
	run->manifest_bytes_most =
		config && config->manifest_mib > 0 ? (size_t)config->manifest_mib * MIB : LIMIT_MANIFEST_BYTES;
	list_init(&run->transfers);
	group_init(&run->repositories, REPOSITORIES_AT_ONCE);
	run->images_most = config && config->images_in_flight > 0 ? (size_t)config->images_in_flight : IMAGES_IN_FLIGHT;
	list_init(&run->in_flight);
	waitqueue_init(&run->admitted);
	group_init(&run->images, SIZE_MAX); /* image_admit() bounds them */
	*run_out = run;
	return true;
}

void run_free(struct run *run)
{
	if (!run)
		return;
	for (size_t i = 0; i < run->endpoint_count; i++) {
		endpoint_free(run->endpoints[i].endpoint);
		free(run->endpoints[i].key);
	}
	for (size_t i = 0; i < run->job_count; i++)
		free((void *)(uintptr_t)run->jobs[i].what.targets);
	free(run->endpoints);
	free(run->jobs);
	content_cache_free(run->contents);
	blob_table_free(run->blobs);
	retry_free(run->retry);
	report_release(&run->report);
	http_free(run->http);
	credential_store_free(run->credentials);
	free(run);
}

/* --- jobs -----------------------------------------------------------------------------------------------------------
 */

void run_add(struct run *run, const struct run_job *what)
{
	struct run_target *targets = memory_new(what->target_count, sizeof *targets);
	for (size_t i = 0; i < what->target_count; i++)
		targets[i] = what->targets[i];
	run->verifies_layers |= what->verify_layers || what->check != RUN_COPIES;
	run->report.verifies |= what->check != RUN_COPIES;
	run->jobs = memory_resize(run->jobs, run->job_count + 1, sizeof *run->jobs);
	run->jobs[run->job_count] = (struct job){.run = run, .what = *what, .order = run->job_count};
	run->jobs[run->job_count++].what.targets = targets;
}

static bool selects(const void *filter, const char *tag, bool *taken, struct error *err)
{
	return tag_filter_match(filter, tag, taken, err);
}

static bool open_source(
	struct run *run, const struct config_repository *entry, struct endpoint **source, struct error *err)
{
	if (entry->is_layout)
		return layout_or_failing(run, entry->directory, LAYOUT_READ, false, source, err);
	*source = run_registry(run, entry->domain);
	return true;
}

static bool open_target(struct run *run, const struct config_repository *entry, const struct config_target *from,
	struct run_target *target, struct error *err)
{
	*target = (struct run_target){.repository = from->repository};
	if (!digest_is_empty(&entry->digest))
		target->tag = entry->tag; /* with both, the tag names the destination (REF-8) */
	if (entry->is_layout) {           /* its entries' own names decide */
		target->repository = NULL;
		target->prefix = from->repository;
	}
	if (from->is_layout)
		return layout_or_failing(run, from->directory, LAYOUT_WRITE, from->bare_tags, &target->endpoint, err);
	target->endpoint = run_registry(run, from->domain);
	return true;
}

static bool add_entry(struct run *run, const struct config_repository *entry, struct error *err)
{
	struct run_target targets[TARGETS_MOST];
	struct run_job job = {
		.repository = entry->is_layout ? NULL : entry->repository,
		.is_pattern = entry->is_pattern,
		.reference = digest_is_empty(&entry->digest) ? entry->tag : entry->digest.text,
		.selects = entry->filter ? selects : NULL,
		.filter = entry->filter,
		.targets = targets,
		.target_count = entry->target_count,
		.platforms = entry->platforms,
		.platform_count = entry->platform_count,
		.verify_layers = entry->verify == CONFIG_VERIFY_LAYERS,
		.foreign = entry->foreign,
		.referrers = entry->referrers,
		.on_conflict = entry->on_conflict,
		.keeps_sparse = entry->keeps_sparse,
		.merge = entry->merge,
	};
	if (entry->target_count > TARGETS_MOST)
		return error_set(err, ERR_INVALID, "%s:%d:%d: more than %d targets", run->config->path,
			entry->place.line, entry->place.column, TARGETS_MOST);
	if (!open_source(run, entry, &job.source, err))
		return false;
	for (size_t i = 0; i < entry->target_count; i++)
		if (!open_target(run, entry, &entry->targets[i], &targets[i], err))
			return false;
	run_add(run, &job);
	return true;
}

/* Without it, what a dead run has got between registries is fetched again; that is no reason not to run. */
static void open_staging(struct run *run)
{
	struct error err;
	const char *directory = run->config->staging_directory;
	if (!directory || run->dry_run)
		return;
	if (!run_layout(run, directory, LAYOUT_WRITE, false, &run->staging, &err)) {
		log_warning("staging: %s; large blobs are carried without", err.text);
		run->staging = NULL;
		return;
	}
	run->staging_left_bytes = run->config->staging_limit_bytes - endpoint_left_bytes(run->staging);
}

bool run_add_config(struct run *run, struct error *err)
{
	open_staging(run);
	for (size_t i = 0; i < run->config->repository_count; i++)
		if (!add_entry(run, &run->config->repositories[i], err))
			return false;
	return true;
}

/* --- execution ------------------------------------------------------------------------------------------------------
 */

static int64_t wall_clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run_jobs(struct run *run)
{
	struct error err;
	run->listing = true;
	for (size_t i = 0; i < run->job_count; i++)
		if (!group_spawn(&run->repositories, repository_task, &run->jobs[i], &err)) {
			run->report.has_rest = true;
			break;
		}
	group_wait(&run->repositories);
	run->listing = false;
	group_wait(&run->images);
	timer_stop(&run->grace);
	if (run->retry && !run_is_stopping(run))
		retry_warn_of_rest(run->retry);
}

static void record_end(struct run *run)
{
	const struct report *report = &run->report;
	struct run_totals totals = {report->images.total, report->images.copied, report->images.unchanged,
		report->images.failed, report->bytes.downloaded, report->bytes.uploaded};
	store_run_end(run->store, &totals, report_exit_code(report));
}

/* Told once, at the end: each warning, and what is left of each quota (ERR-11, ERR-15). */
static void gather_notices(struct run *run)
{
	struct report *report = &run->report;
	report->hosts = memory_new(run->endpoint_count, sizeof *report->hosts);
	for (size_t i = 0; i < run->endpoint_count; i++) {
		const struct notices *notices = endpoint_notices(run->endpoints[i].endpoint);
		const char *host = endpoint_name(run->endpoints[i].endpoint);
		if (!notices || (notices->warning_count == 0 && !notices->has_quota))
			continue;
		report->hosts[report->host_count++] = (struct host_notices){host, notices};
		for (size_t k = 0; k < notices->warning_count; k++)
			log_warning("%s says: %s", host, notices->warnings[k]);
		if (notices->has_quota)
			log_debug("%s: %lld of %lld requests left in its quota", host, (long long)notices->quota_left,
				(long long)notices->quota);
	}
}

size_t run_manifest_bytes_most(const struct run *run)
{
	return run->manifest_bytes_most;
}

void run_execute(struct run *run)
{
	struct report *report = &run->report;
	struct error err;
	int64_t start = loop_now_ms();
	report->started_ms = wall_clock_ms();
	/* Not waited for: the first request need not come after the syncs of a disk. */
	if (run_is_recorded(run))
		store_run_begin(run->store);
	run_jobs(run);
	gather_notices(run);
	report->finished_ms = wall_clock_ms();
	report->duration_ms = loop_now_ms() - start;
	/* Before the number is asked for: the beginning and the end of a short run are one commit. */
	if (run_is_recorded(run))
		record_end(run);
	if (!store_run_id(run->store, report->run_id, &err))
		log_warning("%s: this run is not recorded", err.text);
}

static void cut(void *argument)
{
	struct run *run = argument;
	group_cancel(&run->images);
}

void run_stop(struct run *run, int signal, int64_t grace_ms)
{
	run->report.stopped_by = signal;
	group_cancel(&run->repositories);
	if (grace_ms > 0)
		timer_start(&run->grace, grace_ms, cut, run);
	else
		cut(run);
}

const struct report *run_report(const struct run *run)
{
	return &run->report;
}

void run_progress(const struct run *run, struct progress *progress)
{
	*progress = (struct progress){
		.images_done = run->images_done,
		.images_found = run->images_found,
		.downloaded_bytes = run->report.bytes.downloaded,
		.uploaded_bytes = run->report.bytes.uploaded,
		.listing = run->listing,
	};
	list_for_each (node, &run->transfers) {
		const struct transfer *transfer = list_item(node, struct transfer, node);
		progress->transfers_in_all++;
		progress->transfer_bytes_left += transfer->blob.size - transfer->offset;
		if (progress->transfer_count == array_count(progress->transfers))
			continue;
		struct progress_transfer *shown = &progress->transfers[progress->transfer_count++];
		digest_short(&transfer->blob.digest, shown->digest);
		memcpy(shown->image, transfer->image, sizeof shown->image);
		shown->bytes = transfer->offset;
		shown->size = transfer->blob.size;
	}
}
