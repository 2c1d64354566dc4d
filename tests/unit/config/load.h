/*
 * A configuration as a text, loaded as the file it would be.
 */
#ifndef DRAY_TESTS_UNIT_CONFIG_LOAD_H
#define DRAY_TESTS_UNIT_CONFIG_LOAD_H

#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "put_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A folder of its own, with the files that configurations name. */
struct folder {
	char path[64];
	char *file; /* of the configuration */
};

static inline void folder_put(const struct folder *folder, const char *name, const char *text, size_t length)
{
	auto_free char *path = memory_format("%s/%s", folder->path, name);
	if (!put_file(path, text, length, 0600))
		fail_msg("%s", path);
}

static inline void folder_make(struct folder *folder)
{
	snprintf(folder->path, sizeof folder->path, "/tmp/dray-config-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	folder->file = memory_format("%s/dray.yaml", folder->path);
	folder_put(folder, "ca.pem", "ca", 2);
	folder_put(folder, "key.pem", "key", 3);
}

static inline void folder_drop(struct folder *folder)
{
	static const char *const names[] = {"dray.yaml", "ca.pem", "key.pem"};
	for (size_t i = 0; i < array_count(names); i++) {
		auto_free char *path = memory_format("%s/%s", folder->path, names[i]);
		unlink(path);
	}
	rmdir(folder->path);
	free(folder->file);
}

/* What the lines say, without the path in front: "3:5: text\n". New memory. */
static inline char *told(const struct folder *folder, const struct config_errors *errors)
{
	char *text = memory_text("");
	size_t skip = strlen(folder->file) + 1;
	for (size_t i = 0; i < errors->count; i++) {
		auto_free char *before = text;
		assert_memory_equal(errors->lines[i], folder->file, skip - 1);
		text = memory_format("%s%s\n", before, errors->lines[i] + skip);
	}
	return text;
}

/* The configuration, or NULL with what was told in *lines. */
static inline struct config *load_bytes(const char *bytes, size_t length, char **lines)
{
	struct folder folder;
	struct config *config = NULL;
	struct config_errors errors;
	struct error err = {.kind = ERR_NONE};
	folder_make(&folder);
	folder_put(&folder, "dray.yaml", bytes, length);
	bool loaded = config_load(folder.file, CONFIG_TO_MIRROR, &config, &errors, &err);
	*lines = told(&folder, &errors);
	assert_int_equal(err.kind, loaded ? ERR_NONE : ERR_INVALID);
	assert_int_equal(loaded, errors.count == 0);
	assert_int_equal(loaded, config != NULL);
	config_errors_release(&errors);
	folder_drop(&folder);
	return config;
}

static inline struct config *load_text(const char *text, char **lines)
{
	return load_bytes(text, strlen(text), lines);
}

/* One that must be right. */
static inline struct config *load_good(const char *text)
{
	char *lines;
	struct config *config = load_text(text, &lines);
	if (!config)
		fail_msg("refused:\n%s", lines);
	free(lines);
	return config;
}

#endif
