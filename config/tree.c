#include "config/tree.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "config/variable.h"

#include <string.h>
#include <yaml.h>

enum {
	ALIASES_MAX = 64,
	KEYS_MAX = 1000, /* of one mapping; duplicates are found by comparing all with all */
};

struct anchor {
	char *name;
	const struct node *node;
};

struct reader {
	yaml_parser_t parser;
	struct problems *problems;
	struct node *root;
	struct node *open[LIMIT_CONFIG_DEPTH]; /* the collections around the next event */
	size_t depth;
	char *key; /* of the innermost mapping, waits for its value */
	struct config_place key_place;
	struct anchor *anchors;
	size_t anchor_count;
	size_t event_count; /* what aliases repeat is counted as if it were written out */
	size_t alias_count;
	size_t added_bytes; /* by aliases and variables, on top of the file */
};

/* --- nodes ----------------------------------------------------------------------------------------------------- */

struct node *node_new(enum node_kind kind, struct config_place place)
{
	struct node *node = memory_new(1, sizeof *node);
	node->kind = kind;
	node->place = place;
	return node;
}

void node_append(struct node *parent, struct node *child)
{
	/* Grown by doubling: a power of two is full. */
	if ((parent->child_count & (parent->child_count - 1)) == 0)
		parent->children = memory_resize(
			parent->children, parent->child_count ? parent->child_count * 2 : 1, sizeof(struct node *));
	parent->children[parent->child_count++] = child;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->child_count; i++)
		node_free(node->children[i]);
	free(node->children);
	free(node->key);
	free(node->text);
	free(node);
}

struct node *node_get(const struct node *map, const char *key)
{
	for (size_t i = 0; map && i < map->child_count; i++)
		if (str_is(map->children[i]->key, key))
			return map->children[i];
	return NULL;
}

const char *node_text(const struct node *map, const char *key)
{
	const struct node *node = node_get(map, key);
	return node && !node->bad ? node->text : NULL;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static struct config_place place_of(yaml_mark_t mark)
{
	return (struct config_place){(int)mark.line + 1, (int)mark.column + 1};
}

#define fatal(reader, place, ...) (problems_add((reader)->problems, place, __VA_ARGS__), false)

static bool count_events(struct reader *reader, struct config_place place, size_t count)
{
	reader->event_count += count;
	if (reader->event_count > LIMIT_CONFIG_EVENTS)
		return fatal(reader, place, "the file has more than %d YAML events, what aliases repeat included",
			LIMIT_CONFIG_EVENTS);
	return true;
}

static bool count_bytes(struct reader *reader, struct config_place place, size_t count)
{
	reader->added_bytes += count;
	if (reader->added_bytes > LIMIT_CONFIG_FILE_BYTES)
		return fatal(reader, place, "aliases and variables add more than %zu bytes", LIMIT_CONFIG_FILE_BYTES);
	return true;
}

static bool expects_key(const struct reader *reader)
{
	return reader->depth > 0 && reader->open[reader->depth - 1]->kind == NODE_MAP && !reader->key;
}

/* Give @node its place in the tree, which owns it from here on. */
static void attach(struct reader *reader, struct node *node)
{
	if (reader->depth == 0) {
		reader->root = node;
		return;
	}
	struct node *parent = reader->open[reader->depth - 1];
	if (parent->kind == NODE_MAP) {
		const struct node *twin = node_get(parent, reader->key);
		if (twin)
			problems_add(reader->problems, reader->key_place, "\"%.80s\" is given twice, first in line %d",
				reader->key, twin->key_place.line);
		else if (str_is(reader->key, "<<"))
			problems_add(reader->problems, reader->key_place, "merge keys (<<) are not supported");
		node->bad |= twin || str_is(reader->key, "<<");
		node->key = reader->key;
		node->key_place = reader->key_place;
		reader->key = NULL;
	}
	node_append(parent, node);
}

/* Note the anchor and refuse the tag that may stand in front of a value. */
static void take_properties(struct reader *reader, struct node *node, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (tag) {
		problems_add(
			reader->problems, node->place, "YAML tags are not supported: \"%.80s\"", (const char *)tag);
		node->bad = true;
	}
	if (!anchor)
		return;
	reader->anchors = memory_resize(reader->anchors, reader->anchor_count + 1, sizeof *reader->anchors);
	reader->anchors[reader->anchor_count++] = (struct anchor){memory_text((const char *)anchor), node};
}

static bool take_key(struct reader *reader, const yaml_event_t *event)
{
	struct config_place place = place_of(event->start_mark);
	const char *text = (const char *)event->data.scalar.value;
	if (event->data.scalar.tag || event->data.scalar.anchor)
		return fatal(reader, place, "a key has neither tag nor anchor");
	if (strlen(text) != event->data.scalar.length)
		return fatal(reader, place, "a key with a NUL character");
	if (reader->open[reader->depth - 1]->child_count == KEYS_MAX)
		return fatal(reader, place, "a mapping of more than %d keys", KEYS_MAX);
	reader->key = variable_show(text);
	reader->key_place = place;
	return true;
}

static bool take_scalar(struct reader *reader, const yaml_event_t *event)
{
	if (expects_key(reader))
		return take_key(reader, event);
	struct node *node = node_new(NODE_SCALAR, place_of(event->start_mark));
	const char *text = (const char *)event->data.scalar.value;
	node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	take_properties(reader, node, event->data.scalar.anchor, event->data.scalar.tag);
	attach(reader, node);
	if (strlen(text) != event->data.scalar.length) {
		node->bad = true;
		problems_add(reader->problems, node->place, "a value with a NUL character");
		return true;
	}
	struct error err;
	auto_buf struct buf expanded;
	buf_init(&expanded, LIMIT_CONFIG_FILE_BYTES * 2);
	auto_free char *written = variable_show(text);
	if (!variable_expand(written, &expanded, &err)) {
		node->bad = true;
		problems_add(reader->problems, node->place, "%s", err.text);
		return true;
	}
	size_t length;
	node->text = buf_take(&expanded, &length);
	node->is_masked = !str_is(node->text, written);
	return !node->is_masked || count_bytes(reader, node->place, length);
}

static bool open_collection(struct reader *reader, enum node_kind kind, const yaml_event_t *event)
{
	struct config_place place = place_of(event->start_mark);
	if (expects_key(reader))
		return fatal(reader, place, "a key must be a text");
	if (reader->depth == LIMIT_CONFIG_DEPTH)
		return fatal(reader, place, "nested more than %d deep", LIMIT_CONFIG_DEPTH);
	struct node *node = node_new(kind, place);
	if (kind == NODE_MAP)
		take_properties(reader, node, event->data.mapping_start.anchor, event->data.mapping_start.tag);
	else
		take_properties(reader, node, event->data.sequence_start.anchor, event->data.sequence_start.tag);
	attach(reader, node);
	reader->open[reader->depth++] = node;
	return true;
}

/* A copy of @node at @depth, counted as if it were written there; NULL beyond a limit. */
static struct node *copy(struct reader *reader, const struct node *node, size_t depth, struct config_place alias)
{
	if (depth > LIMIT_CONFIG_DEPTH) {
		problems_add(reader->problems, alias, "nested more than %d deep", LIMIT_CONFIG_DEPTH);
		return NULL;
	}
	if (!count_events(reader, alias, 2) || !count_bytes(reader, alias, node->text ? strlen(node->text) : 0))
		return NULL;
	struct node *twin = node_new(node->kind, node->place);
	twin->bad = node->bad;
	twin->key = memory_text(node->key);
	twin->key_place = node->key_place;
	twin->text = memory_text(node->text);
	twin->is_plain = node->is_plain;
	twin->is_masked = node->is_masked;
	for (size_t i = 0; i < node->child_count; i++) {
		struct node *child = copy(reader, node->children[i], depth + 1, alias);
		if (!child) {
			node_free(twin);
			return NULL;
		}
		node_append(twin, child);
	}
	return twin;
}

static const struct node *find_anchor(const struct reader *reader, const char *name)
{
	for (size_t i = reader->anchor_count; i > 0; i--)
		if (str_is(reader->anchors[i - 1].name, name))
			return reader->anchors[i - 1].node;
	return NULL;
}

static bool take_alias(struct reader *reader, const yaml_event_t *event)
{
	struct config_place place = place_of(event->start_mark);
	const char *name = (const char *)event->data.alias.anchor;
	if (expects_key(reader))
		return fatal(reader, place, "a key must be a text");
	if (++reader->alias_count > ALIASES_MAX)
		return fatal(reader, place, "more than %d aliases", ALIASES_MAX);
	const struct node *target = find_anchor(reader, name);
	if (!target)
		return fatal(reader, place, "no anchor \"%.80s\" stands before its alias", name);
	for (size_t i = 0; i < reader->depth; i++)
		if (reader->open[i] == target)
			return fatal(reader, place, "\"%.80s\" contains itself", name);
	struct node *twin = copy(reader, target, reader->depth + 1, place);
	if (!twin)
		return false;
	free(twin->key);
	twin->key = NULL;
	twin->place = place;
	attach(reader, twin);
	return true;
}

static bool take_event(struct reader *reader, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return !reader->root || fatal(reader, place_of(event->start_mark), "a second document in the file");
	case YAML_SCALAR_EVENT:
		return take_scalar(reader, event);
	case YAML_ALIAS_EVENT:
		return take_alias(reader, event);
	case YAML_MAPPING_START_EVENT:
		return open_collection(reader, NODE_MAP, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(reader, NODE_LIST, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		reader->depth--;
		return true;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return true;
}

/* libyaml knows only the offset of bytes that cannot be read at all. */
static struct config_place place_at(const char *bytes, size_t length, size_t offset)
{
	struct config_place place = {1, 1};
	for (size_t i = 0; i < offset && i < length; i++) {
		place.column += ((unsigned char)bytes[i] & 0xc0) != 0x80; /* a character, not a byte */
		if (bytes[i] == '\n')
			place = (struct config_place){place.line + 1, 1};
	}
	return place;
}

static void note_syntax(struct reader *reader, const char *bytes, size_t length)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem ? parser->problem : "unreadable";
	size_t at = parser->problem_mark.index; /* in characters, which are bytes in most files */
	if (parser->error == YAML_MEMORY_ERROR)
		memory_exhausted();
	if (parser->error == YAML_SCANNER_ERROR && at < length && bytes[at] == '\t') {
		problems_add(reader->problems, place_of(parser->problem_mark), "not YAML: a tab; only blanks indent");
		return;
	}
	if (parser->error == YAML_READER_ERROR)
		problems_add(
			reader->problems, place_at(bytes, length, parser->problem_offset), "not YAML: %s", problem);
	else if (parser->context)
		problems_add(reader->problems, place_of(parser->problem_mark), "not YAML: %s %s (line %zu)", problem,
			parser->context, parser->context_mark.line + 1);
	else
		problems_add(reader->problems, place_of(parser->problem_mark), "not YAML: %s", problem);
}

static bool read_events(struct reader *reader, const char *bytes, size_t length)
{
	for (bool more = true; more;) {
		yaml_event_t event;
		if (!yaml_parser_parse(&reader->parser, &event)) {
			note_syntax(reader, bytes, length);
			return false;
		}
		more = event.type != YAML_STREAM_END_EVENT;
		bool taken = count_events(reader, place_of(event.start_mark), 1) && take_event(reader, &event);
		yaml_event_delete(&event);
		if (!taken)
			return false;
	}
	if (!reader->root)
		return fatal(reader, ((struct config_place){1, 1}), "the file is empty");
	return true;
}

struct node *tree_read(const char *bytes, size_t length, struct problems *problems)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	struct reader reader = {.problems = problems};
	/* libyaml skips it only where it may guess the encoding, and then takes UTF-16, too. */
	if (length >= strlen(byte_order_mark) && memcmp(bytes, byte_order_mark, strlen(byte_order_mark)) == 0) {
		bytes += strlen(byte_order_mark);
		length -= strlen(byte_order_mark);
	}
	auto_buf struct buf hidden;
	buf_init(&hidden, 2 * length);
	variable_hide(bytes, length, &hidden);
	if (!yaml_parser_initialize(&reader.parser))
		memory_exhausted();
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)buf_peek(&hidden), hidden.length);
	bool whole = read_events(&reader, buf_peek(&hidden), hidden.length);
	yaml_parser_delete(&reader.parser);
	for (size_t i = 0; i < reader.anchor_count; i++)
		free(reader.anchors[i].name);
	free(reader.anchors);
	free(reader.key);
	if (whole)
		return reader.root;
	node_free(reader.root);
	return NULL;
}

const char *tree_library_version(void)
{
	return yaml_get_version_string();
}
