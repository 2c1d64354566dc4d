"""Uploads beyond the numbered integration tests."""
import pytest

from support import dray, images, scripted


# covers: UPL-27
def test_blob_that_many_tags_have_goes_up_once(repo, tmp_path):
    shared = images.Layer(f"{repo} shared", 200_000)
    with scripted.Registry() as source, scripted.Registry() as target:
        for n in range(12):
            source.push("app", f"t{n}", images.Image([shared], label=str(n)))
        dray.run("copy", f"{source.address}/app:*", f"{target.address}/app", cwd=tmp_path).expect(0)
        assert target.count("PUT blob", digest=shared.digest) == 1
        assert source.count("GET blob", digest=shared.digest) == 1
        assert len(target.tags("app")) == 12


# covers: UPL-28
def test_repository_that_a_push_does_not_make_is_told(repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    images.write_layout(tmp_path / "from", {"x:1": image})
    with scripted.Registry("ecr") as target:
        dray.run("copy", f"oci:{tmp_path}/from:x:1", f"{target.address}/none:1", cwd=tmp_path).expect(5).says(
            "NAME_UNKNOWN", "The repository does not exist in the registry")
        assert target.count("POST upload") <= 2


# covers: UPL-29, MAN-26
@pytest.mark.parametrize("refuses", [False, True])
def test_sha512_is_told_when_a_session_opens(refuses, repo, tmp_path):
    """And a registry that does not know it says so; nothing is made a sha256 of."""
    image = images.Image([images.Layer(repo, algorithm="sha512")])
    images.write_layout(tmp_path / "from", {"x:1": image})
    with scripted.Registry() as target:
        if refuses:
            target.on("PUT blob", scripted.status(400, body=b'{"errors":[{"code":"DIGEST_INVALID","message":"no sha512 here"}]}'),
                      digest=image.layers[0].digest)
        result = dray.run("copy", f"oci:{tmp_path}/from:x:1", f"{target.address}/app:1", cwd=tmp_path)
        asked = sorted(request.query.get("digest-algorithm", "") for request in target.of("POST upload"))
        if refuses:
            result.expect(5).says("no sha512 here")
            assert target.tags("app") == {}
        else:
            result.expect(0)
            assert asked == ["", "sha512"] and target.holds("app", image)


# covers: MSC-1, MSC-2, MSC-5
def test_what_a_registry_says_beside_the_matter_changes_nothing(repo, tmp_path):
    """OpenShift's signatures, and a clock that is wrong by years."""
    def odd(request, response):
        response.headers += [("X-Registry-Supports-Signatures", "1"), ("Date", "Thu, 01 Jan 1970 00:00:00 GMT")]

    image = images.Image([images.Layer(repo)])
    with scripted.Registry(auth=scripted.Token()) as source, scripted.Registry() as target:
        source.push("app", "1", image)
        source.on("any", odd)
        dray.run("copy", f"{source.address}/app:1", f"{target.address}/app:1", cwd=tmp_path).expect(0)
        assert target.holds("app", image)
        assert not [request for request in source.requests if not request.path.startswith(("/v2/", "/token"))]
