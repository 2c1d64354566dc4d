"""A target that lacks, when the manifest comes, what it said it has: it is sent again, and within bounds."""
import shutil
import time

import pytest

from support import dray, images, scripted

MISSING = b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'


def lose(registry, repository, digest):
    """As garbage collection does it."""
    link = registry.root / "docker/registry/v2/repositories" / repository / "_layers" / digest.replace(":", "/")
    shutil.rmtree(link)
    registry.blob_path(digest).unlink()


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(f"{repo} kept", 30_000), images.Layer(f"{repo} new", 10_000)])


@pytest.fixture
def source(image, repo):
    with scripted.Registry() as server:
        server.push(repo, "1", image)
        yield server


def copy(source, target, repo, directory):
    return dray.run("copy", "--json", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=directory)


# covers: PSH-7, ERR-7, T-48
def test_blob_that_is_collected_before_the_manifest_comes(source, image, target, repo, tmp_path):
    """docker-registry: the blob was there when it was asked for, and is gone when the other one has arrived."""
    kept, new = image.layers
    images.push(target, repo, "0", images.Image([kept]))

    def collect(request, response):
        time.sleep(0.5)
        lose(target, repo, kept.digest)
        return response

    source.on("GET blob", collect, digest=new.digest, times=1)
    result = copy(source, target, repo, tmp_path).expect(0).says("lacks what it said it has; it is asked again")
    assert target.tags(repo)["1"] == image.digest and target.blob_path(kept.digest).read_bytes() == kept.data
    assert result.report["blobs"]["uploaded"] == 3 and source.count("GET blob", digest=kept.digest) == 1


# covers: PSH-7, T-48, T-53
def test_target_that_always_says_it_has_the_blob(source, image, repo, tmp_path):
    kept = image.layers[0]
    with scripted.Registry() as target:
        target.on("HEAD blob", scripted.status(200, {"Content-Length": str(len(kept.data))}), digest=kept.digest)
        copy(source, target, repo, tmp_path).expect(0).says("all of it is sent again")
        assert target.holds(repo, image) and target.tags(repo) == {"1": image.digest}
        assert target.count("PUT manifest") == 3 and target.count("PUT blob", digest=kept.digest) == 1


# covers: PSH-7, T-48
def test_two_targets_that_always_say_so(repo, tmp_path):
    """With more blobs than are sent at a time: neither makes the other one believed again."""
    image = images.Image([images.Layer(f"{repo} {n}", 2_000) for n in range(24)])
    kept = image.layers[-1]
    with scripted.Registry() as source, scripted.Registry() as one, scripted.Registry() as other:
        source.push(repo, "1", image)
        for target in (one, other):
            target.on("HEAD blob", scripted.status(200, {"Content-Length": str(len(kept.data))}), digest=kept.digest)
        config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: '{source.address}/{repo}:1', "
                                   f"targets: [{one.address}/{repo}, {other.address}/{repo}]}}]\n")
        dray.sync(config).expect(0)
        for target in (one, other):
            assert target.holds(repo, image) and target.tags(repo) == {"1": image.digest}


# covers: ERR-7, T-52
def test_target_that_sees_its_blobs_late_is_not_sent_them_twice(source, image, repo, tmp_path):
    with scripted.Registry() as target:
        target.on("PUT manifest", scripted.status(400, body=MISSING), times=1)
        copy(source, target, repo, tmp_path).expect(0)
        assert target.tags(repo) == {"1": image.digest}
        assert target.count("PUT blob") == len(image.blobs) and target.count("PUT manifest") == 2


# covers: PSH-7, ERR-7, T-48, T-51
@pytest.mark.parametrize("status", [400, 404])
def test_target_that_never_has_enough_ends_it(source, image, status, repo, tmp_path):
    with scripted.Registry() as target:
        target.on("PUT manifest", scripted.status(status, body=MISSING))
        result = copy(source, target, repo, tmp_path).expect(5).says("though all of it was sent again", "MANIFEST_BLOB_UNKNOWN")
        assert [failure["kind"] for failure in result.report["failures"]] == ["incomplete"]
        assert target.tags(repo) == {}
        assert target.count("PUT manifest") == 3 and target.count("PUT blob") == 2 * len(image.blobs)


# covers: T-48, PSH-6
def test_children_that_an_index_misses_are_put_again(repo, tmp_path):
    children = [images.Image([images.Layer(f"{repo} {name}")], architecture=name) for name in ("amd64", "arm64")]
    index = images.Index(children)
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", index)
        target.on("PUT manifest", scripted.status(400, body=b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'), tag="1", times=1)
        copy(source, target, repo, tmp_path).expect(0)
        assert target.tags(repo) == {"1": index.digest}
        assert [target.count("PUT manifest", digest=child.digest) for child in children] == [2, 2]


# covers: T-48
def test_one_that_many_images_share_is_sent_once(image, repo, tmp_path):
    """All eight lack the same blob; the first that finds out sends it for all."""
    kept = image.layers[0]
    many = {f"t{n}": images.Image([kept, images.Layer(f"{repo} {n}")], label=str(n)) for n in range(8)}
    with scripted.Registry() as source, scripted.Registry() as target:
        for tag, one in many.items():
            source.push(repo, tag, one)
        target.on("HEAD blob", scripted.status(200, {"Content-Length": str(len(kept.data))}), digest=kept.digest, times=1)
        dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
        assert target.tags(repo) == {tag: one.digest for tag, one in many.items()}
        assert target.count("PUT blob", digest=kept.digest) == 1


# covers: T-52
def test_manifest_that_shows_late_is_waited_for(source, image, repo, tmp_path):
    """A registry that tells no digest is asked for it, and does not know yet."""
    with scripted.Registry() as target:
        target.on("PUT manifest", scripted.drop_header("Docker-Content-Digest"))
        copying = []

        def later(request, response):
            if not target.count("PUT manifest"):
                return response
            copying.append(request)
            return scripted.Response(404) if len(copying) < 3 else response

        target.on("HEAD manifest", later)
        copy(source, target, repo, tmp_path).expect(0)
        assert len(copying) == 3 and target.tags(repo) == {"1": image.digest}
