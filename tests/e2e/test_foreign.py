"""Layers whose descriptors have URLs, and indexes with gaps: what is fetched from where, and what is left out."""
import json

import pytest

from support import dray, images, scripted, shapes

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
SECRET = "Basic bWlycm9yOmZvcmVpZ24="


class Case:
    """An image with a layer that has URLs, in a registry that wants a password; a host that has the layer; two targets."""

    def __init__(self, stack, repo, directory, media_type=FOREIGN, urls=None):
        self.repo, self.directory, self.layout = repo, directory, directory / "layout"
        self.source, self.target, self.cdn = stack
        self.layer, self.own = images.Layer(f"{repo} foreign", 50_000), images.Layer(f"{repo} own")
        self.layer.media_type = media_type
        self.url = f"{self.cdn.url}/layers/base.tar.gz"
        self.layer.more = {"urls": urls(self) if urls else [self.url]}
        self.image = shapes.image([self.layer, self.own])
        self.source.push(repo, "1", self.image)
        self.cdn.on("any", lambda request, response: scripted.Response(200, self.layer.data))

    def lose_it(self):
        """The source never had the layer."""
        self.source.store.repository(self.repo).blobs.discard(self.layer.digest)
        return self

    def sync(self, foreign=None, targets=None):
        targets = targets or [f"{self.target.address}/{self.repo}", f"'oci:{self.layout}'"]
        config = dray.write_config(self.directory / "c.yaml", f"""\
registries: {{'{self.source.address}': {{credentials: {{username: mirror, password: foreign}}}}}}
repos:
  - {{source: {self.source.address}/{self.repo}, targets: [{', '.join(targets)}]{f', foreign: {foreign}' if foreign else ''}}}
""")
        return dray.sync(config)

    def in_layout(self, blob):
        return images.blob_path(self.layout, blob.digest).exists()

    def in_target(self, blob):
        return self.target.blob(self.repo, blob.digest) is not None


@pytest.fixture
def stack():
    with scripted.Registry(auth=scripted.Basic({"mirror": "foreign"})) as source, scripted.Registry() as target, \
            scripted.Registry(check=False) as cdn:
        yield source, target, cdn


# covers: BLB-14, T-16
@pytest.mark.parametrize("foreign", [None, "skip", "copy"])
def test_what_the_source_holds_goes_its_usual_way(stack, foreign, repo, tmp_path):
    case = Case(stack, repo, tmp_path)
    result = case.sync(foreign).expect(0)
    assert case.target.holds(repo, case.image) and case.in_layout(case.layer)
    assert not case.cdn.requests
    assert result.report["verified"]["diff_ids"] == 2 and not any(result.report["left_out"].values())


# covers: BLB-14, LYR-14, T-16
@pytest.mark.parametrize("foreign, at_target, at_layout", [(None, False, True), ("skip", False, False), ("copy", True, True)])
def test_what_it_does_not_hold(stack, foreign, at_target, at_layout, repo, tmp_path):
    case = Case(stack, repo, tmp_path).lose_it()
    result = case.sync(foreign).expect(0)
    assert case.target.tags(repo) == {"1": case.image.digest} and case.in_target(case.own)
    assert images.read_layout(case.layout)[f"{case.source.address}/{repo}:1"]["digest"] == case.image.digest
    assert case.in_target(case.layer) is at_target and case.in_layout(case.layer) is at_layout
    assert images.blob_path(case.layout, case.image.digest).read_bytes() == case.image.data  # URLs and all
    left_out = 2 - at_target - at_layout
    assert result.report["left_out"]["layers"] == left_out
    assert result.stderr.count("may not be distributed") == left_out
    assert bool(case.cdn.requests) is (at_target or at_layout)
    if at_layout:
        assert images.blob_path(case.layout, case.layer.digest).read_bytes() == case.layer.data
        assert result.report["verified"]["diff_ids"] == 2  # it is checked like any other
    else:
        assert result.report["verified"]["diff_ids"] == 1 and result.report["blobs"]["unproven"] == 1
    case.sync(foreign).expect(0)  # and nothing is left to do
    assert len(case.target.of("PUT manifest")) == 1


# covers: BLB-14, T-16, RED-11
@pytest.mark.parametrize("challenge", [False, True])
def test_host_of_a_url_gets_no_credentials_and_nothing_else_of_ours(stack, challenge, repo, tmp_path):
    case = Case(stack, repo, tmp_path).lose_it()
    if challenge:
        case.cdn.on("any", lambda request, response: scripted.Response(401, b"", [
            ("WWW-Authenticate", f'Bearer realm="{case.cdn.url}/token"'), ("WWW-Authenticate", 'Basic realm="cdn"')]))
    result = case.sync("copy").expect(4 if challenge else 0)
    assert all(request.authorization == SECRET for request in case.source.requests if request.repo)
    assert case.cdn.requests
    for request in case.cdn.requests:
        assert request.method == "GET" and request.path == "/layers/base.tar.gz"
        assert {name for name, _ in request.headers} <= {"host", "user-agent", "accept"} and request.header("accept", "*/*") == "*/*"
    if challenge:
        assert result.report["failures"][0]["kind"] == "not_found" and "401" in result.report["failures"][0]["message"]


# covers: BLB-14
def test_urls_are_asked_in_their_order(stack, repo, tmp_path):
    case = Case(stack, repo, tmp_path, urls=lambda case: [
        "ftp://example.invalid/x", "file:///etc/passwd", f"{case.cdn.url}/absent", f"{case.cdn.url}/wrong-size",
        f"{case.cdn.url}/right", f"{case.cdn.url}/never"]).lose_it()

    def answer(request, response):
        data = {"/right": case.layer.data, "/wrong-size": b"short"}.get(request.path)
        return scripted.Response(200, data) if data else scripted.Response(404)

    case.cdn.on("any", answer)
    case.sync("copy").expect(0)
    assert case.target.holds(repo, case.image)
    assert [request.path for request in case.cdn.requests][:3] == ["/absent", "/wrong-size", "/right"]
    assert "/never" not in [request.path for request in case.cdn.requests]


# covers: BLB-14, BLB-15, T-44
@pytest.mark.parametrize("media_type", [FOREIGN, images.DOCKER_LAYER])
def test_wrong_bytes_at_a_url_reach_nobody(stack, media_type, repo, tmp_path):
    case = Case(stack, repo, tmp_path, media_type).lose_it()
    case.cdn.on("any", lambda request, response: scripted.Response(200, bytes(len(case.layer.data))))
    case.sync("copy").expect(4).says("corrupt", case.layer.digest[:19])
    assert not case.in_target(case.layer) and not case.in_layout(case.layer) and case.target.tags(repo) == {}


# covers: BLB-14
def test_download_from_a_url_goes_on_where_it_broke(stack, repo, tmp_path):
    case = Case(stack, repo, tmp_path).lose_it()
    case.cdn.on("any", Ranged(case.layer.data))
    case.sync("copy").expect(0)
    assert case.target.holds(repo, case.image)


class Ranged(scripted.Action):
    """The layer, or the part that is asked for; the second reply is cut."""

    def __init__(self, data):
        self.data, self.count = data, 0

    def change(self, request, response):
        self.count += 1
        return scripted.api.ranged(request, self.data)

    async def send(self, request, response, stream):
        return await scripted.cut(0.5).send(request, response, stream) if self.count == 2 else False


# covers: BLB-14, BLB-15
def test_no_url_has_it(stack, repo, tmp_path):
    """What may be left out is, unless it was asked for; what may not is an error."""
    case = Case(stack, repo, tmp_path).lose_it()
    case.cdn.on("any", scripted.status(404))
    result = case.sync().expect(0)
    assert result.report["left_out"]["layers"] == 2
    other = Case(stack, f"{repo}-2", tmp_path / "2").lose_it()
    other.cdn.on("any", scripted.status(404))
    other.sync("copy").expect(4).says("not_found", other.layer.digest[:19])
    assert other.target.tags(other.repo) == {}


# covers: BLB-15
@pytest.mark.parametrize("foreign, code", [(None, 1), ("skip", 4), ("copy", 0)])
def test_ordinary_layer_with_urls_is_never_left_out(stack, foreign, code, repo, tmp_path):
    case = Case(stack, repo, tmp_path, images.DOCKER_LAYER).lose_it()
    result = case.sync(foreign).expect(code)
    assert case.target.tags(repo) == ({"1": case.image.digest} if foreign == "copy" else {})
    assert case.in_layout(case.layer) is (foreign != "skip")
    assert result.report["left_out"]["layers"] == 0
    for failure in result.report["failures"]:
        assert failure["kind"] == "not_found" and "URLs are not asked" in failure["message"]


# covers: BLB-14, T-16, T-17
@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data", "http://0.0.0.0:1/x", "http://[fe80::1]/x",
                                 "http://mirror:foreign@127.0.0.1:1/x", "gopher://127.0.0.1:1/x", "//127.0.0.1:1/x", "x"])
def test_url_that_is_not_to_be_asked(stack, url, repo, tmp_path):
    case = Case(stack, repo, tmp_path, urls=lambda case: [url]).lose_it()
    case.sync("copy").expect(9)
    assert case.target.tags(repo) == {} and not case.cdn.requests


# covers: BLB-14
def test_layout_without_the_layer_goes_back_into_a_registry(stack, repo, tmp_path):
    case = Case(stack, repo, tmp_path).lose_it()
    case.sync("skip").expect(0)
    result = dray.run("copy", "--json", f"oci:{case.layout}", f"{case.target.address}/back", cwd=tmp_path).expect(0)
    assert result.report["left_out"]["layers"] == 1 and not case.cdn.requests
    dray.run("copy", "--foreign", "copy", f"oci:{case.layout}", f"{case.target.address}/again", cwd=tmp_path).expect(4).says("for a layout no URL")


# --- indexes with gaps -----------------------------------------------------------------------------------------------------

@pytest.fixture
def sparse(repo):
    """An index, three children of which the source has lost."""
    index = images.multi_platform(repo, ["amd64", "arm64", "s390x", "riscv64"], attested=False)
    with scripted.Registry() as source:
        source.push(repo, "1", index)
        source.push(repo, "2", images.Image([images.Layer(f"{repo} 2")]))
        for child in index.children[1:]:
            del source.store.repositories[repo].manifests[child.digest]
        yield source, index


# covers: IDX-5, MAN-13, T-36
def test_index_with_gaps_fails_with_a_list_of_them(sparse, repo, tmp_path):
    source, index = sparse
    with scripted.Registry(needs_children=False) as target:
        result = dray.run("copy", "--json", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(1)
        (failure,) = result.report["failures"]
        assert failure["exit_class"] == 4 and failure["kind"] == "not_found"
        assert "3 manifests are missing" in failure["message"]
        assert all(child.digest[:19] in failure["message"] for child in index.children[1:])
        assert list(target.tags(repo)) == ["2"] and not target.manifest(repo, index.children[0].digest)
        assert [source.count("GET manifest", digest=child.digest) for child in index.children] == [1, 2, 2, 2]


# covers: IDX-5, T-36
@pytest.mark.parametrize("takes", [True, False])
def test_index_with_gaps_is_kept_where_that_is_asked_for_and_taken(sparse, takes, repo, tmp_path):
    source, index = sparse
    with scripted.Registry(needs_children=not takes) as target:
        result = dray.run("copy", "--json", "--allow-missing", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1",
                          cwd=tmp_path).expect(0 if takes else 5)
        assert result.report["left_out"]["manifests"] == 3
        assert result.stderr.count("is copied without it") == 3
        if takes:
            assert target.tags(repo) == {"1": index.digest} and target.holds(repo, index.children[0])
            assert target.manifest(repo, index.digest).data == index.data
        else:
            result.says("MANIFEST_BLOB_UNKNOWN")
            assert target.tags(repo) == {}


# covers: IDX-5
def test_missing_root_is_never_a_gap(sparse, repo, tmp_path):
    source, _ = sparse
    config = dray.write_config(tmp_path / "c.yaml", f"""\
defaults: {{sparse: keep}}
repos: [{{source: '{source.address}/{repo}:absent', target: '{source.address}/x'}}]
""")
    dray.sync(config).expect(4)
    assert json.loads(dray.sync(config).stdout)["left_out"]["manifests"] == 0


# covers: BLB-14, LYR-14
def test_image_is_whole_without_what_may_not_be_distributed(stack, repo, tmp_path):
    case = Case(stack, repo, tmp_path).lose_it()
    case.sync("skip").expect(0)
    for place in (f"{case.target.address}/{repo}:1", f"oci:{case.layout}"):
        for options in ([], ["--deep"]):
            result = dray.run("verify", "--json", *options, place, cwd=tmp_path).expect(0)
            assert result.report["left_out"]["layers"] == 1 and result.report["failures"] == []
    case.target.store.repository(repo).blobs.discard(case.own.digest)
    dray.run("verify", f"{case.target.address}/{repo}:1", cwd=tmp_path).expect(4).says(case.own.digest[:19])
