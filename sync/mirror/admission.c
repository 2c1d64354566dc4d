/*
 * Which images are at work (DESIGN section 6): so many at a time, and those that wait for a host's pause do not count.
 *
 * Their number is bounded all the same: an image begins only while its hosts are not paused, so at most
 * run->images_most of each host can be caught by a pause.
 */
#include "sync/mirror/image.h"

#include "scheduler/loop.h"

/* When the pauses end that hold up all that is to be done; 0 or less: nothing is held up. */
static int64_t held_up_until_ms(const struct endpoint *source, int64_t first_target_ms)
{
	int64_t source_ms = endpoint_pause_ends_ms(source);
	return source_ms > first_target_ms ? source_ms : first_target_ms;
}

/* @earliest so far (-1: none yet) and one target more. */
static int64_t earlier(int64_t earliest_ms, const struct endpoint *target)
{
	int64_t ends_ms = endpoint_pause_ends_ms(target);
	return earliest_ms < 0 || ends_ms < earliest_ms ? ends_ms : earliest_ms;
}

static bool is_at_work(const struct image *image)
{
	int64_t first_ms = -1;
	for (size_t i = 0; i < image->target_count; i++)
		if (image_target_is_open(&image->targets[i]))
			first_ms = earlier(first_ms, image->targets[i].endpoint);
	return held_up_until_ms(image->job->what.source, first_ms) <= 0;
}

static int64_t job_is_held_up_until_ms(const struct job *job)
{
	int64_t first_ms = -1;
	for (size_t i = 0; i < job->what.target_count; i++)
		first_ms = earlier(first_ms, job->what.targets[i].endpoint);
	return held_up_until_ms(job->what.source, first_ms);
}

static size_t count_at_work(const struct run *run)
{
	size_t count = 0;
	list_for_each (node, &run->in_flight)
		count += is_at_work(list_item(node, struct image, in_flight));
	return count;
}

/* In the order of their asking; one whose own hosts are paused sleeps elsewhere, and leaves its turn to the next. */
bool image_admit(const struct job *job, struct error *err)
{
	struct run *run = job->run;
	for (;;) {
		int64_t until_ms = job_is_held_up_until_ms(job);
		bool ok = true;
		if (until_ms > 0) {
			waitqueue_wake_one(&run->admitted);
			ok = task_sleep(until_ms - loop_now_ms(), err);
		} else if (run->in_flight_count < run->images_most || count_at_work(run) < run->images_most) {
			return true;
		} else {
			ok = waitqueue_wait(&run->admitted, err);
		}
		if (!ok)
			return false;
	}
}

void image_joins(struct image *image)
{
	list_append(&image->run->in_flight, &image->in_flight);
	image->run->in_flight_count++;
}

void image_leaves(struct image *image)
{
	if (list_is_empty(&image->in_flight))
		return;
	list_remove(&image->in_flight);
	image->run->in_flight_count--;
	waitqueue_wake_one(&image->run->admitted);
}
