/*
 * The one place where a manifest is written anew: an index, cut down to the platforms that somebody asked for.
 *
 * Only the list of entries changes. The document was parsed behind the pre-scan of base/json, so its depth is bounded
 * and jansson may walk it to print it (T-30); keys keep the order in which they came.
 */
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/manifest.h"

#include <string.h>

/* By position of the entry: is it kept? */
struct choice {
	bool *keep;
	size_t matching; /* entries whose platform was asked for */
	size_t total;    /* those, and their attestations */
};

static bool is_wanted(const struct platform *entry, const struct platform *wishes, size_t wish_count)
{
	for (size_t i = 0; i < wish_count; i++)
		if (platform_matches(&wishes[i], entry))
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keep the attestations of what is kept (IDX-7). Sorted, since an index of 10,000 entries may be all attestations. */
static void choose_attestations(const struct manifest *index, struct choice *choice)
{
	size_t count = 0;
	auto_free const char **kept = memory_new(choice->total, sizeof *kept);
	for (size_t i = 0; i < index->child_count; i++)
		if (choice->keep[i])
			kept[count++] = index->children[i].digest.text;
	qsort(kept, count, sizeof *kept, by_text);
	for (size_t i = 0; i < index->child_count; i++) {
		const char *attested = index->children[i].attests.text;
		if (choice->keep[i] || !*attested || !bsearch(&attested, kept, count, sizeof *kept, by_text))
			continue;
		choice->keep[i] = true;
		choice->total++;
	}
}

static void choose(
	const struct manifest *index, const struct platform *wishes, size_t wish_count, struct choice *choice)
{
	for (size_t i = 0; i < index->child_count; i++) {
		choice->keep[i] = is_wanted(&index->children[i].platform, wishes, wish_count);
		choice->total += choice->keep[i];
	}
	choice->matching = choice->total;
	choose_attestations(index, choice);
}

static bool none_match(const struct manifest *index, struct error *err)
{
	char there[LIMIT_FOREIGN_TEXT] = "";
	for (size_t i = 0; i < index->child_count; i++) {
		char raw[100], name[100];
		platform_format(&index->children[i].platform, raw);
		str_sanitize(raw, strlen(raw), name, sizeof name);
		size_t used = strlen(there), wanted = strlen(name) + 1;
		if (!*name || platform_is_unknown(&index->children[i].platform))
			continue;
		if (used + wanted >= sizeof there)
			break;
		there[used] = ' ';
		memcpy(there + used + 1, name, wanted);
	}
	return error_set(err, ERR_NOT_FOUND, "none of the platforms asked for; there are:%s", *there ? there : " none");
}

static int append(const char *bytes, size_t length, void *out)
{
	return buf_append(out, bytes, length, NULL) ? 0 : -1;
}

static bool write_choice(json_t *document, const struct choice *choice, struct buf *out, struct error *err)
{
	const json_t *entries = json_object_get(document, "manifests");
	json_t *kept = json_array();
	size_t i;
	json_t *entry;
	json_array_foreach (entries, i, entry) {
		if (choice->keep[i] && json_array_append(kept, entry) != 0)
			memory_exhausted();
	}
	if (json_object_set_new(document, "manifests", kept) != 0)
		memory_exhausted();
	if (json_dump_callback(document, append, out, JSON_COMPACT) == 0)
		return true;
	return error_set(err, ERR_TOO_LARGE, "the rewritten index has more than %zu bytes", out->maximum);
}

bool manifest_select_platforms(const void *bytes, size_t length, const struct platform *wishes, size_t wish_count,
	struct buf *out, size_t *kept, struct error *err)
{
	auto_manifest struct manifest index = {0};
	if (!manifest_parse(bytes, length, NULL, &index, err))
		return false;
	if (index.kind != MEDIA_INDEX)
		return error_set(err, ERR_CORRUPT, "not an index");
	auto_free bool *keep = memory_new(index.child_count, sizeof *keep);
	struct choice choice = {.keep = keep};
	choose(&index, wishes, wish_count, &choice);
	if (choice.matching == 0)
		return none_match(&index, err);
	*kept = choice.matching;
	if (choice.total == index.child_count)
		return buf_append(out, bytes, length, err); /* the publisher's own bytes, and digest */
	auto_json json_t *document = NULL;
	return json_parse(bytes, length, &document, err) && write_choice(document, &choice, out, err);
}
