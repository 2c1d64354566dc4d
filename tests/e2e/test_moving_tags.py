"""Tags that move while they are copied, at the source and at the target, and back again.

covers: T-81, T-82, T-84
"""
import pytest

from support import dray, images, scripted


def generation(repo, name):
    """An index, so that there is much between its first request and its last."""
    return images.Index([images.Image([images.Layer(f"{repo} base"), images.Layer(f"{repo} {name} {a}", 2000)], a, label=name)
                         for a in ("amd64", "arm64")])


class At(scripted.Action):
    """Does something when the k-th request comes, before it is answered."""

    def __init__(self, moment, what):
        self.moment, self.what, self.seen = moment, what, 0

    async def before(self, request, stream):
        self.seen += 1
        if self.seen == self.moment:
            self.what()


@pytest.fixture
def generations(repo):
    return {name: generation(repo, name) for name in ("old", "first", "second")}


def copy(source, target, repo, directory):
    return dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", "--json", cwd=directory)


@pytest.mark.parametrize("kept", [True, False], ids=["what it was stays by digest", "what it was is gone"])
def test_a_source_tag_that_moves_arrives_as_one_whole_generation(kept, repo, generations, tmp_path):
    moment, arrived = 0, set()
    while True:
        moment += 1
        with scripted.Registry() as source, scripted.Registry() as target:
            def move():
                if not kept:
                    held = source.store.repositories[repo]
                    for part in images.tree(generations["first"]):
                        held.manifests.pop(part.digest)
                source.push(repo, "1", generations["second"])
            source.push(repo, "1", generations["first"])
            target.push(repo, "1", generations["old"])
            at = source.on("any", At(moment, move))
            result = copy(source, target, repo, tmp_path)
            now = next(name for name, image in generations.items() if image.digest == target.tags(repo)["1"])
            assert target.holds(repo, generations[now]), f"{now} is not whole; {result}"
            result.expect(0)
            arrived.add(now)
            if at.seen < moment:
                break
            copy(source, target, repo, tmp_path).expect(0)
            assert target.tags(repo) == {"1": generations["second"].digest} and target.holds(repo, generations["second"])
    assert moment > 8 and arrived == {"first", "second"}


class Gone(scripted.Action):
    """What the tag points to is gone when it is asked for by its digest; the tag points to the next generation, if any."""

    def __init__(self, source, repo, names):
        self.source, self.repo, self.names = source, repo, list(names)

    async def before(self, request, stream):
        held = self.source.store.repositories[self.repo]
        if request.reference == held.tags.get("1"):
            held.manifests.pop(held.tags.pop("1"))
            if self.names:
                self.source.push(self.repo, "1", generation(self.repo, self.names.pop(0)))


def test_a_source_tag_that_moves_twice_is_told_as_that_and_the_next_run_brings_it(repo, generations, tmp_path):
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", generations["first"])
        target.push(repo, "1", generations["old"])
        source.on("GET manifest", Gone(source, repo, ["second", "third"]))
        result = copy(source, target, repo, tmp_path).expect(4)
        failure, = result.report["failures"]
        assert failure["kind"] == "not_found" and "it moves while it is copied" in failure["message"]
        assert source.count("HEAD manifest") == 3, "to look it up, to follow it, and to see that it moved again"
        assert target.tags(repo) == {"1": generations["old"].digest}
        source.rules.clear()
        copy(source, target, repo, tmp_path).expect(0)
        assert target.tags(repo) == {"1": generation(repo, "third").digest}


@pytest.mark.parametrize("tag", ["1", "*"], ids=["named", "listed"])
def test_a_source_tag_that_goes_while_it_is_copied_is_gone(tag, repo, generations, tmp_path):
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", generations["first"])
        source.on("GET manifest", Gone(source, repo, []))
        result = dray.run("copy", "--json", f"{source.address}/{repo}:{tag}", f"{target.address}/{repo}", cwd=tmp_path)
        report = result.expect(4 if tag == "1" else 0).report
        assert [failure["kind"] for failure in report["failures"]] == (["not_found"] if tag == "1" else [])
        assert report["images"]["gone"] == (tag == "*") and target.tags(repo) == {}


def test_a_target_tag_that_somebody_else_moves_is_whole_and_the_next_run_brings_the_source(repo, generations, tmp_path):
    moment = 0
    while True:
        moment += 1
        with scripted.Registry() as source, scripted.Registry() as target:
            source.push(repo, "1", generations["first"])
            target.push(repo, "1", generations["old"])
            at = target.on("any", At(moment, lambda: target.push(repo, "1", generations["second"])))
            copy(source, target, repo, tmp_path).expect(0)
            # There is no If-Match in the protocol: who moves it last has it. Either is whole.
            now = next(name for name, image in generations.items() if image.digest == target.tags(repo)["1"])
            assert now in ("first", "second") and target.holds(repo, generations[now])
            if at.seen < moment:
                break
            copy(source, target, repo, tmp_path).expect(0)
            assert target.tags(repo) == {"1": generations["first"].digest} and target.holds(repo, generations["first"])
    assert moment > 8


def test_a_tag_that_goes_back_is_followed_and_its_way_is_told(source, target, repo, tmp_path):
    """There is no policy that would refuse it; who asks is told what the tag was, and when."""
    a, b = (images.Image([images.Layer(f"{repo} {name}")], label=name) for name in "ab")
    config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: {source.address}/{repo}, "
                                                    f"target: {target.address}/{repo}}}]\n")
    for image in (a, b, a):
        images.push(source, repo, "1", image)
        dray.sync(config).expect(0)
        assert target.tags(repo) == {"1": image.digest}
    told = dray.run("explain", "--config", config, f"{target.address}/{repo}:1", cwd=tmp_path).expect(0).stdout
    assert [line for line in told.splitlines() if "run " in line] and told.count(a.digest[7:19]) >= 2
    assert told.count(b.digest[7:19]) >= 1


# covers: T-54
@pytest.mark.parametrize("listing", [
    {"tags": []}, {"tags": None}, {"tags": ["2"]}, {"name": "another", "tags": ["9"]}, 404, 401, 403, 500, "half a page", "a page for people",
    "a filter with a typo"], ids=str)
def test_what_a_source_no_longer_shows_stays_at_the_target(listing, repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", image)
        config = dray.write_config(tmp_path / "c.yaml", f"""\
limits: {{stall-timeout: 1s}}
repos: [{{source: {source.address}/{repo}, targets: [{target.address}/{repo}, 'oci:{tmp_path}/layout']}}]
""")
        dray.sync(config).expect(0)
        action = {"half a page": scripted.cut(0.5), "a page for people": scripted.html(), "a filter with a typo": None}.get(
            str(listing), listing)
        if isinstance(action, dict):
            action = scripted.body(images.to_json({"name": repo, **action}))
        if action:
            source.on("tags", scripted.status(action) if isinstance(action, int) else action)
        else:
            config.write_text(config.read_text().replace("targets:", "tags: {allow: ['v*']}, targets:"))
        dray.sync(config)
        dray.run("gc", "--older-than", "0s", f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0)
        assert target.tags(repo) == {"1": image.digest} and target.holds(repo, image)
        assert not [request for request in target.requests if request.method == "DELETE"]
        images.check_layout(tmp_path / "layout")
        assert len(images.read_layout(tmp_path / "layout")) == 1
