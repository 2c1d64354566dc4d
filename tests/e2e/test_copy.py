"""copy, tags and inspect: one image, a repository, a whole layout, and a look at them."""
import pytest

from support import dray, images, readers


@pytest.fixture
def tags(source, repo):
    shared = images.Layer(f"{repo} shared")
    made = {t: images.Image([shared, images.Layer(f"{repo} {t}")]) for t in ("1.0", "1.1", "2.0")}
    for tag, image in made.items():
        images.push(source, repo, tag, image)
    return made


def test_one_image(source, target, repo, tags, tmp_path):
    dray.run("copy", f"{source.address}/{repo}:1.1", f"{target.address}/{repo}:renamed", cwd=tmp_path).expect(0)
    assert target.manifests(repo) == {tags["1.1"].digest}
    assert readers.plain_digest(f"{target.address}/{repo}:renamed", tmp_path) == tags["1.1"].digest
    assert not target.holds_tag(repo, "1.1")


def test_scheme_as_skopeo_writes_it(source, target, repo, tags, tmp_path):
    dray.run("copy", f"docker://{source.address}/{repo}:1.1", f"docker://{target.address}/{repo}:1.1",
             cwd=tmp_path).expect(0)
    assert target.manifests(repo) == {tags["1.1"].digest}


def test_one_image_by_digest(source, target, repo, tags, tmp_path):
    digest = tags["2.0"].digest
    dray.run("copy", f"{source.address}/{repo}@{digest}", f"{target.address}/{repo}:by-digest", cwd=tmp_path).expect(0)
    assert readers.plain_digest(f"{target.address}/{repo}:by-digest", tmp_path) == digest


def test_every_tag_of_a_repository(source, target, repo, tags, tmp_path):
    dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
    for tag, image in tags.items():
        assert readers.plain_digest(f"{target.address}/{repo}:{tag}", tmp_path) == image.digest


def test_into_a_layout_and_back_whole(source, target, repo, tags, tmp_path):
    layout = tmp_path / "layout"
    dray.run("copy", f"{source.address}/{repo}:*", f"oci:{layout}", cwd=tmp_path).expect(0)
    images.check_layout(layout)
    assert {n: e["digest"] for n, e in images.read_layout(layout).items()} == {
        f"{source.address}/{repo}:{t}": i.digest for t, i in tags.items()}
    dray.run("copy", f"oci:{layout}", f"{target.address}/airgap", cwd=tmp_path).expect(0)
    assert target.manifests(f"airgap/{repo}") == {i.digest for i in tags.values()}


def test_copying_again_changes_nothing(source, target, repo, tags, tmp_path):
    for _ in range(2):
        before = target.log()
        dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
    assert not [r for r in target.log().since(before) if r.method in ("POST", "PUT", "PATCH")]


def test_copy_needs_no_state_and_leaves_nothing_behind(source, target, repo, tags, tmp_path):
    dray.run("copy", f"{source.address}/{repo}:1.0", f"{target.address}/{repo}:1.0", cwd=tmp_path).expect(0)
    assert not list(tmp_path.iterdir())


def test_copy_fails_as_sync_does(source, target, repo, tags, tmp_path):
    result = dray.run("copy", f"{source.address}/{repo}:none", f"{target.address}/{repo}:none", cwd=tmp_path)
    result.expect(4).says(f"{repo}:none")


def test_tags(source, repo, tags, tmp_path):
    result = dray.run("tags", f"{source.address}/{repo}", cwd=tmp_path).expect(0)
    assert result.stdout.split() == sorted(tags)
    dray.run("tags", f"{source.address}/{repo}/none", cwd=tmp_path).expect(4)


def test_inspect_an_image(source, repo, tags, tmp_path):
    image = tags["1.0"]
    result = dray.run("inspect", f"{source.address}/{repo}:1.0", cwd=tmp_path).expect(0)
    for part in (image.digest, image.config.digest, "linux/amd64", image.layers[0].media_type,
                 *(layer.diff_id for layer in image.layers)):
        assert part in result.stdout, part
    dray.run("inspect", f"{source.address}/{repo}:none", cwd=tmp_path).expect(4)


def test_inspect_an_index_tells_its_platforms(source, repo, tmp_path):
    index = images.multi_platform(repo)
    images.push(source, repo, "1", index)
    result = dray.run("inspect", f"{source.address}/{repo}:1", cwd=tmp_path).expect(0)
    for part in (index.digest, "linux/amd64", "linux/arm64", "linux/s390x"):
        assert part in result.stdout, result


def test_inspect_reads_layouts(repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    images.write_layout(tmp_path / "layout", {"a/b:1": image})
    result = dray.run("inspect", f"oci:{tmp_path}/layout:a/b:1", cwd=tmp_path).expect(0)
    assert image.digest in result.stdout and image.layers[0].diff_id in result.stdout
