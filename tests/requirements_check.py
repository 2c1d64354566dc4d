#!/usr/bin/env python3
"""Which requirements of the protocol have a test, and which have none and why. A test names what it covers in a comment:
`covers: UPL-20, T-45`. Fails if fewer than 90 % of what can be tested here is, or if a name is none.

usage: requirements_check.py ROOT
"""
import collections
import pathlib
import re
import sys

LEAST = 0.90
# How many requirements each section has, and the threats.
SECTIONS = {"REF": 15, "HTTP": 18, "AUTH": 20, "TOK": 23, "CRED": 14, "RED": 11, "ERR": 15, "MAN": 26, "IDX": 14, "RFR": 18,
            "TAG": 15, "BLB": 16, "UPL": 31, "PSH": 12, "DEL": 7, "LYR": 15, "LAY": 18, "ARC": 10, "MSC": 8}
THREATS = 90
# What cannot be tested here.
NOT_HERE = {
    **{f"ARC-{n}": "docker archives are no endpoint yet" for n in range(1, 11)},
    "LAY-17": "archives of layouts are no endpoint yet",
    "LAY-18": "archives of layouts are no endpoint yet",
    "MSC-3": "Notary v1 is not mirrored, which docs/commands.md says",
}
COVERS = re.compile(r"covers:(.*)")
NUMBER = re.compile(r"\b([A-Z]+)-(\d+)\b")


def covered(root):
    """Number -> the files that say so."""
    found = collections.defaultdict(set)
    for path in sorted((root / "tests").rglob("*")):
        if path.suffix not in (".c", ".h", ".py") or path.name == pathlib.Path(__file__).name:
            continue
        for said in COVERS.findall(path.read_text()):
            for section, number in NUMBER.findall(said):
                found[f"{section}-{int(number)}"].add(str(path.relative_to(root)))
    return found


def exists(name):
    section, number = name.split("-")
    return 1 <= int(number) <= (THREATS if section == "T" else SECTIONS.get(section, 0))


def main():
    found = covered(pathlib.Path(sys.argv[1]))
    wrong = sorted(name for name in found if not exists(name))
    for name in wrong:
        print(f"{name} is no requirement: {', '.join(sorted(found[name]))}")
    every = [f"{section}-{n}" for section, count in SECTIONS.items() for n in range(1, count + 1)]
    testable = [name for name in every if name not in NOT_HERE]
    for section in SECTIONS:
        missing = [name for name in testable if name.startswith(section + "-") and name not in found]
        print(f"{section:5} {SECTIONS[section] - len(missing):3} of {SECTIONS[section]:2}", *missing)
    for name, why in NOT_HERE.items():
        print(f"{name} cannot be tested here: {why}")
    missing = [f"T-{n}" for n in range(1, THREATS + 1) if f"T-{n}" not in found]
    print("no test for the threats", *missing)
    tested = sum(name in found for name in testable)
    print(f"{tested} of {len(testable)} requirements that can be tested here have a test ({len(every)} in all), "
          f"and {sum(name.startswith('T-') for name in found)} of {THREATS} threats")
    return 1 if wrong or tested < LEAST * len(testable) else 0


sys.exit(main())
