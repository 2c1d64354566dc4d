"""One run of a command: wall time, CPU time and peak memory of it and its children.

As a program it is the small process that the command is started from: a child's peak begins with what its parent
holds, and the benchmark holds much. usage: measure.py OUTPUT COMMAND...
"""
import json
import os
import subprocess
import sys
import time


def run(command, directory):
    """{wall_s, cpu_s, peak_bytes, code, output}"""
    output = directory / "output"
    told = subprocess.run([sys.executable, "-I", "-S", __file__, output, *map(str, command)], cwd=directory, check=True,
                          capture_output=True, env={**os.environ, "HOME": str(directory)}).stdout
    return {**json.loads(told), "output": output.read_text(errors="replace")}


def main(output, *command):
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.execvp(command[0], command)
    _, status, usage = os.wait4(pid, 0)
    print(json.dumps({"wall_s": time.monotonic() - begin, "cpu_s": usage.ru_utime + usage.ru_stime,
                      "peak_bytes": usage.ru_maxrss * 1024, "code": os.waitstatus_to_exitcode(status)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
