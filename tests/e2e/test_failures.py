"""What an operator gets wrong, or the world does: a clear message, the right exit code, and no name at the target."""
import socket

import pytest

from conftest import PASSWORD, PASSWORD_OF_READER
from support import dray, faulty, images, pki


@pytest.fixture
def closed_port():
    """An address where nobody listens, and nobody will while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo)])


def configure(directory, source, *targets, registries=""):
    return dray.write_config(directory / "c.yaml", f"""\
{registries and 'registries:'}
{registries}
repos:
  - source: {source}
    targets: [{', '.join(repr(str(t)) for t in targets)}]
""")


def only_failure(result, repo):
    failures = result.report["failures"]
    assert len(failures) == 1, result
    assert repo in failures[0]["source"], result
    assert failures[0]["message"] and failures[0]["stage"], result
    return failures[0]


# --- who we are ----------------------------------------------------------------------------------------------------

def test_wrong_password_at_a_token_server(secure, target, repo, image, tmp_path):
    images.push(secure.registry, repo, "1", image)
    config = configure(tmp_path, f"{secure.address}/{repo}:1", f"{target.address}/{repo}",
                       registries=secure.settings(password="wrong"))
    result = dray.sync(config).expect(3)
    assert only_failure(result, repo)["kind"] == "unauthorized"
    assert not target.manifests(repo)


def test_no_password_at_a_token_server(secure, target, repo, image, tmp_path):
    images.push(secure.registry, repo, "1", image)
    config = configure(tmp_path, f"{secure.address}/{repo}:1", f"{target.address}/{repo}",
                       registries=secure.settings(user=None))
    dray.sync(config).expect(3)


def test_anonymous_pull_where_it_is_allowed(secure, target, repo, image, tmp_path):
    images.push(secure.registry, f"public/{repo}", "1", image)
    config = configure(tmp_path, f"{secure.address}/public/{repo}:1", f"{target.address}/{repo}",
                       registries=secure.settings(user=None))
    dray.sync(config).expect(0)
    assert target.manifests(repo) == {image.digest}


def test_wrong_password_at_a_basic_registry(basic, target, repo, image, tmp_path):
    images.push(basic, repo, "1", image)
    settings = f"  {basic.address}:\n    credentials: {{username: mirror, password: not-the-one}}\n"
    config = configure(tmp_path, f"{basic.address}/{repo}:1", f"{target.address}/{repo}", registries=settings)
    result = dray.sync(config).expect(3)
    assert only_failure(result, repo)["kind"] == "unauthorized"
    assert "not-the-one" not in result.stderr + result.stdout


def test_no_permission_to_push_with_tokens(source, secure, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    config = configure(tmp_path, f"{source.address}/{repo}:1", f"{secure.address}/{repo}",
                       registries=secure.settings("reader", PASSWORD_OF_READER))
    result = dray.sync(config).expect(3)
    assert secure.address in only_failure(result, repo)["target"]
    assert not secure.registry.manifests(repo)


def test_push_that_is_forbidden(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    proxy = faulty.Faulty(target.address, lambda method, path: 403 if method in ("POST", "PUT", "PATCH") else None)
    try:
        config = configure(tmp_path, f"{source.address}/{repo}:1", f"{proxy.address}/{repo}")
        result = dray.sync(config).expect(5)
        assert only_failure(result, repo)["kind"] == "denied"
        assert not target.manifests(repo)
    finally:
        proxy.stop()


def test_pull_that_is_forbidden_is_not_taken_for_gone(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    proxy = faulty.Faulty(source.address, lambda method, path: 403 if "/manifests/" in path else None)
    try:
        result = dray.sync(configure(tmp_path, f"{proxy.address}/{repo}:1", f"{target.address}/{repo}"))
        assert only_failure(result, repo)["kind"] == "denied"
        result.expect(3)
    finally:
        proxy.stop()


# --- where it is ---------------------------------------------------------------------------------------------------

def test_wrong_certificate_authority(secure, target, repo, image, tmp_path):
    images.push(secure.registry, repo, "1", image)
    other = pki.Authority(tmp_path / "other", "somebody else")
    config = configure(tmp_path, f"{secure.address}/{repo}:1", f"{target.address}/{repo}",
                       registries=secure.settings(password=PASSWORD, ca=other.certificate))
    result = dray.sync(config).expect(9).says("certificate")
    assert only_failure(result, repo)["kind"] == "refused"
    assert not target.manifests(repo)
    assert not [r for r in secure.tokens.requests if repo in str(r)]


def test_wrong_certificate_authority_wins_over_what_went_well(source, secure, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    other = pki.Authority(tmp_path / "other", "somebody else")
    config = configure(tmp_path, f"{source.address}/{repo}:1", f"{target.address}/{repo}", f"{secure.address}/{repo}",
                       registries=secure.settings(password=PASSWORD, ca=other.certificate))
    dray.sync(config).expect(9)
    assert target.manifests(repo) == {image.digest}


@pytest.mark.parametrize("host", ["closed port", "no such name"])
def test_source_that_cannot_be_reached(host, closed_port, target, repo, tmp_path):
    address = closed_port if host == "closed port" else "no-such-host.invalid:5000"
    result = dray.sync(configure(tmp_path, f"{address}/{repo}:1", f"{target.address}/{repo}"), seconds=100)
    result.expect(8).says(address.partition(":")[0])
    assert only_failure(result, repo)["kind"] in ("unavailable", "timeout")


def test_target_that_cannot_be_reached_holds_up_no_other(source, target, closed_port, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    config = configure(tmp_path, f"{source.address}/{repo}:1", f"{closed_port}/{repo}", f"{target.address}/{repo}")
    result = dray.sync(config, seconds=100).expect(1)
    assert closed_port in only_failure(result, repo)["target"]
    assert target.manifests(repo) == {image.digest}


def test_unknown_repository(source, target, repo, tmp_path):
    for name in (f"{source.address}/{repo}", f"{source.address}/{repo}:1"):
        result = dray.sync(configure(tmp_path, name, f"{target.address}/{repo}")).expect(4)
        assert only_failure(result, repo)["kind"] == "not_found"


def test_unknown_repository_beside_good_ones_is_partial(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}/none
    targets: [{target.address}/{repo}/none]
  - source: {source.address}/{repo}
    targets: [{target.address}/{repo}]
""")
    dray.sync(config).expect(1)
    assert target.manifests(repo) == {image.digest}


def test_tag_that_does_not_exist(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    result = dray.sync(configure(tmp_path, f"{source.address}/{repo}:2", f"{target.address}/{repo}")).expect(4)
    failure = only_failure(result, repo)
    assert failure["kind"] == "not_found" and failure["source"].endswith(":2")


# --- the local side ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("place", ["below a file", "where nobody can write"])
def test_layout_that_cannot_be_made(place, source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    (tmp_path / "file").write_text("in the way")
    layout = tmp_path / "file/layout" if place == "below a file" else "/proc/dray-e2e-layout"
    config = configure(tmp_path, f"{source.address}/{repo}:1", f"oci:{layout}")
    dray.sync(config).expect(6).says(str(layout))


def test_full_disk_below_a_layout_harms_no_other_target(source, target, repo, tmp_path):
    small, large = images.Image([images.Layer(repo)]), images.Image([images.Layer(f"{repo} large", 6 << 20)])
    images.push(source, repo, "small", small)
    images.push(source, repo, "large", large)
    layout = tmp_path / "layout"
    config = configure(tmp_path, f"{source.address}/{repo}", f"{target.address}/{repo}", f"oci:{layout}")
    # No file may grow above 1 MiB: EFBIG in the middle of a blob is what a full disk is, and needs no mount.
    full = dray.finish(dray.start("sync", config, "--json", cwd=tmp_path, prefix=["prlimit", f"--fsize={1 << 20}"],
                                  restore_signals=False))
    full.expect(6)
    assert target.manifests(repo) == {small.digest, large.digest}
    assert not [n for n in images.read_layout(layout) if n.endswith(":large")]
    assert not (layout / "blobs/sha256" / large.layers[0].digest[7:]).exists()
    dray.sync(config).expect(0)
    images.check_layout(layout)
    assert len(images.read_layout(layout)) == 2


def test_state_file_that_cannot_be_made(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    config = configure(tmp_path, f"{source.address}/{repo}:1", f"{target.address}/{repo}")
    config.write_text(config.read_text().replace("state: ", "state: /proc/no-such-folder/"))
    dray.sync(config).expect(6).says("/proc/no-such-folder")
    assert not target.manifests(repo)


def test_state_file_that_is_damaged_is_moved_aside(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    config = configure(tmp_path, f"{source.address}/{repo}:1", f"{target.address}/{repo}")
    state = config.with_suffix(".db")
    dray.sync(config).expect(0)
    damaged = state.read_bytes()[:4096] + b"\xa5" * (state.stat().st_size - 4096)
    state.write_bytes(damaged)
    dray.sync(config).expect(0).says("damaged")
    assert state.read_bytes().startswith(b"SQLite format 3\0")
    aside = [p for p in tmp_path.glob("c.db?*") if p.read_bytes() == damaged]
    assert len(aside) == 1


def test_state_file_that_is_something_else_is_left_alone(source, target, repo, image, tmp_path):
    images.push(source, repo, "1", image)
    config = configure(tmp_path, f"{source.address}/{repo}:1", f"{target.address}/{repo}")
    state = config.with_suffix(".db")
    state.write_text("somebody's notes\n" * 1000)
    dray.sync(config).expect(2).says(str(state))
    assert state.read_text() == "somebody's notes\n" * 1000
    assert not target.manifests(repo)

