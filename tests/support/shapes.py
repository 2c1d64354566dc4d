"""Manifests of any shape: artifacts, odd layers, documents as somebody may have written them."""
import base64
import gzip
import json
import struct
import subprocess

from .images import CONFIG, IN_TOTO, INDEX, MANIFEST, OCI, Blob, digest_of, to_json, zstd

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = Blob(b"{}", EMPTY_TYPE)
ATTESTATION_TYPE = "application/vnd.docker.attestation.manifest.v1+json"
GZIP_LAYER, ZSTD_LAYER, TAR_LAYER = OCI + "layer.v1.tar+gzip", OCI + "layer.v1.tar+zstd", OCI + "layer.v1.tar"


class Document(Blob):
    """A manifest or index of these very bytes; `blobs` and `children` are what it needs."""

    def __init__(self, data, media_type=MANIFEST, blobs=(), children=(), algorithm="sha256"):
        super().__init__(data if isinstance(data, bytes) else to_json(data), media_type, algorithm)
        self.blobs, self.children = list(blobs), list(children)


def artifact(layers, config=EMPTY, **more):
    """An OCI manifest of these blobs; `more` are keys at its top."""
    return Document({"schemaVersion": 2, "mediaType": MANIFEST, **more, "config": config.descriptor(),
                     "layers": [layer.descriptor(**getattr(layer, "more", {})) for layer in layers]}, blobs=[config, *layers])


def config_of(diff_ids, os="linux", architecture="amd64", media_type=CONFIG):
    return Blob(to_json({"architecture": architecture, "os": os, "rootfs": {"type": "layers", "diff_ids": diff_ids}}), media_type)


def image(layers, diff_ids=None, **config):
    """An image whose layers are blobs with a `diff_id`."""
    return artifact(layers, config_of(diff_ids or [layer.diff_id for layer in layers], **config))


def index(children, **more):
    entries = [child.descriptor(**getattr(child, "entry", {})) for child in children]
    return Document({"schemaVersion": 2, "mediaType": INDEX, **more, "manifests": entries}, INDEX, children=children)


def layer(raw, data, media_type, **more):
    """A layer that is stored as `data` and unpacks to `raw`."""
    made = Blob(data, media_type)
    made.diff_id, made.more = digest_of(raw), more
    return made


# --- layers as builders write them --------------------------------------------------------------------------------------

def members(raw, size=3000):
    """gzip with a member for each `size` bytes."""
    return b"".join(gzip.compress(raw[at:at + size], mtime=0) for at in range(0, len(raw), size))


def estargz(raw):
    """Members, and the footer: an empty one of 51 bytes, whose extra field has the offset of the table of contents."""
    body = members(raw)
    payload = b"%016xSTARGZ" % (len(body) // 2)
    extra = b"SG" + struct.pack("<H", len(payload)) + payload
    footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra
    footer += b"\x01\0\0\xff\xff" + bytes(8)
    assert len(footer) == 51
    return body + footer


def zstd_chunked(raw, size=5000):
    """A frame for each chunk, and tables in skippable frames, the last of which ends as zstd:chunked does."""
    frames = b"".join(zstd(raw[at:at + size]) for at in range(0, len(raw), size))
    table = b"\x50\x2a\x4d\x18" + struct.pack("<I", 300) + bytes(300)
    footer = struct.pack("<QQQQQQQ", len(frames), 300, 600, 1, len(frames) + 308, 20, 40) + b"GNUlInUx"
    return frames + table + b"\x50\x2a\x4d\x18" + struct.pack("<I", len(footer)) + footer


def zstd_long(raw, window_log):
    return subprocess.run(["zstd", "-q", "-c", f"--long={window_log}", "--stream-size", str(len(raw))], input=raw, check=True,
                          capture_output=True).stdout


# --- what stands beside an image -----------------------------------------------------------------------------------------

def attestation(subject):
    """As BuildKit writes it since 0.32: an artifact with the empty config and a subject."""
    statement = Blob(to_json({"_type": "https://in-toto.io/Statement/v1", "subject": subject.digest}), IN_TOTO)
    made = artifact([statement], artifactType=ATTESTATION_TYPE, subject=subject.descriptor())
    made.entry = {"platform": {"architecture": "unknown", "os": "unknown"}, "annotations": {
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject.digest}}
    return made


def signature(subject):
    """As cosign writes it: an image in form, with diff_ids that are the digests of its JSON."""
    payload = Blob(to_json({"critical": {"image": {"docker-manifest-digest": subject.digest}}}),
                   "application/vnd.dev.cosign.simplesigning.v1+json")
    payload.diff_id = payload.digest
    payload.more = {"annotations": {"dev.cosignproject.cosign/signature": base64.b64encode(b"signed").decode()}}
    return image([payload], os="", architecture="")


def parsed(document):
    return json.loads(document.data)
