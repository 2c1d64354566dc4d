/*
 * One simulation: a world, a seed, and runs of the engine in it. A story is played as the main task of a virtual loop.
 *
 * Every story's hosts hold images of one gallery: 3 repositories of 3 tags that share layers, "latest" being an index.
 */
#ifndef DRAY_TESTS_UNIT_MIRROR_SIMULATION_H
#define DRAY_TESTS_UNIT_MIRROR_SIMULATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "model.h"
#include "scheduler/retry.h"
#include "sync/mirror/run.h"

#include <signal.h>

enum { GALLERY_REPOSITORIES = 3, GALLERY_TAGS = 3, JOBS_MAX = 8 };

static const char *const gallery_tags[GALLERY_TAGS] = {"1.0", "1.1", "latest"};

struct gallery {
	const char *name;
	const struct content *images[GALLERY_REPOSITORIES][GALLERY_TAGS];
};

struct simulation {
	uint64_t seed;
	void (*story)(struct simulation *simulation);
	struct world *world;
	struct config config;
	struct config_registry registries[HOSTS_MAX];
	struct store *store;
	struct run *run;
	const struct report *report; /* of the last run */
	char names[JOBS_MAX][64];
	size_t name_count;
};

/* In a story: note what is wrong and go on. */
#define expect(simulation, condition, ...)                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			char expect_text[300];                                                                         \
			snprintf(expect_text, sizeof expect_text, __VA_ARGS__);                                        \
			world_note((simulation)->world, "%s: %s", #condition, expect_text);                            \
		}                                                                                                      \
	} while (0)

#define expect_number(simulation, value, wanted)                                                                       \
	expect(simulation, (long)(value) == (long)(wanted), "%ld, and not %ld", (long)(value), (long)(wanted))

/* --- the gallery -------------------------------------------------------------------------------------------------- */

/* Layers that every image shares: one of several chunks, and one that is inflated. */
static struct layer shared_layers[2];

static inline void gallery_make_shared(void)
{
	shared_layers[0] = layer_plain(1, 1100 * 1000);
	shared_layers[1] = layer_gzip(2, 280 * 1000);
}

static inline void gallery_make(struct gallery *gallery, const char *name, unsigned seed)
{
	gallery->name = name;
	for (unsigned r = 0; r < GALLERY_REPOSITORIES; r++) {
		struct layer common = layer_gzip(seed + r * 16, 20000);
		for (unsigned t = 0; t + 1 < GALLERY_TAGS; t++) {
			struct layer own = layer_gzip(seed + r * 16 + t + 1, 3000 * (t + 1));
			const struct layer *const layers[] = {&shared_layers[t % 2], &common, &own};
			auto_free char *label = memory_format("%s %u %u", name, r, t);
			gallery->images[r][t] = image_new(label, layers, array_count(layers), false);
		}
		gallery->images[r][GALLERY_TAGS - 1] = index_new(gallery->images[r], 2);
	}
}

static inline void gallery_hang(const struct gallery *gallery, struct host *host)
{
	for (int r = 0; r < GALLERY_REPOSITORIES; r++) {
		auto_free char *name = memory_format("%s/app%d", gallery->name, r);
		struct repository *repository = repository_at(host, name);
		for (int t = 0; t < GALLERY_TAGS; t++) {
			repository_fill(repository, gallery->images[r][t]);
			tag_set(repository, gallery_tags[t], gallery->images[r][t]);
		}
	}
}

/* --- runs --------------------------------------------------------------------------------------------------------- */

static inline struct host *place(struct simulation *simulation, const char *name, size_t blob_slots)
{
	simulation->registries[simulation->config.registry_count++] = (struct config_registry){
		.domain = (char *)(uintptr_t)name, .tls = CONFIG_TLS_OFF, .blob_slots = (int64_t)blob_slots};
	return host_add(simulation->world, name, blob_slots);
}

static inline void begin_run(struct simulation *simulation)
{
	struct run_options options = {
		.config = &simulation->config, .store = simulation->store, .transport = model_new(simulation->world)};
	struct error err;
	run_free(simulation->run);
	simulation->run = NULL;
	simulation->name_count = 0;
	if (!run_new(&options, &simulation->run, &err))
		fail_msg("%s", err.text);
}

/* Every repository of the gallery, from @source to each of @targets. */
static inline void mirror_gallery(struct simulation *simulation, const struct gallery *gallery,
	const struct host *source, const struct host *const *targets, size_t target_count)
{
	struct run *run = simulation->run;
	for (int r = 0; r < GALLERY_REPOSITORIES; r++) {
		struct run_target run_targets[HOSTS_MAX];
		char *name = simulation->names[simulation->name_count++];
		snprintf(name, sizeof simulation->names[0], "%s/app%d", gallery->name, r);
		for (size_t i = 0; i < target_count; i++)
			run_targets[i] = (struct run_target){
				.endpoint = run_registry(run, targets[i]->name), .repository = name};
		struct run_job job = {.source = run_registry(run, source->name),
			.repository = name,
			.targets = run_targets,
			.target_count = target_count,
			.verify_layers = true};
		run_add(run, &job);
	}
}

static inline void finish_run(struct simulation *simulation)
{
	run_execute(simulation->run);
	simulation->report = run_report(simulation->run);
	expect(simulation, simulation->report->duration_ms < 3600 * 1000, "%lld ms",
		(long long)simulation->report->duration_ms);
	for (size_t i = 0; i < simulation->world->host_count; i++) {
		const struct host *host = &simulation->world->hosts[i];
		expect(simulation, host->sending + host->receiving + host->asking == 0, "%s", host->name);
	}
}

static inline void forget_requests(struct simulation *simulation)
{
	for (size_t i = 0; i < simulation->world->host_count; i++) {
		struct host *host = &simulation->world->hosts[i];
		memset(host->gets, 0, sizeof host->gets);
		host->requests = host->manifest_gets = host->blob_gets = host->blob_puts = 0;
		host->manifest_puts = host->posts = host->mounts = 0;
		host->received_bytes = 0;
	}
}

/* --- what is true afterwards -------------------------------------------------------------------------------------- */

/* Does each tag of the gallery at @target point to what it should, whole? */
static inline void expect_arrived(struct simulation *simulation, const struct gallery *gallery, struct host *target)
{
	for (int r = 0; r < GALLERY_REPOSITORIES; r++) {
		auto_free char *name = memory_format("%s/app%d", gallery->name, r);
		const struct repository *repository = repository_find(target, name);
		for (int t = 0; t < GALLERY_TAGS; t++) {
			const struct content *image = gallery->images[r][t];
			bool there = repository && tag_find(repository, gallery_tags[t]) == image &&
				     repository_is_whole(repository, image);
			expect(simulation, there, "%s/%s:%s", target->name, name, gallery_tags[t]);
		}
	}
}

static inline void expect_whole_tags(struct simulation *simulation)
{
	for (size_t h = 0; h < simulation->world->host_count; h++) {
		const struct host *host = &simulation->world->hosts[h];
		for (size_t r = 0; r < host->repository_count; r++) {
			const struct repository *repository = &host->repositories[r];
			for (size_t t = 0; t < repository->tag_count; t++)
				expect(simulation, repository_is_whole(repository, repository->tags[t].root),
					"%s/%s:%s", host->name, repository->name, repository->tags[t].name);
		}
	}
}

/* The failure of "host/repository:tag" at @target, or NULL. */
static inline const struct failure *failure_of(
	const struct simulation *simulation, const char *source, const struct host *target)
{
	const struct report *report = simulation->report;
	for (size_t i = 0; i < report->failure_count; i++)
		if (str_is(report->failures[i].source, source) &&
			(!report->failures[i].target || str_starts_with(report->failures[i].target, target->name)))
			return &report->failures[i];
	return NULL;
}

/* Of the gallery: how many blobs there are, and how many (repository, blob) pairs. */
static inline void count_blobs(const struct gallery *gallery, size_t *blobs, size_t *places)
{
	*blobs = *places = 0;
	for (size_t c = 0; c < contents_count; c++) {
		size_t repositories = 0;
		for (int r = 0; r < GALLERY_REPOSITORIES && !contents[c].media_type; r++) {
			bool reached = false;
			for (int t = 0; t < GALLERY_TAGS; t++)
				reached |= content_reaches(gallery->images[r][t], &contents[c]);
			repositories += reached;
		}
		*blobs += repositories > 0;
		*places += repositories;
	}
}

/* --- playing ------------------------------------------------------------------------------------------------------ */

/* Six hours later: every task waits for what never comes, or something goes round for ever. Nothing can be freed. */
static inline void on_too_long(void *argument)
{
	const struct simulation *simulation = argument;
	fprintf(stderr, "seed %llu: it does not end\n", (unsigned long long)simulation->seed);
	abort();
}

static inline void simulation_main(void *argument)
{
	struct simulation *simulation = argument;
	struct timer too_long = {0};
	struct error err;
	timer_start(&too_long, 6 * 3600 * 1000, on_too_long, simulation);
	simulation->store = store_new_empty();
	simulation->story(simulation);
	run_free(simulation->run);
	if (!store_close(simulation->store, &err))
		world_note(simulation->world, "%s", err.text);
	timer_stop(&too_long);
}

static inline void play(void (*story)(struct simulation *simulation), uint64_t seed)
{
	struct simulation simulation = {.seed = seed, .story = story};
	auto_free struct world *world = memory_new(1, sizeof *world);
	simulation.world = world;
	simulation.config.registries = simulation.registries;
	struct loop *loop = loop_new_virtual(seed);
	loop_run(loop, simulation_main, &simulation);
	loop_free(loop);
	if (world->wrong[0])
		fail_msg("seed %llu: %s", (unsigned long long)seed, world->wrong);
}

/* SEED=n plays that one alone, with the log; SEEDS=n plays so many of each story. */
static inline void play_seeds(void (*story)(struct simulation *simulation), uint64_t count)
{
	const char *only = getenv("SEED"), *more = getenv("SEEDS");
	uint64_t first = only ? strtoull(only, NULL, 10) : 1;
	uint64_t last = only ? first : more ? strtoull(more, NULL, 10) : count;
	for (uint64_t seed = first; seed <= last; seed++)
		play(story, seed);
}

static inline void drop_line(const char *line, void *context)
{
	(void)line;
	(void)context;
}

/* No credential file, and no log but for one seed. */
static inline void set_the_stage(void)
{
	setenv("HOME", "/nonexistent", 1);
	unsetenv("DOCKER_CONFIG");
	unsetenv("REGISTRY_AUTH_FILE");
	unsetenv("XDG_RUNTIME_DIR");
	if (getenv("SEED"))
		log_set_level(LOG_DEBUG);
	else
		log_set_sink(drop_line, NULL);
}

#endif
