"""One call of a run fails: the exit code tells the right class, nothing that is there is wrong, and the next run does what is left.

SAMPLES=n in the environment makes n faults of each kind of mirror and set of calls, SAMPLES=all every one; SEED=n takes others.
"""
import concurrent.futures
import os
import pathlib
import random
import sqlite3
import tempfile

from . import dray, images, registry, strike

SAMPLES, SEED = os.environ.get("SAMPLES"), os.environ.get("SEED", "1")
WORKERS = 3

LOCAL = {0, 6}

# What is mirrored to; `later` has done a run before, and finds a tag that moved and a new one.
KINDS = {"layout": ("layout",), "registry": ("registry",), "later": ("registry", "layout")}


class Place:
    """A source, a target and a directory in memory, since what is synced need not be on a disk here."""

    def __init__(self):
        self._kept = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.directory = pathlib.Path(self._kept.name)
        self.source, self.target = (registry.plain(self.directory / name) for name in ("source", "target"))

    def end(self):
        self.source.stop()
        self.target.stop()
        self._kept.cleanup()


class Mirror:
    """Two small images, mirrored to a target of its own for each fault."""

    def __init__(self, place, kind):
        self.source, self.target, self.directory, self.kind = place.source, place.target, place.directory / kind, kind
        shared = images.Layer(f"{kind} shared", 3000)
        self.content, self.before = {}, {}
        for tag in ("a", "b"):
            self.content[tag] = images.Image([shared, images.Layer(f"{kind} {tag}", 1000)], label=tag)
            images.push(self.source, kind, tag, self.content[tag])
        if kind == "later":
            self.before["a"] = images.Image([shared], label="before")
            images.push(self.source, "before", "a", self.before["a"])

    def config(self, name, repository):
        """The file of the fault `name`, for a run that mirrors `repository`."""
        places = {"layout": f"oci:{self.directory}/{name}/layout", "registry": f"{self.target.address}/{self.kind}/{name}"}
        return dray.write_config(self.directory / name / "c.yaml", f"""\
repos:
  - source: {self.source.address}/{repository}
{"    names: tag" if "layout" in KINDS[self.kind] else ""}
    targets: [{", ".join(places[place] for place in KINDS[self.kind])}]
""")

    def prepare(self, name):
        if self.before:
            self.run(self.config(name, "before")).expect(0)
        return self.config(name, self.kind)

    def run(self, config, environment=None):
        return dray.run("sync", config, "--quiet", cwd=config.parent, env=environment, seconds=90)

    def check(self, name, whole):
        """What a tag names is there as a whole; and all tags, where the run was a success."""
        for place in KINDS[self.kind]:
            tags = self.in_registry(name) if place == "registry" else self.in_layout(name)
            for tag, digest in tags.items():
                assert digest in [known[tag].digest for known in (self.content, self.before) if tag in known]
            assert not whole or tags == {tag: image.digest for tag, image in self.content.items()}
        if whole:
            assert not list((self.directory / name).glob("layout/ingest/*"))

    def in_registry(self, name):
        tags = {tag: digest for tag, digest in self.target.tags(f"{self.kind}/{name}").items() if digest}
        blobs = {f"sha256:{link.parent.name}" for link in self.target.root.glob(
            f"docker/registry/v2/repositories/{self.kind}/{name}/_layers/sha256/*/link")}
        for image in (*self.content.values(), *self.before.values()):
            assert image.digest not in tags.values() or {blob.digest for blob in image.blobs} <= blobs
        return tags

    def in_layout(self, name):
        layout = self.directory / name / "layout"
        if not (layout / "index.json").exists():
            return {}
        images.check_layout(layout)
        return {tag: entry["digest"] for tag, entry in images.read_layout(layout).items()}

    def count(self, calls):
        config = self.prepare(f"count-{calls}")
        report = config.parent / "struck"
        self.run(config, strike.environment(calls, 1, "count", report)).expect(0)
        return strike.count(report)

    def fault(self, calls, number, action, allowed):
        """(what was struck, exit code) of one fault, after everything that must hold did."""
        name = f"{calls}-{number}-{action}"
        config = self.prepare(name)
        report = config.parent / "struck"
        result = self.run(config, strike.environment(calls, number, action, report))
        struck = strike.what_struck(report)
        where = f"{struck} at {name}"
        assert result.code in (allowed(struck[0]) if struck else {0}), f"{where}: {result}"
        assert result.code == 0 or result.stderr, f"{where}: nothing is said; {result}"
        try:
            self.check(name, whole=result.code == 0)
            state = config.with_suffix(".db")
            if state.exists() and state.stat().st_size:
                with sqlite3.connect(state) as database:
                    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            if result.code != 0:
                self.run(config).expect(0)
                self.check(name, whole=True)
            assert not list(config.parent.glob("*.corrupt-*"))
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}; {result}") from error
        return struck, result.code


def choose(count, actions, most, seed):
    """[(k, action)]: every call once before any comes again with another action; a sample of those that do not all fit."""
    chosen = random.Random(seed)
    actions, numbers, faults = chosen.sample(actions, len(actions)), range(1, count + 4), []
    for shift in range(len(actions)):
        again = [(k, actions[(k + shift) % len(actions)]) for k in numbers]
        faults += again if len(faults) + len(again) <= most else sorted(chosen.sample(again, most - len(faults)))
    return faults


def steps(place, kind, calls, actions, allowed, most=None):
    """So many faults at the calls of one mirror's run; without `most`, one at each call."""
    mirror = Mirror(place, kind)
    count = mirror.count(calls)
    most = count * len(actions) * 2 if SAMPLES == "all" else int(SAMPLES or 0) or most or count + 3
    faults = choose(count, actions, most, f"{SEED} {kind} {calls}")
    outcomes = {}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        runs = [workers.submit(mirror.fault, calls, *step, allowed) for step in faults]
    for struck, code in [run.result() for run in runs if not run.exception()]:
        key = f"{struck[0] if struck else 'none'} {code}"
        outcomes[key] = outcomes.get(key, 0) + 1
    wrong = [str(run.exception()) for run in runs if run.exception()]
    assert not wrong, f"{len(wrong)} of {len(faults)}:\n" + "\n".join(wrong[:40])
    print(f"{kind} {calls}: {len(faults)} faults at {count} calls: {dict(sorted(outcomes.items()))}")
