"""What a registry holds, in memory."""
import dataclasses
import hashlib
import itertools

KNOWN = ("sha256", "sha512")


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@dataclasses.dataclass
class Manifest:
    data: bytes
    media_type: str
    digest: str


@dataclasses.dataclass
class Upload:
    """A session. `taken` counts the requests that wrote to it."""
    id: str
    repo: str
    data: bytearray = dataclasses.field(default_factory=bytearray)
    taken: int = 0


class Repository:
    def __init__(self):
        self.blobs = set()  # digests
        self.manifests = {}  # digest: Manifest
        self.tags = {}  # tag: digest

    def find(self, reference):
        """The manifest of a tag or digest, or None."""
        return self.manifests.get(self.tags.get(reference, reference))


class Store:
    def __init__(self):
        self.blobs = {}  # digest: bytes
        self.repositories = {}
        self.uploads = {}
        self._ids = itertools.count(1)

    def repository(self, name):
        """It, made if it is not there."""
        return self.repositories.setdefault(name, Repository())

    def add_blob(self, repo, data, digest=None):
        digest = digest or digest_of(data)
        self.blobs[digest] = bytes(data)
        self.repository(repo).blobs.add(digest)
        return digest

    def blob(self, repo, digest):
        """Its bytes if it is in that repository, else None."""
        known = self.repositories.get(repo)
        return self.blobs[digest] if known and digest in known.blobs else None

    def add_manifest(self, repo, data, media_type, tag=None, digest=None):
        manifest = Manifest(bytes(data), media_type, digest or digest_of(data))
        self.repository(repo).manifests[manifest.digest] = manifest
        if tag:
            self.repository(repo).tags[tag] = manifest.digest
        return manifest

    def open_upload(self, repo):
        upload = Upload(f"upload-{next(self._ids)}", repo)
        self.uploads[upload.id] = upload
        return upload
