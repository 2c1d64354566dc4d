/* covers: ERR-4, ERR-10, ERR-11, T-6, T-7 */
/*
 * Hosts that fail often, or refuse for a while, and the whole engine over them: what arrives, and what it costs them.
 */
#include "simulation.h"

enum { SEEDS_OF_A_STORM = 100 };

static struct gallery gallery, other_gallery;

static struct host *mirror_from(struct simulation *simulation, struct faults faults, struct host **target)
{
	struct host *source = place(simulation, "127.0.0.1:5000", 1 + loop_random(8));
	*target = place(simulation, "127.0.0.1:5001", 4);
	gallery_hang(&gallery, source);
	source->faults = faults;
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, source, (const struct host *const *)target, 1);
	finish_run(simulation);
	return source;
}

/* Where nothing else is asked, as at a run's end, five attempts are all: then one in 32 fails. */
static size_t whole_runs;

static void half_of_all_fail(struct simulation *simulation)
{
	struct host *target;
	mirror_from(simulation, (struct faults){.failed = 500}, &target);
	whole_runs += report_exit_code(simulation->report) == EXIT_DONE;
	if (report_exit_code(simulation->report) == EXIT_DONE)
		expect_arrived(simulation, &gallery, target);
	expect_whole_tags(simulation);
}

static void everything_arrives_though_half_of_all_requests_fail(void **state)
{
	(void)state;
	play_seeds(half_of_all_fail, SEEDS_OF_A_STORM);
	if (!getenv("SEED") && !getenv("SEEDS"))
		assert_in_range(whole_runs, SEEDS_OF_A_STORM * 85 / 100, SEEDS_OF_A_STORM);
}

/* Nine images and what they need: without a budget, 99 % of failures would cost thousands of requests. */
static void nearly_all_fail(struct simulation *simulation)
{
	struct host *target;
	struct host *source = mirror_from(simulation, (struct faults){.failed = 990}, &target);
	expect(simulation, source->requests <= 3 + 9 + 100 + 50, "%zu requests", source->requests);
	expect_whole_tags(simulation);
	int code = report_exit_code(simulation->report);
	expect(simulation, code == EXIT_NETWORK || code == EXIT_PARTIAL, "exit code %d", code);
}

static void host_that_is_down_costs_its_budget(void **state)
{
	(void)state;
	play_seeds(nearly_all_fail, SEEDS_OF_A_STORM);
}

/* A limit that never ends: the host is asked until it is closed, whatever the number of images; another is not held up.
 */
static void one_host_refuses(struct simulation *simulation)
{
	struct host *refusing = place(simulation, "127.0.0.1:5000", 8), *well = place(simulation, "127.0.0.1:5002", 8);
	struct host *target = place(simulation, "127.0.0.1:5001", 8);
	gallery_hang(&gallery, refusing);
	gallery_hang(&other_gallery, well);
	refusing->faults = (struct faults){.limited = 1000};
	begin_run(simulation);
	mirror_gallery(simulation, &gallery, refusing, (const struct host *const *)&target, 1);
	mirror_gallery(simulation, &other_gallery, well, (const struct host *const *)&target, 1);
	finish_run(simulation);
	/* One ping, three listings at a time before the first answer, and one behind each pause. */
	expect(simulation, refusing->requests <= 1 + 3 + 4, "%zu requests", refusing->requests);
	expect_arrived(simulation, &other_gallery, target);
	expect_number(simulation, report_exit_code(simulation->report), EXIT_PARTIAL);
	expect_number(simulation, simulation->report->unlisted, GALLERY_REPOSITORIES);
}

static void host_that_refuses_is_closed_and_others_go_on(void **state)
{
	(void)state;
	play_seeds(one_host_refuses, SEEDS_OF_A_STORM);
}

/* Limits now and then: everything arrives. */
static void limited_now_and_then(struct simulation *simulation)
{
	struct host *target;
	mirror_from(simulation, (struct faults){.limited = 100}, &target);
	expect_arrived(simulation, &gallery, target);
	expect_number(simulation, report_exit_code(simulation->report), EXIT_DONE);
}

static void limits_are_waited_for(void **state)
{
	(void)state;
	play_seeds(limited_now_and_then, SEEDS_OF_A_STORM);
}

static int make_galleries(void **state)
{
	(void)state;
	set_the_stage();
	gallery_make_shared();
	gallery_make(&gallery, "app", 1000);
	gallery_make(&other_gallery, "other", 2000);
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
		cmocka_unit_test(everything_arrives_though_half_of_all_requests_fail),
		cmocka_unit_test(host_that_is_down_costs_its_budget),
		cmocka_unit_test(host_that_refuses_is_closed_and_others_go_on),
		cmocka_unit_test(limits_are_waited_for),
	};
	return cmocka_run_group_tests(tests, make_galleries, free_galleries);
}
