"""Harbor (PROTOCOL section 23, 6): Basic is asked for as soon as there was any Authorization, and cookies are a trap."""
import json

import pytest

from conftest import PASSWORD, USER
from support import dray, images, scripted


@pytest.fixture
def harbor():
    with scripted.Registry(profile="harbor", auth=scripted.Token({USER: PASSWORD}, anonymous=())) as server:
        yield server  # no request may have a cookie: scripted/standing.py


def run(harbor, *arguments, cwd):
    auths = {"auths": {harbor.address: {"username": USER, "password": PASSWORD}}}
    return dray.run(*arguments, cwd=cwd, env={"DOCKER_AUTH_CONFIG": json.dumps(auths)})


def schemes(requests):
    return {request.authorization.partition(" ")[0] for request in requests}


# covers: AUTH-11, HTTP-3, UPL-31
@pytest.mark.parametrize("operation", ["HEAD manifest", "POST upload", "PUT blob", "PUT manifest"])
def test_expired_token_is_replaced_and_never_by_basic(harbor, operation, repo, tmp_path):
    image = images.Image([images.Layer(f"{repo} {n}") for n in range(3)])
    expired = []

    class Expires(scripted.Action):
        async def before(self, request, stream):
            expired.append(request)
            harbor.auth.revoke()

    harbor.on(operation, Expires(), nth=1)
    with scripted.Registry() as source:
        source.push(repo, "1", image)
        run(harbor, "copy", f"{source.address}/{repo}:1", f"{harbor.address}/{repo}:1", cwd=tmp_path).expect(0)
    assert expired[0].status == 401 and expired[0].authorization
    assert harbor.holds(repo, image) and harbor.tags(repo) == {"1": image.digest}
    assert schemes(request for request in harbor.requests if request.repo) == {"Bearer"}
    assert schemes(harbor.of("token")) == {"Basic"}
    assert harbor.count("token") <= 4  # of two scopes, each twice
    assert harbor.count("ping") == 1


# covers: AUTH-11, TAG-14
def test_catalog_takes_basic_alone_and_gets_it_for_that_alone(harbor, repo, tmp_path):
    for name in ("team/a", "team/b", "other/c"):
        harbor.push(name, "1", images.Image([images.Layer(f"{repo} {name}")]))
    with scripted.Registry() as target:
        run(harbor, "copy", f"{harbor.address}/team/*", f"{target.address}/mirror", cwd=tmp_path).expect(0)
        assert sorted(target.store.repositories) == ["mirror/team/a", "mirror/team/b"]
    assert harbor.of("catalog")[-1].status == 200 and schemes(harbor.of("catalog")[-1:]) == {"Basic"}
    assert schemes(request for request in harbor.requests if request.repo) == {"Bearer"}
