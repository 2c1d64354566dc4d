"""A registry that says 403 to a question about what it does not have (PROTOCOL section 23, 19)."""
import pytest

from support import dray, images, scripted


@pytest.fixture
def artifactory():
    with scripted.Registry("artifactory") as server:
        yield server


def contents(repo):
    return {"single": images.Image([images.Layer(f"{repo} 1")]), "index": images.multi_platform(repo)}


# covers: MAN-14, PSH-6, MAN-15
def test_403_for_an_absent_tag_of_the_target_is_no_answer(artifactory, repo, tmp_path):
    """Neither for the tag nor for a child: what counts is what the push says."""
    with scripted.Registry() as source:
        for tag, artifact in contents(repo).items():
            source.push(repo, tag, artifact)
        dray.run("copy", f"{source.address}/{repo}:*", f"{artifactory.address}/{repo}", cwd=tmp_path).expect(0)
        assert artifactory.tags(repo) == source.tags(repo)
        assert {request.status for request in artifactory.of("HEAD manifest")} == {403}
        artifactory.forget()
        dray.run("copy", f"{source.address}/{repo}:*", f"{artifactory.address}/{repo}", cwd=tmp_path).expect(0)
        assert not artifactory.of("PUT manifest")  # now it knows them


# covers: MAN-14, T-51
def test_403_to_the_push_counts(artifactory, repo, tmp_path):
    artifactory.on("PUT manifest", scripted.status(403, body=b'{"errors":[{"code":"DENIED","message":"not allowed to deploy"}]}'))
    with scripted.Registry() as source:
        source.push(repo, "1", contents(repo)["single"])
        dray.run("copy", f"{source.address}/{repo}:1", f"{artifactory.address}/{repo}:1", cwd=tmp_path).expect(5).says(
            "403 forbidden", "not allowed to deploy")


# covers: MAN-14, ERR-2
@pytest.mark.parametrize("operation", ["tag", "blob"])
def test_403_at_the_source_is_an_error_in_its_own_words(artifactory, operation, repo, tmp_path):
    image = contents(repo)["single"]
    artifactory.push(repo, "1", image)
    if operation == "blob":
        artifactory.on("GET blob", scripted.status(403, body=b'{"errors":[{"code":"DENIED","message":"no download"}]}'),
                       digest=image.layers[0].digest)
    reference = "1" if operation == "blob" else "absent"
    with scripted.Registry() as target:
        result = dray.run("copy", "--json", f"{artifactory.address}/{repo}:{reference}", f"{target.address}/{repo}:1", cwd=tmp_path)
        result.expect(3).says("403 forbidden", "no download" if operation == "blob" else "DENIED: forbidden")
        assert target.tags(repo) == {} and result.report["images"]["gone"] == 0  # a 403 is never "gone"


# covers: MAN-15, IDX-2
def test_blobs_and_manifests_are_asked_for_each_in_their_own_place(artifactory, repo, tmp_path):
    """Asked for a manifest as a blob, it says yes and then has none; what is in an index and is no manifest is a blob."""
    opaque = images.Blob(b"<sbom/>", "application/xml")
    child = images.Image([images.Layer(repo)])
    index = images.Blob(images.to_json({"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [
        child.descriptor(platform=child.platform), opaque.descriptor()]}), images.INDEX)
    index.blobs, index.children = [opaque], [child]
    manifests = {index.digest, child.digest}
    for registry in (artifactory,):
        registry.on("HEAD blob", lambda request, response: scripted.Response(200) if request.reference in manifests else response)
    artifactory.push(repo, "1", index)
    with scripted.Registry() as target:
        dray.run("copy", f"{artifactory.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert target.holds(repo, index)
        asked = {request.reference for server in (artifactory, target) for operation in ("GET blob", "HEAD blob")
                 for request in server.of(operation)}
        assert asked == {opaque.digest, child.config.digest, child.layers[0].digest}
