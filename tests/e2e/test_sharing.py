"""What images and indexes share, and what must not be shared: the failures of others."""
import re
import time

import pytest

from support import dray, faulty, images


@pytest.fixture
def shared(repo):
    return images.Layer(f"{repo} shared", 200_000)


def write(directory, entries, at_once=32):
    lines = "\n".join(f"  - source: {source}\n    targets: [{target}]" for source, target in entries)
    return dray.write_config(directory / "c.yaml", f"limits: {{images-in-flight: {at_once}}}\nrepos:\n{lines}\n")


def test_a_target_that_cannot_be_read_is_no_source(source, target, repo, shared, tmp_path):
    for name in ("a", "b"):
        images.push(source, f"{repo}/{name}", "1", images.Image([shared], label=name))
    write_only = faulty.Faulty(target.address, lambda method, path: 403 if method == "GET" else None)
    try:
        config = write(tmp_path, [(f"{source.address}/{repo}/a:1", f"{write_only.address}/{repo}/a"),
                                  (f"{source.address}/{repo}/b:1", f"{target.address}/{repo}/b")], at_once=1)
        report = dray.sync(config).expect(0).report
    finally:
        write_only.stop()
    assert report["images"]["copied"] == 2 and report["blobs"]["reread"] == 1


def test_a_bad_source_does_not_fail_what_a_good_one_has(source, target, repo, shared, tmp_path):
    """Where the one that has a good source waits first, and the carrying is done by those that have a bad one."""
    names = ["good", *(f"bad{n}" for n in range(6))]
    for name in names:
        images.push(source, f"{repo}/{name}", "1", images.Image([shared], label=name))

    def late(seconds, condition):
        if condition:
            time.sleep(seconds)

    bad = faulty.Faulty(source.address, lambda method, path: 404 if method == "GET" and shared.digest in path else None)
    good = faulty.Faulty(source.address, lambda method, path: late(0.1, method == "GET" and "/manifests/" in path))
    slow = faulty.Faulty(target.address, lambda method, path: late(0.3, method == "HEAD" and "/bad" in path and "/blobs/" in path))
    try:
        dray.sync(write(tmp_path, [
            (f"{good.address if name == 'good' else bad.address}/{repo}/{name}:1", f"{slow.address}/{repo}/{name}")
            for name in names])).expect(0, 1)
    finally:
        for proxy in (bad, good, slow):
            proxy.stop()
    assert target.holds_tag(f"{repo}/good", "1")


def test_an_index_stands_behind_its_children_at_whatever_level(source, target, repo, tmp_path):
    children = [images.Image([images.Layer(f"{repo} {n}")]) for n in range(6)]
    root = images.Index([images.Index(children), *children])
    images.push(source, repo, "1", root)
    dray.sync(write(tmp_path, [(f"{source.address}/{repo}:1", f"{target.address}/{repo}")])).expect(0)
    assert target.manifests(repo) == {part.digest for part in images.tree(root)}


def test_a_config_is_proven_though_another_image_lists_it_as_a_layer(source, target, repo, shared, tmp_path):
    lying = images.Image([shared], "arm64", diff_ids=[images.digest_of(b"something else")])
    listed = images.Blob(lying.config.data, "application/json")
    listed.diff_id = listed.digest
    images.push(source, repo, "1", images.Index([images.Image([listed]), lying]))
    dray.sync(write(tmp_path, [(f"{source.address}/{repo}:1", f"{target.address}/{repo}")])).expect(4).says("diff_id")
    assert not target.holds_tag(repo, "1")


@pytest.mark.parametrize("order", [("lying", "honest"), ("honest", "lying")], ids=["lie first", "truth first"])
def test_a_lie_about_a_size_fails_only_who_tells_it(order, source, target, repo, shared, tmp_path):
    class Lying(images.Layer):
        def descriptor(self, **more):
            return {**super().descriptor(**more), "size": len(self.data) + 1}

    for tag in "123":
        images.push(source, f"{repo}/lying", tag, images.Image([Lying(f"{repo} shared", 200_000)], label=tag))
    honest = images.Image([shared])
    images.push(source, f"{repo}/honest", "1", honest)
    config = write(tmp_path, [(f"{source.address}/{repo}/{name}", f"{target.address}/{repo}/{name}")
                              for name in order], at_once=1)
    report = dray.sync(config).expect(1).report
    assert report["images"]["failed"] == 3
    assert target.tags(f"{repo}/honest") == {"1": honest.digest} and not target.tags(f"{repo}/lying")


def test_what_came_while_a_place_was_looked_at_is_mounted(source, target, repo, shared, tmp_path):
    """The second repository asks for the blob while the first one's is on its way, and is answered when it is there."""
    for name in "ab":
        images.push(source, f"{repo}/{name}", "1", images.Image([shared], label=name))

    def late(method, path):
        if method == "GET" and shared.digest in path:
            time.sleep(0.4)
        if method == "GET" and f"{repo}/b/manifests" in path:
            time.sleep(0.2)
        if method == "HEAD" and f"{repo}/b/blobs/{shared.digest}" in path:
            time.sleep(0.8)

    proxies = faulty.Faulty(source.address, late), faulty.Faulty(target.address, late)
    try:
        config = write(tmp_path, [
            (f"{proxies[0].address}/{repo}/{name}:1", f"{proxies[1].address}/{repo}/{name}") for name in "ab"])
        config.write_text(re.sub("^state:.*$", "", config.read_text(), flags=re.M))  # which would tell of it too
        report = dray.sync(config).expect(0).report
    finally:
        for proxy in proxies:
            proxy.stop()
    assert report["blobs"]["uploaded"] == 3 and report["blobs"]["mounted"] == 1
