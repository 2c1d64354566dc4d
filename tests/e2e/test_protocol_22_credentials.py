"""Whose credentials are used and how they are read (PROTOCOL section 23, 22). That none of them is in a log, a report or a
state file is searched for after each run: support/dray.py."""
import base64
import json
import os
import stat
import time

import pytest

from conftest import PASSWORD, USER
from support import canary, dray, images, pki, proxy, scripted

READER, READERS = "reader", canary.secret("reads:only")
KEPT = f"{USER}:{PASSWORD}"


def coded(text):
    return base64.b64encode(text.encode()).decode()


def put_auth(directory, value):
    path = directory / ".docker/config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    path.chmod(0o600)
    return path


def put_helper(directory, script, name="e2e"):
    """A credential helper; `asked` gets what it was asked."""
    path = directory / f"bin/docker-credential-{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\ncd {directory}\necho \"$1 $(cat)\" >>asked\n{script}\n")
    path.chmod(stat.S_IRWXU)
    return {"PATH": f"{path.parent}:{os.environ['PATH']}"}


def answer(user, secret):
    return "cat <<'END'\n" + json.dumps({"ServerURL": "x", "Username": user, "Secret": secret}) + "\nEND"


def asked(directory):
    return (directory / "asked").read_text().splitlines()


@pytest.fixture
def basic(repo):
    with scripted.Registry(auth=scripted.Basic({USER: PASSWORD, READER: READERS})) as server:
        server.push(repo, "1", images.Image([images.Layer(repo)]))
        yield server


@pytest.fixture
def tokens(repo):
    with scripted.Registry(auth=scripted.Token({USER: PASSWORD}, anonymous=())) as server:
        server.push(repo, "1", images.Image([images.Layer(repo)]))
        yield server


def inspect(registry, repo, directory, **env):
    return dray.run("inspect", f"{registry.address}/{repo}:1", cwd=directory, env=env)


def users(requests):
    return {base64.b64decode(request.authorization.partition(" ")[2]).decode().partition(":")[0] for request in requests}


# --- files ----------------------------------------------------------------------------------------------------------

# covers: CRED-3, CRED-5
@pytest.mark.parametrize("entry", [
    {"auth": coded(KEPT)},
    {"auth": coded(KEPT).rstrip("=")},
    {"auth": coded(KEPT + "\0\0\0")},
    {"auth": "", "username": USER, "password": PASSWORD},
], ids=["auth", "unpadded", "padded with NULs", "fields"])
@pytest.mark.parametrize("key", ["{}", "https://{}/v1/"])
def test_entry_of_a_file(key, entry, basic, repo, tmp_path):
    assert ":" in PASSWORD
    path = put_auth(tmp_path, {"auths": {key.format(basic.address): entry}, "HttpHeaders": {"Authorization": "Basic eDp5"}})
    before = path.read_bytes(), path.stat().st_mtime_ns
    inspect(basic, repo, tmp_path).expect(0)
    assert users(basic.of("HEAD manifest")) == {USER}  # CRED-13
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before  # CRED-14


# covers: CRED-3, T-20
def test_key_with_a_path_is_for_what_is_below_it(basic, repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    basic.push("team/app", "1", image)
    put_auth(tmp_path, {"auths": {f"{basic.address}/team": {"auth": coded(f"{READER}:{READERS}")},
                                  basic.address: {"auth": coded(KEPT)}}})
    dray.run("copy", f"{basic.address}/team/app:1", f"{basic.address}/teammate:1", cwd=tmp_path).expect(0)
    assert users(basic.of(repo="team/app")) == {READER}
    assert users(basic.of(repo="teammate")) == {USER}


# covers: CRED-1
def test_environment_comes_before_the_file(basic, repo, tmp_path):
    put_auth(tmp_path, {"auths": {basic.address: {"auth": coded(f"{USER}:wrong")}}})
    mine = {"auths": {basic.address: {"auth": coded(KEPT)}}}
    inspect(basic, repo, tmp_path, DOCKER_AUTH_CONFIG=json.dumps(mine)).expect(0)
    inspect(basic, repo, tmp_path).expect(3)
    inspect(basic, repo, tmp_path, DOCKER_AUTH_CONFIG=f"{{{PASSWORD}").expect(2).says("DOCKER_AUTH_CONFIG")


# covers: CRED-4, TOK-4, T-12
def test_docker_hub_by_all_its_names(repo, tmp_path):
    """And its token server, which is another host: one of the pairs that are built in."""
    authority = pki.Authority(tmp_path / "ca")

    class Hub:
        @staticmethod
        def issue(name):
            return authority.issue(name, hosts=("registry-1.docker.io", "auth.docker.io"))

    auth = scripted.Token({USER: PASSWORD}, anonymous=(), realm="https://auth.docker.io/token")
    with scripted.Registry(auth=auth, tls=Hub) as hub:
        between = proxy.Proxy({"registry-1.docker.io:443": hub.address, "auth.docker.io:443": hub.address})
        hub.push("library/thing", "1", images.Image([images.Layer(repo)]))
        config = dray.write_config(tmp_path / "c.yaml", f"registries:\n  docker.io: {{tls: {{ca: {authority.certificate}}}}}\n"
                                                        "repos: [{source: thing, target: t.io/x}]\n")
        for key in ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"):
            hub.forget()
            put_auth(tmp_path, {"auths": {key: {"auth": coded(KEPT)}}})
            dray.run("inspect", "--config", config, "thing:1", cwd=tmp_path,
                     env={"https_proxy": f"http://{between.address}"}).expect(0)
            [token] = hub.of("token")
            assert token.header("host") == "auth.docker.io" and users([token]) == {USER}
            assert {request.header("host") for request in hub.requests if request.repo} == {"registry-1.docker.io"}
        env = put_helper(tmp_path, answer(USER, PASSWORD))
        put_auth(tmp_path, {"credsStore": "e2e"})
        dray.run("inspect", "--config", config, "thing:1", cwd=tmp_path,
                 env={"https_proxy": f"http://{between.address}", **env}).expect(0)
        assert asked(tmp_path) == ["get https://index.docker.io/v1/"]
        between.stop()


# --- helpers --------------------------------------------------------------------------------------------------------

# covers: CRED-2, CRED-7
@pytest.mark.parametrize("kind", ["credHelpers", "credsStore"])
def test_helper_that_knows_nothing_leaves_it_to_the_file(kind, basic, repo, tmp_path):
    env = put_helper(tmp_path, "echo 'credentials not found in native keychain '\nexit 1")
    put_auth(tmp_path, {kind: {basic.address: "e2e"} if kind == "credHelpers" else "e2e",
                        "auths": {basic.address: {"auth": coded(KEPT)}}})
    inspect(basic, repo, tmp_path, **env).expect(0)
    put_auth(tmp_path, {kind: {basic.address: "e2e"} if kind == "credHelpers" else "e2e"})
    inspect(basic, repo, tmp_path, **env).expect(3).says("no credentials for")
    assert asked(tmp_path) == [f"get {basic.address}"] * 2


# covers: CRED-8, TOK-15
def test_helper_with_an_identity_token(tokens, repo, tmp_path):
    identity = canary.secret("identity")
    tokens.auth.refresh_tokens[identity] = USER
    env = put_helper(tmp_path, answer("<token>", identity))
    put_auth(tmp_path, {"credHelpers": {tokens.address: "e2e"}})
    inspect(tokens, repo, tmp_path, **env).expect(0)
    [token] = tokens.of("token")
    assert token.method == "POST" and f"refresh_token={identity}".encode() in token.body


# covers: CRED-9, T-22
def test_helper_that_hangs_fails_its_registry_alone(basic, repo, tmp_path):
    env = put_helper(tmp_path, "trap '' TERM INT\nsleep 1000 &\necho $! >child\nwait")
    auth_file = put_auth(tmp_path, {"credHelpers": {basic.address: "e2e"}})
    with scripted.Registry() as source:
        image = images.Image([images.Layer(repo)])
        source.push(repo, "1", image)
        config = dray.write_config(tmp_path / "c.yaml", f"""\
auth-file: {auth_file}
limits: {{helper-timeout: 1s}}
repos:
  - {{source: "{source.address}/{repo}", targets: ["{basic.address}/{repo}/copy", "{source.address}/{repo}/copy"]}}
""")
        began = time.monotonic()
        dray.sync(config, cwd=tmp_path, env=env).expect(1).says("no answer within 1 s", "docker-credential-e2e")
        assert time.monotonic() - began < 30
        assert source.holds(f"{repo}/copy", image)
    assert not basic.of(repo=f"{repo}/copy")
    with open(f"/proc/{(tmp_path / 'child').read_text().strip()}/cmdline", "rb") as child:
        assert not child.read()  # ended; who started it is gone, so it is nobody's to wait for


# covers: CRED-10, T-22
@pytest.mark.parametrize("script, says", [
    ("echo 'the vault\033[2J is sealed'; exit 1", "the vault\\x1b[2j is sealed"),
    ("echo '{\"Username\": \"u\"'", "did not answer with"),
    ("exec yes", "more than"),
    (None, "not in path"),
], ids=["fails", "half", "endless", "missing"])
def test_helper_that_fails_is_told_and_nothing_else_is_tried(script, says, basic, repo, tmp_path):
    env = put_helper(tmp_path, script) if script else {}
    put_auth(tmp_path, {"credHelpers": {basic.address: "e2e"}, "auths": {basic.address: {"auth": coded(KEPT)}}})
    inspect(basic, repo, tmp_path, **env).expect(3).says(basic.address, says)
    assert not any(request.has("authorization") for request in basic.requests)


# covers: CRED-10
def test_store_that_is_not_installed_is_warned_of(basic, repo, tmp_path):
    put_auth(tmp_path, {"credsStore": "nowhere", "auths": {basic.address: {"auth": coded(KEPT)}}})
    dray.run("copy", f"{basic.address}/{repo}:1", f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0).says(
        "docker-credential-nowhere", "not in PATH")


# covers: CRED-11, CRED-14
@pytest.mark.parametrize("kind", ["basic", "tokens"])
def test_password_that_grew_old_is_asked_for_again_once(kind, repo, tmp_path, request):
    registry = request.getfixturevalue(kind)
    env = put_helper(tmp_path, f"[ $(grep -c '' asked) = 1 ] && set -- old\n[ $1 = old ] && {answer(USER, 'old')}\n"
                               f"[ $1 = old ] || {answer(USER, PASSWORD)}")
    put_auth(tmp_path, {"credHelpers": {registry.address: "e2e"}})
    inspect(registry, repo, tmp_path, **env).expect(0)
    assert asked(tmp_path) == [f"get {registry.address}"] * 2
    env = put_helper(tmp_path, answer(USER, "wrong"))
    (tmp_path / "asked").unlink()
    registry.forget()
    inspect(registry, repo, tmp_path, **env).expect(3)
    assert asked(tmp_path) == [f"get {registry.address}"] * 2
    refused = [r for r in registry.requests if r.authorization.startswith("Basic") and r.status == 401]
    assert len(refused) <= 3


# --- whose token ----------------------------------------------------------------------------------------------------

# covers: T-20, TOK-11
def test_source_and_target_on_one_host_share_no_token(repo, tmp_path):
    auth = scripted.Token({USER: PASSWORD, READER: READERS}, anonymous=())
    with scripted.Registry(auth=auth) as registry:
        made = {str(n): images.Image([images.Layer(f"{repo} {n}")]) for n in range(20)}
        for tag, image in made.items():
            registry.push("from/app", tag, image)
        put_auth(tmp_path, {"auths": {f"{registry.address}/from": {"auth": coded(f"{READER}:{READERS}")},
                                      f"{registry.address}/to": {"auth": coded(KEPT)}}})
        dray.run("copy", f"{registry.address}/from/app:*", f"{registry.address}/to/app", cwd=tmp_path).expect(0)
        assert registry.tags("to/app") == {tag: image.digest for tag, image in made.items()}
        for place, user in (("from/app", READER), ("to/app", USER)):
            who = {auth.owners[r.authorization.partition(" ")[2]] for r in registry.of(repo=place) if r.authorization}
            assert who == {user}
        for token in registry.of("token"):
            pushes = any("push" in value for name, value in token.queries if name == "scope")
            assert users([token]) == {USER} or not pushes
