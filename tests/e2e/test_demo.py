"""What ops/quickstart runs, with the program under test."""
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from support import dray, images
from support.processes import wait_for

DEMO = pathlib.Path(__file__).parents[2] / "ops/demo.py"


def processes_of(directory):
    """Whose command line has the directory in it, the demo itself apart: its registries."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has just ended
            continue
        if str(DEMO) not in words and any(str(directory) in word for word in words):
            found.append(words)
    return found


@pytest.fixture
def demo(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-B", DEMO, dray.PROGRAM, tmp_path / "quickstart"], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **dray._SANITIZERS})
    yield process
    if process.poll() is None:
        process.terminate()
        process.communicate(timeout=30)


def test_demo_mirrors_twice_and_cleans_up(demo, tmp_path):
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    # 18 images of plain repositories, and one of several platforms.
    assert "19 images: 19 copied, 0 unchanged, 0 failed" in said, said
    assert "19 images: 0 copied, 19 unchanged, 0 failed" in said, said
    assert said.index("First run") < said.index("19 copied") < said.index("Second run") < said.index("19 unchanged")
    assert not processes_of(tmp_path)
    left = tmp_path / "quickstart"
    there = {path.name for path in left.iterdir()}
    assert {"dray.yaml", "dray.db", "layout"} <= there and not {"source", "target"} & there
    images.check_layout(left / "layout")


def test_demo_that_is_stopped_cleans_up(demo, tmp_path):
    wait_for(lambda: len(processes_of(tmp_path)) == 2, "the two registries")
    demo.send_signal(signal.SIGTERM)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGTERM, said
    wait_for(lambda: not processes_of(tmp_path), "what the kernel ends after the demo")
