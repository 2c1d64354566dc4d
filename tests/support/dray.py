"""The program under test: $DRAY, run as an operator's cron would, with what it said and how it ended."""
import json
import os
import pathlib
import signal
import subprocess
import sys

from . import canary
from .processes import _die_with_parent


def _begin():
    """As a shell starts its foreground job: whatever started the tests may ignore signals."""
    _die_with_parent()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


PROGRAM = os.environ.get("DRAY") or str(pathlib.Path(__file__).parents[2] / "build/debug/dray")
VALGRIND = os.environ.get("DRAY_VALGRIND") == "1"
_WRAPPER = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
            "--child-silent-after-fork=yes"] if VALGRIND else []
# What a sanitizer finds must not end like "some images failed", which is 1.
_SANITIZERS = {"ASAN_OPTIONS": "exitcode=99", "LSAN_OPTIONS": "exitcode=99",
               "UBSAN_OPTIONS": "exitcode=99:print_stacktrace=1", "TSAN_OPTIONS": "exitcode=99:die_after_fork=0"}
_KEPT = ("PATH", "TMPDIR")
_TALKERS = ("sync", "copy", "retry", "verify")
SLOWER = 10 if VALGRIND else 1
# Runs the command behind it, and writes the peak of its memory in KiB into a file.
_MEASURE = ("import resource, subprocess, sys; code = subprocess.run(sys.argv[2:]).returncode; "
            "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)); sys.exit(code)")


class Result:
    def __init__(self, arguments, code, stdout, stderr):
        self.arguments, self.code, self.stdout, self.stderr = arguments, code, stdout, stderr
        self._report = None

    def __str__(self):
        return (f"dray {' '.join(map(str, self.arguments))}: exit {self.code}\n--- stdout\n{self.stdout[-6000:]}\n"
                f"--- stderr\n{self.stderr[-6000:]}")

    def expect(self, *codes):
        assert self.code in codes, f"expected exit {codes}; {self}"
        return self

    def says(self, *fragments):
        """All of them, in any case, somewhere in what a human reads."""
        text = (self.stderr + self.stdout).lower()
        for fragment in fragments:
            assert fragment.lower() in text, f"{fragment!r} is not said; {self}"
        return self

    @property
    def report(self):
        if self._report is None:
            try:
                self._report = json.loads(self.stdout)
            except ValueError as error:
                raise AssertionError(f"stdout is not one JSON value: {error}; {self}") from None
        return self._report


def _environment(home, env, bare):
    if bare:
        return dict(env or {})
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_SANITIZERS, "HOME": str(home), "LANG": "C.UTF-8", **(env or {})}


def _verbose(arguments):
    """At the highest level of the log, where the test says nothing of it (T-23)."""
    arguments = [str(argument) for argument in arguments]
    says = {"-q", "--quiet", "-v", "--verbose", "-h", "--help"}
    if not arguments or arguments[0] not in _TALKERS or says & set(arguments):
        return arguments
    return [arguments[0], "--verbose", *arguments[1:]]


def start(*arguments, cwd, env=None, bare=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
          stderr=subprocess.PIPE, prefix=(), verbose=True, **more):
    """A running dray. Its home is `cwd`, where no docker or podman credentials are unless a test puts them there."""
    if verbose and stderr == subprocess.PIPE:
        arguments = _verbose(arguments)
    before = canary.snapshot(cwd)
    process = subprocess.Popen(
        [*map(str, prefix), *_WRAPPER, PROGRAM, *map(str, arguments)], cwd=cwd, env=_environment(cwd, env, bare),
        stdin=stdin, stdout=stdout, stderr=stderr, preexec_fn=_begin, **more)
    process.left_before = (cwd, before)
    return process


def _search_for_secrets(process, result):
    """NOSECRET (T-23): nothing that a run says or leaves behind holds a secret."""
    for name, text in (("stdout", result.stdout), ("stderr", result.stderr)):
        where = canary.found_in(text.encode())
        assert not where, f"a secret is in {name} {where}; dray {' '.join(map(str, result.arguments))}"
    canary.search(*process.left_before)


def finish(process, seconds=60):
    try:
        stdout, stderr = process.communicate(timeout=seconds * SLOWER)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        stdout, stderr = process.communicate(timeout=30)
        raise AssertionError(f"still running after {seconds * SLOWER} s; "
                             f"{Result(process.args, 'none', (stdout or b'').decode(), stderr.decode())}") from None
    result = Result(process.args[1:], process.returncode, (stdout or b"").decode(errors="replace"),
                    (stderr or b"").decode(errors="replace"))
    _search_for_secrets(process, result)
    return result


def run(*arguments, seconds=60, **more):
    return finish(start(*arguments, **more), seconds)


def run_measured(*arguments, cwd, **more):
    """(result, peak of memory in MiB). What a sanitizer keeps of freed memory is left out as far as it goes."""
    peak = pathlib.Path(cwd) / "peak"
    options = {**_SANITIZERS, "ASAN_OPTIONS": "exitcode=99:quarantine_size_mb=1:malloc_context_size=1"}
    result = run(*arguments, cwd=cwd, prefix=(sys.executable, "-c", _MEASURE, peak), env=options, **more)
    return result, int(peak.read_text()) // 1024


def sync(config, *arguments, **more):
    """`dray sync CONFIG --json`, in the folder of the file."""
    more.setdefault("cwd", pathlib.Path(config).parent)
    return run("sync", config, "--json", *arguments, **more)


def write_config(path, text):
    """`version: 1` and a state file beside it are added; `text` is the rest."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"version: 1\nstate: {path.with_suffix('.db')}\n{text}")
    return path
