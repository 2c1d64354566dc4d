#include "in_loop.h"

#include "scheduler/channel.h"

#include <string.h>

enum { CHUNKS = 500, SLOTS = 4 };

struct pipe_test {
	struct channel channel;
	struct channel_reader readers[3];
	size_t seen[3];
	bool in_order[3];
	struct error err[3];
};

struct consumer {
	struct pipe_test *test;
	size_t number;
	int64_t pause_ms;
};

static void produce(void *argument)
{
	struct pipe_test *test = argument;
	struct error err;
	for (uint32_t i = 0; i < CHUNKS; i++) {
		unsigned char *data;
		assert_true(channel_reserve(&test->channel, &data, &err));
		memcpy(data, &i, sizeof i);
		channel_publish(&test->channel, sizeof i);
	}
	channel_close(&test->channel, NULL);
}

static void consume(void *argument)
{
	struct consumer *me = argument;
	struct pipe_test *test = me->test;
	struct channel_reader *reader = &test->readers[me->number];
	test->in_order[me->number] = true;
	for (;;) {
		const unsigned char *data;
		size_t length;
		if (!channel_read(reader, &data, &length, &test->err[me->number]) || length == 0)
			break;
		uint32_t number;
		memcpy(&number, data, sizeof number);
		if (me->pause_ms > 0 && number % 50 == 0 && !task_sleep(me->pause_ms, NULL))
			break;
		memcpy(&number, data, sizeof number); /* still ours after a wait */
		test->in_order[me->number] &= number == test->seen[me->number]++;
		channel_advance(reader);
	}
	channel_leave(reader);
}

static void three_readers(void *argument)
{
	struct pipe_test test = {.seen = {0}};
	struct consumer consumers[] = {{&test, 0, 0}, {&test, 1, 1}, {&test, 2, 2}};
	struct group group;
	struct error err;
	(void)argument;
	channel_init(&test.channel, SLOTS, 64);
	for (size_t i = 0; i < 3; i++)
		channel_join(&test.channel, &test.readers[i]);
	group_init(&group, 4);
	for (size_t i = 0; i < 3; i++)
		assert_true(group_spawn(&group, consume, &consumers[i], &err));
	assert_true(group_spawn(&group, produce, &test, &err));
	group_wait(&group);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(test.seen[i], CHUNKS);
		assert_true(test.in_order[i]);
	}
	channel_release(&test.channel);
}

static void every_reader_sees_every_chunk_in_order(void **state)
{
	(void)state;
	in_both_loops(three_readers, NULL);
}

static void leave_early(void *argument)
{
	struct pipe_test test = {.seen = {0}};
	struct consumer consumer = {&test, 0, 0};
	struct group group;
	struct error err;
	(void)argument;
	channel_init(&test.channel, SLOTS, 64);
	channel_join(&test.channel, &test.readers[0]);
	channel_join(&test.channel, &test.readers[1]);
	group_init(&group, 2);
	assert_true(group_spawn(&group, consume, &consumer, &err));
	assert_true(group_spawn(&group, produce, &test, &err));
	assert_true(task_sleep(5, &err));
	assert_true(test.seen[0] <= SLOTS); /* the second reader, who reads nothing, holds the writer back */
	channel_leave(&test.readers[1]);
	group_wait(&group);
	assert_int_equal(test.seen[0], CHUNKS);
	channel_release(&test.channel);
}

static void who_leaves_holds_nobody_back(void **state)
{
	(void)state;
	in_both_loops(leave_early, NULL);
}

static void fail_in_the_middle(void *argument)
{
	struct channel channel;
	struct channel_reader reader;
	struct error err, reason;
	unsigned char *data;
	const unsigned char *got;
	size_t length;
	(void)argument;
	error_set(&reason, ERR_CORRUPT, "wrong bytes");
	channel_init(&channel, SLOTS, 64);
	channel_join(&channel, &reader);
	assert_true(channel_reserve(&channel, &data, &err));
	channel_publish(&channel, 10);
	channel_close(&channel, &reason);
	assert_true(channel_read(&reader, &got, &length, &err));
	assert_int_equal(length, 10);
	channel_advance(&reader);
	assert_false(channel_read(&reader, &got, &length, &err));
	assert_int_equal(err.kind, ERR_CORRUPT);
	channel_leave(&reader);
	channel_release(&channel);
}

static void what_was_written_before_a_failure_is_read_before_it(void **state)
{
	(void)state;
	in_both_loops(fail_in_the_middle, NULL);
}

static void outlast(void *argument)
{
	struct channel channel;
	struct channel_reader slow, quick;
	struct error err;
	unsigned char *data;
	const unsigned char *got;
	size_t length;
	(void)argument;
	channel_init(&channel, 2, 64);
	channel_join(&channel, &slow);
	channel_join(&channel, &quick);
	for (int i = 0; i < 3; i++) {
		assert_true(channel_reserve_within(&channel, 30, &data, &err));
		channel_publish(&channel, 1);
		assert_true(channel_read(&quick, &got, &length, &err));
		channel_advance(&quick);
	}
	assert_false(channel_read(&slow, &got, &length, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	channel_close(&channel, NULL);
	assert_true(channel_read(&quick, &got, &length, &err));
	assert_int_equal(length, 0);
	channel_leave(&slow);
	channel_leave(&quick);
	channel_release(&channel);
}

/* It reads a chunk, on a worker say, while it is put out and its slot is used again. */
static void read_for_long(void *argument)
{
	struct channel_reader *reader = argument;
	const unsigned char *data;
	size_t length;
	struct error err;
	assert_true(channel_read(reader, &data, &length, &err));
	assert_true(task_sleep(60000, &err));
	assert_true(reader->put_out);
	for (size_t i = 0; i < length; i++)
		assert_int_equal(data[i], 0);
	channel_advance(reader);
	assert_false(channel_read(reader, &data, &length, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	channel_leave(reader);
}

static void read_quickly(void *argument)
{
	struct channel_reader *reader = argument;
	const unsigned char *data;
	size_t length;
	for (unsigned char i = 0; channel_read(reader, &data, &length, NULL) && length > 0; i++) {
		assert_int_equal(data[0], i);
		channel_advance(reader);
	}
	channel_leave(reader);
}

static void put_out_while_reading(void *argument)
{
	struct channel channel;
	struct channel_reader slow[2], quick;
	struct group group;
	struct error err;
	(void)argument;
	channel_init(&channel, 2, 64);
	channel_join(&channel, &slow[0]);
	channel_join(&channel, &slow[1]);
	channel_join(&channel, &quick);
	group_init(&group, 3);
	assert_true(group_spawn(&group, read_for_long, &slow[0], &err));
	assert_true(group_spawn(&group, read_for_long, &slow[1], &err));
	assert_true(group_spawn(&group, read_quickly, &quick, &err));
	for (unsigned char i = 0; i < 10; i++) {
		unsigned char *data;
		assert_true(channel_reserve_within(&channel, 1000, &data, &err));
		memset(data, i, 64);
		channel_publish(&channel, 64);
	}
	channel_close(&channel, NULL);
	group_wait(&group);
	channel_release(&channel);
}

static void chunk_of_who_is_put_out_stays_as_it_is(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++)
		in_virtual_loop(seed, put_out_while_reading, NULL);
}

static void a_reader_that_is_too_slow_is_put_out(void **state)
{
	(void)state;
	in_both_loops(outlast, NULL);
}

struct slow_pair {
	struct channel channel;
	struct channel_reader readers[2];
	int reserved;
};

static void reserve_three(void *argument)
{
	struct slow_pair *pair = argument;
	struct error err;
	unsigned char *data;
	for (; pair->reserved < 3; pair->reserved++) {
		assert_true(channel_reserve_within(&pair->channel, 5, &data, &err));
		channel_publish(&pair->channel, 1);
	}
}

static void be_as_slow_as_the_other(void *argument)
{
	struct slow_pair pair = {.reserved = 0};
	struct group group;
	struct error err;
	const unsigned char *got;
	size_t length;
	(void)argument;
	channel_init(&pair.channel, 2, 64);
	channel_join(&pair.channel, &pair.readers[0]);
	channel_join(&pair.channel, &pair.readers[1]);
	group_init(&group, 1);
	assert_true(group_spawn(&group, reserve_three, &pair, &err));
	assert_true(task_sleep(30, &err));
	assert_int_equal(pair.reserved, 2);
	assert_true(channel_read(&pair.readers[0], &got, &length, &err)); /* now the other is the slow one */
	channel_advance(&pair.readers[0]);
	group_wait(&group);
	assert_true(channel_read(&pair.readers[0], &got, &length, &err));
	assert_false(channel_read(&pair.readers[1], &got, &length, &err));
	assert_int_equal(err.kind, ERR_TIMEOUT);
	channel_leave(&pair.readers[0]);
	channel_leave(&pair.readers[1]);
	channel_release(&pair.channel);
}

static void nobody_is_put_out_while_all_are_slow(void **state)
{
	(void)state;
	in_both_loops(be_as_slow_as_the_other, NULL);
}

static void go_back(void *argument)
{
	struct channel channel;
	struct channel_reader reader, other;
	struct error err;
	unsigned char *data;
	const unsigned char *got;
	size_t length;
	(void)argument;
	channel_init(&channel, 2, 64);
	channel_join(&channel, &reader);
	channel_join(&channel, &other);
	for (unsigned char i = 0; i < 2; i++) {
		assert_true(channel_reserve(&channel, &data, &err));
		data[0] = i;
		channel_publish(&channel, 1);
		assert_true(channel_read(&reader, &got, &length, &err));
		channel_advance(&reader);
	}
	assert_true(channel_rewind(&reader));
	assert_true(channel_read(&reader, &got, &length, &err));
	assert_int_equal(got[0], 0);
	channel_advance(&reader);
	channel_leave(&other);
	assert_true(channel_reserve(&channel, &data, &err)); /* takes the first chunk's slot */
	assert_false(channel_rewind(&reader));
	channel_publish(&channel, 1);
	assert_false(channel_rewind(&reader));
	channel_leave(&reader);
	channel_release(&channel);
}

static void a_reader_goes_back_while_the_first_chunk_is_there(void **state)
{
	(void)state;
	in_both_loops(go_back, NULL);
}

static void give_chunks_back(void *argument)
{
	struct channel channel;
	const unsigned char *data[SLOTS];
	(void)argument;
	channel_init(&channel, SLOTS, CHANNEL_CHUNK_BYTES);
	for (size_t i = 0; i < SLOTS; i++)
		data[i] = channel.slots[i].data;
	channel_release(&channel);
	channel_init(&channel, SLOTS, CHANNEL_CHUNK_BYTES);
	for (size_t i = 0; i < SLOTS; i++)
		assert_ptr_equal(channel.slots[i].data, data[SLOTS - 1 - i]);
	channel_release(&channel);
}

static void chunks_are_used_again(void **state)
{
	(void)state;
	in_both_loops(give_chunks_back, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reader_sees_every_chunk_in_order),
		cmocka_unit_test(who_leaves_holds_nobody_back),
		cmocka_unit_test(what_was_written_before_a_failure_is_read_before_it),
		cmocka_unit_test(a_reader_that_is_too_slow_is_put_out),
		cmocka_unit_test(chunk_of_who_is_put_out_stays_as_it_is),
		cmocka_unit_test(nobody_is_put_out_while_all_are_slow),
		cmocka_unit_test(a_reader_goes_back_while_the_first_chunk_is_there),
		cmocka_unit_test(chunks_are_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
