"""Indexes: whole and untouched, or rewritten to the platforms asked for."""
import json

import pytest

from support import dray, images, readers


def test_index_arrives_complete_with_the_same_digest(source, target, repo, tmp_path):
    index = images.multi_platform(repo)
    images.push(source, repo, "1", index)
    layout = tmp_path / "layout"
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    targets: [{target.address}/{repo}, 'oci:{layout}']
""")
    dray.sync(config).expect(0)
    assert readers.plain_digest(f"{target.address}/{repo}:1", tmp_path) == index.digest
    assert readers.digest(f"oci:{layout}:{source.address}/{repo}:1", tmp_path) == index.digest
    assert target.manifests(repo) == {part.digest for part in images.tree(index)}
    images.check_layout(layout)


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_media_types_of_both_families_stay_as_they_are(source, target, repo, tmp_path, docker):
    layer = images.Layer(repo, compression="docker" if docker else "zstd")
    index = images.Index([images.Image([layer], a, docker=docker) for a in ("amd64", "arm64")], docker=docker)
    images.push(source, repo, "1", index)
    dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
    assert readers.raw_manifest(f"{target.address}/{repo}:1", tmp_path, "--tls-verify=false") == index.data


def test_index_of_indexes_arrives(source, target, repo, tmp_path):
    inner = images.multi_platform(f"{repo} inner")
    outer = images.Index([inner, images.Image([images.Layer(repo)])])
    images.push(source, repo, "1", outer)
    dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
    assert target.manifests(repo) == {part.digest for part in images.tree(outer)}


class Subset:
    def __init__(self, source, target, repo, directory):
        self.index = images.multi_platform(repo)
        images.push(source, repo, "1", self.index)
        self.config = dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}:1
    targets: [{target.address}/{repo}]
    platforms: [linux/amd64, linux/s390x]
""")


def test_platforms_rewrite_the_index_and_keep_it_consistent(source, target, repo, tmp_path):
    subset = Subset(source, target, repo, tmp_path)
    dray.sync(subset.config).expect(0)
    raw = readers.raw_manifest(f"{target.address}/{repo}:1", tmp_path, "--tls-verify=false")
    amd64, _, s390x, of_amd64, _, of_s390x = subset.index.children
    kept = [amd64, s390x, of_amd64, of_s390x]
    original = json.loads(subset.index.data)
    entries = json.loads(raw)["manifests"]
    assert [e["digest"] for e in entries] == [k.digest for k in kept]
    assert all(e in original["manifests"] for e in entries), "entries stay as they were"
    assert json.loads(raw)["mediaType"] == original["mediaType"]
    assert target.manifests(repo) == {images.digest_of(raw)} | {k.digest for k in kept}
    readers.skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{target.address}/{repo}:1",
                   f"oci:{tmp_path}/read:x", home=tmp_path)
    images.check_layout(tmp_path / "read")


def test_rewritten_index_is_found_unchanged_with_two_heads(source, target, repo, tmp_path):
    subset = Subset(source, target, repo, tmp_path)
    dray.sync(subset.config).expect(0)
    before = source.log(), target.log()
    again = dray.sync(subset.config).expect(0)
    assert again.report["images"]["unchanged"] == 1
    for log, earlier in zip((source.log(), target.log()), before):
        asked = [r for r in log.since(earlier) if r.kind != "ping"]
        assert [(r.method, r.kind) for r in asked] == [("HEAD", "manifests")], asked


def test_platforms_that_the_image_does_not_have_are_an_error(source, target, repo, tmp_path):
    images.push(source, repo, "1", images.multi_platform(repo, ("amd64",)))
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    targets: [{target.address}/{repo}]
    platforms: [linux/riscv64]
""")
    dray.sync(config).expect(4).says("platforms", "linux/amd64")
    assert not target.holds_tag(repo, "1")
