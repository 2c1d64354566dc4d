"""Whole registries and what is below a prefix, as their catalog names it: in a configuration, and by copy."""
# covers: TAG-14, T-38, DESIGN 9
import shutil

import pytest

from support import dray, images, registry


@pytest.fixture
def tree(source, repo):
    """Five repositories, two below repo/team, one of them without a tag; and what each holds."""
    made = {}
    for path in ("team/a", "team/b/c", "team2/d", "e"):
        for tag in ("1", "2"):
            image = images.Image([images.Layer(f"{repo}/{path}:{tag}")])
            images.push(source, f"{repo}/{path}", tag, image)
            made[f"{repo}/{path}:{tag}"] = image
    images.push(source, f"{repo}/team/untagged", "x", images.Image([images.Layer(f"{repo} untagged")]))
    shutil.rmtree(source.root / f"docker/registry/v2/repositories/{repo}/team/untagged/_manifests/tags/x")
    return made


def team(tree, repo):
    return {name: image for name, image in tree.items() if name.startswith(f"{repo}/team/")}


def test_pattern_mirrors_what_is_below_its_prefix(source, target, repo, tree, tmp_path):
    config = dray.write_config(tmp_path / "dray.yaml", f"""\
defaults: {{target: {target.address}/below}}
repos:
  - source: {source.address}/{repo}/team/*
    tags: {{deny: ["2"]}}
""")
    result = dray.sync(config).expect(0)
    assert result.report["images"]["copied"] == 2, result
    assert result.report["requests"]["GET"]["catalog"] >= 1
    for name, image in team(tree, repo).items():
        repository, _, tag = name.partition(":")
        found = target.tags(f"below/{repository}")
        assert found == ({"1": image.digest} if tag == "1" else found)
    assert not target.tags(f"below/{repo}/team2/d") and not target.tags(f"below/{repo}/e")
    again = dray.sync(config).expect(0)
    assert again.report["images"] == {**again.report["images"], "unchanged": 2, "copied": 0}


def test_copy_of_a_prefix_into_a_layout_and_back(source, target, repo, tree, tmp_path):
    layout = tmp_path / "layout"
    dray.run("copy", f"{source.address}/{repo}/team/*", f"oci:{layout}", cwd=tmp_path).expect(0)
    for name, image in team(tree, repo).items():
        found = dray.run("inspect", "--json", f"oci:{layout}:{source.address}/{name}", cwd=tmp_path).expect(0)
        assert found.report["digest"] == image.digest
    dray.run("copy", f"{source.address}/{repo}/team/*", f"{target.address}/copied", cwd=tmp_path).expect(0)
    for name, image in team(tree, repo).items():
        repository, _, tag = name.partition(":")
        assert target.tags(f"copied/{repository}")[tag] == image.digest


def test_copy_of_a_whole_registry_to_a_host(tmp_path):
    """The bulk copy: everything, with 60 repositories that come in one list."""
    first, second = registry.plain(tmp_path / "first"), registry.plain(tmp_path / "second")
    try:
        image = images.Image([images.Layer("whole registry")])
        names = [f"all/r{i:02}" for i in range(60)]
        for name in names:
            images.push(first, name, "1", image)
        result = dray.run("copy", "--json", f"{first.address}/*", second.address, cwd=tmp_path).expect(0)
        assert result.report["images"]["copied"] == 60
        for name in names:
            assert second.tags(name) == {"1": image.digest}
    finally:
        first.stop()
        second.stop()


def test_prefix_without_repositories_is_a_warning(source, target, repo, tmp_path):
    result = dray.run("copy", f"{source.address}/{repo}/nothing/*", f"{target.address}/x", cwd=tmp_path).expect(0)
    result.says("warning", "the catalog names no repository there")


def test_wrong_patterns_are_usage_errors(source, target, tmp_path):
    address = source.address
    for arguments, says in (
            (("copy", f"{address}/a*", f"{target.address}/x"), "the pattern of repositories is HOST/PREFIX/*"),
            (("copy", f"{address}/a/*:*", f"{target.address}/x"), "a pattern takes every tag"),
            (("copy", f"{address}/a/*", f"{target.address}/x/*"), "a target has no *"),
            (("copy", f"{address}/a/*", f"{target.address}/x:1"), "many images cannot share one tag"),
            (("copy", f"{address}/a/*", f"{address}/a/b"), "among its own sources"),
            (("tags", f"{address}/a/*"), "one repository at a time"),
            (("inspect", f"{address}/a/*"), "inspect takes one image")):
        dray.run(*arguments, cwd=tmp_path).expect(2).says(says)


@pytest.mark.parametrize("pattern_first", [True, False])
def test_first_entry_owns_a_tag_that_a_pattern_finds_too(source, target, repo, tree, tmp_path, pattern_first):
    entries = [f"  - {{source: {source.address}/{repo}/team/*, target: {target.address}/{repo}-m, merge: true}}",
               f"  - {{source: {source.address}/{repo}/e, target: {target.address}/{repo}-m/{repo}/team/a, merge: true}}"]
    config = dray.write_config(tmp_path / "dray.yaml",
                               "repos:\n" + "\n".join(entries if pattern_first else reversed(entries)) + "\n")
    result = dray.sync(config).expect(0)
    owner = f"{repo}/team/a" if pattern_first else f"{repo}/e"
    assert target.tags(f"{repo}-m/{repo}/team/a") == {tag: tree[f"{owner}:{tag}"].digest for tag in ("1", "2")}
    result.says(f"is not copied: {source.address}/{owner} has that tag, and comes first (merge)")
