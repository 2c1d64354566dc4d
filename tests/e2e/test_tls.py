"""A registry behind nginx that wants to see a certificate of its clients."""
import pytest

from support import dray, images, nginx, pki, registry


class Guarded:
    def __init__(self, directory):
        self.authority = pki.Authority(directory / "ca")
        self.certificate, self.key = self.authority.issue("client", usage="clientAuth")
        self.proxy = nginx.Nginx(directory / "nginx", *self.authority.issue("server"), self.authority.certificate)
        self.address = self.proxy.address
        self.registry = registry.plain(directory / "registry")
        self.proxy.start(self.registry.address)

    def settings(self, certificate=None, key=None):
        ours = f", certificate: {certificate}, key: {key}" if certificate else ""
        return f"registries:\n  {self.address}:\n    tls: {{ca: {self.authority.certificate}{ours}}}\n"

    def stop(self):
        self.proxy.stop()
        self.registry.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    server = Guarded(tmp_path_factory.mktemp("guarded"))
    yield server
    server.stop()


@pytest.fixture
def image(guarded, repo):
    made = images.Image([images.Layer(repo)])
    images.push(guarded.registry, repo, "1", made)
    return made


def configure(directory, settings, source, target):
    return dray.write_config(directory / "c.yaml", f"{settings}repos:\n  - {{source: {source}, target: {target}}}\n")


def test_with_our_certificate_it_is_source_and_target(guarded, repo, image, tmp_path):
    config = configure(tmp_path, guarded.settings(guarded.certificate, guarded.key), f"{guarded.address}/{repo}",
                       f"{guarded.address}/{repo}/copy")
    dray.sync(config).expect(0)
    assert guarded.registry.tags(f"{repo}/copy") == {"1": image.digest}


def test_copy_takes_our_certificate_from_a_configuration(guarded, target, repo, image, tmp_path):
    config = configure(tmp_path, guarded.settings(guarded.certificate, guarded.key), "unused.example/x",
                       "other.example/x")
    dray.run("copy", "--config", config, f"{guarded.address}/{repo}:1", f"{target.address}/{repo}:1",
             cwd=tmp_path).expect(0)
    assert target.tags(repo) == {"1": image.digest}


@pytest.mark.parametrize("who", ["nobody", "somebody else"])
def test_without_a_certificate_that_it_takes(who, guarded, target, repo, image, tmp_path):
    ours = ()
    if who == "somebody else":
        ours = pki.Authority(tmp_path / "other", "somebody else").issue("client", usage="clientAuth")
    config = configure(tmp_path, guarded.settings(*ours), f"{guarded.address}/{repo}:1", f"{target.address}/{repo}")
    result = dray.sync(config).expect(3).says(guarded.address, "SSL certificate")
    assert result.report["failures"][0]["kind"] == "denied"
    assert not target.manifests(repo)


def test_key_of_another_certificate(guarded, target, repo, image, tmp_path):
    _, other = guarded.authority.issue("other", usage="clientAuth")
    config = configure(tmp_path, guarded.settings(guarded.certificate, other), f"{guarded.address}/{repo}:1",
                       f"{target.address}/{repo}")
    dray.sync(config).expect(6).says(str(other))
