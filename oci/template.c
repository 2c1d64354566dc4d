#include "oci/template.h"

#include "base/memory.h"
#include "base/str.h"

#include <string.h>

bool prefix_covers(const char *prefix, const char *repository)
{
	size_t length = strlen(prefix);
	return length == 0 || (strncmp(prefix, repository, length) == 0 && repository[length] == '/');
}

/* Bytes in front of the place, and what stands behind it. */
static size_t head_of(const char *template, const char **tail)
{
	const char *place = strstr(template, TEMPLATE_REPOSITORY);
	*tail = place ? place + strlen(TEMPLATE_REPOSITORY) : "";
	return place ? (size_t)(place - template) : strlen(template);
}

char *template_fill(const char *template, const char *repository)
{
	const char *tail;
	size_t head = head_of(template, &tail);
	return memory_format("%.*s%s%s", (int)head, template, repository, tail);
}

char *template_match(const char *template, const char *text)
{
	const char *tail;
	size_t head = head_of(template, &tail), tail_length = strlen(tail), length = strlen(text);
	if (length <= head + tail_length || strncmp(template, text, head) != 0 ||
		strcmp(text + length - tail_length, tail) != 0)
		return NULL;
	return memory_text_of(text + head, length - head - tail_length);
}

/* What all texts begin with that @template makes of repositories below @prefix. New memory. */
static char *common_head(const char *prefix, const char *template)
{
	const char *tail;
	size_t head = head_of(template, &tail);
	return memory_format("%.*s%s%s", (int)head, template, prefix, *prefix ? "/" : "");
}

bool templates_may_meet(const char *prefix, const char *template, const char *other_prefix, const char *other)
{
	const char *tail, *other_tail;
	auto_free char *head = common_head(prefix, template), *other_head = common_head(other_prefix, other);
	head_of(template, &tail);
	head_of(other, &other_tail);
	return (str_starts_with(head, other_head) || str_starts_with(other_head, head)) &&
	       (str_ends_with(tail, other_tail) || str_ends_with(other_tail, tail));
}
