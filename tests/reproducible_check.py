#!/usr/bin/env python3
"""Does the same source, built at two places, give the same program? usage: reproducible_check.py ROOT COMPILER

covers: T-87
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def build(root, elsewhere, compiler, environment):
    """The program."""
    shutil.copytree(root, elsewhere, ignore=lambda folder, names: [n for n in names if n in ("build", ".git")] if
                    pathlib.Path(folder) == pathlib.Path(root) else [])
    for command in (["cmake", "--preset", "release", "-DDRAY_TESTS=OFF", f"-DCMAKE_C_COMPILER={compiler}"],
                    ["cmake", "--build", "--preset", "release", "--target", "dray"]):
        subprocess.run(command, cwd=elsewhere, env=environment, check=True, stdout=subprocess.DEVNULL)
    return elsewhere / "build/release/dray"


def main(root, compiler):
    # A compiler cache has its own idea of where sources are.
    here = {**os.environ, "CCACHE_DISABLE": "1"}
    there = {**here, "TZ": "Asia/Tokyo", "LANG": "C", "USER": "somebody"}
    with tempfile.TemporaryDirectory(prefix="dray-here-") as a, tempfile.TemporaryDirectory(prefix="dray-there-") as b:
        one = build(root, pathlib.Path(a) / "dray", compiler, here)
        other = build(root, pathlib.Path(b) / "an/other/place", compiler, there)
        return subprocess.run(["cmp", one, other], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
