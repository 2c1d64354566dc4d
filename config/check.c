#include "config/check.h"

#include "base/memory.h"
#include "base/str.h"

#include <string.h>

enum { SHOWN_BYTES = 80 };

static void check(struct problems *problems, struct node *node, const struct schema *schema, const char *name);

/* A text in the place of a mapping or a list is not shown, nor what came from a variable: it may be a password. */
static bool is_showable(const struct node *node, const struct schema *schema)
{
	const struct schema *scalar = schema->scalar ? schema->scalar : schema;
	return !node->is_masked &&
	       (scalar->form == SCHEMA_CHOICE || scalar->form == SCHEMA_NUMBER || scalar->form == SCHEMA_DURATION);
}

/* `KEY must be THIS, not "that"` */
static void refuse(struct problems *problems, struct node *node, const struct schema *schema, const char *name)
{
	auto_free char *wants = schema_wants(schema);
	node->bad = true;
	if (node->kind == NODE_LIST)
		problems_add(problems, node->place, "%s must be %s, not a list", name, wants);
	else if (node->kind == NODE_MAP)
		problems_add(problems, node->place, "%s must be %s, not a mapping", name, wants);
	else if (!is_showable(node, schema))
		problems_add(problems, node->place, "%s must be %s, not this text", name, wants);
	else
		problems_add(
			problems, node->place, "%s must be %s, not \"%.*s\"", name, wants, SHOWN_BYTES, node->text);
}

static bool parse_choice(const char *text, const char *const *choices, int64_t *number)
{
	for (int64_t i = 0; choices[i]; i++) {
		if (strcmp(choices[i], text) == 0) {
			*number = i;
			return true;
		}
	}
	return false;
}

/* A leading zero is octal to some readers and decimal to others. */
static bool parse_number(const char *text, const struct schema *schema, int64_t *number)
{
	bool is_odd = text[0] == '0' && text[1];
	return !is_odd && str_parse_number(text, schema->maximum, number) && *number >= schema->minimum;
}

static bool parse_duration(const char *text, const struct schema *schema, int64_t *number)
{
	return str_parse_duration(text, number, NULL) && *number >= schema->minimum && *number <= schema->maximum;
}

static bool parse_scalar(struct node *node, const struct schema *schema)
{
	switch (schema->form) {
	case SCHEMA_TEXT:
		return true;
	case SCHEMA_CHOICE:
		return parse_choice(node->text, schema->choices, &node->number);
	case SCHEMA_NUMBER:
		return parse_number(node->text, schema, &node->number);
	case SCHEMA_DURATION:
		return parse_duration(node->text, schema, &node->number);
	case SCHEMA_LIST:
	case SCHEMA_MAP:
	case SCHEMA_HOSTS:
	case SCHEMA_LATER:
		break;
	}
	return false;
}

/* What other readers take for null would be a text here, and a surprise. */
static bool is_null(const struct node *node)
{
	return !*node->text ||
	       (node->is_plain && !node->is_masked && (str_is(node->text, "~") || str_is_nocase(node->text, "null")));
}

static void check_scalar(struct problems *problems, struct node *node, const struct schema *schema, const char *name)
{
	if (is_null(node)) {
		node->bad = true;
		problems_add(problems, node->place, "%s has no value", name);
	} else if (!parse_scalar(node, schema->scalar ? schema->scalar : schema)) {
		refuse(problems, node, schema, name);
	}
}

/* --- mappings -------------------------------------------------------------------------------------------------- */

static const struct schema_key *find_key(const struct schema_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (str_is(keys->name, name))
			return keys;
	return NULL;
}

static char *all_keys(const struct schema_key *keys)
{
	char *words = memory_text("");
	for (; keys->name; keys++) {
		if (keys->value->form == SCHEMA_LATER)
			continue;
		auto_free char *before = words;
		words = memory_format("%s%s%s", before, *before ? ", " : "", keys->name);
	}
	return words;
}

static void refuse_key(struct problems *problems, const struct node *node, const struct schema_key *keys)
{
	const struct schema_key *nearest = NULL;
	size_t least = 0;
	for (const struct schema_key *key = keys; key->name; key++) {
		if (key->value->form == SCHEMA_LATER)
			continue;
		size_t distance = str_distance(node->key, key->name);
		if (!nearest || distance < least) {
			nearest = key;
			least = distance;
		}
	}
	if (nearest && least <= 1 + strlen(nearest->name) / 3) {
		problems_add(problems, node->key_place, "unknown key \"%.*s\"; did you mean \"%s\"?", SHOWN_BYTES,
			node->key, nearest->name);
		return;
	}
	auto_free char *valid = all_keys(keys);
	problems_add(
		problems, node->key_place, "unknown key \"%.*s\"; the keys here are %s", SHOWN_BYTES, node->key, valid);
}

static void add_fallback(struct problems *problems, struct node *map, const struct schema_key *key)
{
	bool is_map = str_is(key->fallback, "{}");
	struct node *node = node_new(is_map ? NODE_MAP : NODE_SCALAR, map->place);
	node->key = memory_text(key->name);
	node->key_place = map->place;
	node->text = is_map ? NULL : memory_text(key->fallback);
	node_append(map, node);
	check(problems, node, key->value, key->name);
}

static void check_map(struct problems *problems, struct node *map, const struct schema_key *keys)
{
	for (size_t i = 0; i < map->child_count; i++) {
		struct node *child = map->children[i];
		const struct schema_key *key = find_key(keys, child->key);
		if (child->bad)
			continue;
		child->bad = !key || key->value->form == SCHEMA_LATER;
		if (!key)
			refuse_key(problems, child, keys);
		else if (key->value->form == SCHEMA_LATER)
			problems_add(problems, child->key_place, "\"%s\" is not supported by this version", key->name);
		else
			check(problems, child, key->value, key->name);
	}
	for (const struct schema_key *key = keys; key->name; key++) {
		if (node_get(map, key->name))
			continue;
		if (key->required)
			problems_add(problems, map->place, "\"%s\" is missing", key->name);
		else if (key->fallback)
			add_fallback(problems, map, key);
	}
}

static void check_items(struct problems *problems, struct node *list, const struct schema *item, const char *name)
{
	if (list->child_count == 0 && list->kind == NODE_LIST) {
		list->bad = true;
		problems_add(problems, list->place, "%s is an empty list", name);
	}
	auto_free char *each = memory_format("an item of %s", name);
	for (size_t i = 0; i < list->child_count; i++)
		check(problems, list->children[i], item, list->children[i]->key ? list->children[i]->key : each);
}

/* Recursion is as deep as the schema. @name is the node's, for messages. */
static void check(struct problems *problems, struct node *node, const struct schema *schema, const char *name)
{
	if (node->bad)
		return;
	bool fits_list = schema->form == SCHEMA_LIST && node->kind == NODE_LIST;
	bool fits_hosts = schema->form == SCHEMA_HOSTS && node->kind == NODE_MAP;
	if (schema->form == SCHEMA_MAP && node->kind == NODE_MAP)
		check_map(problems, node, schema->keys);
	else if (fits_list || fits_hosts)
		check_items(problems, node, schema->item, name);
	else if (node->kind == NODE_SCALAR)
		check_scalar(problems, node, schema, name);
	else
		refuse(problems, node, schema, name);
}

void check_tree(struct node *root, struct problems *problems)
{
	check(problems, root, &schema_file, "the file");
}
