"""What requests that write have, and have not (PROTOCOL section 23, 9)."""
import asyncio

import pytest

from support import dray, images, scripted


class StallsAtExpect(scripted.Action):
    """Nexus: who sends Expect waits half a minute, and gets 500."""

    async def early(self, request, stream):
        if request.has("expect"):
            await asyncio.sleep(30)
            return scripted.Response(500)
        return None


# covers: HTTP-2, HTTP-3, HTTP-4, HTTP-5, HTTP-6, HTTP-13, HTTP-18, UPL-9, UPL-19, UPL-26
@pytest.mark.parametrize("does", [StallsAtExpect(), scripted.drop_header("Docker-Distribution-API-Version")],
                         ids=["stalls at Expect", "says no version"])
def test_requests_that_write_have_what_they_must(does, repo, tmp_path):
    # 3 MiB: from 1 MiB on libcurl would send Expect. One blob is empty, and one has two bytes.
    image = images.Image([images.Layer(repo, 6 << 20), images.Layer(f"{repo} small", 100)])
    images.write_layout(tmp_path / "from", {"x:1": image})
    with scripted.Registry(stalls_expect=True) as registry:
        registry.on("any", does)
        dray.run("copy", f"oci:{tmp_path}/from:x:1", f"{registry.address}/{repo}:1", cwd=tmp_path, seconds=25).expect(0)
        assert registry.holds(repo, image)
        posts, puts = registry.of("POST upload"), registry.of("PUT blob")
        assert len(posts) == len(puts) == 3
        for request in posts:
            assert request.header("content-length") == "0" and not request.has("content-type")
        for request in puts:
            assert request.header("content-type") == "application/octet-stream"
            assert request.header("content-length") == str(request.body_bytes)
        assert {request.body_bytes for request in puts} == {len(blob.data) for blob in image.blobs}
        for request in registry.requests:
            names = {name for name, _ in request.headers}
            assert not names & {"expect", "content-range", "transfer-encoding", "cookie", "accept-encoding", "range",
                                "if-range", "docker-distribution-api-version", "origin", "referer"}, request
            assert names <= {"host", "user-agent", "accept", "content-type", "content-length"}, request
        assert len({request.header("user-agent") for request in registry.requests}) == 1


# covers: HTTP-5, HTTP-6, BLB-12
def test_blob_without_a_byte_has_a_length(repo, tmp_path):
    empty = images.Blob(b"", images.OCI + "layer.v1.tar")
    image = images.Image([images.Layer(repo)])
    image = with_blob(image, empty)
    images.write_layout(tmp_path / "from", {"x:1": image})
    with scripted.Registry() as registry:
        dray.run("copy", f"oci:{tmp_path}/from:x:1", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(0)
        [put] = registry.of("PUT blob", digest=empty.digest)
        assert put.header("content-length") == "0" and put.status == 201


def with_blob(image, blob):
    """The image with one more layer, which its config knows nothing of: an artifact."""
    import json
    document = json.loads(image.data)
    config = images.Blob(b"{}", "application/vnd.oci.empty.v1+json")
    document["artifactType"], document["config"] = "application/x.test", config.descriptor()
    document["layers"] = [blob.descriptor()]
    made = images.Blob(images.to_json(document), images.MANIFEST)
    made.blobs, made.children, made.layers, made.config = [config, blob], [], [blob], config
    return made
