"""HTTP/2 that goes wrong (PROTOCOL section 23, 25): what was asked is done once, and the origin is spoken to by HTTP/1.1."""
import pytest

from support import dray, images, pki
from support.scripted import http2


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return pki.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo, 200_000), images.Layer(f"{repo} 2", 100)])


def settings(authority, *registries):
    lines = "".join(f"  {registry.address}: {{tls: {{ca: {authority.certificate}}}}}\n" for registry in registries)
    return f"registries:\n{lines}"


def mirror(authority, source, target, repo, directory, *more):
    config = dray.write_config(directory / "c.yaml", f"{settings(authority, source, target, *more)}"
                                                     f"repos: [{{source: {source.address}/{repo}, target: {target.address}/{repo}}}]\n")
    return dray.sync(config)


def version(request):
    return getattr(request, "version", 1)


# covers: HTTP-9
def test_small_requests_share_connections_and_blobs_have_their_own(authority, image, repo, tmp_path):
    with http2.Http2Registry(authority) as source, http2.Http2Registry(authority) as target:
        source.push(repo, "1", image)
        mirror(authority, source, target, repo, tmp_path).expect(0)
        assert target.holds(repo, image) and target.tags(repo) == {"1": image.digest}
        for registry in source, target:
            # One, but that libcurl opens another for what comes while it learns what a blob's new connection speaks.
            assert registry.versions.count("h2") <= 1 + registry.versions.count("http/1.1")
            for request in registry.requests:
                is_bulk = request.operation in ("GET blob", "PUT blob")
                assert version(request) == (1 if is_bulk else 2), request


# covers: HTTP-7, HTTP-9
@pytest.mark.parametrize("fault, pins", [
    (http2.ResetStream(), True),
    (http2.ResetStream(http2.h2.errors.ErrorCodes.PROTOCOL_ERROR), True),
    (http2.ResetStream(http2.h2.errors.ErrorCodes.REFUSED_STREAM), False),  # libcurl asks again by itself
    (http2.GoAway(), False),
    (http2.GoAway(http2.h2.errors.ErrorCodes.ENHANCE_YOUR_CALM), False),
    (http2.Die(), False),
    (http2.Misdirected(), True),
], ids=["internal error", "protocol error", "refused stream", "goaway", "goaway with an error", "death", "421"])
@pytest.mark.parametrize("operation", ["HEAD manifest", "POST upload", "PUT manifest"])
def test_fault_costs_one_request_and_no_byte(operation, fault, pins, authority, image, repo, tmp_path):
    with http2.Http2Registry(authority) as source, http2.Http2Registry(authority) as target:
        source.push(repo, "1", image)
        target.on(operation, fault, nth=1)
        report = mirror(authority, source, target, repo, tmp_path).expect(0).report
        assert target.holds(repo, image) and target.tags(repo) == {"1": image.digest}
        assert report["bytes"]["uploaded"] == sum(len(blob.data) for blob in image.blobs)
        for blob in image.blobs:
            assert [request.status for request in target.of("PUT blob", digest=blob.digest)] == [201]
        puts = [request for request in target.of("PUT manifest") if request.status == 201]
        assert len(puts) == 1 and puts[0].body == image.data
        hit = next(n for n, request in enumerate(target.requests) if request.operation == operation)
        if pins:
            # Once what was on its way is in, nothing goes by HTTP/2 any more; other origins do as before.
            assert all(version(request) == 1 for request in target.requests[hit + 8:])
            assert version(target.requests[-1]) == 1
        assert all(version(request) == 2 for request in source.of("HEAD manifest"))


# covers: HTTP-10
def test_hosts_with_one_address_and_one_certificate_share_no_connection(authority, image, repo, tmp_path):
    """Two names, the same address and certificate: a browser would use one connection for both."""
    with http2.Http2Registry(authority, hosts=("localhost", "127.0.0.1")) as source:
        source.push(repo, "1", image)
        other = f"127.0.0.1:{source.port}"
        config = dray.write_config(tmp_path / "c.yaml", f"""\
registries:
  {source.address}: {{tls: {{ca: {authority.certificate}}}}}
  {other}: {{tls: {{ca: {authority.certificate}}}}}
repos:
  - {{source: '{source.address}/{repo}', target: 'oci:{tmp_path}/a'}}
  - {{source: '{other}/{repo}', target: 'oci:{tmp_path}/b'}}
""")
        dray.sync(config).expect(0)
        assert source.versions.count("h2") == 2
