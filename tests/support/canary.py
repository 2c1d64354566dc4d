"""Secrets that can be told wherever they show up (T-23).

Every secret of these tests holds MARK: passwords, tokens, what signs a URL. So one search finds all of them, raw, in a
URL, or in base64 at whatever place. support/dray.py searches all that each run left behind; a secret belongs on the wire,
and in the files that the test itself wrote.
"""
import base64
import os
import pathlib
import re
import stat

MARK = "dr4yC4n4ry"

_READ_BYTES = 8 << 20  # what is larger is a layer


def secret(name):
    return f"{name}-{MARK}"


def _base64_forms():
    """The characters that depend on MARK alone, for each of the three places where it can stand in a group."""
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + MARK.encode()).decode()
        yield coded[-(-offset * 8 // 6):(offset + len(MARK)) * 8 // 6]


_FORMS = re.compile("|".join([MARK, *_base64_forms()]).encode(), re.IGNORECASE)


def found_in(data):
    """Where the first secret is in these bytes, with what stands around it, or None."""
    match = _FORMS.search(data)
    return match and f"at byte {match.start()}: {data[max(0, match.start() - 60):match.end() + 20]!r}"


def _files(directory):
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except OSError:  # a run that goes on
                continue
            if stat.S_ISREG(status.st_mode):
                yield path, status


def snapshot(directory):
    """What is there before a run."""
    return {path: (status.st_ino, status.st_size, status.st_mtime_ns) for path, status in _files(directory)}


def search(directory, before):
    """AssertionError if a file that is new or changed since has a secret in it, or is a state file that others may read."""
    for path, status in _files(directory):
        if before.get(path) == (status.st_ino, status.st_size, status.st_mtime_ns):
            continue
        if re.search(r"\.db(-\w+|\.lock)?$", path):
            assert not status.st_mode & 0o077, f"{path} has mode {status.st_mode & 0o777:o}"  # T-24
        if status.st_size <= _READ_BYTES:
            try:
                where = found_in(pathlib.Path(path).read_bytes())
            except OSError:
                continue
            assert not where, f"a secret is in {path} {where}"
