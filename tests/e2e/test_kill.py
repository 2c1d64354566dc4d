"""kill -9 at any moment: what was finished stays, no tag and no index.json names what is not there, and the next run goes on.

KILLS=n in the environment kills so many times (60); SEED=n makes other moments of it.
"""
import json
import os
import random
import shutil
import signal
import sqlite3
import threading
import time

import pytest

from support import dray, images, readers

KILLS, SEED = int(os.environ.get("KILLS", 60)), os.environ.get("SEED", "1")


def corpus(repo):
    """{tag: image}: what they share is large beside what is their own."""
    base, runtime = images.Layer(f"{repo} base", 1 << 20), images.Layer(f"{repo} runtime", 1 << 18, "zstd")
    tags = {f"1.{n}": images.Image([base, runtime, images.Layer(f"{repo} {n}", 1 << 16)], label=f"{n}") for n in range(6)}
    return {**tags, "multi": images.multi_platform(repo)}


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


def kill_until_done(config, source, targets, layers, moments, longest):
    """Runs that are killed, until one comes to its end before it is; how many were. Configs are read anew by each run that
    compares diff_ids with them; of what is large, nothing that was finished is."""
    kills = 0
    while True:
        before, log = [target.finished() for target in targets], source.log()
        run = dray.start("sync", config, "--quiet", cwd=config.parent)
        time.sleep(moments.uniform(0, longest * 1.1))
        run.send_signal(signal.SIGKILL)
        _, stderr = run.communicate()
        if config.with_suffix(".db").exists():
            check_state(config.with_suffix(".db"))
        if len(targets) == 1:
            again = set(source.log().since(log).blob_downloads()) & before[0] & layers
            assert not again, f"fetched again, though it was there: {again}"
        if run.returncode == 0:
            return kills
        assert run.returncode == -signal.SIGKILL, stderr.decode()
        kills += 1
        for target in targets:
            target.check()


@pytest.mark.parametrize("kinds", ["registry", "layout", "both"])
def test_kills_lose_nothing_that_was_finished(source, target, repo, tmp_path, kinds):
    content = corpus(repo)
    pusher = images.Pusher(source)
    for tag, image in content.items():
        pusher.push(repo, tag, image)
    layers = {layer.digest for image in content.values() for part in images.tree(image) for layer in part.blobs[1:]}
    moments = random.Random(f"{SEED} {kinds}")
    kills, rounds, looks, longest = 0, 0, 0, 0
    while kills < KILLS // 3:
        directory = tmp_path / f"{rounds}"
        targets = [RegistryTarget(target, f"{repo}/{rounds}")] if kinds != "layout" else []
        targets += [LayoutTarget(directory / "layout")] if kinds != "registry" else []
        config = write_config(directory, source, repo, targets)
        rounds += 1
        if not longest:
            begin = time.monotonic()
            dray.run("sync", config, "--quiet", cwd=directory).expect(0)
            longest = time.monotonic() - begin
            continue
        watch = Watch(targets)
        kills += kill_until_done(config, source, targets, layers, moments, longest)
        watch.end()
        looks += watch.looks
        for each in targets:
            each.check()
            assert each.tags() == {tag: image.digest for tag, image in content.items()}
        report = dray.sync(config).expect(0).report
        assert report["images"]["unchanged"] == len(content) and report["blobs"]["downloaded"] == 0
        if kinds != "registry":
            readers.skopeo("copy", "--all", f"oci:{directory}/layout:multi", f"oci:{directory}/read:x", home=tmp_path)
        shutil.rmtree(directory)
    assert looks > kills / 4, "the watcher has hardly looked"
    print(f"{kinds}: {kills} kills in {rounds} rounds, {looks} looks, {longest:.2f} s a run")
