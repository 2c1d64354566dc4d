#include "store/operation.h"

#include "base/memory.h"
#include "base/str.h"

#include <assert.h>

struct operation *operation_new(enum operation_kind kind)
{
	struct operation *operation = memory_new(1, sizeof *operation);
	list_init(&operation->node);
	latch_init(&operation->answered);
	operation->kind = kind;
	return operation;
}

void operation_free(struct operation *operation)
{
	if (!operation)
		return;
	for (size_t i = 0; i < operation->value_count; i++)
		free(operation->values[i].text);
	free(operation->answer);
	free(operation);
}

static struct operation_value *next_value(struct operation *operation)
{
	assert(operation->value_count < OPERATION_VALUES_MAX);
	return &operation->values[operation->value_count++];
}

void operation_add_text(struct operation *operation, const char *text)
{
	next_value(operation)->text = memory_text(text);
}

void operation_add_number(struct operation *operation, int64_t number)
{
	struct operation_value *value = next_value(operation);
	value->is_number = true;
	value->number = number;
}

void operation_add_run(struct operation *operation)
{
	struct operation_value *value = next_value(operation);
	value->is_number = value->is_run = true;
}

/* What each is about, and which of its values says of whom. */
enum subject { OF_RUNS, OF_TAGS, OF_DIFF_IDS, OF_LOCATIONS };

static const struct {
	enum subject subject;
	size_t key;
	bool is_question;
} abouts[OPERATION_KIND_COUNT] = {
	[OPERATION_TAG_FIND] = {OF_TAGS, 0, true},
	[OPERATION_TAG_SOURCE] = {OF_TAGS, 0, true},
	[OPERATION_TAG_WRITTEN] = {OF_TAGS, 0, false},
	[OPERATION_DIFF_ID_FIND] = {OF_DIFF_IDS, 0, true},
	[OPERATION_DIFF_ID_PROVEN] = {OF_DIFF_IDS, 0, false},
	[OPERATION_LOCATION_FIND] = {OF_LOCATIONS, 2, true},
	[OPERATION_LOCATION_SEEN] = {OF_LOCATIONS, 2, false},
	[OPERATION_LOCATION_GONE] = {OF_LOCATIONS, 2, false},
};

bool operation_is_question(const struct operation *operation)
{
	return abouts[operation->kind].is_question;
}

bool operation_concerns(const struct operation *record, const struct operation *question)
{
	return abouts[record->kind].subject == abouts[question->kind].subject &&
	       str_is(record->values[abouts[record->kind].key].text, question->values[abouts[question->kind].key].text);
}
