"""Tokens that end while they are in use (PROTOCOL section 23, 5)."""
import asyncio
import json

import pytest

from conftest import PASSWORD, USER
from support import dray, images, scripted


class TokensDie(scripted.Action):
    """When so many uploads have sent their whole body, no token is good any more: each of them gets 401 at its end."""

    def __init__(self, auth, uploads):
        self.auth, self.uploads, self.waiting, self.all_there = auth, uploads, 0, None

    async def before(self, request, stream):
        self.all_there = self.all_there or asyncio.Event()
        self.waiting += 1
        if self.waiting == self.uploads:
            self.auth.revoke()
            self.all_there.set()
        await self.all_there.wait()


@pytest.fixture
def registry():
    with scripted.Registry(auth=scripted.Token({USER: PASSWORD}, life=61, anonymous=())) as server:
        yield server


def run(registry, *arguments, cwd):
    auths = {"auths": {registry.address: {"username": USER, "password": PASSWORD}}}
    return dray.run(*arguments, cwd=cwd, env={"DOCKER_AUTH_CONFIG": json.dumps(auths)})


def scopes(registry):
    """Of each token request, those that may push."""
    asked = [[value for name, value in request.queries if name == "scope"] for request in registry.of("token")]
    return [scope for scope in asked if any("push" in part for part in scope)]


# covers: TOK-9, TOK-12, TOK-14, UPL-22, T-21, P4
def test_token_dies_under_eight_uploads(registry, repo, tmp_path):
    image = images.Image([images.Layer(f"{repo} {n}", size=200_000) for n in range(8)])
    dies = registry.on("PUT blob", TokensDie(registry.auth, 8), times=8)
    with scripted.Registry() as source:
        source.push(repo, "1", image)
        run(registry, "copy", f"{source.address}/{repo}:1", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert [source.count("GET blob", digest=blob.digest) for blob in image.blobs] == [1] * 9  # what was sent is kept
    assert dies.waiting == 8
    assert registry.holds(repo, image) and registry.tags(repo) == {"1": image.digest}
    assert scopes(registry) == [[f"repository:{repo}:pull,push"]] * 2  # one for all, and one more for all
    again = 0
    for blob in image.blobs:
        puts = registry.of("PUT blob", digest=blob.digest)
        assert [put.status for put in puts] in ([401, 201], [201])
        if len(puts) == 2:
            again += 1
            assert puts[0].path != puts[1].path  # a new session
            assert puts[0].authorization != puts[1].authorization
    assert again == 8
    assert not any("delete" in request.target for request in registry.of("token"))  # TOK-4


# covers: T-21
def test_token_that_is_valid_in_a_second_is_waited_for(repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    auth = scripted.Token({USER: PASSWORD}, anonymous=(), skew=1.0)
    with scripted.Registry(auth=auth) as registry:
        registry.push(repo, "1", image)
        run(registry, "inspect", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(0)
        heads = registry.of("HEAD manifest")
        assert [request.status for request in heads] == [401, 401, 200]
        assert heads[1].authorization == heads[2].authorization != heads[0].authorization
        assert registry.count("token") == 2


# covers: T-21, AUTH-18, TOK-13
def test_token_that_is_never_good_ends(registry, repo, tmp_path):
    registry.push(repo, "1", images.Image([images.Layer(repo)]))
    registry.on("HEAD manifest", lambda request, response: registry.auth.challenge(request, None, registry.habits))
    registry.on("GET manifest", lambda request, response: registry.auth.challenge(request, None, registry.habits))
    run(registry, "inspect", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(3).says("401", registry.address)
    assert registry.count("token") <= 2 and registry.count("HEAD manifest") <= 3


# covers: TOK-20, TOK-21
def test_wrong_password_is_told_and_nobody_is_asked_instead(registry, repo, tmp_path):
    registry.auth.anonymous = {"pull"}
    registry.push(repo, "1", images.Image([images.Layer(repo)]))
    registry.auth.users = {USER: "another"}
    run(registry, "inspect", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(3).says("wrong user name or password")
    assert all(request.authorization for request in registry.of("token"))


# covers: TOK-2, TOK-15, TOK-18
@pytest.mark.parametrize("profile", [None, "acr", "artifactory"])
def test_identity_token(profile, repo, tmp_path):
    """Posted; and where the token server knows no POST, it is the password, once."""
    secret = PASSWORD
    auth = scripted.Token({"00000000-0000-0000-0000-000000000000": secret}, anonymous=())
    auth.refresh_tokens[secret] = USER
    storage = scripted.Storage(check=False)
    with storage, scripted.Registry(profile=profile, auth=auth, storage=storage) as registry:
        image = images.Image([images.Layer(repo)])
        registry.push(repo, "1", image)
        auths = {"auths": {registry.address: {"auth": "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==",
                                              "identitytoken": secret}}}
        dray.run("inspect", f"{registry.address}/{repo}:1", cwd=tmp_path,
                 env={"DOCKER_AUTH_CONFIG": json.dumps(auths)}).expect(0)
        methods = [request.method for request in registry.of("token")]
        assert methods == (["POST"] if profile is None else ["POST", "GET"])
        assert secret not in "".join(request.target for request in registry.requests)
