"""The state file: whose it is, and what it is worth."""
import sqlite3
import threading

import pytest

from support import dray, images


def configure(directory, source, target, repo, more=""):
    return dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    target: {target.address}/{repo}
{more}""")


def gallery(source, repo, count):
    made = {f"{n}": images.Image([images.Layer(f"{repo} base"), images.Layer(f"{repo} {n}")], label=f"{n}") for n in range(count)}
    pusher = images.Pusher(source)
    for tag, image in made.items():
        pusher.push(repo, tag, image)
    return made


def query(config, text):
    with sqlite3.connect(config.with_suffix(".db")) as state:
        return state.execute(text).fetchall()


# covers: T-63, T-65
@pytest.mark.parametrize("make, words", [
    (lambda path: path.write_text("dear diary"), "not a state file of dray"),
    (lambda path: sqlite3.connect(path).execute("CREATE TABLE bookmark (url)").connection.commit(), "not a state file of dray"),
    (lambda path: sqlite3.connect(path).executescript("PRAGMA application_id = 0x64726179; PRAGMA user_version = 9999; CREATE TABLE x (y)"),
     "newer dray"),
], ids=["text", "another program's", "newer"])
def test_state_that_is_not_ours_is_refused_and_left(source, target, repo, tmp_path, make, words):
    config = configure(tmp_path, source, target, repo)
    state = config.with_suffix(".db")
    make(state)
    before, asked = state.read_bytes(), source.log()
    result = dray.sync(config).expect(2).says(words, str(state))
    assert state.read_bytes() == before and not source.log().since(asked), "nothing is contacted"
    assert result.stdout == ""


# covers: T-63
def test_damaged_state_is_moved_aside_and_the_run_does_its_work(source, target, repo, tmp_path):
    made = gallery(source, repo, 2)
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    state = config.with_suffix(".db")
    state.write_bytes(b"\0" * 4096 + state.read_bytes()[4096:])
    report = dray.sync(config).expect(0).says("was damaged", "corrupt-").report
    assert report["images"]["unchanged"] == len(made)
    assert len(list(tmp_path.glob("c.db.corrupt-*Z"))) == 1
    assert query(config, "SELECT count(*) FROM run") == [(1,)]


# covers: T-61
def test_state_that_says_done_is_not_believed_and_its_loss_costs_nothing_but_time(source, target, repo, tmp_path):
    made = gallery(source, repo, 12)
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    target.may_lose = True
    pusher = images.Pusher(target)
    for tag in list(made)[:4]:
        pusher._request(repo, "DELETE", f"/v2/{repo}/manifests/{made[tag].digest}")
    report = dray.sync(config).expect(0).report
    assert report["images"]["copied"] == 4 and report["images"]["unchanged"] == 8
    assert target.tags(repo) == {tag: image.digest for tag, image in made.items()}
    config.with_suffix(".db").unlink()
    report = dray.sync(config).expect(0).report
    assert report["images"]["unchanged"] == 12 and report["blobs"]["uploaded"] == 0


def test_job_rows_tell_attempts_and_cost(source, target, repo, tmp_path):
    made = gallery(source, repo, 1)
    config = configure(tmp_path, source, target, repo)
    path = source.blob_path(made["0"].layers[1].digest)
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"?")
    for _ in range(2):
        dray.sync(config).expect(4)
    path.write_bytes(good)
    dray.sync(config).expect(0)
    sizes = {blob.digest: len(blob.data) for blob in made["0"].blobs}
    rows = query(config, "SELECT outcome, attempts, bytes FROM job ORDER BY run")
    assert [row[:2] for row in rows] == [("failed", 1), ("failed", 2), ("copied", 3)]
    assert sum(row[2] for row in rows) == sum(sizes.values()), "what arrived in an earlier run is not sent again"


def test_as_many_runs_are_kept_as_the_configuration_says(source, target, repo, tmp_path):
    gallery(source, repo, 1)
    config = configure(tmp_path, source, target, repo, "keep-runs: 2\n")
    for _ in range(4):
        dray.sync(config).expect(0)
    assert query(config, "SELECT id FROM run ORDER BY id") == [(3,), (4,)]


# covers: T-66
def test_readers_beside_runs_harm_neither_and_no_write_ahead_log_is_ever_used(source, target, repo, tmp_path):
    gallery(source, repo, 6)
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    over, looks, wrong = threading.Event(), 0, []

    def look():
        nonlocal looks
        while not over.is_set():
            for arguments in (["status"], ["explain", f"{source.address}/{repo}:1"]):
                told = dray.run(*arguments, "--config", config, cwd=tmp_path)
                looks += 1
                wrong.extend([str(told)] if told.code else [])
            wrong.extend(str(path) for path in tmp_path.glob("c.db-*") if path.name != "c.db-journal")
    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(8):
        for tag in range(3):
            images.push(source, repo, f"{tag}", images.Image([images.Layer(f"{repo} {number} {tag}")]))
        assert dray.sync(config).expect(0).report["images"]["copied"] == 3
    over.set()
    for reader in readers:
        reader.join()
    assert not wrong and looks > 10, wrong[:3]
    assert query(config, "PRAGMA integrity_check") == [("ok",)] and query(config, "PRAGMA journal_mode") == [("delete",)]


# covers: T-66
def test_a_state_that_somebody_gave_a_write_ahead_log_has_none_after_the_next_run(source, target, repo, tmp_path):
    gallery(source, repo, 1)
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    with sqlite3.connect(config.with_suffix(".db")) as state:
        assert state.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    state.close()
    assert dray.sync(config).expect(0).report["images"]["unchanged"] == 1
    assert query(config, "PRAGMA journal_mode") == [("delete",)] and query(config, "SELECT count(*) FROM run") == [(2,)]
    assert not list(tmp_path.glob("c.db-wal"))
