"""A blob that no 32-bit number can count: it streams, in the memory that a small one needs, and goes on where it was cut."""
import hashlib

from support import dray, images, scripted

BLOCK = bytes(range(256)) * 4096
SIZE = 4097 * len(BLOCK)  # 1 MiB more than 4 GiB
CUT_AT = 4096 * len(BLOCK) + 12345


class Huge:
    """A tar in name, that is nowhere as a whole."""

    def __init__(self):
        hashing = hashlib.sha256()
        for _ in range(SIZE // len(BLOCK)):
            hashing.update(BLOCK)
        self.digest = self.diff_id = f"sha256:{hashing.hexdigest()}"

    def descriptor(self):
        return {"mediaType": images.COMPRESSIONS["plain"][0], "digest": self.digest, "size": SIZE}


class Send(scripted.Action):
    """Twice: the first time it is cut."""

    async def send(self, request, response, stream):
        begin = int(request.header("range", "bytes=0-").partition("=")[2].partition("-")[0])
        end = SIZE if begin else CUT_AT
        response.status = 206 if begin else 200
        response.headers = [("Content-Range", f"bytes {begin}-{SIZE - 1}/{SIZE}")] if begin else []
        response.length = SIZE - begin
        await stream.write(response.head())
        while begin < end:
            offset = begin % len(BLOCK)
            piece = memoryview(BLOCK)[offset:offset + min(len(BLOCK) - offset, end - begin)]
            await stream.write(piece)
            begin += len(piece)
        if end < SIZE:
            stream.close()
        return True


class Take(scripted.Action):
    def __init__(self):
        self.got, self.hashing = 0, hashlib.sha256()

    async def early(self, request, stream):
        while self.got < int(request.header("content-length")):
            piece = await stream.reader.read(len(BLOCK))
            if not piece:
                return None
            self.hashing.update(piece)
            self.got += len(piece)
        return scripted.Response(201, b"", [("Docker-Content-Digest", request.query["digest"])])


# covers: BLB-5, HTTP-12
def test_more_than_four_gibibytes(repo, tmp_path):
    small, huge = images.Image([images.Layer(repo)]), images.Image([Huge()])
    with scripted.Registry() as source, scripted.Registry(needs_children=False) as target:
        source.push(repo, "small", small)
        source.store.add_blob(repo, huge.config.data, huge.config.digest)
        source.store.add_blob(repo, b"", huge.layers[0].digest)  # its bytes are Send's
        source.store.add_manifest(repo, huge.data, huge.media_type, "huge", huge.digest)
        source.on("GET blob", Send(), digest=huge.layers[0].digest)
        taken = target.on("PUT blob", Take(), digest=huge.layers[0].digest)

        def copy(tag):
            return dray.run_measured("copy", "--json", f"{source.address}/{repo}:{tag}", f"{target.address}/{repo}:{tag}",
                                     cwd=tmp_path, seconds=300)
        _, usual = copy("small")
        result, peak = copy("huge")
        result.expect(0)
        assert (taken.got, f"sha256:{taken.hashing.hexdigest()}") == (SIZE, huge.layers[0].digest)
        assert [request.header("range") for request in source.of("GET blob", digest=huge.layers[0].digest)] == [
            "", f"bytes={CUT_AT}-{SIZE - 1}"]
        assert target.count("PUT blob", digest=huge.layers[0].digest) == 1
        assert result.report["bytes"]["downloaded"] == SIZE + len(huge.config.data), result
        assert peak < usual + 16, (peak, usual)
