/*
 * The schema table as a page: one row a key, in the order of the table.
 */
#include "base/buf.h"
#include "base/memory.h"
#include "base/str.h"
#include "config/schema.h"

#include <stdlib.h>

enum { PAGE_BYTES_MAX = 64 << 10 };

static void add(struct buf *page, const char *prefix, const struct schema_key *key)
{
	struct error err;
	auto_free char *wants = schema_wants(key->value);
	auto_free char *fallback = memory_format("`%s`", key->fallback ? key->fallback : "");
	bool has_fallback = key->fallback && !str_is(key->fallback, "{}");
	const char *otherwise = key->required ? "required" : key->absent ? key->absent : "";
	if (!buf_appendf(page, &err, "| `%s%s` | %s | %s | %s |\n", prefix, key->name, wants,
		    has_fallback ? fallback : otherwise, key->help ? key->help : ""))
		abort();
}

static void add_below(struct buf *page, const char *prefix, const struct schema *schema);

static void add_keys(struct buf *page, const char *prefix, const struct schema_key *keys)
{
	for (const struct schema_key *key = keys; key->name; key++) {
		add(page, prefix, key);
		auto_free char *below = memory_format("%s%s", prefix, key->name);
		add_below(page, below, key->value);
	}
}

/* Recursion is as deep as the table. */
static void add_below(struct buf *page, const char *prefix, const struct schema *schema)
{
	const char *step = schema->form == SCHEMA_LIST ? "[]" : schema->form == SCHEMA_HOSTS ? ".HOST" : "";
	auto_free char *below = memory_format("%s%s.", prefix, step);
	const struct schema *inner = schema->item ? schema->item : schema;
	if (inner->keys)
		add_keys(page, below, inner->keys);
}

char *config_reference_page(void)
{
	struct error err;
	auto_buf struct buf page;
	buf_init(&page, PAGE_BYTES_MAX);
	if (!buf_appendf(&page, &err, "| key | value | default | meaning |\n|---|---|---|---|\n"))
		abort();
	add_keys(&page, "", schema_file.keys);
	return buf_take(&page, NULL);
}
