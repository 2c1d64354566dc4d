"""Who does not say what it takes is told that there is nothing, or given something else (PROTOCOL section 23, 2)."""
import json

import pytest

from support import dray, images, scripted

WANTED = (images.INDEX, images.MANIFEST, images.DOCKER_LIST, images.DOCKER_MANIFEST,
          "application/vnd.docker.distribution.manifest.v1+prettyjws", "application/vnd.docker.distribution.manifest.v1+json",
          "application/vnd.oci.artifact.manifest.v1+json")
MANIFESTS = ("HEAD manifest", "GET manifest")


def strict(request, response):
    """A request that lacks one of the types gets 404, GET and HEAD alike."""
    accepted = {part.strip() for part in request.header("accept").split(",")}
    if set(WANTED) - accepted:
        return scripted.error(404, "MANIFEST_UNKNOWN", "OCI index found, but accept header does not support OCI indexes")
    return response


def contents(repo):
    docker = images.Image([images.Layer(f"{repo} docker", compression="docker")], docker=True)
    return {"oci": images.multi_platform(repo), "docker": images.Index([docker], docker=True), "single": docker}


# covers: MAN-1, MAN-2, MAN-3
def test_every_type_on_every_manifest_request_and_none_elsewhere(repo, tmp_path):
    with scripted.Registry(refuses_manifest_accept=True) as source, scripted.Registry() as target:
        for operation in MANIFESTS:
            source.on(operation, strict)
            target.on(operation, strict)
        for tag, artifact in contents(repo).items():
            source.push(repo, tag, artifact)
        for _ in range(2):  # the second finds all of it by HEAD
            dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
        assert target.tags(repo) == source.tags(repo)
        asked = [request for server in (source, target) for operation in MANIFESTS for request in server.of(operation)]
        assert {request.method for request in asked} == {"GET", "HEAD"}
        for request in asked:
            lines = [value for name, value in request.headers if name == "accept"]
            assert [part.strip() for line in lines for part in line.split(",")] == list(WANTED), request
            assert "q=" not in lines[0] and "*" not in lines[0]
        blobs = [*source.of("GET blob"), *target.of("HEAD blob")]
        assert blobs and {request.header("accept", "none") for request in blobs} <= {"none", "*/*"}, blobs
        assert {request.header("accept") for request in source.of("tags")} == {"application/json"}


# covers: MAN-2
def test_what_a_registry_gives_in_its_place_is_never_taken_for_it(repo, tmp_path):
    """A registry that gives the linux/amd64 child of an index where its type is not accepted: to us it does not."""
    index = images.multi_platform(repo, attested=False)
    child = index.children[0]

    def converts(request, response):
        if images.INDEX not in request.header("accept"):
            response.body = child.data
            response.set("Content-Type", child.media_type).set("Docker-Content-Digest", child.digest)
        return response

    with scripted.Registry(needs_accept=False) as source, scripted.Registry() as target:
        source.push(repo, "1", index)
        source.on("GET manifest", converts, tag="1")
        source.on("HEAD manifest", converts, tag="1")
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert target.tags(repo) == {"1": index.digest} and target.holds(repo, index)


# covers: MAN-5, MAN-6, T-27
@pytest.mark.parametrize("said", ["application/octet-stream", "application/json", "text/plain; charset=utf-8", None,
                                  images.MANIFEST])
def test_type_is_what_the_document_says(said, repo, tmp_path):
    """Behind proxies the header may say anything; the type at the target is the document's own."""
    index = images.multi_platform(repo)

    def lies(request, response):
        return response.set("Content-Type", said) if said else response.drop("Content-Type")

    with scripted.Registry(needs_accept=False) as source, scripted.Registry() as target:
        source.push(repo, "1", index)
        for operation in MANIFESTS:
            source.on(operation, lies)
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert target.tags(repo) == {"1": index.digest}
        for part in images.tree(index):
            assert target.manifest(repo, part.digest).media_type == json.loads(part.data)["mediaType"]
