#include "oci/platform.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define PART_MAX (sizeof((struct platform *)0)->os)

/* Move the part at *text, up to a slash, into @part. */
static bool take_part(const char **text, char part[PART_MAX])
{
	size_t length = strspn(*text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
	char end = (*text)[length];
	if (length == 0 || length >= PART_MAX || (end != '/' && end != '\0'))
		return false;
	memcpy(part, *text, length);
	part[length] = '\0';
	*text += length + (end == '/');
	return true;
}

static bool parse_parts(const char *text, struct platform *platform)
{
	const char *end = text + strlen(text);
	if (str_ends_with(text, "/"))
		return false;
	if (!take_part(&text, platform->os) || !take_part(&text, platform->architecture))
		return false;
	return text == end || (take_part(&text, platform->variant) && text == end);
}

bool platform_parse(const char *text, struct platform *platform, struct error *err)
{
	struct platform fresh = {0};
	if (!parse_parts(text, &fresh)) {
		char shown[96];
		str_sanitize(text, strlen(text), shown, sizeof shown);
		return error_set(err, ERR_INVALID,
			"\"%s\" is not a platform; write os/architecture or os/architecture/variant", shown);
	}
	*platform = fresh;
	return true;
}

bool platform_read(const json_t *object, struct platform *platform, struct error *err)
{
	const char *os = "", *architecture = "", *variant = "";
	const struct json_field fields[] = {
		{"os", JSON_WANT_TEXT, JSON_OPTIONAL, &os},
		{"architecture", JSON_WANT_TEXT, JSON_OPTIONAL, &architecture},
		{"variant", JSON_WANT_TEXT, JSON_OPTIONAL, &variant},
	};
	if (!json_read(object, fields, array_count(fields), err))
		return false;
	/* A name that does not fit is cut: it is odd, and no reason to fail a copy (T-36). */
	snprintf(platform->os, PART_MAX, "%s", os);
	snprintf(platform->architecture, PART_MAX, "%s", architecture);
	snprintf(platform->variant, PART_MAX, "%s", variant);
	return true;
}

/* The variant, or the one that is meant where none is written. */
static const char *variant_of(const struct platform *platform)
{
	static const struct {
		const char *architecture, *variant;
	} silent[] = {{"arm64", "v8"}, {"arm", "v7"}, {"amd64", "v1"}};
	if (platform->variant[0])
		return platform->variant;
	for (size_t i = 0; i < array_count(silent); i++)
		if (str_is(platform->architecture, silent[i].architecture))
			return silent[i].variant;
	return "";
}

bool platform_is_unknown(const struct platform *platform)
{
	return str_is(platform->os, "unknown") || str_is(platform->architecture, "unknown");
}

bool platform_matches(const struct platform *wish, const struct platform *entry)
{
	if (platform_is_empty(entry) || platform_is_unknown(entry))
		return false; /* an attestation is never the image (IDX-7) */
	if (!str_is(wish->os, entry->os) || !str_is(wish->architecture, entry->architecture))
		return false;
	return !wish->variant[0] || str_is(wish->variant, variant_of(entry));
}

const char *platform_format(const struct platform *platform, char out[100])
{
	out[0] = '\0';
	if (!platform_is_empty(platform))
		snprintf(out, 100, "%s/%s%s%s", platform->os, platform->architecture, platform->variant[0] ? "/" : "",
			platform->variant);
	return out;
}
