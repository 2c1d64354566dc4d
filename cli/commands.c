#include "cli/command.h"

#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

struct option {
	const char *name;
	char letter;       /* 0: none */
	const char *value; /* NULL: takes none; "a|b|c": one of these words, the first if it is not given */
	bool repeats;
	const char *help;
};

static const struct option options[OPTION_COUNT] = {
	[OPTION_HELP] = {"help", 'h', NULL, false, "show this help"},
	[OPTION_ALLOW_MISSING] = {"allow-missing", 0, NULL, false,
		"copy an index although the source lacks some of its manifests"},
	[OPTION_ALL_TAGS] = {"all-tags", 0, NULL, false,
		"with a digest: yes, delete the manifest and every tag that points to it"},
	[OPTION_CONFIG] = {"config", 'c', "FILE", false,
		"take registries (TLS, credentials) and limits from this configuration"},
	[OPTION_DEEP] = {"deep", 0, NULL, false,
		"read every blob, prove its digest, and compare every layer's diff_id with the config"},
	[OPTION_FOREIGN] = {"foreign", 0, "auto|copy|skip", false,
		"layers with urls that the source does not hold: copy fetches them there, skip never; auto (the "
		"default) does for layouts"},
	[OPTION_DRY_RUN] = {"dry-run", 'n', NULL, false, "find out what would be done, and change nothing"},
	[OPTION_GRACE] = {"grace", 0, "DURATION", false,
		"when it is stopped by a signal, let what runs go on for so long (default: 10s); a second signal "
		"leaves at once"},
	[OPTION_JSON] = {"json", 0, NULL, false, "print one JSON object on stdout; everything else goes to stderr"},
	[OPTION_OLDER_THAN] = {"older-than", 0, "DURATION", false,
		"remove only what is older, such as 7d (default: 24h); another tool may be about to use what is "
		"younger"},
	[OPTION_PLATFORM] = {"platform", 'p', "OS/ARCH[/VARIANT]", true, "only this platform; copy takes several"},
	[OPTION_QUIET] = {"quiet", 'q', NULL, false, "print nothing, unless something failed"},
	[OPTION_REFERRERS] = {"referrers", 0, "true|false|always", false,
		"signatures, SBOMs and attestations: true (the default) copies those of what is copied, always those "
		"of "
		"unchanged images, too"},
	[OPTION_REPAIR] = {"repair", 0, NULL, false,
		"copy what is missing or wrong again from where it came from, as the state of --config remembers, and "
		"verify it again"},
	[OPTION_VERBOSE] = {"verbose", 'v', NULL, false, "print what is decided on the way"},
	[OPTION_VERIFY] = {"verify", 0, "layers|digests", false,
		"layers: also inflate, and compare every diff_id (the default); digests: size and digest only"},
};

static const enum option_id sync_options[] = {
	OPTION_DRY_RUN, OPTION_GRACE, OPTION_JSON, OPTION_QUIET, OPTION_VERBOSE, OPTION_HELP, OPTION_COUNT};
static const enum option_id copy_options[] = {OPTION_PLATFORM, OPTION_VERIFY, OPTION_FOREIGN, OPTION_REFERRERS,
	OPTION_ALLOW_MISSING, OPTION_CONFIG, OPTION_DRY_RUN, OPTION_GRACE, OPTION_JSON, OPTION_QUIET, OPTION_VERBOSE,
	OPTION_HELP, OPTION_COUNT};
static const enum option_id tags_options[] = {OPTION_CONFIG, OPTION_HELP, OPTION_COUNT};
static const enum option_id inspect_options[] = {
	OPTION_PLATFORM, OPTION_CONFIG, OPTION_JSON, OPTION_HELP, OPTION_COUNT};
static const enum option_id status_options[] = {OPTION_CONFIG, OPTION_JSON, OPTION_HELP, OPTION_COUNT};
static const enum option_id retry_options[] = {OPTION_CONFIG, OPTION_DRY_RUN, OPTION_GRACE, OPTION_JSON, OPTION_QUIET,
	OPTION_VERBOSE, OPTION_HELP, OPTION_COUNT};
static const enum option_id verify_options[] = {OPTION_DEEP, OPTION_REPAIR, OPTION_CONFIG, OPTION_GRACE, OPTION_JSON,
	OPTION_QUIET, OPTION_VERBOSE, OPTION_HELP, OPTION_COUNT};
static const enum option_id explain_options[] = {OPTION_CONFIG, OPTION_JSON, OPTION_HELP, OPTION_COUNT};
static const enum option_id gc_options[] = {OPTION_OLDER_THAN, OPTION_DRY_RUN, OPTION_JSON, OPTION_HELP, OPTION_COUNT};
static const enum option_id delete_options[] = {
	OPTION_ALL_TAGS, OPTION_DRY_RUN, OPTION_CONFIG, OPTION_HELP, OPTION_COUNT};
static const enum option_id check_options[] = {OPTION_HELP, OPTION_COUNT};

#define EXITS_OF_RUNS         "0|1|2|3|4|5|6|7|8|9|70|128+n"
#define EXITS_OF_READERS      "0|2|3|4|6|8|9|70"
#define EXITS_WITHOUT_CONTACT "0|2|6|70"

const struct command commands[] = {
	{"sync", "[CONFIG]", 0, 1, "mirror every repository of a configuration",
		"Reads CONFIG (default: /etc/dray/dray.yaml), lists the tags of its repositories, and brings every\n"
		"selected image to every target that lacks it. A tag moves only after everything it reaches is there "
		"and\n"
		"proven. What failed is tried again by the next run; what is unchanged costs two HEAD requests.",
		"  dray sync /etc/dray/dray.yaml\n"
		"  dray sync --dry-run mirror.yaml\n"
		"  dray sync --json mirror.yaml >report.json\n",
		sync_options, EXITS_OF_RUNS, command_sync},
	{"copy", "SOURCE TARGET", 2, 2, "copy an image, a repository, a whole registry or layout",
		"SOURCE and TARGET are references as docker writes them, or oci:DIR[:NAME]. SOURCE may be REPOSITORY:* "
		"for\n"
		"every tag, HOST/PREFIX/* or HOST/* for every repository that the registry's catalog names there,\n"
		"each of which arrives below TARGET under its own path, or oci:DIR for everything in a layout, which\n"
		"arrives below TARGET under its own canonical names (name:7 is docker.io/library/name:7).\n"
		"A TARGET without a tag takes the source's. No state file is used.",
		"  dray copy docker.io/library/alpine:3.20 registry.internal:5000/alpine\n"
		"  dray copy 'registry.internal:5000/team/app:*' oci:/srv/air-gap\n"
		"  dray copy 'registry.internal:5000/team/*' backup.internal:5000/old\n"
		"  dray copy oci:/srv/air-gap registry.internal:5000/mirror\n",
		copy_options, EXITS_OF_RUNS, command_copy},
	{"tags", "REPOSITORY", 1, 1, "list the tags of a repository",
		"Prints one tag a line. oci:DIR lists the names in a layout.",
		"  dray tags docker.io/library/alpine\n"
		"  dray tags oci:/srv/air-gap\n",
		tags_options, EXITS_OF_READERS, command_tags},
	{"inspect", "REFERENCE", 1, 1, "show what an image is made of",
		"Prints digest, media type, platform and image ID, and of each layer its compressed size, media type "
		"and\n"
		"diff_id. Of an index it shows all entries, and the image of this machine's platform or of --platform.",
		"  dray inspect docker.io/library/alpine:3.20\n"
		"  dray inspect --platform linux/arm64 --json oci:/srv/air-gap:docker.io/library/alpine:3.20\n",
		inspect_options, EXITS_OF_READERS, command_inspect},
	{"verify", "TARGET", 1, 1, "check that what stands at a target is whole, and repair it",
		"TARGET is one image, REPOSITORY:* for every tag, HOST/PREFIX/* or HOST/* for every repository that "
		"the\n"
		"catalog names there, or oci:DIR[:NAME] for a layout or one image of it. Every manifest is read and "
		"hashed,\n"
		"every blob asked for by its size; with --deep every blob is read, too, and layers are compared with "
		"what\n"
		"the image's config says. Exits with 0 only if everything was seen to be right, with 4 if content is "
		"missing\n"
		"or wrong, with 1 if that holds for some images and others are sound.",
		"  dray verify --deep oci:/srv/air-gap\n"
		"  dray verify 'registry.internal:5000/mirror/*' --config /etc/dray/dray.yaml\n"
		"  dray verify --deep --repair --config /etc/dray/dray.yaml oci:/srv/air-gap\n",
		verify_options, "0|1|2|3|4|6|7|8|9|70|128+n", command_verify},
	{"retry", "[RUN]", 0, 1, "mirror what failed in a run, and nothing else",
		"Takes from the state file what failed in the run RUN (default: the last one), and mirrors that alone, "
		"with\n"
		"the settings that the configuration has now: an image at the targets where it failed, all of a "
		"repository\n"
		"that could not be listed. If nothing failed it says so, and exits with 0. It is a run of its own.",
		"  dray retry\n"
		"  dray retry --config mirror.yaml 17\n",
		retry_options, EXITS_OF_RUNS, command_retry},
	{"status", "[RUN]", 0, 1, "show how a run went, or how far it is",
		"Reads the state file of the configuration, which a run may be writing meanwhile, and contacts "
		"nothing.\n"
		"RUN is the number of a run; without it, the last one is shown: when it ran, what it did, and what "
		"failed\n"
		"and why. Exits with 0 if it can tell, whatever it tells.",
		"  dray status\n"
		"  dray status --config mirror.yaml 17\n"
		"  dray status --json | jq .exit_code\n",
		status_options, EXITS_WITHOUT_CONTACT, command_status},
	{"explain", "REFERENCE", 1, 1, "show what happened to an image, and when",
		"Reads the state file of the configuration and tells of every run that copied the image or failed to:\n"
		"when, how long it took, what was sent for it, and why it failed.\n"
		"REFERENCE is its name at the source or at a target. Runs that found it unchanged leave no record.",
		"  dray explain docker.io/library/alpine:3.20\n"
		"  dray explain --config mirror.yaml registry.internal:5000/mirror/library/alpine:3.20\n",
		explain_options, EXITS_WITHOUT_CONTACT, command_explain},
	{"gc", "oci:DIR", 1, 1, "remove the blobs of a layout that nothing names any more",
		"Removes from the OCI layout DIR every blob that neither its index.json nor a document reached from "
		"there\n"
		"names, such as the layers of tags that have moved on. A copy into the layout must not be running; "
		"what\n"
		"other tools wrote lately is protected by --older-than. If a document cannot be read whole, nothing "
		"is\n"
		"removed.",
		"  dray gc --dry-run oci:/srv/air-gap\n"
		"  dray gc --older-than 7d oci:/srv/air-gap\n",
		gc_options, "0|2|4|6|7|70", command_gc},
	{"delete", "REFERENCE...", 1, OPERANDS_MAX, "delete tags, or manifests by digest, from a registry",
		"REPOSITORY:TAG deletes that tag alone; what it points to, and its other tags, stay. Many registries\n"
		"do not do that by the protocol; then nothing is deleted, and it is said. REPOSITORY@DIGEST deletes\n"
		"the manifest, and with it every tag that points to it, which is why it needs --all-tags. Blobs are\n"
		"never deleted. No other command deletes anything at a registry.",
		"  dray delete registry.internal:5000/app:old registry.internal:5000/app:older\n"
		"  dray delete --all-tags registry.internal:5000/app@sha256:DIGEST\n",
		delete_options, "0|1|2|3|5|6|8|9|70", command_delete},
	{"config check", "[CONFIG]", 0, 1, "check a configuration, contacting nothing",
		"Reports every error as FILE:LINE:COLUMN: TEXT, and exits with 2 if there is one.",
		"  dray config check /etc/dray/dray.yaml\n", check_options, EXITS_WITHOUT_CONTACT,
		command_config_check},
};
const size_t command_count = array_count(commands);

static const struct {
	const char *code, *meaning;
} exits[] = {
	{"0", "all that was asked for is done; every selected image is at its target, or was"},
	{"1", "some of it is done, some failed"},
	{"2", "wrong usage or configuration; nothing was contacted"},
	{"3", "a registry refused the credentials, or there were none"},
	{"4", "content at the source is wrong or missing"},
	{"5", "the target refuses for good"},
	{"6", "trouble here: disk, state file, memory"},
	{"7", "another run holds the state file, or writes into the layout"},
	{"8", "network: nothing was reached in time"},
	{"9", "refused on security grounds"},
	{"70", "an internal check failed; please report it"},
	{"128+n", "stopped by signal n"},
};

/* Is @word the first of its two? */
static bool begins(const struct command *command, const char *word)
{
	size_t length = strlen(word);
	return strncmp(command->name, word, length) == 0 && command->name[length] == ' ';
}

/* How many words of argv name it: 0, 1 or 2. */
static int words_of(const struct command *command, int argc, char **argv)
{
	const char *space = strchr(command->name, ' ');
	if (!space)
		return str_is(argv[1], command->name) ? 1 : 0;
	return argc > 2 && begins(command, argv[1]) && str_is(argv[2], space + 1) ? 2 : 0;
}

const struct command *command_find(int argc, char **argv, int *used)
{
	for (size_t i = 0; i < command_count; i++)
		if ((*used = words_of(&commands[i], argc, argv)) > 0)
			return &commands[i];
	return NULL;
}

const struct command *command_begun_by(const char *word)
{
	for (size_t i = 0; i < command_count; i++)
		if (begins(&commands[i], word))
			return &commands[i];
	return NULL;
}

static bool has_option(const struct command *command, enum option_id id)
{
	for (const enum option_id *own = command->options; *own != OPTION_COUNT; own++)
		if (*own == id)
			return true;
	return false;
}

/* The option that @word ("--name", "--name=value" or "-n") names; *inline_value points behind '='. */
static bool find_option(const struct command *command, const char *word, enum option_id *id, const char **inline_value,
	struct error *err)
{
	size_t length = strcspn(word, "=");
	*inline_value = word[length] ? word + length + 1 : NULL;
	for (unsigned i = 0; i < OPTION_COUNT; i++) {
		bool is_long = word[1] == '-' && strlen(options[i].name) == length - 2 &&
			       strncmp(word + 2, options[i].name, length - 2) == 0;
		bool is_short = word[1] != '-' && length == 2 && word[1] == options[i].letter;
		if ((is_long || is_short) && has_option(command, i)) {
			*id = i;
			return true;
		}
	}
	return error_set(err, ERR_INVALID, "dray %s has no option %.40s; see dray %s --help", command->name, word,
		command->name);
}

/* The how-manieth of the words in "a|b|c" is @word? -1: none. */
static int find_word(const char *words, const char *word)
{
	size_t length = strlen(word), at = strcspn(words, "|");
	for (int i = 0;; i++) {
		if (at == length && strncmp(words, word, length) == 0)
			return i;
		if (!words[at])
			return -1;
		words += at + 1;
		at = strcspn(words, "|");
	}
}

static bool take_option(
	const struct command *command, int argc, char **argv, int *at, struct arguments *arguments, struct error *err)
{
	enum option_id id = OPTION_COUNT;
	const char *value;
	const char *word = argv[*at];
	if (!find_option(command, word, &id, &value, err))
		return false;
	const struct option *option = &options[id];
	if (!option->value) {
		if (value)
			return error_set(err, ERR_INVALID, "--%s takes no value", option->name);
		arguments->given[id] = true;
		return true;
	}
	if (!value) {
		if (*at + 1 >= argc)
			return error_set(err, ERR_INVALID, "--%s needs a value: %s", option->name, option->value);
		value = argv[++*at];
	}
	if (strchr(option->value, '|') && find_word(option->value, value) < 0)
		return error_set(err, ERR_INVALID, "--%s takes %s, not \"%.40s\"", option->name, option->value, value);
	if (arguments->given[id] && !option->repeats)
		return error_set(err, ERR_INVALID, "--%s is given twice", option->name);
	if (arguments->value_counts[id] == OPTION_VALUES_MAX)
		return error_set(err, ERR_INVALID, "--%s is given more than %d times", option->name, OPTION_VALUES_MAX);
	arguments->given[id] = true;
	arguments->values[id][arguments->value_counts[id]++] = value;
	return true;
}

bool command_parse(const struct command *command, int argc, char **argv, struct arguments *arguments, struct error *err)
{
	bool only_operands = false;
	*arguments = (struct arguments){0};
	for (int i = 0; i < argc; i++) {
		if (!only_operands && strcmp(argv[i], "--") == 0) {
			only_operands = true;
		} else if (!only_operands && argv[i][0] == '-' && argv[i][1]) {
			if (!take_option(command, argc, argv, &i, arguments, err))
				return false;
		} else if (arguments->operand_count == command->most) {
			return error_set(err, ERR_INVALID, "\"%.80s\" is one too many: dray %s %s", argv[i],
				command->name, command->operands);
		} else {
			arguments->operands[arguments->operand_count++] = argv[i];
		}
	}
	if (!arguments->given[OPTION_HELP] && arguments->operand_count < command->least)
		return error_set(err, ERR_INVALID, "too few operands: dray %s %s", command->name, command->operands);
	return true;
}

const char *argument_of(const struct arguments *arguments, enum option_id option)
{
	size_t count = arguments->value_counts[option];
	return count > 0 ? arguments->values[option][count - 1] : NULL;
}

int argument_choice(const struct arguments *arguments, enum option_id option)
{
	const char *word = argument_of(arguments, option);
	return word ? find_word(options[option].value, word) : 0;
}

static const char *option_left(const struct option *option, char out[80])
{
	char letter[8] = "    ";
	if (option->letter)
		snprintf(letter, sizeof letter, "-%c, ", option->letter);
	snprintf(out, 80, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
		option->value ? option->value : "");
	return out;
}

void command_print_help(const struct command *command)
{
	char left[80];
	printf("Usage: dray %s [OPTIONS] %s\n\n%s.\n\n%s\n\nOptions:\n", command->name, command->operands,
		command->summary, command->description);
	for (const enum option_id *id = command->options; *id != OPTION_COUNT; id++)
		printf("  %-32s %s\n", option_left(&options[*id], left), options[*id].help);
	printf("\nExamples:\n%s\nExit codes:\n", command->examples);
	for (size_t i = 0; i < array_count(exits); i++)
		if (find_word(command->exits, exits[i].code) >= 0)
			printf("  %-6s %s\n", exits[i].code, exits[i].meaning);
}

void command_print_overview(FILE *out)
{
	fprintf(out,
		"dray mirrors container images between registries and OCI layouts, and proves every byte it moved.\n\n"
		"Usage: dray COMMAND [OPTIONS] ...\n\nCommands:\n");
	for (size_t i = 0; i < command_count; i++)
		fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\n  dray COMMAND --help shows the options, examples and exit codes of a command.\n"
		     "  dray --manual shows all of that as a manual page: dray --manual | man -l -\n"
		     "  dray --version shows the version, and those of its libraries.\n");
}

static void print_roff(const char *text)
{
	for (const char *p = text; *p; p++) {
		if ((p == text || p[-1] == '\n') && (*p == '.' || *p == '\''))
			fputs("\\&", stdout);
		if (*p == '\\' || *p == '-')
			putchar('\\');
		putchar(*p);
	}
}

void command_print_manual(void)
{
	char left[80];
	printf(".TH DRAY 1 \"\" \"dray %s\"\n.SH NAME\ndray \\- mirror container images and prove every byte\n",
		DRAY_VERSION);
	printf(".SH SYNOPSIS\n.B dray\n.I COMMAND\n[OPTIONS] ...\n.SH COMMANDS\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &commands[i];
		printf(".SS dray %s %s\n", command->name, command->operands);
		print_roff(command->description);
		printf("\n.PP\nOptions:\n");
		for (const enum option_id *id = command->options; *id != OPTION_COUNT; id++) {
			printf(".TP\n");
			print_roff(option_left(&options[*id], left));
			putchar('\n');
			print_roff(options[*id].help);
			putchar('\n');
		}
		printf(".PP\nExamples:\n.PP\n.nf\n");
		print_roff(command->examples);
		printf(".fi\n");
	}
	printf(".SH EXIT STATUS\n");
	for (size_t i = 0; i < array_count(exits); i++)
		printf(".TP\n%s\n%s\n", exits[i].code, exits[i].meaning);
	printf(".SH FILES\n.TP\n/etc/dray/dray.yaml\nThe configuration of dray sync without an operand.\n");
}
