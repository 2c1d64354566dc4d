import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from support.fixtures import repo, source, target  # noqa: E402, F401
