"""One run of a command: wall time, CPU time and peak memory of it and its children.

As a program it is the small process that the command is started from: a child's peak begins with what its parent
holds, and the benchmark holds much. usage: measure.py OUTPUT COMMAND...

The kernel tells the peak of the largest process. Where a command runs several side by side, what they hold together is
looked at now and then; a page that they share counts once.
"""
import contextlib
import json
import os
import pathlib
import select
import subprocess
import sys
import time

LOOK_EVERY_S = 0.02


def run(command, directory):
    """{wall_s, cpu_s, peak_bytes, code, output}"""
    output = directory / "output"
    told = subprocess.run([sys.executable, "-I", "-S", __file__, output, *map(str, command)], cwd=directory, check=True,
                          capture_output=True, env={**os.environ, "HOME": str(directory)}).stdout
    return {**json.loads(told), "output": output.read_text(errors="replace")}


def children(pid):
    """Of all its threads; of none that has ended meanwhile."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += task.read_text().split()
    return found


def shared_out_bytes(pid):
    """Of it and all below it; 0 for what has ended meanwhile."""
    own = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        own = next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
    return own + sum(map(shared_out_bytes, children(pid)))


def wait(pid):
    """(status, usage, peak in bytes)"""
    together = 0
    ended = os.pidfd_open(pid)
    while not select.select([ended], [], [], LOOK_EVERY_S)[0]:
        together = max(together, shared_out_bytes(pid) if children(pid) else 0)
    _, status, usage = os.wait4(pid, 0)
    return status, usage, max(usage.ru_maxrss * 1024, together)


def main(output, *command):
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.execvp(command[0], command)
    status, usage, peak = wait(pid)
    print(json.dumps({"wall_s": time.monotonic() - begin, "cpu_s": usage.ru_utime + usage.ru_stime,
                      "peak_bytes": peak, "code": os.waitstatus_to_exitcode(status)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
