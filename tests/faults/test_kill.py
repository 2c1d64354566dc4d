"""kill -9 at any moment: what was finished stays, no tag and no index.json names what is not there, and the next run goes on.

Half of the moments are drawn from the time that a run takes; half are in front of or behind a call at which something
becomes visible, durable or remembered. KILLS=n in the environment kills so many times (200); SEED=n makes other moments
of it. covers: T-69, T-59, T-57
"""
import collections
import json
import os
import random
import signal
import sqlite3
import threading
import time

import pytest

from support import dray, images, readers, strike

KILLS, SEED = int(os.environ.get("KILLS", 200)), os.environ.get("SEED", "1")

# SQLite commits with ftruncate() of its journal.
BARRIERS = ("fsync", "fdatasync", "renameat", "ftruncate64", "ftruncate", "pwrite64", "write", "openat", "mkdirat", "unlinkat",
            "connect", "send", "recv", "flock")


def corpus(repo):
    """{tag: image}: what they share is large beside what is their own."""
    base, runtime = images.Layer(f"{repo} base", 1 << 18), images.Layer(f"{repo} runtime", 1 << 15, "zstd")
    tags = {f"1.{n}": images.Image([base, runtime, images.Layer(f"{repo} {n}", 1 << 12)], label=f"{n}") for n in range(3)}
    return {**tags, "multi": images.multi_platform(repo, ("amd64", "arm64"), attested=False)}


class RegistryTarget:
    def __init__(self, target, repo):
        self.registry, self.repository = target, repo
        self.name = f"{target.address}/{repo}"
        self.directory = target.root / "docker/registry/v2/repositories" / repo

    def finished(self):
        """The blobs that are in the repository."""
        return {f"sha256:{link.parent.name}" for link in self.directory.glob("_layers/sha256/*/link")}

    def tags(self):
        return {tag: digest for tag, digest in self.registry.tags(self.repository).items() if digest}

    def check(self):
        """Everything that a tag reaches is in the repository."""
        def walk(digest):
            document = json.loads(self.registry.blob_path(digest).read_bytes())
            for child in document.get("manifests", []):
                assert child["digest"] in self.registry.manifests(self.repository), f"{child} of {digest} is missing"
                walk(child["digest"])
            for blob in [*document.get("layers", []), *filter(None, [document.get("config")])]:
                assert blob["digest"] in self.finished(), f"{blob} of {digest} is missing"
        for digest in set(self.tags().values()):
            walk(digest)


    def check_deep(self, directory):
        dray.run("verify", "--deep", f"{self.name}:*", cwd=directory).expect(0)


class LayoutTarget:
    def __init__(self, directory):
        self.directory = directory
        self.name = f"oci:{directory}"

    def finished(self):
        return {f"sha256:{path.name}" for path in self.directory.glob("blobs/sha256/*")}

    def tags(self):
        if not (self.directory / "index.json").exists():
            return {}
        return {name.rpartition(":")[2]: entry["digest"] for name, entry in images.read_layout(self.directory).items()}

    def check(self):
        if (self.directory / "index.json").exists():
            images.check_layout(self.directory)

    def check_deep(self, directory):
        dray.run("verify", "--deep", self.name, cwd=directory).expect(0)
        assert not list(self.directory.glob("ingest/*"))
        readers.skopeo("copy", "--all", f"{self.name}:multi", f"oci:{directory}/read:x", home=directory)


class Watch(threading.Thread):
    """Looks at the targets all the time."""

    def __init__(self, targets):
        super().__init__(daemon=True)
        self.targets, self.looks, self.error, self.over = targets, 0, None, threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set() and not self.error:
            try:
                for target in self.targets:
                    target.check()
                self.looks += 1
                self.over.wait(0.002)
            except Exception as error:  # told by the test's own thread
                self.error = error

    def end(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error


def check_state(path):
    with sqlite3.connect(path) as state:
        assert state.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def write_config(directory, source, repo, targets):
    return dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
{"    names: tag" if any(isinstance(target, LayoutTarget) for target in targets) else ""}
    targets: [{', '.join(target.name for target in targets)}]
""")


class Moments:
    """When runs are killed. What is left to do shrinks from run to run, so early moments are more likely than late ones."""

    def __init__(self, seed):
        self.random, self.longest, self.counts, self.at_calls = random.Random(seed), None, {}, collections.Counter()

    def whole_runs(self, configs):
        """How long one takes, and how often each barrier comes, from runs that are not killed, one for each barrier."""
        for call, config in zip(BARRIERS, configs):
            report, begin = config.with_suffix(".struck"), time.monotonic()
            environment = strike.environment(call, 1, "count", report)
            dray.run("sync", config, "--quiet", cwd=config.parent, env=environment).expect(0)
            self.longest = time.monotonic() - begin
            self.counts[call] = strike.count(report)
        self.counts = {call: count for call, count in self.counts.items() if count}

    def killed_run(self, config):
        """(exit code, stderr) of a run that is killed, unless it ends before that."""
        report = config.with_suffix(".struck")
        report.unlink(missing_ok=True)
        at_call, environment = self.random.random() < 0.5, {}
        share = self.random.random() ** 2
        if at_call:
            call, count = self.random.choice(list(self.counts.items()))
            environment = strike.environment(
                call, 1 + int(share * count), self.random.choice(["kill", "killed"]), report)
        run = dray.start("sync", config, "--quiet", cwd=config.parent, env=environment)
        if not at_call:
            time.sleep(share * self.longest * 1.1)
            run.send_signal(signal.SIGKILL)
        _, stderr = run.communicate(timeout=60)
        if run.returncode == -signal.SIGKILL:
            self.at_calls[call if at_call else "time"] += 1
        return run.returncode, stderr


def kill_until_done(config, source, targets, layers, moments):
    """Runs that are killed, until one comes to its end before it is; how many were. Configs are read anew by each run that
    compares diff_ids with them; of what is large, nothing that was finished is."""
    kills = 0
    while True:
        before, log = [target.finished() for target in targets], source.log()
        code, stderr = moments.killed_run(config)
        if config.with_suffix(".db").exists():
            check_state(config.with_suffix(".db"))
        if len(targets) == 1:
            again = set(source.log().since(log).blob_downloads()) & before[0] & layers
            assert not again, f"fetched again, though it was there: {again}"
        for target in targets:
            target.check()
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, stderr.decode()
        kills += 1


@pytest.mark.parametrize("kinds", ["registry", "layout", "both"])
def test_kills_lose_nothing_that_was_finished(source, target, repo, tmp_path, kinds):
    content = corpus(repo)
    pusher = images.Pusher(source)
    for tag, image in content.items():
        pusher.push(repo, tag, image)
    layers = {layer.digest for image in content.values() for part in images.tree(image) for layer in part.blobs[1:]}
    moments = Moments(f"{SEED} {kinds}")
    kills, rounds, looks = 0, 0, 0

    def cold(number):
        directory = tmp_path / f"{number}"
        targets = [RegistryTarget(target, f"{repo}/{number}")] if kinds != "layout" else []
        targets += [LayoutTarget(directory / "layout")] if kinds != "registry" else []
        return write_config(directory, source, repo, targets), targets

    moments.whole_runs(cold(f"whole{n}")[0] for n in range(len(BARRIERS)))
    while kills < -(-KILLS // 3):
        config, targets = cold(rounds)
        rounds += 1
        watch = Watch(targets)
        kills += kill_until_done(config, source, targets, layers, moments)
        watch.end()
        looks += watch.looks
        for each in targets:
            assert each.tags() == {tag: image.digest for tag, image in content.items()}
        report = dray.sync(config).expect(0).report
        assert report["images"]["unchanged"] == len(content) and report["blobs"]["downloaded"] == 0
        for each in targets:
            each.check_deep(config.parent)
    assert looks > kills / 4, "the watcher has hardly looked"
    print(f"{kinds}: {kills} kills in {rounds} rounds, {looks} looks; at {dict(moments.at_calls)}")
