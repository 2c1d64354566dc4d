"""The k-th allocation fails: 1,500 of them (tests/support/steps.py)."""
import pytest

from support import steps


# covers: T-71
@pytest.mark.parametrize("kind", steps.KINDS)
def test_each_allocation_may_fail(place, kind):
    steps.steps(place, kind, "memory", ["usual"], lambda call: steps.LOCAL, 500)
