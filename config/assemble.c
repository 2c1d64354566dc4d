#include "config/assemble.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "config/location.h"
#include "config/schema.h"
#include "config/selection.h"
#include "oci/template.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
	TARGETS_MAX = 20, /* of one entry: a transfer takes its places at all of them in one step */
};

struct assembly {
	struct problems *problems;
	const char *folder;
	struct node *defaults;
	struct config *config;
};

static int64_t number_of(const struct node *map, const char *key, int64_t otherwise)
{
	const struct node *node = node_get(map, key);
	return node && !node->bad ? node->number : otherwise;
}

/* The absolute path of a file that can be read, or NULL. */
static char *existing_file(struct assembly *assembly, const struct node *map, const char *key)
{
	const char *text = node_text(map, key);
	if (!text)
		return NULL;
	auto_free char *path = location_path(assembly->folder, text);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return memory_text(path);
	const char *reason = fd >= 0 ? "not a regular file" : strerror(errno);
	problems_add(assembly->problems, node_get(map, key)->place, "%s: %.300s: %s", key, path, reason);
	return NULL;
}

/* --- registries ------------------------------------------------------------------------------------------------ */

static void need_together(struct assembly *assembly, const struct node *map, const char *given, const char *needed)
{
	const struct node *node = node_get(map, given);
	if (node && !node_get(map, needed))
		problems_add(assembly->problems, node->key_place, "\"%s\" needs \"%s\"", given, needed);
}

static void read_tls(struct assembly *assembly, const struct node *tls, struct config_registry *registry)
{
	if (tls->kind == NODE_SCALAR) {
		registry->tls = CONFIG_TLS_ON + (unsigned)tls->number;
		return;
	}
	bool verifies = number_of(tls, "verify", SCHEMA_TRUE) == SCHEMA_TRUE;
	registry->tls = verifies ? CONFIG_TLS_ON : CONFIG_TLS_INSECURE;
	registry->ca_file = existing_file(assembly, tls, "ca");
	registry->certificate_file = existing_file(assembly, tls, "certificate");
	registry->key_file = existing_file(assembly, tls, "key");
	need_together(assembly, tls, "certificate", "key");
	need_together(assembly, tls, "key", "certificate");
	if (!verifies && node_get(tls, "ca"))
		problems_add(assembly->problems, node_get(tls, "ca")->key_place,
			"\"ca\" is never looked at with \"verify: false\"");
}

/* A list of hosts, in the spelling of references. */
static void add_hosts(struct assembly *assembly, const struct node *list, char ***hosts, size_t *count)
{
	struct error err;
	if (!list || list->bad)
		return;
	*hosts = memory_new(list->child_count + 1, sizeof **hosts);
	for (size_t i = 0; i < list->child_count; i++) {
		const struct node *node = list->children[i];
		if (node->bad)
			continue;
		if (location_host(node->text, &(*hosts)[*count], &err))
			(*count)++;
		else
			problems_add(assembly->problems, node->place, "%s", err.text);
	}
}

static void add_registry(struct assembly *assembly, const struct node *node)
{
	struct config *config = assembly->config;
	struct error err;
	char *domain = NULL;
	if (!location_host(node->key, &domain, &err)) {
		problems_add(assembly->problems, node->key_place, "%s", err.text);
		return;
	}
	const struct config_registry *twin = config_find_registry(config, domain);
	if (twin)
		problems_add(assembly->problems, node->key_place, "%.200s is the same host as %.200s in line %d",
			node->key, twin->domain, twin->place.line);
	struct config_registry *registry = &config->registries[config->registry_count++];
	registry->domain = domain;
	registry->place = node->key_place;
	const struct node *tls = node_get(node, "tls");
	if (tls && !tls->bad)
		read_tls(assembly, tls, registry);
	const struct node *credentials = node_get(node, "credentials");
	registry->username = memory_text(node_text(credentials, "username"));
	const struct node *password = node_get(credentials, "password");
	config->has_password |= password && !password->is_masked;
	registry->password = memory_text(node_text(credentials, "password"));
	add_hosts(assembly, node_get(node, "realms"), &registry->realms, &registry->realm_count);
	add_hosts(assembly, node_get(node, "upload-hosts"), &registry->upload_hosts, &registry->upload_host_count);
	registry->blob_slots = number_of(node, "blob-slots", 0);
	registry->metadata_slots = number_of(node, "metadata-slots", 0);
}

static void add_registries(struct assembly *assembly, const struct node *hosts)
{
	if (!hosts || hosts->child_count == 0)
		return;
	assembly->config->registries = memory_new(hosts->child_count, sizeof(struct config_registry));
	for (size_t i = 0; i < hosts->child_count; i++)
		if (!hosts->children[i]->bad)
			add_registry(assembly, hosts->children[i]);
}

/* --- targets --------------------------------------------------------------------------------------------------- */

/* The `target` or `targets` of an entry or of the defaults, or NULL. */
static struct node *targets_of(struct assembly *assembly, const struct node *map)
{
	struct node *one = node_get(map, "target"), *many = node_get(map, "targets");
	if (one && many)
		problems_add(assembly->problems, many->key_place,
			"\"targets\" beside \"target\" in line %d: give one of them", one->key_place.line);
	return one ? one : many;
}

static bool same_target(const struct config_target *a, const struct config_target *b)
{
	if (a->is_layout != b->is_layout || !str_is(a->repository, b->repository))
		return false;
	return a->is_layout ? str_is(a->directory, b->directory) : str_is(a->domain, b->domain);
}

static bool is_onto_itself(const struct config_repository *source, const struct config_target *target)
{
	if (source->is_layout || target->is_layout)
		return source->is_layout && target->is_layout && str_is(source->directory, target->directory);
	if (!str_is(source->domain, target->domain))
		return false;
	if (source->is_pattern) /* or among what it will list next time */
		return templates_may_meet(
			source->repository, TEMPLATE_REPOSITORY, source->repository, target->repository);
	return str_is(source->repository, target->repository);
}

static void note_target(
	struct assembly *assembly, const struct config_repository *repository, const struct config_target *target)
{
	auto_free char *name = location_target_name(target);
	for (size_t i = 0; i < repository->target_count; i++)
		if (same_target(&repository->targets[i], target))
			problems_add(assembly->problems, target->place,
				"duplicate target: %.200s is a target of this entry already, in line %d", name,
				repository->targets[i].place.line);
	if (is_onto_itself(repository, target))
		problems_add(assembly->problems, target->place,
			repository->is_pattern ? "%.200s would be among its own sources"
					       : "%.200s would be copied onto itself",
			name);
}

static void add_target(
	struct assembly *assembly, struct node *node, enum location_use use, struct config_repository *repository)
{
	struct error err;
	struct config_target target = {.place = node->place};
	if (node->bad)
		return;
	if (!location_target(node->text, use, assembly->folder, repository, &target, &err)) {
		problems_add(assembly->problems, node->place, "%s", err.text);
		return;
	}
	note_target(assembly, repository, &target);
	repository->targets =
		memory_resize(repository->targets, repository->target_count + 1, sizeof *repository->targets);
	repository->targets[repository->target_count++] = target;
}

static void add_targets(struct assembly *assembly, const struct node *entry, struct config_repository *repository)
{
	struct node *own = targets_of(assembly, entry);
	struct node *node = own ? own : targets_of(assembly, assembly->defaults);
	enum location_use use = own ? LOCATION_EXACT : LOCATION_PREFIX;
	if (!node) {
		problems_add(assembly->problems, entry->place,
			"no target: give one here, or for all entries under \"defaults\"");
		return;
	}
	if (node->child_count > TARGETS_MAX) {
		problems_add(assembly->problems, node->place, "more than %d targets", TARGETS_MAX);
		return;
	}
	if (node->kind == NODE_SCALAR)
		add_target(assembly, node, use, repository);
	for (size_t i = 0; i < node->child_count; i++)
		add_target(assembly, node->children[i], use, repository);
}

static void set_names(struct assembly *assembly, const struct node *entry, struct config_repository *repository)
{
	bool any = false;
	for (size_t i = 0; i < repository->target_count; i++) {
		repository->targets[i].bare_tags = repository->targets[i].is_layout;
		any |= repository->targets[i].is_layout;
	}
	if (any && repository->is_pattern)
		problems_add(assembly->problems, node_get(entry, "names")->key_place,
			"\"names: tag\" is for a layout of one repository, and the source is a pattern");
	if (!any && repository->target_count > 0)
		problems_add(assembly->problems, node_get(entry, "names")->key_place,
			"\"names\" is for layouts, and no target of this entry is one");
}

/* --- entries --------------------------------------------------------------------------------------------------- */

/* What the entry says about @key, or else the defaults; NULL where neither does, or one of them is bad. */
static const struct node *setting(const struct assembly *assembly, const struct node *entry, const char *key)
{
	const struct node *own = node_get(entry, key);
	const struct node *node = own ? own : node_get(assembly->defaults, key);
	return node && !node->bad ? node : NULL;
}

static void add_patterns(struct assembly *assembly, struct tag_filter *filter, const struct node *list,
	bool (*add)(struct tag_filter *filter, const char *pattern, struct error *err))
{
	for (size_t i = 0; list && i < list->child_count; i++) {
		const struct node *node = list->children[i];
		struct error err;
		if (!node->bad && !add(filter, node->text, &err))
			problems_add(assembly->problems, node->place, "%s", err.text);
	}
}

static void add_filter(struct assembly *assembly, const struct node *entry, struct config_repository *repository)
{
	const struct node *own = node_get(entry, "tags");
	const struct node *tags = setting(assembly, entry, "tags");
	if (repository->tag || !digest_is_empty(&repository->digest)) {
		if (own)
			problems_add(assembly->problems, own->key_place,
				"\"tags\" chooses among tags, and the source names one image");
		return;
	}
	if (!tags)
		return;
	if (tags->child_count == 0)
		problems_add(assembly->problems, tags->place, "tags is empty; give \"allow\" or \"deny\"");
	repository->filter = tag_filter_new();
	add_patterns(assembly, repository->filter, node_get(tags, "allow"), tag_filter_allow);
	add_patterns(assembly, repository->filter, node_get(tags, "deny"), tag_filter_deny);
}

static void add_platforms(struct assembly *assembly, const struct node *entry, struct config_repository *repository)
{
	const struct node *list = setting(assembly, entry, "platforms");
	if (!list)
		return;
	repository->platforms = memory_new(list->child_count, sizeof *repository->platforms);
	for (size_t i = 0; i < list->child_count; i++) {
		const struct node *node = list->children[i];
		struct error err;
		if (node->bad)
			continue;
		if (platform_parse(node->text, &repository->platforms[repository->platform_count], &err))
			repository->platform_count++;
		else
			problems_add(assembly->problems, node->place, "%s", err.text);
	}
}

/* What was written is remembered there, and nowhere else. */
static void check_on_conflict(struct assembly *assembly, const struct node *map)
{
	if (number_of(map, "on-conflict", CONFIG_CONFLICT_OVERWRITE) != CONFIG_CONFLICT_OVERWRITE &&
		!assembly->config->state_file)
		problems_add(assembly->problems, node_get(map, "on-conflict")->key_place,
			"\"on-conflict: %s\" needs \"state\"", node_text(map, "on-conflict"));
}

static void add_repository(struct assembly *assembly, const struct node *entry)
{
	const struct node *source = entry->kind == NODE_SCALAR ? entry : node_get(entry, "source");
	if (entry->bad || !source || source->bad)
		return;
	struct error err;
	struct config *config = assembly->config;
	struct config_repository *repository = &config->repositories[config->repository_count++];
	repository->place = entry->place;
	if (!location_source(source->text, assembly->folder, repository, &err)) {
		problems_add(assembly->problems, source->place, "%s", err.text);
		return;
	}
	add_targets(assembly, entry, repository);
	if (number_of(entry, "names", SCHEMA_NAMES_FULL) == SCHEMA_NAMES_TAG)
		set_names(assembly, entry, repository);
	add_filter(assembly, entry, repository);
	add_platforms(assembly, entry, repository);
	const struct node *verify = setting(assembly, entry, "verify");
	repository->verify = verify ? (enum config_verify)verify->number : CONFIG_VERIFY_LAYERS;
	const struct node *foreign = setting(assembly, entry, "foreign");
	repository->foreign = foreign ? (enum config_foreign)foreign->number : CONFIG_FOREIGN_AUTO;
	const struct node *referrers = setting(assembly, entry, "referrers");
	repository->referrers = referrers ? (enum config_referrers)referrers->number : CONFIG_REFERRERS_COPIED;
	const struct node *conflict = setting(assembly, entry, "on-conflict");
	repository->on_conflict = conflict ? (enum config_conflict)conflict->number : CONFIG_CONFLICT_OVERWRITE;
	check_on_conflict(assembly, entry);
	const struct node *sparse = setting(assembly, entry, "sparse");
	repository->keeps_sparse = sparse && sparse->number == 1;
	repository->merge = number_of(entry, "merge", SCHEMA_FALSE) == SCHEMA_TRUE;
}

static void add_repositories(struct assembly *assembly, const struct node *list)
{
	if (!list || list->child_count == 0)
		return;
	assembly->config->repositories = memory_new(list->child_count, sizeof(struct config_repository));
	for (size_t i = 0; i < list->child_count; i++)
		add_repository(assembly, list->children[i]);
}

/* --- defaults -------------------------------------------------------------------------------------------------- */

static void check_default_target(struct assembly *assembly, struct node *node, const struct config_repository *sample)
{
	struct error err;
	struct config_target target = {0};
	if (!node->bad && !location_target(node->text, LOCATION_PREFIX, assembly->folder, sample, &target, &err)) {
		node->bad = true;
		problems_add(assembly->problems, node->place, "%s", err.text);
	}
	config_target_release(&target);
}

/*
 * Defaults are judged on an entry that stands for all, since no real one may use them. A bad target is marked, so that
 * the entries do not say it again in their words.
 */
static void check_defaults(struct assembly *assembly)
{
	struct config_repository sample = {
		.domain = memory_text("docker.io"), .repository = memory_text("library/alpine")};
	struct node *targets = targets_of(assembly, assembly->defaults);
	if (targets && targets->kind == NODE_SCALAR)
		check_default_target(assembly, targets, &sample);
	for (size_t i = 0; targets && i < targets->child_count; i++)
		check_default_target(assembly, targets->children[i], &sample);
	add_filter(assembly, NULL, &sample);
	add_platforms(assembly, NULL, &sample);
	check_on_conflict(assembly, assembly->defaults);
	config_repository_release(&sample);
}

/* --- the state ------------------------------------------------------------------------------------------------- */

/* The layout among the targets in whose folder @path is, or NULL. */
static const char *layout_around(const struct config *config, const char *path)
{
	for (size_t i = 0; i < config->repository_count; i++)
		for (size_t k = 0; k < config->repositories[i].target_count; k++) {
			const struct config_target *target = &config->repositories[i].targets[k];
			size_t length = target->is_layout ? strlen(target->directory) : 0;
			if (target->is_layout && strncmp(path, target->directory, length) == 0 &&
				(path[length] == '/' || !path[length]))
				return target->directory;
		}
	return NULL;
}

/* gc, a copy of the layout, or its deletion would meet it. */
static void check_state(struct assembly *assembly, const struct node *root)
{
	const char *path = assembly->config->state_file;
	const char *layout = path ? layout_around(assembly->config, path) : NULL;
	if (layout)
		problems_add(assembly->problems, node_get(root, "state")->place,
			"state: %.200s is inside the target oci:%.200s and would travel with its images; put it "
			"elsewhere",
			path, layout);
}

void assemble_config(struct node *root, const char *folder, struct config *config, struct problems *problems)
{
	struct assembly assembly = {problems, folder, node_get(root, "defaults"), config};
	const char *state = node_text(root, "state");
	config->state_file = state ? location_path(folder, state) : NULL;
	config->auth_file = existing_file(&assembly, root, "auth-file");
	config->keep_runs = number_of(root, "keep-runs", 0);
	const struct node *staging = node_get(root, "staging");
	const struct node *directory = staging ? node_get(staging, "dir") : NULL;
	config->staging_directory = directory ? location_path(folder, directory->text) : NULL;
	config->staging_limit_bytes = staging ? number_of(staging, "limit-gib", 0) << 30 : 0;
	const struct node *limits = node_get(root, "limits");
	config->images_in_flight = number_of(limits, "images-in-flight", 0);
	config->manifest_mib = number_of(limits, "manifest-mib", 0);
	config->connect_timeout_ms = number_of(limits, "connect-timeout", 0);
	config->stall_timeout_ms = number_of(limits, "stall-timeout", 0);
	config->helper_timeout_ms = number_of(limits, "helper-timeout", 0);
	add_registries(&assembly, node_get(root, "registries"));
	check_defaults(&assembly);
	add_repositories(&assembly, node_get(root, "repos"));
	check_state(&assembly, root);
	conflicts_find(config, problems);
}
