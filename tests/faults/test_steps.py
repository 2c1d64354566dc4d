"""The k-th call fails, for every k: the exit code tells the right class, nothing that is there is wrong, and the next run does the rest.

Of each set of calls so many are made to fail in CI; SAMPLES=n takes n of each, SAMPLES=all every one. SEED=n takes others.
"""
import concurrent.futures
import errno
import itertools
import os
import random
import sqlite3

import pytest

from support import dray, images, strike

SAMPLES, SEED = os.environ.get("SAMPLES"), os.environ.get("SEED", "1")
WORKERS = 3

FULL = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EMFILE]
LOCAL = {0, 6}
# libuv ends the process when it gets no thread and no pipe for signals; dray looks first whether there are any.
ABORTS = {"pthread_create", "pipe2"}
NETWORK = {"connect", "recv", "send", "sendmsg", "getsockopt", "setsockopt", "getsockname", "getpeername", "poll", "getaddrinfo"}


class Mirror:
    """Two small images, mirrored to a target of its own for each fault."""

    def __init__(self, source, target, repo, directory, kind):
        self.source, self.target, self.repo, self.directory, self.kind = source, target, repo, directory, kind
        shared = images.Layer(f"{repo} shared", 3000)
        self.content = {tag: images.Image([shared, images.Layer(f"{repo} {tag}", 1000)], label=tag) for tag in ("a", "b")}
        pusher = images.Pusher(source)
        for tag, image in self.content.items():
            pusher.push(repo, tag, image)

    def config(self, name):
        place = f"oci:{self.directory}/{name}/layout" if self.kind == "layout" else f"{self.target.address}/{self.repo}/{name}"
        return dray.write_config(self.directory / name / "c.yaml", f"""\
repos:
  - source: {self.source.address}/{self.repo}
{"    names: tag" if self.kind == "layout" else ""}
    targets: [{place}]
""")

    def run(self, config, environment=None):
        return dray.run("sync", config, "--quiet", cwd=config.parent, env=environment, seconds=90)

    def tags(self, name):
        """Tag -> digest at the target, where everything that is reached is there and right."""
        if self.kind == "registry":
            return {tag: digest for tag, digest in self.target.tags(f"{self.repo}/{name}").items() if digest}
        layout = self.directory / name / "layout"
        if not (layout / "index.json").exists():
            return {}
        images.check_layout(layout)
        return {tag: entry["digest"] for tag, entry in images.read_layout(layout).items()}

    def check(self, name, whole):
        tags, right = self.tags(name), {tag: image.digest for tag, image in self.content.items()}
        assert tags.items() <= right.items()
        assert not whole or tags == right
        if self.kind == "registry":
            blobs = {f"sha256:{link.parent.name}" for link in self.target.root.glob(
                f"docker/registry/v2/repositories/{self.repo}/{name}/_layers/sha256/*/link")}
            for tag in tags:
                assert {blob.digest for blob in self.content[tag].blobs} <= blobs
        elif whole:
            assert not list((self.directory / name).glob("layout/ingest/*"))

    def count(self, calls):
        config = self.config(f"count-{calls}")
        report = config.parent / "struck"
        self.run(config, strike.environment(calls, 1, "count", report)).expect(0)
        return strike.count(report)

    def fault(self, calls, number, action, allowed):
        """(what was struck, exit code) of one fault, after everything that must hold did."""
        name = f"{calls}-{number}-{action}"
        config = self.config(name)
        report = config.parent / "struck"
        result = self.run(config, strike.environment(calls, number, action, report))
        struck = strike.what_struck(report)
        where = f"{struck} at {name}"
        assert result.code in (allowed(struck[0]) if struck else {0}), f"{where}: {result}"
        assert result.code in (0, -6) or result.stderr, f"{where}: nothing is said; {result}"
        try:
            self.check(name, whole=result.code == 0)
            state = config.with_suffix(".db")
            if state.exists() and state.stat().st_size:
                with sqlite3.connect(state) as database:
                    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            self.run(config).expect(0)
            self.check(name, whole=True)
            assert not list(config.parent.glob("*.corrupt-*"))
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}; {result}") from error
        return struck, result.code


def steps(mirror, calls, actions, allowed, most):
    """Faults at the calls 1 to the last of them, or at a sample of `most`; each once with an action of its own."""
    count = mirror.count(calls)
    numbers = list(range(1, count + 4))
    chosen = random.Random(f"{SEED} {calls}")
    actions = chosen.sample(actions, len(actions))
    if SAMPLES != "all" and (int(SAMPLES or 0) or most) < len(numbers):
        numbers = sorted(chosen.sample(numbers, int(SAMPLES or 0) or most))
    outcomes = {}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        runs = [workers.submit(mirror.fault, calls, *step, allowed) for step in zip(numbers, itertools.cycle(actions))]
    for struck, code in [run.result() for run in runs if not run.exception()]:
        key = f"{struck[0] if struck else 'none'} {code}"
        outcomes[key] = outcomes.get(key, 0) + 1
    wrong = [str(run.exception()) for run in runs if run.exception()]
    assert not wrong, f"{len(wrong)} of {len(numbers)}:\n" + "\n".join(wrong[:40])
    print(f"{mirror.kind} {calls}: {len(numbers)} of {count}: {dict(sorted(outcomes.items()))}")


@pytest.fixture(params=["layout", "registry"])
def mirror(request, source, target, repo, tmp_path):
    return Mirror(source, target, repo, tmp_path, request.param)


# covers: T-55, T-56, T-64, T-69
def test_each_step_on_files_may_fail(mirror):
    steps(mirror, "files", FULL, lambda call: LOCAL, 300)


def test_writes_may_be_short(mirror):
    for call in ("write", "pwrite64"):
        steps(mirror, call, ["short"], lambda call: {0}, 20)


# covers: T-71
def test_each_allocation_may_fail(mirror):
    steps(mirror, "memory", ["usual"], lambda call: LOCAL, 250)


# covers: T-69, T-71
def test_each_other_system_call_may_fail(mirror):
    steps(mirror, "system", ["usual"], lambda call: {0, 1, 8} if call in NETWORK else {0, 6, -6} if call in ABORTS else
          {0, 1, 2, 6, 8}, 250)
