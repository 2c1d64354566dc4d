#include "config/schema.h"

#include "base/memory.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SECONDS    ((int64_t)1000)
#define HOURS      (3600 * SECONDS)

/* --- values ---------------------------------------------------------------------------------------------------- */

static const struct schema later = {.form = SCHEMA_LATER};
static const struct schema version = {.form = SCHEMA_CHOICE, .choices = WORDS("1")};
static const struct schema boolean = {.form = SCHEMA_CHOICE, .choices = WORDS("false", "true")};
static const struct schema verify = {.form = SCHEMA_CHOICE, .choices = WORDS("layers", "digests")};
/* The words stand in the order of enum config_foreign. */
static const struct schema foreign = {.form = SCHEMA_CHOICE, .choices = WORDS("auto", "copy", "skip")};
/* In the order of enum config_referrers. */
static const struct schema referrers = {.form = SCHEMA_CHOICE, .choices = WORDS("false", "true", "always")};
/* In the order of enum config_conflict. */
static const struct schema conflict = {.form = SCHEMA_CHOICE, .choices = WORDS("overwrite", "keep", "fail")};
static const struct schema sparse = {.form = SCHEMA_CHOICE, .choices = WORDS("fail", "keep")};
static const struct schema names = {.form = SCHEMA_CHOICE, .choices = WORDS("full", "tag")};
static const struct schema text = {.form = SCHEMA_TEXT, .what = "a text"};
static const struct schema path = {.form = SCHEMA_TEXT, .what = "a path"};
static const struct schema file = {.form = SCHEMA_TEXT, .what = "the path of a file that exists"};
static const struct schema source = {.form = SCHEMA_TEXT, .what = "a repository, `HOST/PREFIX/*` or `oci:DIR`"};
static const struct schema target = {.form = SCHEMA_TEXT, .what = "a repository or `oci:DIR`"};
static const struct schema prefix = {.form = SCHEMA_TEXT, .what = "a prefix, a template or `oci:DIR`"};
static const struct schema pattern = {.form = SCHEMA_TEXT, .what = "a pattern"};
static const struct schema host = {.form = SCHEMA_TEXT, .what = "a host"};
static const struct schema platform = {.form = SCHEMA_TEXT, .what = "a platform"};
static const struct schema targets = {.form = SCHEMA_LIST, .item = &target};
static const struct schema prefixes = {.form = SCHEMA_LIST, .item = &prefix};
static const struct schema patterns = {.form = SCHEMA_LIST, .item = &pattern};
static const struct schema hosts = {.form = SCHEMA_LIST, .item = &host};
static const struct schema platforms = {.form = SCHEMA_LIST, .item = &platform};
/* A slot is a connection with its buffers; a task has a stack of 256 KiB. */
static const struct schema slots = {.form = SCHEMA_NUMBER, .minimum = 1, .maximum = 256};
static const struct schema images = {.form = SCHEMA_NUMBER, .minimum = 1, .maximum = 1024};
static const struct schema runs = {.form = SCHEMA_NUMBER, .minimum = 1, .maximum = 10000};
/* MAN-20: all manifests of one image have 64 MiB at most. */
static const struct schema mebibytes = {.form = SCHEMA_NUMBER, .minimum = 1, .maximum = 64};
static const struct schema gibibytes = {.form = SCHEMA_NUMBER, .minimum = 1, .maximum = 1 << 20};
static const struct schema timeout = {.form = SCHEMA_DURATION, .minimum = SECONDS, .maximum = HOURS};

/* --- keys ------------------------------------------------------------------------------------------------------ */

static const struct schema_key tls_keys[] = {
	{.name = "ca",
		.value = &file,
		.absent = "the system's",
		.help = "PEM file of the authorities that may sign the registry's certificate"},
	{.name = "certificate", .value = &file, .help = "PEM file of our client certificate; needs `key`"},
	{.name = "key", .value = &file, .help = "PEM file of its private key; needs `certificate`"},
	{.name = "verify",
		.value = &boolean,
		.fallback = "true",
		.help = "`false` takes any certificate, like `tls: insecure`"},
	{0},
};
/* The words stand in the order of enum config_tls, behind its default. */
static const struct schema tls_words = {.form = SCHEMA_CHOICE, .choices = WORDS("on", "off", "insecure")};
static const struct schema tls = {.form = SCHEMA_MAP, .keys = tls_keys, .scalar = &tls_words};

static const struct schema_key credentials_keys[] = {
	{.name = "username", .value = &text, .required = true, .help = "Sent to this registry and to nobody else"},
	{.name = "password", .value = &text, .required = true, .help = "Best written as `${VARIABLE}`"},
	{0},
};
static const struct schema credentials = {.form = SCHEMA_MAP, .keys = credentials_keys};

static const struct schema_key registry_keys[] = {
	{.name = "tls",
		.value = &tls,
		.absent = "`on`; `off` for loopback hosts",
		.help = "`off` is plain http; `insecure` takes any certificate"},
	{.name = "credentials", .value = &credentials, .absent = "`auth-file`", .help = "Who we are to this registry"},
	{.name = "realms",
		.value = &hosts,
		.absent = "none",
		.help = "`HOST` or `HOST:PORT` of token servers elsewhere that may be sent its credentials"},
	{.name = "upload-hosts",
		.value = &hosts,
		.absent = "none",
		.help = "`HOST` or `HOST:PORT` elsewhere that it may have blobs uploaded to, without credentials"},
	{.name = "blob-slots", .value = &slots, .absent = "8", .help = "Blobs in transfer at a time"},
	{.name = "metadata-slots", .value = &slots, .absent = "16", .help = "Other requests at a time"},
	{0},
};
static const struct schema registry = {.form = SCHEMA_MAP, .keys = registry_keys};
static const struct schema registries = {.form = SCHEMA_HOSTS, .item = &registry};

static const struct schema_key tags_keys[] = {
	{.name = "allow", .value = &patterns, .absent = "every tag", .help = "A tag is taken if one of these matches"},
	{.name = "deny", .value = &patterns, .absent = "none", .help = "and none of these does"},
	{.name = "semver", .value = &later},
	{.name = "latest", .value = &later},
	{0},
};
static const struct schema tags = {.form = SCHEMA_MAP, .keys = tags_keys};

static const struct schema_key defaults_keys[] = {
	{.name = "target",
		.value = &prefix,
		.help = "Where entries without a target go: a prefix for the source's path, or a template"},
	{.name = "targets", .value = &prefixes, .help = "The same, several of them"},
	{.name = "verify",
		.value = &verify,
		.fallback = "layers",
		.help = "`layers`: size, digest and diff_id of every layer; `digests`: without the diff_id"},
	{.name = "platforms", .value = &platforms, .absent = "all", .help = "As in an entry"},
	{.name = "foreign", .value = &foreign, .fallback = "auto", .help = "As in an entry"},
	{.name = "sparse", .value = &sparse, .fallback = "fail", .help = "As in an entry"},
	{.name = "tags", .value = &tags, .absent = "every tag", .help = "As in an entry"},
	{.name = "referrers", .value = &referrers, .fallback = "true", .help = "As in an entry"},
	{.name = "on-conflict", .value = &conflict, .fallback = "overwrite", .help = "As in an entry"},
	{.name = "prune", .value = &later},
	{0},
};
static const struct schema defaults = {.form = SCHEMA_MAP, .keys = defaults_keys};

static const struct schema_key repository_keys[] = {
	{.name = "source",
		.value = &source,
		.required = true,
		.help = "What to mirror; a tag or digest takes that alone"},
	{.name = "target", .value = &target, .absent = "`defaults`", .help = "The very repository to write"},
	{.name = "targets", .value = &targets, .absent = "`defaults`", .help = "Several, all served by one download"},
	{.name = "tags", .value = &tags, .absent = "`defaults`", .help = "Which tags of the source are taken"},
	{.name = "platforms",
		.value = &platforms,
		.absent = "`defaults`",
		.help = "Only these, as in `linux/arm64/v8`; an index is rewritten to them"},
	{.name = "verify", .value = &verify, .absent = "`defaults`", .help = "How deep to check what is carried"},
	{.name = "foreign",
		.value = &foreign,
		.absent = "`defaults`",
		.help = "Layers with `urls` that the source does not hold: `copy` fetches them there, `skip` never; "
			"`auto` does for layouts, and else leaves out those that may not be distributed"},
	{.name = "sparse",
		.value = &sparse,
		.absent = "`defaults`",
		.help = "An index whose source lacks some of its manifests: `fail`, or `keep` it without them"},
	{.name = "merge",
		.value = &boolean,
		.fallback = "false",
		.help = "Entries of different sources may share a target repository if all of them say `true`"},
	{.name = "names",
		.value = &names,
		.fallback = "full",
		.help = "In a layout: `full` names an image `docker.io/library/alpine:3.20`, `tag` names it `3.20`"},
	{.name = "referrers",
		.value = &referrers,
		.absent = "`defaults`",
		.help = "Signatures, SBOMs and attestations of what is copied: `true` copies them with it; `always` "
			"looks for new ones of unchanged images, too, which costs requests; `false` copies none"},
	{.name = "on-conflict",
		.value = &conflict,
		.absent = "`defaults`",
		.help = "A target's tag that somebody else has moved since dray wrote it: `overwrite` (the source "
			"wins), "
			"`keep` it as it is, or `fail`; the last two need `state`"},
	{.name = "prune", .value = &later},
	{0},
};
static const struct schema repository = {.form = SCHEMA_MAP, .keys = repository_keys, .scalar = &source};
static const struct schema repositories = {.form = SCHEMA_LIST, .item = &repository};

static const struct schema_key limits_keys[] = {
	{.name = "images-in-flight", .value = &images, .fallback = "32", .help = "Images worked on at a time"},
	{.name = "manifest-mib",
		.value = &mebibytes,
		.fallback = "8",
		.help = "The largest manifest that is read, in MiB; most registries take no more than 4"},
	{.name = "connect-timeout",
		.value = &timeout,
		.fallback = "30s",
		.help = "For a connection, its TLS handshake included"},
	{.name = "stall-timeout",
		.value = &timeout,
		.fallback = "60s",
		.help = "With less than 1 KiB/s from the other side"},
	{.name = "helper-timeout", .value = &timeout, .fallback = "60s", .help = "For a credential helper's answer"},
	{0},
};
static const struct schema limits = {.form = SCHEMA_MAP, .keys = limits_keys};

static const struct schema_key staging_keys[] = {
	{.name = "dir",
		.value = &path,
		.required = true,
		.help = "A directory on a local disk: what comes of a blob of 8 MiB or more for registries alone stays "
			"there until it has arrived, so that the next run goes on with it"},
	{.name = "limit-gib",
		.value = &gibibytes,
		.fallback = "20",
		.help = "No more than that is kept there, in GiB: for what is new, the oldest that no run is at work "
			"on is removed; what does not fit even so is carried without"},
	{0},
};
static const struct schema staging = {.form = SCHEMA_MAP, .keys = staging_keys};

static const struct schema_key file_keys[] = {
	{.name = "version", .value = &version, .required = true, .help = "Of this format"},
	{.name = "state", .value = &path, .absent = "none", .help = "The SQLite file that remembers between runs"},
	{.name = "auth-file",
		.value = &file,
		.absent = "docker's and podman's",
		.help = "Credentials in the form of docker's `config.json`"},
	{.name = "registries", .value = &registries, .help = "Settings by `HOST` or `HOST:PORT`"},
	{.name = "defaults", .value = &defaults, .fallback = "{}", .help = "For all entries of `repos`"},
	{.name = "repos",
		.value = &repositories,
		.absent = "required by `sync`, `retry` and `config check`",
		.help = "The entries: what to mirror. A plain text is a `source` with nothing else"},
	{.name = "limits", .value = &limits, .fallback = "{}", .help = "Of one run"},
	{.name = "prune", .value = &later},
	{.name = "staging",
		.value = &staging,
		.absent = "none",
		.help = "Where the beginnings of large blobs are kept"},
	{.name = "keep-runs",
		.value = &runs,
		.fallback = "100",
		.help = "Runs that the state remembers, with what they copied and what failed"},
	{.name = "allow-empty", .value = &later},
	{0},
};
const struct schema schema_file = {.form = SCHEMA_MAP, .keys = file_keys};

/* --- in words -------------------------------------------------------------------------------------------------- */

static char *choice_wants(const char *const *choices)
{
	char *words = memory_text(choices[0]);
	for (size_t i = 1; choices[i]; i++) {
		auto_free char *before = words;
		words = memory_format("%s%s%s", before, choices[i + 1] ? ", " : " or ", choices[i]);
	}
	return words;
}

/* The table has whole seconds and whole hours. */
static char *duration_wants(int64_t milliseconds)
{
	bool hours = milliseconds % HOURS == 0;
	return memory_format("%ld%s", (long)(milliseconds / (hours ? HOURS : SECONDS)), hours ? "h" : "s");
}

char *schema_wants(const struct schema *schema)
{
	auto_free char *least = duration_wants(schema->minimum);
	auto_free char *most = duration_wants(schema->maximum);
	switch (schema->form) {
	case SCHEMA_TEXT:
		return memory_text(schema->what);
	case SCHEMA_CHOICE:
		return choice_wants(schema->choices);
	case SCHEMA_NUMBER:
		return memory_format("a whole number from %ld to %ld", (long)schema->minimum, (long)schema->maximum);
	case SCHEMA_DURATION:
		return memory_format("a duration from %s to %s, such as 30s", least, most);
	case SCHEMA_LIST:
		return memory_text("a list");
	case SCHEMA_MAP:
		if (schema->scalar) {
			auto_free char *scalar = schema_wants(schema->scalar);
			return memory_format("%s, or a mapping", scalar);
		}
		return memory_text("a mapping");
	case SCHEMA_HOSTS:
		return memory_text("a mapping by registry host");
	case SCHEMA_LATER:
		break;
	}
	return memory_text("not supported by this version");
}
