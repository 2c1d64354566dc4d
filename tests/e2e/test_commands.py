"""What dray says about itself, and what it does not say when it is told to be quiet."""
import json
import re

import pytest

from support import dray, images

OPTIONS = {"sync": {"--dry-run", "--grace", "--json", "--quiet", "--verbose"},
           "copy": {"--platform", "--verify", "--config", "--dry-run", "--grace", "--json", "--quiet",
                    "--verbose"},
           "tags": {"--config"}, "inspect": {"--platform", "--config", "--json"}, "config check": set(),
           "status": {"--config", "--json"}, "explain": {"--config", "--json"},
           "verify": {"--deep", "--repair", "--config", "--grace", "--json", "--quiet", "--verbose"},
           "retry": {"--config", "--dry-run", "--grace", "--json", "--quiet", "--verbose"},
           "gc": {"--older-than", "--dry-run", "--json"}, "delete": {"--all-tags", "--config", "--dry-run"}}
EVERY_EXIT = [*map(str, range(10)), "70", "128+n"]
EXITS = {"tags": "0 2 3 4 6 8 9 70", "inspect": "0 2 3 4 6 8 9 70", "verify": "0 1 2 3 4 6 7 8 9 70 128+n", "gc": "0 2 4 6 7 70",
         "delete": "0 1 2 3 5 6 8 9 70", **dict.fromkeys(("status", "explain", "config check"), "0 2 6 70")}
COMMANDS = sorted(OPTIONS)
_OPTION = re.compile(r"^  (?:(-\w), |    )(--[\w-]+)(?: (\S+))? ", re.MULTILINE)


def help_of(command, directory):
    return dray.run(*command.split(), "--help", cwd=directory).expect(0).stdout


def options(text):
    """{--name: (-n or "", the word for its value or "")} of a help text."""
    return {name: (letter, value) for letter, name, value in _OPTION.findall(text)}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Every option that any command has."""
    directory = tmp_path_factory.mktemp("help")
    return {name: rest for command in COMMANDS for name, rest in options(help_of(command, directory)).items()}


# --- what it says about itself -------------------------------------------------------------------------------------

def test_overview_names_every_command(tmp_path):
    said = dray.run("--help", cwd=tmp_path).expect(0).stdout
    assert sorted(re.findall(r"^  (\w+(?: \w+)?)  +\w", said, re.MULTILINE)) == COMMANDS
    assert dray.run(cwd=tmp_path).expect(2).stderr == said
    assert re.match(r"dray \d+\.\d+\.\d+\n.*curl", dray.run("--version", cwd=tmp_path).expect(0).stdout, re.IGNORECASE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_options_that_are_taken_and_no_others(command, everything, tmp_path):
    told = options(help_of(command, tmp_path))
    assert OPTIONS[command] | {"--help"} <= set(told)
    for name, (letter, value) in everything.items():
        for word in filter(None, (name, letter)):
            # With --help behind it, whatever is understood does nothing.
            result = dray.run(*command.split(), word, *([value.split("|")[0]] if value else []), "--help", cwd=tmp_path)
            assert result.code == (0 if name in told else 2), result
            assert name in told or word in result.stderr, result


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_codes(command, tmp_path):
    said = help_of(command, tmp_path)
    assert said.startswith(f"Usage: dray {command} [OPTIONS] ")
    assert f"\n  dray {command} " in said.partition("Examples:")[2]
    codes = re.findall(r"^  (\d+|128\+n) ", said.partition("Exit codes:\n")[2], re.MULTILINE)
    assert codes == (EXITS[command].split() if command in EXITS else EVERY_EXIT)


@pytest.mark.parametrize("words", [["foo"], ["chek", "c.yaml"], ["--json"], []], ids=" ".join)
def test_half_a_command_is_told_its_other_half(words, tmp_path):
    dray.run("config", *words, cwd=tmp_path).expect(2).says("dray config check [CONFIG]")


@pytest.mark.parametrize("word", ["conf", "configuration", "checks"])
def test_what_is_no_command_is_told_as_that(word, tmp_path):
    dray.run(word, "check", "c.yaml", cwd=tmp_path).expect(2).says(f'there is no command "{word}"')


def test_manual_is_roff_and_has_every_command_with_every_option(tmp_path):
    manual = dray.run("--manual", cwd=tmp_path).expect(0).stdout
    requests = re.findall(r"^[.'](\S*)", manual, re.MULTILINE)
    assert requests[0] == "TH" and set(requests) <= {"TH", "SH", "SS", "B", "I", "PP", "TP", "nf", "fi"}
    fills = [request for request in requests if request in ("nf", "fi")]
    assert fills == ["nf", "fi"] * (len(fills) // 2)
    assert re.findall(r"^\.SH (.*)", manual, re.MULTILINE)[:2] == ["NAME", "SYNOPSIS"]
    assert re.search(r"^dray \\- \S", manual, re.MULTILINE), "what apropos reads"
    assert set(re.findall(r"\\(.)", manual)) <= {"-", "&", "\\"}, "no escape that nobody meant"
    sections = re.split(r"^\.S[SH] ", manual, flags=re.MULTILINE)
    for command in COMMANDS:
        section, = (text for text in sections if text.startswith(f"dray {command} "))
        words = section.replace("\\-", "-").split()
        assert set(options(help_of(command, tmp_path))) <= set(words), command


# --- quiet ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def image(source, repo):
    made = images.Image([images.Layer(f"{repo} {n}") for n in range(2)])
    images.push(source, repo, "1", made)
    return made


def test_quiet_says_nothing_when_all_is_well(source, target, repo, image, tmp_path):
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: {source.address}/{repo}, target: {target.address}/{repo}}}
""")
    for arguments in (("sync", config, "--quiet"), ("sync", config, "-q"),
                      ("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:2", "--quiet")):
        result = dray.run(*arguments, cwd=tmp_path).expect(0)
        assert result.stdout + result.stderr == "", result
    assert target.tags(repo) == {"1": image.digest, "2": image.digest}


def test_quiet_tells_what_failed_and_nothing_of_what_did_not(source, target, repo, image, tmp_path):
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: {source.address}/{repo}, target: {target.address}/{repo}}}
  - {{source: "{source.address}/{repo}:none", target: {target.address}/{repo}/none}}
""")
    result = dray.run("sync", config, "--quiet", cwd=tmp_path).expect(1).says(f"error: {source.address}/{repo}:none:")
    assert f"{repo}:1" not in result.stdout + result.stderr


def test_quiet_leaves_the_report_alone(source, target, repo, image, tmp_path):
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: {source.address}/{repo}, target: {target.address}/{repo}}}
""")
    result = dray.sync(config, "--quiet").expect(0)
    assert result.report["images"]["copied"] == 1 and result.stderr == ""


# --- inspect -------------------------------------------------------------------------------------------------------

def layers_as_told(image):
    return [{"digest": layer.digest, "size": len(layer.data), "media_type": layer.media_type,
             "diff_id": layer.diff_id} for layer in image.layers]


def test_inspect_tells_an_image_as_json(source, repo, image, tmp_path):
    name = f"{source.address}/{repo}:1"
    told = json.loads(dray.run("inspect", "--json", name, cwd=tmp_path).expect(0).stdout)
    assert told == {
        "reference": name, "digest": image.digest, "media_type": images.MANIFEST, "manifest_digest": image.digest,
        "image_id": image.config.digest, "platform": "linux/amd64", "layers": layers_as_told(image),
        "total_size": sum(len(layer.data) for layer in image.layers)}


def test_inspect_tells_the_platform_of_an_index_that_is_asked_for(source, repo, tmp_path):
    index = images.multi_platform(repo)
    images.push(source, repo, "1", index)
    name = f"{source.address}/{repo}:1"
    told = json.loads(dray.run("inspect", "--json", "--platform", "linux/s390x", name, cwd=tmp_path).expect(0).stdout)
    s390x = index.children[2]
    assert told["digest"] == index.digest and told["media_type"] == images.INDEX
    assert [(e["digest"], e["size"]) for e in told["entries"]] == [(c.digest, len(c.data)) for c in index.children]
    assert [e["platform"] for e in told["entries"][:3]] == ["linux/amd64", "linux/arm64", "linux/s390x"]
    assert told["manifest_digest"] == s390x.digest and told["platform"] == "linux/s390x"
    assert told["layers"] == layers_as_told(s390x)
    text = dray.run("inspect", "-p", "linux/arm64", name, cwd=tmp_path).expect(0).stdout
    assert f"Image:       {index.children[1].digest}" in text and f"{index.digest}\n" in text
    dray.run("inspect", "--platform", "linux/riscv64", name, cwd=tmp_path).expect(4).says("linux/riscv64")
    dray.run("inspect", "--platform", "linux", name, cwd=tmp_path).expect(2)
    dray.run("inspect", "-p", "linux/amd64", "-p", "linux/arm64", name, cwd=tmp_path).expect(2).says("twice")


def test_inspect_adds_up_what_the_layers_have(source, repo, image, tmp_path):
    text = dray.run("inspect", f"{source.address}/{repo}:1", cwd=tmp_path).expect(0).stdout
    sizes = [len(layer.data) for layer in image.layers]
    assert f"Layers:      2, {sum(sizes)} bytes compressed" in text
    assert [int(size) for size in re.findall(r"^  +\d+  +(\d+)  \S+layer", text, re.MULTILINE)] == sizes
