/* covers: T-74, T-75, REF-11, DESIGN 6, DESIGN 8 */
#include "base/str.h"
#include "config/load.h"

#include <stdlib.h>

#define HEAD "version: 1\ndefaults: {target: t.io/p}\nrepos: [a.io/x]\n"
#define LIST "version: 1\ndefaults: {target: t.io/p}\nrepos:\n"

struct refusal {
	const char *text;
	const char *lines; /* all of them, exactly */
};

static void refuse_all(const struct refusal *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *lines;
		struct config *config = load_text(rows[i].text, &lines);
		if (config || strcmp(lines, rows[i].lines) != 0)
			fail_msg("row %zu:\n%s\nsaid:\n%s\nexpected:\n%s", i, rows[i].text, lines, rows[i].lines);
		free(lines);
	}
}

static void what_is_no_plain_yaml_is_refused(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"", "1:1: the file is empty\n"},
		{"# nothing\n", "1:1: the file is empty\n"},
		{"version: 1\nrepos: [a.io/x\n",
			"3:1: not YAML: did not find expected ',' or ']' while parsing a flow sequence (line 2)\n"},
		{"version: 1\nrepos:\n\t- a\n", "3:1: not YAML: a tab; only blanks indent\n"},
		{"version: 1\nrepos:\n - @a\n",
			"3:4: not YAML: found character that cannot start any token while scanning "
			"for the next token (line 3)\n"},
		{"version: 1\nstate: \xe9\n", "2:8: not YAML: incomplete UTF-8 octet sequence\n"},
		{"version: 1\nstate: \x1b[31m\n", "2:8: not YAML: control characters are not allowed\n"},
		{HEAD "---\nversion: 1\n", "4:1: a second document in the file\n"},
		{"- a\n", "1:1: the file must be a mapping, not a list\n"},
		{"hello\n", "1:1: the file must be a mapping, not this text\n"},
		{HEAD "state: !path x\n", "4:8: YAML tags are not supported: \"!path\"\n"},
		{HEAD "state: !!str x\n", "4:8: YAML tags are not supported: \"tag:yaml.org,2002:str\"\n"},
		{HEAD "limits: !!map {}\n", "4:9: YAML tags are not supported: \"tag:yaml.org,2002:map\"\n"},
		{"!!str version: 1\n", "1:1: a key has neither tag nor anchor\n"},
		{"? [a]\n: b\n", "1:3: a key must be a text\n"},
		{"state: &a b\n*a : c\n", "2:1: a key must be a text\n"},
		{HEAD "state: \"a\\0b\"\n", "4:8: a value with a NUL character\n"},
		{HEAD "\"a\\0b\": 1\n", "4:1: a key with a NUL character\n"},
		{HEAD "state: a\nstate: b\n", "5:1: \"state\" is given twice, first in line 4\n"},
		{LIST "- {source: a.io/x,\n   source: a.io/y}\n", "5:4: \"source\" is given twice, first in line 4\n"},
		{HEAD "<<: {state: x}\n", "4:1: merge keys (<<) are not supported\n"},
		{HEAD "state: *nobody\n", "4:8: no anchor \"nobody\" stands before its alias\n"},
		{"repos: &a [*a]\n", "1:12: \"a\" contains itself\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void an_unknown_key_is_told_with_the_nearest(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{HEAD "stat: x\n", "4:1: unknown key \"stat\"; did you mean \"state\"?\n"},
		{HEAD "Limits: {}\n", "4:1: unknown key \"Limits\"; did you mean \"limits\"?\n"},
		{HEAD "limits: {image-in-flight: 1}\n",
			"4:10: unknown key \"image-in-flight\"; did you mean \"images-in-flight\"?\n"},
		{HEAD "limits:\n  bandwidth: 1\n", "5:3: unknown key \"bandwidth\"; the keys here are "
						   "images-in-flight, manifest-mib, connect-timeout, "
						   "stall-timeout, helper-timeout\n"},
		{HEAD "registries: {a.io: {credential: {}}}\n",
			"4:21: unknown key \"credential\"; did you mean \"credentials\"?\n"},
		{HEAD "registries: {a.io: {credentials: {username: u, pasword: hunter2}}}\n",
			"4:34: \"password\" is missing\n4:48: unknown key \"pasword\"; did you mean \"password\"?\n"},
		{LIST "- {source: a.io/x, tag: {}}\n", "4:20: unknown key \"tag\"; did you mean \"tags\"?\n"},
		{LIST "- {source: a.io/x, tags: {alow: [x]}}\n",
			"4:27: unknown key \"alow\"; did you mean \"allow\"?\n"},
		{LIST "- a.io/x: {}\n",
			"4:3: \"source\" is missing\n4:3: unknown key \"a.io/x\"; the keys here are source, "
			"target, targets, tags, platforms, verify, foreign, sparse, merge, names, referrers, "
			"on-conflict\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void a_key_to_come_is_told_from_an_unknown_one(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{LIST "- {source: a.io/x, tags: {semver: \">=3\"}}\n",
			"4:27: \"semver\" is not supported by this version\n"},
		{LIST "- {source: a.io/x, tags: {latest: 5}}\n", "4:27: \"latest\" is not supported by this version\n"},
		{HEAD "prune: true\n", "4:1: \"prune\" is not supported by this version\n"},
		{LIST "- oci-archive:x.tar\n", "4:3: \"oci-archive:\" is not supported by this version\n"},
		{LIST "- docker-archive:x.tar\n", "4:3: \"docker-archive:\" is not supported by this version\n"},
		{LIST "- {source: a.io/x, target: oci-archive:x}\n",
			"4:28: \"oci-archive:\" is not supported by this version\n"},
		{LIST "- {source: a.io/x, target: \"oci:/srv/{repository}\"}\n",
			"4:28: \"oci:/srv/{repository}\": placeholders in a directory are not supported by this "
			"version\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void a_value_of_the_wrong_type_is_refused(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"repos: [a.io/x]\ndefaults: {target: t.io}\n", "1:1: \"version\" is missing\n"},
		{"version: 1\n", "1:1: \"repos\" is missing\n"},
		{"version: 1\nstate: ${NO_SUCH_VARIABLE}\n",
			"1:1: \"repos\" is missing\n2:8: the environment variable NO_SUCH_VARIABLE is not set\n"},
		{"version: 2\ndefaults: {target: t.io}\nrepos: [a.io/x]\n", "1:10: version must be 1, not \"2\"\n"},
		{"version: ~\ndefaults: {target: t.io}\nrepos: [a.io/x]\n", "1:10: version has no value\n"},
		{HEAD "state:\n", "4:7: state has no value\n"},
		{HEAD "state: \"\"\n", "4:8: state has no value\n"},
		{HEAD "state: null\n", "4:8: state has no value\n"},
		{HEAD "state: [x]\n", "4:8: state must be a path, not a list\n"},
		{HEAD "limits: 5\n", "4:9: limits must be a mapping, not this text\n"},
		{HEAD "keep-runs: 0\n", "4:12: keep-runs must be a whole number from 1 to 10000, not \"0\"\n"},
		{HEAD "keep-runs: 10001\n", "4:12: keep-runs must be a whole number from 1 to 10000, not \"10001\"\n"},
		{HEAD "limits: {images-in-flight: 0}\n",
			"4:28: images-in-flight must be a whole number from 1 to 1024, not \"0\"\n"},
		{HEAD "limits: {images-in-flight: 1025}\n",
			"4:28: images-in-flight must be a whole number from 1 to 1024, not \"1025\"\n"},
		{HEAD "limits: {images-in-flight: 012}\n",
			"4:28: images-in-flight must be a whole number from 1 to 1024, not \"012\"\n"},
		{HEAD "limits: {images-in-flight: 1_0}\n",
			"4:28: images-in-flight must be a whole number from 1 to 1024, not \"1_0\"\n"},
		{HEAD "limits: {images-in-flight: -1}\n",
			"4:28: images-in-flight must be a whole number from 1 to 1024, not \"-1\"\n"},
		{HEAD "limits: {images-in-flight: 1e2}\n",
			"4:28: images-in-flight must be a whole number from 1 to 1024, not \"1e2\"\n"},
		{HEAD "limits: {connect-timeout: 30}\n",
			"4:27: connect-timeout must be a duration from 1s to 1h, such as 30s, not \"30\"\n"},
		{HEAD "limits: {stall-timeout: 999ms}\n",
			"4:25: stall-timeout must be a duration from 1s to 1h, such as 30s, not \"999ms\"\n"},
		{HEAD "limits: {stall-timeout: 2h}\n",
			"4:25: stall-timeout must be a duration from 1s to 1h, such as 30s, not \"2h\"\n"},
		{LIST "- {source: a.io/x, merge: yes}\n", "4:27: merge must be false or true, not \"yes\"\n"},
		{LIST "- {source: a.io/x, merge: True}\n", "4:27: merge must be false or true, not \"True\"\n"},
		{LIST "- {source: a.io/x, verify: none}\n", "4:28: verify must be layers or digests, not \"none\"\n"},
		{LIST "- {source: a.io/x, platforms: linux/amd64}\n",
			"4:31: platforms must be a list, not this text\n"},
		{LIST "- {source: a.io/x, platforms: []}\n", "4:31: platforms is an empty list\n"},
		{LIST "- {source: a.io/x, platforms: [[linux/amd64]]}\n",
			"4:32: an item of platforms must be a platform, not a list\n"},
		{LIST "- [a.io/x]\n", "4:3: an item of repos must be a repository, `HOST/PREFIX/*` or `oci:DIR`, or a "
				      "mapping, not a list\n"},
		{"version: 1\ndefaults: {target: t.io}\nrepos: []\n", "3:8: repos is an empty list\n"},
		{HEAD "registries: {a.io: {tls: no}}\n",
			"4:26: tls must be on, off or insecure, or a mapping, not \"no\"\n"},
		{HEAD "registries: {a.io: {credentials: hunter2}}\n",
			"4:34: credentials must be a mapping, not this text\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void what_the_schema_cannot_say_is_checked_too(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{LIST "- {source: a.io/x, on-conflict: keep}\n", "4:20: \"on-conflict: keep\" needs \"state\"\n"},
		{"version: 1\ndefaults: {target: t.io, on-conflict: fail}\nrepos: [a.io/x, a.io/y]\n",
			"2:26: \"on-conflict: fail\" needs \"state\"\n"},
		{LIST "- {source: a.io/x, targets: [t.io/x, \"oci:/srv/a\"]}\n- {source: a.io/y, target: "
		      "\"oci:/srv/a/\"}\n"
		      "state: /srv/./a/dray.db\n",
			"6:8: state: /srv/a/dray.db is inside the target oci:/srv/a and would travel with its images; "
			"put it elsewhere\n"},
		{LIST "- {source: a.io/x, target: \"oci:/srv/a\"}\nstate: /srv/a\n",
			"5:8: state: /srv/a is inside the target oci:/srv/a and would travel with its images; put it "
			"elsewhere\n"},
		{LIST "- a.io/X\n", "4:3: reference \"a.io/X\": upper case is not allowed in a repository name\n"},
		{LIST "- {source: a.io/x, platforms: [linux]}\n",
			"4:32: \"linux\" is not a platform; write os/architecture or os/architecture/variant\n"},
		{LIST "- {source: a.io/x, tags: {deny: [\"/(/\"]}}\n",
			"4:34: pattern \"/(/\": missing closing parenthesis at offset 1\n"},
		{LIST "- {source: a.io/x, tags: {allow: [\"{3,4}.*\"]}}\n",
			"4:35: pattern \"{3,4}.*\": no tag has a \"{\"; a "
			"regular expression stands between slashes\n"},
		{LIST "- {source: a.io/x, tags: {}}\n", "4:26: tags is empty; give \"allow\" or \"deny\"\n"},
		{LIST "- {source: \"a.io/x:1\", tags: {allow: [x]}}\n",
			"4:24: \"tags\" chooses among tags, and the source names one image\n"},
		{LIST "- {source: a.io/x, names: tag}\n",
			"4:20: \"names\" is for layouts, and no target of this entry is one\n"},
		{LIST "- \"oci:\"\n", "4:3: \"oci:\" names no directory\n"},
		{LIST "- oci:/srv/x:1\n", "4:3: \"oci:/srv/x:1\": a layout is given as oci:DIR, without \":\" in DIR "
					  "or an image behind it\n"},
		{HEAD "registries: {mirror: {}}\n",
			"4:14: \"mirror\" is not a registry host: it has a dot or a port, or is localhost\n"},
		{HEAD "registries: {a.io/x: {}}\n",
			"4:14: \"a.io/x\" is not a registry host: it has a dot or a port, or is localhost\n"},
		{HEAD "registries: {a.io: {realms: [a.io, \"https://a.io/t\", \"*.a.io\"]}}\n",
			"4:36: \"https://a.io/t\" is not a registry host: it has a dot or a port, or is localhost\n"
			"4:54: \"*.a.io\" is not a registry host: it has a dot or a port, or is localhost\n"},
		{HEAD "registries:\n  index.docker.io: {}\n  docker.io: {}\n",
			"6:3: docker.io is the same host as docker.io in line 5\n"},
		{HEAD "registries:\n  a.io: {}\n  A.io:443: {}\n",
			"6:3: A.io:443 is the same host as a.io in line 5\n"},
		{HEAD "registries: {a.io: {tls: {key: key.pem}}}\n", "4:27: \"key\" needs \"certificate\"\n"},
		{HEAD "registries: {a.io: {tls: {certificate: ca.pem}}}\n", "4:27: \"certificate\" needs \"key\"\n"},
		{HEAD "registries: {a.io: {tls: {ca: ca.pem, verify: false}}}\n",
			"4:27: \"ca\" is never looked at with \"verify: false\"\n"},
		{HEAD "registries: {a.io: {tls: {ca: /dev/null}}}\n", "4:31: ca: /dev/null: not a regular file\n"},
		{HEAD "auth-file: /nonexistent/auth.json\n",
			"4:12: auth-file: /nonexistent/auth.json: No such file or directory\n"},
		{HEAD "state: ${DRAY_TEST_NOWHERE}\n", "4:8: the environment variable DRAY_TEST_NOWHERE is not set\n"},
		{HEAD "state: ${DRAY_TEST\n",
			"4:8: \"${\" begins a variable, as in ${NAME}; write \"$${\" where it is text\n"},
		{HEAD "state: \"${1X}\"\n",
			"4:8: \"${\" begins a variable, as in ${NAME}; write \"$${\" where it is text\n"},
		{HEAD "state: \"${X:-y}\"\n",
			"4:8: \"${\" begins a variable, as in ${NAME}; write \"$${\" where it is text\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void a_target_that_is_none_is_refused(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"version: 1\nrepos: [a.io/x]\n",
			"2:9: no target: give one here, or for all entries under \"defaults\"\n"},
		{LIST "- {source: a.io/x, target: t.io/x, targets: [t.io/y]}\n",
			"4:36: \"targets\" beside \"target\" in line 4: give one of them\n"},
		{LIST "- {source: a.io/x, targets: []}\n", "4:29: targets is an empty list\n"},
		{LIST "- {source: a.io/x, target: \"t.io:5000\"}\n",
			"4:28: \"t.io:5000\" names no repository: write HOST/PATH\n"},
		{LIST "- {source: a.io/x, target: \"t.io/x:1\"}\n",
			"4:28: \"t.io/x:1\": a target is a repository, without tag or digest\n"},
		{LIST "- {source: a.io/x, target: mirror/x}\n",
			"4:28: \"mirror/x\": a target begins with its registry's "
			"host (docker.io/... is Docker Hub)\n"},
		{LIST "- {source: a.io/x, target: \"t.io/{tag}\"}\n",
			"4:28: unknown placeholder {tag}; there are {registry} and {repository}\n"},
		{LIST "- {source: a.io/x, target: \"t.io/{registry\"}\n",
			"4:28: \"t.io/{registry\": \"{\" without \"}\"\n"},
		{LIST "- {source: \"oci:/srv/x\", target: \"t.io/{repository}\"}\n",
			"4:34: \"t.io/{repository}\": placeholders need a registry as source\n"},
		{"version: 1\ndefaults: {target: mirror}\nrepos:\n- a.io/x\n- a.io/y\n",
			"2:20: \"mirror/library/alpine\": a target begins with its registry's host (docker.io/... is "
			"Docker "
			"Hub)\n"},
		{LIST "- {source: a.io/x, target: a.io/x}\n", "4:28: a.io/x would be copied onto itself\n"},
		{LIST "- {source: \"oci:/srv/x\", target: \"oci:/srv/./x/\"}\n",
			"4:34: oci:/srv/x would be copied onto itself\n"},
		{LIST "- source: a.io/x\n  targets:\n  - t.io/y\n  - oci:/srv/x\n  - t.io/y\n",
			"8:5: duplicate target: t.io/y is a target of this entry already, in line 6\n"},
		{LIST "- {source: a.io/x, targets: [\"oci:/srv/x\", \"oci:/srv//x/.\"]}\n",
			"4:44: duplicate target: oci:/srv/x:a.io/x is a target of this entry already, in line 4\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void defaults_are_checked_even_where_no_entry_uses_them(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"version: 1\ndefaults: {target: mirror}\nrepos: [{source: a.io/x, target: t.io/x}]\n",
			"2:20: \"mirror/library/alpine\": a target begins with its registry's host (docker.io/... is "
			"Docker "
			"Hub)\n"},
		{"version: 1\ndefaults: {tags: {allow: [\"/(/\"]}}\nrepos: [{source: \"a.io/x:1\", target: t.io/x}]\n",
			"2:27: pattern \"/(/\": missing closing parenthesis at offset 1\n"},
		{"version: 1\ndefaults: {platforms: [x]}\nrepos: [{source: a.io/x, target: t.io/x, platforms: "
		 "[l/a]}]\n",
			"2:24: \"x\" is not a platform; write os/architecture or os/architecture/variant\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void two_entries_on_one_target_are_told_with_both_places(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{LIST "- a.io/x\n- a.io/y\n- a.io/x\n",
			"6:3: duplicate entry: t.io/p/x is already the target of a.io/x in line 4\n"},
		{LIST "- a.io/x\n- b.io/x\n",
			"5:3: t.io/p/x is already the target of a.io/x in line 4; mixing two sources needs "
			"\"merge: true\" in both\n"},
		{LIST "- a.io/x\n- {source: b.io/x, merge: true}\n",
			"5:3: t.io/p/x is already the target of a.io/x in line 4; mixing two sources needs \"merge: "
			"true\" in "
			"both\n"},
		{LIST "- {source: b.io/x, merge: true}\n- {source: a.io/y, target: t.io/p/x}\n- {source: a.io/x, "
		      "merge: true}\n",
			"5:3: t.io/p/x is already the target of b.io/x in line 4; mixing two sources needs \"merge: "
			"true\" in "
			"both\n"},
		{LIST "- {source: a.io/x, merge: true}\n- {source: a.io/x, merge: true}\n",
			"5:3: duplicate entry: t.io/p/x is already the target of a.io/x in line 4\n"},
		{LIST "- {source: a.io/x, targets: [\"oci:/srv/x\"], names: tag}\n"
		      "- {source: a.io/y, targets: [\"oci:/srv/x\"], names: tag}\n",
			"5:3: oci:/srv/x is already the target of a.io/x in line 4; mixing two sources needs \"merge: "
			"true\" in "
			"both\n"},
		{LIST "- {source: a.io/x, targets: [\"oci:/srv/x\"]}\n- {source: a.io/y, targets: [\"oci:/srv/x\"], "
		      "names: tag}\n",
			"5:3: oci:/srv/x is already the target of a.io/x in line 4, with other \"names\"\n"},
		{LIST "- {source: \"oci:/srv/x\"}\n- {source: \"oci:/srv/y\"}\n",
			"5:3: t.io/p is already the target of oci:/srv/x in line 4; mixing two sources needs \"merge: "
			"true\" in "
			"both\n"},
	};
	refuse_all(rows, array_count(rows));
}

/* What a pattern will find is not known; what it may write is. */
static void patterns_that_may_meet_an_entry_are_told(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{LIST "- a.io/team/*\n- a.io/team/*\n",
			"5:3: duplicate entry: t.io/p/{repository} is already a target of a.io/team/* in line 4\n"},
		{LIST "- a.io/team/*\n- a.io/team/sub/*\n",
			"5:3: duplicate entry: t.io/p/{repository} is already a target of a.io/team/* in line 4\n"},
		{LIST "- a.io/team/x\n- a.io/*\n",
			"5:3: duplicate entry: t.io/p/{repository} is already a target of a.io/team/x in line 4\n"},
		{LIST "- a.io/team/*\n- a.io/team/x\n",
			"5:3: duplicate entry: t.io/p/team/x is already a target of a.io/team/* in line 4\n"},
		{LIST "- a.io/team/*\n- {source: b.io/x, target: t.io/p/team/x, merge: true}\n",
			"5:3: t.io/p/team/x may be a target of a.io/team/* in line 4, too; mixing two sources needs "
			"\"merge: true\" in both\n"},
		{LIST "- a.io/*\n- b.io/*\n",
			"5:3: t.io/p/{repository} may be a target of a.io/* in line 4, too; mixing two sources needs "
			"\"merge: true\" in both\n"},
		{LIST "- {source: t.io/*, target: t.io/copy}\n",
			"4:28: t.io/copy/{repository} would be among its own sources\n"},
		{LIST "- {source: t.io/p/*, target: t.io/p/x}\n",
			"4:30: t.io/p/x/{repository} would be among its own sources\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void patterns_have_a_maximum(void **state)
{
	(void)state;
	auto_free char *text = memory_text(LIST);
	for (int i = 0; i < 257; i++) {
		char *longer = memory_format("%s- a.io/p%d/*\n", text, i);
		free(text);
		text = longer;
	}
	const struct refusal row = {text, "260:3: more than 256 patterns of repositories\n"};
	refuse_all(&row, 1);
}

static void what_is_no_pattern_of_repositories_is_refused(void **state)
{
	(void)state;
#define PATTERN_IS "the pattern of repositories is HOST/PREFIX/*, for all below PREFIX, or HOST/*"
	static const struct refusal rows[] = {
		{LIST "- a.io/te*\n", "4:3: \"a.io/te*\": " PATTERN_IS "\n"},
		{LIST "- a.io/*/x\n", "4:3: \"a.io/*/x\": " PATTERN_IS "\n"},
		{LIST "- a.io/x:*\n", "4:3: \"a.io/x:*\": " PATTERN_IS "\n"},
		{LIST "- a.io/*/*\n", "4:3: \"a.io/*/*\": " PATTERN_IS "\n"},
		{LIST "- team/*\n",
			"4:3: \"team/*\": \"team\" is not a registry host: it has a dot or a port, or is localhost\n"},
		{LIST "- {source: a.io/team/*, target: \"t.io/{repository}/{repository}\"}\n",
			"4:33: {repository} twice, and the source is a pattern\n"},
		{LIST "- {source: a.io/team/*, target: \"oci:/srv/x\", names: tag}\n",
			"4:47: \"names: tag\" is for a layout of one repository, and the source is a pattern\n"},
	};
	refuse_all(rows, array_count(rows));
}

static void all_errors_of_a_file_are_told_in_its_order(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"version: 3\nstate: ${DRAY_TEST_NOWHERE}\nlimits: {stall-timeout: x}\nrepos:\n- a.io/X\n- {source: "
		 "a.io/y, "
		 "tgas: {}}\n- a.io/z\n",
			"1:10: version must be 1, not \"3\"\n"
			"2:8: the environment variable DRAY_TEST_NOWHERE is not set\n"
			"3:25: stall-timeout must be a duration from 1s to 1h, such as 30s, not \"x\"\n"
			"5:3: reference \"a.io/X\": upper case is not allowed in a repository name\n"
			"6:3: no target: give one here, or for all entries under \"defaults\"\n"
			"6:20: unknown key \"tgas\"; did you mean \"tags\"?\n"
			"7:3: no target: give one here, or for all entries under \"defaults\"\n"},
		{LIST "- &bad {source: a.io/x, vrify: 1}\n- *bad\n",
			"4:25: unknown key \"vrify\"; did you mean \"verify\"?\n"
			"5:3: duplicate entry: t.io/p/x is already the target of a.io/x in line 4\n"},
	};
	refuse_all(rows, array_count(rows));
}

/* Where a password belongs, or what came from a variable, no message shows what stands there. */
static void a_secret_is_in_no_message(void **state)
{
	(void)state;
	static const char *const rows[] = {
		HEAD "registries: {a.io: {credentials: s3cret}}\n",
		HEAD "registries: {a.io: {credentials: [s3cret]}}\n",
		HEAD "registries: {a.io: {credentials: {username: u, password: [s3cret]}}}\n",
		HEAD "registries: {a.io: {credentials: {username: u, password: \"s3cret${\"}}}\n",
		HEAD "registries: {a.io: {credentials: {username: u, password: \"${s3cret\"}}}\n",
		HEAD "registries: {a.io: {credentials: {username: u, passwd: s3cret}}}\n",
		HEAD "limits: {images-in-flight: \"${DRAY_TEST_SECRET}\"}\n",
		LIST "- {source: a.io/x, merge: \"${DRAY_TEST_SECRET}\"}\n",
	};
	setenv("DRAY_TEST_SECRET", "s3cret", 1);
	for (size_t i = 0; i < array_count(rows); i++) {
		char *lines;
		assert_null(load_text(rows[i], &lines));
		if (strstr(lines, "s3cret"))
			fail_msg("%s", lines);
		free(lines);
	}
}

static void a_message_is_fit_for_a_terminal(void **state)
{
	(void)state;
	char *lines;
	assert_null(load_text(HEAD "\"\\e]0;x\\a\": 1\n", &lines));
	assert_null(strchr(lines, '\x1b'));
	assert_non_null(strstr(lines, "\\x1b]0;x\\x07"));
	free(lines);
}

static void only_so_many_errors_are_told_and_the_rest_counted(void **state)
{
	(void)state;
	char *text = memory_text(HEAD);
	for (int i = 0; i < 103; i++) {
		auto_free char *before = text;
		text = memory_format("%snope%d: 1\n", before, i);
	}
	char *lines;
	assert_null(load_text(text, &lines));
	assert_non_null(strstr(lines, "103:1: unknown key \"nope99\""));
	assert_null(strstr(lines, "\"nope100\""));
	assert_true(str_ends_with(lines, " 3 more errors\n"));
	free(lines);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_plain_yaml_is_refused),
		cmocka_unit_test(an_unknown_key_is_told_with_the_nearest),
		cmocka_unit_test(a_key_to_come_is_told_from_an_unknown_one),
		cmocka_unit_test(a_value_of_the_wrong_type_is_refused),
		cmocka_unit_test(what_the_schema_cannot_say_is_checked_too),
		cmocka_unit_test(a_target_that_is_none_is_refused),
		cmocka_unit_test(defaults_are_checked_even_where_no_entry_uses_them),
		cmocka_unit_test(two_entries_on_one_target_are_told_with_both_places),
		cmocka_unit_test(patterns_that_may_meet_an_entry_are_told),
		cmocka_unit_test(patterns_have_a_maximum),
		cmocka_unit_test(what_is_no_pattern_of_repositories_is_refused),
		cmocka_unit_test(all_errors_of_a_file_are_told_in_its_order),
		cmocka_unit_test(a_secret_is_in_no_message),
		cmocka_unit_test(a_message_is_fit_for_a_terminal),
		cmocka_unit_test(only_so_many_errors_are_told_and_the_rest_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
