/* covers: T-75, T-76, REF-2, REF-11, DESIGN 8 */
#include "base/str.h"
#include "config/load.h"
#include "config/selection.h"

#include <stdlib.h>
#include <sys/stat.h>

static void a_full_file_is_read_as_written(void **state)
{
	(void)state;
	setenv("DRAY_TEST_PASSWORD", "s3cret", 1);
	struct config *config = load_good("version: 1\n"
					  "state: /var/lib/dray/dray.db\n"
					  "auth-file: key.pem\n"
					  "registries:\n"
					  "  registry.internal:5000:\n"
					  "    tls: {ca: ca.pem, certificate: ./ca.pem, key: key.pem}\n"
					  "    credentials: {username: mirror, password: ${DRAY_TEST_PASSWORD}}\n"
					  "    blob-slots: 2\n"
					  "    metadata-slots: 256\n"
					  "    realms: [Auth.internal, \"auth.internal:8443\"]\n"
					  "  lab.internal:5000: {tls: off}\n"
					  "defaults:\n"
					  "  target: registry.internal:5000/mirror\n"
					  "  verify: digests\n"
					  "repos:\n"
					  "  - docker.io/library/alpine\n"
					  "  - source: python\n"
					  "    targets: [registry.internal:5000/py, \"oci:/srv/air-gap\"]\n"
					  "    tags: {allow: [\"3.*\"], deny: [\"/.*-rc\\\\d+/\"]}\n"
					  "    platforms: [linux/amd64, linux/arm64/v8]\n"
					  "    verify: layers\n"
					  "    merge: true\n"
					  "keep-runs: 7\n"
					  "limits: {images-in-flight: 4, manifest-mib: 64, connect-timeout: 5s, "
					  "stall-timeout: 2m, helper-timeout: 1s}\n");
	assert_string_equal(config->state_file, "/var/lib/dray/dray.db");
	assert_true(str_ends_with(config->auth_file, "/key.pem"));
	assert_int_equal(config->keep_runs, 7);
	assert_int_equal(config->images_in_flight, 4);
	assert_int_equal(config->manifest_mib, 64);
	assert_int_equal(config->connect_timeout_ms, 5000);
	assert_int_equal(config->stall_timeout_ms, 120000);
	assert_int_equal(config->helper_timeout_ms, 1000);

	assert_int_equal(config->registry_count, 2);
	const struct config_registry *registry = &config->registries[0];
	assert_string_equal(registry->domain, "registry.internal:5000");
	assert_int_equal(registry->tls, CONFIG_TLS_ON);
	assert_true(str_starts_with(registry->ca_file, "/tmp/") && str_ends_with(registry->ca_file, "/ca.pem"));
	assert_string_equal(registry->certificate_file, registry->ca_file);
	assert_true(str_ends_with(registry->key_file, "/key.pem"));
	assert_string_equal(registry->username, "mirror");
	assert_string_equal(registry->password, "s3cret");
	assert_int_equal(registry->blob_slots, 2);
	assert_int_equal(registry->metadata_slots, 256);
	assert_int_equal(registry->realm_count, 2); /* T-12 */
	assert_string_equal(registry->realms[1], "auth.internal:8443");
	assert_int_equal(registry->place.line, 5);
	assert_int_equal(registry->place.column, 3);
	assert_int_equal(config->registries[1].tls, CONFIG_TLS_OFF);
	assert_null(config->registries[1].username);
	assert_int_equal(config->registries[1].blob_slots, 0);
	assert_int_equal(config->registries[1].realm_count, 0);

	assert_int_equal(config->repository_count, 2);
	const struct config_repository *alpine = &config->repositories[0], *python = &config->repositories[1];
	assert_string_equal(alpine->domain, "docker.io");
	assert_string_equal(alpine->repository, "library/alpine");
	assert_null(alpine->tag);
	assert_true(digest_is_empty(&alpine->digest));
	assert_null(alpine->filter);
	assert_int_equal(alpine->platform_count, 0);
	assert_int_equal(alpine->verify, CONFIG_VERIFY_DIGESTS);
	assert_false(alpine->merge);
	assert_int_equal(alpine->target_count, 1);
	assert_int_equal(python->verify, CONFIG_VERIFY_LAYERS);
	assert_true(python->merge);
	assert_int_equal(python->target_count, 2);
	assert_int_equal(python->platform_count, 2);
	assert_string_equal(python->platforms[1].architecture, "arm64");
	assert_string_equal(python->platforms[1].variant, "v8");
	assert_int_equal(python->place.line, 17);
	assert_int_equal(python->place.column, 5);
	bool taken;
	struct error err;
	assert_true(tag_filter_match(python->filter, "3.12", &taken, &err) && taken);
	assert_true(tag_filter_match(python->filter, "3.12-rc1", &taken, &err) && !taken);
	config_free(config);
}

static void what_is_not_said_has_the_defaults_of_the_table(void **state)
{
	(void)state;
	struct config *config = load_good("version: 1\nrepos: [{source: a.io/x, target: t.io/x}]\n");
	assert_null(config->state_file);
	assert_null(config->auth_file);
	assert_int_equal(config->registry_count, 0);
	assert_int_equal(config->keep_runs, 100);
	assert_int_equal(config->images_in_flight, 32);
	assert_int_equal(config->connect_timeout_ms, 30000);
	assert_int_equal(config->stall_timeout_ms, 60000);
	assert_int_equal(config->repositories[0].verify, CONFIG_VERIFY_LAYERS);
	assert_false(config->repositories[0].merge);
	config_free(config);
}

static void an_entry_has_the_defaults_unless_it_says_otherwise(void **state)
{
	(void)state;
	struct config *config =
		load_good("version: 1\n"
			  "defaults:\n"
			  "  targets: [\"t.io:5000\", \"oci:layout\"]\n"
			  "  verify: digests\n"
			  "  platforms: [linux/amd64]\n"
			  "  tags: {deny: [\"*-rc*\"]}\n"
			  "repos:\n"
			  "- a.io/x\n"
			  "- {source: a.io/y, target: t.io/y, verify: layers, platforms: [linux/arm64],\n"
			  "   tags: {allow: [\"*\"]}}\n"
			  "- a.io/z:1.0-rc1\n");
	const struct config_repository *inherits = &config->repositories[0], *says = &config->repositories[1];
	bool taken;
	struct error err;
	assert_int_equal(inherits->target_count, 2);
	assert_int_equal(inherits->verify, CONFIG_VERIFY_DIGESTS);
	assert_string_equal(inherits->platforms[0].architecture, "amd64");
	assert_true(tag_filter_match(inherits->filter, "1-rc1", &taken, &err) && !taken);
	assert_int_equal(says->target_count, 1);
	assert_int_equal(says->verify, CONFIG_VERIFY_LAYERS);
	assert_int_equal(says->platform_count, 1);
	assert_string_equal(says->platforms[0].architecture, "arm64");
	assert_true(tag_filter_match(says->filter, "1-rc1", &taken, &err) && taken);
	assert_null(config->repositories[2].filter);
	config_free(config);
}

static void a_source_may_be_a_tag_a_digest_or_a_layout(void **state)
{
	(void)state;
#define DIGEST "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	struct config *config = load_good("version: 1\ndefaults: {target: t.io/p}\nrepos:\n"
					  "- alpine:3.20\n- docker://a.io/x@" DIGEST "\n- \"oci:in/../layout\"\n");
	const struct config_repository *entries = config->repositories;
	assert_string_equal(entries[0].repository, "library/alpine");
	assert_string_equal(entries[0].tag, "3.20");
	assert_string_equal(entries[1].domain, "a.io");
	assert_string_equal(entries[1].digest.text, DIGEST);
	assert_true(entries[2].is_layout);
	assert_null(entries[2].domain);
	assert_true(
		str_starts_with(entries[2].directory, "/tmp/") && str_ends_with(entries[2].directory, "/in/../layout"));
	config_free(config);
}

static void a_target_is_resolved_for_its_source(void **state)
{
	(void)state;
	static const struct {
		const char *source;
		bool own; /* the target is the entry's, else the default */
		const char *target;
		const char *domain; /* NULL: a layout */
		const char *repository, *directory;
		const char *why;
	} rows[] = {
		{"alpine", false, "t.io/mirror", "t.io", "mirror/library/alpine", NULL, "a prefix"},
		{"alpine", false, "t.io", "t.io", "library/alpine", NULL, "a host alone"},
		{"alpine", false, "localhost", "localhost", "library/alpine", NULL, "a host without dot or port"},
		{"alpine", false, "t.io:5000", "t.io:5000", "library/alpine", NULL,
			"a host and port are no name and tag"},
		{"alpine", false, "docker://t.io/m", "t.io", "m/library/alpine", NULL, "as other tools write it"},
		{"alpine:3", false, "t.io/m", "t.io", "m/library/alpine", NULL, "a tag is no part of the path"},
		{"a.io/x/y", false, "docker.io/me", "docker.io", "me/x/y", NULL, "Docker Hub, by name"},
		{"a.io/x", false, "[::1]:5000/m", "[::1]:5000", "m/x", NULL, "IPv6"},
		{"a.io/x", false, "t.io/{registry}/{repository}", "t.io", "a.io/x", NULL, "a template"},
		{"a.io:5000/x/y", false, "t.io/{registry}/{repository}", "t.io", "a.io_5000/x/y", NULL,
			"a port in a path"},
		{"a.io/x", false, "t.io/all", "t.io", "all/x", NULL, "a prefix"},
		{"a.io/x", false, "t.io/all-{repository}", "t.io", "all-x", NULL, "a placeholder within a component"},
		{"a.io/x", true, "t.io/y", "t.io", "y", NULL, "the very repository"},
		{"a.io/x", true, "t.io/own/{repository}", "t.io", "own/x", NULL, "own, with a placeholder"},
		{"a.io/x:1", true, "t.io:5000/y", "t.io:5000", "y", NULL, "a port is no tag"},
		{"alpine", false, "oci:/srv/l", NULL, "docker.io/library/alpine", "/srv/l", "named by the source"},
		{"a.io/x:1", true, "oci:/srv//l/./", NULL, "a.io/x", "/srv/l", "one spelling of a directory"},
		{"a.io/x", true, "oci:/", NULL, "a.io/x", "/", "the root"},
		{"oci:/srv/in", false, "t.io/m", "t.io", "m", NULL, "a layout's names go below"},
		{"oci:/srv/in", true, "t.io/m", "t.io", "m", NULL, "also below an own target"},
		{"oci:/srv/in", true, "t.io:5000", "t.io:5000", "", NULL, "or right below the host"},
		{"a.io/team/*", false, "t.io/m", "t.io", "m/{repository}", NULL, "each goes below (TAG-14)"},
		{"a.io/team/*", true, "t.io/m", "t.io", "m/{repository}", NULL, "also below an own target"},
		{"a.io/*", true, "t.io:5000", "t.io:5000", "{repository}", NULL, "or right below the host"},
		{"docker://a.io:5000/*", false, "t.io/{registry}/{repository}-x", "t.io", "a.io_5000/{repository}-x",
			NULL, "a template"},
		{"a.io/team/*", false, "oci:/srv/l", NULL, "a.io/{repository}", "/srv/l", "named by the source"},
		{"oci:/srv/in", true, "oci:/srv/out", NULL, "", "/srv/out", "layout to layout: its own names"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text =
			memory_format(rows[i].own ? "version: 1\nrepos: [{source: \"%s\", target: \"%s\"}]\n"
						  : "version: 1\nrepos: [\"%s\"]\ndefaults: {target: \"%s\"}\n",
				rows[i].source, rows[i].target);
		struct config *config = load_good(text);
		const struct config_target *target = &config->repositories[0].targets[0];
		bool right = target->is_layout == !rows[i].domain &&
			     strcmp(target->repository, rows[i].repository) == 0 &&
			     (target->is_layout ? strcmp(target->directory, rows[i].directory) == 0
						: strcmp(target->domain, rows[i].domain) == 0);
		if (!right)
			fail_msg("%s to %s: %s: %s %s %s", rows[i].source, rows[i].target, rows[i].why,
				target->domain ? target->domain : "-", target->repository,
				target->directory ? target->directory : "-");
		config_free(config);
	}
}

static void tls_is_a_word_or_a_mapping(void **state)
{
	(void)state;
	static const struct {
		const char *tls;
		enum config_tls expected;
	} rows[] = {
		{"{}", CONFIG_TLS_DEFAULT},
		{"{tls: on}", CONFIG_TLS_ON},
		{"{tls: \"off\"}", CONFIG_TLS_OFF},
		{"{tls: insecure}", CONFIG_TLS_INSECURE},
		{"{tls: {}}", CONFIG_TLS_ON},
		{"{tls: {ca: ca.pem}}", CONFIG_TLS_ON},
		{"{tls: {verify: false}}", CONFIG_TLS_INSECURE},
		{"{tls: {verify: true}}", CONFIG_TLS_ON},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text = memory_format(
			"version: 1\ndefaults: {target: t.io}\nrepos: [a.io/x]\nregistries: {t.io: %s}\n", rows[i].tls);
		struct config *config = load_good(text);
		if (config->registries[0].tls != rows[i].expected)
			fail_msg("%s", rows[i].tls);
		config_free(config);
	}
}

static void entries_that_do_not_collide_are_taken(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"- {source: a.io/x, merge: true}\n- {source: b.io/x, merge: true}\n",
		"- a.io/x:1\n- a.io/x:2\n",
		"- a.io/x\n- {source: a.io/x, target: t.io/else}\n",
		"- {source: a.io/x, target: \"oci:/srv/x\"}\n- {source: b.io/x, target: \"oci:/srv/x\"}\n",
		"- {source: a.io/x, target: \"oci:/srv/x\", names: tag}\n- {source: b.io/x, target: \"oci:/srv/y\"}\n",
		"- {source: \"oci:/srv/x\", target: t.io/x}\n- {source: \"oci:/srv/y\", target: t.io/y}\n",
		"- a.io/team/*\n- b.io/crew/*\n- a.io/other\n",
		"- a.io/team/*\n- a.io/team/app:1\n",
		"- {source: a.io/team/*, merge: true}\n- {source: b.io/team/*, merge: true}\n",
		"- {source: a.io/*, merge: true}\n- {source: b.io/x, merge: true}\n",
		"- {source: t.io/team/*, target: t.io/copy}\n",
		"- {source: a.io/x, target: \"oci:/srv/x\"}\nstate: /srv/xy/dray.db\n",
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text = memory_format("version: 1\ndefaults: {target: t.io/p}\nrepos:\n%s", rows[i]);
		config_free(load_good(text));
	}
}

static void names_are_for_the_layouts_of_an_entry(void **state)
{
	(void)state;
	struct config *config =
		load_good("version: 1\nrepos: [{source: a.io/x, targets: [t.io/x, \"oci:/srv/x\"], names: tag}]\n");
	assert_false(config->repositories[0].targets[0].bare_tags);
	assert_true(config->repositories[0].targets[1].bare_tags);
	config_free(config);
}

/* One row: a value as it stands in the file, and the password that it is. */
static void a_variable_is_text_and_nothing_else(void **state)
{
	(void)state;
	static const struct {
		const char *value, *expected;
	} rows[] = {
		{"$", "$"},
		{"${DRAY_TEST_A}", "a"},
		{"'${DRAY_TEST_A}'", "a"},
		{"\"x${DRAY_TEST_A}y${DRAY_TEST_A}z\"", "xayaz"},
		{"\"$${DRAY_TEST_A}\"", "${DRAY_TEST_A}"},
		{"\"$$${DRAY_TEST_A}\"", "$${DRAY_TEST_A}"},
		{"$DRAY_TEST_A", "$DRAY_TEST_A"},
		{"a$", "a$"},
		{"a$$b", "a$$b"},
		{"\"{$}\"", "{$}"},
		{"\xee\x80\x80$x\xee\x80\x81", "\xee\x80\x80$x\xee\x80\x81"},
		{"${DRAY_TEST_YAML}", "x, password: &a !t [\"b\"]\nversion: 2 # ${DRAY_TEST_A} $${"},
		{"${DRAY_TEST_NULL}", "null"},
		{"a${DRAY_TEST_EMPTY}", "a"},
	};
	setenv("DRAY_TEST_A", "a", 1);
	setenv("DRAY_TEST_EMPTY", "", 1);
	setenv("DRAY_TEST_NULL", "null", 1);
	setenv("DRAY_TEST_YAML", "x, password: &a !t [\"b\"]\nversion: 2 # ${DRAY_TEST_A} $${", 1);
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *text =
			memory_format("version: 1\ndefaults: {target: t.io}\nrepos: [a.io/x]\nregistries:\n"
				      "  t.io:\n    credentials:\n      username: u\n      password: %s\n",
				rows[i].value);
		struct config *config = load_good(text);
		if (strcmp(config->registries[0].password, rows[i].expected) != 0)
			fail_msg("%s: %s", rows[i].value, config->registries[0].password);
		config_free(config);
	}
}

static void a_variable_needs_no_quotes_inside_of_braces(void **state)
{
	(void)state;
	setenv("DRAY_TEST_A", "a", 1);
	struct config *config = load_good("version: 1\ndefaults: {target: t.io}\nrepos: [a.io/x]\nregistries: {t.io: "
					  "{credentials: {username: ${DRAY_TEST_A}, password: x${DRAY_TEST_A}}}}\n");
	assert_string_equal(config->registries[0].username, "a");
	assert_string_equal(config->registries[0].password, "xa");
	config_free(config);

	char *lines;
	assert_null(
		load_text("version: 1\ndefaults: {target: t.io}\nrepos: [{source: ${DRAY_TEST_A}, x: 1}]\n", &lines));
	assert_true(str_starts_with(lines, "3:34: unknown key \"x\""));
	free(lines);
}

/* covers: T-24 */
static void a_password_in_a_file_for_all_is_noticed(void **state)
{
	static const struct {
		const char *password;
		mode_t mode;
		bool shown;
	} rows[] = {
		{"s3cret", 0644, true},
		{"s3cret", 0640, true},
		{"s3cret", 0600, false},
		{"${DRAY_TEST_PASSWORD}", 0644, false},
	};
	(void)state;
	setenv("DRAY_TEST_PASSWORD", "s3cret", 1);
	for (size_t i = 0; i < array_count(rows); i++) {
		struct folder folder;
		struct config *config;
		struct config_errors errors;
		struct error err;
		folder_make(&folder);
		auto_free char *text = memory_format(
			"version: 1\ndefaults: {target: t.io}\nrepos: [a.io/x]\nregistries: {t.io: {credentials: "
			"{username: a, password: \"%s\"}}}\n",
			rows[i].password);
		folder_put(&folder, "dray.yaml", text, strlen(text));
		assert_int_equal(chmod(folder.file, rows[i].mode), 0);
		if (!config_load(folder.file, CONFIG_TO_MIRROR, &config, &errors, &err))
			fail_msg("%s", err.text);
		if (config->shows_password != rows[i].shown)
			fail_msg("%s, %o", rows[i].password, (unsigned)rows[i].mode);
		config_free(config);
		folder_drop(&folder);
	}
}

static void a_key_has_no_variables(void **state)
{
	(void)state;
	char *lines;
	setenv("DRAY_TEST_KEY", "state", 1);
	assert_null(
		load_text("version: 1\ndefaults: {target: t.io}\nrepos: [a.io/x]\n\"${DRAY_TEST_KEY}\": x\n", &lines));
	assert_non_null(strstr(lines, "unknown key \"${DRAY_TEST_KEY}\""));
	free(lines);
}

static void aliases_and_a_byte_order_mark_are_fine(void **state)
{
	(void)state;
	struct config *config = load_good("\xef\xbb\xbf# \xc3\xa9\n%YAML 1.1\n---\nversion: 1\nrepos:\n"
					  "- {source: a.io/x, target: t.io/x, tags: &tags {allow: &allow [\"1.*\"]}}\n"
					  "- {source: a.io/y, target: t.io/y, tags: *tags}\n"
					  "- {source: a.io/z, target: t.io/z, tags: {allow: *allow}}\n");
	for (size_t i = 0; i < 3; i++) {
		bool taken;
		struct error err;
		assert_true(tag_filter_match(config->repositories[i].filter, "2.0", &taken, &err) && !taken);
	}
	config_free(config);
}

static void a_registry_is_found_by_its_host(void **state)
{
	(void)state;
	struct config *config = load_good("version: 1\ndefaults: {target: t.io}\nrepos: [a.io/x]\n"
					  "registries: {index.docker.io: {}, \"T.io:443\": {}, \"u.io:5000\": {}}\n");
	assert_ptr_equal(config_find_registry(config, "docker.io"), &config->registries[0]);
	assert_ptr_equal(config_find_registry(config, "t.io"), &config->registries[1]);
	assert_ptr_equal(config_find_registry(config, "t.io:443"), &config->registries[1]);
	assert_ptr_equal(config_find_registry(config, "u.io:5000"), &config->registries[2]);
	assert_null(config_find_registry(config, "u.io"));
	assert_null(config_find_registry(config, "t.io:5000"));
	config_free(config);
}

static void a_relative_path_is_seen_from_the_file(void **state)
{
	(void)state;
	struct folder folder;
	struct config *config;
	struct config_errors errors;
	struct error err;
	folder_make(&folder);
	static const char text[] =
		"version: 1\nstate: state/../dray.db\nrepos: [{source: a.io/x, target: \"oci:out\"}]\n";
	folder_put(&folder, "dray.yaml", text, sizeof text - 1);
	auto_free char *here = getcwd(NULL, 0);
	assert_int_equal(chdir(folder.path), 0);
	assert_true(config_load("./dray.yaml", CONFIG_TO_MIRROR, &config, &errors, &err));
	auto_free char *state_file = memory_format("%s/state/../dray.db", folder.path);
	auto_free char *directory = memory_format("%s/out", folder.path);
	assert_string_equal(config->state_file, state_file);
	assert_string_equal(config->repositories[0].targets[0].directory, directory);
	assert_string_equal(config->path, "./dray.yaml");
	assert_int_equal(chdir(here), 0);
	config_free(config);
	folder_drop(&folder);
}

static void a_file_that_is_not_there_is_not_found(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		enum error_kind kind;
		const char *line;
	} rows[] = {
		{"/nonexistent/dray.yaml", ERR_NOT_FOUND, "/nonexistent/dray.yaml: no such file"},
		{"/dev/null", ERR_INVALID, "/dev/null: not a regular file"},
		{"/tmp", ERR_INVALID, "/tmp: not a regular file"},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		struct config *config = NULL;
		struct config_errors errors;
		struct error err = {0};
		assert_false(config_load(rows[i].path, CONFIG_TO_MIRROR, &config, &errors, &err));
		assert_null(config);
		assert_int_equal(err.kind, rows[i].kind);
		assert_int_equal(errors.count, 1);
		assert_string_equal(errors.lines[0], rows[i].line);
		assert_string_equal(err.text, rows[i].line);
		config_errors_release(&errors);
	}
	config_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_file_is_read_as_written),
		cmocka_unit_test(what_is_not_said_has_the_defaults_of_the_table),
		cmocka_unit_test(an_entry_has_the_defaults_unless_it_says_otherwise),
		cmocka_unit_test(a_source_may_be_a_tag_a_digest_or_a_layout),
		cmocka_unit_test(a_target_is_resolved_for_its_source),
		cmocka_unit_test(tls_is_a_word_or_a_mapping),
		cmocka_unit_test(entries_that_do_not_collide_are_taken),
		cmocka_unit_test(names_are_for_the_layouts_of_an_entry),
		cmocka_unit_test(a_variable_is_text_and_nothing_else),
		cmocka_unit_test(a_variable_needs_no_quotes_inside_of_braces),
		cmocka_unit_test(a_password_in_a_file_for_all_is_noticed),
		cmocka_unit_test(a_key_has_no_variables),
		cmocka_unit_test(aliases_and_a_byte_order_mark_are_fine),
		cmocka_unit_test(a_registry_is_found_by_its_host),
		cmocka_unit_test(a_relative_path_is_seen_from_the_file),
		cmocka_unit_test(a_file_that_is_not_there_is_not_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
