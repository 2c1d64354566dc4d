"""A target's tag that somebody else has moved since dray wrote it: `on-conflict` says whose it is.

covers: T-82
"""
import pytest

from support import dray, images, scripted


@pytest.fixture
def origin():
    with scripted.Registry() as server:
        yield server


@pytest.fixture
def goal():
    with scripted.Registry() as server:
        yield server


@pytest.fixture
def generations(repo):
    """An index each, so that `platforms` has something to cut."""
    return {name: images.Index([images.Image([images.Layer(f"{repo} {name} {a}", 2000)], a, label=name) for a in ("amd64", "arm64")])
            for name in ("first", "second", "third", "fix")}


class Mirror:
    def __init__(self, origin, goal, repo, directory, policy, more=""):
        self.origin, self.goal, self.repo = origin, goal, repo
        self.policy = f"on-conflict: {policy}" if policy else ""
        self.config = dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {origin.address}/{repo}
    targets: [{goal.address}/{repo}]
    {more}
    {self.policy}
""")

    def source_is(self, image):
        self.origin.push(self.repo, "1", image)

    def somebody_writes(self, image):
        self.goal.push(self.repo, "1", image)

    def tag(self):
        return self.goal.tags(self.repo)["1"]

    def run(self, *options):
        return dray.sync(self.config, *options)


def expect(result, policy):
    """What a run says that met a conflict."""
    report = result.expect(5 if policy == "fail" else 0).report
    counts = report["images"]
    assert (counts["copied"], counts["kept"], counts["failed"]) == {
        "fail": (0, 0, 1), "keep": (0, 1, 0), "overwrite": (1, 0, 0), None: (1, 0, 0)}[policy]
    if policy == "fail":
        assert [failure["kind"] for failure in report["failures"]] == ["conflict"]
        assert "somebody else" in report["failures"][0]["message"]
    if policy == "keep":
        result.says("kept: somebody else moved it to")


@pytest.mark.parametrize("platforms", ["", "platforms: [linux/amd64]"], ids=["whole", "cut"])
@pytest.mark.parametrize("policy", [None, "overwrite", "keep", "fail"])
def test_what_somebody_put_in_place_of_ours(policy, platforms, origin, goal, generations, repo, tmp_path):
    mirror = Mirror(origin, goal, repo, tmp_path, policy, platforms)
    mirror.source_is(generations["first"])
    mirror.run().expect(0)
    for source in ("first", "second", "second"):
        mirror.source_is(generations[source])
        mirror.somebody_writes(generations["fix"])
        asked = len(goal.requests)
        expect(mirror.run(), policy)
        if policy in ("keep", "fail"):
            assert mirror.tag() == generations["fix"].digest
            assert {request.method for request in goal.requests[asked:]} <= {"GET", "HEAD"}
        else:
            assert mirror.tag() != generations["fix"].digest


@pytest.mark.parametrize("policy", ["keep", "fail"])
def test_what_is_no_conflict(policy, origin, goal, generations, repo, tmp_path):
    """What was there before the first run; what is ours; what is the source's, whoever wrote it."""
    mirror = Mirror(origin, goal, repo, tmp_path, policy)
    mirror.somebody_writes(generations["fix"])
    for image in ("first", "second"):
        mirror.source_is(generations[image])
        mirror.run().expect(0)
        assert mirror.tag() == generations[image].digest
    mirror.source_is(generations["third"])
    mirror.somebody_writes(generations["third"])
    assert mirror.run().expect(0).report["images"]["unchanged"] == 1
    # It was right, so it is as good as ours.
    mirror.source_is(generations["first"])
    assert mirror.run().expect(0).report["images"]["copied"] == 1
    assert mirror.tag() == generations["first"].digest and goal.holds(repo, generations["first"])


@pytest.mark.parametrize("policy", ["keep", "fail"])
def test_one_that_was_found_right_and_then_moved_is_a_conflict(policy, origin, goal, generations, repo, tmp_path):
    mirror = Mirror(origin, goal, repo, tmp_path, policy)
    mirror.source_is(generations["first"])
    mirror.somebody_writes(generations["first"])
    assert mirror.run().expect(0).report["images"]["unchanged"] == 1
    mirror.somebody_writes(generations["fix"])
    expect(mirror.run("--dry-run"), policy)
    expect(mirror.run(), policy)
    assert mirror.tag() == generations["fix"].digest


class Before(scripted.Action):
    """Does something once, before a request is answered."""

    def __init__(self, what):
        self.what = what

    async def before(self, request, stream):
        what, self.what = self.what, lambda: None
        what()


def test_between_our_look_and_our_writing_it_is_ours(origin, goal, generations, repo, tmp_path):
    """Registries have no "if it is still so": this much is told to the operator, and either image is whole."""
    mirror = Mirror(origin, goal, repo, tmp_path, "fail")
    mirror.source_is(generations["first"])
    mirror.run().expect(0)
    mirror.source_is(generations["second"])
    goal.on("PUT manifest", Before(lambda: mirror.somebody_writes(generations["fix"])))
    mirror.run().expect(0)
    assert mirror.tag() == generations["second"].digest and goal.holds(repo, generations["second"])
    mirror.somebody_writes(generations["fix"])
    expect(mirror.run(), "fail")
    goal.store.repositories[repo].tags.pop("1")
    assert mirror.run().expect(0).report["images"]["copied"] == 1, "who deletes the tag lets the source win"
    assert mirror.tag() == generations["second"].digest


def test_one_target_in_conflict_stops_no_other(origin, goal, generations, repo, tmp_path):
    """And in a layout it is the same."""
    config = dray.write_config(tmp_path / "c.yaml", f"""\
defaults: {{on-conflict: keep}}
repos: [{{source: {origin.address}/{repo}, targets: [{goal.address}/{repo}, 'oci:{tmp_path}/layout']}}]
""")
    origin.push(repo, "1", generations["first"])
    dray.sync(config).expect(0)
    other = tmp_path / "other"
    other.mkdir()
    origin.push(repo, "1", generations["fix"])
    dray.run("copy", f"{origin.address}/{repo}:1", f"oci:{tmp_path}/layout:{origin.address}/{repo}:1", cwd=other).expect(0)
    origin.push(repo, "1", generations["second"])
    result = dray.sync(config).expect(0).says("kept: somebody else")
    assert result.report["images"]["copied"] == 1 and result.report["images"]["kept"] == 0
    assert goal.tags(repo) == {"1": generations["second"].digest}
    assert [entry["digest"] for entry in images.read_layout(tmp_path / "layout").values()] == [generations["fix"].digest]
