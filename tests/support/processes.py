"""Background servers: started in a group of their own, stopped with it, and never outliving the process that
started them, not even when that one is killed."""
import ctypes
import os
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


def _die_with_parent():
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def wait_for(condition, what, seconds=20):
    """The first true value of condition(); AssertionError when it does not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


class Background:
    """One server process. Its output is in the file `output`."""

    def __init__(self, arguments, output, env=None, pass_fds=()):
        self.output = str(output)
        with open(self.output, "wb") as sink:
            self.process = subprocess.Popen(
                [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, pass_fds=pass_fds, start_new_session=True,
                preexec_fn=_die_with_parent)

    def text(self):
        with open(self.output, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_until(self, condition, what):
        def alive():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.process.args[0]} ended with {self.process.returncode}:\n{self.text()}")
            return condition()
        return wait_for(alive, what)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
