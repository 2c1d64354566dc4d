"""The power goes at any moment: what a layout names is whole, the state opens, and the next run does the rest.

dray runs once, with everything that it writes written down (record.c); from that are made the states in which a disk may
be found (support/disk.py). All of them are looked at here; those whose files differ in more than their bytes, and some
others, are given to dray. STATES=n in the environment makes so many (2,000); SEED=n makes others.
covers: T-59, T-63, T-66
"""
import functools
import json
import os
import random
import re
import sqlite3
import tempfile

import pytest

from support import disk, dray, images

STATES, SEED = int(os.environ.get("STATES", 2000)), os.environ.get("SEED", "1")
RECORDER = os.environ.get("RECORDER", "")
RUNS = STATES // 50


def content(generation):
    """Three tags; from the first generation to the second, one moves and one is new."""
    shared = images.Layer("power shared", 3000)

    def image(label):
        return images.Image([shared, images.Layer(f"power {label}", 1500)], label=label)
    first = {"kept": image("kept"), "moved": image("old"), "multi": images.multi_platform("power", ("amd64", "arm64"), False)}
    return first if generation == 1 else {**first, "moved": image("new"), "new": image("another")}


class Place:
    """Where dray writes: a layout and a state in a directory of their own, which the power is cut of."""

    def __init__(self, directory, source, repo):
        self.directory, self.root = directory, directory / "disk"
        self.root.mkdir()
        self.config = directory / "c.yaml"
        self.config.write_text(f"""\
version: 1
state: {self.root}/state/dray.db
repos:
  - {{source: {source.address}/{repo}, names: tag, targets: ["oci:{self.root}/layout"]}}
""")

    def run(self, **more):
        return dray.run("sync", self.config, "--quiet", cwd=self.directory, **more).expect(0)

    def recorded_run(self):
        """(the disk before it, the records of it)."""
        before, path = disk.Disk(self.root), self.directory / "records"
        self.run(env={"LD_PRELOAD": RECORDER, "RECORD": str(path), "RECORD_ROOT": str(self.root)})
        return before, list(disk.read_records(path))


@functools.lru_cache(maxsize=None)
def digest_of(data):
    return images.digest_of(data)


def tags_of(tree):
    """{tag: digest} of the layout in the tree, after everything that it names was found whole."""
    if "layout/index.json" not in tree:
        return {}
    index = json.loads(tree["layout/index.json"])
    todo = list(index["manifests"])
    if todo:
        assert json.loads(tree["layout/oci-layout"])["imageLayoutVersion"] == "1.0.0"
    while todo:
        entry = todo.pop()
        data = tree.get("layout/blobs/" + entry["digest"].replace(":", "/"))
        assert data is not None, f"{entry} is missing"
        assert digest_of(data) == entry["digest"], f"{entry} is something else"
        if entry["mediaType"] in (images.MANIFEST, images.INDEX):
            manifest = json.loads(data)
            todo += [*manifest.get("manifests", []), *manifest.get("layers", []), *filter(None, [manifest.get("config")])]
    return {entry["annotations"][images.REF_NAME]: entry["digest"] for entry in index["manifests"]}


def check_state(tree, directory):
    """SQLite takes back what was not committed, and finds nothing wrong with the rest."""
    if not tree.get("state/dray.db"):
        return
    with tempfile.TemporaryDirectory(dir=directory) as place:
        for name in ("dray.db", "dray.db-journal"):
            if f"state/{name}" in tree:
                with open(f"{place}/{name}", "wb") as file:
                    file.write(tree[f"state/{name}"])
        database = sqlite3.connect(f"{place}/dray.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


def shape_of(tree):
    """What is there, but for how it is called at random, and how large it is."""
    return frozenset((re.sub(r"dray-[^/]*|(?<=sha256/).*", "*", path), bool(data)) for path, data in tree.items())


def check_run(place, tree, expected):
    """dray goes on from there."""
    disk.write_tree(place.root, tree)
    result = place.run()
    assert "corrupt" not in result.stderr
    images.check_layout(place.root / "layout")
    found = {tag: entry["digest"] for tag, entry in images.read_layout(place.root / "layout").items()}
    assert found == expected, result
    assert not list((place.root / "layout").glob("ingest/*"))


def cuts(before, records, count, seed):
    """(where, state of the disk) of so many cuts, spread over all moments and ways."""
    chance = random.Random(seed)
    due = 0.5
    for number in range(len(records) + 1):
        if number > 0:
            before.apply(*records[number - 1])
        due += count / (len(records) + 1)
        while due >= 1:
            due -= 1
            way = chance.choice(disk.WAYS)
            yield f"seed {seed}, record {number} of {len(records)}, {way}", before.after_power_loss(way, chance), number


def test_the_lock_is_signed_on_the_disk_before_the_state_is_written(source, repo, tmp_path):
    """Whose the state is, and that it was not closed, must not be lost with what is written to it."""
    images.push(source, repo, "a", content(1)["kept"])
    place = Place(tmp_path, source, repo)
    for _ in range(2):
        records = [words for words, _ in place.recorded_run()[1]]
        inodes = {os.path.basename(words[1]): words[2] for words in records if words[0] == "create"}
        files = {inodes.get(name) or str((place.root / "state" / name).stat().st_ino): name
                 for name in ("dray.db", "dray.db-journal", "dray.db.lock")}
        happened = [(words[0], files[words[1]]) for words in records if words[0] in ("write", "sync") and words[1] in files]
        until_synced = happened[:happened.index(("sync", "dray.db.lock"))]
        assert ("write", "dray.db.lock") in until_synced
        assert {name for _, name in until_synced} == {"dray.db.lock"}


@pytest.mark.parametrize("generation", [1, 2])
def test_power_loss_leaves_old_or_new_and_whole(source, repo, tmp_path, generation):
    pusher = images.Pusher(source)
    place = Place(tmp_path, source, repo)
    old = {}
    for step in range(1, generation + 1):
        for tag, image in content(step).items():
            pusher.push(repo, tag, image)
        if step < generation:
            place.run()
            old = {tag: image.digest for tag, image in content(step).items()}
    new = {tag: image.digest for tag, image in content(generation).items()}
    before, records = place.recorded_run()
    states, runs, shapes = 0, 0, set()
    for where, tree, number in cuts(before, records, STATES // 2, f"{SEED} {generation}"):
        try:
            tags = tags_of(tree)
            for tag in {*old, *tags}:
                assert tags.get(tag) in (old.get(tag), new.get(tag)), f"{tag} is {tags.get(tag)}"
            assert number < len(records) or tags == new
            check_state(tree, tmp_path)
            states += 1
            shape = shape_of(tree)
            if shape not in shapes and runs < RUNS or states % 100 == 0:
                shapes.add(shape)
                runs += 1
                check_run(place, tree, new)
        except Exception as error:
            raise AssertionError(f"{where}: {error!r}") from error
    assert states >= STATES // 2 - 1
    print(f"generation {generation}: {len(records)} records, {states} states, {len(shapes)} shapes, {runs} runs")
