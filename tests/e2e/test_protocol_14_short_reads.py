"""Replies that end at multiples of 8 MiB although they announce the whole, while whoever stores is slow (PROTOCOL 23, 14)."""
import asyncio

import pytest

from support import dray, images, scripted

MIB = 1 << 20


class ReadsSlowly(scripted.Action):
    """The body of the request is taken in pieces, with a pause after each."""

    async def early(self, request, stream):
        length, body = int(request.header("content-length")), b""
        while len(body) < length:
            body += await stream.reader.readexactly(min(MIB, length - len(body)))
            await asyncio.sleep(0.01)
        request.headers = [(name, value) for name, value in request.headers if name != "content-length"]
        request.taken = body
        return None

    async def before(self, request, stream):
        request.body = request.taken
        request.headers.append(("content-length", str(len(request.body))))


@pytest.fixture(scope="module")
def image():
    return images.Image([images.Layer("short reads", 34 * MIB)])


# covers: HTTP-11, HTTP-12, BLB-10, BLB-16, BLB-4, RED-7
@pytest.mark.parametrize("to", ["registry", "layout"])
def test_every_reply_ends_at_eight_mebibytes(to, image, repo, tmp_path):
    layer = image.layers[0]
    size = len(layer.data)
    assert size > 16 * MIB
    with scripted.together(scripted.Registry(redirects_blobs=307), scripted.Storage(),
                           scripted.Registry(name="localhost")) as (source, edge, target):
        source.storage = edge
        source.push(repo, "1", image)
        edge.on("GET blob", scripted.cut(8 * MIB), digest=layer.digest)
        target.on("PUT blob", ReadsSlowly(), digest=layer.digest)
        where = f"{target.address}/{repo}:1" if to == "registry" else f"oci:{tmp_path}/out"
        dray.run("copy", f"{source.address}/{repo}:1", where, cwd=tmp_path).expect(0)
        asked = [request.header("range") for request in edge.of("GET blob", digest=layer.digest)]
        assert asked == [""] + [f"bytes={at}-{size - 1}" for at in range(8 * MIB, size, 8 * MIB)]
        if to == "registry":
            assert target.holds(repo, image)
            assert [request.status for request in target.of("PUT blob", digest=layer.digest)] == [201]
        else:
            images.check_layout(tmp_path / "out")
