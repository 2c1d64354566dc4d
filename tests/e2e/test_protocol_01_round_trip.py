"""From a registry into a layout and back into a registry: whatever an index may hold arrives bit for bit, and in the right
order (PROTOCOL section 23, 1).
"""
import hashlib

import pytest

from support import dray, images, scripted, shapes


def everything(seed, algorithm="sha512", odd=True):
    """An index with images, a nested index, attestations of both kinds, an artifact, a blob of another algorithm, an
    empty blob, and the same blobs more than once."""
    shared = images.Layer(f"{seed} shared")
    amd64 = images.Image([shared, images.Layer(f"{seed} amd64"), shared], "amd64")
    arm64 = images.Image([shared, images.Layer(f"{seed} arm64", algorithm=algorithm)], "arm64")
    for child in (amd64, arm64):
        child.entry = {"platform": child.platform}
    legacy, fresh = images.Attestation(amd64), shapes.attestation(arm64)
    legacy.entry = {"platform": legacy.platform, "annotations": legacy.annotations}
    nested = shapes.index([images.Image([shared], "riscv64"), shapes.signature(amd64)])
    nested.entry = {"annotations": {"what": "nested"}, "artifactType": "application/vnd.example.index"}
    empty = images.Blob(b"", "application/octet-stream")
    artifact = shapes.artifact([shapes.EMPTY, empty, images.Blob(b"text", "text/plain")], artifactType="application/vnd.example.thing",
                               annotations={"a": "b", "org.opencontainers.image.created": "2026-01-01T00:00:00Z"})
    opaque = [images.Blob(b"<sbom/>", "application/xml")] if odd else []
    children = [amd64, fresh, nested, arm64, legacy, artifact, amd64]
    made = shapes.Document({"schemaVersion": 2, "mediaType": images.INDEX, "annotations": {"x": "\u00e9\u4e2d"}, "manifests": [
        *[child.descriptor(**getattr(child, "entry", {})) for child in children],
        *[blob.descriptor() for blob in opaque]]}, images.INDEX, blobs=opaque, children=children)
    return made


def in_order(registry, repo, root, tag):
    """Blobs before what names them, children by digest before their index, a subject before what refers to it, and the tag
    last of all."""
    puts = [request for request in registry.requests if request.operation in ("PUT manifest", "PUT blob")]
    order = [request.reference if request.operation == "PUT manifest" else request.query["digest"] for request in puts]
    assert order[-1] == tag and order.count(tag) == 1
    order[-1] = root.digest
    for part in images.tree(root):
        at = order.index(part.digest)
        for below in [*part.blobs, *part.children]:
            assert order.index(below.digest) < at, f"{below.media_type} after {part.media_type}"
        subject = shapes.parsed(part).get("subject")
        assert not subject or order.index(subject["digest"]) < at
    manifests = [request for request in puts if request.operation == "PUT manifest"]
    assert puts[-len(manifests):] == manifests  # no blob between the first child and the tag (PSH-3)
    assert len(order) == len(set(order))  # each once


# covers: PSH-1, PSH-2, PSH-3, IDX-1, IDX-2, IDX-3, IDX-7, IDX-8, IDX-9, IDX-10, IDX-11, IDX-14, BLB-12, REF-6, T-35, T-36, T-49
def test_round_trip(repo, tmp_path):
    made, layout = everything(repo), tmp_path / "layout"
    with scripted.Registry(needs_subject=True) as source, scripted.Registry(needs_subject=True) as target:
        source.push(repo, "1", made)
        dray.run("copy", f"{source.address}/{repo}:1", f"oci:{layout}", cwd=tmp_path).expect(0)
        images.check_layout(layout)
        for part in images.tree(made):
            for blob in [part, *part.blobs]:
                assert images.blob_path(layout, blob.digest).read_bytes() == blob.data
        out = dray.run("copy", f"oci:{layout}", f"{target.address}/back", cwd=tmp_path).expect(0)
        name = next(iter(target.store.repositories))
        assert target.tags(name) == {"1": made.digest}, out
        assert target.holds(name, made)
        for part in images.tree(made):
            assert target.manifest(name, part.digest).media_type == part.media_type
        in_order(target, name, made, "1")
        target.forget()
        dray.run("copy", f"oci:{layout}", f"{target.address}/back", cwd=tmp_path).expect(0)  # and then nothing is left to do
        assert [request.operation for request in target.requests] == ["ping", "HEAD manifest"]


# covers: PSH-1, PSH-11
def test_children_of_an_index_go_side_by_side_and_not_all_at_once(repo, tmp_path):
    made = images.multi_platform(repo, architectures=[f"a{n}" for n in range(12)], attested=False)
    now, most = set(), [0]

    class Counts(scripted.Action):
        async def before(self, request, stream):
            import asyncio
            now.add(request.reference)
            most[0] = max(most[0], len(now))
            await asyncio.sleep(0.02)
            now.discard(request.reference)

    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", made)
        target.on("PUT manifest", Counts())
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
        in_order(target, repo, made, "1")
    assert 2 <= most[0] <= 4


# covers: PSH-9, MAN-25
def test_tags_of_one_digest_cost_one_fetch_and_a_put_each(repo, tmp_path):
    made = images.multi_platform(repo)
    tags = [f"t{n}" for n in range(6)]
    with scripted.Registry() as source, scripted.Registry() as target:
        for tag in tags:
            source.push(repo, tag, made)
        dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
        assert target.tags(repo) == {tag: made.digest for tag in tags}
        for part in images.tree(made):
            assert len([request for request in source.of("GET manifest") if request.reference in (part.digest, *tags)
                        and request.status == 200 and source.manifest(repo, request.reference).digest == part.digest]) == 1
        puts = [request for request in target.of("PUT manifest") if request.reference in tags]
        assert sorted(request.reference for request in puts) == tags and {request.body for request in puts} == {made.data}
        assert all(source.count("GET blob", digest=blob.digest) == 1 for blob in images.all_blobs([made]).values())


# covers: PSH-8, UPL-2, REF-2
def test_within_one_registry_nothing_is_carried(repo, tmp_path):
    """To another repository it is mounted; to another tag of its own there is one PUT and nothing else."""
    made = everything(repo, "sha256")
    with scripted.Registry() as registry:
        registry.push(repo, "1", made)
        dray.run("copy", f"{registry.address}/{repo}:1", f"{registry.address}/{repo}:2", cwd=tmp_path).expect(0)
        assert registry.tags(repo) == {"1": made.digest, "2": made.digest}
        assert [request.reference for request in registry.of("PUT manifest")] == ["2"]
        assert not registry.of("POST upload") and not registry.of("HEAD blob")
        registry.forget()
        dray.run("copy", "--verify", "digests", f"{registry.address}/{repo}:1", f"{registry.address}/other:1", cwd=tmp_path).expect(0)
        assert registry.holds("other", made) and registry.tags("other") == {"1": made.digest}
        assert not registry.of("PUT blob") and not registry.of("GET blob") and not registry.of("PATCH upload")
        assert {request.query.get("from") for request in registry.of("POST upload")} == {repo}


def test_round_trip_through_docker_registry(source, target, repo, tmp_path):
    """As far as it takes it: sha256 alone, and nothing in an index that is no manifest."""
    made, layout = everything(repo, "sha256", odd=False), tmp_path / "layout"
    images.push(source, repo, "1", made)
    dray.run("copy", f"{source.address}/{repo}:1", f"oci:{layout}:x:1", cwd=tmp_path).expect(0)
    images.check_layout(layout)
    dray.run("copy", f"oci:{layout}:x:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
    assert target.manifests(repo) == {part.digest for part in images.tree(made)}
    for blob in images.all_blobs([made]).values():
        assert hashlib.sha256(target.blob_path(blob.digest).read_bytes()).hexdigest() == blob.digest[7:]
