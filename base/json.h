/*
 * Strict JSON for documents that somebody else wrote.
 *
 * Before the parser sees a byte, a pre-scan without recursion refuses what could hurt it or be read two ways: deeper
 * than LIMIT_JSON_DEPTH, more than LIMIT_JSON_TOKENS, a NUL escape (T-30, MSC-7). The parser refuses duplicate keys and
 * bytes that are not UTF-8. json_read() decodes an object by a table of rows, and refuses a key that equals a known
 * one but for its case, since other readers would take it (T-31).
 */
#ifndef DRAY_BASE_JSON_H
#define DRAY_BASE_JSON_H

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

/**
 * Parse one document of @length bytes, which must be an object or an array, into *root (json_decref() frees it).
 * ERR_CORRUPT: not JSON, duplicate key, too deep, too many tokens; the text has the position.
 */
must_check bool json_parse(const void *bytes, size_t length, json_t **root, struct error *err);

/** json_parse() with another cap on tokens, for a document that may be long: the index.json of a layout. */
must_check bool json_parse_large(
	const void *bytes, size_t length, size_t token_maximum, json_t **root, struct error *err);

static inline void json_decref_pointer(json_t **slot)
{
	json_decref(*slot);
}
#define auto_json __attribute__((cleanup(json_decref_pointer)))

enum json_type_wanted {
	JSON_WANT_TEXT,    /* const char **, borrowed from the document */
	JSON_WANT_INTEGER, /* int64_t *; negatives, fractions and exponents are refused (MSC-6) */
	JSON_WANT_OBJECT,  /* json_t **, borrowed */
	JSON_WANT_ARRAY,   /* json_t **, borrowed */
};

enum json_need {
	JSON_REQUIRED,
	JSON_OPTIONAL, /* absent or null leaves *slot as it was */
};

struct json_field {
	const char *key;
	enum json_type_wanted type;
	enum json_need need;
	void *slot;
};

/**
 * Fill the slots of @fields from @object. Unknown keys are ignored, unless one is a known key in another case.
 * ERR_CORRUPT: not an object, a required key is missing, a type is wrong; the text names the key.
 */
must_check bool json_read(const json_t *object, const struct json_field *fields, size_t field_count, struct error *err);

/** Of jansson, such as "2.14". */
const char *json_library_version(void);

#endif
