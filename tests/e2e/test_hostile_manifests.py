"""Manifests that are made to hurt: endless, deep, of lying sizes, of too many parts, or of two kinds at once. Each ends in an
error of class 4, in bounded time and memory.
"""
import json
import time

import pytest

from support import dray, images, scripted, shapes

MIB = 1 << 20
MOST = 2**63 - 1


@pytest.fixture
def pair():
    with scripted.Registry(needs_children=False) as source, scripted.Registry() as target:
        yield source, target


def copy(source, target, repo, directory, *options, prefix=(), seconds=60, tag=":1"):
    return dray.run("copy", "--json", *options, f"{source.address}/{repo}{tag}", f"{target.address}/{repo}{tag if tag != ':*' else ''}",
                    cwd=directory, prefix=prefix, seconds=seconds)


def measured(directory, source, target, repo):
    return dray.run_measured("copy", "--json", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=directory)


def refused(result, *kinds):
    (failure,) = result.report["failures"]
    assert failure["kind"] in kinds and failure["exit_class"] == 4, failure
    assert "\n" not in failure["message"]
    return failure


# --- memory (T-29) ---------------------------------------------------------------------------------------------------------

class Endless(scripted.Action):
    """A body of blanks that never ends; `sent` counts them."""

    def __init__(self, says=None):
        self.sent, self.says = 0, says

    async def send(self, request, response, stream):
        response.length = self.says or ""
        response.body = b""
        await stream.write(response.head())
        while self.sent < 1 << 30:
            await stream.write(b" " * 65536)
            self.sent += 65536
        raise AssertionError("nobody stopped it")


@pytest.fixture(scope="module")
def ordinary_peak(tmp_path_factory):
    """What a copy of a small image needs."""
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push("app", "1", images.Image([images.Layer("ordinary")]))
        result, peak = measured(tmp_path_factory.mktemp("ordinary"), source, target, "app")
        result.expect(0)
    return peak


# covers: T-29, MAN-20
@pytest.mark.parametrize("says", [None, MOST])
@pytest.mark.parametrize("operation, most", [
    ("GET manifest", 8), ("GET blob", 1), ("ping", 1), ("PUT manifest", 1), ("POST upload", 1)])
def test_body_without_end(pair, operation, most, says, ordinary_peak, repo, tmp_path):
    source, target = pair
    image = images.Image([images.Layer(repo)])
    source.push(repo, "1", image)
    side = target if operation.startswith("P") else source
    endless = side.on(operation, Endless(says))
    started = time.monotonic()
    result, peak = measured(tmp_path, source, target, repo)
    assert result.code != 99, result
    if operation.startswith("GET"):
        refused(result.expect(4), "too_large", "corrupt")
        assert not target.tags(repo)
    assert endless.sent <= 8 * (most + 4) * MIB  # a few attempts at most, each cut at its cap
    assert peak < ordinary_peak + 64 and time.monotonic() - started < 30 * dray.SLOWER


# covers: T-29, T-32
@pytest.mark.parametrize("where", ["child", "config", "layer", "opaque child"])
@pytest.mark.parametrize("size", [MOST, 2**53, 100 * MIB])
def test_size_that_is_claimed_is_not_made_room_for(pair, where, size, ordinary_peak, repo, tmp_path):
    source, target = pair
    image = images.Image([images.Layer(repo)])
    document = json.loads(image.data)
    if "child" in where:
        kind = images.MANIFEST if where == "child" else "application/xml"
        document = {"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [{**image.descriptor(), "mediaType": kind, "size": size}]}
    elif where == "config":
        document["config"]["size"] = size
    else:
        document["layers"][0]["size"] = size
    source.push(repo, "x", image)
    source.store.add_blob(repo, image.data)
    source.push(repo, "1", shapes.Document(document, document["mediaType"]))
    result, peak = measured(tmp_path, source, target, repo)
    refused(result.expect(4), "too_large", "corrupt")
    assert peak < ordinary_peak + 64 and not target.tags(repo)


# --- depth (T-30) ----------------------------------------------------------------------------------------------------------

DEEP = {
    "arrays": lambda n: "[" * n + "]" * n, "objects": lambda n: '{"a":' * n + "1" + "}" * n,
    "both": lambda n: '[{"a":' * (n // 2) + "1" + "}]" * (n // 2), "arrays that never close": lambda n: "[" * n,
}


# covers: T-30
@pytest.mark.parametrize("how", DEEP)
def test_depth_is_refused_before_a_parser_sees_it(pair, how, repo, tmp_path):
    source, target = pair
    for n in (65, 2_049, 1_000_000):
        image = images.Image([images.Layer(repo)])
        data = image.data.replace(b"{", b'{"x":%s,' % DEEP[how](n).encode(), 1)
        source.push(repo, f"n{n}", shapes.Document(data, blobs=image.blobs))
        source.store.add_manifest(repo, DEEP[how](n).encode(), images.MANIFEST, f"bare{n}")
    result = copy(source, target, repo, tmp_path, tag=":*", prefix=("prlimit", "--stack=262144:262144")).expect(4)
    assert len(result.report["failures"]) == 6 and not target.tags(repo)
    assert {failure["kind"] for failure in result.report["failures"]} == {"corrupt"}


# covers: T-30
def test_many_values_are_refused(pair, repo, tmp_path):
    source, target = pair
    for n, code in ((150_000, 0), (250_000, 4)):
        image = images.Image([images.Layer(repo)])
        data = image.data.replace(b"{", b'{"x":[%s],' % b",".join([b"0"] * n), 1)
        source.push(repo, "1", shapes.Document(data, blobs=image.blobs))
        copy(source, target, repo, tmp_path).expect(code)


# --- graphs (T-34) -----------------------------------------------------------------------------------------------------------

def diamond(seed, levels):
    """Two indexes a level, each of which names both of the level below: 2^levels paths, 2 * levels documents."""
    below = [images.Image([images.Layer(f"{seed} {n}")]) for n in "ab"]
    for level in range(levels):
        below = [shapes.index(below, annotations={"at": f"{level}{n}"}) for n in "ab"]
    return shapes.index(below, annotations={"at": "root"})


def documents(root):
    seen, todo = {}, [root]
    while todo:
        part = todo.pop()
        if part.digest not in seen:
            seen[part.digest] = part
            todo += part.children
    return seen


def plant(registry, repo, tag, root):
    for part in documents(root).values():
        for blob in part.blobs:
            registry.store.add_blob(repo, blob.data, blob.digest)
        registry.store.add_manifest(repo, part.data, part.media_type, tag if part is root else None)


# covers: T-34, IDX-1
@pytest.mark.parametrize("levels, code", [(7, 0), (8, 4), (30, 4)])
def test_diamond_is_fetched_once_and_not_by_path(pair, levels, code, repo, tmp_path):
    source, target = pair
    root = diamond(repo, levels)
    plant(source, repo, "1", root)
    started = time.monotonic()
    result = copy(source, target, repo, tmp_path).expect(code)
    assert time.monotonic() - started < 5 * dray.SLOWER
    gets = [request.reference for request in source.of("GET manifest") if not request.reference.startswith("sha256-")]
    assert len(gets) == len(set(gets)) <= 2 * min(levels, 8) + 3
    if code == 0:
        assert set(gets) == set(documents(root))
        assert {digest for digest in documents(root) if target.manifest(repo, digest)} == set(documents(root))
        puts = [request for request in target.of("PUT manifest")]
        assert len(puts) == len(documents(root))
    else:
        assert "deeper than" in refused(result, "too_large")["message"] and not target.requests[2:]


# covers: T-34, T-29
@pytest.mark.parametrize("count", [10_001, 100_000])
def test_index_of_too_many(pair, count, repo, tmp_path):
    source, target = pair
    entries = ",".join('{"digest":"sha256:%064x","size":1}' % n for n in range(count))
    source.store.add_manifest(repo, b'{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}' % (images.INDEX.encode(), entries.encode()),
                              images.INDEX, "1")
    refused(copy(source, target, repo, tmp_path).expect(4), "too_large")
    assert source.count("GET manifest") == 1


# covers: T-34, T-29
def test_children_that_are_too_large_together_are_not_fetched(pair, repo, tmp_path):
    source, target = pair
    entries = [{"mediaType": images.MANIFEST, "digest": images.digest_of(b"%d" % n), "size": 8 * MIB} for n in range(9)]
    source.push(repo, "1", shapes.Document({"schemaVersion": 2, "mediaType": images.INDEX, "manifests": entries}, images.INDEX))
    refused(copy(source, target, repo, tmp_path).expect(4), "too_large")
    assert source.count("GET manifest") == 1


# --- two kinds at once (T-27), two sizes (T-32) --------------------------------------------------------------------------------

# covers: T-27, MAN-6, MAN-7
def test_same_bytes_under_two_types_in_one_run(pair, repo, tmp_path):
    """One is what they are, and whoever asks for the other gets nothing."""
    source, target = pair
    image = images.Image([images.Layer(repo)])
    document = json.loads(image.data)
    del document["mediaType"]
    made = shapes.Document(document, blobs=image.blobs)
    source.push(repo, "manifest", made)
    source.push(repo, "index", made)

    def serve(request, response):
        return response.set("Content-Type", images.INDEX if request.reference == "index" or serve.lies else images.MANIFEST)

    for serve.lies in (False, True):
        target.store.repositories.clear()
        for operation in ("HEAD manifest", "GET manifest"):
            source.on(operation, serve)
        result = copy(source, target, repo, tmp_path, tag=":*")
        pushed = target.store.repositories.get(repo)
        types = {found.media_type for found in pushed.manifests.values()} if pushed else set()
        assert types <= {images.MANIFEST}, result
        assert result.code == (0 if not result.report["failures"] else 1 if types else 4), result
        for failure in result.report["failures"]:
            assert failure["kind"] == "corrupt" and "ambiguous" in failure["message"]


# covers: T-27, MAN-7
def test_index_that_is_a_manifest_too_is_refused_from_a_layout(repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    document = {**json.loads(image.data), "manifests": [image.descriptor()]}
    for n, kind in enumerate((images.MANIFEST, images.INDEX, None)):
        document["mediaType"] = kind
        both = shapes.Document({key: value for key, value in document.items() if value}, kind or images.INDEX, blobs=image.blobs, children=[image])
        images.write_layout(tmp_path / f"layout{n}", {"x:1": both})
        with scripted.Registry() as target:
            dray.run("copy", f"oci:{tmp_path}/layout{n}:x:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(4).says("ambiguous")
            assert target.tags(repo) == {}


# covers: T-32
def test_one_digest_has_one_size_in_a_run(pair, repo, tmp_path):
    source, target = pair
    layer = images.Layer(f"{repo} shared", 100_000)
    honest = {f"h{n}": images.Image([layer, images.Layer(f"{repo} {n}")]) for n in range(4)}
    for tag, image in honest.items():
        source.push(repo, tag, image)
    for n, size in enumerate((len(layer.data) - 1, len(layer.data) + 1, 0, MOST)):
        document = json.loads(images.Image([layer, images.Layer(f"{repo} lie {n}")]).data)
        document["layers"][0]["size"] = size
        image = images.Image([layer, images.Layer(f"{repo} lie {n}")])
        source.push(repo, f"lie{n}", shapes.Document(document, blobs=image.blobs))
    result = copy(source, target, repo, tmp_path, tag=":*").expect(1)
    assert target.tags(repo) == {tag: image.digest for tag, image in honest.items()}
    assert sorted(failure["source"].rpartition(":")[2] for failure in result.report["failures"]) == [f"lie{n}" for n in range(4)]
    assert {failure["kind"] for failure in result.report["failures"]} == {"corrupt"}
