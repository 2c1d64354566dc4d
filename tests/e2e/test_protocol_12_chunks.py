"""Chunks (PROTOCOL section 23, 12): a blob arrives in whatever way a registry, or what stands before it, lets it in."""
import pytest

from support import dray, images, nginx, pki, scripted


def copy(reg, image, directory, source):
    """Mirror `image` from a layout or registry reference to t/app:1 of `reg`."""
    return dray.run("copy", source, f"{reg.address}/t/app:1", cwd=directory)


@pytest.fixture(scope="module")
def large():
    return images.Image([images.Layer("large", 7 << 20)])


@pytest.fixture
def layout(large, tmp_path):
    images.write_layout(tmp_path / "from", {"x:1": large})
    return f"oci:{tmp_path}/from:x:1"


# covers: UPL-12, UPL-13, UPL-14
def test_proxy_that_takes_one_mebibyte_gets_chunks(target, repo, large, layout, tmp_path):
    """docker-registry behind nginx as Debian installs it, without client_max_body_size."""
    authority = pki.Authority(tmp_path / "ca")
    proxy = nginx.Nginx(tmp_path / "nginx", *authority.issue("server"), body_most="1m")
    proxy.start(target.address)
    try:
        (tmp_path / "c.yaml").write_text(f"version: 1\nregistries: {{'{proxy.address}': {{tls: {{ca: {authority.certificate}}}}}}}\n"
                                         "repos: [alpine]\ndefaults: {target: x.test/y}\n")
        dray.run("copy", "--config", tmp_path / "c.yaml", layout, f"{proxy.address}/{repo}:1", cwd=tmp_path).expect(0)
        sent = proxy.log().of("PATCH", "blobs/uploads")
    finally:
        proxy.stop()
    assert target.tags(repo) == {"1": large.digest}
    assert target.blob_path(large.layers[0].digest).read_bytes() == large.layers[0].data
    assert len(sent) >= len(large.layers[0].data) / (1 << 20)


# covers: UPL-12, UPL-13, UPL-14, UPL-16
@pytest.mark.parametrize("profile, most, ranged", [("ghcr", 1 << 20, 1 << 20), ("registry3", 2 << 20, None), ("quay", 2 << 20, None)])
def test_chunks_are_as_large_as_they_may_be(large, layout, tmp_path, profile, most, ranged):
    """Range replies of every kind are not believed; Content-Range has neither unit nor total."""
    with scripted.Registry(profile, body_most=2 << 20, ranged_most=ranged) as reg:
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.holds("t/app", large) and reg.tags("t/app") == {"1": large.digest}
        taken = [r for r in reg.of("PATCH upload") if r.status in (201, 202)]
        assert max(r.body_bytes for r in taken) <= most
        assert all(r.header("content-range").replace("-", "").isdigit() for r in taken)


# covers: UPL-13
@pytest.mark.parametrize("least, most, expected", [
    (None, 1 << 20, 1 << 20),    # a proposal, but honoured
    (3 << 20, None, 4 << 20),    # as large as may be
    (3 << 20, 1 << 20, 3 << 20),  # what it must have goes before what it would like
])
def test_parts_are_of_the_size_that_a_registry_wishes(least, most, expected, tmp_path):
    plain = images.Image([images.Layer("wishes", 8 << 20, "plain")])
    images.write_layout(tmp_path / "from", {"x:1": plain})

    def wishes(request, response):
        response.headers += [("OCI-Chunk-Min-Length", str(least))] if least else []
        response.headers += [("OCI-Chunk-Max-Length", str(most))] if most else []

    with scripted.Registry(body_most=4 << 20) as reg:
        reg.on("POST upload", wishes)
        copy(reg, plain, tmp_path, f"oci:{tmp_path}/from:x:1").expect(0)
        assert reg.holds("t/app", plain)
        parts = [r.body_bytes for r in reg.of("PATCH upload") if r.status == 202]
        assert parts[:-1] and set(parts[:-1]) == {expected} and parts[-1] <= expected


# covers: UPL-14, UPL-16, UPL-17
@pytest.mark.parametrize("said", ["0-0", "0--1", "bytes=0--1", "bytes=0-{count}", "0-{first}", "0-12", "nonsense", None])
def test_what_a_reply_says_of_the_bytes_it_has_is_not_believed(said, large, layout, tmp_path):
    """ECR's sticks at the first part, Quay's is one too high, others' say nothing: each part counts as stored, each goes to the
    newest Location, and the digest judges."""
    def lies(request, response):
        begin, _, end = request.header("content-range").partition("-")
        first = firsts.setdefault(request.path, int(end or 0))
        response.drop("Range")
        if said:
            response.set("Range", said.format(count=int(end or 0) + 1, first=first))

    firsts = {}
    with scripted.Registry(body_most=2 << 20) as reg:
        reg.on("PATCH upload", lies)
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.holds("t/app", large)
        parts = [r for r in reg.of("PATCH upload") if r.status == 202]
        states = [r.query["_state"].rpartition("-")[2].rstrip("=") for r in parts]
        assert states == [r.header("content-range").partition("-")[0] for r in parts]
        assert reg.count("GET upload") == 0


# covers: UPL-11, UPL-15
def test_put_without_a_body_and_put_with_one(large, layout, tmp_path):
    with scripted.Registry(needs_patch=True) as reg:
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.holds("t/app", large)
        assert not any(r.has("content-range") for r in reg.of("PATCH upload"))
    with scripted.Registry(closing_put=False, body_most=2 << 20, checks_ranges=True) as reg:
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.holds("t/app", large)


# covers: UPL-2, UPL-25, UPL-26, T-53
def test_no_session_is_cancelled_and_no_post_has_a_body(large, layout, tmp_path):
    with scripted.Registry(cancel=405) as reg:
        reg.on("PUT blob", 500, times=1)
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.count("DELETE upload") == 0 and not any(r.body for r in reg.of("POST upload"))
