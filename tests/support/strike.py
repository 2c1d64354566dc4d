"""tests/faults/strike.c, preloaded into dray: which call fails, or is the last."""
import os

LIBRARY = os.environ.get("STRIKE", "")


def environment(calls, number, action, report):
    """As FAULT says at the head of strike.c; `report` is the file that it writes."""
    return {"LD_PRELOAD": LIBRARY, "FAULT": f"{calls}:{number}:{action}", "FAULT_REPORT": str(report)}


def what_struck(report):
    """(call's name, errno), or None: the run had fewer such calls."""
    for line in report.read_text().splitlines() if report.exists() else []:
        name, _, code = line.split()
        if name != "end":
            return name, int(code)
    return None


def count(report):
    """How many of the calls a run had that came to its end."""
    return int(report.read_text().splitlines()[-1].split()[1])
