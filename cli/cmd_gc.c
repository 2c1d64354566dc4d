#include "cli/place.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/str.h"
#include "cli/command.h"
#include "sync/endpoint/layout_gc.h"

#include <stdio.h>

enum { GRACE_MS = 24 * 3600 * 1000 };

static void print_json(const struct layout_gc *gc)
{
	auto_json json_t *root = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I}", "layout", gc->directory, "dry_run",
		gc->dry_run, "removed", (json_int_t)gc->removed_count, "removed_bytes", (json_int_t)gc->removed_bytes,
		"kept", (json_int_t)gc->reached_count, "too_young", (json_int_t)gc->young_count);
	auto_free char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	if (!text)
		memory_exhausted();
	puts(text);
}

static void print(const struct layout_gc *gc)
{
	char bytes[16], grace[16];
	printf("oci:%s: %s %zu blobs, %s; %zu are in use", gc->directory, gc->dry_run ? "would remove" : "removed",
		gc->removed_count, str_format_bytes(gc->removed_bytes, bytes), gc->reached_count);
	if (gc->young_count > 0)
		printf(", %zu are not older than %s", gc->young_count, str_format_duration(gc->grace_ms, grace));
	puts("");
}

static bool read_arguments(
	const struct arguments *arguments, struct place *place, struct layout_gc *gc, struct error *err)
{
	const char *older = argument_of(arguments, OPTION_OLDER_THAN);
	*gc = (struct layout_gc){.grace_ms = GRACE_MS, .dry_run = arguments->given[OPTION_DRY_RUN]};
	if (older && !str_parse_duration(older, &gc->grace_ms, err))
		return error_wrap(err, "--older-than");
	if (!place_parse(arguments->operands[0], place, err))
		return false;
	gc->directory = place->directory;
	if (place->is_layout && !place->name)
		return true;
	place_release(place);
	return error_set(err, ERR_INVALID, "%s: gc takes a whole layout, oci:DIR", arguments->operands[0]);
}

int command_gc(const struct arguments *arguments)
{
	struct place place;
	struct layout_gc gc;
	struct error err;
	if (!read_arguments(arguments, &place, &gc, &err)) {
		common_fail(SIDE_SOURCE, &err);
		return EXIT_USAGE;
	}
	int code = EXIT_DONE;
	if (!layout_collect(&gc, &err))
		code = common_fail(SIDE_SOURCE, &err);
	else if (arguments->given[OPTION_JSON])
		print_json(&gc);
	else
		print(&gc);
	place_release(&place);
	return code;
}
