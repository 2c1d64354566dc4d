"""The scriptable registry is as good as its word: skopeo and dray do the same with it as with docker-registry, and where the
specification leaves no choice, both answer alike."""
import http.client
import json

import pytest

from support import dray, images, readers, registry, scripted

PUT = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Both, with the same content."""
    real = registry.plain(tmp_path_factory.mktemp("registry"))
    with scripted.Registry("registry2") as made:
        yield real, made
    real.stop()


@pytest.fixture
def content(repo):
    return {"plain": images.Image([images.Layer(f"{repo} {c}", compression=c) for c in ("gzip", "zstd", "plain")]),
            "docker": images.Image([images.Layer(f"{repo} d", compression="docker")], docker=True),
            "multi": images.multi_platform(repo), "deep": images.Index([images.multi_platform(f"{repo} deep")])}


def copy_with_skopeo(source, target, home):
    readers.skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false",
                   f"docker://{source}", f"docker://{target}", home=home)


def copy_with_dray(source, target, home):
    dray.run("copy", source, target, cwd=home).expect(0)


@pytest.mark.parametrize("copy", [copy_with_skopeo, copy_with_dray])
def test_clients_do_the_same_with_both(copy, pair, content, repo, tmp_path):
    """From each to each; what arrives is what was sent, told by the other's reader and by skopeo."""
    for source in pair:
        for tag, artifact in content.items():
            if source is pair[1]:
                source.push(repo, tag, artifact)
            else:
                images.push(source, repo, tag, artifact)
    for number, (source, target) in enumerate((a, b) for a in pair for b in pair):
        name = f"{repo}-{copy.__name__[-4:]}{number}"
        for tag, artifact in content.items():
            if tag == "deep" and copy is copy_with_skopeo:
                continue  # skopeo 1.9 takes no index of indexes
            copy(f"{source.address}/{repo}:{tag}", f"{target.address}/{name}:{tag}", tmp_path)
            assert readers.plain_digest(f"{target.address}/{name}:{tag}", tmp_path) == artifact.digest
        if target is pair[1]:
            assert target.tags(name) and all(target.holds(name, content[tag]) for tag in target.tags(name))


class Talk:
    """The same request to both; `{upload}` in it is what the last Location said."""

    def __init__(self, server):
        self.server, self.upload = server, ""

    def ask(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection(self.server.address, timeout=30)
        connection.request(method, path.replace("{upload}", self.upload), body=body, headers=dict(headers))
        response = connection.getresponse()
        try:
            text = response.read()
        except http.client.IncompleteRead as cut:  # docker-registry gives a 416 the length of the blob
            text = cut.partial
        if "Location" in response.headers and "/uploads/" in response.headers["Location"]:
            self.upload = response.headers["Location"].replace(f"http://{self.server.address}", "")
        connection.close()
        try:
            codes = [error["code"] for error in json.loads(text)["errors"]]
        except (ValueError, KeyError, TypeError):
            codes = []
        return (response.status, codes if method != "HEAD" else [], response.headers.get("Docker-Content-Digest", ""),
                "Location" in response.headers)


def test_both_answer_alike(pair, repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    layer, other = image.layers[0], images.Layer(f"{repo} other")
    manifests = f"/v2/{repo}/manifests"
    accept = {"Accept": ",".join([images.MANIFEST, images.INDEX, images.DOCKER_MANIFEST, images.DOCKER_LIST])}
    typed = {"Content-Type": images.MANIFEST}
    talks = [Talk(server) for server in pair]
    story = [
        ("GET", "/v2/"),
        ("HEAD", f"{manifests}/1", None, accept), ("GET", f"{manifests}/1", None, accept),
        ("GET", f"/v2/{repo}/tags/list"),
        ("HEAD", f"/v2/{repo}/blobs/{layer.digest}"), ("GET", f"/v2/{repo}/blobs/{layer.digest}"),
        ("PUT", f"{manifests}/1", image.data, typed),                              # its blobs are not there
        ("POST", f"/v2/{repo}/blobs/uploads/"),
        ("PUT", "{upload}&digest=" + other.digest, layer.data, PUT),               # other bytes
        ("POST", f"/v2/{repo}/blobs/uploads/"),
        ("PUT", "{upload}&digest=" + layer.digest, layer.data, PUT),
        ("POST", f"/v2/{repo}/blobs/uploads/"),
        ("PATCH", "{upload}", image.config.data, PUT),
        ("PUT", "{upload}&digest=" + image.config.digest),
        ("HEAD", f"/v2/{repo}/blobs/{layer.digest}"),
        ("GET", f"/v2/{repo}/blobs/{layer.digest}", None, {"Range": "bytes=5-9"}),
        ("GET", f"/v2/{repo}/blobs/{layer.digest}", None, {"Range": f"bytes={len(layer.data)}-"}),
        ("POST", f"/v2/{repo}-b/blobs/uploads/?mount={layer.digest}&from={repo}"),
        ("POST", f"/v2/{repo}-b/blobs/uploads/?mount={other.digest}&from={repo}"),
        ("PUT", f"{manifests}/{other.digest}", image.data, typed),                 # by a digest that is not its own
        ("PUT", f"{manifests}/1", b"{", typed),
        ("PUT", f"{manifests}/1", image.data, typed),
        ("HEAD", f"{manifests}/1", None, accept), ("GET", f"{manifests}/{image.digest}", None, accept),
        ("GET", f"{manifests}/1"),                                                 # nothing accepted: OCI is not given (MAN-2)
        ("GET", f"/v2/{repo}/tags/list"),
        ("DELETE", f"{manifests}/1"),
        ("DELETE", f"{manifests}/{image.digest}"),
        ("GET", f"{manifests}/1", None, accept),
    ]
    wrong = []
    for step in story:
        real, made = (talk.ask(*step) for talk in talks)
        if real != made:
            wrong.append(f"{step[0]} {step[1]}: docker-registry {real}, scripted {made}")
    assert not wrong, "\n".join(wrong)
