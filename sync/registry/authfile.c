#include "sync/registry/authfile.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/str.h"
#include "sync/registry/secret.h"

#include <string.h>

/* --- hosts ---------------------------------------------------------------------------------------------------------
 */

static const char *without_scheme(const char *key)
{
	if (str_starts_with(key, "https://"))
		return key + strlen("https://");
	return str_starts_with(key, "http://") ? key + strlen("http://") : key;
}

static bool is_docker_hub(const char *host)
{
	static const char *const names[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
	for (size_t i = 0; i < array_count(names); i++)
		if (str_is(host, names[i]))
			return true;
	return false;
}

static void cut_end(char *text, const char *end)
{
	if (str_ends_with(text, end))
		text[strlen(text) - strlen(end)] = '\0';
}

char *authfile_host(const char *key)
{
	const char *start = without_scheme(key);
	char *host = memory_text_of(start, strcspn(start, "/"));
	for (char *p = host; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	cut_end(host, ":443");
	cut_end(host, ".");
	if (!is_docker_hub(host))
		return host;
	free(host);
	return memory_text("docker.io");
}

/* CRED-3: podman's keys go on behind the host; docker's go on as well, and mean nothing by it. */
static char *namespace_of(const char *key)
{
	static const char *const docker_paths[] = {"", "v1", "v1/", "v2", "v2/"};
	const char *slash = strchr(without_scheme(key), '/');
	const char *path = slash ? slash + 1 : "";
	bool is_url = without_scheme(key) != key;
	for (size_t i = 0; i < array_count(docker_paths); i++)
		if (is_url || str_is(path, docker_paths[i]))
			return memory_text("");
	char *namespace = memory_text(path);
	cut_end(namespace, "/");
	return namespace;
}

/* --- reading -------------------------------------------------------------------------------------------------------
 */

/* CRED-5: split at the first colon; passwords have colons. */
static bool split_auth(const char *auth, struct credential *credential)
{
	auto_secret char *pair = NULL;
	if (!secret_decode(auth, &pair))
		return false;
	const char *colon = strchr(pair, ':');
	if (!colon || colon == pair)
		return false;
	credential->username = memory_text_of(pair, (size_t)(colon - pair));
	credential->password = memory_text(colon + 1);
	return true;
}

static char *text_or_null(const char *text)
{
	return text && *text ? memory_text(text) : NULL;
}

static bool read_credential(const json_t *value, struct credential *credential, struct error *err)
{
	const char *auth = NULL, *username = NULL, *password = NULL, *identity = NULL, *registry = NULL;
	const struct json_field fields[] = {
		{"auth", JSON_WANT_TEXT, JSON_OPTIONAL, &auth},
		{"username", JSON_WANT_TEXT, JSON_OPTIONAL, &username},
		{"password", JSON_WANT_TEXT, JSON_OPTIONAL, &password},
		{"identitytoken", JSON_WANT_TEXT, JSON_OPTIONAL, &identity},
		{"registrytoken", JSON_WANT_TEXT, JSON_OPTIONAL, &registry},
	};
	if (!json_read(value, fields, array_count(fields), err))
		return false;
	if (auth && *auth && !split_auth(auth, credential))
		return error_set(err, ERR_INVALID, "\"auth\" is not the base64 of user:password");
	if (!credential->username && username && *username) {
		credential->username = memory_text(username);
		credential->password = memory_text(password ? password : "");
	}
	credential->identity_token = text_or_null(identity);
	credential->registry_token = text_or_null(registry);
	return true;
}

static bool read_entries(json_t *auths, struct authfile *file, struct error *err)
{
	const char *key;
	json_t *value;
	file->entries = memory_new(json_object_size(auths) + 1, sizeof *file->entries);
	json_object_foreach (auths, key, value) {
		struct authfile_entry *entry = &file->entries[file->entry_count++];
		entry->host = authfile_host(key);
		entry->namespace = namespace_of(key);
		if (!read_credential(value, &entry->credential, err))
			return error_wrap(err, "\"%s\"", key);
	}
	return true;
}

static bool read_helpers(json_t *helpers, struct authfile *file, struct error *err)
{
	const char *key;
	json_t *value;
	file->helpers = memory_new(json_object_size(helpers) + 1, sizeof *file->helpers);
	json_object_foreach (helpers, key, value) {
		if (!json_is_string(value))
			return error_set(err, ERR_INVALID, "credHelpers: \"%s\" is not a text", key);
		struct authfile_helper *helper = &file->helpers[file->helper_count++];
		helper->host = authfile_host(key);
		helper->spelled = memory_text(key);
		helper->name = memory_text(json_string_value(value));
	}
	return true;
}

static bool read_document(json_t *document, struct authfile *file, struct error *err)
{
	json_t *auths = NULL, *helpers = NULL;
	const char *store = NULL;
	const struct json_field fields[] = {
		{"auths", JSON_WANT_OBJECT, JSON_OPTIONAL, &auths},
		{"credHelpers", JSON_WANT_OBJECT, JSON_OPTIONAL, &helpers},
		{"credsStore", JSON_WANT_TEXT, JSON_OPTIONAL, &store},
	};
	if (!json_read(document, fields, array_count(fields), err))
		return false;
	file->store = text_or_null(store);
	return (!auths || read_entries(auths, file, err)) && (!helpers || read_helpers(helpers, file, err));
}

bool authfile_parse(const void *bytes, size_t length, bool legacy, struct authfile *file, struct error *err)
{
	auto_json json_t *document = NULL;
	struct authfile fresh = {0};
	struct error why;
	bool ok = json_parse(bytes, length, &document, &why) &&
		  (legacy ? read_entries(document, &fresh, &why) : read_document(document, &fresh, &why));
	if (!ok) {
		authfile_release(&fresh);
		return error_set(err, ERR_INVALID, "%s", why.text);
	}
	*file = fresh;
	return true;
}

void authfile_release(struct authfile *file)
{
	for (size_t i = 0; i < file->entry_count; i++) {
		free(file->entries[i].host);
		free(file->entries[i].namespace);
		credential_release(&file->entries[i].credential);
	}
	for (size_t i = 0; i < file->helper_count; i++) {
		free(file->helpers[i].host);
		free(file->helpers[i].spelled);
		free(file->helpers[i].name);
	}
	free(file->entries);
	free(file->helpers);
	free(file->store);
	*file = (struct authfile){0};
}

/* --- finding -------------------------------------------------------------------------------------------------------
 */

static bool is_within(const char *repository, const char *namespace)
{
	size_t length = strlen(namespace);
	return length == 0 || (strncmp(repository, namespace, length) == 0 &&
				      (repository[length] == '\0' || repository[length] == '/'));
}

const struct credential *authfile_find(const struct authfile *file, const char *host, const char *repository)
{
	const struct authfile_entry *best = NULL;
	for (size_t i = 0; i < file->entry_count; i++) {
		const struct authfile_entry *entry = &file->entries[i];
		/* CRED-2: an empty entry only marks what a store holds. */
		if (credential_is_anonymous(&entry->credential) || !str_is(entry->host, host) ||
			!is_within(repository, entry->namespace))
			continue;
		if (!best || strlen(entry->namespace) > strlen(best->namespace))
			best = entry;
	}
	return best ? &best->credential : NULL;
}

const struct authfile_helper *authfile_helper(const struct authfile *file, const char *host)
{
	for (size_t i = 0; i < file->helper_count; i++)
		if (str_is(file->helpers[i].host, host))
			return &file->helpers[i];
	return NULL;
}

/* --- credentials ---------------------------------------------------------------------------------------------------
 */

void credential_copy(struct credential *to, const struct credential *from)
{
	*to = (struct credential){
		.username = memory_text(from->username),
		.password = memory_text(from->password),
		.identity_token = memory_text(from->identity_token),
		.registry_token = memory_text(from->registry_token),
	};
}

static bool equal(const char *a, const char *b)
{
	return a == b || str_is(a, b);
}

bool credential_equal(const struct credential *a, const struct credential *b)
{
	return equal(a->username, b->username) && equal(a->password, b->password) &&
	       equal(a->identity_token, b->identity_token) && equal(a->registry_token, b->registry_token);
}

void credential_release(struct credential *credential)
{
	secret_free(credential->username);
	secret_free(credential->password);
	secret_free(credential->identity_token);
	secret_free(credential->registry_token);
	*credential = (struct credential){0};
}
