"""Debian's docker-registry on a free loopback port: open, with Basic, or with tokens; and what it was asked for."""
import base64
import http.client
import pathlib
import re
import subprocess
import uuid

from . import accesslog
from .processes import Background, wait_for
from .token_server import ISSUER, SERVICE

_CONFIG = """\
version: 0.1
log: {{level: info, formatter: text, accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: {root}, maxthreads: 100}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http:
  addr: 127.0.0.1:0
  secret: dray-test
{auth}"""

_LINE = re.compile(r'^\S+ - \S* ?\S* \[[^]]*\] "(?P<method>[A-Z]+) (?P<uri>\S+) [^"]*" (?P<status>\d+) (?P<bytes>\d+)',
                   re.MULTILINE)


class Registry:
    """A running registry. `address` is host:port as a user writes it, over plain http."""

    def __init__(self, directory, auth="", authorization=lambda repository: None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.root = self.directory / "data"
        config = self.directory / "config.yml"
        config.write_text(_CONFIG.format(root=self.root, auth=auth))
        self.authorization = authorization
        self.may_lose = False
        self.server = Background(["docker-registry", "serve", config], self.directory / "output",
                                 env={"OTEL_TRACES_EXPORTER": "none"})
        found = self.server.wait_until(
            lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", self.server.text()), "docker-registry to listen")
        self.port = int(found.group(1))
        self.address = f"127.0.0.1:{self.port}"

    def stop(self):
        """Stop it; and, of every test that used it: dray deleted no manifest and no blob (T-54)."""
        self.server.stop()
        deletions = [line for line in self.server.text().splitlines()
                     if '"DELETE /v2/' in line and "/blobs/uploads/" not in line and '"dray/' in line]
        assert self.may_lose or not deletions, f"deleted: {deletions}"

    # --- files on disk, for planting what no registry would accept ------------------------------------------------

    def blob_path(self, digest):
        algorithm, _, encoded = digest.partition(":")
        return self.root / "docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data"

    def holds_tag(self, repository, tag):
        return (self.root / "docker/registry/v2/repositories" / repository / "_manifests/tags" / tag).exists()

    def manifests(self, repository):
        """The digests of the manifests in the repository, tagged or not."""
        revisions = self.root / "docker/registry/v2/repositories" / repository / "_manifests/revisions/sha256"
        return {"sha256:" + link.parent.name for link in revisions.glob("*/link")}

    # --- what was asked -------------------------------------------------------------------------------------------

    def tags(self, repository):
        """Tag -> the digest it points to."""
        links = self.root.glob(f"docker/registry/v2/repositories/{repository}/_manifests/tags/*/current/link")
        return {link.parts[-3]: link.read_text() for link in links}

    def log(self):
        """Every request so far that was answered."""
        mark = f"/v2/mark/{uuid.uuid4().hex}"
        request(self.address, "GET", mark)
        wait_for(lambda: mark in self.server.text(), "the access log")
        return accesslog.Log(
            accesslog.Request(m["method"], m["uri"], int(m["status"]), int(m["bytes"]))
            for m in _LINE.finditer(self.server.text()) if "/v2/mark/" not in m["uri"])


def request(address, method, path, body=None, headers=None):
    """One plain request: (status, headers, body)."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def plain(directory):
    return Registry(directory)


def basic(directory, users):
    """users: {name: password}."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lines = [subprocess.run(["htpasswd", "-nbBC", "4", name, password], check=True, capture_output=True).stdout.strip()
             for name, password in users.items()]
    (directory / "htpasswd").write_bytes(b"\n".join(lines) + b"\n")
    name, password = next(iter(users.items()))
    header = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
    return Registry(directory, f"auth: {{htpasswd: {{realm: dray-test, path: {directory}/htpasswd}}}}\n",
                    lambda repository: header)


def token(directory, realm, server):
    """`server` is the TokenServer, `realm` the URL under which clients reach it."""
    auth = (f"auth:\n  token:\n    realm: {realm}\n    service: {SERVICE}\n    issuer: {ISSUER}\n"
            f"    rootcertbundle: {server.signer.certificate}\n")

    def authorization(repository):
        return "Bearer " + server.token("test", {repository: ["pull", "push", "delete"]})[0]
    return Registry(directory, auth, authorization)
