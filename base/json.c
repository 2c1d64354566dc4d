#include "base/json.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <string.h>

/* The pre-scan: what it holds is where it is and what it counted, so that no document can make it deep. */
struct scan {
	const char *at, *end;
	size_t depth;
	size_t tokens;
};

/* Pass over the string whose opening quote is behind us. One that does not end is the parser's to refuse. */
static bool scan_string(struct scan *scan)
{
	static const char nul[] = "\\u0000";
	while (scan->at < scan->end && *scan->at != '"') {
		size_t left = (size_t)(scan->end - scan->at);
		/* T-31: a reader in C and another would see two different names. */
		if (left >= sizeof nul - 1 && memcmp(scan->at, nul, sizeof nul - 1) == 0)
			return false;
		scan->at += *scan->at == '\\' && left > 1 ? 2 : 1;
	}
	if (scan->at < scan->end)
		scan->at++;
	return true;
}

static bool is_between_tokens(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':';
}

/* Pass over a number or a word, be it one or not. */
static void scan_scalar(struct scan *scan)
{
	while (scan->at < scan->end && !is_between_tokens(*scan->at) && !strchr("[]{}\"", *scan->at))
		scan->at++;
}

/* Pass over one token; the reason for a refusal, or NULL. */
static const char *scan_token(struct scan *scan)
{
	char c = *scan->at++;
	switch (c) {
	case '[':
	case '{':
		return ++scan->depth > LIMIT_JSON_DEPTH ? "nested too deep" : NULL;
	case ']':
	case '}':
		if (scan->depth > 0)
			scan->depth--;
		return NULL;
	case '"':
		return scan_string(scan) ? NULL : "a NUL in a string";
	default:
		scan_scalar(scan);
		return NULL;
	}
}

static bool scan_document(const char *bytes, size_t length, size_t token_maximum, struct error *err)
{
	struct scan scan = {.at = bytes, .end = bytes + length};
	while (scan.at < scan.end) {
		if (is_between_tokens(*scan.at)) {
			scan.at++;
			continue;
		}
		const char *wrong = ++scan.tokens > token_maximum ? "too many values" : scan_token(&scan);
		if (wrong)
			return error_set(err, ERR_CORRUPT, "JSON: %s at byte %td", wrong, scan.at - bytes);
	}
	return true;
}

bool json_parse_large(const void *bytes, size_t length, size_t token_maximum, json_t **root, struct error *err)
{
	if (length == 0)
		return error_set(err, ERR_CORRUPT, "JSON: empty");
	/* The parser passes over one behind a number, as if it were not there. */
	const char *nul = memchr(bytes, '\0', length);
	if (nul)
		return error_set(err, ERR_CORRUPT, "JSON: a NUL at byte %td", nul - (const char *)bytes);
	if (!scan_document(bytes, length, token_maximum, err))
		return false;
	json_set_alloc_funcs(memory_for_library, free);
	json_error_t wrong;
	json_t *document = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &wrong);
	if (!document) {
		char why[LIMIT_FOREIGN_TEXT];
		str_sanitize(wrong.text, strlen(wrong.text), why, sizeof why);
		return error_set(err, ERR_CORRUPT, "JSON: %s at byte %d", why, wrong.position);
	}
	*root = document;
	return true;
}

bool json_parse(const void *bytes, size_t length, json_t **root, struct error *err)
{
	return json_parse_large(bytes, length, LIMIT_JSON_TOKENS, root, err);
}

/* The next letter of @key as Go's encoding/json folds it: two letters outside ASCII are equal to k and s (T-31). */
static char fold_letter(const char **key)
{
	static const struct {
		const char *letter;
		char folded;
	} outside_ascii[] = {{"\xe2\x84\xaa" /* the Kelvin sign */, 'k'}, {"\xc5\xbf" /* the long s */, 's'}};
	for (size_t i = 0; i < array_count(outside_ascii); i++)
		if (str_starts_with(*key, outside_ascii[i].letter)) {
			*key += strlen(outside_ascii[i].letter);
			return outside_ascii[i].folded;
		}
	char c = *(*key)++;
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_same_folded(const char *a, const char *b)
{
	for (;;) {
		char folded = fold_letter(&a);
		if (folded != fold_letter(&b))
			return false;
		if (folded == '\0')
			return true;
	}
}

static bool refuse_other_case(
	const json_t *object, const struct json_field *fields, size_t field_count, struct error *err)
{
	const char *key;
	const json_t *value;
	json_object_foreach ((json_t *)object, key, value) {
		for (size_t i = 0; i < field_count; i++) {
			if (strcmp(key, fields[i].key) == 0 || !is_same_folded(key, fields[i].key))
				continue;
			return error_set(err, ERR_CORRUPT, "JSON: key \"%s\" in another case, which some take for it",
				fields[i].key);
		}
	}
	return true;
}

/* Put @value into the field's slot; what was wanted when it is something else, or NULL. */
static const char *fill_slot(const struct json_field *field, json_t *value)
{
	switch (field->type) {
	case JSON_WANT_TEXT:
		if (!json_is_string(value))
			return "text";
		*(const char **)field->slot = json_string_value(value);
		return NULL;
	case JSON_WANT_INTEGER:
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return "a whole number, not negative";
		*(int64_t *)field->slot = json_integer_value(value);
		return NULL;
	case JSON_WANT_OBJECT:
		if (!json_is_object(value))
			return "an object";
		break;
	case JSON_WANT_ARRAY:
		if (!json_is_array(value))
			return "an array";
		break;
	}
	*(json_t **)field->slot = value;
	return NULL;
}

bool json_read(const json_t *object, const struct json_field *fields, size_t field_count, struct error *err)
{
	if (!json_is_object(object))
		return error_set(err, ERR_CORRUPT, "JSON: not an object");
	if (!refuse_other_case(object, fields, field_count, err))
		return false;
	for (size_t i = 0; i < field_count; i++) {
		json_t *value = json_object_get(object, fields[i].key);
		if (!value || json_is_null(value)) {
			if (fields[i].need == JSON_OPTIONAL)
				continue;
			return error_set(err, ERR_CORRUPT, "JSON: \"%s\" is missing", fields[i].key);
		}
		const char *wanted = fill_slot(&fields[i], value);
		if (wanted)
			return error_set(err, ERR_CORRUPT, "JSON: \"%s\" is not %s", fields[i].key, wanted);
	}
	return true;
}

const char *json_library_version(void)
{
	return jansson_version_str();
}
