"""The beginning of a blob that a run left in a layout, dead or stopped, is not fetched again; nor is it believed."""
import contextlib
import fcntl
import os
import signal
import time

import pytest

from support import dray, images, scripted

MIB = 1 << 20


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo, 6 * MIB)])


@pytest.fixture
def source(image, repo):
    with scripted.Registry() as server:
        server.push(repo, "1", image)
        yield server


def leftovers(layout):
    return list(layout.glob("ingest/dray-*"))


def left_of(layout, layer):
    """The config may be there, too."""
    return next(path for path in leftovers(layout) if layer.digest in path.name)


def begin(source, image, layout, directory, *command):
    """A run whose layer stops coming; the process, when what came of it is on the disk."""
    layer = image.layers[0]
    source.on("GET blob", scripted.stall(0.6), digest=layer.digest, times=1)
    process = dray.start(*command, "--json", cwd=directory)
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in leftovers(layout) if layer.digest in path.name) < len(layer.data) // 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    return process


def begin_copy(source, image, repo, directory, layout, *options):
    return begin(source, image, layout, directory, "copy", *options, f"{source.address}/{repo}:1", f"oci:{layout}")


def end(process, number):
    os.kill(process.pid, number)
    return dray.finish(process)


def copy(source, repo, layout, directory, *more):
    return dray.run("copy", "--json", f"{source.address}/{repo}:1", f"oci:{layout}", *more, cwd=directory)


# covers: BLB-3, BLB-4, LYR-8, T-57
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_goes_on_with_the_next_byte(number, source, image, repo, tmp_path):
    layer, layout = image.layers[0], tmp_path / "layout"
    process = begin_copy(source, image, repo, tmp_path, layout)
    if number == signal.SIGTERM:
        os.kill(process.pid, number)  # the second one leaves at once, and is no clean end
        time.sleep(0.2)
        number = signal.SIGKILL
    end(process, number)
    have = left_of(layout, image.layers[0]).stat().st_size
    source.forget()
    report = copy(source, repo, layout, tmp_path).expect(0).report
    assert [request.header("range") for request in source.of("GET blob", digest=layer.digest)] == [
        f"bytes={have}-{len(layer.data) - 1}"]
    assert report["bytes"]["resumed"] == have
    assert report["bytes"]["downloaded"] == len(layer.data) - have + len(image.config.data)
    assert report["verified"]["diff_ids"] == 1, "all of it was proven, not only what came now"
    images.check_layout(layout)
    assert not leftovers(layout)


# covers: BLB-3, T-57
def test_stopped_in_order_keeps_it_too(source, image, repo, tmp_path):
    layout = tmp_path / "layout"
    end(begin_copy(source, image, repo, tmp_path, layout, "--grace", "1s"), signal.SIGTERM).expect(143)
    have = left_of(layout, image.layers[0]).stat().st_size
    assert copy(source, repo, layout, tmp_path).expect(0).report["bytes"]["resumed"] == have
    images.check_layout(layout)


# covers: BLB-3, T-57, T-58
@pytest.mark.parametrize("harm", ["flipped", "zeroed", "longer", "empty"])
def test_wrong_beginning_costs_time_and_nothing_else(harm, source, image, repo, tmp_path):
    layer, layout = image.layers[0], tmp_path / "layout"
    end(begin_copy(source, image, repo, tmp_path, layout), signal.SIGKILL)
    path = left_of(layout, image.layers[0])
    data = bytearray(path.read_bytes())
    data = {"flipped": data[:1000] + bytes([data[1000] ^ 1]) + data[1001:], "zeroed": bytes(len(data)),
            "longer": bytes(data) + bytes(len(layer.data)), "empty": b""}[harm]
    path.write_bytes(data)
    copy(source, repo, layout, tmp_path).expect(0)
    images.check_layout(layout)
    assert not leftovers(layout) and images.blob_path(layout, layer.digest).read_bytes() == layer.data


# covers: BLB-3, T-57
def test_all_of_it_may_be_there(source, image, repo, tmp_path):
    """Killed between the last byte and the name."""
    layer, layout = image.layers[0], tmp_path / "layout"
    end(begin_copy(source, image, repo, tmp_path, layout), signal.SIGKILL)
    left_of(layout, image.layers[0]).write_bytes(layer.data)
    source.forget()
    copy(source, repo, layout, tmp_path).expect(0)
    assert not source.of("GET blob", digest=layer.digest)
    images.check_layout(layout)


# covers: BLB-3, T-57, T-79
def test_beginning_of_a_living_run_is_left_to_it(source, image, repo, tmp_path):
    layer, layout = image.layers[0], tmp_path / "layout"
    process = begin_copy(source, image, repo, tmp_path, layout)
    report = copy(source, repo, layout, tmp_path).expect(0).report
    assert report["bytes"]["resumed"] == 0 and len(leftovers(layout)) == 1
    end(process, signal.SIGKILL)
    images.check_layout(layout)


# covers: BLB-3, P4
def test_other_targets_get_it_from_there(source, image, repo, tmp_path):
    """Only one target has the beginning; the others are given it from there."""
    layer, layout = image.layers[0], tmp_path / "layout"
    end(begin_copy(source, image, repo, tmp_path, layout), signal.SIGKILL)
    have = left_of(layout, image.layers[0]).stat().st_size
    with scripted.Registry() as target:
        config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: '{source.address}/{repo}:1', "
                                   f"targets: [{target.address}/{repo}, 'oci:{layout}']}}]\n")
        source.forget()
        report = dray.sync(config).expect(0).report
        assert report["bytes"]["resumed"] == have and target.holds(repo, image)
    assert [request.header("range") for request in source.of("GET blob", digest=layer.digest)] == [
        f"bytes={have}-{len(layer.data) - 1}"]
    images.check_layout(layout)


# covers: T-57
def test_old_ones_are_swept(source, image, repo, tmp_path):
    layout = tmp_path / "layout"
    end(begin_copy(source, image, repo, tmp_path, layout), signal.SIGKILL)
    path = left_of(layout, image.layers[0])
    week = time.time() - 8 * 24 * 3600
    os.utime(path, (week, week))
    other = images.Image([images.Layer(f"{repo} other")])
    source.push(repo, "2", other)
    dray.run("copy", f"{source.address}/{repo}:2", f"oci:{layout}", cwd=tmp_path).expect(0)
    assert not leftovers(layout)


class Between:
    """Two registries with staging beside them, and a large image at the source."""

    def __init__(self, source, target, repo, directory):
        self.source, self.target, self.repo, self.directory = source, target, repo, directory
        self.image = images.Image([images.Layer(repo, 24 * MIB)])
        self.layer = self.image.layers[0]
        self.staging = directory / "staging"
        source.push(repo, "1", self.image)
        self.configure()

    def configure(self, limit=""):
        self.config = dray.write_config(self.directory / "c.yaml", f"staging: {{dir: staging{limit}}}\n"
                                        f"repos: [{{source: '{self.source.address}/{self.repo}:1', "
                                        f"target: {self.target.address}/{self.repo}}}]\n")

    def leave_a_beginning(self):
        """A run that dies on the way; what it has left."""
        end(begin(self.source, self.image, self.staging, self.directory, "sync", self.config), signal.SIGKILL)
        return next(path for path in leftovers(self.staging) if self.layer.digest in path.name)

    def leave_another(self, size, name="0"):
        """Of a blob that nobody asks for."""
        (self.staging / "ingest").mkdir(parents=True, exist_ok=True)
        (self.staging / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        path = self.staging / "ingest" / f"dray-1-0-of-sha256:{name * 64}"
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    def sync(self):
        report = dray.sync(self.config).expect(0).report
        assert self.target.holds(self.repo, self.image)
        return report


@pytest.fixture
def between(repo, tmp_path):
    with scripted.Registry() as source, scripted.Registry() as target:
        yield Between(source, target, repo, tmp_path)


# covers: BLB-3, P6, T-57
def test_between_registries_staging_keeps_it(between):
    have = between.leave_a_beginning().stat().st_size
    between.source.forget()
    report = between.sync()
    assert [request.header("range") for request in between.source.of("GET blob", digest=between.layer.digest)] == [
        f"bytes={have}-{len(between.layer.data) - 1}"]
    assert report["bytes"]["resumed"] == have and report["verified"]["diff_ids"] == 1
    assert not leftovers(between.staging)


# covers: BLB-3
def test_staging_gives_what_a_target_did_not_take(between):
    """The target breaks when all has come; the next attempt reads nothing at the source."""
    between.target.on("PUT blob", 500, digest=between.layer.digest, times=1)
    between.sync()
    assert between.source.count("GET blob", digest=between.layer.digest) == 1 and not leftovers(between.staging)


@contextlib.contextmanager
def in_use(path):
    """As a living run has it."""
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# covers: BLB-3, T-55, T-79
@pytest.mark.parametrize("harm", ["full, and in use", "no directory"])
def test_staging_that_cannot_be_used_stops_nothing(harm, between):
    full = harm != "no directory"
    if full:
        between.configure(", limit-gib: 1")
    else:
        between.staging.write_text("a file")
    with in_use(between.leave_another(1 << 30)) if full else contextlib.nullcontext():
        result = dray.sync(between.config).expect(0)
    assert between.target.holds(between.repo, between.image)
    assert full or "large blobs are carried without" in result.stderr
    assert len(leftovers(between.staging)) == full


# covers: BLB-3, T-55, T-57
def test_the_oldest_in_staging_give_way(between):
    between.configure(", limit-gib: 1")
    newer, oldest, old = (between.leave_another(size * MIB, name) for size, name in ((500, "a"), (522, "b"), (2, "c")))
    for path, age_s in ((newer, 60), (old, 3600), (oldest, 7200)):
        os.utime(path, (time.time() - age_s,) * 2)
    with in_use(oldest):
        between.leave_a_beginning()
        assert not old.exists() and not newer.exists() and oldest.exists(), "2 MiB are not enough"
    between.leave_another(502 * MIB, "d")
    between.sync()
    assert [path.name[-1] for path in leftovers(between.staging)] == ["d"], "nobody has the oldest any more"


# covers: BLB-3, P4, UPL-22
@pytest.mark.parametrize("room", ["plenty", "just enough"])
def test_staging_feeds_a_second_upload(room, between):
    """The target breaks on the way: what had come is not read at the source again."""
    between.configure(", limit-gib: 1")
    between.target.on("PUT blob", scripted.reset("early", at=6 * MIB), digest=between.layer.digest, times=1)
    with in_use(between.leave_another((1 << 30) - len(between.layer.data) if room == "just enough" else MIB)):
        report = between.sync()
    assert report["blobs"]["reread"] == 0
    assert report["bytes"]["downloaded"] < len(between.layer.data) + 2 * MIB, "and those that were under way"
    assert len(leftovers(between.staging)) == 1


# covers: BLB-3, T-57
@pytest.mark.parametrize("harm", ["flipped", "longer"])
def test_wrong_beginning_in_staging_costs_time_and_nothing_else(harm, between):
    path = between.leave_a_beginning()
    data = path.read_bytes()
    path.write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:] if harm == "flipped"
                     else data + bytes(len(between.layer.data)))
    between.sync()
    assert not leftovers(between.staging)


# covers: BLB-3, T-79
@pytest.mark.parametrize("room", ["for the rest", "that another gives up", "that another has"])
def test_what_lies_in_staging_has_its_room_already(room, between):
    between.configure(", limit-gib: 1")
    have = between.leave_a_beginning().stat().st_size
    other = between.leave_another((1 << 30) - len(between.layer.data) + (room != "for the rest"))
    with in_use(other) if room == "that another has" else contextlib.nullcontext():
        report = between.sync()
    assert report["bytes"]["resumed"] == (0 if room == "that another has" else have)
    assert other.exists() == (room != "that another gives up")
    assert len(leftovers(between.staging)) == {"for the rest": 1, "that another gives up": 0}.get(room, 2)
