"""dray and its peers: how each is asked to do the same work. A peer is measured where it is on the PATH.

Each function gives the commands that mirror `repositories` of the registry `source` to `target` ("HOST:PORT", or a
directory for a layout), or None where the tool cannot.
"""
import json
import shutil


def _yaml(path, document):
    """JSON is YAML."""
    path.write_text(json.dumps(document))
    return path


class Dray:
    def __init__(self, program):
        self.name, self.program = "dray", program

    def mirror(self, directory, source, targets, repositories, verify="digests"):
        config = _yaml(directory / "dray.yaml", {
            "version": 1, "state": str(directory / "dray.db"),
            "defaults": {"verify": verify},
            "repos": [{"source": f"{source}/{repository}",
                       "targets": [f"oci:{target}" if target.startswith("/") else f"{target}/{repository}"
                                   for target in targets]} for repository in repositories]})
        return [[self.program, "sync", config, "--quiet"]]


class Skopeo:
    def __init__(self, program):
        self.name, self.program = "skopeo", program

    def mirror(self, directory, source, targets, repositories, verify="digests"):
        if len(targets) != 1:
            return None
        config = _yaml(directory / "skopeo.yaml", {source: {
            "tls-verify": False, "images": {repository: [] for repository in repositories}}})
        target, = targets
        kind = "dir" if target.startswith("/") else "docker"
        return [[self.program, "--insecure-policy", "sync", "--src", "yaml", "--dest", kind, "--dest-tls-verify=false",
                 config, target if kind == "dir" else f"{target}/bench"]]


class Regsync:
    def __init__(self, program):
        self.name, self.program = "regsync", program

    def mirror(self, directory, source, targets, repositories, verify="digests"):
        if len(targets) != 1 or targets[0].startswith("/"):
            return None
        target, = targets
        config = _yaml(directory / "regsync.yaml", {
            "version": 1,
            "creds": [{"registry": host, "tls": "disabled", "reqConcurrent": 24} for host in (source, target)],
            "defaults": {"parallel": 16},
            "sync": [{"source": f"{source}/{repository}", "target": f"{target}/{repository}", "type": "repository"}
                     for repository in repositories]})
        return [[self.program, "once", "-c", config]]


class Crane:
    def __init__(self, program):
        self.name, self.program = "crane", program

    def mirror(self, directory, source, targets, repositories, verify="digests"):
        if len(targets) != 1 or targets[0].startswith("/"):
            return None
        pairs = directory / "crane.pairs"
        pairs.write_text("".join(f"{source}/{repository} {targets[0]}/{repository}\n" for repository in repositories))
        return [["xargs", "-a", pairs, "-n", "2", "-P", "4", self.program, "--insecure", "cp", "-a", "-j", "8"]]


class Bare:
    """No peer: what `verify: layers` cannot do without, on files, and moving nothing."""

    def __init__(self, program, layers):
        self.name, self.program, self.layers = "bare", program, layers

    def mirror(self, directory, source, targets, repositories, verify="digests"):
        return [[self.program, *self.layers]]


def found(program):
    """dray, and the peers that are here."""
    peers = [cls(path) for cls in (Skopeo, Regsync, Crane) if (path := shutil.which(cls.__name__.lower()))]
    return [Dray(program), *peers]
