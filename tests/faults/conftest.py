import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import pytest  # noqa: E402

from support import steps  # noqa: E402
from support.fixtures import repo, source, target  # noqa: E402, F401


@pytest.fixture(scope="module")
def place():
    it = steps.Place()
    yield it
    it.end()
