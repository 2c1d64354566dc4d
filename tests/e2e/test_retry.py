"""dray retry: what failed in a run, and nothing else."""
import json

import pytest

from support import dray, faulty, images


class Scene:
    """Repositories with tags behind a source that refuses what `broken` is in the path of, and a proxy of the target likewise."""

    def __init__(self, source, target, repo, directory):
        self.source, self.target, self.repo, self.directory = source, target, repo, directory
        self.broken, self.refused = None, None
        self.proxy = faulty.Faulty(source.address, lambda method, path: 403 if self.broken and self.broken in path else None)
        self.second = faulty.Faulty(target.address, lambda method, path: (
            401 if self.refused and self.refused in path else None))
        self.made = {}
        for name in "ab":
            for tag in "123":
                self.made[name, tag] = images.Image([images.Layer(f"{repo} {name}{tag}")])
                images.push(source, f"{repo}/{name}", tag, self.made[name, tag])

    def configure(self, *entries):
        self.config = dray.write_config(self.directory / "c.yaml", "repos:\n" + "".join(f"  - {e}\n" for e in entries))

    def entry(self, name, more="", target=None):
        return (f"{{source: '{self.proxy.address}/{self.repo}/{name}', {more}"
                f"targets: ['{target or self.target.address + '/' + self.repo + '/' + name}']}}")

    def retry(self, *arguments):
        return dray.run("retry", "--config", self.config, "--json", *arguments, cwd=self.directory)

    def asked(self, proxy):
        """Since the last time: (method, path)."""
        requests, proxy.requests = proxy.requests, []
        return requests

    def stop(self):
        self.proxy.stop()
        self.second.stop()


@pytest.fixture
def scene(source, target, repo, tmp_path):
    made = Scene(source, target, repo, tmp_path)
    yield made
    made.stop()


def test_only_what_failed_is_tried_again(scene):
    scene.configure(scene.entry("a"), scene.entry("b"))
    scene.broken = scene.made["a", "2"].layers[0].digest
    dray.sync(scene.config).expect(1)
    scene.asked(scene.proxy)
    scene.retry().expect(3, 5)
    scene.broken = None
    scene.asked(scene.proxy)
    report = scene.retry().expect(0).report
    assert report["images"] == {**report["images"], "total": 1, "copied": 1, "failed": 0}
    named = [path for _, path in scene.asked(scene.proxy) if "/manifests/" in path or "/blobs/" in path]
    own = {scene.made["a", "2"].digest, *(b.digest for b in scene.made["a", "2"].blobs), "2"}
    assert named and all(path.startswith(f"/v2/{scene.repo}/a/") and path.rpartition("/")[2] in own for path in named)
    assert scene.target.tags(f"{scene.repo}/a")["2"] == scene.made["a", "2"].digest


def test_nothing_failed_is_said_and_is_no_run(scene):
    scene.configure(scene.entry("a"))
    dray.sync(scene.config).expect(0)
    scene.asked(scene.proxy)
    scene.retry().expect(0).says("run 1: nothing failed").report
    dray.run("retry", "--config", scene.config, cwd=scene.directory).expect(0).says("run 1: nothing failed")
    assert dray.run("retry", "--config", scene.config, "-q", cwd=scene.directory).expect(0).stdout == ""
    assert not scene.asked(scene.proxy)
    dray.run("status", "--config", scene.config, cwd=scene.directory).says("run 1:")


def test_a_target_where_it_had_not_failed_is_left_alone(scene):
    first = faulty.Faulty(scene.target.address)
    there, here = f"{first.address}/{scene.repo}/first", f"{scene.second.address}/{scene.repo}/second"
    scene.configure(f"{{source: '{scene.proxy.address}/{scene.repo}/a', targets: ['{there}', '{here}']}}")
    scene.refused = "/second/manifests/3"
    failure, = dray.sync(scene.config).expect(1).report["failures"]
    assert failure["target"] == f"{here}:3"
    scene.refused = None
    scene.asked(first)
    report = scene.retry().expect(0).report
    assert report["images"]["total"] == report["images"]["copied"] == 1
    assert not scene.asked(first)
    assert set(scene.target.tags(f"{scene.repo}/second")) == {"1", "2", "3"}
    first.stop()


def test_what_could_not_be_listed_is_taken_whole(scene):
    scene.configure(scene.entry("a"), scene.entry("b"))
    scene.broken = "/a/tags/list"
    dray.sync(scene.config).expect(1)
    scene.broken = None
    scene.asked(scene.proxy)
    report = scene.retry().expect(0).report
    assert report["images"]["total"] == report["images"]["copied"] == 3
    assert not [path for _, path in scene.asked(scene.proxy) if f"{scene.repo}/b/" in path]


def test_an_older_run_can_be_named(scene):
    scene.configure(scene.entry("a"))
    scene.broken = scene.made["a", "1"].layers[0].digest
    dray.sync(scene.config).expect(1)
    scene.broken = None
    scene.configure(scene.entry("b"))
    dray.sync(scene.config).expect(0)
    scene.configure(scene.entry("a"), scene.entry("b"))
    scene.retry().expect(0).says("run 2: nothing failed")
    assert scene.retry("1").expect(0).report["images"]["copied"] == 1
    for run, why in (("9", "there is no run 9"), ("x", "is no number of a run"), ("0", "is no number of a run")):
        scene.retry(run).expect(2).says(why)


def test_what_the_configuration_selects_no_more_is_not_tried_and_told(scene):
    scene.configure(scene.entry("a"), scene.entry("b"))
    scene.broken = scene.made["a", "2"].layers[0].digest
    dray.sync(scene.config).expect(1)
    scene.broken = None
    scene.configure(scene.entry("a", "tags: {deny: ['2']}, "), scene.entry("b"))
    result = scene.retry().expect(0).says(f"{scene.repo}/a:2", "had failed, and is not tried")
    assert result.report["images"]["total"] == 0 and "2" not in scene.target.tags(f"{scene.repo}/a")


def test_a_pattern_and_its_settings(scene):
    index = images.multi_platform(scene.repo)
    images.push(scene.source, f"{scene.repo}/below/c", "multi", index)
    images.push(scene.source, f"{scene.repo}/below/d", "1", scene.made["a", "1"])
    scene.configure(f"{{source: '{scene.proxy.address}/{scene.repo}/below/*', platforms: [linux/arm64], "
                    f"target: '{scene.target.address}/{scene.repo}/to/{{repository}}'}}")
    scene.broken = index.children[1].digest
    dray.sync(scene.config).expect(1)
    scene.broken = None
    scene.asked(scene.proxy)
    report = scene.retry().expect(0).report
    assert report["images"]["copied"] == report["images"]["rewritten"] == report["images"]["total"] == 1
    assert not [path for _, path in scene.asked(scene.proxy) if "/below/d/" in path]


def test_what_is_told_of_it_tells_its_cost_and_the_attempts(scene):
    scene.configure(scene.entry("a"))
    image = scene.made["a", "2"]
    scene.broken = image.layers[0].digest
    dray.sync(scene.config).expect(1)
    scene.retry().expect(3, 5)
    scene.broken = None
    scene.retry().expect(0)
    name = f"{scene.target.address}/{scene.repo}/a:2"
    told = json.loads(dray.run("explain", "--json", "--config", scene.config, name, cwd=scene.directory).expect(0).stdout)
    assert [(job["run"], job["outcome"], job["attempts"]) for job in told["jobs"]] == [
        (3, "copied", 3), (2, "failed", 2), (1, "failed", 1)]
    assert told["jobs"][0]["uploaded_bytes"] + told["jobs"][1]["uploaded_bytes"] + told["jobs"][2]["uploaded_bytes"] == sum(
        len(blob.data) for blob in image.blobs)
    assert told["holds"][0]["digest"] == image.digest and told["holds"][0]["target"] == name
    dray.run("explain", "--config", scene.config, name, cwd=scene.directory).expect(0).says(
        "sent, attempt 3 in a row", "run 1, ")
