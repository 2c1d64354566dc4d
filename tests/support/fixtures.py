"""What the conftest.py of every folder of tests gives its tests: two registries, and names of their own."""
import re

import pytest

from . import registry


def served(start, tmp_path_factory, name):
    server = start(tmp_path_factory.mktemp(name))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    yield from served(registry.plain, tmp_path_factory, "source")


@pytest.fixture(scope="session")
def target(tmp_path_factory):
    yield from served(registry.plain, tmp_path_factory, "target")


@pytest.fixture
def repo(request):
    """A repository name that no other test uses."""
    return "e2e/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:80].strip("-")
