#!/usr/bin/env python3
"""Hold the includes to the house: which folder may include which, and which folder owns which library's header.

usage: include_check.py ROOT
"""
import pathlib
import re
import sys

# Folder -> folders it may include, besides itself. Order: from the top of the house down.
MAY = {
    "cli": {"sync/mirror", "sync/endpoint", "sync/registry", "sync/http", "sync/verify", "store", "config", "scheduler", "oci", "base"},
    "sync/mirror": {"sync/endpoint", "sync/verify", "store", "config", "scheduler", "oci", "base"},
    "sync/endpoint": {"sync/registry", "scheduler", "oci", "base"},
    "sync/registry": {"sync/http", "scheduler", "oci", "base"},
    "sync/verify": {"oci", "base"},
    "sync/http": {"scheduler", "base"},
    "store": {"scheduler", "oci", "base"},
    "config": {"oci", "base"},
    "scheduler": {"base"},
    "oci": {"base"},
    "base": set(),
}
# A third-party header -> the folders that may include it.
OWNER = {
    "uv.h": {"scheduler", "sync/http"},
    "curl/": {"sync/http"},
    "sqlite3.h": {"store"},
    "yaml.h": {"config"},
    "pcre2.h": {"config"},
    "jansson.h": {"base"},
    "uthash.h": {"base"},
    "openssl/": {"oci", "sync/registry"},
    "isa-l": {"sync/verify"},
    "zlib.h": {"sync/verify"},
    "zstd.h": {"sync/verify"},
    "ucontext.h": {"scheduler"},
}
# Within sync/mirror, only these may see the configuration: the rest is told what to do.
CONFIG_READERS = {"run.c", "run.h"}
# A function -> the one file that may call it (T-26: every option of libcurl is set in one place).
CALLERS = {"curl_easy_setopt": "sync/http/curl_options.c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def strip_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def violations(root):
    for folder, may in MAY.items():
        for path in sorted((root / folder).glob("*.[ch]")):
            where = f"{folder}/{path.name}"
            for function, caller in CALLERS.items():
                if where != caller and re.search(rf"\b{function}\s*\(", strip_comments(path.read_text())):
                    yield f"{where}: only {caller} calls {function}()"
            for kind, name in INCLUDE.findall(path.read_text()):
                if kind == '"':
                    into = str(pathlib.PurePath(name).parent)
                    if into not in MAY:
                        yield f"{where}: \"{name}\" is not written from the root of the house"
                    elif into != folder and into not in may:
                        yield f"{where}: includes {name}, and {folder} may not see {into}"
                    elif folder == "sync/mirror" and into == "config" and path.name not in CONFIG_READERS:
                        yield f"{where}: only sync/mirror/run sees the configuration"
                else:
                    for header, owners in OWNER.items():
                        if (name == header or name.startswith(header)) and folder not in owners:
                            yield f"{where}: <{name}> belongs to {', '.join(sorted(owners))}"


def main():
    found = list(violations(pathlib.Path(sys.argv[1])))
    for line in found:
        print(line)
    print(f"{len(found)} violations")
    return 1 if found else 0


sys.exit(main())
