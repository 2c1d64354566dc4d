"""Stopped by a signal: nothing more begins, what runs may end within the grace, and what is done stays done.

covers: T-68
"""
import signal
import threading
import time

import pytest

from support import dray, faulty, images
from support.processes import wait_for

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name)


class Scene:
    """Two images at a source that holds the large layer of the first; one image at a time."""

    def __init__(self, source, target, repo, directory):
        self.target, self.repo, self.directory = target, repo, directory
        self.hold = faulty.Hold()
        self.large = images.Layer(f"{repo} large", 3 << 20)
        self.first, self.second = images.Image([self.large]), images.Image([images.Layer(f"{repo} 2")], label="second")
        images.push(source, repo, "1", self.first)
        images.push(source, repo, "2", self.second)
        self.proxy = faulty.Faulty(source.address, self._rule)
        self.config = dray.write_config(directory / "c.yaml", f"""\
limits: {{images-in-flight: 1}}
repos:
  - source: {self.proxy.address}/{repo}
    target: {target.address}/{repo}
""")

    def _rule(self, method, path):
        return self.hold if method == "GET" and path.endswith(self.large.digest) else None

    def start(self, *arguments, **more):
        with open(self.directory / "log", "wb") as log:
            process = dray.start("sync", self.config, "--json", *arguments, cwd=self.directory, stderr=log, **more)
        assert self.hold.reached.wait(60)
        return process

    def heard(self, process, number):
        process.send_signal(number)
        wait_for(lambda: f"stopped by signal {int(number)}" in (self.directory / "log").read_text(), "it to be heard")

    def asked_for(self, image):
        return [path for method, path in self.proxy.requests if method == "GET" and path.endswith(image.digest)]


@pytest.fixture
def scene(source, target, repo, tmp_path):
    made = Scene(source, target, repo, tmp_path)
    yield made
    made.hold.release.set()
    made.proxy.stop()


@SIGNALS
def test_what_is_nearly_done_is_finished_and_nothing_else_begun(number, scene):
    process = scene.start()
    scene.heard(process, number)
    scene.hold.release.set()
    report = dray.finish(process).expect(128 + number).report
    assert report["stopped_by"] == number and report["exit_code"] == 128 + number
    assert report["images"]["copied"] == 1 and report["images"]["failed"] == 0
    assert scene.target.tags(scene.repo) == {"1": scene.first.digest}
    assert not scene.asked_for(scene.second)
    assert "run it again for the rest" in (scene.directory / "log").read_text()
    report = dray.sync(scene.config).expect(0).report
    assert report["images"]["unchanged"] == 1 and report["images"]["copied"] == 1


@SIGNALS
def test_what_is_not_done_within_the_grace_is_cut(number, scene):
    process = scene.start("--grace", "1s")
    begin = time.monotonic()
    scene.heard(process, number)
    report = dray.finish(process, 20).expect(128 + number).report
    assert 0.5 < time.monotonic() - begin < 1 + 2 * dray.SLOWER
    assert report["images"]["stopped"] == 1 and report["images"]["copied"] == 0
    assert not scene.target.manifests(scene.repo)
    told = dray.run("status", "--config", scene.config, cwd=scene.directory).expect(0)
    told.says(f"exit {128 + number}")
    scene.hold.release.set()
    assert dray.sync(scene.config).expect(0).report["images"]["copied"] == 2


def test_a_stop_when_the_last_is_under_way_leaves_no_rest(scene):
    with open(scene.directory / "log", "wb") as log:
        process = dray.start("copy", f"{scene.proxy.address}/{scene.repo}:1", f"{scene.target.address}/{scene.repo}:1",
                             cwd=scene.directory, stderr=log)
    assert scene.hold.reached.wait(60)
    scene.heard(process, signal.SIGTERM)
    scene.hold.release.set()
    result = dray.finish(process).expect(143).says("stopped by signal 15, when all was done")
    assert "run it again" not in result.stdout
    assert scene.target.tags(scene.repo) == {"1": scene.first.digest}


def test_a_second_signal_does_not_wait_for_the_grace(scene):
    process = scene.start("--grace", "1h")
    scene.heard(process, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    dray.finish(process, 5).expect(143)
    assert not scene.target.manifests(scene.repo)


def test_what_was_started_by_nohup_goes_on(scene):
    process = scene.start(prefix=["nohup"])
    process.send_signal(signal.SIGHUP)
    scene.hold.release.set()
    dray.finish(process).expect(0)
    assert len(scene.target.tags(scene.repo)) == 2


def test_a_stop_before_each_request_leaves_tags_whole(source, target, repo, tmp_path):
    """The signal comes with the k-th request, for every k until a run comes to its end."""
    image = images.multi_platform(repo, ("amd64", "arm64"))
    images.push(source, repo, "1", image)
    moment, process, seen = 0, None, 0
    started = threading.Event()

    def rule(method, path):
        nonlocal seen
        started.wait(60)
        seen += 1
        if seen == moment:
            process.send_signal(signal.SIGTERM)

    proxy = faulty.Faulty(source.address, rule)
    stops = 0
    while True:
        moment, seen = moment + 1, 0
        started.clear()
        place = f"{repo}/{moment}"
        process = dray.start("copy", f"{proxy.address}/{repo}:1", f"{target.address}/{place}:1", "--grace", "0s",
                             "--json", cwd=tmp_path)
        started.set()
        begin = time.monotonic()
        result = dray.finish(process, 12).expect(0, 143)
        assert time.monotonic() - begin < 12
        whole = {part.digest for part in images.tree(image)}
        assert target.tags(place) in ({}, {"1": image.digest})
        if target.tags(place):
            assert target.manifests(place) == whole
        if result.code == 0 and seen < moment:
            break
        stops += result.code == 143
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{place}:1", cwd=tmp_path).expect(0)
        assert target.tags(place) == {"1": image.digest} and target.manifests(place) == whole
    proxy.stop()
    assert stops >= 8, "it was hardly stopped"


@pytest.mark.parametrize("grace", ["10", "-1s", "soon", ""])
def test_a_grace_that_is_none_is_refused(grace, tmp_path):
    dray.run("copy", "a:1", "b.test/b:1", f"--grace={grace}", cwd=tmp_path).expect(2).says("--grace", "is not a duration")
