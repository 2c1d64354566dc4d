"""What images and indexes share, and what must not be shared: the failures of others."""
import pytest

from support import dray, faulty, images


@pytest.fixture
def shared(repo):
    return images.Layer(f"{repo} shared", 200_000)


def write(directory, entries, at_once=32):
    lines = "\n".join(f"  - source: {source}\n    targets: [{target}]" for source, target in entries)
    return dray.write_config(directory / "c.yaml", f"limits: {{images-in-flight: {at_once}}}\nrepos:\n{lines}\n")


def test_an_index_stands_behind_its_children_at_whatever_level(source, target, repo, tmp_path):
    children = [images.Image([images.Layer(f"{repo} {n}")]) for n in range(6)]
    root = images.Index([images.Index(children), *children])
    images.push(source, repo, "1", root)
    dray.sync(write(tmp_path, [(f"{source.address}/{repo}:1", f"{target.address}/{repo}")])).expect(0)
    assert target.manifests(repo) == {part.digest for part in images.tree(root)}


def test_a_config_is_proven_though_another_image_lists_it_as_a_layer(source, target, repo, shared, tmp_path):
    lying = images.Image([shared], "arm64", diff_ids=[images.digest_of(b"something else")])
    listed = images.Blob(lying.config.data, "application/json")
    listed.diff_id = listed.digest
    images.push(source, repo, "1", images.Index([images.Image([listed]), lying]))
    dray.sync(write(tmp_path, [(f"{source.address}/{repo}:1", f"{target.address}/{repo}")])).expect(4).says("diff_id")
    assert not target.holds_tag(repo, "1")
