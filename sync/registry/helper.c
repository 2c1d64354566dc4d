#include "sync/registry/helper.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/process.h"
#include "sync/registry/secret.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 64 };

bool helper_is_name(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);
	return length > 0 && length <= NAME_MAX_BYTES && strchr(first, name[0]) && strspn(name, rest) == length;
}

static bool is_executable(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

char *helper_find(const char *name, const char *path)
{
	for (const char *p = path; p && *p; p += *p == ':') {
		size_t length = strcspn(p, ":");
		auto_free char *candidate = memory_format("%.*s/docker-credential-%s", (int)length, p, name);
		p += length;
		if (candidate[0] != '/' || length == 0 || !is_executable(candidate))
			continue;
		char *found = candidate;
		candidate = NULL;
		return found;
	}
	return NULL;
}

/* CRED-7: the message of a failed helper is on its stdout. */
static bool read_failure(const char *output, size_t length, struct error *err)
{
	static const char unknown[] = "credentials not found in native keychain";
	char shown[LIMIT_FOREIGN_TEXT + 1];
	while (length > 0 && strchr(" \t\r\n", output[length - 1]))
		length--;
	while (length > 0 && strchr(" \t\r\n", *output)) {
		output++;
		length--;
	}
	if (length == sizeof unknown - 1 && memcmp(output, unknown, length) == 0)
		return true;
	str_sanitize(output, length, shown, sizeof shown);
	return error_set(err, ERR_UNAUTHORIZED, "failed: %s", *shown ? shown : "it said nothing");
}

bool helper_read(int exit_status, const char *output, size_t length, struct credential *credential, struct error *err)
{
	auto_json json_t *document = NULL;
	const char *username = NULL, *secret = NULL;
	const struct json_field fields[] = {
		{"Username", JSON_WANT_TEXT, JSON_REQUIRED, &username},
		{"Secret", JSON_WANT_TEXT, JSON_REQUIRED, &secret},
	};
	*credential = (struct credential){0};
	if (exit_status != 0)
		return read_failure(output, length, err);
	if (!json_parse(output, length, &document, NULL) || !json_read(document, fields, array_count(fields), NULL) ||
		!*username)
		return error_set(err, ERR_UNAUTHORIZED, "did not answer with a user name and a secret");
	if (str_is(username, "<token>")) /* CRED-8 */
		credential->identity_token = memory_text(secret);
	else {
		credential->username = memory_text(username);
		credential->password = memory_text(secret);
	}
	return true;
}

bool helper_ask(const char *executable, const char *server, int64_t timeout_ms, struct credential *credential,
	struct error *err)
{
	char get[] = "get";
	auto_free char *program = memory_text(executable);
	char *const argv[] = {program, get, NULL};
	auto_buf struct buf output;
	struct process_result result;
	struct error why;
	buf_init(&output, LIMIT_HELPER_BYTES);
	bool ran = process_run(argv, NULL, server, timeout_ms, &output, &result, &why);
	if (!ran && why.kind == ERR_CANCELED) {
		if (err)
			*err = why;
		return false;
	}
	if (!ran)
		return error_set(err, ERR_UNAUTHORIZED, "%s: %s", executable, why.text);
	return helper_read(result.exit_status, buf_peek(&output), output.length, credential, err) ||
	       error_wrap(err, "%s", executable);
}
