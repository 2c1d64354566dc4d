"""Whose credentials are used: docker's, podman's, a helper's, the configuration's. Both registries here want Basic."""
import base64
import json
import os
import stat

import pytest

from conftest import PASSWORD, USER
from support import dray, images

GOOD = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
BAD = base64.b64encode(f"{USER}:wrong".encode()).decode()


@pytest.fixture
def image(basic, repo):
    made = images.Image([images.Layer(repo)])
    images.push(basic, repo, "1", made)
    return made


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    path.chmod(0o600)
    return path


def auths(host, auth=GOOD):
    return {"auths": {host: {"auth": auth}}}


def copy(basic, repo, directory, **env):
    return dray.run("copy", f"{basic.address}/{repo}:1", f"{basic.address}/{repo}/copy:1", cwd=directory, env=env)


def test_none(basic, repo, image, tmp_path):
    copy(basic, repo, tmp_path).expect(3).says(basic.address)


def test_docker_config_of_the_home(basic, repo, image, tmp_path):
    put(tmp_path / ".docker/config.json", auths(basic.address))
    copy(basic, repo, tmp_path).expect(0)
    assert basic.manifests(f"{repo}/copy") == {image.digest}


def test_docker_config_elsewhere(basic, repo, image, tmp_path):
    put(tmp_path / "d/config.json", auths(f"https://{basic.address}/v1/"))
    copy(basic, repo, tmp_path, DOCKER_CONFIG=str(tmp_path / "d")).expect(0)


def test_podman_auth_file(basic, repo, image, tmp_path):
    put(tmp_path / "run/containers/auth.json", auths(basic.address))
    copy(basic, repo, tmp_path, XDG_RUNTIME_DIR=str(tmp_path / "run")).expect(0)


def test_podman_auth_file_for_one_namespace(basic, repo, image, tmp_path):
    put(tmp_path / "a.json", {"auths": {f"{basic.address}/e2e": {"auth": GOOD}, basic.address: {"auth": BAD}}})
    copy(basic, repo, tmp_path, REGISTRY_AUTH_FILE=str(tmp_path / "a.json")).expect(0)


def test_first_file_wins(basic, repo, image, tmp_path):
    put(tmp_path / "a.json", auths(basic.address, BAD))
    put(tmp_path / ".docker/config.json", auths(basic.address))
    copy(basic, repo, tmp_path, REGISTRY_AUTH_FILE=str(tmp_path / "a.json")).expect(3)


def test_credentials_of_another_port_are_not_ours(basic, repo, image, tmp_path):
    put(tmp_path / ".docker/config.json", auths(f"127.0.0.1:{basic.port + 1}"))
    copy(basic, repo, tmp_path).expect(3)


def helper(directory, answer, code=0):
    """A credential helper that notes what it was asked."""
    path = directory / "bin/docker-credential-e2e"
    path.parent.mkdir()
    (directory / "answer").write_text(answer)
    path.write_text(f"""\
#!/bin/sh
echo "$@" >{directory}/asked
cat >>{directory}/asked
cat {directory}/answer
exit {code}
""")
    path.chmod(stat.S_IRWXU)
    return {"PATH": f"{path.parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize("kind", ["credHelpers", "credsStore"])
def test_helper(kind, basic, repo, image, tmp_path):
    env = helper(tmp_path, json.dumps({"ServerURL": basic.address, "Username": USER, "Secret": PASSWORD}))
    put(tmp_path / ".docker/config.json", {kind: {basic.address: "e2e"} if kind == "credHelpers" else "e2e"})
    copy(basic, repo, tmp_path, **env).expect(0)
    assert (tmp_path / "asked").read_text().split() == ["get", basic.address]


def test_helper_that_fails_is_told(basic, repo, image, tmp_path):
    env = helper(tmp_path, "the vault is sealed", code=1)
    put(tmp_path / ".docker/config.json", {"credHelpers": {basic.address: "e2e"}})
    copy(basic, repo, tmp_path, **env).expect(3).says("the vault is sealed")


def test_helper_that_knows_nothing_means_anonymous(basic, target, repo, image, tmp_path):
    images.push(target, repo, "1", image)
    env = helper(tmp_path, "credentials not found in native keychain", code=1)
    put(tmp_path / ".docker/config.json", {"credsStore": "e2e"})
    dray.run("copy", f"{target.address}/{repo}:1", f"{target.address}/{repo}/copy:1", cwd=tmp_path, env=env).expect(0)


def test_configuration_comes_first(basic, repo, image, tmp_path):
    put(tmp_path / ".docker/config.json", auths(basic.address, BAD))
    config = dray.write_config(tmp_path / "c.yaml", f"""\
registries:
  {basic.address}:
    credentials: {{username: {USER}, password: "${{SECRET}}"}}
repos:
  - source: {basic.address}/{repo}:1
    targets: [{basic.address}/{repo}/copy]
""")
    dray.sync(config, env={"SECRET": PASSWORD}).expect(0)
    assert basic.manifests(f"{repo}/copy") == {image.digest}


def test_file_that_is_not_json(basic, repo, image, tmp_path):
    path = put(tmp_path / ".docker/config.json", {})
    path.write_text("{not json")
    result = copy(basic, repo, tmp_path).says("config.json")
    assert result.code not in (0, 70), result
