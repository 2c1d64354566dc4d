"""Servers of one test file, each started when a test first asks for it."""
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from support import canary, nginx, pki, registry, token_server  # noqa: E402

USER, PASSWORD, PASSWORD_OF_READER = "mirror", canary.secret("pass:word with spaces"), canary.secret("only-reads")


class Secure:
    """A registry with token authentication behind nginx with TLS."""

    def __init__(self, directory):
        self.authority = pki.Authority(directory / "ca")
        self.ca = self.authority.certificate
        certificate, key = self.authority.issue("server")
        self.tokens = token_server.TokenServer(pki.Signer(directory / "signer"), {
            USER: (PASSWORD, lambda repository: {"pull", "push"}),
            "reader": (PASSWORD_OF_READER, lambda repository: {"pull"}),
            None: ("", lambda repository: {"pull"} if repository.startswith("public/") else set()),
        })
        self.proxy = nginx.Nginx(directory / "nginx", certificate, key)
        self.address = self.proxy.address
        self.registry = registry.token(directory / "registry", f"https://{self.address}/token", self.tokens)
        self.proxy.start(self.registry.address, self.tokens.address)

    def settings(self, user=USER, password="${MIRROR_PASSWORD}", ca=None):
        """The block of this registry under `registries:`."""
        credentials = f'\n    credentials: {{username: {user}, password: "{password}"}}' if user else ""
        return f"  {self.address}:\n    tls: {{ca: {ca or self.ca}}}{credentials}\n"

    def stop(self):
        self.proxy.stop()
        self.registry.stop()
        self.tokens.stop()


def _served(start, tmp_path_factory, name):
    server = start(tmp_path_factory.mktemp(name))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    yield from _served(registry.plain, tmp_path_factory, "source")


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    yield from _served(registry.plain, tmp_path_factory, "target")


@pytest.fixture(scope="session")
def secure(tmp_path_factory):
    yield from _served(Secure, tmp_path_factory, "secure")


@pytest.fixture(scope="session")
def basic(tmp_path_factory):
    yield from _served(lambda directory: registry.basic(directory, {USER: PASSWORD}), tmp_path_factory, "basic")


@pytest.fixture
def repo(request):
    """A repository name that no other test uses."""
    return "e2e/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:80].strip("-")
