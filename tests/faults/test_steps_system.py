"""The k-th system call that changes no file fails, for every k, in 3,000 ways: as it does in life, or since the kernel has no memory
(tests/support/steps.py)."""
import errno

import pytest

from support import steps

NETWORK = {"connect", "recv", "send", "sendmsg", "getsockopt", "setsockopt", "getsockname", "getpeername", "poll", "getaddrinfo"}


# covers: T-69, T-71
@pytest.mark.parametrize("kind", steps.KINDS)
def test_each_other_system_call_may_fail(place, kind):
    steps.steps(place, kind, "system", ["usual", str(errno.ENOMEM)], lambda call: {0, 1, 8} if call in NETWORK else {0, 1, 2, 6, 8},
                1000)
