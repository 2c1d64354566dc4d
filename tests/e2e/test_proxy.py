"""Proxies from the environment: what goes through them, what goes past them, and what they get to see."""
import base64

import pytest

from conftest import PASSWORD, USER
from support import dray, images, proxy


@pytest.fixture
def between():
    server = proxy.Proxy()
    yield server
    server.stop()


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo)])


def sync(directory, source, target, registries="", **env):
    config = dray.write_config(directory / "c.yaml", f"""\
registries:
{registries or '  {}'}
repos:
  - {{source: {source}, target: {target}}}
""")
    return dray.sync(config, env={"MIRROR_PASSWORD": PASSWORD, **env})


def test_http_goes_through_http_proxy(source, target, between, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    sync(tmp_path, f"{source.address}/{repo}", f"{target.address}/{repo}",
         http_proxy=f"http://{between.address}").expect(0)
    assert target.tags(repo) == {"1": image.digest}
    hosts = [url.split("/")[2] for _, url, _ in between.seen]
    assert set(hosts) == {source.address, target.address}
    layer = image.layers[0].digest
    assert len([url for method, url, _ in between.seen if method == "GET" and url.endswith(layer)]) == 1
    assert any(method == "PUT" and url.endswith("/manifests/1") for method, url, _ in between.seen)


# covers: HTTP-17, T-26
def test_https_goes_through_a_tunnel_that_sees_no_credentials(secure, between, repo, image, tmp_path):
    images.push(secure.registry, repo, "1", image)
    sync(tmp_path, f"{secure.address}/{repo}", f"{secure.address}/{repo}/copy", secure.settings(),
         https_proxy=f"http://{between.address}", http_proxy="http://127.0.0.1:1").expect(0)
    assert secure.registry.tags(f"{repo}/copy") == {"1": image.digest}
    assert between.seen
    for method, place, headers in between.seen:
        assert (method, place) == ("CONNECT", secure.address)
        assert {name.lower() for name in headers} <= {"host", "user-agent", "proxy-connection"}, headers


def test_credentials_of_the_proxy_are_for_the_proxy_alone(secure, between, repo, image, tmp_path):
    images.push(secure.registry, repo, "1", image)
    sync(tmp_path, f"{secure.address}/{repo}", f"{secure.address}/{repo}/copy", secure.settings(),
         https_proxy=f"http://worker:hunter2@{between.address}").expect(0)
    expected = "Basic " + base64.b64encode(b"worker:hunter2").decode()
    assert {headers["Proxy-Authorization"] for _, _, headers in between.seen} == {expected}
    assert {user for user, scopes, _ in secure.tokens.requests if repo in str(scopes)} == {USER}


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_goes_past_it(name, source, target, between, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    sync(tmp_path, f"{source.address}/{repo}", f"localhost:{target.port}/{repo}",
         http_proxy=f"http://{between.address}", **{name: "example.com,127.0.0.1"}).expect(0)
    assert target.tags(repo) == {"1": image.digest}
    assert {url.split("/")[2] for _, url, _ in between.seen} == {f"localhost:{target.port}"}


def test_proxy_that_is_not_there_is_told(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    result = sync(tmp_path, f"{source.address}/{repo}:1", f"{target.address}/{repo}", http_proxy="http://localhost:1").expect(8)
    assert "/v2/: Connection refused: Failed to connect to localhost port 1 " in result.stderr, result
    assert not target.manifests(repo)
