"""Nothing that a run says or leaves behind holds a secret: support/dray.py searches after each run of all these tests."""
import base64
import os
import stat
import urllib.parse

import pytest

from conftest import PASSWORD, USER
from support import canary, dray, images


# covers: T-23, TOK-23
@pytest.mark.parametrize("form", [
    PASSWORD, urllib.parse.quote(PASSWORD), urllib.parse.quote_plus(f"{USER}:{PASSWORD}"),
    *(base64.b64encode(("x" * n + f":{PASSWORD}:").encode()).decode() for n in range(3)),
    base64.urlsafe_b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
])
def test_search_finds_a_secret_in_any_form(form, tmp_path):
    assert canary.found_in(f"error: {form}, and more".encode())
    before = canary.snapshot(tmp_path)
    path = tmp_path / "a" / "state"
    path.parent.mkdir()
    path.write_bytes(b"\0" * 5000 + form.encode() + b"\xff")
    with pytest.raises(AssertionError, match="a secret is in .*state"):
        canary.search(tmp_path, before)
    canary.search(tmp_path, canary.snapshot(tmp_path))  # what the test wrote itself


# covers: T-24
def test_search_finds_a_state_that_others_may_read(tmp_path):
    path = tmp_path / "dray.db"
    path.touch(0o640)
    with pytest.raises(AssertionError, match="mode 640"):
        canary.search(tmp_path, {})
    path.chmod(0o600)
    canary.search(tmp_path, {})


# covers: T-23, T-24, TOK-23
def test_run_with_every_kind_of_secret_leaves_none(secure, source, target, repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    images.push(source, repo, "1", image)
    helper = tmp_path / "bin" / "docker-credential-e2e"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\nulimit -c >{tmp_path}/core-limit\ncat {tmp_path}/answer\n")
    helper.chmod(stat.S_IRWXU)
    (tmp_path / "answer").write_text(f'{{"Username": "{USER}", "Secret": "{PASSWORD}"}}')
    auth_file = tmp_path / "auth.json"
    auth_file.write_text(f'{{"credHelpers": {{"{secure.address}": "e2e"}}}}')
    auth_file.chmod(0o600)
    config = dray.write_config(tmp_path / "run" / "c.yaml", f"""\
auth-file: {auth_file}
registries:
{secure.settings(user=None)}
repos:
  - source: {source.address}/{repo}
    targets: [{secure.address}/{repo}]
  - source: {source.address}/{repo}:none
    targets: [{secure.address}/{repo}/none]
""")
    # modes are the run's own to see to
    result = dray.sync(config, cwd=tmp_path, umask=0, env={"PATH": f"{helper.parent}:{os.environ['PATH']}"})
    result.expect(1)
    assert secure.tokens.requests[-1][0] == USER
    assert secure.registry.manifests(repo) == {image.digest}
    assert "blob" in result.stderr  # it was verbose
    assert (tmp_path / "core-limit").read_text().strip() == "0"
    assert (tmp_path / "run" / "c.db").stat().st_mode & 0o777 == 0o600
