/* covers: ERR-10, ERR-11, UPL-1, T-5, T-44 */
/*
 * Limits, and the whole engine at them: paused hosts, quotas, stalled bodies, blobs larger than any memory.
 */
#include "simulation.h"

enum { SEEDS = 40 };

static struct gallery gallery, other_gallery;

/* --- a paused host --------------------------------------------------------------------------------------------------
 */

static int64_t last_tag_ms(const struct host *host, const char *prefix)
{
	int64_t last_ms = 0;
	for (size_t r = 0; r < host->repository_count; r++)
		for (size_t t = 0; t < host->repositories[r].tag_count; t++)
			if (str_starts_with(host->repositories[r].name, prefix) &&
				host->repositories[r].tags[t].put_ms > last_ms)
				last_ms = host->repositories[r].tags[t].put_ms;
	return last_ms;
}

/* Three images at a time, and all three caught by a pause of nine minutes: the other host's nine go on. */
static void with_a_paused_source(struct simulation *simulation)
{
	struct host *paused = place(simulation, "127.0.0.1:5000", 8), *well = place(simulation, "127.0.0.1:5002", 8);
	struct host *target = place(simulation, "127.0.0.1:5001", 8);
	int64_t start_ms = loop_now_ms();
	simulation->config.images_in_flight = 3;
	paused->limit_after = 5 + loop_random(4); /* the ping, three lists, and then images */
	paused->limit_ms = 540 * 1000;
	gallery_hang(&gallery, paused);
	gallery_hang(&other_gallery, well);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, paused, (const struct host *const *)&target, 1);
	mirror_gallery(simulation, &other_gallery, well, (const struct host *const *)&target, 1);
	finish_run(simulation);
	expect_arrived(simulation, &gallery, target);
	expect_arrived(simulation, &other_gallery, target);
	int64_t others_ms = last_tag_ms(target, "other/") - start_ms, own_ms = last_tag_ms(target, "app/") - start_ms;
	expect(simulation, others_ms < 60 * 1000 && own_ms > 540 * 1000, "%lld and %lld ms", (long long)others_ms,
		(long long)own_ms);
}

static void paused_host_gives_its_places_back(void **state)
{
	(void)state;
	play_seeds(with_a_paused_source, SEEDS);
}

/* --- a quota --------------------------------------------------------------------------------------------------------
 */

/* Nine images and twelve manifests of them are wanted, and fewer are left. */
static void with_a_quota(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 8), *target = place(simulation, "127.0.0.1:5001", 8);
	source->quota = 100;
	int64_t left = source->quota_left = (int64_t)loop_random(14);
	gallery_hang(&gallery, source);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)&target, 1);
	finish_run(simulation);
	const struct report *report = simulation->report;
	expect_number(simulation, source->over_quota, 0);
	expect_number(simulation, source->requests > 0 && report->images.copied + report->images.failed == 9, true);
	for (size_t i = 0; i < report->failure_count; i++)
		expect(simulation,
			report->failures[i].err.kind == ERR_RATE_LIMITED &&
				strstr(report->failures[i].err.text, "of 100 manifests are left"),
			"%s", report->failures[i].err.text);
	/* What was left goes to what can be finished with it: one may be too few for the children of an index. */
	expect(simulation, report->failure_count == 0 || source->quota_left <= 1, "%lld of %lld left",
		(long long)source->quota_left, (long long)left);
	expect_whole_tags(simulation);
}

static void quota_is_never_overspent(void **state)
{
	(void)state;
	play_seeds(with_a_quota, SEEDS * 2);
}

/* --- HEADs that fail ------------------------------------------------------------------------------------------------
 */

static void with_failing_heads(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 8), *target = place(simulation, "127.0.0.1:5001", 8);
	target->faults.no_head = 1000;
	gallery_hang(&gallery, source);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)&target, 1);
	finish_run(simulation);
	expect_arrived(simulation, &gallery, target);
	expect_number(simulation, simulation->report->failure_count, 0);
	for (size_t c = 0; c < contents_count; c++)
		expect(simulation, source->gets[c] <= 1, "%s: %u", contents[c].digest.text, source->gets[c]);
}

static void blob_goes_up_though_every_head_of_one_fails(void **state)
{
	(void)state;
	play_seeds(with_failing_heads, SEEDS);
}

/* --- bodies that stall ----------------------------------------------------------------------------------------------
 */

static void with_stalls(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 8), *target = place(simulation, "127.0.0.1:5001", 8);
	source->faults.stalled = 60;
	gallery_hang(&gallery, source);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)&target, 1);
	finish_run(simulation);
	for (size_t i = 0; i < simulation->report->failure_count; i++)
		expect(simulation, false, "%s", simulation->report->failures[i].err.text);
	expect_arrived(simulation, &gallery, target);
}

static void stalled_body_is_cut_and_resumed(void **state)
{
	(void)state;
	play_seeds(with_stalls, SEEDS);
}

/* --- more than memory -----------------------------------------------------------------------------------------------
 */

enum { PERIOD = 65521, TIMES = 8192 }; /* half a gigabyte */
static struct layer endless;
static const struct content *endless_image;

static void with_an_endless_layer(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 8);
	struct host *targets[] = {place(simulation, "127.0.0.1:5001", 8), place(simulation, "127.0.0.1:5002", 8)};
	struct repository *repository = repository_at(source, "app/endless");
	source->piece_ms = targets[0]->piece_ms = targets[1]->piece_ms = 0;
	source->faults.cut = 300;
	repository_fill(repository, endless_image);
	tag_set(repository, "1", endless_image);
	begin_run(simulation);
	struct run_target run_targets[2];
	for (size_t i = 0; i < 2; i++)
		run_targets[i] = (struct run_target){
			.endpoint = run_registry(simulation->run, targets[i]->name), .repository = "app/endless"};
	struct run_job job = {.source = run_registry(simulation->run, source->name),
		.repository = "app/endless",
		.reference = "1",
		.targets = run_targets,
		.target_count = 2,
		.verify_layers = true};
	run_add(simulation->run, &job);
	size_t before = simulation->world->memory_most = heap_bytes();
	finish_run(simulation);
	expect(simulation, simulation->world->memory_most - before < (size_t)4 << 20, "%zu bytes more",
		simulation->world->memory_most - before);
	for (size_t i = 0; i < 2; i++)
		expect(simulation, tag_find(repository_find(targets[i], "app/endless"), "1") == endless_image, "%s",
			targets[i]->name);
	expect_whole_tags(simulation);
}

static void blob_larger_than_memory_streams_in_two_chunks(void **state)
{
	(void)state;
	play_seeds(with_an_endless_layer, 1);
}

static int make_galleries(void **state)
{
	(void)state;
	const struct layer *const layers[] = {&endless};
	set_the_stage();
	gallery_make_shared();
	gallery_make(&gallery, "app", 1000);
	gallery_make(&other_gallery, "other", 2000);
	endless = layer_endless(7, PERIOD, TIMES);
	endless_image = image_new("endless", layers, 1, false);
	return 0;
}

static int free_galleries(void **state)
{
	(void)state;
	contents_free();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paused_host_gives_its_places_back),
		cmocka_unit_test(quota_is_never_overspent),
		cmocka_unit_test(blob_goes_up_though_every_head_of_one_fails),
		cmocka_unit_test(stalled_body_is_cut_and_resumed),
		cmocka_unit_test(blob_larger_than_memory_streams_in_two_chunks),
	};
	return cmocka_run_group_tests(tests, make_galleries, free_galleries);
}
