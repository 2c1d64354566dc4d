#!/usr/bin/env python3
"""Do the exit codes stand in every place that tells them, and does systemd take our units? usage: operations_check.py ROOT PROGRAM"""
import pathlib
import re
import subprocess
import sys
import tempfile

# THREATS D.5. Its LoadCredential= is a drop-in (docs/operations.md): without the file the unit would not start.
WANTED = """
Type=oneshot DynamicUser=yes StateDirectory=dray StateDirectoryMode=0700 UMask=0077 NoNewPrivileges=yes
ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateDevices=yes PrivateUsers=yes ProtectKernelTunables=yes
ProtectKernelModules=yes ProtectKernelLogs=yes ProtectControlGroups=yes ProtectClock=yes ProtectHostname=yes
ProtectProc=invisible ProcSubset=pid RestrictNamespaces=yes RestrictRealtime=yes RestrictSUIDSGID=yes
LockPersonality=yes MemoryDenyWriteExecute=yes RemoveIPC=yes CapabilityBoundingSet= SystemCallArchitectures=native
SystemCallFilter=@system-service SystemCallErrorNumber=EPERM LimitCORE=0 LimitNOFILE=4096 MemoryMax=1G TasksMax=64
IOSchedulingClass=idle TimeoutStartSec=6h TimeoutStopSec=20s KillMode=mixed SuccessExitStatus=7
""".split() + ["RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "SystemCallFilter=~@privileged @resources"]
WORST_EXPOSURE = 15  # of 100; systemd-analyze shows it as 1.5


def section(page, heading):
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def told_codes(root, program):
    """{place: the exit codes that it tells}"""
    rows = re.compile(r"^\| ([\d+n]+) \|", re.MULTILINE)
    told = {f"docs/{name}": rows.findall(section((root / "docs" / name).read_text(), "Exit codes"))
            for name in ("operations.md", "commands.md")}
    text = subprocess.run([program, "sync", "--help"], check=True, capture_output=True, text=True).stdout
    told["dray sync --help"] = re.findall(r"^  ([\d+n]+)  ", text.partition("Exit codes:\n")[2], re.MULTILINE)
    enum = re.search(r"enum exit_code \{(.*?)\};", (root / "sync/mirror/report.h").read_text(), re.DOTALL).group(1)
    told["report.h"] = [code if code != "128" else "128+n" for code in re.findall(r"= (\d+),", enum)]
    return told


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [] if done.returncode == 0 and "verify" not in arguments or not done.stdout else done.stdout.splitlines()


def unit_faults(root, program):
    service = (root / "ops/systemd/dray.service").read_text()
    lines = service.splitlines()
    faults = [f"dray.service: without {wanted}" for wanted in WANTED if wanted not in lines]
    with tempfile.TemporaryDirectory() as directory:
        there = pathlib.Path(directory) / "dray.service"
        there.write_text(service.replace("/usr/bin/dray", program))
        timer = there.with_name("dray.timer")
        timer.write_bytes((root / "ops/systemd/dray.timer").read_bytes())
        faults += analyze("verify", "--man=no", there, timer)
        faults += analyze("security", "--offline=yes", "--no-pager", f"--threshold={WORST_EXPOSURE}", there)
    return faults


def main(root, program):
    told = told_codes(pathlib.Path(root), program)
    faults = [f"{place} tells {codes}, report.h has {told['report.h']}" for place, codes in told.items()
              if codes != told["report.h"]]
    faults += unit_faults(pathlib.Path(root), program)
    print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
