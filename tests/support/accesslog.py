"""Requests as an access log has them, and the questions that tests ask of it."""
import collections
import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    uri: str
    status: int
    bytes: int
    protocol: str = ""

    @property
    def path(self):
        return self.uri.partition("?")[0]

    @property
    def kind(self):
        for word in ("manifests", "blobs/uploads", "blobs", "tags/list", "token"):
            if re.search(rf"/{word}(/|$)", self.path):
                return word
        return "ping" if self.path == "/v2/" else "other"


class Log(list):
    def since(self, earlier):
        """What came after the log `earlier` was taken."""
        return Log(self[len(earlier):])

    def count(self, method, kind):
        return sum(r.method == method and r.kind == kind for r in self)

    def of(self, method, kind):
        return Log(r for r in self if r.method == method and r.kind == kind)

    def blob_downloads(self):
        """{digest: GETs that sent the body}"""
        return collections.Counter(
            r.path.rpartition("/")[2] for r in self.of("GET", "blobs") if r.status in (200, 206))

    def mounts(self):
        return Log(r for r in self.of("POST", "blobs/uploads") if "mount=" in r.uri and r.status == 201)

    def summary(self):
        return dict(collections.Counter(f"{r.method} {r.kind}" for r in self))
