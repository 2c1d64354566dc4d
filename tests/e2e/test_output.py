"""What dray prints into: full, gone, closed, a terminal that is lost. The work is done all the same, and no success is told
that nobody could read.

covers: T-68, T-70
"""
import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
import time

import pytest

from support import dray, faulty, images
from support.processes import wait_for


@pytest.fixture
def image(source, repo):
    made = images.Image([images.Layer(repo)])
    images.push(source, repo, "1", made)
    return made


@pytest.fixture
def config(source, target, repo, image, tmp_path):
    return dray.write_config(tmp_path / "c.yaml", f"repos:\n  - {{source: {source.address}/{repo}, "
                                                  f"targets: [{target.address}/{repo}, 'oci:{tmp_path}/layout']}}\n")


def full(*arguments, cwd, **where):
    with open("/dev/full", "wb") as sink:
        return dray.run(*arguments, cwd=cwd, **{name: sink for name in where})


def test_a_result_that_found_no_room_is_no_success(source, target, repo, image, config, tmp_path):
    dray.sync(config).expect(0)
    here, there = f"{source.address}/{repo}", f"{target.address}/{repo}"
    for arguments in (
            ["sync", config], ["sync", config, "--json"], ["retry", "-c", config], ["status", "-c", config],
            ["status", "-c", config, "--json"], ["explain", "-c", config, f"{here}:1"], ["verify", f"{there}:1"],
            ["verify", "--json", f"oci:{tmp_path}/layout"], ["gc", f"oci:{tmp_path}/layout"],
            ["gc", "--json", f"oci:{tmp_path}/layout"], ["tags", here], ["inspect", f"{here}:1"], ["--help"],
            ["sync", "--help"], ["--manual"], ["--version"]):
        full(*arguments, cwd=tmp_path, stdout=True).expect(6).says("stdout: what was printed did not all get there")


def test_the_work_is_done_and_recorded_when_nobody_can_read_of_it(target, repo, image, config, tmp_path):
    full("sync", config, cwd=tmp_path, stdout=True).expect(6)
    assert target.manifests(repo) == {image.digest}
    told = json.loads(dray.run("status", "--config", config, "--json", cwd=tmp_path).expect(0).stdout)
    assert told["exit_code"] == 0 and told["images"]["copied"] == 1 and not told["failures"]


@pytest.mark.parametrize("verbose", [[], ["--verbose"]], ids=["plain", "verbose"])
def test_a_log_that_found_no_room_changes_nothing(verbose, source, target, repo, image, config, tmp_path):
    full("sync", config, *verbose, cwd=tmp_path, stderr=True).expect(0)
    assert target.manifests(repo) == {image.digest}
    full("copy", f"{source.address}/{repo}:none", f"{target.address}/{repo}:x", *verbose, cwd=tmp_path,
         stderr=True).expect(4)


def test_a_reader_that_has_enough_does_not_end_the_run(source, target, repo, tmp_path):
    """dray ... | head -1: the run has some sixty lines, head is gone after the first."""
    pusher = images.Pusher(source)
    image = images.Image([images.Layer(repo)])
    for number in range(60):
        pusher.push(repo, f"1.{number}", image)
    config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: {source.address}/{repo}, "
                                                    f"target: {target.address}/{repo}}}]\n")
    script = 'set -o pipefail; "$@" | head -1; exit ${PIPESTATUS[0]}'
    for arguments in (["sync", config], ["tags", f"{source.address}/{repo}"]):
        result = dray.run(*arguments, cwd=tmp_path, prefix=["bash", "-c", script, "bash"], env={"PATH": os.environ["PATH"]})
        # Where all of it fitted into the pipe before head was gone, it did get there.
        assert result.expect(0, 6).stdout.count("\n") == 1
    assert len(target.tags(repo)) == 60


def test_a_pipe_that_does_not_wait_gets_all_of_it(repo, tmp_path):
    """Whoever shares our stdout may have made it non-blocking: EAGAIN is no reason to lose a report."""
    image = images.Image([images.Layer(repo)])
    images.write_layout(tmp_path / "layout", {f"{'long' * 20}-{number}": image for number in range(1500)})
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    run = dray.start("tags", f"oci:{tmp_path}/layout", cwd=tmp_path, stdout=writer)
    os.close(writer)
    with open(reader, "rb") as pipe:
        wait_for(lambda: fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4) != b"\0" * 4, "the first of it")
        assert len(pipe.read().splitlines()) == 1500
    dray.finish(run).expect(0)


def test_a_reader_that_reads_no_more_does_not_keep_the_run_from_being_stopped(source, target, repo, tmp_path):
    """dray ... | less, and Ctrl-C: what waits for room in the pipe hears the signal, too (T-68)."""
    pusher = images.Pusher(source)
    for number in range(40):
        pusher.push(repo, f"1.{number}", images.Image([images.Layer(repo)], label=str(number)))
    config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: {source.address}/{repo}, target: {target.address}/{repo}}}]\n")
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    run = dray.start("sync", config, "--grace", "1s", cwd=tmp_path, stdout=writer)
    os.close(writer)
    wait_for(lambda: fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4) != b"\0" * 4, "the first of it")
    begin = time.monotonic()
    while run.poll() is None and time.monotonic() - begin < 12:
        run.send_signal(signal.SIGTERM)
        time.sleep(1)  # as a person does it
    os.close(reader)
    dray.finish(run, 5).expect(143, -signal.SIGTERM)
    assert time.monotonic() - begin < 12


class Lost:
    """A run on a terminal of its own, at work on a blob; `lose()` closes the terminal's window."""

    def __init__(self, source, target, repo, tmp_path, prefix=()):
        self.hold = faulty.Hold()
        self.proxy = faulty.Faulty(source.address,
                                   lambda method, path: self.hold if "/blobs/" in path and method == "GET" else None)
        self.master, slave = pty.openpty()
        environment = {"TERM": "xterm", "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        # setsid --ctty: SIGHUP goes to who has the terminal as its own.
        self.run = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *prefix, dray.PROGRAM, "copy", f"{self.proxy.address}/{repo}:1",
             f"{target.address}/{repo}:1", "--grace", "1s"], cwd=tmp_path, env=environment, stdin=slave, stdout=slave,
            stderr=slave, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        os.close(slave)
        assert self.hold.reached.wait(30)

    def lose(self):
        os.close(self.master)

    def end(self):
        self.hold.release.set()
        code = self.run.wait(30)
        self.proxy.stop()
        return code


def test_a_lost_terminal_stops_the_run_as_a_signal_does(source, target, repo, image, tmp_path):
    lost = Lost(source, target, repo, tmp_path)
    lost.lose()
    assert lost.run.wait(30) == 129
    assert lost.end() == 129 and not target.manifests(repo)


def test_a_lost_terminal_does_not_end_what_was_started_by_nohup(source, target, repo, image, tmp_path):
    lost = Lost(source, target, repo, tmp_path, prefix=["nohup"])
    lost.lose()
    assert lost.end() in (0, 6)
    assert target.manifests(repo) == {image.digest}


def test_a_look_while_a_run_is_at_work(source, target, repo, image, tmp_path):
    """status, explain, verify and gc beside a copy into a layout: each tells, none disturbs it."""
    layout = tmp_path / "layout"
    later = images.Image([images.Layer(f"{repo} later {n}", 1 << 16) for n in range(3)])
    hold, last = faulty.Hold(), later.layers[-1].digest
    slow = faulty.Faulty(source.address, lambda method, path: hold if last in path and method == "GET" else None)
    config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: {slow.address}/{repo}, target: 'oci:{layout}'}}]\n")
    dray.sync(config).expect(0)
    images.push(source, repo, "2", later)
    run = dray.start("sync", config, "--json", cwd=tmp_path)
    assert hold.reached.wait(30)
    wait_for((layout / "blobs/sha256" / later.layers[0].digest[7:]).exists, "the first layer")
    there = {path.name for path in layout.rglob("blobs/*/*")}
    wait_for(lambda: "running now" in dray.run("status", "--config", config, cwd=tmp_path).expect(0).stdout, "run 2 in the state")
    dray.run("explain", "--config", config, f"{slow.address}/{repo}:1", cwd=tmp_path).expect(0).says(image.digest)
    dray.run("verify", "--deep", f"oci:{layout}", cwd=tmp_path).expect(0).says("1 sound")
    dray.run("gc", "--older-than", "0s", f"oci:{layout}", cwd=tmp_path).expect(7)
    dray.run("retry", "--config", config, cwd=tmp_path).expect(7).says("run 2 is at work", "nothing has failed so far")
    assert {path.name for path in layout.rglob("blobs/*/*")} >= there
    hold.release.set()
    assert dray.finish(run).expect(0).report["images"]["copied"] == 1
    slow.stop()
    images.check_layout(layout)
    dray.run("verify", "--deep", f"oci:{layout}", cwd=tmp_path).expect(0).says("2 sound")
