#include "sync/registry/scope.h"

#include "base/memory.h"
#include "base/str.h"

#include <string.h>

/* Bytes before the actions, with the colon. A name may hold colons of its own (AUTH-19); "aws" has no actions. */
static size_t subject_length(const char *scope)
{
	const char *colon = strrchr(scope, ':');
	return colon ? (size_t)(colon + 1 - scope) : strlen(scope);
}

static bool has_action(const char *actions, const char *action, size_t length)
{
	for (const char *p = actions; *p; p += *p == ',') {
		size_t here = strcspn(p, ",");
		if (here == length && memcmp(p, action, length) == 0)
			return true;
		p += here;
	}
	return false;
}

static void join_actions(char **scope, size_t subject, const char *actions)
{
	for (const char *p = actions; *p; p += *p == ',') {
		size_t length = strcspn(p, ",");
		if (length > 0 && !has_action(*scope + subject, p, length)) {
			char *joined = memory_format("%s%s%.*s", *scope, (*scope)[subject] ? "," : "", (int)length, p);
			free(*scope);
			*scope = joined;
		}
		p += length;
	}
}

static void add(struct scopes *scopes, const char *scope)
{
	size_t subject = subject_length(scope);
	for (size_t i = 0; i < scopes->count; i++)
		if (subject_length(scopes->texts[i]) == subject && memcmp(scopes->texts[i], scope, subject) == 0) {
			join_actions(&scopes->texts[i], subject, scope + subject);
			return;
		}
	if (scopes->count < SCOPES_MAX)
		scopes->texts[scopes->count++] = memory_text(scope);
}

void scopes_add(struct scopes *scopes, const char *repository, const char *actions)
{
	auto_free char *scope = memory_format("repository:%s:%s", repository, actions);
	add(scopes, scope);
}

void scopes_add_list(struct scopes *scopes, const char *list)
{
	for (const char *p = list; *p; p += *p == ' ') {
		size_t length = strcspn(p, " ");
		auto_free char *scope = memory_text_of(p, length);
		if (length > 0)
			add(scopes, scope);
		p += length;
	}
}

void scopes_add_general(struct scopes *scopes, const struct scopes *others)
{
	for (size_t i = 0; i < others->count; i++)
		if (!strchr(others->texts[i], ':'))
			add(scopes, others->texts[i]);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *scopes_key(const struct scopes *scopes)
{
	struct scopes sorted = *scopes;
	qsort(sorted.texts, sorted.count, sizeof sorted.texts[0], compare);
	char *key = memory_text("");
	for (size_t i = 0; i < sorted.count; i++) {
		char *longer = memory_format("%s%s%s", key, i ? " " : "", sorted.texts[i]);
		free(key);
		key = longer;
	}
	return key;
}

void scopes_release(struct scopes *scopes)
{
	for (size_t i = 0; i < scopes->count; i++)
		free(scopes->texts[i]);
	scopes->count = 0;
}
