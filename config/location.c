#include "config/location.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "oci/template.h"

#include <string.h>

#define SCHEME_LAYOUT "oci:"
#define SCHEME_DOCKER "docker://"

static void reference_release_pointer(struct reference *reference)
{
	reference_release(reference);
}
#define auto_reference __attribute__((cleanup(reference_release_pointer)))

/* --- paths ----------------------------------------------------------------------------------------------------- */

char *location_path(const char *folder, const char *path)
{
	auto_free char *whole = *path == '/' ? memory_text(path) : memory_format("%s/%s", folder, path);
	char *clean = memory_new(strlen(whole) + 2, 1);
	size_t used = 0;
	for (const char *p = whole; *p;) {
		size_t length = strcspn(p, "/");
		bool is_nothing = length == 0 || (length == 1 && *p == '.');
		if (!is_nothing) {
			clean[used++] = '/';
			memcpy(clean + used, p, length);
			used += length;
		}
		p += length + (p[length] == '/');
	}
	if (used == 0)
		clean[used++] = '/';
	clean[used] = '\0';
	return clean;
}

static bool refuse_later(const char *text, struct error *err)
{
	static const char *const schemes[] = {"oci-archive:", "docker-archive:"};
	for (size_t i = 0; i < array_count(schemes); i++)
		if (str_starts_with(text, schemes[i]))
			return error_set(err, ERR_UNSUPPORTED, "\"%s\" is not supported by this version", schemes[i]);
	return true;
}

static bool is_layout(const char *text)
{
	return str_starts_with(text, SCHEME_LAYOUT);
}

static bool parse_layout(const char *text, const char *folder, char **directory, struct error *err)
{
	const char *path = text + strlen(SCHEME_LAYOUT);
	if (!*path)
		return error_set(err, ERR_INVALID, "\"oci:\" names no directory");
	if (strchr(path, ':'))
		return error_set(err, ERR_INVALID,
			"\"%.200s\": a layout is given as oci:DIR, without \":\" in DIR or an image behind it", text);
	if (strchr(path, '{'))
		return error_set(err, ERR_UNSUPPORTED,
			"\"%.200s\": placeholders in a directory are not supported by this version", text);
	*directory = location_path(folder, path);
	return true;
}

/* --- sources --------------------------------------------------------------------------------------------------- */

/* A host, a prefix, a star. The host is always there: nothing is below one of Docker Hub's short names. */
static bool parse_pattern(const char *text, struct config_repository *repository, struct error *err)
{
	const char *name = str_starts_with(text, SCHEME_DOCKER) ? text + strlen(SCHEME_DOCKER) : text;
	size_t length = strlen(name), host_length = strcspn(name, "/");
	if (!str_ends_with(name, "/*") || strchr(name, '*') != name + length - 1)
		return error_set(err, ERR_INVALID,
			"\"%.200s\": the pattern of repositories is HOST/PREFIX/*, for all below PREFIX, or HOST/*",
			text);
	auto_free char *host = memory_text_of(name, host_length);
	auto_free char *sample = memory_format("%.*sa", (int)length - 1, name);
	auto_reference struct reference reference = {0};
	if (!location_host(host, &repository->domain, err) || !reference_parse(sample, &reference, err))
		return error_wrap(err, "\"%.200s\"", text);
	bool has_prefix = host_length + 2 < length;
	repository->is_pattern = true;
	repository->repository =
		memory_text_of(reference.repository, has_prefix ? strlen(reference.repository) - strlen("/a") : 0);
	return true;
}

bool location_source(const char *text, const char *folder, struct config_repository *repository, struct error *err)
{
	if (!refuse_later(text, err))
		return false;
	if (is_layout(text)) {
		repository->is_layout = true;
		return parse_layout(text, folder, &repository->directory, err);
	}
	if (strchr(text, '*'))
		return parse_pattern(text, repository, err);
	auto_reference struct reference reference = {0};
	if (!reference_parse(text, &reference, err))
		return false;
	repository->domain = memory_text(reference.domain);
	repository->repository = memory_text(reference.repository);
	repository->tag = memory_text(reference.tag);
	repository->digest = reference.digest;
	return true;
}

char *location_source_name(const struct config_repository *repository)
{
	if (repository->is_layout)
		return memory_format("oci:%s", repository->directory);
	const char *digest = repository->digest.text, *prefix = repository->repository;
	if (repository->is_pattern)
		return memory_format("%s/%s%s*", repository->domain, prefix, *prefix ? "/" : "");
	return memory_format("%s/%s%s%s%s%s", repository->domain, repository->repository, repository->tag ? ":" : "",
		repository->tag ? repository->tag : "", *digest ? "@" : "", digest);
}

/* --- targets --------------------------------------------------------------------------------------------------- */

bool location_host(const char *text, char **domain, struct error *err)
{
	/* A host can only be told from a path where a path follows (REF-1). */
	auto_free char *with_path = memory_format("%s/a/a", text);
	auto_reference struct reference reference = {0};
	if (strchr(text, '/') || !reference_parse(with_path, &reference, NULL) || !str_is(reference.repository, "a/a"))
		return error_set(err, ERR_INVALID,
			"\"%.200s\" is not a registry host: it has a dot or a port, or is localhost", text);
	*domain = memory_text(reference.domain);
	return true;
}

static bool append_placeholder(
	const char *name, size_t length, const struct config_repository *source, struct buf *out, struct error *err)
{
	if (length == strlen("repository") && strncmp(name, "repository", length) == 0) {
		const char *path = source->is_pattern ? TEMPLATE_REPOSITORY : source->repository;
		return buf_append(out, path, strlen(path), err);
	}
	if (length != strlen("registry") || strncmp(name, "registry", length) != 0)
		return error_set(err, ERR_INVALID, "unknown placeholder {%.*s}; there are {registry} and {repository}",
			(int)length, name);
	/* A path has no colon. */
	for (const char *p = source->domain; *p; p++)
		if (!buf_append(out, *p == ':' ? "_" : p, 1, err))
			return false;
	return true;
}

static bool fill_template(
	const char *template, const struct config_repository *source, struct buf *out, struct error *err)
{
	for (const char *p = template; *p;) {
		size_t plain = strcspn(p, "{");
		if (!buf_append(out, p, plain, err))
			return false;
		p += plain;
		if (!*p)
			break;
		size_t length = strcspn(++p, "}");
		if (!p[length])
			return error_set(err, ERR_INVALID, "\"%.200s\": \"{\" without \"}\"", template);
		if (!append_placeholder(p, length, source, out, err))
			return false;
		p += length + 1;
	}
	return true;
}

/* docker takes a name without a host to be Docker Hub's. Nobody shall write there by leaving the host out. */
static bool names_its_host(const char *name)
{
	size_t first = strcspn(name, "/");
	return memchr(name, '.', first) || memchr(name, ':', first) || strncmp(name, "localhost/", first + 1) == 0;
}

/* @name is host and path. */
static bool parse_target(const char *name, struct config_target *target, struct error *err)
{
	auto_reference struct reference reference = {0};
	if (!strchr(name, '/'))
		return error_set(err, ERR_INVALID, "\"%.200s\" names no repository: write HOST/PATH", name);
	if (!reference_parse(name, &reference, err))
		return false;
	if (reference.tag || !digest_is_empty(&reference.digest))
		return error_set(err, ERR_INVALID, "\"%.200s\": a target is a repository, without tag or digest", name);
	if (str_is(reference.domain, "docker.io") && !names_its_host(name))
		return error_set(err, ERR_INVALID,
			"\"%.200s\": a target begins with its registry's host (docker.io/... is Docker Hub)", name);
	target->domain = memory_text(reference.domain);
	target->repository = memory_text(reference.repository);
	return true;
}

/* What is in a layout is known when it is read: its own names go below the target. */
static bool parse_target_of_layout(const char *name, struct config_target *target, struct error *err)
{
	if (strchr(name, '{'))
		return error_set(err, ERR_INVALID, "\"%.200s\": placeholders need a registry as source", name);
	if (strchr(name, '/'))
		return parse_target(name, target, err);
	if (!location_host(name, &target->domain, err))
		return false;
	target->repository = memory_text("");
	return true;
}

/* The repositories are known when they are listed: @whole gets a place for each one's path. */
static bool parse_target_of_pattern(struct buf *whole, struct config_target *target, struct error *err)
{
	const char *place = strstr(buf_peek(whole), TEMPLATE_REPOSITORY);
	if (place && strstr(place + 1, TEMPLATE_REPOSITORY))
		return error_set(err, ERR_INVALID, "{repository} twice, and the source is a pattern");
	if (!place && !buf_appendf(whole, err, "/%s", TEMPLATE_REPOSITORY))
		return false;
	auto_free char *sample = template_fill(buf_peek(whole), "a/a");
	if (!parse_target(sample, target, err))
		return false;
	const char *path = strchr(buf_peek(whole), '/');
	free(target->repository);
	target->repository = memory_text(path ? path + 1 : "");
	if (strstr(target->repository, TEMPLATE_REPOSITORY))
		return true;
	free(target->repository);
	free(target->domain);
	target->repository = target->domain = NULL;
	return error_set(
		err, ERR_INVALID, "\"%.200s\": {repository} is for the path, not for the host", buf_peek(whole));
}

static bool registry_target(const char *text, enum location_use use, const struct config_repository *source,
	struct config_target *target, struct error *err)
{
	const char *name = str_starts_with(text, SCHEME_DOCKER) ? text + strlen(SCHEME_DOCKER) : text;
	if (source->is_layout)
		return parse_target_of_layout(name, target, err);
	auto_buf struct buf whole;
	buf_init(&whole, LIMIT_CONFIG_FILE_BYTES);
	if (!fill_template(name, source, &whole, err))
		return false;
	if (source->is_pattern)
		return parse_target_of_pattern(&whole, target, err);
	bool is_template = strchr(name, '{');
	if (use == LOCATION_PREFIX && !is_template && !buf_appendf(&whole, err, "/%s", source->repository))
		return false;
	return parse_target(buf_peek(&whole), target, err);
}

bool location_target(const char *text, enum location_use use, const char *folder,
	const struct config_repository *source, struct config_target *target, struct error *err)
{
	if (!refuse_later(text, err))
		return false;
	if (!is_layout(text))
		return registry_target(text, use, source, target, err);
	if (!parse_layout(text, folder, &target->directory, err))
		return false;
	target->is_layout = true;
	const char *path = source->is_pattern ? TEMPLATE_REPOSITORY : source->repository;
	target->repository = source->is_layout ? memory_text("") : memory_format("%s/%s", source->domain, path);
	return true;
}

char *location_target_name(const struct config_target *target)
{
	const char *name = target->repository;
	if (target->is_layout && target->bare_tags)
		return memory_format("oci:%s", target->directory);
	if (target->is_layout)
		return memory_format("oci:%s%s%s", target->directory, *name ? ":" : "", name);
	return memory_format("%s%s%s", target->domain, *name ? "/" : "", name);
}
