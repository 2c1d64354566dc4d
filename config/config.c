#include "config/config.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "config/assemble.h"
#include "config/check.h"
#include "config/location.h"
#include "config/selection.h"
#include "config/tree.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void config_free_pointer(struct config **slot)
{
	config_free(*slot);
}
#define auto_config __attribute__((cleanup(config_free_pointer)))

static void node_free_pointer(struct node **slot)
{
	node_free(*slot);
}
#define auto_node __attribute__((cleanup(node_free_pointer)))

#define auto_problems __attribute__((cleanup(problems_release)))

/* The folder that @path is in, absolute; NULL where the working directory is gone. */
static char *folder_of(const char *path)
{
	auto_free char *here = *path == '/' ? memory_text("/") : getcwd(NULL, 0);
	if (!here)
		return NULL;
	char *folder = location_path(here, path);
	char *slash = strrchr(folder, '/');
	slash[slash == folder] = '\0';
	return folder;
}

static void build(const char *folder, enum config_use use, const struct buf *bytes, struct config *config,
	struct problems *problems)
{
	auto_node struct node *root = tree_read(buf_peek(bytes), bytes->length, problems);
	if (!root)
		return;
	check_tree(root, problems);
	if (use == CONFIG_TO_MIRROR && !root->bad && !node_get(root, "repos"))
		problems_add(problems, root->place, "\"repos\" is missing");
	if (!root->bad)
		assemble_config(root, folder, config, problems);
}

static bool fail(struct problems *problems, enum error_kind kind, const char *path, struct config_errors *errors,
	struct error *err)
{
	problems_tell(problems, path, errors);
	if (errors->count == 1)
		return error_set(err, kind, "%s", errors->lines[0]);
	return error_set(
		err, kind, "%s: %zu errors, the first: %s", path, problems->count + problems->untold, errors->lines[0]);
}

static bool read_file(const char *path, struct buf *bytes, struct problems *problems, struct error *err)
{
	if (file_read(path, bytes, err))
		return true;
	const char *reason = err->text;
	if (str_starts_with(reason, path) && str_starts_with(reason + strlen(path), ": "))
		reason += strlen(path) + 2;
	problems_add(problems, (struct config_place){0, 0}, "%s", reason);
	return false;
}

static bool others_may_read(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && (status.st_mode & (S_IRGRP | S_IROTH));
}

/* The text of the file, and the folder that it is in, as new memory. */
static bool open_file(
	const char *path, struct buf *bytes, char **folder, struct config_errors *errors, struct error *err)
{
	auto_problems struct problems problems = {0};
	struct error reading;
	buf_init(bytes, LIMIT_CONFIG_FILE_BYTES);
	*errors = (struct config_errors){0};
	if (!read_file(path, bytes, &problems, &reading))
		return fail(&problems, reading.kind == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_INVALID, path, errors, err);
	*folder = folder_of(path);
	return *folder || error_errno(err, "the working directory");
}

bool config_state_file(const char *path, char **state_file, struct config_errors *errors, struct error *err)
{
	auto_problems struct problems problems = {0};
	auto_free char *folder = NULL;
	auto_buf struct buf bytes;
	if (!open_file(path, &bytes, &folder, errors, err))
		return false;
	auto_node struct node *root = tree_read(buf_peek(&bytes), bytes.length, &problems);
	if (root)
		check_tree(root, &problems);
	const struct node *state = root && !root->bad ? node_get(root, "state") : NULL;
	if (!root || root->bad || (state && state->bad))
		return fail(&problems, ERR_INVALID, path, errors, err);
	*state_file = state ? location_path(folder, state->text) : NULL;
	return true;
}

bool config_load(
	const char *path, enum config_use use, struct config **config, struct config_errors *errors, struct error *err)
{
	auto_problems struct problems problems = {0};
	auto_free char *folder = NULL;
	auto_buf struct buf bytes;
	if (!open_file(path, &bytes, &folder, errors, err))
		return false;
	auto_config struct config *fresh = memory_new(1, sizeof *fresh);
	fresh->path = memory_text(path);
	build(folder, use, &bytes, fresh, &problems);
	if (problems.count > 0)
		return fail(&problems, ERR_INVALID, path, errors, err);
	fresh->shows_password = fresh->has_password && others_may_read(path);
	*config = fresh;
	fresh = NULL;
	return true;
}

void config_target_release(struct config_target *target)
{
	free(target->domain);
	free(target->repository);
	free(target->directory);
	*target = (struct config_target){0};
}

static void registry_release(struct config_registry *registry)
{
	free(registry->domain);
	free(registry->ca_file);
	free(registry->certificate_file);
	free(registry->key_file);
	free(registry->username);
	free(registry->password);
	for (size_t i = 0; i < registry->realm_count; i++)
		free(registry->realms[i]);
	free(registry->realms);
	for (size_t i = 0; i < registry->upload_host_count; i++)
		free(registry->upload_hosts[i]);
	free(registry->upload_hosts);
}

void config_repository_release(struct config_repository *repository)
{
	free(repository->domain);
	free(repository->repository);
	free(repository->directory);
	free(repository->tag);
	tag_filter_free(repository->filter);
	for (size_t i = 0; i < repository->target_count; i++)
		config_target_release(&repository->targets[i]);
	free(repository->targets);
	free(repository->platforms);
	*repository = (struct config_repository){0};
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->registry_count; i++)
		registry_release(&config->registries[i]);
	for (size_t i = 0; i < config->repository_count; i++)
		config_repository_release(&config->repositories[i]);
	free(config->registries);
	free(config->repositories);
	free(config->path);
	free(config->state_file);
	free(config->staging_directory);
	free(config->auth_file);
	free(config);
}

void config_errors_release(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct config_errors){0};
}

bool config_same_host(const char *a, const char *b)
{
	auto_free char *left = memory_text_of(a, strlen(a) - (str_ends_with(a, ":443") ? strlen(":443") : 0));
	auto_free char *right = memory_text_of(b, strlen(b) - (str_ends_with(b, ":443") ? strlen(":443") : 0));
	return str_is_nocase(left, right);
}

const struct config_registry *config_find_registry(const struct config *config, const char *domain)
{
	for (size_t i = 0; i < config->registry_count; i++)
		if (config_same_host(config->registries[i].domain, domain))
			return &config->registries[i];
	return NULL;
}
