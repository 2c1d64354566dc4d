"""delete: a tag alone, or a manifest with all of its tags, and nothing else; against Debian's registry 2.8."""
# covers: DEL-1, DEL-2, DEL-4, DEL-7, DESIGN 1
import pytest

from support import dray, images, registry


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A registry that may lose something."""
    server = registry.plain(tmp_path_factory.mktemp("own"))
    server.may_lose = True
    yield server
    server.stop()


@pytest.fixture
def image(own, repo):
    image = images.Image([images.Layer(repo)])
    for tag in ("1", "2", "kept"):
        images.push(own, repo, tag, image if tag != "kept" else images.Image([images.Layer(f"{repo} kept")]))
    return image


def test_tag_is_not_deleted_as_its_digest(own, repo, image, tmp_path):
    """Registry 2.8 deletes no tags (400 DIGEST_INVALID); the other tag of the digest must stay."""
    before = own.tags(repo)
    result = dray.run("delete", f"{own.address}/{repo}:1", cwd=tmp_path).expect(5)
    result.says(f"{own.address}/{repo}:1: this registry does not delete tags (DELETE http://{own.address}/v2/{repo}/manifests/1: 400")
    assert own.tags(repo) == before


def test_digest_is_deleted_with_all_of_its_tags_if_that_is_said(own, repo, image, tmp_path):
    name = f"{own.address}/{repo}@{image.digest}"
    before = own.tags(repo)
    dray.run("delete", name, cwd=tmp_path).expect(2).says("every tag that points to it", "--all-tags")
    dray.run("delete", "--all-tags", "--dry-run", name, cwd=tmp_path).expect(0).says("would delete")
    assert own.tags(repo) == before
    dray.run("delete", "--all-tags", name, cwd=tmp_path).expect(0).says(f"deleted  {name}")
    assert set(own.tags(repo)) == {"kept"}
    dray.run("delete", "--all-tags", name, cwd=tmp_path).expect(5).says("404")
    deletions = [request.path for request in own.log() if request.method == "DELETE" and repo in request.path]
    assert set(deletions) == {f"/v2/{repo}/manifests/{image.digest}"}


def test_what_is_there_is_deleted_though_another_is_not(own, repo, image, tmp_path):
    result = dray.run("delete", "--all-tags", f"{own.address}/{repo}:gone", f"{own.address}/{repo}@{image.digest}",
                      cwd=tmp_path).expect(1)
    result.says(f"{own.address}/{repo}:gone: ", "deleted")


@pytest.mark.parametrize("reference, says", [
    ("{}", "name a tag or a digest"), ("{}:*", "without *"), ("{}/*", "without *"),
    ("{}:1@sha256:" + 64 * "0", "the tag, or the digest?"), ("oci:/srv/x:1", "from registries only")])
def test_nothing_is_guessed(own, tmp_path, reference, says):
    dray.run("delete", reference.format(f"{own.address}/a/b"), cwd=tmp_path).expect(2).says(says)
