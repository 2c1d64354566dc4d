"""Manifests that a registry does not take: its own words are told, nothing is changed to please it, no tag moves (PROTOCOL
section 23, 21).
"""
import json

import pytest

from support import dray, images, scripted, shapes


def parameterized(repo):
    return shapes.artifact([images.Blob(b"{}", "application/vnd.example.bundle+json;version=0.2")])


def without_type(repo):
    image = images.Image([images.Layer(repo)])
    document = json.loads(image.data)
    del document["mediaType"]
    return shapes.Document(document, images.MANIFEST, blobs=image.blobs)


def docker_child(repo):
    return images.Index([images.Image([images.Layer(repo)], docker=True)])


def foreign(repo):
    layer = images.Layer(repo)
    layer.more = {"urls": ["https://example.com/layer"]}
    return shapes.image([layer])


REFUSALS = {  # profile: (what it does not take, its words, the kind)
    "ecr parameters": ("ecr", parameterized, ["405", "Invalid parameter at 'ImageManifest'", "'Invalid JSON syntax'"]),
    "ecr no mediaType": ("ecr", without_type, ["405", "'Invalid JSON syntax'"]),
    "aliyun": ("aliyun", lambda repo: shapes.artifact([images.Blob(b"x", "text/plain")]),
               ["403", "denied: unknown manifest class for application/vnd.oci.empty.v1+json"]),
    "zot": ("zot", lambda repo: images.Image([images.Layer(repo, compression="docker")], docker=True),
            ["415", "manifest media type not supported"]),
    "quay": ("quay", docker_child, ["400", "MANIFEST_INVALID: manifest invalid"]),
    "registry3": ("registry3", foreign, ["400", "MANIFEST_INVALID: invalid URL on layer"]),
}
OTHERS = {  # what others were seen to say: (status, body, words)
    "gcr": (400, '{"errors":[{"code":"MANIFEST_INVALID","message":"image index child manifest not supported"}]}',
            ["400", "image index child manifest not supported"]),
    "gitea": (501, '{"errors":[{"code":"UNSUPPORTED","message":"Schema version is not supported"}]}',
              ["501", "Schema version is not supported"]),
    "old artifactory": (400, '{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"description":"null"}}]}',
                        ["400", "MANIFEST_INVALID: manifest invalid"]),
    "sha512": (400, '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}',
               ["400", "DIGEST_INVALID: provided digest did not match uploaded content"]),
    "a page": (403, "<html><head><title>403 Forbidden</title></head></html>", ["403", "<title>403 forbidden</title>"]),
}


def registry(profile):
    habits = scripted.PROFILES[profile]
    needs_token = any((habits.unquoted, habits.scope, habits.refuses_scopes, habits.token_key_alone))
    return scripted.Registry(profile, auth=scripted.Token(anonymous=("pull", "push")) if needs_token else None)


def refused(source, target, repo, directory, artifact, words):
    """One refusal: verbatim, of class 5, of bytes that were not touched; the tag is where it was."""
    before = images.Image([images.Layer(f"{repo} before", compression="gzip")])
    target.push(repo, "1", before)
    source.push(repo, "1", artifact)
    result = dray.run("copy", "--json", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=directory).expect(5)
    (failure,) = result.report["failures"]
    assert failure["exit_class"] == 5 and failure["stage"] == "publish"
    for word in words:
        assert word.lower() in failure["message"].lower(), failure
    assert target.tags(repo) == {"1": before.digest}
    sent = [request for request in target.of("PUT manifest") if request.status >= 400]
    assert len(sent) == 1  # it is for good: not tried again
    originals = {part.data: part.media_type for part in images.tree(artifact)}
    for request in target.of("PUT manifest"):
        assert originals.get(request.body) == request.header("content-type")
    assert not [request for request in target.requests if request.method == "DELETE"]


# covers: MAN-23, ERR-3, ERR-5, PSH-10, PSH-12, T-51
@pytest.mark.parametrize("what", REFUSALS)
def test_refusal_of_a_registry_as_it_is_met(what, repo, tmp_path):
    profile, make, words = REFUSALS[what]
    with scripted.Registry() as source, registry(profile) as target:
        refused(source, target, repo, tmp_path, make(repo), words)


# covers: MAN-23, ERR-1, ERR-3, PSH-10, PSH-12
@pytest.mark.parametrize("what", OTHERS)
def test_refusal_in_other_words(what, repo, tmp_path):
    status, body, words = OTHERS[what]
    with scripted.Registry() as source, scripted.Registry() as target:
        target.on("PUT manifest", scripted.status(status, body=body))
        refused(source, target, repo, tmp_path, images.Image([images.Layer(repo)]), words)


# covers: MAN-26
def test_sha512_that_is_not_taken_is_told(repo, tmp_path):
    """A child that is known by its sha512; registries that know sha256 alone say so."""
    image = images.Image([images.Layer(repo)])
    child = shapes.Document(image.data, images.MANIFEST, blobs=image.blobs, algorithm="sha512")
    index = shapes.index([child])
    says = '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}'

    def only_sha256(request, response):
        return scripted.Response(400, says.encode(), [("Content-Type", "application/json")]) if request.reference.startswith(
            "sha512:") else response

    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", index)
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:fine", cwd=tmp_path).expect(0)
        assert target.holds(repo, index)
        target.on("PUT manifest", only_sha256)
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(5).says(
            "sha512:", "DIGEST_INVALID: provided digest")
        assert "1" not in target.tags(repo)


# covers: MAN-23, PSH-10
def test_one_child_that_is_refused_keeps_its_index_and_no_other_image_back(repo, tmp_path):
    """Attestations with the empty config, at Aliyun: the index is not pushed without them."""
    base = images.Image([images.Layer(repo)])
    base.entry = {"platform": base.platform}
    index = shapes.index([base, shapes.attestation(base)])
    other = images.Image([images.Layer(f"{repo} other")])
    with scripted.Registry() as source, registry("aliyun") as target:
        source.push(repo, "1", index)
        source.push(repo, "2", other)
        result = dray.run("copy", "--json", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(1)
        (failure,) = result.report["failures"]
        assert failure["target"].endswith(":1") and "unknown manifest class" in failure["message"]
        assert target.tags(repo) == {"2": other.digest} and not target.manifest(repo, index.digest)
        assert not [request for request in target.of("PUT manifest") if request.body == index.data]


# covers: REF-15, UPL-28
def test_name_that_a_registry_does_not_take_is_told_in_its_words(repo, tmp_path):
    says = b'{"errors":[{"code":"NAME_INVALID","message":"Nested repositories are not supported."}]}'
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", images.Image([images.Layer(repo)]))
        for operation in ("POST upload", "HEAD blob", "HEAD manifest"):
            target.on(operation, scripted.status(400, body=b"" if "HEAD" in operation else says))
        target.on("GET manifest", scripted.status(404))
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/a/b/c:1", cwd=tmp_path).expect(5).says(
            "NAME_INVALID: Nested repositories are not supported.")


# covers: REF-14
def test_path_in_front_of_a_repository_is_a_path(repo, tmp_path):
    """Repository keys, projects, regions, proxied registries with their library/ written out: nothing is special about them."""
    names = ["docker-remote/library/nginx", "proxy/library/nginx", "project-1/repo_2/image", "group/sub/sub/sub/app__x/a---b"]
    image = images.Image([images.Layer(repo)])
    with scripted.Registry() as source, scripted.Registry() as target:
        for name in names:
            source.push(name, "1", image)
            dray.run("copy", f"{source.address}/{name}:1", f"{target.address}/deep/{name}:1", cwd=tmp_path).expect(0)
        assert sorted(target.store.repositories) == sorted(f"deep/{name}" for name in names)
        paths = {request.path for request in source.requests if request.repo}
        assert all(any(path.startswith(f"/v2/{name}/") for name in names) for path in paths)
