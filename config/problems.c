#include "config/problems.h"

#include "base/memory.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	PROBLEMS_MAX = 100, /* nobody reads more; a broken file could hold 100,000 */
	LINE_MAX_BYTES = 1024,
};

static bool place_equal(struct config_place a, struct config_place b)
{
	return a.line == b.line && a.column == b.column;
}

static bool is_known(const struct problems *problems, struct config_place place, const char *text)
{
	for (size_t i = 0; i < problems->count; i++)
		if (place_equal(problems->items[i].place, place) && str_is(problems->items[i].text, text))
			return true;
	return false;
}

void problems_add(struct problems *problems, struct config_place place, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (problems->count == PROBLEMS_MAX) {
		problems->untold++;
		return;
	}
	if (is_known(problems, place, text))
		return;
	problems->items = memory_resize(problems->items, problems->count + 1, sizeof *problems->items);
	problems->items[problems->count++] = (struct problem){place, memory_text(text)};
}

static int by_place(const void *left, const void *right)
{
	const struct problem *a = left, *b = right;
	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	if (a->place.column != b->place.column)
		return a->place.column < b->place.column ? -1 : 1;
	return strcmp(a->text, b->text);
}

static void add_line(struct config_errors *errors, const char *line)
{
	char clean[LINE_MAX_BYTES];
	str_sanitize(line, strlen(line), clean, sizeof clean);
	errors->lines = memory_resize(errors->lines, errors->count + 1, sizeof *errors->lines);
	errors->lines[errors->count++] = memory_text(clean);
}

void problems_tell(struct problems *problems, const char *path, struct config_errors *errors)
{
	if (problems->count > 0)
		qsort(problems->items, problems->count, sizeof *problems->items, by_place);
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->items[i];
		auto_free char *line = problem->place.line == 0
					       ? memory_format("%s: %s", path, problem->text)
					       : memory_format("%s:%d:%d: %s", path, problem->place.line,
							 problem->place.column, problem->text);
		add_line(errors, line);
	}
	if (problems->untold > 0) {
		auto_free char *line = memory_format("%s: %zu more errors", path, problems->untold);
		add_line(errors, line);
	}
}

void problems_release(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		free(problems->items[i].text);
	free(problems->items);
	*problems = (struct problems){0};
}
