"""Whatever a source sends that is not what was asked for: nothing of it reaches the target (PROTOCOL section 23, 15)."""
import gzip
import json

import pytest

from support import dray, images, scripted


class Pair:
    """A source with one image, or what a test puts there, and a target."""

    def __init__(self, source, target, repo, directory):
        self.source, self.target, self.repo, self.directory = source, target, repo, directory
        self.layer = images.Layer(repo, 100_000)
        self.image = images.Image([self.layer])
        source.push(repo, "1", self.image)

    def copy(self, reference=":1"):
        return dray.run("copy", "--json", f"{self.source.address}/{self.repo}{reference}",
                        f"{self.target.address}/{self.repo}:1", cwd=self.directory)

    def refuses(self, *says, kinds=("corrupt",), code=4, reference=":1"):
        result = self.copy(reference).expect(code).says(*says)
        assert [failure["kind"] in kinds for failure in result.report["failures"]] == [True], result
        assert "\n" not in result.report["failures"][0]["message"]
        assert self.target.tags(self.repo) == {} and not self.target.manifest(self.repo, self.image.digest)
        assert not self.target.of("PUT manifest")
        assert not [request for request in self.target.requests if request.method == "DELETE"]  # PSH-12
        return result


@pytest.fixture
def pair(repo, tmp_path):
    with scripted.Registry(needs_accept=False) as source, scripted.Registry() as target:
        yield Pair(source, target, repo, tmp_path)


def nothing_of(pair, digest):
    assert pair.target.blob(pair.repo, digest) is None
    assert not [put for put in pair.target.of("PUT blob", digest=digest) if put.status == 201]


BLOBS = {  # what the source does to a blob: (action, kinds of the failure)
    "one flipped byte": (scripted.flip(), ("corrupt",)),
    "the first byte flipped": (scripted.flip(0), ("corrupt",)),
    "the last byte flipped": (scripted.flip(-1), ("corrupt",)),
    "a short body that looks whole": (scripted.short(0.5), ("corrupt",)),
    "one byte more": (lambda request, response: setattr(response, "body", response.body + b"x"), ("corrupt",)),
    "one byte more, of unknown length": (lambda request, response: (
        setattr(response, "body", response.body + b"x"), response.set("Connection", "close"), setattr(response, "length", ""))
        and None, ("corrupt",)),
    "another blob": (scripted.body(b"something else"), ("corrupt",)),
    "an empty one": (scripted.body(b""), ("corrupt",)),
    "a page": (scripted.html(), ("corrupt", "protocol")),
}


# covers: BLB-1, BLB-2, ERR-13, PSH-10, PSH-12, T-44
@pytest.mark.parametrize("what", BLOBS)
@pytest.mark.parametrize("which", ["layer", "config"])
def test_wrong_blob(pair, what, which):
    digest = pair.layer.digest if which == "layer" else pair.image.config.digest
    action, kinds = BLOBS[what]
    pair.source.on("GET blob", action, digest=digest)
    pair.refuses(digest[:19], kinds=kinds)
    nothing_of(pair, digest)


# covers: BLB-9
@pytest.mark.parametrize("which", ["layer", "config"])
def test_body_that_a_proxy_has_coded_is_not_undone_and_that_is_said(pair, which):
    digest = pair.layer.digest if which == "layer" else pair.image.config.digest

    def codes(request, response):
        response.body = gzip.compress(response.body)
        response.set("Content-Encoding", "gzip")

    pair.source.on("GET blob", codes, digest=digest)
    pair.refuses(digest[:19], "content-encoding gzip")
    nothing_of(pair, digest)


# covers: BLB-9
def test_body_of_the_right_length_that_is_coded_says_so_too(pair):
    def codes(request, response):
        response.body = bytes(len(response.body))
        response.set("Content-Encoding", "gzip")

    pair.source.on("GET blob", codes, digest=pair.layer.digest)
    pair.refuses(pair.layer.digest[:19], "content-encoding gzip")


# covers: BLB-9
def test_header_alone_is_no_reason(pair):
    """Servers call a layer x-gzip because it is one; its bytes are what its digest is of."""
    pair.source.on("GET blob", scripted.header("Content-Encoding", "x-gzip"))
    pair.copy().expect(0)
    assert pair.target.holds(pair.repo, pair.image)


MANIFESTS = {  # what the source does to a GET of the manifest
    "one flipped byte": scripted.flip(),
    "a short body that looks whole": scripted.short(0.9),
    "another image": lambda request, response: setattr(response, "body", images.Image([]).data),
    "a byte more": lambda request, response: setattr(response, "body", response.body + b"\n"),
    "an empty document": scripted.body(b"{}"),
}


# covers: MAN-8, T-28
@pytest.mark.parametrize("what", MANIFESTS)
@pytest.mark.parametrize("by_digest", [False, True])
def test_wrong_manifest(pair, what, by_digest):
    """The header says the right digest all the time: it is not what is believed."""
    pair.source.on("GET manifest", MANIFESTS[what])
    pair.refuses(reference=f"@{pair.image.digest}" if by_digest else ":1")


# covers: ERR-13, MAN-9
@pytest.mark.parametrize("by_digest", [False, True])
def test_page_in_place_of_a_manifest(pair, by_digest):
    for operation in ("GET manifest", "HEAD manifest"):
        pair.source.on(operation, scripted.html())
    pair.refuses("text/html", kinds=("protocol",), reference=f"@{pair.image.digest}" if by_digest else ":1")


HEADERS = {  # Docker-Content-Digest of a right manifest
    "none": None, "of another": images.digest_of(b"another"), "no digest": "latest", "without algorithm": "ab" * 32,
    "unknown algorithm": "blake3:" + "ab" * 32, "of another algorithm": "sha512 of it", "empty": "",
}


# covers: MAN-8, MAN-9, MAN-10, T-28
@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize("by_digest", [False, True])
def test_digest_header(pair, what, by_digest):
    """Asked for by digest, the header means nothing. By tag, one that speaks of other bytes is an error."""
    value = HEADERS[what]

    def says(request, response):
        if value is None or response.status != 200:
            return response.drop("Docker-Content-Digest")
        data = pair.source.manifest(pair.repo, request.reference).data
        return response.set("Docker-Content-Digest", images.digest_of(data, "sha512") if "sha512" in value else value)

    for operation in ("GET manifest", "HEAD manifest"):
        pair.source.on(operation, says)
    if what == "of another" and not by_digest:
        pair.refuses(kinds=("corrupt", "not_found"))
        return
    pair.copy(f"@{pair.image.digest}" if by_digest else ":1").expect(0)
    assert pair.target.holds(pair.repo, pair.image)
    digest = images.digest_of(pair.image.data, "sha512") if what == "of another algorithm" and not by_digest else pair.image.digest
    assert pair.target.tags(pair.repo)["1"] in (digest, pair.image.digest)


# covers: MAN-12
def test_head_may_lie_about_the_size(pair):
    pair.source.on("HEAD manifest", lambda request, response: setattr(response, "length", len(response.body) - 7))
    pair.copy().expect(0)
    assert pair.target.tags(pair.repo) == {"1": pair.image.digest}


# covers: MAN-18, T-35
@pytest.mark.parametrize("media_type", ["application/vnd.docker.distribution.manifest.v1+prettyjws",
                                        "application/vnd.docker.distribution.manifest.v1+json", "text/plain"])
def test_schema_1_is_refused_by_name(pair, media_type):
    document = images.to_json({"schemaVersion": 1, "name": pair.repo, "tag": "old", "fsLayers": [], "history": [],
                               "signatures": [{"protected": "e30"}]})
    pair.source.store.add_manifest(pair.repo, document, media_type, "1")
    pair.refuses("schema 1", kinds=("unsupported",))


# covers: ERR-14, MAN-21
def test_target_that_says_200_to_everything_is_no_registry(pair):
    """Nothing there says which manifest it has; so it is asked, and what it has is a page."""
    pair.target.on("any", scripted.html())
    for operation in ("POST upload", "PUT blob"):
        pair.target.on(operation, lambda request, response: scripted.Response(
            202 if request.method == "POST" else 201, b"", [("Location", f"/v2/{pair.repo}/blobs/uploads/u")]))
    result = pair.copy()
    assert result.code == 5, result
    assert result.report["images"]["failed"] == 1 and result.report["images"]["copied"] == 0


# covers: ERR-14, MAN-21
def test_target_that_keeps_another_manifest_is_told(pair):
    """It says 201 and nothing more; asked, it has something else."""
    other = images.Image([])
    pair.target.on("PUT manifest", scripted.status(201))
    pair.target.store.add_manifest(pair.repo, other.data, other.media_type, "1")
    pair.copy().expect(5).says("altered")


# covers: BLB-13
@pytest.mark.parametrize("where", ["layer", "config", "child"])
def test_wrong_data_in_a_descriptor(pair, where):
    """It is not fetched instead: whoever wrote the document wrote two contents under one digest."""
    document = json.loads(pair.image.data)
    descriptor = {"layer": lambda: document["layers"][0], "config": lambda: document["config"], "child": lambda: None}[where]()
    if descriptor is None:
        document = {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [pair.image.descriptor()]}
        descriptor = document["manifests"][0]
    descriptor["data"] = "e30="
    data = images.to_json(document)
    pair.source.store.add_manifest(pair.repo, data, document["mediaType"], "1")
    pair.refuses('"data"')
    assert not pair.source.of("GET blob") and pair.source.count("GET manifest") == 1
