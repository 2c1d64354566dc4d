"""No room, no right to write, too few files: one clear line, what is there stays whole, the others go on, exit code 6.

covers: T-55, T-64, T-71, T-75
"""
import os
import subprocess

import pytest

from support import dray, images, readers

SIZE = 3 << 20


class Disk:
    """A small file system, or where nothing may be mounted, a folder in which files may not grow. `prefix` is for dray."""

    def __init__(self, directory):
        self.path = directory
        directory.mkdir()
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", directory],
                                      stderr=subprocess.DEVNULL).returncode == 0
        self.prefix = [] if self.mounted else ["prlimit", f"--fsize={SIZE // 2}"]

    def change(self, options):
        if self.mounted:
            subprocess.run(["mount", "-o", f"remount,{options}", self.path], check=True)
        elif options == "ro":
            self.path.chmod(0o500)
        else:
            self.path.chmod(0o700)
            self.prefix = []

    def fill(self, largest):
        """`largest`: of a file, where nothing could be mounted."""
        if self.mounted:
            with open(self.path / "ballast", "wb") as ballast, pytest.raises(OSError):
                while True:
                    os.write(ballast.fileno(), bytes(4096))
        else:
            self.prefix = ["prlimit", f"--fsize={largest}"]

    def empty(self):
        self.prefix = []
        (self.path / "ballast").unlink(missing_ok=True)

    def end(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk")
    yield made
    made.end()


@pytest.fixture
def content(source, repo):
    made = {"small": images.Image([images.Layer(repo, 1 << 16)]), "large": images.Image([images.Layer(f"{repo} large", 6 << 20)])}
    for tag, image in made.items():
        images.push(source, repo, tag, image)
    return made


def configure(directory, source, repo, *targets):
    listed = ", ".join(f"'{target}'" for target in targets)
    return dray.write_config(directory / "c.yaml", f"repos: [{{source: {source.address}/{repo}, targets: [{listed}]}}]\n")


def sync(config, disk=None, prefix=None):
    # The file size signal is ours to ignore, not Python's.
    return dray.sync(config, prefix=prefix if prefix is not None else disk.prefix, restore_signals=False)


def names(layout):
    return {name.rpartition(":")[2] for name in images.read_layout(layout)}


def test_what_has_no_room_fails_alone_and_arrives_when_there_is(source, target, repo, content, disk, tmp_path):
    layout = disk.path / "layout"
    config = configure(tmp_path, source, repo, f"{target.address}/{repo}", f"oci:{layout}")
    report = sync(config, disk).expect(6).report
    failure, = report["failures"]
    assert failure["kind"] == "io" and failure["exit_class"] == 6 and failure["source"].endswith(":large")
    assert "No space left" in failure["message"] or "File too large" in failure["message"]
    assert set(target.tags(repo)) == {"small", "large"} and names(layout) == {"small"}
    images.check_layout(layout)
    dray.run("verify", "--deep", f"oci:{layout}", cwd=tmp_path).expect(0)
    disk.change("size=64m")
    assert sync(config, disk).expect(0).report["images"]["copied"] == 1
    images.check_layout(layout)
    assert not list((layout / "ingest").glob("*")), "what had no room is not left behind"
    readers.skopeo("copy", f"oci:{layout}:{source.address}/{repo}:large", f"oci:{tmp_path}/again:x", home=tmp_path)


def test_a_disk_that_is_full_to_the_last_byte_keeps_what_the_layout_holds(source, target, repo, disk, tmp_path):
    layout = disk.path / "layout"
    images.push(source, repo, "small", images.Image([images.Layer(repo)]))
    config = configure(tmp_path, source, repo, f"{target.address}/{repo}", f"oci:{layout}")
    sync(config, prefix=[]).expect(0)
    index = (layout / "index.json").read_bytes()
    images.push(source, repo, "new", images.Image([images.Layer(f"{repo} new", 1 << 17)]))
    disk.fill(65000)
    report = sync(config, disk).expect(6).report
    assert {failure["kind"] for failure in report["failures"]} == {"io"}
    assert (layout / "index.json").read_bytes() == index and len(target.tags(repo)) == 2
    dray.run("verify", "--deep", f"oci:{layout}", cwd=tmp_path).expect(0)
    disk.empty()
    disk.change("size=64m")
    sync(config, disk).expect(0)
    images.check_layout(layout)


def test_a_full_disk_below_the_state_costs_the_record_and_not_the_images(source, target, repo, content, disk, tmp_path):
    config = configure(tmp_path, source, repo, f"{target.address}/{repo}")
    config.write_text(config.read_text().replace(f"state: {tmp_path}", f"state: {disk.path}"))
    sync(config, disk).expect(0)
    newer = images.Image([images.Layer(f"{repo} newer", 1 << 16)])
    images.push(source, repo, "small", newer)
    disk.fill(512)
    result = sync(config, disk).expect(6)
    assert target.tags(repo)["small"] == newer.digest and result.report["images"]["copied"] == 1
    result.says("state")
    disk.empty()
    assert sync(config, disk).expect(0).report["images"]["unchanged"] == 2


def test_a_layout_that_may_only_be_read_holds_up_no_other_target(source, target, repo, content, disk, tmp_path):
    if not disk.mounted and os.geteuid() == 0:
        disk.path = tmp_path / "proc"  # root writes where modes forbid it; into this nobody can
        disk.path.symlink_to("/proc")
    layout = disk.path / "layout"
    if disk.path.name == "disk":
        images.write_layout(layout, {})
    disk.change("ro")
    config = configure(tmp_path, source, repo, f"{target.address}/{repo}", f"oci:{layout}")
    report = sync(config, prefix=[]).expect(6).report
    assert len(report["failures"]) == 2 and {failure["target"].startswith("oci:") for failure in report["failures"]} == {True}
    assert {failure["kind"] for failure in report["failures"]} == {"io"} and len(target.tags(repo)) == 2
    disk.change("rw")


@pytest.mark.parametrize("most", [12, 20, 63])
def test_too_few_files_is_told_before_anything_is_asked(most, source, repo, content, tmp_path):
    log = source.log()
    result = dray.run("tags", f"{source.address}/{repo}", cwd=tmp_path, prefix=["prlimit", f"--nofile={most}"])
    result.expect(6).says(f"only {most} files may be open", "ulimit -n")
    assert len(result.stderr.splitlines()) == 1 and not source.log().since(log)


def test_a_small_soft_limit_of_files_is_raised(source, target, repo, content, tmp_path):
    config = configure(tmp_path, source, repo, f"{target.address}/{repo}", f"oci:{tmp_path}/layout")
    sync(config, prefix=["prlimit", "--nofile=20:4096"]).expect(0)


def test_few_files_are_enough_for_most_and_what_fails_says_why(source, target, repo, tmp_path):
    """At the least that dray takes, with two targets and many images: honest failures, and a run that has enough heals them."""
    pusher = images.Pusher(source)
    shared = images.Layer(f"{repo} shared", 1 << 16)
    made = {f"1.{n}": images.Image([shared, *(images.Layer(f"{repo} {n} {k}") for k in range(4))]) for n in range(16)}
    for tag, image in made.items():
        pusher.push(repo, tag, image)
    layout = tmp_path / "layout"
    config = configure(tmp_path, source, repo, f"{target.address}/{repo}", f"oci:{layout}")
    result = sync(config, prefix=["prlimit", "--nofile=64"]).expect(0, 6)
    for failure in result.report["failures"]:
        assert failure["kind"] in ("io", "unavailable") and (
            "Too many open files" in failure["message"]), failure
    if layout.exists() and (layout / "index.json").exists():
        images.check_layout(layout)
    sync(config, prefix=[]).expect(0)
    images.check_layout(layout)
    assert names(layout) == set(made) and set(target.tags(repo)) == set(made)
