"""Bad configurations: every error with its place, exit 2, and nobody was contacted."""
import re

import pytest

from support import dray, images

GOOD = """\
version: 1
repos:
  - source: 127.0.0.1:9/a
    targets: [127.0.0.1:9/b]
"""

# (text, line of the error, what the message says, why)
BAD = {
    "unknown key at the top": (GOOD + "repo: []\n", 5, ["repo", "repos"]),
    "unknown key of a repository": (
        "version: 1\nrepos:\n  - source: 127.0.0.1:9/a\n    tragets: [127.0.0.1:9/b]\n", 4, ["tragets", "targets"]),
    "unknown key of a registry": (
        GOOD + "registries:\n  127.0.0.1:9:\n    tsl: off\n", 7, ["tsl", "tls"]),
    "wrong type of a list": ("version: 1\nrepos: 5\n", 2, ["repos"]),
    "wrong type of a text": (
        "version: 1\nrepos:\n  - source: [127.0.0.1:9/a]\n    targets: [127.0.0.1:9/b]\n", 3, ["source"]),
    "wrong type of a flag": (GOOD + "    merge: perhaps\n", 5, ["merge"]),
    "version that is not known": (GOOD.replace("version: 1", "version: 99"), 1, ["version"]),
    "version that is missing": (GOOD.replace("version: 1\n", ""), 1, ["version"]),
    "bad source": (GOOD.replace("127.0.0.1:9/a", "127.0.0.1:9/UPPER"), 3, ["UPPER"]),
    "bad target": (GOOD.replace("127.0.0.1:9/b", "127.0.0.1:9/b//c"), 4, ["b//c"]),
    "duplicate target": (GOOD.replace("[127.0.0.1:9/b]", "[127.0.0.1:9/b, 127.0.0.1:9/b]"), 4, ["127.0.0.1:9/b"]),
    "two sources on one target": (
        GOOD + "  - source: 127.0.0.1:9/other\n    targets: [127.0.0.1:9/b]\n", 5, ["127.0.0.1:9/b", "merge"]),
    "no target": ("version: 1\nrepos:\n  - 127.0.0.1:9/a\n", 3, ["target"]),
    "duplicate key": (GOOD + "version: 1\n", 5, ["version"]),
    "not YAML": (GOOD + "  - [\n", None, []),
    "bad platform": (GOOD + "    platforms: [linux/amd64/v8/x/y]\n", 5, ["linux/amd64/v8/x/y"]),
    "bad regular expression": (GOOD + '    tags: {allow: ["/(/"]}\n', 5, []),
    "unset variable": (GOOD + "state: ${NO_SUCH_VARIABLE}/x\n", 5, ["NO_SUCH_VARIABLE"]),
    "CA file that is not there": (
        GOOD + "registries:\n  127.0.0.1:9:\n    tls: {ca: /no/such/file.pem}\n", 7, ["/no/such/file.pem"]),
    "feature to come: semver": (GOOD + '    tags: {semver: ">=1"}\n', 5, ["semver"]),
    "feature to come: latest": (GOOD + "    tags: {latest: 5}\n", 5, ["latest"]),
    "feature to come: prune": (GOOD + "    prune: true\n", 5, ["prune"]),
    "feature to come: archive": (
        GOOD.replace("[127.0.0.1:9/b]", "['oci-archive:/tmp/x.tar']"), 4, ["oci-archive"]),
}


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("command", [["sync"], ["config", "check"]], ids=["sync", "check"])
@pytest.mark.parametrize("case", BAD)
def test_bad_configuration(case, command, tmp_path):
    text, line, fragments = BAD[case]
    path = write(tmp_path / "bad.yaml", text)
    result = dray.run(*command, path, cwd=tmp_path).expect(2).says(*fragments)
    places = re.findall(r"bad\.yaml:(\d+):(\d+): \S", result.stderr + result.stdout)
    assert places, result
    if line:
        assert line in [int(at) for at, _ in places], result
    assert all(int(column) > 0 for _, column in places), result


def test_place_of_an_unknown_key_is_exact(tmp_path):
    path = write(tmp_path / "bad.yaml", GOOD + "    platform: [linux/amd64]\n")
    dray.run("config", "check", path, cwd=tmp_path).expect(2).says("bad.yaml:5:5: ", "platforms")


def test_all_errors_of_a_file_are_told_at_once(tmp_path):
    path = write(tmp_path / "bad.yaml", GOOD + "    merge: perhaps\n    platform: []\n")
    dray.run("config", "check", path, cwd=tmp_path).expect(2).says("bad.yaml:5:", "bad.yaml:6:")


def test_bad_duration(tmp_path):
    path = write(tmp_path / "bad.yaml", GOOD + "limits: {connect-timeout: 10 parsecs}\n")
    dray.run("config", "check", path, cwd=tmp_path).expect(2).says("bad.yaml:5:", "10 parsecs")


@pytest.mark.parametrize("command", [["sync"], ["config", "check"]], ids=["sync", "check"])
def test_file_that_is_not_there(command, tmp_path):
    dray.run(*command, tmp_path / "none.yaml", cwd=tmp_path).expect(2).says("none.yaml")


def test_good_configuration(tmp_path):
    dray.run("config", "check", write(tmp_path / "good.yaml", GOOD), cwd=tmp_path).expect(0)


def test_merge_lets_two_sources_share_a_target(source, target, repo, tmp_path):
    first, second = (images.Image([images.Layer(f"{repo} {n}")]) for n in range(2))
    images.push(source, f"{repo}/a", "1", first)
    images.push(source, f"{repo}/b", "2", second)
    config = dray.write_config(tmp_path / "c.yaml", "repos:\n" + "".join(f"""\
  - source: {source.address}/{repo}/{name}
    targets: [{target.address}/{repo}]
    merge: true
""" for name in "ab"))
    dray.sync(config).expect(0)
    assert target.manifests(repo) == {first.digest, second.digest}


def test_without_repos_it_serves_the_commands_that_name_what_they_do(source, target, repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    images.push(source, repo, "1", image)
    path = write(tmp_path / "registries.yaml", f"version: 1\nregistries:\n  {source.address}: {{blob-slots: 1}}\n")
    dray.run("copy", "--config", path, f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
    dray.run("tags", "--config", path, f"{source.address}/{repo}", cwd=tmp_path).expect(0)
    for command in (["sync", path], ["config", "check", path], ["retry", "--config", path]):
        dray.run(*command, cwd=tmp_path).expect(2).says('registries.yaml:1:1: "repos" is missing')


def test_nobody_is_contacted(source, repo, tmp_path):
    before = source.log()
    path = write(tmp_path / "bad.yaml", f"version: 1\nrepos:\n  - source: {source.address}/{repo}\n"
                 f"    targets: [{source.address}/x]\n    bogus: 1\n")
    dray.sync(path).expect(2)
    assert not source.log().since(before)


def test_defaults_and_filters(source, target, repo, tmp_path):
    """A plain string with `defaults.target`, variables, globs and regular expressions."""
    tags = {t: images.Image([images.Layer(f"{repo} {t}")]) for t in ("3.1", "3.2", "3.2-rc1", "2.0", "latest")}
    for tag, image in tags.items():
        images.push(source, repo, tag, image)
        images.push(source, f"{repo}/plain", tag, image)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
defaults:
  target: ${{TARGET}}/copy
repos:
  - {source.address}/{repo}/plain
  - source: {source.address}/{repo}
    tags: {{allow: ["3.*", "/l.*t/"], deny: ["/.*-rc\\\\d+/"]}}
""")
    dray.sync(config, env={"TARGET": target.address}).expect(0)
    assert target.manifests(f"copy/{repo}/plain") == {i.digest for i in tags.values()}
    assert target.manifests(f"copy/{repo}") == {tags[t].digest for t in ("3.1", "3.2", "latest")}
    assert target.holds_tag(f"copy/{repo}", "latest") and not target.holds_tag(f"copy/{repo}", "3.2-rc1")


@pytest.mark.parametrize("arguments", [["--help"], ["sync", "--help"], ["copy", "--help"], ["tags", "--help"],
                                       ["inspect", "--help"], ["config", "--help"], ["--version"]], ids=" ".join)
def test_help_and_version(arguments, tmp_path):
    result = dray.run(*arguments, cwd=tmp_path).expect(0)
    assert "dray" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["bogus"], ["sync", "--bogus"], ["copy", "one"], ["tags"], ["inspect"],
                                       ["copy", "127.0.0.1:9/UPPER:1", "127.0.0.1:9/b:1"]],
                         ids=lambda a: " ".join(a) or "nothing")
def test_wrong_usage(arguments, tmp_path):
    result = dray.run(*arguments, cwd=tmp_path).expect(2)
    assert result.stderr
