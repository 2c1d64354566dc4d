"""Content that is not what it says it is: it never gets a name at a target, and it harms nobody else."""
import pytest

from support import dray, faulty, images


@pytest.fixture
def proxy(source):
    server = faulty.Faulty(source.address)
    yield server
    server.stop()


class Case:
    """One image that will be harmed, and one that will not, into a registry and a layout."""

    def __init__(self, source, target, repo, directory, address=None, bad=None):
        self.source, self.target, self.repo = source, target, repo
        self.layout = directory / "layout"
        self.bad = bad or images.Image([images.Layer(f"{repo} bad", 500_000)])
        self.good = images.Image([images.Layer(f"{repo} good")])
        images.push(source, repo, "bad", self.bad)
        images.push(source, repo, "good", self.good)
        self.address = address or source.address
        self.config = dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {self.address}/{repo}
    targets: [{target.address}/{repo}, 'oci:{self.layout}']
""")

    def only_bad(self):
        self.config.write_text(self.config.read_text().replace(f"/{self.repo}\n", f"/{self.repo}:bad\n", 1))
        return self

    def check(self, kinds=("corrupt",)):
        both = dray.sync(self.config).expect(1)
        self.check_failure(both, kinds)
        assert self.target.holds_tag(self.repo, "good"), both
        assert f"{self.address}/{self.repo}:good" in images.read_layout(self.layout)
        images.check_layout(self.layout)
        alone = dray.sync(self.only_bad().config).expect(4)
        self.check_failure(alone, kinds)
        return both

    def check_failure(self, result, kinds):
        assert result.report["failures"], result
        for failure in result.report["failures"]:
            assert f"{self.repo}:bad" in failure["source"], result
            assert failure["kind"] in kinds and failure["stage"] and failure["message"], result
        assert not self.target.holds_tag(self.repo, "bad"), result
        assert self.bad.digest not in self.target.manifests(self.repo), result
        if (self.layout / "index.json").exists():
            entries = images.read_layout(self.layout)
            assert not [name for name in entries if name.endswith(":bad")], result
            assert self.bad.digest not in [e["digest"] for e in entries.values()], result


def edit(registry, digest, change):
    path = registry.blob_path(digest)
    path.write_bytes(change(path.read_bytes()))


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1:]


def test_layer_whose_bytes_are_flipped(source, target, repo, tmp_path):
    case = Case(source, target, repo, tmp_path)
    edit(source, case.bad.layers[0].digest, flip)
    case.check().says(case.bad.layers[0].digest[:19])
    assert not target.blob_path(case.bad.layers[0].digest).exists()


def test_config_whose_bytes_are_flipped(source, target, repo, tmp_path):
    case = Case(source, target, repo, tmp_path)
    edit(source, case.bad.config.digest, flip)
    case.check()


def test_blob_that_is_shorter_than_its_descriptor(source, target, repo, tmp_path):
    case = Case(source, target, repo, tmp_path)
    edit(source, case.bad.layers[0].digest, lambda data: data[:-1000])
    case.check(("corrupt", "protocol"))


def test_blob_that_is_longer_than_its_descriptor(source, target, repo, tmp_path):
    case = Case(source, target, repo, tmp_path)
    edit(source, case.bad.layers[0].digest, lambda data: data + bytes(1000))
    case.check(("corrupt", "protocol"))


def test_blob_that_the_source_lost(source, target, repo, tmp_path):
    case = Case(source, target, repo, tmp_path)
    source.blob_path(case.bad.layers[0].digest).unlink()
    case.check(("not_found",))


def test_manifest_whose_bytes_do_not_match_its_digest(source, target, repo, tmp_path):
    case = Case(source, target, repo, tmp_path)
    edit(source, case.bad.digest, lambda data: data.replace(b"gzip", b"zstd"))
    case.check()


def test_layer_whose_digest_is_right_but_whose_diff_id_is_wrong(source, target, repo, tmp_path):
    layer = images.Layer(f"{repo} lied about")
    case = Case(source, target, repo, tmp_path, bad=images.Image([layer], diff_ids=[images.digest_of(b"a lie")]))
    case.check().says("diff_id", layer.diff_id[:19])


def test_image_that_lies_about_a_diff_id_fails_alone(source, target, repo, tmp_path):
    shared, own = images.Layer(f"{repo} shared", 300_000), images.Layer(f"{repo} own")
    liar = images.Image([shared, own], diff_ids=[images.digest_of(b"a lie"), own.diff_id])
    honest = {f"honest-{n}": images.Image([shared, images.Layer(f"{repo} {n}")]) for n in range(5)}
    for tag, image in {"a-liar": liar, **honest}.items():
        images.push(source, repo, tag, image)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    targets: [{target.address}/{repo}]
""")
    for _ in range(2):  # once while the layer streams, once with a diff_id that is remembered
        result = dray.sync(config).expect(1)
        assert [f["kind"] for f in result.report["failures"]] == ["corrupt"]
        assert "a-liar" in result.report["failures"][0]["source"]
        assert target.manifests(repo) == {image.digest for image in honest.values()}
        assert not target.holds_tag(repo, "a-liar")


def test_too_few_diff_ids(source, target, repo, tmp_path):
    layers = [images.Layer(f"{repo} {n}") for n in range(2)]
    Case(source, target, repo, tmp_path, bad=images.Image(layers, diff_ids=[layers[0].diff_id])).check()


# covers: LYR-3
def test_layer_that_is_not_what_its_media_type_says_is_proven_as_what_it_is(source, target, repo, tmp_path):
    layer = images.Layer(f"{repo} liar", compression="plain")
    layer.media_type = images.COMPRESSIONS["gzip"][0]
    image = images.Image([layer])
    images.push(source, repo, "1", image)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    targets: [{target.address}/{repo}]
""")
    result = dray.sync(config).expect(0).says("media type", "gzip")
    assert result.report["verified"]["diff_ids"] == 1
    assert target.manifests(repo) == {image.digest}


def test_digests_alone_are_checked_when_that_is_asked_for(source, target, repo, tmp_path):
    image = images.Image([images.Layer(repo)], diff_ids=[images.digest_of(b"a lie")])
    images.push(source, repo, "1", image)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
defaults:
  verify: digests
repos:
  - source: {source.address}/{repo}
    targets: [{target.address}/{repo}]
""")
    dray.sync(config).expect(0)
    assert target.manifests(repo) == {image.digest}


def test_one_bad_child_fails_its_whole_index(source, target, repo, tmp_path):
    children = [images.Image([images.Layer(f"{repo} {a}")], a) for a in ("amd64", "arm64")]
    case = Case(source, target, repo, tmp_path, bad=images.Index(children))
    edit(source, children[1].layers[0].digest, flip)
    case.check()


def test_bytes_flipped_on_the_way(source, target, repo, tmp_path, proxy):
    case = Case(source, target, repo, tmp_path, proxy.address)
    proxy.rule = lambda method, path: "flip" if method == "GET" and case.bad.layers[0].digest in path else None
    case.check()


def test_manifest_flipped_on_the_way(source, target, repo, tmp_path, proxy):
    case = Case(source, target, repo, tmp_path, proxy.address)
    proxy.rule = lambda method, path: "flip" if method == "GET" and path.endswith(
        (case.bad.digest, "manifests/bad")) else None
    case.check()


def test_connection_cut_in_a_blob_is_resumed_bit_for_bit(source, target, repo, tmp_path, proxy):
    case = Case(source, target, repo, tmp_path, proxy.address)
    digest, cuts = case.bad.layers[0].digest, []

    def rule(method, path):
        if method == "GET" and digest in path and not cuts:
            cuts.append(path)
            return "cut"
        return None
    proxy.rule = rule
    result = dray.sync(case.config).expect(0)
    assert len(cuts) == 1
    assert result.report["bytes"]["downloaded"] >= len(case.bad.layers[0].data)
    assert target.manifests(repo) == {case.bad.digest, case.good.digest}
    assert target.blob_path(digest).read_bytes() == case.bad.layers[0].data
    images.check_layout(case.layout)


def test_what_was_harmed_arrives_once_it_is_repaired(source, target, repo, tmp_path):
    case = Case(source, target, repo, tmp_path)
    edit(source, case.bad.layers[0].digest, flip)
    dray.sync(case.config).expect(1)
    edit(source, case.bad.layers[0].digest, flip)
    dray.sync(case.config).expect(0)
    assert target.manifests(repo) == {case.bad.digest, case.good.digest}
    images.check_layout(case.layout)
