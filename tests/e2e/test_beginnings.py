"""The beginning of a blob that a run left in a layout, dead or stopped, is not fetched again; nor is it believed."""
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


def begin(source, image, repo, directory, layout, *options):
    """A run whose layer stops coming; the process, when what came of it is on the disk."""
    layer = image.layers[0]
    source.on("GET blob", scripted.stall(0.6), digest=layer.digest, times=1)
    process = dray.start("copy", "--json", *options, f"{source.address}/{repo}:1", f"oci:{layout}", cwd=directory)
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in leftovers(layout) if layer.digest in path.name) < len(layer.data) // 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    return process


def end(process, number):
    os.kill(process.pid, number)
    return dray.finish(process)


def copy(source, repo, layout, directory, *more):
    return dray.run("copy", "--json", f"{source.address}/{repo}:1", f"oci:{layout}", *more, cwd=directory)


# covers: BLB-3, BLB-4, LYR-8, T-57
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_goes_on_with_the_next_byte(number, source, image, repo, tmp_path):
    layer, layout = image.layers[0], tmp_path / "layout"
    process = begin(source, image, repo, tmp_path, layout)
    if number == signal.SIGTERM:
        os.kill(process.pid, number)  # the second one leaves at once, and is no clean end
        time.sleep(0.2)
        number = signal.SIGKILL
    end(process, number)
    have = leftovers(layout)[-1].stat().st_size
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
    end(begin(source, image, repo, tmp_path, layout, "--grace", "1s"), signal.SIGTERM).expect(143)
    have = leftovers(layout)[-1].stat().st_size
    assert copy(source, repo, layout, tmp_path).expect(0).report["bytes"]["resumed"] == have
    images.check_layout(layout)


# covers: BLB-3, T-57, T-58
@pytest.mark.parametrize("harm", ["flipped", "zeroed", "longer", "empty"])
def test_wrong_beginning_costs_time_and_nothing_else(harm, source, image, repo, tmp_path):
    layer, layout = image.layers[0], tmp_path / "layout"
    end(begin(source, image, repo, tmp_path, layout), signal.SIGKILL)
    path = leftovers(layout)[-1]
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
    end(begin(source, image, repo, tmp_path, layout), signal.SIGKILL)
    leftovers(layout)[-1].write_bytes(layer.data)
    source.forget()
    copy(source, repo, layout, tmp_path).expect(0)
    assert not source.of("GET blob", digest=layer.digest)
    images.check_layout(layout)


# covers: BLB-3, T-57, T-79
def test_beginning_of_a_living_run_is_left_to_it(source, image, repo, tmp_path):
    layer, layout = image.layers[0], tmp_path / "layout"
    process = begin(source, image, repo, tmp_path, layout)
    report = copy(source, repo, layout, tmp_path).expect(0).report
    assert report["bytes"]["resumed"] == 0 and len(leftovers(layout)) == 1
    end(process, signal.SIGKILL)
    images.check_layout(layout)


# covers: BLB-3, P4
def test_other_targets_get_it_from_there(source, image, repo, tmp_path):
    """Only one target has the beginning; the others are given it from there."""
    layer, layout = image.layers[0], tmp_path / "layout"
    end(begin(source, image, repo, tmp_path, layout), signal.SIGKILL)
    have = leftovers(layout)[-1].stat().st_size
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
    end(begin(source, image, repo, tmp_path, layout), signal.SIGKILL)
    path = leftovers(layout)[-1]
    week = time.time() - 8 * 24 * 3600
    os.utime(path, (week, week))
    other = images.Image([images.Layer(f"{repo} other")])
    source.push(repo, "2", other)
    dray.run("copy", f"{source.address}/{repo}:2", f"oci:{layout}", cwd=tmp_path).expect(0)
    assert not leftovers(layout)


def staged(source, target, repo, directory, limit=""):
    return dray.write_config(directory / "c.yaml", f"staging: {{dir: staging{limit}}}\n"
                             f"repos: [{{source: '{source.address}/{repo}:1', target: {target.address}/{repo}}}]\n")


@pytest.fixture
def large(repo):
    return images.Image([images.Layer(repo, 24 * MIB)])


def begin_staged(source, config, layer, directory):
    source.on("GET blob", scripted.stall(0.6), digest=layer.digest, times=1)
    process = dray.start("sync", "--json", config, cwd=directory)
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size for path in leftovers(directory / "staging")) < len(layer.data) // 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    return process


# covers: BLB-3, P6, T-57
def test_between_registries_staging_keeps_it(large, repo, tmp_path):
    layer = large.layers[0]
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", large)
        config = staged(source, target, repo, tmp_path)
        end(begin_staged(source, config, layer, tmp_path), signal.SIGKILL)
        have = leftovers(tmp_path / "staging")[0].stat().st_size
        source.forget()
        report = dray.sync(config).expect(0).report
        assert [request.header("range") for request in source.of("GET blob", digest=layer.digest)] == [
            f"bytes={have}-{len(layer.data) - 1}"]
        assert report["bytes"]["resumed"] == have and report["verified"]["diff_ids"] == 1
        assert target.holds(repo, large) and not leftovers(tmp_path / "staging")


# covers: BLB-3
def test_staging_gives_what_a_target_did_not_take(large, repo, tmp_path):
    """The target breaks when all has come; the next attempt reads nothing at the source."""
    layer = large.layers[0]
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", large)
        target.on("PUT blob", 500, digest=layer.digest, times=1)
        dray.sync(staged(source, target, repo, tmp_path)).expect(0)
        assert target.holds(repo, large) and source.count("GET blob", digest=layer.digest) == 1
        assert not leftovers(tmp_path / "staging")


# covers: BLB-3, T-55
@pytest.mark.parametrize("harm", ["full", "no directory"])
def test_staging_that_cannot_be_used_stops_nothing(harm, large, repo, tmp_path):
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", large)
        config = staged(source, target, repo, tmp_path, ", limit-gib: 1" if harm == "full" else "")
        if harm == "full":
            (tmp_path / "staging/ingest").mkdir(parents=True)
            with open(tmp_path / "staging/ingest" / f"dray-1-0-of-sha256:{'0' * 64}", "wb") as file:
                file.truncate(1 << 30)
            (tmp_path / "staging/oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        else:
            (tmp_path / "staging").write_text("a file")
        result = dray.sync(config).expect(0)
        assert target.holds(repo, large) and (harm == "full" or "large blobs are carried without" in result.stderr)
        assert len(leftovers(tmp_path / "staging")) == (harm == "full")


# covers: BLB-3, P4, UPL-22
def test_staging_feeds_a_second_upload(large, repo, tmp_path):
    """The target breaks on the way: what had come is not read at the source again."""
    layer = large.layers[0]
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", large)
        target.on("PUT blob", scripted.reset("early", at=6 * MIB), digest=layer.digest, times=1)
        report = dray.sync(staged(source, target, repo, tmp_path)).expect(0).report
        assert report["blobs"]["reread"] == 0
        assert report["bytes"]["downloaded"] < len(layer.data) + 2 * MIB, "and those that were under way"
        assert target.holds(repo, large) and not leftovers(tmp_path / "staging")


# covers: BLB-3, T-57
@pytest.mark.parametrize("harm", ["flipped", "longer"])
def test_wrong_beginning_in_staging_costs_time_and_nothing_else(harm, large, repo, tmp_path):
    layer = large.layers[0]
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", large)
        config = staged(source, target, repo, tmp_path)
        end(begin_staged(source, config, layer, tmp_path), signal.SIGKILL)
        path = leftovers(tmp_path / "staging")[0]
        data = path.read_bytes()
        path.write_bytes(data[:99] + bytes([data[99] ^ 1]) + data[100:] if harm == "flipped" else data + bytes(len(layer.data)))
        dray.sync(config).expect(0)
        assert target.holds(repo, large) and not leftovers(tmp_path / "staging")


# covers: BLB-3
@pytest.mark.parametrize("room", ["for the rest", "for less"])
def test_what_lies_in_staging_has_its_room_already(room, large, repo, tmp_path):
    layer = large.layers[0]
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", large)
        config = staged(source, target, repo, tmp_path, ", limit-gib: 1")
        end(begin_staged(source, config, layer, tmp_path), signal.SIGKILL)
        have = leftovers(tmp_path / "staging")[0].stat().st_size
        rest = len(layer.data) - have
        with open(tmp_path / "staging/ingest" / f"dray-1-0-of-sha256:{'0' * 64}", "wb") as file:
            file.truncate((1 << 30) - have - rest + (0 if room == "for the rest" else 1))
        report = dray.sync(config).expect(0).report
        assert target.holds(repo, large) and report["bytes"]["resumed"] == (have if room == "for the rest" else 0)
        assert len(leftovers(tmp_path / "staging")) == (1 if room == "for the rest" else 2)
