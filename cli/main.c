#include "cli/command.h"
#include "oci/digest.h"

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "config/selection.h"
#include "config/tree.h"
#include "scheduler/loop.h"
#include "store/store.h"
#include "sync/http/http.h"
#include "sync/verify/verify.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Cron may close them; what is opened next must not become somebody's stdout (T-76). Who shares a pipe or a terminal
 * with us may have made it non-blocking: stdio drops what it cannot write at once (T-70). */
static void open_standard_files(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 && open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) < 0)
			_exit(EXIT_LOCAL);
		if (flags >= 0 && fd > 0 && (flags & O_NONBLOCK))
			(void)!fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	}
}

/* T-23: a core would have every secret in it. Only the soft limit, so that who debugs can raise it. */
static void leave_no_core(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_CORE, &limit) == 0) {
		limit.rlim_cur = 0;
		(void)!setrlimit(RLIMIT_CORE, &limit);
	}
}

/* T-71: two registries and a layout want some 100 files; a soft limit of 1024, or somebody's smaller one, is only the
 * default of the machine. Below the least not even the loop, the state and a connection to either side find room. */
static bool open_files_suffice(void)
{
	enum { FILES_LEAST = 64, FILES_MOST = 65536 };
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return true;
	struct rlimit raised = {limit.rlim_max < FILES_MOST ? limit.rlim_max : FILES_MOST, limit.rlim_max};
	if (limit.rlim_cur < raised.rlim_cur && setrlimit(RLIMIT_NOFILE, &raised) == 0)
		limit = raised;
	if (limit.rlim_cur >= FILES_LEAST)
		return true;
	log_error("only %llu files may be open, and dray needs %d at least; ulimit -n raises it",
		(unsigned long long)limit.rlim_cur, FILES_LEAST);
	return false;
}

/* T-89: libcurl writes the keys of every connection into one of them, OpenSSL takes settings and code from the others.
 * What TLS does is said by the configuration alone. */
static void shut_debug_doors(void)
{
	static const char *const doors[] = {"SSLKEYLOGFILE", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES"};
	for (size_t i = 0; i < array_count(doors); i++)
		unsetenv(doors[i]);
}

static int print_version(void)
{
	char verify[128], config[64];
	printf("dray %s\n%s\nlibuv %s\nSQLite %s\n%s\nPCRE2 %s\njansson %s\nlibyaml %s\n", DRAY_VERSION,
		http_library_version(), loop_library_version(), store_library_version(),
		verifier_library_versions(verify), selection_library_version(config), json_library_version(),
		tree_library_version());
	return EXIT_DONE;
}

static bool asks_for_help(const char *word)
{
	return str_is(word, "--help") || str_is(word, "-h") || str_is(word, "help");
}

static void tell_unknown(const char *word, const char *next)
{
	const struct command *half = command_begun_by(word);
	if (half)
		log_error("\"%s%s%.40s\" is no command; dray %s %s is", word, next ? " " : "", next ? next : "",
			half->name, half->operands);
	else
		log_error("there is no command \"%.40s\"; dray --help lists them", word);
}

static int run(int argc, char **argv)
{
	struct arguments arguments;
	struct error err;
	int used = 0;
	if (argc < 2) {
		command_print_overview(stderr);
		return EXIT_USAGE;
	}
	if (asks_for_help(argv[1]) || (str_is(argv[1], "config") && argc > 2 && asks_for_help(argv[2]))) {
		command_print_overview(stdout);
		return EXIT_DONE;
	}
	if (str_is(argv[1], "--version"))
		return print_version();
	if (str_is(argv[1], "--manual")) {
		command_print_manual();
		return EXIT_DONE;
	}
	const struct command *command = command_find(argc, argv, &used);
	if (!command) {
		tell_unknown(argv[1], argc > 2 ? argv[2] : NULL);
		return EXIT_USAGE;
	}
	if (!command_parse(command, argc - 1 - used, argv + 1 + used, &arguments, &err)) {
		log_error("%s", err.text);
		return EXIT_USAGE;
	}
	if (arguments.given[OPTION_HELP]) {
		command_print_help(command);
		return EXIT_DONE;
	}
	if (arguments.given[OPTION_VERBOSE])
		log_set_level(LOG_DEBUG);
	return open_files_suffice() ? command->run(&arguments) : (int)EXIT_LOCAL;
}

/* libcurl brings GnuTLS along, for protocols that are never spoken here, and GnuTLS asks whether to get ready as it is
 * loaded. This is what GNUTLS_SKIP_GLOBAL_INIT of its header stands for. */
__attribute__((visibility("default"))) int _gnutls_global_init_skip(void);
int _gnutls_global_init_skip(void)
{
	return 1;
}

int main(int argc, char **argv)
{
	open_standard_files();
	memory_keep_large_blocks_apart();
	digest_set_up_library();
	leave_no_core();
	shut_debug_doors();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is EFBIG to whoever writes, not our end */
	int code = run(argc, argv);
	/* A result that nobody could read is no success (T-70). */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE) {
		log_error("stdout: what was printed did not all get there");
		code = EXIT_LOCAL;
	}
	return code;
}
