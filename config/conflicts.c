/*
 * Entries that would write over one another (DESIGN 6). Every entry claims its targets; claims are sorted, so that
 * those on one target stand together, whatever the number of entries. What a pattern of repositories will find is not
 * known before the run: it claims all that it may write, and is compared with each other entry.
 */
#include "base/memory.h"
#include "base/str.h"
#include "config/assemble.h"
#include "config/location.h"
#include "oci/template.h"

#include <string.h>

enum { PATTERNS_MAX = 256 }; /* each is compared with every other entry */

struct claim {
	char *target, *source;
	const struct config_repository *entry;
	bool bare_tags;
};

struct claims {
	struct claim *items;
	size_t count;
};

static void claims_add(struct claims *claims, char *target, const struct config_repository *entry, bool bare_tags)
{
	/* Grown by doubling: a power of two is full. */
	if ((claims->count & (claims->count - 1)) == 0)
		claims->items =
			memory_resize(claims->items, claims->count ? claims->count * 2 : 1, sizeof *claims->items);
	claims->items[claims->count++] = (struct claim){target, location_source_name(entry), entry, bare_tags};
}

static void claims_release(struct claims *claims)
{
	for (size_t i = 0; i < claims->count; i++) {
		free(claims->items[i].target);
		free(claims->items[i].source);
	}
	free(claims->items);
}

static int by_target(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;
	int order = strcmp(a->target, b->target);
	if (order == 0)
		order = strcmp(a->source, b->source);
	if (order == 0 && a->entry != b->entry)
		order = a->entry < b->entry ? -1 : 1;
	return order;
}

/* Tags of one repository never meet: they are the same tags. */
static bool same_repository(const struct config_repository *a, const struct config_repository *b)
{
	if (a->is_layout || b->is_layout)
		return a->is_layout && b->is_layout && str_is(a->directory, b->directory);
	return str_is(a->domain, b->domain) && str_is(a->repository, b->repository);
}

/* @format takes the target, the source of the earlier entry and its line. */
#define report(problems, one, other, format)                                                                           \
	do {                                                                                                           \
		const struct claim *earlier = (one)->entry < (other)->entry ? (one) : (other);                         \
		const struct claim *later = earlier == (one) ? (other) : (one);                                        \
		problems_add(problems, later->entry->place, format, later->target, earlier->source,                    \
			earlier->entry->place.line);                                                                   \
	} while (0)

/* The first claim in the file by another repository than that of @of; NULL: there is none. */
static const struct claim *first_rival(const struct claim *claims, size_t count, const struct config_repository *of)
{
	const struct claim *first = NULL;
	for (size_t i = 0; i < count; i++)
		if (!(of && same_repository(claims[i].entry, of)) && (!first || claims[i].entry < first->entry))
			first = &claims[i];
	return first;
}

/* All claims on one target, duplicates side by side. */
static void judge_sources(const struct claim *claims, size_t count, struct problems *problems)
{
	for (size_t i = 1; i < count; i++)
		if (claims[i].entry != claims[i - 1].entry && str_is(claims[i].source, claims[i - 1].source))
			report(problems, &claims[i - 1], &claims[i],
				"duplicate entry: %.200s is already the target of %.200s in line %d");

	const struct claim *first = first_rival(claims, count, NULL);
	const struct claim *other = first_rival(claims, count, first->entry);
	for (size_t i = 0; other && i < count; i++) {
		const struct claim *rival = same_repository(first->entry, claims[i].entry) ? other : first;
		if (!claims[i].entry->merge)
			report(problems, &claims[i], rival,
				"%.200s is already the target of %.200s in line %d; mixing two sources needs \"merge: "
				"true\" in both");
	}
}

static void judge_names(const struct claim *claims, size_t count, struct problems *problems)
{
	for (size_t i = 1; i < count; i++)
		if (claims[i].bare_tags != claims[0].bare_tags)
			report(problems, &claims[0], &claims[i],
				"%.200s is already the target of %.200s in line %d, with other \"names\"");
}

static void judge(struct claims *claims, void (*group)(const struct claim *, size_t, struct problems *),
	struct problems *problems)
{
	if (claims->count > 0)
		qsort(claims->items, claims->count, sizeof *claims->items, by_target);
	for (size_t from = 0, to; from < claims->count; from = to) {
		for (to = from + 1; to < claims->count; to++)
			if (!str_is(claims->items[from].target, claims->items[to].target))
				break;
		group(claims->items + from, to - from, problems);
	}
	claims_release(claims);
}

/* --- patterns -------------------------------------------------------------------------------------------------- */

static bool same_place(const struct config_target *a, const struct config_target *b)
{
	if (a->is_layout || b->is_layout)
		return a->is_layout && b->is_layout && str_is(a->directory, b->directory);
	return str_is(a->domain, b->domain);
}

/*
 * May @pattern write to a target of @other's? *same: then it is the same source repository there. Of an entry for one
 * tag that is no conflict: it is the same tag.
 */
static bool meets(const struct config_repository *pattern, const struct config_target *target,
	const struct config_repository *other, const struct config_target *other_target, bool *same)
{
	if (!same_place(target, other_target) || other->is_layout)
		return false;
	if (other->is_pattern) {
		*same = str_is(pattern->domain, other->domain) && str_is(target->repository, other_target->repository);
		return templates_may_meet(
			pattern->repository, target->repository, other->repository, other_target->repository);
	}
	auto_free char *from = template_match(target->repository, other_target->repository);
	if (!from || !prefix_covers(pattern->repository, from))
		return false;
	*same = str_is(pattern->domain, other->domain) && str_is(from, other->repository);
	return !*same || (!other->tag && digest_is_empty(&other->digest));
}

static void judge_pair(const struct config_repository *pattern, const struct config_target *target,
	const struct config_repository *other, const struct config_target *other_target, struct problems *problems)
{
	bool same = false;
	if (!meets(pattern, target, other, other_target, &same))
		return;
	const struct config_repository *earlier = pattern < other ? pattern : other;
	const struct config_repository *later = pattern < other ? other : pattern;
	auto_free char *source = location_source_name(earlier);
	auto_free char *place = location_target_name(pattern < other ? other_target : target);
	if (same)
		problems_add(problems, later->place, "duplicate entry: %.200s is already a target of %.200s in line %d",
			place, source, earlier->place.line);
	else if (!pattern->merge || !other->merge)
		problems_add(problems, later->place,
			"%.200s may be a target of %.200s in line %d, too; mixing two sources needs \"merge: true\" in "
			"both",
			place, source, earlier->place.line);
}

/* With each exact entry, and with the patterns behind it. */
static void judge_pattern(
	const struct config *config, const struct config_repository *pattern, struct problems *problems)
{
	for (size_t i = 0; i < config->repository_count; i++) {
		const struct config_repository *other = &config->repositories[i];
		if (other == pattern || (other->is_pattern && other < pattern))
			continue;
		for (size_t a = 0; a < pattern->target_count; a++)
			for (size_t b = 0; b < other->target_count; b++)
				judge_pair(pattern, &pattern->targets[a], other, &other->targets[b], problems);
	}
}

void conflicts_find(const struct config *config, struct problems *problems)
{
	struct claims targets = {0}, directories = {0};
	for (size_t i = 0; i < config->repository_count; i++) {
		const struct config_repository *entry = &config->repositories[i];
		for (size_t j = 0; j < entry->target_count; j++) {
			const struct config_target *target = &entry->targets[j];
			if (!entry->is_pattern)
				claims_add(&targets, location_target_name(target), entry, target->bare_tags);
			if (target->is_layout)
				claims_add(&directories, memory_format("oci:%s", target->directory), entry,
					target->bare_tags);
		}
	}
	judge(&targets, judge_sources, problems);
	size_t patterns = 0;
	for (size_t i = 0; i < config->repository_count; i++) {
		const struct config_repository *entry = &config->repositories[i];
		if (!entry->is_pattern)
			continue;
		if (++patterns > PATTERNS_MAX) {
			problems_add(problems, entry->place, "more than %d patterns of repositories", PATTERNS_MAX);
			break;
		}
		judge_pattern(config, entry, problems);
	}
	judge(&directories, judge_names, problems);
}
