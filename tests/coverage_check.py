"""The coverage preset configures, builds, and counts. usage: coverage_check.py SOURCE BUILD"""
import pathlib
import re
import shutil
import subprocess
import sys

TEST = "unit_base_test_buf"


def run(*command, cwd):
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(source, build):
    shutil.rmtree(build, ignore_errors=True)
    run("cmake", "--preset", "coverage", "-B", build, cwd=source)
    run("cmake", "--build", build, "--target", TEST, cwd=source)
    run(build / "tests" / TEST, cwd=build)
    counts = list(build.glob("**/base/buf.c.gcda"))
    if len(counts) != 1:
        sys.exit(f"running {TEST} left no counters of base/buf.c: {counts}")
    told = run("gcov", "-n", counts[0], cwd=build)
    share = re.search(r"buf\.c'\nLines executed:([\d.]+)% of", told)
    if not share or float(share[1]) < 50:
        sys.exit(f"gcov counts nothing in base/buf.c:\n{told}")
    shutil.rmtree(build)
    print(f"{share[1]} % of base/buf.c")


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
