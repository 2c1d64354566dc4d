#!/usr/bin/env python3
"""Is this program built as hardened, and as quick to load, as the release is meant to be? usage: hardening_check.py PROGRAM"""
import re
import subprocess
import sys


def readelf(option, program):
    return subprocess.run(["readelf", "-W", option, program], check=True, capture_output=True, text=True).stdout


def main(program):
    header, segments = readelf("-h", program), readelf("-l", program)
    dynamic, symbols = readelf("-d", program), readelf("--dyn-syms", program)
    stack = re.search(r"GNU_STACK.*", segments)
    checks = {
        "position independent": re.search(r"Type:\s+DYN", header) and re.search(r"FLAGS_1.*\bPIE\b", dynamic),
        "read-only relocations": "GNU_RELRO" in segments,
        "bound at start": re.search(r"FLAGS.*\bBIND_NOW\b|FLAGS_1.*\bNOW\b", dynamic),
        "stack is not executable": stack and "RWE" not in stack.group(),
        "stack protector": "__stack_chk_fail" in symbols,
        "linked with those libraries first that have most symbols": re.findall(r"NEEDED.*\[(lib\w+)", dynamic)[:3] == [
            "libcrypto", "libsqlite3", "libc"],
        "telling GnuTLS not to get ready": re.search(r"GLOBAL +DEFAULT +\d+ _gnutls_global_init_skip", symbols),
        "fortified": re.search(r"__(snprintf|vsnprintf|memcpy|fprintf|read)_chk", symbols),
    }
    missing = [name for name, found in checks.items() if not found]
    for name in missing:
        print(f"{program}: not {name}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
