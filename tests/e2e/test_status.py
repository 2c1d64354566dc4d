"""What a run left behind, as status and explain tell it."""
import json
import signal
import sqlite3

import pytest

from support import dray, faulty, images
from support.processes import wait_for


def configure(directory, repo, source, target):
    return dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    target: {target.address}/{repo}
""")


def status(config, *arguments):
    return dray.run("status", "--config", config, *arguments, cwd=config.parent)


def explain(config, reference):
    return dray.run("explain", "--config", config, reference, cwd=config.parent)


@pytest.fixture
def image(source, repo):
    made = images.Image([images.Layer(f"{repo} {n}") for n in range(2)])
    images.push(source, repo, "1", made)
    return made


def test_status_tells_the_same_as_the_run_did(source, target, repo, image, tmp_path):
    config = configure(tmp_path, repo, source, target)
    first = dray.sync(config).expect(0).report
    dray.sync(config).expect(0)
    told = json.loads(status(config, "1", "--json").expect(0).stdout)
    assert told["run"] == first["run"] == "1" and told["exit_code"] == 0 and not told["running"]
    assert {key: first["images"][key] for key in told["images"]} == told["images"]
    assert {key: first["bytes"][key] for key in told["bytes"]} == told["bytes"] and told["failures"] == []
    status(config).expect(0).says("run 2", "1 unchanged", "exit 0")


def test_status_and_explain_name_what_failed_and_why(source, target, repo, image, tmp_path):
    layer = image.blobs[-1].digest
    refusing = faulty.Faulty(source.address, lambda method, path: 403 if layer in path else None)
    config = configure(tmp_path, repo, refusing, target)
    failure, = dray.sync(config).expect(5, 3, 4).report["failures"]
    told, = json.loads(status(config, "--json").expect(0).stdout)["failures"]
    for key in ("source", "target", "stage", "kind"):
        assert told[key] == failure[key]
    assert told["message"] in failure["message"]
    name = f"{refusing.address}/{repo}:1"
    status(config).says("failed: " + name, "403", failure["stage"])
    explain(config, name).expect(0).says("run 1", "failed", "403", f"{target.address}/{repo}:1")
    refusing.rule = lambda method, path: None
    dray.sync(config).expect(0)
    told = explain(config, f"{target.address}/{repo}:1").expect(0).says("holds " + image.digest).stdout
    assert told.index("run 2") < told.index("run 1"), "the latest comes first"
    refusing.stop()


def test_a_repository_that_cannot_be_listed_is_told_too(source, target, repo, tmp_path):
    config = configure(tmp_path, repo + "-none", source, target)
    dray.sync(config).expect(4)
    told, = json.loads(status(config, "--json").expect(0).stdout)["failures"]
    assert told["stage"] == "list" and told["target"] is None and told["kind"] == "not_found"


def test_status_can_be_asked_while_a_run_goes_on_and_after_it_was_killed(source, target, repo, image, tmp_path):
    hold = faulty.Hold()
    slow = faulty.Faulty(source.address, lambda method, path: hold if "/blobs/" in path and method == "GET" else None)
    config = configure(tmp_path, repo, slow, target)
    run = dray.start("sync", config, cwd=tmp_path)
    assert hold.reached.wait(20)
    wait_for(lambda: status(config).code == 0, "the run in the state, which comes within a quarter of a second")
    told = json.loads(status(config, "--json").expect(0).stdout)
    assert told["running"] and told["finished"] is None and told["exit_code"] is None
    status(config).says("running now", f"pid {run.pid}" if not dray.VALGRIND else "pid")
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_for(lambda: not json.loads(status(config, "--json").stdout)["running"], "the lock to be free")
    status(config).expect(0).says("never finished")
    hold.release.set()
    slow.stop()


def test_status_changes_nothing(source, target, repo, image, tmp_path):
    config = configure(tmp_path, repo, source, target)
    dray.sync(config).expect(0)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("c.db*")}
    status(config).expect(0)
    explain(config, f"{source.address}/{repo}:1").expect(0)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("c.db*")} == before


@pytest.mark.parametrize("arguments, says", [
    (["status"], "there is no state yet"), (["status", "0"], "is no number of a run"), (["status", "1x"], "is no number"),
    (["explain"], "explain"), (["explain", "alpine"], "there is no state yet")])
def test_what_is_not_there_is_told_in_one_line(source, target, repo, tmp_path, arguments, says):
    config = configure(tmp_path, repo, source, target)
    command, *operands = arguments
    result = dray.run(command, "--config", config, *operands, cwd=tmp_path).expect(2).says(says)
    assert len(result.stderr.splitlines()) <= 2


def test_a_file_that_is_none_of_ours_is_refused(source, target, repo, tmp_path):
    config = configure(tmp_path, repo, source, target)
    (tmp_path / "c.db").write_text("not a database, and long enough to be looked at " * 40)
    status(config).expect(2).says("not a state file of dray")
    (tmp_path / "c.db").unlink()
    with sqlite3.connect(tmp_path / "c.db") as database:
        database.executescript("PRAGMA application_id = 0x64726179; PRAGMA user_version = 99; CREATE TABLE x (y);")
    status(config).expect(2).says("newer dray")


def test_a_file_that_the_program_before_this_one_wrote_is_read_and_left_as_it_is(source, target, repo, image, tmp_path):
    config = configure(tmp_path, repo, source, target)
    dray.sync(config).expect(0)
    with sqlite3.connect(tmp_path / "c.db") as database:
        database.executescript("ALTER TABLE run ADD COLUMN config_hash TEXT NOT NULL DEFAULT ''; PRAGMA user_version = 2;")
    database.close()
    before = (tmp_path / "c.db").read_bytes()
    status(config).expect(0).says("1 copied")
    explain(config, f"{source.address}/{repo}:1").expect(0).says(image.digest)
    assert (tmp_path / "c.db").read_bytes() == before
    dray.sync(config).expect(0)
    status(config).expect(0).says("1 unchanged")


def test_looking_back_needs_no_secrets_and_none_of_the_files_of_a_run(source, target, repo, image, tmp_path):
    """Where the password is in the environment of the timer alone, and the certificate in a folder of the mirror's."""
    config = configure(tmp_path, repo, source, target)
    dray.sync(config).expect(0)
    config.write_text(config.read_text() + "registries: {r.test: {tls: {ca: gone.pem}, credentials: {username: x, "
                      "password: '${NOT_SET}'}}}\n")
    status(config).expect(0).says("1 copied")
    explain(config, f"{source.address}/{repo}:1").expect(0).says("copied after")
    dray.run("retry", "--config", config, cwd=tmp_path).expect(2).says("NOT_SET is not set", "gone.pem")
    config.write_text("version: 1\nstate: ${NOT_SET}/c.db\nrepos: [x]\n")
    status(config).expect(2).says("c.yaml:2:8: the environment variable NOT_SET is not set")
    config.write_text("version: 1\nrepos: [x]\n")
    status(config).expect(2).says("has no state")


def test_layout_is_explained_by_its_relative_path(source, repo, image, tmp_path):
    config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: '{source.address}/{repo}:1', target: 'oci:out'}}]\n")
    dray.sync(config).expect(0)
    for name in ("oci:out", "oci:./out/", f"oci:{tmp_path}/out"):
        explain(config, f"{name}:{source.address}/{repo}:1").expect(0).says("copied after")


def test_unknown_runs_and_references(source, target, repo, image, tmp_path):
    config = configure(tmp_path, repo, source, target)
    dray.sync(config).expect(0)
    status(config, "99").expect(2).says("there is no run 99")
    explain(config, "nobody/knows:this").expect(2).says("docker.io/nobody/knows:this: no run has copied it")
