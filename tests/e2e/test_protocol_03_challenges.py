"""Challenges as registries write them (PROTOCOL section 23, 3): what was understood shows in what is sent next. The whole
table of texts is tests/unit/registry/test_challenge.c."""
import json

import pytest

from conftest import PASSWORD, USER
from support import dray, images, scripted

BASIC = "Basic realm=\"x\""
BEARER = 'Bearer realm="{realm}",service="scripted"'


class Says(scripted.Token):
    """Challenges of these lines. `needs`: a scope without which a token is worth nothing."""

    def __init__(self, lines, needs=None, takes_basic=False):
        super().__init__({USER: PASSWORD}, anonymous=())
        self.lines, self.needs, self.takes_basic, self.scopes = lines, needs, takes_basic, {}

    def check(self, request, scope, habits):
        if self.takes_basic:
            return scripted.Basic(self.users).check(request, scope, habits) and self.challenge(request, scope, habits)
        if self.needs and self.needs not in self.scopes.get(request.authorization.partition(" ")[2], [self.needs]):
            return self.challenge(request, scope, habits)
        return super().check(request, scope, habits)

    def challenge(self, request, scope, habits):
        where = {"realm": f"http://{request.header('host')}/token", "host": request.header("host")}
        lines = [line.format(**where) for line in self.lines]
        return scripted.error(401, "UNAUTHORIZED", headers=[("WWW-Authenticate", line) for line in lines])

    def answer(self, request, habits):
        reply = super().answer(request, habits)
        token = json.loads(reply.body).get("token")
        self.scopes[token] = [value for name, value in request.queries if name == "scope"]
        return reply


def inspect(registry, repo, directory, user=True):
    image = images.Image([images.Layer(repo)])
    registry.push(repo, "1", image)
    auths = {"auths": {registry.address: {"username": USER, "password": PASSWORD}}}
    env = {"DOCKER_AUTH_CONFIG": json.dumps(auths)} if user else {}
    return dray.run("inspect", f"{registry.address}/{repo}:1", cwd=directory, env=env)


def schemes(registry):
    return {request.authorization.partition(" ")[0] for request in registry.of("HEAD manifest") if request.status == 200}


# covers: AUTH-5, AUTH-6, AUTH-7, AUTH-8, AUTH-9, AUTH-13, TOK-1
@pytest.mark.parametrize("lines", [
    [BASIC, BEARER],
    [BEARER, BASIC],
    [BASIC + ", " + BEARER],
    [BEARER + ", " + BASIC],
    ['Digest realm="d", nonce="a,b", Negotiate', BEARER],
    ['bearer realm={realm},service=scripted'],
    ['BEARER Realm = "{realm}" , SERVICE="scr\\ipted", error_description="a, b=\\"c\\""'],
    ['Bearer realm="/token",service="scripted'],
], ids=range(8))
def test_strongest_challenge_is_answered_with_a_token(lines, repo, tmp_path):
    with scripted.Registry(auth=Says(lines)) as registry:
        inspect(registry, repo, tmp_path).expect(0)
        [asked] = registry.of("token")
        assert schemes(registry) == {"Bearer"}
        assert asked.query["service"] == "scripted" and asked.query["scope"] == f"repository:{repo}:pull"
        assert asked.query["account"] == USER and asked.authorization.startswith("Basic ")
        assert registry.count("ping") == 1


# covers: AUTH-8, AUTH-10
@pytest.mark.parametrize("line", ["Basic", "basic", 'BASIC realm="a, Bearer realm=b"'], ids=range(3))
def test_basic_with_or_without_a_realm(line, repo, tmp_path):
    with scripted.Registry(auth=Says([line], takes_basic=True)) as registry:
        inspect(registry, repo, tmp_path).expect(0)
        assert schemes(registry) == {"Basic"} and not registry.of("token")
        inspect(registry, repo, tmp_path, user=False).expect(3).says("no credentials for", registry.address)


def scopes(registry):
    return [[value for name, value in request.queries if name == "scope"] for request in registry.of("token")]


# covers: AUTH-18, AUTH-19, TOK-3, TOK-6
@pytest.mark.parametrize("scope", ["repository:host:5000/img:pull", "registry:catalog:*", "repository(plugin):a/b:pull"],
                         ids=range(3))
def test_foreign_scope_is_passed_on_as_it_is(scope, repo, tmp_path):
    with scripted.Registry(auth=Says([f'{BEARER},scope="{scope}"'], needs=scope)) as registry:
        inspect(registry, repo, tmp_path).expect(0)
        assert scopes(registry)[:2] == [[f"repository:{repo}:pull"], [f"repository:{repo}:pull", scope]]


# covers: AUTH-19, TOK-19
@pytest.mark.parametrize("scope", ["aws", "*"])
def test_scope_that_is_wanted_of_all_is_learnt_once(scope, repo, tmp_path):
    with scripted.Registry(auth=Says([f'{BEARER},scope="{scope}"'], needs=scope)) as registry:
        inspect(registry, repo, tmp_path).expect(0)
        assert scopes(registry) == [[f"repository:{repo}:pull"], [f"repository:{repo}:pull", scope]]
        assert [request.status for request in registry.requests if request.status == 401 and request.repo] == [401]


# covers: AUTH-19, TOK-1
def test_what_a_challenge_leaves_out_is_not_asked_for(repo, tmp_path):
    with scripted.Registry(auth=Says(['Bearer realm="{realm}?keep=this",scope=""'])) as registry:
        inspect(registry, repo, tmp_path).expect(0)
        [asked] = registry.of("token")
        assert asked.queries[0] == ("keep", "this")  # AUTH-12
        assert [name for name, _ in asked.queries] == ["keep", "scope", "client_id", "account"]


# covers: AUTH-4
def test_challenge_on_success_is_none(repo, tmp_path):
    with scripted.Registry(profile="zot") as registry:
        inspect(registry, repo, tmp_path).expect(0)
        assert not registry.of("token") and not any(request.has("authorization") for request in registry.requests)


# covers: AUTH-3
def test_401_without_a_challenge_is_answered_as_the_ping_said(repo, tmp_path):
    with scripted.Registry(profile="gar", auth=scripted.Token({USER: PASSWORD})) as registry:
        registry.on("HEAD manifest", lambda request, response: registry.auth.revoke(), times=1)
        inspect(registry, repo, tmp_path).expect(0)
        assert registry.count("ping") == 1
        assert [request.status for request in registry.of("GET manifest")][:2] == [401, 200]
        assert registry.count("token") == 2


# covers: AUTH-1, AUTH-2
@pytest.mark.parametrize("ping", [200, 404, 403, 503])
def test_ping_is_not_the_last_word(ping, repo, tmp_path):
    with scripted.Registry(auth=scripted.Token({USER: PASSWORD}, anonymous=())) as registry:
        registry.on("ping", scripted.status(ping, body="<html>"))
        inspect(registry, repo, tmp_path).expect(0)
        assert [request.status for request in registry.of("HEAD manifest")] == [401, 200]


# covers: AUTH-9
def test_basic_serves_where_the_token_server_is_gone(repo, tmp_path):
    with scripted.Registry(profile="gitea", auth=scripted.Token({USER: PASSWORD}, anonymous=())) as registry:
        registry.on("token", scripted.status(404, body="<html>"))
        inspect(registry, repo, tmp_path).expect(0)
        assert schemes(registry) == {"Basic"} and registry.count("token") == 1


# covers: AUTH-15
def test_realm_of_no_known_scheme_is_told(repo, tmp_path):
    with scripted.Registry(auth=Says(['Bearer realm="null://{host}/v2/token"'])) as registry:
        inspect(registry, repo, tmp_path).expect(9).says(f"null://{registry.address}/v2/token", "neither https nor http")
        assert not any(request.has("authorization") for request in registry.requests)
