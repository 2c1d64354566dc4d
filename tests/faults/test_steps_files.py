"""The k-th call on files fails, for every k (tests/support/steps.py)."""
import errno

import pytest

from support import steps

FULL = [str(code) for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EMFILE)]


# covers: T-55, T-56, T-64, T-69
@pytest.mark.parametrize("kind", steps.KINDS)
def test_each_step_on_files_may_fail(place, kind):
    steps.steps(place, kind, "files", FULL, lambda call: steps.LOCAL)


@pytest.mark.parametrize("kind", ("layout", "registry"))
def test_writes_may_be_short(place, kind):
    for call in ("write", "pwrite64"):
        steps.steps(place, kind, call, ["short"], lambda call: {0}, 20)
