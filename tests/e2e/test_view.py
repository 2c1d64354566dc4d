"""What somebody sees who runs dray by hand, and that a pipe or a dumb terminal gets plain lines."""
import re

import pytest

from support import dray, faulty, images
from support.processes import wait_for
from support.terminal import Terminal

# An image that arrives, one that takes its time, and one whose manifest nobody may read.
COPIED = re.compile(r"copied     \S+:(good|slow) -> \S+  sha256:[0-9a-f]+\S*  [\d.]+ \S+  [\d.]+m?s")
FAILED = re.compile(r"error: \S+:bad: .*403.*")
SUMMARY = re.compile(r"3 images: 2 copied, 0 unchanged, 1 failed; .*")
XTERM = {"TERM": "xterm"}
ERASED = re.compile(r"\r\x1b\[\d+A\x1b\[J")


class Scene:
    """A run that waits in the middle of a blob until it is released."""

    def __init__(self, source, target, repo, directory):
        self.slow = images.Layer(f"{repo} slow", 1 << 20)
        self.hold = faulty.Hold()
        self.proxy = faulty.Faulty(source.address, self._rule)
        for tag, layer in (("good", images.Layer(f"{repo} good")), ("slow", self.slow),
                           ("bad", images.Layer(f"{repo} bad"))):
            images.push(source, repo, tag, images.Image([layer], label=tag))
        self.bad = images.Image([images.Layer(f"{repo} bad")], label="bad").digest
        self.config = dray.write_config(directory / "c.yaml", f"""\
repos:
  - {{source: {self.proxy.address}/{repo}, target: {target.address}/{repo}}}
""")
        self.target, self.repo = target, repo

    def _rule(self, method, path):
        if method == "GET" and path.endswith(self.slow.digest):
            return self.hold
        return 403 if path.endswith(("/manifests/bad", f"/manifests/{self.bad}")) else None

    def others_are_done(self):
        wait_for(lambda: self.target.holds_tag(self.repo, "good"), "the good image")

    def run(self, terminal, *arguments, before=lambda: None, stdout=None, env=XTERM):
        """Until it ends by itself; `before` is called while it waits."""
        process = dray.start("sync", self.config, *arguments, cwd=self.config.parent, env=env,
                             stdout=stdout or terminal.slave, stderr=terminal.slave)
        try:
            assert self.hold.reached.wait(60)
            self.others_are_done()
            before()
        finally:
            self.hold.release.set()
            process.wait(60 * dray.SLOWER)
            terminal.close()
        assert process.returncode == 1, terminal.text
        return terminal.text


@pytest.fixture
def scene(source, target, repo, tmp_path):
    made = Scene(source, target, repo, tmp_path)
    yield made
    made.hold.release.set()
    made.proxy.stop()


def is_what_a_pipe_would_get(lines):
    """Every line whole, each image once, the summary behind them."""
    assert len([line for line in lines if COPIED.fullmatch(line)]) == 2, lines
    assert len([line for line in lines if FAILED.fullmatch(line)]) == 1, lines
    assert SUMMARY.fullmatch(lines[3]), lines
    assert len(lines) == 5 and not any("\x1b" in line for line in lines), lines


def test_live_view_counts_and_leaves_nothing_behind(scene):
    terminal = Terminal(24, 400)

    def look():
        start = len(terminal.text)
        wait_for(lambda: len(ERASED.findall(terminal.text[start:])) >= 3, "the view to be drawn three times")
        terminal.wait_for(r"\n2/3 images, [\d.]+ \S+ down, [\d.]+ \S+ up, [\d.]+ \S+/s")
        terminal.wait_for(rf"\n +\d+% of [\d.]+ \S+ +{scene.slow.digest[:19]}  \S+{scene.repo}:slow\r\n")

    written = scene.run(terminal, before=look)
    assert terminal.screen().pop() == ""
    is_what_a_pipe_would_get(terminal.screen()[:-1])
    assert "\x1b" not in ERASED.sub("", written), "the view does nothing but erase itself"
    assert "\x1b" not in written[SUMMARY.search(written).start():]


def test_live_view_fits_into_a_narrow_terminal(scene):
    terminal = Terminal(24, 50)
    written = scene.run(terminal, before=lambda: terminal.wait_for(r"2/3 images(.|\n)*2/3 images"))
    drawn = [line for line in ERASED.sub("", written).split("\r\n")
             if re.match(r"\d/\d\+? images,|  +\d+% of", line)]
    assert drawn and all(len(line) < 50 for line in drawn), drawn
    left = "".join(terminal.screen())
    assert "% of" not in left and "/3 images" not in left, left


def test_live_view_stays_below_the_height_of_the_terminal(scene):
    terminal = Terminal(2, 80)
    scene.run(terminal, before=lambda: terminal.wait_for(r"2/3 images(.|\n)*2/3 images"))
    left = "".join(terminal.screen())
    assert "% of" not in left and "/3 images" not in left, left


def test_log_lines_stand_above_the_view(scene):
    terminal = Terminal(24, 400)
    scene.run(terminal, "--verbose", before=lambda: terminal.wait_for(r"2/3 images(.|\n)*2/3 images"))
    lines = terminal.screen()
    known = re.compile(rf"{COPIED.pattern}|(error|warning|debug|info): .*|{SUMMARY.pattern}|run it again.*|")
    assert all(known.fullmatch(line) for line in lines), lines
    assert len([line for line in lines if COPIED.fullmatch(line)]) == 2, lines


def test_lines_also_go_into_a_file_that_stdout_is(scene, tmp_path):
    terminal = Terminal(24, 400)
    with open(tmp_path / "out", "wb") as out:
        scene.run(terminal, stdout=out, before=lambda: terminal.wait_for("2/3 images"))
    lines = (tmp_path / "out").read_text().splitlines()
    assert len([line for line in lines if COPIED.fullmatch(line)]) == 2, lines
    assert [line for line in lines if SUMMARY.fullmatch(line)] and "\x1b" not in "".join(lines), lines


def test_json_stays_json_beside_the_view(scene, tmp_path):
    terminal = Terminal(24, 400)
    with open(tmp_path / "out", "wb") as out:
        scene.run(terminal, "--json", stdout=out, before=lambda: terminal.wait_for("2/3 images"))
    report = dray.Result(["sync"], 1, (tmp_path / "out").read_text(), terminal.text).report
    assert report["images"]["copied"] == 2
    is_what_a_pipe_would_get(terminal.screen()[:-1])


@pytest.mark.parametrize("env, arguments", [({"TERM": "dumb"}, ()), ({"TERM": ""}, ()), ({}, ()),
                                            (XTERM, ("--quiet",))],
                         ids=["dumb terminal", "terminal with an empty name", "unnamed terminal", "quiet"])
def test_no_view_and_no_control_sequences(env, arguments, scene):
    terminal = Terminal(24, 400)
    written = scene.run(terminal, *arguments, env=env)
    assert "\x1b" not in written and "/3 images" not in written
    assert len(FAILED.findall(written)) == 1 and len(COPIED.findall(written)) == (0 if arguments else 2)
