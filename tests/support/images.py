"""Images made of nothing: layers, images, indexes; pushed to a registry or written as an OCI layout.

Everything is a function of its seed, so that two tests (or two runs) that ask for the same get the same digests. Lies
are told on purpose: `Image(layers, diff_ids=...)`.
"""
import gzip
import hashlib
import http.client
import io
import json
import pathlib
import random
import subprocess
import tarfile
import threading

OCI = "application/vnd.oci.image."
MANIFEST, INDEX, CONFIG = OCI + "manifest.v1+json", OCI + "index.v1+json", OCI + "config.v1+json"
DOCKER = "application/vnd.docker."
DOCKER_MANIFEST = DOCKER + "distribution.manifest.v2+json"
DOCKER_LIST = DOCKER + "distribution.manifest.list.v2+json"
DOCKER_CONFIG = DOCKER + "container.image.v1+json"
DOCKER_LAYER = DOCKER + "image.rootfs.diff.tar.gzip"
IN_TOTO = "application/vnd.in-toto+json"
REF_NAME = "org.opencontainers.image.ref.name"


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def to_json(value):
    return json.dumps(value, separators=(",", ":")).encode()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, check=True, capture_output=True).stdout


COMPRESSIONS = {
    "gzip": (OCI + "layer.v1.tar+gzip", lambda raw: gzip.compress(raw, 6, mtime=0)),
    "zstd": (OCI + "layer.v1.tar+zstd", zstd),
    "plain": (OCI + "layer.v1.tar", lambda raw: raw),
    "docker": (DOCKER_LAYER, lambda raw: gzip.compress(raw, 6, mtime=0)),
}


class Blob:
    def __init__(self, data, media_type, algorithm="sha256"):
        self.data, self.media_type = data, media_type
        self.digest = digest_of(data, algorithm)

    def descriptor(self, **more):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **more}


class Layer(Blob):
    """A tar of `size` bytes, more or less, half of which compress well."""

    def __init__(self, seed, size=20_000, compression="gzip", algorithm="sha256"):
        noise = random.Random(f"layer {seed}")
        media_type, compress = COMPRESSIONS[compression]
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for number, start in enumerate(range(0, size, 1 << 16)):
                length = min(1 << 16, size - start)
                content = noise.randbytes(length // 2) + f"{seed} ".encode() * length
                info = tarfile.TarInfo(f"data/{digest_of(str(seed).encode())[7:19]}/{number}")
                info.size, info.mode = length, 0o644
                tar.addfile(info, io.BytesIO(content[:length]))
        self.diff_id = digest_of(raw.getvalue())
        super().__init__(compress(raw.getvalue()), media_type, algorithm)


class Image(Blob):
    """A single-platform image. `blobs` are what its manifest needs, config first."""

    def __init__(self, layers, architecture="amd64", diff_ids=None, label="", docker=False):
        config = {
            "architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/true"], "Labels": {"label": label}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids or [layer.diff_id for layer in layers]},
            "history": [{"created_by": f"layer {n}"} for n in range(len(layers))]}
        self.config = Blob(to_json(config), DOCKER_CONFIG if docker else CONFIG)
        self.layers = list(layers)
        self.platform = {"architecture": architecture, "os": "linux"}
        media_type = DOCKER_MANIFEST if docker else MANIFEST
        super().__init__(to_json({
            "schemaVersion": 2, "mediaType": media_type, "config": self.config.descriptor(),
            "layers": [layer.descriptor() for layer in layers]}), media_type)
        self.blobs, self.children = [self.config, *layers], []


class Attestation(Blob):
    """What BuildKit puts beside an image: an image manifest in form, whose layer is JSON."""

    def __init__(self, image):
        statement = Blob(to_json({"_type": "https://in-toto.io/Statement/v0.1", "subject": image.digest}), IN_TOTO)
        config = Blob(to_json({"architecture": "unknown", "os": "unknown", "config": {},
                               "rootfs": {"type": "layers", "diff_ids": [statement.digest]}}), CONFIG)
        super().__init__(to_json({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(),
            "layers": [statement.descriptor(
                annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"})]}), MANIFEST)
        self.platform = {"architecture": "unknown", "os": "unknown"}
        self.annotations = {"vnd.docker.reference.type": "attestation-manifest",
                            "vnd.docker.reference.digest": image.digest}
        self.blobs, self.children = [config, statement], []


class Index(Blob):
    def __init__(self, children, docker=False):
        entries = []
        for child in children:
            entry = child.descriptor()
            if getattr(child, "annotations", None):
                entry["annotations"] = child.annotations
            if getattr(child, "platform", None):
                entry["platform"] = child.platform
            entries.append(entry)
        media_type = DOCKER_LIST if docker else INDEX
        super().__init__(to_json({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}), media_type)
        self.blobs, self.children = [], list(children)


class Referrer(Blob):
    """What oras and others attach to an artifact: an SBOM, say."""

    def __init__(self, subject, kind="application/vnd.example.sbom", label="", annotations=None):
        config = Blob(b"{}", "application/vnd.oci.empty.v1+json")
        payload = Blob(to_json({"of": subject.digest, "label": label}), kind)
        self.kind, self.annotations = kind, annotations or {"org.example.label": label or "none"}
        super().__init__(to_json({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config.descriptor(),
            "layers": [payload.descriptor()], "subject": subject.descriptor(), "annotations": self.annotations}), MANIFEST)
        self.blobs, self.children = [config, payload], []


def list_of(referrers):
    """The index that stands for them where there is no API."""
    return Blob(to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        one.descriptor(artifactType=one.kind, annotations=one.annotations) for one in referrers]}), INDEX)


def tree(artifact):
    """The artifact and all below it, children first."""
    for child in artifact.children:
        yield from tree(child)
    yield artifact


def all_blobs(artifacts):
    """{digest: Blob} of every config and layer."""
    return {b.digest: b for artifact in artifacts for part in tree(artifact) for b in part.blobs}


def corpus(repositories=12, tags=4, seed="corpus", base_bytes=1 << 20, runtime_bytes=1 << 18, app_bytes=1 << 15):
    """{repository: {tag: Image}}: a base layer shared by all, three runtimes by a third each, one layer per tag."""
    base = Layer(f"{seed} base", base_bytes)
    runtimes = [Layer(f"{seed} runtime {n}", runtime_bytes, c) for n, c in enumerate(("gzip", "zstd", "plain"))]
    result = {}
    for r in range(repositories):
        name = f"team{r % 3}/app{r:02d}"
        result[name] = {
            f"1.{t}.0": Image([base, runtimes[r % 3], Layer(f"{seed} {name} {t}", app_bytes)], label=f"{name}:1.{t}.0")
            for t in range(tags)}
    return result


def multi_platform(seed, architectures=("amd64", "arm64", "s390x"), attested=True):
    """An index as BuildKit writes it."""
    shared = Layer(f"{seed} shared")
    children = [Image([shared, Layer(f"{seed} {a}")], a) for a in architectures]
    if attested:
        children += [Attestation(child) for child in children]
    return Index(children)


class Pusher:
    """Puts artifacts into one registry through its API, in the plainest way. Content may be wrong; digests may not."""

    def __init__(self, registry):
        self.registry = registry
        self._local = threading.local()
        self._present = set()

    def _request(self, repository, method, path, body=None, headers=None):
        connection = getattr(self._local, "connection", None)
        if not connection:
            connection = self._local.connection = http.client.HTTPConnection(self.registry.address, timeout=30)
        headers = dict(headers or {})
        authorization = self.registry.authorization(repository)
        if authorization:
            headers["Authorization"] = authorization
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise AssertionError(f"{method} {path}: {response.status} {text[:400]!r}")
        return response

    def blob(self, repository, blob):
        if (repository, blob.digest) in self._present:
            return
        started = self._request(repository, "POST", f"/v2/{repository}/blobs/uploads/")
        location = started.headers["Location"].partition(self.registry.address)[2]
        self._request(repository, "PUT", f"{location}&digest={blob.digest}", blob.data,
                      {"Content-Type": "application/octet-stream"})
        self._present.add((repository, blob.digest))

    def manifest(self, repository, reference, manifest):
        self._request(repository, "PUT", f"/v2/{repository}/manifests/{reference}", manifest.data,
                      {"Content-Type": manifest.media_type})

    def push(self, repository, tag, artifact):
        for part in tree(artifact):
            for blob in part.blobs:
                self.blob(repository, blob)
            self.manifest(repository, part.digest if part is not artifact or tag is None else tag, part)


def push(registry, repository, tag, artifact):
    Pusher(registry).push(repository, tag, artifact)


def push_all(registry, repositories):
    pusher = Pusher(registry)
    for repository, tags in repositories.items():
        for tag, artifact in tags.items():
            pusher.push(repository, tag, artifact)


def blob_path(directory, digest):
    """Where an OCI layout has it."""
    return pathlib.Path(directory) / "blobs" / digest.replace(":", "/")


def write_layout(directory, named):
    """An OCI layout of {name: artifact}; a name is what stands in org.opencontainers.image.ref.name."""
    directory = pathlib.Path(directory)
    (directory / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    entries = []
    for name, artifact in named.items():
        for part in tree(artifact):
            for blob in [*part.blobs, part]:
                path = blob_path(directory, blob.digest)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(blob.data)
        entries.append(artifact.descriptor(annotations={REF_NAME: name}))
    (directory / "oci-layout").write_bytes(to_json({"imageLayoutVersion": "1.0.0"}))
    (directory / "index.json").write_bytes(to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))


def read_layout(directory):
    """{name: entry} of index.json."""
    index = json.loads((pathlib.Path(directory) / "index.json").read_bytes())
    return {e.get("annotations", {}).get(REF_NAME, e["digest"]): e for e in index["manifests"]}


def check_layout(directory):
    """Every blob has the name of its bytes, and everything that index.json reaches is there."""
    directory = pathlib.Path(directory)
    assert json.loads((directory / "oci-layout").read_bytes())["imageLayoutVersion"] == "1.0.0"
    for path in directory.glob("blobs/*/*"):
        found = digest_of(path.read_bytes(), path.parent.name)
        assert found == f"{path.parent.name}:{path.name}", f"{path} is not what its name says"
    todo = json.loads((directory / "index.json").read_bytes())["manifests"]
    while todo:
        entry = todo.pop()
        path = blob_path(directory, entry["digest"])
        assert path.stat().st_size == entry["size"], f"{path} is not as long as {entry}"
        if entry["mediaType"] in (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST):
            manifest = json.loads(path.read_bytes())
            todo += (manifest.get("manifests") or []) + (manifest.get("layers") or [])
            todo += [manifest["config"]] if "config" in manifest else []
