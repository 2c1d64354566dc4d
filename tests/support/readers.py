"""skopeo and umoci: the readers and writers of record."""
import json
import os
import subprocess

from . import images


def _run(*arguments, home):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, timeout=120,
                          env={"PATH": os.environ["PATH"], "HOME": str(home)})
    assert done.returncode == 0, f"{arguments}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def skopeo(*arguments, home):
    return _run("skopeo", "--insecure-policy", *arguments, home=home)


def raw_manifest(reference, home, *options):
    """The bytes that skopeo finds at docker://REFERENCE or oci:DIR:NAME."""
    reference = reference if reference.startswith("oci:") else f"docker://{reference}"
    return skopeo("inspect", "--raw", *options, reference, home=home)


def digest(reference, home, *options):
    return images.digest_of(raw_manifest(reference, home, *options))


def plain_digest(reference, home):
    return digest(reference, home, "--tls-verify=false")


def umoci_tags(layout, home):
    return set(_run("umoci", "ls", "--layout", layout, home=home).decode().split())


def umoci_stat(layout, name, home):
    return json.loads(_run("umoci", "stat", "--json", "--image", f"{layout}:{name}", home=home))


def umoci_unpack(layout, name, bundle, home):
    _run("umoci", "unpack", "--rootless", "--image", f"{layout}:{name}", bundle, home=home)


def umoci(*arguments, home):
    _run("umoci", *arguments, home=home)
