"""
Runs that meet: on one state, in one layout, at one registry.

covers: T-79
"""
import os
import signal
import time

import pytest

from support import dray, images, scripted

MIB = 1 << 20


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo, MIB)])


@pytest.fixture
def origin():
    with scripted.Registry() as server:
        yield server


@pytest.fixture
def goal():
    with scripted.Registry() as server:
        yield server


def configure(directory, origin, repo, *targets, tags="*"):
    return dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {origin.address}/{repo}
    tags: {{allow: ["{tags}"]}}
    targets: [{', '.join(f"'{target}'" for target in targets)}]
""")


def begin(config, *options):
    return dray.start("sync", config, "--json", *options, cwd=config.parent)


def wait_for(ready):
    deadline = time.monotonic() + 30 * dray.SLOWER
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def at_work(origin, image, config):
    """A run whose layer does not end; it holds its state."""
    digest = image.layers[0].digest
    origin.on("GET blob", scripted.stall(0.5), digest=digest, times=1)
    process = begin(config)
    wait_for(lambda: origin.of("GET blob", digest=digest))
    return process


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    return dray.finish(process)


def test_second_run_is_told_within_a_second_who_holds_the_state(origin, goal, image, repo, tmp_path):
    origin.push(repo, "1", image)
    config = configure(tmp_path, origin, repo, f"{goal.address}/{repo}")
    first = at_work(origin, image, config)
    asked, took = len(origin.requests), []
    for _ in range(3):
        began = time.monotonic()
        dray.sync(config).expect(7).says(str(first.pid))
        took.append(time.monotonic() - began)
    assert min(took) < dray.SLOWER, took
    assert len(origin.requests) == asked, "nothing is contacted"
    kill(first)
    dray.sync(config).expect(0)
    assert goal.holds(repo, image) and goal.tags(repo) == {"1": image.digest}


def test_of_many_starts_at_once_one_works(origin, goal, image, repo, tmp_path):
    """And when that one is dead, one of the next works at once, without a hand at any file."""
    origin.push(repo, "1", image)
    config = configure(tmp_path, origin, repo, f"{goal.address}/{repo}")
    for _ in range(2):
        origin.on("GET blob", scripted.stall(0.5), digest=image.layers[0].digest, times=1)
        processes = [begin(config) for _ in range(16)]
        wait_for(lambda: sum(process.poll() is None for process in processes) == 1)
        worker = next(process for process in processes if process.poll() is None)
        for process in processes:
            if process is not worker:
                dray.finish(process).expect(7).says("held by", f"pid {worker.pid}")
        kill(worker)
    dray.sync(config).expect(0)
    assert goal.holds(repo, image)


def gallery(origin, repo, count):
    """Images that share a layer, so that whoever copies one of them meets who copies another."""
    made = {f"v{n}": images.Image([images.Layer(f"{repo} base", MIB), images.Layer(f"{repo} {n}", 100_000)], label=f"{n}")
            for n in range(count)}
    for tag, image in made.items():
        origin.push(repo, tag, image)
    return made


# covers: LAY-2, T-60
@pytest.mark.parametrize("stir", [0, 2], ids=["all end well", "some die"])
def test_runs_into_one_layout_lose_nothing_of_each_other(stir, origin, repo, tmp_path):
    """`stir`: how many of them are killed on the way; they are started again."""
    made, layout = gallery(origin, repo, 6), tmp_path / "layout"
    configs = {tag: configure(tmp_path / tag, origin, repo, f"oci:{layout}", tags=tag) for tag in made}
    processes = [begin(config) for config in configs.values()]
    for number, process in enumerate(processes[:stir]):
        wait_for(lambda: process.poll() is not None or len(list(layout.glob("blobs/sha256/*"))) > number)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
    for process in processes[stir:]:
        dray.finish(process).expect(0)
    for process, config in list(zip(processes, configs.values()))[:stir]:
        dray.finish(process).expect(0, -signal.SIGKILL)
        dray.sync(config).expect(0)
    images.check_layout(layout)
    assert {name.rpartition(":")[2]: entry["digest"] for name, entry in images.read_layout(layout).items()} == {
        tag: image.digest for tag, image in made.items()}
    for image in made.values():
        for digest in images.all_blobs([image]):
            assert images.blob_path(layout, digest).exists()


# covers: T-58
def test_names_that_another_program_takes_away_are_put_again_and_counted(origin, repo, tmp_path):
    """One that takes no lock, and writes back what it read before."""
    one, two = (images.Image([images.Layer(f"{repo} {tag}")]) for tag in "12")
    origin.push(repo, "1", one)
    origin.push(repo, "2", two)
    body, layout = scripted.hold(), tmp_path / "layout"
    origin.on("GET blob", body, digest=two.layers[0].digest, times=1)
    config = configure(tmp_path, origin, repo, f"oci:{layout}")
    process = begin(config)
    wait_for(lambda: body.reached.is_set() and (layout / "index.json").exists() and len(images.read_layout(layout)) == 1)
    (layout / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    body.release()
    dray.finish(process).expect(0).says("took 1 names of this run out of index.json")
    assert len(images.read_layout(layout)) == 2
    images.check_layout(layout)


def test_runs_to_one_repository_end_alike(origin, goal, repo, tmp_path):
    made = gallery(origin, repo, 4)
    configs = [configure(tmp_path / f"{n}", origin, repo, f"{goal.address}/{repo}") for n in range(4)]
    for process in [begin(config) for config in configs]:
        dray.finish(process).expect(0)
    assert goal.tags(repo) == {tag: image.digest for tag, image in made.items()}
    assert all(goal.holds(repo, image) for image in made.values())
    assert dray.sync(configs[0]).expect(0).report["images"]["unchanged"] == len(made)
