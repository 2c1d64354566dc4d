#include "sync/registry/credentials.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "sync/registry/authfile.h"
#include "sync/registry/flight.h"
#include "sync/registry/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* CRED-11: how long an answer is good. */
#define ANSWER_LIFE_MS ((int64_t)3600 * 1000)

/* What a helper said of one host. Kept for as long as the store: there are as many as hosts in the configuration. */
struct answer {
	struct list node;
	char *name, *host, *server;
	int64_t timeout_ms;
	struct credential credential;
	bool known;
	bool asked_again; /* since somebody refused the answer before */
	int64_t asked_ms;
	struct flight *flight;
};

struct credential_store {
	struct authfile environment; /* of which `auths` alone counts */
	struct authfile file;
	int64_t helper_timeout_ms;
	struct list answers;
};

/* --- the file ------------------------------------------------------------------------------------------------------
 */

/* T-24, for the file that the configuration names: ours or root's, nobody else's to read, and no link to another. */
static bool judge_file(int fd, const char *path, struct error *err)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return error_errno(err, "%s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERR_INVALID, "%s: not a regular file", path);
	if (status.st_uid != geteuid() && status.st_uid != 0)
		return error_set(err, ERR_INVALID, "%s: belongs to another user", path);
	if (status.st_mode & (S_IRWXG | S_IRWXO))
		return error_set(err, ERR_INVALID, "%s: readable by others; run: chmod 600 %s", path, path);
	return true;
}

static bool read_open_file(int fd, const char *path, struct buf *out, struct error *err)
{
	for (;;) {
		char piece[4096];
		ssize_t got = read(fd, piece, sizeof piece);
		if (got == 0)
			return true;
		if (got < 0 && errno != EINTR)
			return error_errno(err, "%s", path);
		if (got > 0 && !buf_append(out, piece, (size_t)got, err))
			return error_wrap(err, "%s", path);
	}
}

static bool read_named_file(const char *path, struct buf *out, struct error *err)
{
	/* O_NONBLOCK: a FIFO in its place must not hang us. */
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0 && errno == ELOOP)
		return error_set(err, ERR_INVALID, "%s: a symbolic link", path);
	if (fd < 0)
		return error_errno(err, "%s", path);
	return judge_file(fd, path, err) && read_open_file(fd, path, out, err);
}

/* CRED-1, in order. @home: where it is below if the variable is not set; NULL: nowhere. */
static const struct {
	const char *variable, *below, *home;
	bool legacy;
} places[] = {
	{"REGISTRY_AUTH_FILE", "", NULL, false},
	{"DOCKER_CONFIG", "/config.json", NULL, false},
	{NULL, NULL, "/.docker/config.json", false},
	{"XDG_RUNTIME_DIR", "/containers/auth.json", NULL, false},
	{"XDG_CONFIG_HOME", "/containers/auth.json", "/.config/containers/auth.json", false},
	{NULL, NULL, "/.dockercfg", true},
};

/* New memory, or NULL: no such place in this environment. */
static char *place_path(size_t index)
{
	const char *value = places[index].variable ? getenv(places[index].variable) : NULL, *home = getenv("HOME");
	if (value && *value)
		return memory_format("%s%s", value, places[index].below);
	return places[index].home && home && *home ? memory_format("%s%s", home, places[index].home) : NULL;
}

static bool parse_file(
	struct credential_store *store, const char *path, const struct buf *bytes, bool legacy, struct error *err)
{
	return authfile_parse(buf_peek(bytes), bytes->length, legacy, &store->file, err) || error_wrap(err, "%s", path);
}

static bool read_usual_file(struct credential_store *store, struct error *err)
{
	for (size_t i = 0; i < array_count(places); i++) {
		auto_free char *path = place_path(i);
		auto_buf struct buf bytes;
		struct error why;
		buf_init(&bytes, LIMIT_AUTH_FILE_BYTES);
		if (!path)
			continue;
		if (file_read(path, &bytes, &why))
			return parse_file(store, path, &bytes, places[i].legacy, err);
		if (why.kind != ERR_NOT_FOUND)
			return error_set(err, ERR_INVALID, "%s", why.text);
	}
	return true;
}

static bool read_file(struct credential_store *store, const char *auth_file, struct error *err)
{
	if (!auth_file)
		return read_usual_file(store, err);
	auto_buf struct buf bytes;
	struct error why;
	buf_init(&bytes, LIMIT_AUTH_FILE_BYTES);
	if (!read_named_file(auth_file, &bytes, &why))
		return error_set(err, ERR_INVALID, "%s", why.text);
	return parse_file(store, auth_file, &bytes, false, err);
}

static bool read_environment(struct credential_store *store, struct error *err)
{
	const char *text = getenv("DOCKER_AUTH_CONFIG");
	return !text || !*text || authfile_parse(text, strlen(text), false, &store->environment, err) ||
	       error_wrap(err, "DOCKER_AUTH_CONFIG");
}

struct credential_store *credential_store_new(const char *auth_file, int64_t helper_timeout_ms, struct error *err)
{
	struct credential_store *store = memory_new(1, sizeof *store);
	store->helper_timeout_ms = helper_timeout_ms > 0 ? helper_timeout_ms : LIMIT_HELPER_MS;
	list_init(&store->answers);
	if (read_environment(store, err) && read_file(store, auth_file, err))
		return store;
	credential_store_free(store);
	return NULL;
}

void credential_store_free(struct credential_store *store)
{
	if (!store)
		return;
	list_for_each_safe (node, &store->answers) {
		struct answer *answer = list_item(node, struct answer, node);
		free(answer->name);
		free(answer->host);
		free(answer->server);
		credential_release(&answer->credential);
		free(answer);
	}
	authfile_release(&store->environment);
	authfile_release(&store->file);
	free(store);
}

/* --- helpers -------------------------------------------------------------------------------------------------------
 */

static struct answer *find_answer(struct credential_store *store, const char *name, const char *host)
{
	list_for_each (node, &store->answers) {
		struct answer *answer = list_item(node, struct answer, node);
		if (str_is(answer->host, host) && str_is(answer->name, name))
			return answer;
	}
	return NULL;
}

static struct answer *find_or_add_answer(
	struct credential_store *store, const char *name, const char *host, const char *server)
{
	struct answer *answer = find_answer(store, name, host);
	if (answer)
		return answer;
	answer = memory_new(1, sizeof *answer);
	answer->name = memory_text(name);
	answer->host = memory_text(host);
	answer->server = memory_text(server);
	answer->timeout_ms = store->helper_timeout_ms;
	list_append(&store->answers, &answer->node);
	return answer;
}

static bool ask(void *argument, struct error *err)
{
	struct answer *answer = argument;
	struct credential credential;
	auto_free char *executable = helper_find(answer->name, getenv("PATH"));
	if (!executable)
		return error_set(err, ERR_UNAUTHORIZED, "docker-credential-%s is not in PATH", answer->name);
	if (!helper_ask(executable, answer->server, answer->timeout_ms, &credential, err))
		return false;
	credential_release(&answer->credential);
	answer->credential = credential;
	answer->known = true;
	answer->asked_ms = loop_now_ms();
	return true;
}

static bool ask_helper(struct credential_store *store, const char *name, const char *host, const char *server,
	struct credential *credential, struct error *err)
{
	if (!helper_is_name(name))
		return error_set(err, ERR_UNAUTHORIZED, "the credential helper's name is not one");
	/* CRED-4: what docker login stored Docker Hub's under. */
	bool is_hub = str_is(host, "docker.io");
	struct answer *answer = find_or_add_answer(store, name, host, is_hub ? "https://index.docker.io/v1/" : server);
	if (answer->known && loop_now_ms() >= answer->asked_ms + ANSWER_LIFE_MS)
		answer->known = answer->asked_again = false;
	if (!answer->known && !flight_share(&answer->flight, ask, answer, err))
		return false;
	credential_copy(credential, &answer->credential);
	return true;
}

static bool is_installed(const char *name)
{
	auto_free char *executable = helper_is_name(name) ? helper_find(name, getenv("PATH")) : NULL;
	return executable || !helper_is_name(name);
}

const char *credential_store_missing(const struct credential_store *store)
{
	return store->file.store && !is_installed(store->file.store) ? store->file.store : NULL;
}

/* --- finding -------------------------------------------------------------------------------------------------------
 */

/* CRED-2: the helper of this host, or else the store of all; anonymous where neither knows. */
static bool find_by_helper(struct credential_store *store, const char *host, const char *domain,
	struct credential *credential, struct error *err)
{
	const struct authfile_helper *helper = authfile_helper(&store->file, host);
	if (helper)
		return ask_helper(store, helper->name, host, helper->spelled, credential, err);
	/* CRED-10: a store that is not installed here holds nothing for us; a helper named for this host would. */
	if (store->file.store && is_installed(store->file.store))
		return ask_helper(store, store->file.store, host, domain, credential, err);
	return true;
}

bool credential_store_find(struct credential_store *store, const char *domain, const char *repository,
	struct credential *credential, struct error *err)
{
	auto_free char *host = authfile_host(domain);
	const struct credential *found = authfile_find(&store->environment, host, repository);
	*credential = (struct credential){0};
	if (!found && !find_by_helper(store, host, domain, credential, err))
		return false;
	if (!found && credential_is_anonymous(credential))
		found = authfile_find(&store->file, host, repository);
	if (found)
		credential_copy(credential, found);
	return true;
}

void credential_store_refused(struct credential_store *store, const char *domain)
{
	auto_free char *host = authfile_host(domain);
	list_for_each (node, &store->answers) {
		struct answer *answer = list_item(node, struct answer, node);
		if (answer->known && !answer->asked_again && str_is(answer->host, host)) {
			answer->known = false;
			answer->asked_again = true;
		}
	}
}
