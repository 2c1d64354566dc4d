"""Manifests where they are odd, large, in caches, or came along in another document."""
import base64
import json

import pytest

from support import dray, images, scripted, shapes


def given(blob, **more):
    """A descriptor that has its content in it."""
    return blob.descriptor(data=base64.b64encode(blob.data).decode(), **more)


@pytest.fixture
def pair():
    with scripted.Registry() as source, scripted.Registry() as target:
        yield source, target


def copy(source, target, repo, directory, *options, tag=":1"):
    return dray.run("copy", "--json", *options, f"{source.address}/{repo}{tag}", f"{target.address}/{repo}{tag if tag != ':*' else ''}",
                    cwd=directory)


# --- what came along ------------------------------------------------------------------------------------------------------

# covers: BLB-13, IDX-4
def test_content_that_came_along_is_not_fetched_and_still_pushed(pair, repo, tmp_path):
    source, target = pair
    layer, small = images.Layer(repo), images.Blob(b"small", "text/plain")
    image = images.Image([layer])
    config = image.config
    document = json.loads(image.data)
    document["config"], document["layers"] = given(config), [*document["layers"]]
    child = shapes.Document(document, blobs=[config, layer])
    artifact = shapes.Document({"schemaVersion": 2, "mediaType": images.MANIFEST, "artifactType": "application/vnd.example",
                                "config": given(shapes.EMPTY), "layers": [given(small), given(images.Blob(b"", "text/plain"))]},
                               blobs=[shapes.EMPTY, small, images.Blob(b"", "text/plain")])
    index = shapes.Document({"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [
        given(child, platform=image.platform), given(artifact)]}, images.INDEX, children=[child, artifact])
    source.push(repo, "1", index)
    result = copy(source, target, repo, tmp_path).expect(0)
    assert target.holds(repo, index) and target.tags(repo) == {"1": index.digest}
    asked = [request.reference for request in source.of("GET manifest") if not request.reference.startswith("sha256-")]
    assert asked == [index.digest]
    assert {request.reference for request in source.of("GET blob")} == {layer.digest}
    assert result.report["verified"]["diff_ids"] == 1 and result.report["bytes"]["downloaded"] == len(layer.data)


# --- caches --------------------------------------------------------------------------------------------------------------

class Later(scripted.Action):
    """The first so many requests find nothing."""

    def __init__(self, misses):
        self.misses, self.asked = misses, 0

    def change(self, request, response):
        self.asked += 1
        if self.asked <= self.misses:
            return scripted.error(404, "MANIFEST_UNKNOWN", "manifest unknown")


# covers: MAN-13
@pytest.mark.parametrize("where", ["child", "listed tag"])
def test_cache_that_fetches_when_it_is_asked(pair, where, repo, tmp_path):
    source, target = pair
    index = images.multi_platform(repo)
    source.push(repo, "1", index)
    child = index.children[1]
    if where == "child":
        source.on("GET manifest", Later(1), digest=child.digest)
    else:
        source.on("GET manifest", later := Later(1), tag="1")
        source.on("HEAD manifest", lambda request, response: scripted.error(404, "X", "") if later.asked == 0 else response, tag="1")
    copy(source, target, repo, tmp_path, tag=":*" if where == "listed tag" else ":1").expect(0)
    assert target.holds(repo, index) and target.tags(repo) == {"1": index.digest}


# covers: MAN-13
def test_cache_that_knows_an_index_by_its_tag_alone(pair, repo, tmp_path):
    """Harbor's: by digest it has none. By tag it may give one it has rebuilt of fewer children; that is not taken for it."""
    source, target = pair
    index = images.multi_platform(repo)
    rebuilt = images.Index(index.children[:1])
    source.push(repo, "1", index)
    source.on("GET manifest", scripted.status(404), digest=index.digest)
    copy(source, target, repo, tmp_path).expect(0)
    assert target.tags(repo) == {"1": index.digest}
    source.on("GET manifest", scripted.body(rebuilt.data), tag="1")
    dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/other:1", cwd=tmp_path).expect(4).says(index.digest[:19])
    dray.run("copy", f"{source.address}/{repo}@{index.digest}", f"{target.address}/other:1", cwd=tmp_path).expect(4).says("404")
    assert target.tags("other") == {}


# covers: TAG-15, MAN-13
def test_tag_that_is_gone_is_asked_for_twice_and_then_gone(pair, repo, tmp_path):
    source, target = pair
    for tag in "12":
        source.push(repo, tag, images.Image([images.Layer(f"{repo} {tag}")]))
    for operation in ("HEAD manifest", "GET manifest"):
        source.on(operation, scripted.status(404), tag="1")
    result = copy(source, target, repo, tmp_path, tag=":*").expect(0)
    assert result.report["images"]["gone"] == 1 and list(target.tags(repo)) == ["2"]
    assert source.count("GET manifest", tag="1") == 2


# --- sizes ---------------------------------------------------------------------------------------------------------------

def of_size(repo, size):
    """An image whose manifest has so many bytes."""
    image = images.Image([images.Layer(repo)])
    document = json.loads(image.data)
    document["annotations"] = {"filler": ""}
    bare = len(images.to_json(document))
    document["annotations"]["filler"] = "x" * (size - bare)
    made = shapes.Document(document, blobs=image.blobs)
    assert len(made.data) == size
    return made


MIB = 1 << 20


# covers: MAN-20, T-29
@pytest.mark.parametrize("size, option, code, says", [
    (4 * MIB, None, 0, None),
    (4 * MIB + 1, None, 0, "many registries take no more than 4194304"),
    (8 * MIB, None, 0, "many registries"),
    (8 * MIB + 1, None, 4, "too_large"),
    (8 * MIB + 1, 9, 0, "many registries"),
    (2 * MIB, 1, 4, "too_large"),
])
@pytest.mark.parametrize("says_length", [True, False])
def test_size_of_a_manifest(pair, size, option, code, says, says_length, repo, tmp_path):
    source, target = pair
    source.push(repo, "1", of_size(repo, size))
    if not says_length:
        source.on("GET manifest", scripted.length(""))
    config = dray.write_config(tmp_path / "c.yaml", f"limits: {{manifest-mib: {option}}}\n" if option else "")
    options = ["--config", config] if option else []
    if option:
        config.write_text(config.read_text() + f"repos: [{{source: {source.address}/x, target: {target.address}/x}}]\n")
    result = copy(source, target, repo, tmp_path, *options).expect(code)
    if says:
        result.says(says)
    else:
        assert "take no more" not in result.stderr
    assert list(target.tags(repo)) == (["1"] if code == 0 else [])


# covers: MAN-20
def test_registry_that_takes_no_more_says_so(repo, tmp_path):
    with scripted.Registry() as source, scripted.Registry("registry3") as target:
        source.push(repo, "1", of_size(repo, 4 * MIB + 1))
        copy(source, target, repo, tmp_path).expect(5).says("MANIFEST_INVALID", "take no more than 4194304")
        assert target.tags(repo) == {}


# --- names ---------------------------------------------------------------------------------------------------------------

# covers: REF-4
@pytest.mark.parametrize("length, warns", [(255, False), (256, True)])
def test_name_that_is_long(pair, length, warns, repo, tmp_path):
    source, target = pair
    for tag in "123":
        source.push(repo, tag, images.Image([images.Layer(f"{repo} {tag}")]))
    name = "n" * (length - len(target.address) - 1)
    result = dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{name}", cwd=tmp_path).expect(0)
    assert result.stderr.count("more than 255 are not portable") == warns
    assert len(target.tags(name)) == 3


# covers: REF-12
def test_plain_http_is_for_loopback_alone(tmp_path):
    """Unless the configuration says so; a name may begin with 127. and be anybody's."""
    config = dray.write_config(tmp_path / "c.yaml", "limits: {connect-timeout: 1s}\nrepos: [{source: a.io/x, target: b.io/x}]\n")
    wanted = {"127.0.0.1:1": "http", "127.8.9.10:1": "http", "localhost:1": "http", "[::1]:1": "http",
              "127.0.0.1.example.invalid": "https", "127.example.invalid:1": "https", "localhost.invalid:1": "https",
              "registry.invalid": "https"}
    running = {host: dray.start("inspect", "--config", config, f"{host}/x:1", cwd=tmp_path) for host in wanted}
    for host, process in running.items():
        result = dray.finish(process)
        assert f"{wanted[host]}://{host}" in result.stderr, result
