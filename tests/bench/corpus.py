"""A realistic corpus: images whose layers are this machine's own files, in a registry.

Two base layers are in every image, a runtime layer in a third of them, and one layer is each tag's own.
"""
import dataclasses
import gzip
import hashlib
import http.client
import io
import json
import os
import pathlib
import random
import struct
import tarfile
import zlib

_ROOTS = ("/usr/lib", "/usr/share", "/usr/include", "/usr/bin")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclasses.dataclass(frozen=True)
class Size:
    repositories: int
    tags: int
    base_bytes: int  # of each base layer, before compression
    own_bytes: int   # of each tag's layer
    large_bytes: int # of the one large layer, compressed

    @property
    def images(self):
        return self.repositories * self.tags


SIZES = {
    "small": Size(12, 4, 6_000_000, 800_000, 100_000_000),
    "full": Size(12, 4, 60_000_000, 8_000_000, 1_000_000_000),
}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class _Files:
    """Bytes of real files, in an order that a seed decides, without end."""

    def __init__(self, seed):
        self.paths = sorted(path for root in _ROOTS for directory, _, names in os.walk(root)
                            for path in (os.path.join(directory, name) for name in names)
                            if os.path.isfile(path) and not os.path.islink(path))
        random.Random(seed).shuffle(self.paths)
        self.at = 0

    def next(self):
        while True:
            path = self.paths[self.at % len(self.paths)]
            self.at += 1
            try:
                data = pathlib.Path(path).read_bytes()
            except OSError:
                continue
            if len(data) < 4_000_000:
                return path, data


def _layer(files, size, name):
    """(compressed bytes, diff_id)"""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        total = 0
        while total < size:
            path, data = files.next()
            entry = tarfile.TarInfo(f"{name}/{path.lstrip('/')}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
            total += len(data)
    return gzip.compress(raw.getvalue(), 6, mtime=0), digest(raw.getvalue())


def images(size, seed=1):
    """(repository, tag, manifest, {digest: blob}) of each image."""
    files = _Files(seed)
    bases = [_layer(files, size.base_bytes, f"base{i}") for i in range(2)]
    runtimes = [_layer(files, size.base_bytes // 3, f"runtime{i}") for i in range(3)]
    for number in range(size.repositories):
        repository = f"bench/app{number:03}"
        for tag in range(size.tags):
            layers = [*bases, runtimes[number % 3], _layer(files, size.own_bytes, f"{repository}-{tag}")]
            config = json.dumps({
                "architecture": "amd64", "os": "linux", "config": {"Labels": {"name": f"{repository}:{tag}"}},
                "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]}}).encode()
            manifest = json.dumps({
                "schemaVersion": 2, "mediaType": _MANIFEST,
                "config": {"mediaType": _CONFIG, "digest": digest(config), "size": len(config)},
                "layers": [{"mediaType": _LAYER, "digest": digest(data), "size": len(data)} for data, _ in layers],
            }).encode()
            yield repository, f"1.{tag}.0", manifest, {digest(data): data for data in [config, *(d for d, _ in layers)]}


def large_layer(directory, size, seed=1):
    """An OCI layout with one image of one gzip layer of about `size` bytes, one member; the layer's path.

    The same 32 MB of files again and again, each time behind a full flush, so that it is compressed once.
    """
    files, part = _Files(seed), b""
    while len(part) < 32_000_000:
        part += files.next()[1]
    pack = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = pack.compress(part) + pack.flush(zlib.Z_FULL_FLUSH)
    blobs, crc, content, stored = directory / "blobs/sha256", 0, hashlib.sha256(), hashlib.sha256()
    blobs.mkdir(parents=True)
    count = -(-size // len(packed))
    with open(directory / "layer", "wb") as out:
        def put(data):
            stored.update(data)
            out.write(data)
        put(b"\x1f\x8b\x08\0\0\0\0\0\0\xff")
        for _ in range(count):
            put(packed)
            crc = zlib.crc32(part, crc)
            content.update(part)
        put(b"\x03\0" + struct.pack("<II", crc, len(part) * count & 0xffffffff))
    layer = blobs / stored.hexdigest()
    (directory / "layer").rename(layer)

    def add(document):
        data = json.dumps(document).encode()
        (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
        return {"digest": digest(data), "size": len(data)}
    config = add({"architecture": "amd64", "os": "linux",
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + content.hexdigest()]}})
    manifest = add({"schemaVersion": 2, "mediaType": _MANIFEST, "config": {"mediaType": _CONFIG, **config}, "layers": [
        {"mediaType": _LAYER, "digest": "sha256:" + layer.name, "size": layer.stat().st_size}]})
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": _MANIFEST, **manifest, "annotations": {"org.opencontainers.image.ref.name": "large"}}]}))
    return layer


def push(address, size, seed=1):
    """Put the corpus into the registry at host:port; the bytes of its unique blobs."""
    connection = http.client.HTTPConnection(address)

    def ask(method, path, body=b"", kind="application/octet-stream"):
        connection.request(method, path, body=body, headers={"Content-Type": kind})
        response = connection.getresponse()
        response.read()
        assert response.status in (201, 202), f"{method} {path}: {response.status}"
        return response.headers
    sizes = {}
    for repository, tag, manifest, blobs in images(size, seed):
        for name, data in blobs.items():
            location = ask("POST", f"/v2/{repository}/blobs/uploads/")["Location"]
            path = location.partition(address)[2]
            ask("PUT", f"{path}{'&' if '?' in path else '?'}digest={name}", data)
            sizes[name] = len(data)
        ask("PUT", f"/v2/{repository}/manifests/{tag}", manifest, _MANIFEST)
    return sum(sizes.values())
