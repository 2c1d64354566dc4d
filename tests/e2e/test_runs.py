"""A run as a whole: its report, its state, its end by a signal, and where it is started from."""
import fcntl
import os
import re
import signal
import subprocess

import pytest

from support import dray, faulty, images
from support.processes import wait_for

KEYS = {
    None: {"run", "started", "finished", "duration_ms", "exit_code", "images", "blobs", "bytes", "requests", "verified",
           "failures", "warnings", "quotas"},
    "images": {"total", "copied", "unchanged", "failed", "gone"},
    "blobs": {"unique", "downloaded", "reread", "uploaded", "mounted", "present", "unproven"},
    "bytes": {"downloaded", "uploaded"},
    "verified": {"digests", "diff_ids", "diff_ids_remembered"},
}


@pytest.fixture
def image(source, repo):
    made = images.Image([images.Layer(f"{repo} {n}") for n in range(2)])
    images.push(source, repo, "1", made)
    return made


@pytest.fixture
def held(source):
    """The source behind a proxy that stops in the middle of a blob when `digest` is set."""
    hold = faulty.Hold()
    proxy = faulty.Faulty(source.address)
    proxy.hold, proxy.digest = hold, None
    proxy.rule = lambda method, path: hold if method == "GET" and proxy.digest and proxy.digest in path else None
    yield proxy
    hold.release.set()
    proxy.stop()


def configure(directory, source, target, repo, more=""):
    return dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    targets: [{target.address}/{repo}]
{more}""")


# --- what is told --------------------------------------------------------------------------------------------------

def test_report_has_its_keys_and_stdout_nothing_else(source, target, repo, image, tmp_path):
    report = dray.sync(configure(tmp_path, source, target, repo)).expect(0).report
    for part, keys in KEYS.items():
        found = report if part is None else report[part]
        assert keys <= set(found), f"{part}: {keys - set(found)} is missing"
    assert report["exit_code"] == 0 and report["duration_ms"] >= 0
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", report["started"]) and report["started"] <= report["finished"]
    assert report["requests"]
    assert report["bytes"]["uploaded"] == report["bytes"]["downloaded"] == sum(len(b.data) for b in image.blobs)
    assert report["blobs"]["unique"] == report["blobs"]["uploaded"] == 3
    assert report["verified"]["diff_ids"] == 2


def test_report_of_a_failure_has_its_keys(source, target, repo, tmp_path):
    report = dray.sync(configure(tmp_path, source, target, repo)).expect(4).report
    assert report["exit_code"] == 4 and report["images"]["copied"] == 0
    assert {"source", "target", "stage", "kind", "message"} <= set(report["failures"][0])


def test_one_line_per_image_where_there_is_no_terminal(source, target, repo, image, tmp_path):
    images.push(source, repo, "2", image)
    config = configure(tmp_path, source, target, repo)
    result = dray.run("sync", config, cwd=tmp_path, verbose=False).expect(0)
    lines = (result.stdout + result.stderr).splitlines()
    for tag in "12":
        assert len([line for line in lines if f"{repo}:{tag}" in line]) == 1, result
    assert "\x1b" not in result.stdout + result.stderr


def test_dry_run_changes_nothing(source, target, repo, image, tmp_path):
    before = source.log(), target.log()
    result = dray.sync(configure(tmp_path, source, target, repo), "--dry-run").expect(0)
    assert result.report["images"]["total"] == 1 and result.report["images"]["copied"] == 0
    assert not source.log().since(before[0]).of("GET", "blobs")
    assert not [r for r in target.log().since(before[1]) if r.method not in ("GET", "HEAD")]
    assert dray.sync(configure(tmp_path, source, target, repo)).expect(0).report["images"]["copied"] == 1


def test_dry_run_tells_what_would_fail(source, target, repo, tmp_path):
    config = configure(tmp_path, source, target, repo)
    config.write_text(config.read_text().replace(f"{repo}\n", f"{repo}:none\n", 1))
    report = dray.sync(config, "--dry-run").expect(4).report
    assert report["images"]["failed"] == 1 and len(report["failures"]) == 1


# --- what is remembered --------------------------------------------------------------------------------------------

def test_proven_diff_ids_are_remembered(source, target, repo, image, tmp_path):
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    newer = images.Image([image.layers[0], images.Layer(f"{repo} newer")])
    images.push(source, repo, "2", newer)
    report = dray.sync(config).expect(0).report
    assert report["images"]["unchanged"] == report["images"]["copied"] == 1
    assert report["verified"]["diff_ids"] == 1 and report["verified"]["diff_ids_remembered"] == 1
    assert report["blobs"]["unproven"] == 0 and report["blobs"]["downloaded"] == 2


def test_what_only_the_target_vouches_for_is_told_as_unproven(source, target, repo, image, tmp_path):
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    config.with_suffix(".db").unlink()
    images.push(source, repo, "2", images.Image([image.layers[0], images.Layer(f"{repo} newer")]))
    report = dray.sync(config).expect(0).report
    assert report["blobs"]["unproven"] == 1 and report["blobs"]["downloaded"] == 2


def test_state_is_never_believed_about_a_target(source, target, repo, image, tmp_path):
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    pusher = images.Pusher(target)
    pusher._request(repo, "DELETE", f"/v2/{repo}/manifests/{image.digest}")
    assert dray.sync(config).expect(0).report["images"]["copied"] == 1
    assert target.holds_tag(repo, "1")


def test_shared_layer_is_mounted_from_where_an_earlier_run_put_it(source, target, repo, image, tmp_path):
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    images.push(source, f"{repo}/other", "1", images.Image([image.layers[0], images.Layer(f"{repo} other")]))
    before = target.log()
    config = configure(tmp_path, source, target, f"{repo}/other")
    assert dray.sync(config).expect(0).report["blobs"]["mounted"] == 1
    assert len(target.log().since(before).mounts()) == 1


def test_tag_that_moved_at_the_source_moves(source, target, repo, image, tmp_path):
    config = configure(tmp_path, source, target, repo)
    dray.sync(config).expect(0)
    newer = images.Image([images.Layer(f"{repo} newer")])
    images.push(source, repo, "1", newer)
    dray.sync(config).expect(0)
    head = images.Pusher(target)._request(repo, "HEAD", f"/v2/{repo}/manifests/1", headers={"Accept": images.MANIFEST})
    assert head.headers["Docker-Content-Digest"] == newer.digest


# --- one at a time, and how it ends --------------------------------------------------------------------------------

def test_second_run_on_the_same_state_is_refused(held, target, repo, image, tmp_path):
    held.digest = image.layers[1].digest
    config = configure(tmp_path, held, target, repo)
    first = dray.start("sync", config, "--json", cwd=tmp_path)
    assert held.hold.reached.wait(60)
    dray.sync(config).expect(7).says(str(first.pid))
    held.hold.release.set()
    dray.finish(first).expect(0)
    dray.sync(config).expect(0)


def test_what_failed_before_a_signal_is_told(source, held, target, repo, image, tmp_path):
    refusing = faulty.Faulty(target.address, lambda method, path: 401)
    held.digest = image.layers[0].digest
    config = configure(tmp_path, held, target, repo)
    config.write_text(config.read_text().replace("targets: [", f"targets: [{refusing.address}/{repo}, "))
    running = dray.start("sync", config, "--json", "--grace", "0s", cwd=tmp_path)
    assert held.hold.reached.wait(60)
    running.send_signal(signal.SIGTERM)
    stopped = dray.finish(running, 30).expect(128 + signal.SIGTERM)
    refusing.stop()
    assert [failure["kind"] for failure in stopped.report["failures"]] == ["unauthorized"]
    assert stopped.report["images"]["failed"] == 1 and stopped.report["images"]["stopped"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_stops_at_a_checkpoint(number, held, target, repo, tmp_path, source):
    image = images.Image([images.Layer(f"{repo} small"), images.Layer(f"{repo} large", 3 << 20)])
    images.push(source, repo, "1", image)
    small, large = (layer.digest for layer in image.layers)
    held.digest = large
    config = configure(tmp_path, held, target, repo)
    running = dray.start("sync", config, "--json", "--grace", "0s", cwd=tmp_path)
    assert held.hold.reached.wait(60)
    wait_for(target.blob_path(small).exists, "the small layer")
    running.send_signal(number)
    stopped = dray.finish(running, 30).expect(128 + number)
    assert stopped.report["exit_code"] == 128 + number
    assert not target.manifests(repo)
    held.digest = None
    dray.sync(config).expect(0)
    assert target.manifests(repo) == {image.digest}
    assert len([path for method, path in held.requests if method == "GET" and small in path]) == 1


def test_second_signal_leaves_at_once(held, source, target, repo, tmp_path):
    small, large = (images.Image([images.Layer(f"{repo} {size}", size)]) for size in (9999, 3 << 20))
    images.push(source, repo, "small", small)
    images.push(source, repo, "large", large)
    held.digest = large.layers[0].digest
    layout = tmp_path / "layout"
    images.write_layout(layout, {})
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {held.address}/{repo}
    targets: [{target.address}/{repo}, 'oci:{layout}']
""")
    directory = os.open(layout, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # so that what writes there has to wait
        running = dray.start("sync", config, "--grace", "0s", cwd=tmp_path)
        assert held.hold.reached.wait(60)
        wait_for((layout / "blobs/sha256" / small.digest[7:]).exists, "the layout to be written")
        wait_for(lambda: target.holds_tag(repo, "small"), "the small image")
        running.send_signal(signal.SIGINT)
        assert held.hold.left.wait(60), "the first one is heard: the download is given up"
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(1)  # what writes is not
        running.send_signal(signal.SIGINT)
        dray.finish(running, 2).expect(130)
    finally:
        os.close(directory)
    held.digest = None
    dray.sync(config).expect(0)
    images.check_layout(layout)
    assert target.tags(repo) == {"small": small.digest, "large": large.digest}


def test_killed_run_leaves_nothing_half_done(held, target, repo, image, tmp_path):
    held.digest = image.layers[1].digest
    layout = tmp_path / "layout"
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {held.address}/{repo}
    targets: [{target.address}/{repo}, 'oci:{layout}']
""")
    running = dray.start("sync", config, "--json", cwd=tmp_path)
    assert held.hold.reached.wait(60)
    running.kill()
    running.communicate()
    assert not target.manifests(repo)
    held.digest = None
    dray.sync(config).expect(0)
    assert target.manifests(repo) == {image.digest}
    images.check_layout(layout)


# --- both ways at once ---------------------------------------------------------------------------------------------

SLOTS = "    blob-slots: 1\n"


def test_two_registries_that_mirror_each_other_with_one_slot_each(source, target, repo, tmp_path):
    to, back = ({f"{way}{n}": images.Image([images.Layer(f"{repo} {way} {n} {i}", 500_000) for i in range(3)])
                 for n in range(4)} for way in ("to", "back"))
    for tag in to:
        images.push(source, f"{repo}/to", tag, to[tag])
    for tag in back:
        images.push(target, f"{repo}/back", tag, back[tag])
    config = dray.write_config(tmp_path / "c.yaml", f"""\
registries:
  {source.address}:
{SLOTS}  {target.address}:
{SLOTS}repos:
  - source: {source.address}/{repo}/to
    targets: [{target.address}/{repo}/to]
  - source: {target.address}/{repo}/back
    targets: [{source.address}/{repo}/back]
""")
    dray.sync(config, seconds=60).expect(0)
    assert target.manifests(f"{repo}/to") == {i.digest for i in to.values()}
    assert source.manifests(f"{repo}/back") == {i.digest for i in back.values()}


def test_one_registry_onto_itself_both_ways_with_one_slot(source, repo, tmp_path):
    there, back = ({f"{n}": images.Image([images.Layer(f"{repo} {way} {n} {i}", 500_000) for i in range(3)])
                    for n in range(4)} for way in ("a", "b"))
    for n in there:
        images.push(source, f"{repo}/a", n, there[n])
        images.push(source, f"{repo}/b", n, back[n])
    config = dray.write_config(tmp_path / "c.yaml", f"""\
registries:
  {source.address}:
{SLOTS}repos:
  - source: {source.address}/{repo}/a
    targets: [{source.address}/{repo}/a-in-b]
  - source: {source.address}/{repo}/b
    targets: [{source.address}/{repo}/b-in-a]
""")
    dray.sync(config, seconds=60).expect(0)
    assert source.manifests(f"{repo}/a-in-b") == {i.digest for i in there.values()}
    assert source.manifests(f"{repo}/b-in-a") == {i.digest for i in back.values()}


# --- where it is started from --------------------------------------------------------------------------------------

def test_empty_environment(source, target, repo, image, tmp_path):
    dray.sync(configure(tmp_path, source, target, repo), bare=True).expect(0)
    assert target.manifests(repo) == {image.digest}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_files(closed, source, target, repo, image, tmp_path):
    """A file that is opened where stdout was closed must not be written to as stdout."""
    config = configure(tmp_path, source, target, repo)
    result = dray.run("sync", config, cwd=tmp_path, prefix=["sh", "-c", f'exec "$@" {closed}', "sh"])
    result.expect(0)
    assert target.manifests(repo) == {image.digest}
    assert config.with_suffix(".db").read_bytes().startswith(b"SQLite format 3\0")
    assert dray.sync(config).expect(0).report["images"]["unchanged"] == 1


def test_reader_of_stdout_that_goes_away(source, target, repo, image, tmp_path):
    config = configure(tmp_path, source, target, repo)
    running = dray.start("sync", config, cwd=tmp_path)
    running.stdout.close()
    running.stdout = None
    running.communicate(timeout=60)
    assert running.returncode in (0, 6)
    assert target.manifests(repo) == {image.digest}


def test_merged_sources_share_a_target_and_the_first_owns_a_tag_of_both(source, target, repo, tmp_path):
    first, second = (images.Image([images.Layer(f"{repo} {n}")]) for n in range(2))
    images.push(source, f"{repo}/a", "both", first)
    images.push(source, f"{repo}/b", "both", second)
    images.push(source, f"{repo}/b", "own", second)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: {source.address}/{repo}/a, target: {target.address}/{repo}, merge: true}}
  - {{source: {source.address}/{repo}/b, target: {target.address}/{repo}, merge: true}}
""")
    for _ in range(2):
        result = dray.sync(config).expect(0).says(f"{repo}/b:both is not copied")
        assert result.report["images"]["total"] == 2
        assert target.tags(repo) == {"both": first.digest, "own": second.digest}


# covers: REF-8
def test_tag_beside_a_digest_names_the_destination(source, target, repo, image, tmp_path):
    images.push(source, repo, "moved", images.Image([images.Layer(f"{repo} newer")]))
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: "{source.address}/{repo}:moved@{image.digest}", target: {target.address}/{repo}}}
""")
    dray.sync(config).expect(0)
    assert target.tags(repo) == {"moved": image.digest}
    assert dray.sync(config).expect(0).report["images"]["unchanged"] == 1
