/* covers: T-45, T-53, UPL-2, UPL-21, PSH-1, BLB-4, LYR-8 */
/*
 * The whole engine, protocol included, over registries in memory and in virtual time: what it promises, for many seeds.
 * SEED=n plays one seed of each story, SEEDS=n so many.
 */
#include "simulation.h"

enum { MANY = 420, FEW = 45 };

static struct gallery gallery, other_gallery, lying_gallery;
static const struct content *old_image;

/* --- without faults ----------------------------------------------------------------------------------------------- */

/* Each blob of the gallery was read once at @source, @targets hosts got it once, and the rest was mounted. */
static void expect_economy(struct simulation *simulation, const struct host *source, size_t targets)
{
	const struct report *report = simulation->report;
	size_t blobs, places, puts = 0, mounts = 0;
	int64_t bytes = 0, received = 0;
	count_blobs(&gallery, &blobs, &places);
	for (size_t c = 0; c < contents_count; c++)
		expect(simulation, source->gets[c] <= 1, "%s: %u", contents[c].digest.text, source->gets[c]);
	for (size_t h = 0; h < simulation->world->host_count; h++) {
		const struct host *host = &simulation->world->hosts[h];
		puts += host->blob_puts;
		mounts += host->mounts;
		received += host->received_bytes;
		for (size_t c = 0; c < contents_count; c++)
			bytes += contents[c].media_type ? 0 : (int64_t)contents[c].length * host->gets[c];
	}
	expect_number(simulation, source->blob_gets, blobs);
	expect_number(simulation, report->images.total, GALLERY_REPOSITORIES * GALLERY_TAGS);
	expect_number(simulation, report->images.copied, report->images.total);
	expect_number(simulation, report->failure_count, 0);
	expect_number(simulation, report->blobs.unique, blobs);
	expect_number(simulation, report->blobs.downloaded, blobs);
	expect_number(simulation, report->blobs.reread, 0);
	expect_number(simulation, report->blobs.unproven, 0);
	expect_number(simulation, report->blobs.uploaded, puts);
	expect_number(simulation, report->blobs.mounted, mounts);
	expect_number(simulation, puts + mounts, places * targets);
	expect_number(simulation, report->blobs.present, 0);
	expect_number(simulation, report->bytes.downloaded, bytes);
	expect_number(simulation, report->bytes.uploaded, received);
	expect_number(simulation, report_exit_code(report), EXIT_DONE);
}

static void mirror_to(struct simulation *simulation, struct host *source, struct host *const *targets, size_t count)
{
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)targets, count);
	finish_run(simulation);
	for (size_t i = 0; i < count; i++)
		expect_arrived(simulation, &gallery, targets[i]);
}

static void a_second_run_asks_only_for_heads(
	struct simulation *simulation, struct host *source, struct host *const *targets, size_t count)
{
	forget_requests(simulation);
	mirror_to(simulation, source, targets, count);
	expect_number(simulation, simulation->report->images.unchanged, GALLERY_REPOSITORIES * GALLERY_TAGS);
	for (size_t h = 0; h < simulation->world->host_count; h++) {
		const struct host *host = &simulation->world->hosts[h];
		expect_number(simulation,
			host->manifest_gets + host->blob_gets + host->blob_puts + host->posts + host->manifest_puts, 0);
	}
}

static void to_some_targets(struct simulation *simulation, size_t count)
{
	static const char *const names[] = {"127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003", "127.0.0.1:5004"};
	struct host *source = place(simulation, "127.0.0.1:5000", 1 + loop_random(8)), *targets[HOSTS_MAX];
	size_t blobs, places;
	for (size_t i = 0; i < count; i++)
		targets[i] = place(simulation, names[i], 1 + loop_random(8));
	gallery_hang(&gallery, source);
	mirror_to(simulation, source, targets, count);
	expect_economy(simulation, source, count);
	count_blobs(&gallery, &blobs, &places);
	expect_number(simulation, simulation->report->blobs.uploaded, blobs * count);
	for (size_t i = 0; i < count; i++) /* one download served them all: nothing was read back */
		expect_number(simulation, targets[i]->blob_gets, 0);
	a_second_run_asks_only_for_heads(simulation, source, targets, count);
}

static void to_one(struct simulation *simulation)
{
	to_some_targets(simulation, 1);
}

static void to_two(struct simulation *simulation)
{
	to_some_targets(simulation, 2);
}

static void to_four(struct simulation *simulation)
{
	to_some_targets(simulation, 4);
}

static void each_blob_is_read_once_for_all_targets(void **state)
{
	(void)state;
	play_seeds(to_one, FEW);
	play_seeds(to_two, FEW);
	play_seeds(to_four, FEW);
}

static void without_mounts(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 2);
	struct host *target = place(simulation, "127.0.0.1:5001", 2);
	target->faults.no_mount = 300 + (unsigned)loop_random(700);
	gallery_hang(&gallery, source);
	mirror_to(simulation, source, &target, 1);
	expect_economy(simulation, source, 1);
}

static void what_cannot_be_mounted_is_read_from_the_target(void **state)
{
	(void)state;
	play_seeds(without_mounts, FEW);
}

static void two_ways(struct simulation *simulation)
{
	struct host *a = place(simulation, "127.0.0.1:5000", 1), *b = place(simulation, "127.0.0.1:5001", 1);
	gallery_hang(&gallery, a);
	gallery_hang(&other_gallery, b);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, a, (const struct host *[]){b}, 1);
	mirror_gallery(simulation, &other_gallery, b, (const struct host *[]){a}, 1);
	finish_run(simulation);
	expect_arrived(simulation, &gallery, b);
	expect_arrived(simulation, &other_gallery, a);
	expect_number(simulation, simulation->report->failure_count, 0);
	for (size_t c = 0; c < contents_count; c++)
		expect(simulation, a->gets[c] <= 1 && b->gets[c] <= 1, "%s: %u and %u", contents[c].digest.text,
			a->gets[c], b->gets[c]);
}

static void two_ways_at_once_with_one_place_each_ends(void **state)
{
	(void)state;
	play_seeds(two_ways, FEW);
}

/* When the last of its tags was put. */
static int64_t done_ms(const struct host *host)
{
	int64_t last_ms = 0;
	for (size_t r = 0; r < host->repository_count; r++)
		for (size_t t = 0; t < host->repositories[r].tag_count; t++)
			if (host->repositories[r].tags[t].put_ms > last_ms)
				last_ms = host->repositories[r].tags[t].put_ms;
	return last_ms;
}

static void with_a_slow_target(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 8);
	struct host *targets[] = {place(simulation, "127.0.0.1:5001", 8), place(simulation, "127.0.0.1:5002", 8)};
	int64_t start_ms = loop_now_ms();
	targets[1]->piece_ms = 4000; /* more than 1 KiB/s, and less than anybody waits for (T-5) */
	gallery_hang(&gallery, source);
	mirror_to(simulation, source, targets, 2);
	int64_t fast_ms = done_ms(targets[0]) - start_ms, slow_ms = done_ms(targets[1]) - start_ms;
	expect(simulation, fast_ms < 90 * 1000 && slow_ms > 120 * 1000, "%ld ms, the slow one %ld ms", (long)fast_ms,
		(long)slow_ms);
	expect_number(simulation, targets[0]->blob_gets > 0, true);
	for (size_t c = 0; c < contents_count; c++)
		expect(simulation, source->gets[c] <= 1, "%s: %u", contents[c].digest.text, source->gets[c]);
}

/* It takes connections, and answers after an hour: no other waits for its timeouts. */
static void with_a_silent_target(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 8);
	struct host *targets[] = {place(simulation, "127.0.0.1:5001", 8), place(simulation, "127.0.0.1:5002", 8)};
	int64_t start_ms = loop_now_ms();
	targets[1]->reply_ms = 3600 * 1000;
	gallery_hang(&gallery, source);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)targets, array_count(targets));
	finish_run(simulation);
	expect_arrived(simulation, &gallery, targets[0]);
	expect(simulation, done_ms(targets[0]) - start_ms < 60 * 1000, "%ld ms",
		(long)(done_ms(targets[0]) - start_ms));
	expect_number(simulation, simulation->report->images.failed, GALLERY_REPOSITORIES * GALLERY_TAGS);
}

static void a_silent_target_holds_nobody_up(void **state)
{
	(void)state;
	play_seeds(with_a_silent_target, FEW);
}

static void a_slow_target_holds_nobody_up_and_is_served_from_a_fast_one(void **state)
{
	(void)state;
	play_seeds(with_a_slow_target, FEW);
}

/* --- with faults -------------------------------------------------------------------------------------------------- */

/* Over all seeds: the tries that are made again do away with nearly all faults. */
static int64_t images_tried, images_failed;

static struct faults some_faults(unsigned share)
{
	return (struct faults){.refused = (unsigned)loop_random(share),
		.cut = (unsigned)loop_random(share),
		.failed = (unsigned)loop_random(share),
		.limited = (unsigned)loop_random(share / 2),
		.lost = (unsigned)loop_random(share),
		.no_mount = (unsigned)loop_random(500),
		.no_range = (unsigned)loop_random(500)};
}

static bool was_listed(const struct simulation *simulation, const char *repository)
{
	for (size_t i = 0; i < simulation->report->failure_count; i++)
		if (str_is(simulation->report->failures[i].source, repository))
			return false;
	return true;
}

/*
 * Each image of the gallery is at @target, or its failure is told and its tag is what it was: absent, or @old. Only a
 * tag whose PUT was not answered may be the new one all the same.
 */
static void expect_whole_or_told(
	struct simulation *simulation, const struct gallery *hung, const struct host *source, struct host *target)
{
	for (int r = 0; r < GALLERY_REPOSITORIES; r++)
		for (int t = 0; t < GALLERY_TAGS; t++) {
			auto_free char *name = memory_format("%s/app%d", hung->name, r);
			auto_free char *listed = memory_format("%s/%s", source->name, name);
			auto_free char *image = memory_format("%s:%s", listed, gallery_tags[t]);
			const struct failure *failure = failure_of(simulation, image, target);
			const struct content *tag = tag_find(repository_find(target, name), gallery_tags[t]);
			if (tag == hung->images[r][t])
				expect(simulation, !failure || str_is(failure->stage, "publish"), "%s: told as failed",
					image);
			else
				expect(simulation,
					(failure || !was_listed(simulation, listed)) && (!tag || tag == old_image),
					"%s at %s: %s", image, target->name,
					failure ? "its tag has moved" : "missing, and not told");
		}
	expect_whole_tags(simulation);
}

static void hang_old_images(struct host *host)
{
	for (int r = 0; r < GALLERY_REPOSITORIES; r += 2) {
		auto_free char *name = memory_format("%s/app%d", gallery.name, r);
		struct repository *repository = repository_at(host, name);
		repository_fill(repository, old_image);
		tag_set(repository, gallery_tags[r], old_image);
	}
}

static void expect_counts_agree(struct simulation *simulation)
{
	const struct report *report = simulation->report;
	expect_number(simulation, report->images.copied + report->images.unchanged + report->images.failed,
		report->images.total);
	images_tried += GALLERY_REPOSITORIES * GALLERY_TAGS;
	images_failed += GALLERY_REPOSITORIES * GALLERY_TAGS - report->images.copied;
	/* What may pass, or a source that ignores Ranges and breaks too often to be read from the start each time. */
	for (size_t i = 0; i < report->failure_count; i++)
		expect(simulation,
			retry_is_transient(&report->failures[i].err) ||
				strstr(report->failures[i].err.text, "begins anew"),
			"%s", report->failures[i].err.text);
}

static void heal(struct simulation *simulation, struct host *source, struct host *const *targets, size_t count)
{
	for (size_t h = 0; h < simulation->world->host_count; h++)
		simulation->world->hosts[h].faults = (struct faults){0};
	mirror_to(simulation, source, targets, count);
}

static void with_faults(struct simulation *simulation, unsigned share)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 1 + loop_random(8));
	struct host *targets[] = {place(simulation, "127.0.0.1:5001", 1 + loop_random(8)),
		place(simulation, "127.0.0.1:5002", 1 + loop_random(8))};
	gallery_hang(&gallery, source);
	source->faults = some_faults(share);
	for (size_t i = 0; i < array_count(targets); i++) {
		hang_old_images(targets[i]);
		targets[i]->faults = some_faults(share);
	}
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)targets, array_count(targets));
	finish_run(simulation);
	expect_counts_agree(simulation);
	for (size_t i = 0; i < array_count(targets); i++)
		expect_whole_or_told(simulation, &gallery, source, targets[i]);
	heal(simulation, source, targets, array_count(targets));
}

static void with_some_faults(struct simulation *simulation)
{
	with_faults(simulation, 60);
}

static void with_many_faults(struct simulation *simulation)
{
	with_faults(simulation, 250);
}

static void an_image_arrives_whole_or_is_told(void **state)
{
	(void)state;
	play_seeds(with_some_faults, MANY);
	assert_true(images_failed * 50 <= images_tried);
	play_seeds(with_many_faults, FEW);
}

static void with_lost_replies(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 4), *target = place(simulation, "127.0.0.1:5001", 4);
	target->faults.lost = 20 + (unsigned)loop_random(50);
	gallery_hang(&gallery, source);
	mirror_to(simulation, source, &target, 1);
	expect_number(simulation, target->needless_puts, 0);
	expect_number(simulation, simulation->report->failure_count, 0);
}

static void a_blob_whose_reply_is_lost_is_not_sent_again(void **state)
{
	(void)state;
	play_seeds(with_lost_replies, FEW);
}

static void with_a_dead_target(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 2);
	struct host *targets[] = {place(simulation, "127.0.0.1:5001", 2), place(simulation, "127.0.0.1:5002", 2),
		place(simulation, "127.0.0.1:5003", 2)};
	targets[1]->faults.refused = 1000;
	gallery_hang(&gallery, source);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)targets, array_count(targets));
	finish_run(simulation);
	expect_arrived(simulation, &gallery, targets[0]);
	expect_arrived(simulation, &gallery, targets[2]);
	expect_whole_or_told(simulation, &gallery, source, targets[1]);
	expect_number(simulation, simulation->report->images.failed, GALLERY_REPOSITORIES * GALLERY_TAGS);
	for (size_t c = 0; c < contents_count; c++)
		expect(simulation, source->gets[c] <= 1, "%s: %u", contents[c].digest.text, source->gets[c]);
}

static void a_dead_target_holds_nobody_up(void **state)
{
	(void)state;
	play_seeds(with_a_dead_target, FEW);
	play(with_a_dead_target, 583); /* a want was settled while another task's transfer used it */
}

/* --- bad content -------------------------------------------------------------------------------------------------- */

/* The images that reach @bad fail as corrupt, in @stage; all others arrive. */
static void expect_only_these_fail(struct simulation *simulation, const struct gallery *hung, const struct host *source,
	struct host *target, const struct content *bad, const char *stage)
{
	long failed = 0;
	for (int r = 0; r < GALLERY_REPOSITORIES; r++)
		for (int t = 0; t < GALLERY_TAGS; t++) {
			auto_free char *name = memory_format("%s/app%d", hung->name, r);
			auto_free char *image = memory_format("%s/%s:%s", source->name, name, gallery_tags[t]);
			const struct failure *failure = failure_of(simulation, image, target);
			const struct content *tag = tag_find(repository_find(target, name), gallery_tags[t]);
			bool uses = content_reaches(hung->images[r][t], bad);
			failed += uses;
			expect(simulation, (failure != NULL) == uses && (tag == NULL) == uses, "%s: %s", image,
				failure ? failure->err.text : "no failure");
			if (uses && failure)
				expect(simulation,
					failure->err.kind == ERR_CORRUPT && str_is(failure->stage, stage) &&
						failure->side == SIDE_SOURCE,
					"%s: %s", failure->stage, failure->err.text);
		}
	expect_number(simulation, simulation->report->images.failed, failed);
	expect_whole_tags(simulation);
}

static void one_bad_gallery(struct simulation *simulation, const struct gallery *hung, const struct content *flipped,
	const struct content *bad, const char *stage)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 4), *target = place(simulation, "127.0.0.1:5001", 4);
	source->faults.flipped = flipped;
	gallery_hang(hung, source);
	begin_run(simulation);
	mirror_gallery(simulation, hung, source, (const struct host *[]){target}, 1);
	finish_run(simulation);
	expect_only_these_fail(simulation, hung, source, target, bad, stage);
}

static void with_a_flipped_layer(struct simulation *simulation)
{
	const struct content *image = gallery.images[simulation->seed % 3][simulation->seed / 3 % 2];
	const struct content *layer = image->parts[1 + loop_random(3)];
	one_bad_gallery(simulation, &gallery, layer, layer, "blob");
}

static void with_a_flipped_config(struct simulation *simulation)
{
	const struct content *config = gallery.images[simulation->seed % 3][simulation->seed / 3 % 2]->parts[0];
	one_bad_gallery(simulation, &gallery, config, config, "blob");
}

static void a_corrupt_blob_fails_only_the_images_that_use_it(void **state)
{
	(void)state;
	play_seeds(with_a_flipped_layer, FEW);
	play_seeds(with_a_flipped_config, FEW);
}

static void with_a_lie(struct simulation *simulation)
{
	one_bad_gallery(simulation, &lying_gallery, NULL, lying_gallery.images[2][1], "verify");
}

static void a_lying_diff_id_fails_only_its_own_image(void **state)
{
	(void)state;
	play_seeds(with_a_lie, FEW);
}

/* --- stopping ----------------------------------------------------------------------------------------------------- */

struct stop {
	struct run *run;
	int64_t grace_ms;
};

static void on_stop(void *argument)
{
	const struct stop *stop = argument;
	run_stop(stop->run, SIGTERM, stop->grace_ms);
}

static void stopped(struct simulation *simulation)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 1 + loop_random(8));
	struct host *targets[] = {place(simulation, "127.0.0.1:5001", 1 + loop_random(8)),
		place(simulation, "127.0.0.1:5002", 1 + loop_random(8))};
	struct timer timer = {0};
	gallery_hang(&gallery, source);
	if (loop_random(2) == 0)
		source->faults = targets[0]->faults = some_faults(60);
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)targets, array_count(targets));
	struct stop stop = {simulation->run, loop_random(2) == 0 ? 0 : (int64_t)loop_random(1000)};
	timer_start(&timer, (int64_t)loop_random(1 + loop_random(4000)), on_stop, &stop);
	int64_t due_ms = timer.due_ms;
	finish_run(simulation);
	timer_stop(&timer);
	if (simulation->report->stopped_by)
		expect(simulation, loop_now_ms() - due_ms < stop.grace_ms + 100, "it went on for %ld ms, not %ld",
			(long)(loop_now_ms() - due_ms), (long)stop.grace_ms);
	expect_whole_tags(simulation);
	heal(simulation, source, targets, array_count(targets));
}

static void a_stop_leaves_no_tag_without_its_content(void **state)
{
	(void)state;
	play_seeds(stopped, MANY);
}

/* --- the program -------------------------------------------------------------------------------------------------- */

static void make_lying_gallery(void)
{
	struct layer own = layer_gzip(5000, 7000);
	const struct layer *const layers[] = {&shared_layers[1], &own};
	gallery_make(&lying_gallery, "lying", 4000);
	lying_gallery.images[2][1] = image_new("a liar", layers, array_count(layers), true);
	lying_gallery.images[1][1] = image_new("honest", layers, array_count(layers), false);
}

static int make_galleries(void **state)
{
	(void)state;
	struct layer old_layer = layer_plain(77, 5000);
	const struct layer *const layers[] = {&old_layer};
	set_the_stage();
	gallery_make_shared();
	gallery_make(&gallery, "app", 1000);
	gallery_make(&other_gallery, "other", 2000);
	make_lying_gallery();
	old_image = image_new("old", layers, array_count(layers), false);
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
		cmocka_unit_test(each_blob_is_read_once_for_all_targets),
		cmocka_unit_test(what_cannot_be_mounted_is_read_from_the_target),
		cmocka_unit_test(two_ways_at_once_with_one_place_each_ends),
		cmocka_unit_test(a_slow_target_holds_nobody_up_and_is_served_from_a_fast_one),
		cmocka_unit_test(a_silent_target_holds_nobody_up),
		cmocka_unit_test(an_image_arrives_whole_or_is_told),
		cmocka_unit_test(a_blob_whose_reply_is_lost_is_not_sent_again),
		cmocka_unit_test(a_dead_target_holds_nobody_up),
		cmocka_unit_test(a_corrupt_blob_fails_only_the_images_that_use_it),
		cmocka_unit_test(a_lying_diff_id_fails_only_its_own_image),
		cmocka_unit_test(a_stop_leaves_no_tag_without_its_content),
	};
	return cmocka_run_group_tests(tests, make_galleries, free_galleries);
}
