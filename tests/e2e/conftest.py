"""Servers of one test file, each started when a test first asks for it."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from support import canary, nginx, pki, registry, token_server  # noqa: E402
from support.fixtures import repo, served, source, target  # noqa: E402, F401

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


@pytest.fixture(scope="session")
def secure(tmp_path_factory):
    yield from served(Secure, tmp_path_factory, "secure")


@pytest.fixture(scope="session")
def basic(tmp_path_factory):
    yield from served(lambda directory: registry.basic(directory, {USER: PASSWORD}), tmp_path_factory, "basic")
