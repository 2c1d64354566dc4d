#include "sync/registry/challenge.h"

#include "base/memory.h"
#include "base/str.h"

#include <string.h>

/* RFC 9110, 5.6.2 */
static bool is_token_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static char *take_token(const char **p)
{
	const char *start = *p;
	while (is_token_byte(**p))
		(*p)++;
	return memory_text_of(start, (size_t)(*p - start));
}

/* AUTH-7: an unterminated string is the rest of the line. */
static char *take_quoted(const char **p)
{
	char *value = memory_new(strlen(*p) + 1, 1), *out = value;
	while (**p && **p != '"') {
		if (**p == '\\' && (*p)[1])
			(*p)++;
		*out++ = *(*p)++;
	}
	if (**p)
		(*p)++;
	return value;
}

/* AUTH-7: wider than a token, since zot sends bare URLs. */
static char *take_bare(const char **p)
{
	const char *start = *p;
	while (**p && **p != ',' && !is_blank(**p))
		(*p)++;
	return memory_text_of(start, (size_t)(*p - start));
}

static char *take_value(const char **p)
{
	if (**p != '"')
		return take_bare(p);
	(*p)++;
	return take_quoted(p);
}

static enum challenge_scheme scheme_of(const char *name)
{
	if (str_is_nocase(name, "Bearer"))
		return CHALLENGE_BEARER;
	return str_is_nocase(name, "Basic") ? CHALLENGE_BASIC : CHALLENGE_NONE;
}

static void set_parameter(struct challenge *challenge, const char *name, char *value)
{
	struct {
		const char *name;
		char **slot;
	} known[] = {{"realm", &challenge->realm}, {"service", &challenge->service}, {"scope", &challenge->scope},
		{"error", &challenge->error}};
	for (size_t i = 0; i < array_count(known); i++)
		if (str_is_nocase(name, known[i].name) && !*known[i].slot) {
			*known[i].slot = value;
			return;
		}
	free(value);
}

/* One challenge is complete: it stays, or what there was. Leaves *fresh empty. */
static void consider(struct challenge *best, struct challenge *fresh)
{
	bool usable = fresh->scheme != CHALLENGE_BEARER || (fresh->realm && *fresh->realm);
	bool offers_basic = best->offers_basic || fresh->scheme == CHALLENGE_BASIC;
	if (usable && fresh->scheme > best->scheme) {
		challenge_release(best);
		*best = *fresh;
		*fresh = (struct challenge){.scheme = CHALLENGE_NONE};
	}
	best->offers_basic = offers_basic;
	challenge_release(fresh);
}

void challenge_read(struct challenge *challenge, const char *header)
{
	struct challenge fresh = {.scheme = CHALLENGE_NONE};
	for (const char *p = header; *p;) {
		if (!is_token_byte(*p)) {
			p++;
			continue;
		}
		auto_free char *name = take_token(&p);
		const char *behind = skip_blanks(p);
		if (*behind == '=') { /* a parameter; else a scheme (AUTH-5) */
			p = skip_blanks(behind + 1);
			set_parameter(&fresh, name, take_value(&p));
		} else {
			consider(challenge, &fresh);
			fresh.scheme = scheme_of(name);
		}
	}
	consider(challenge, &fresh);
}

void challenge_release(struct challenge *challenge)
{
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	free(challenge->error);
	*challenge = (struct challenge){.scheme = CHALLENGE_NONE};
}
