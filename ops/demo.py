"""The main job on loopback, for ops/quickstart: two registries are started, one is filled with images made on the spot,
and dray mirrors it into the other and into an OCI layout, twice. usage: demo.py DRAY DIRECTORY"""
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))

from support import images, registry  # noqa: E402

CONFIG = """\
version: 1
state: dray.db
defaults:
  target: {target}/mirror
repos:
{plain}
  - source: {source}/{chosen}
    targets: [{target}/mirror/{chosen}, oci:layout]
    tags: {{allow: ["1.*"]}}
  - source: {source}/multi/platform
    targets: [{target}/mirror/multi/platform, oci:layout]
    platforms: [linux/amd64, linux/arm64]
"""


def say(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


class Terminated(Exception):
    pass


def terminate(*_):
    raise Terminated


def sync(dray, directory):
    """Runs dray with this terminal; it ends in its own time, also when we are stopped."""
    process = subprocess.Popen([dray, "sync", "dray.yaml"], cwd=directory)
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal told dray, too
        process.wait()
        raise
    except Terminated:
        process.terminate()
        process.wait()
        raise


def main(dray, directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    servers = []
    try:
        say("Starting two registries on loopback, and filling one with images")
        for name in ("source", "target"):
            servers.append(registry.plain(directory / name))
        source, target = servers
        corpus = images.corpus(6, 3, "quickstart", 16 << 20, 8 << 20, 1 << 20)
        images.push_all(source, {**corpus, "multi/platform": {"1.0": images.multi_platform("quickstart")}})
        *plain, chosen = corpus
        (directory / "dray.yaml").write_text(CONFIG.format(
            source=source.address, target=target.address, chosen=chosen,
            plain="\n".join(f"  - {source.address}/{name}" for name in plain)))
        print((directory / "dray.yaml").read_text())
        codes = []
        for title in ("First run: everything is new", "Second run: nothing has changed"):
            say(f"{title}\n$ dray sync dray.yaml")
            codes.append(sync(dray, directory))
        say("What arrived")
        for name in (*plain, chosen, "multi/platform"):
            print(f"  {target.address}/mirror/{name}: {len(target.manifests(f'mirror/{name}'))} manifests")
        for name in images.read_layout(directory / "layout"):
            print(f"  oci:{directory / 'layout'}:{name}")
        print(f"\nThe configuration, the state and the layout stay in {directory}; the registries are stopped.")
        return max(codes)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Terminated:
        return 128 + signal.SIGTERM
    finally:
        for server in servers:
            server.stop()
            shutil.rmtree(server.directory, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminate)
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
