"""Blobs arrive in whatever way a registry, or what stands before it, lets them in."""
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


# covers: UPL-11, UPL-15
def test_put_without_a_body_and_put_with_one(large, layout, tmp_path):
    with scripted.Registry(needs_patch=True) as reg:
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.holds("t/app", large)
        assert not any(r.has("content-range") for r in reg.of("PATCH upload"))
    with scripted.Registry(closing_put=False, body_most=2 << 20, checks_ranges=True) as reg:
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.holds("t/app", large)


# covers: UPL-20, UPL-21, UPL-22, T-45
@pytest.mark.parametrize("operation, when", [("PUT blob", "after"), ("PUT blob", "before"), ("PATCH upload", "after")])
def test_lost_replies_are_never_answered_by_sending_into_the_session_again(large, layout, tmp_path, operation, when):
    with scripted.Registry(body_most=2 << 20 if "PATCH" in operation else None, checks_ranges=False) as reg:
        reg.on(operation, scripted.reset(when), nth=2)
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.holds("t/app", large)
        requests = [r for r in reg.of("PUT blob") if r.status == 201]
        assert len({r.path for r in requests}) == len(requests)


# covers: UPL-8, T-14
def test_blobs_go_to_another_host_only_where_the_user_says_so(large, layout, tmp_path):
    with scripted.Registry(name="localhost") as other, \
            scripted.Registry(location=lambda request, path: f"http://{other.address}{path}") as reg:
        copy(reg, large, tmp_path, layout).expect(9).says("another host", f'upload-hosts: ["{other.address}"]')
        assert not other.requests


# covers: UPL-2, UPL-25, UPL-26, T-53
def test_no_session_is_cancelled_and_no_post_has_a_body(large, layout, tmp_path):
    with scripted.Registry(cancel=405) as reg:
        reg.on("PUT blob", 500, times=1)
        copy(reg, large, tmp_path, layout).expect(0)
        assert reg.count("DELETE upload") == 0 and not any(r.body for r in reg.of("POST upload"))
