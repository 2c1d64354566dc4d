"""Rate limits (PROTOCOL section 23, 17): a host that has said 429 is left alone until it may be asked, then asked more slowly."""
import email.utils
import time

import pytest

from support import dray, images, scripted

PAUSE = 2


def limit(headers=(), body=b"", code=429):
    return lambda request, response: scripted.Response(code, body, list(headers))


def date():
    return limit([("Retry-After", email.utils.formatdate(time.time() + PAUSE + 1, usegmt=True))])


@pytest.fixture
def field(repo):
    """A registry with 40 tags, and a target."""
    with scripted.Registry("dockerhub", storage=scripted.Storage().start()) as source, scripted.Registry() as target:
        source.images = {f"t{n}": images.Image([images.Layer(f"{repo} {n}", 500)]) for n in range(40)}
        for tag, image in source.images.items():
            source.push("team/app", tag, image)
        yield source, target
        source.storage.stop()


def mirror(source, target, directory, **more):
    config = dray.write_config(directory / "c.yaml", f"repos: [{{source: {source.address}/team/app, target: {target.address}/m}}]\n")
    return dray.sync(config, **more)


# covers: ERR-8, ERR-9, ERR-10, T-7
@pytest.mark.parametrize("refusal, least", [
    (lambda: limit([("Retry-After", str(PAUSE))]), PAUSE),
    (date, PAUSE - 0.1),
    (limit, 0.3),
    (lambda: limit([("Retry-After", "-5")]), 0.3),
    (lambda: limit([("Retry-After", "soon")]), 0.3),
    (lambda: limit(body=b'{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 1.16676ms, allowed: 44000/minute"}]}'), 0.9),
], ids=["seconds", "date", "nothing", "negative", "garbage", "in words"])
def test_nobody_asks_during_the_pause(refusal, least, field, tmp_path):
    source, target = field
    met = []

    def refuse(request, response):
        met.append(time.monotonic())
        return refusal()(request, response)

    source.on("HEAD manifest", refuse, nth=20)
    mirror(source, target, tmp_path).expect(0)
    assert target.tags("m") == {tag: image.digest for tag, image in source.images.items()}
    # What was on its way when the refusal came may still arrive.
    late = [request for request in source.requests if met[0] + 0.15 < request.when < met[0] + least]
    assert not late, f"{len(late)} requests in the pause"


# covers: ERR-11
def test_unchanged_tags_cost_no_manifest_get(field, tmp_path):
    source, target = field
    mirror(source, target, tmp_path).expect(0)
    first = source.count("GET manifest")
    source.forget()
    report = mirror(source, target, tmp_path).expect(0).report
    assert first == len(source.images) and source.count("GET manifest") == 0
    assert source.count("HEAD manifest") == len(source.images)
    assert report["quotas"][source.address] == {"limit": 100, "remaining": 100, "window_s": 21600}


# covers: ERR-8, T-7
def test_other_hosts_go_on_during_a_pause(field, repo, tmp_path):
    """More images of the paused host than there are places (32), listed first; the other host's are done meanwhile."""
    source, target = field
    with scripted.Registry() as other:
        images_there = {f"o{n}": images.Image([images.Layer(f"{repo} other {n}", 500)]) for n in range(10)}
        for tag, image in images_there.items():
            other.push("team/app", tag, image)
        refused = []

        def refuse(request, response):
            refused.append(time.monotonic())
            return limit([("Retry-After", "4")])(request, response)

        source.on("HEAD manifest", refuse, nth=1)
        config = dray.write_config(tmp_path / "c.yaml", "repos:\n"
                                   f"  - {{source: {source.address}/team/app, target: {target.address}/m}}\n"
                                   f"  - {{source: {other.address}/team/app, target: {target.address}/o}}\n")
        dray.sync(config).expect(0)
        tagged = [request.when for request in target.requests if request.method == "PUT" and "/v2/o/manifests/o" in request.path]
        assert len(tagged) == len(images_there) and max(tagged) < refused[0] + 4
        assert target.tags("m") == {tag: image.digest for tag, image in source.images.items()}
        assert target.tags("o") == {tag: image.digest for tag, image in images_there.items()}
