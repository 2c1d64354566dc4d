"""Which token servers get credentials: the registry's own, those that are known, those that the configuration names."""
import base64
import json

import pytest

from conftest import PASSWORD, USER
from support import dray, images, pki, proxy, scripted

HOME = "registry.test"
HOSTS = {HOME, "auth.test", "registry.gitlab.com", "gitlab.com", "evil.registry.test", "registry.test.evil.test", "evil.test"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = pki.Authority(tmp_path_factory.mktemp("ca"))
    made.for_all_hosts = made.issue("all", hosts=tuple(HOSTS))
    return made


class World:
    """Hosts as the client knows them: `home` is the registry, `other` is whoever else is asked."""

    def __init__(self, authority, realm, host=HOME):
        class Hosts:
            @staticmethod
            def issue(name):
                return authority.for_all_hosts

        record = []
        self.host, self.authority = host, authority
        auth = scripted.Token({USER: PASSWORD}, realm=realm)
        self.home = scripted.Registry(auth=auth, tls=Hosts, record=record, check=False)
        self.other = scripted.Registry(auth=auth, tls=Hosts, record=record, check=False)

    def __enter__(self):
        self.home.start(), self.other.start()
        names = {f"{host}:{port}": self.other.address for host in HOSTS for port in (443, 8443)}
        self.proxy = proxy.Proxy({**names, f"{self.host}:443": self.home.address})
        return self

    def __exit__(self, *_):
        self.proxy.stop()
        self.home.stop(), self.other.stop()

    def inspect(self, repo, directory, realms=("other.test",), user=True):
        self.home.push(repo, "1", images.Image([images.Layer(repo)]))
        settings = f"tls: {{ca: {self.authority.certificate}}}, realms: {json.dumps(list(realms))}"
        config = dray.write_config(directory / "c.yaml", f"registries:\n  {self.host}: {{{settings}}}\n"
                                                         f"repos: [{{source: {self.host}/x, target: t.io/x}}]\n")
        auths = {"auths": {self.host: {"username": USER, "password": PASSWORD}}}
        env = {"https_proxy": f"http://{self.proxy.address}"}
        return dray.run("inspect", "--config", config, f"{self.host}/{repo}:1", cwd=directory,
                        env={**env, "DOCKER_AUTH_CONFIG": json.dumps(auths)} if user else env)


# covers: T-12, T-18, T-19, AUTH-14, P7
@pytest.mark.parametrize("realm, says", [
    ("https://evil.test/token", 'realms: ["evil.test"]'),
    ("https://evil.registry.test/token", 'realms: ["evil.registry.test"]'),
    ("https://registry.test.evil.test/token", 'realms: ["registry.test.evil.test"]'),
    ("https://registry.test:8443/token", 'realms: ["registry.test:8443"]'),
    ("https://gitlab.com/jwt/auth", 'realms: ["gitlab.com"]'),
    ("https://registry.test@evil.test/token", "a user name in it"),
    ("https://203.0.113.7/token", 'realms: ["203.0.113.7"]'),
    ("http://registry.test/token", "by https"),
    ("http://evil.test/token", "by https"),
    ("file:///etc/passwd", "neither https nor http"),
])
def test_realm_that_is_not_the_registrys_gets_no_credentials(realm, says, authority, repo, tmp_path):
    with World(authority, realm) as world:
        world.inspect(repo, tmp_path).expect(9).says("names the token server", says)
        assert not any(request.authorization for request in world.home.requests)
        assert not world.other.of()
        assert {place for _, place, _ in world.proxy.seen} == {f"{HOME}:443"}


# covers: T-12, AUTH-16
@pytest.mark.parametrize("host, realm, realms", [
    (HOME, "https://registry.test/artifactory/api/docker/x/v2/token", ["other.test"]),
    (HOME, "https://auth.test/token", ["auth.test"]),
    (HOME, "https://auth.test:8443/token", ["other.test", "auth.test:8443"]),
    (HOME, "https://registry.test:8443/token", ["registry.test:8443"]),
    ("registry.gitlab.com", "https://gitlab.com/jwt/auth", ["other.test"]),
], ids=range(5))
def test_realm_that_is_known_or_named_gets_them(host, realm, realms, authority, repo, tmp_path):
    with World(authority, realm, host) as world:
        world.inspect(repo, tmp_path, realms).expect(0)
        [token] = [request for request in world.home.requests if request.operation == "token"]
        assert f"https://{token.header('host')}{token.path}" == realm
        assert base64.b64decode(token.authorization[6:]).decode() == f"{USER}:{PASSWORD}"


# covers: T-12, TOK-19
def test_nobody_may_ask_anybody_for_a_token(authority, repo, tmp_path):
    with World(authority, "https://evil.test/token") as world:
        world.inspect(repo, tmp_path, user=False).expect(0)
        [token] = world.other.of("token")
        assert not token.authorization and "account" not in token.query


# covers: AUTH-14
def test_token_server_may_not_send_us_on(authority, repo, tmp_path):
    with World(authority, "https://registry.test/token") as world:
        world.home.on("token", scripted.redirect(307, "https://evil.test/token"))
        world.inspect(repo, tmp_path).expect(9).says("another origin")
        assert not world.other.of()


# covers: T-25
@pytest.mark.parametrize("body", [
    b'{"token":"x\\r\\nX-Evil: 1"}', b'{"token":"' + b"x" * 20000 + b'"}', b'{"token":"t","pad":"' + b"x" * (1 << 20) + b'"}',
    b'{"token":"t","expires_in":-1}', b'{"token":"t","expires_in":"60"}', b'{"token":7}', b'{"jwt":"t"}', b"<html>", b"",
], ids=range(9))
def test_hostile_reply_is_no_token(body, authority, repo, tmp_path):
    with World(authority, "https://registry.test/token") as world:
        world.home.on("token", scripted.body(body))
        world.inspect(repo, tmp_path).expect(3).says("https://registry.test/token")
        assert not any(request.has("x-evil") or "Bearer" in request.authorization for request in world.home.requests)
