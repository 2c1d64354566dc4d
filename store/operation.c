#include "store/operation.h"

#include "base/memory.h"

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
