"""gc removes what nothing names, and only that."""
import hashlib
import json
import os
import signal

import pytest

from support import dray, faulty, images, readers


def blobs(layout):
    return {f"{path.parent.name}:{path.name}" for path in layout.glob("blobs/*/*")}


def gc(layout, *arguments, cwd):
    return dray.run("gc", "--older-than", "0s", f"oci:{layout}", *arguments, cwd=cwd)


def told(layout, *arguments, cwd):
    return json.loads(gc(layout, "--json", *arguments, cwd=cwd).expect(0).stdout)


@pytest.fixture
def moved(source, repo, tmp_path):
    """A layout whose tag has moved on: (layout, the image it had, the image it has)."""
    layout = tmp_path / "layout"
    shared = images.Layer(f"{repo} shared")
    before, after = (images.Image([shared, images.Layer(f"{repo} {n}")]) for n in range(2))
    for image in (before, after):
        images.push(source, repo, "1", image)
        dray.run("copy", f"{source.address}/{repo}:1", f"oci:{layout}:x:1", cwd=tmp_path).expect(0)
    return layout, before, after


def digests(image):
    return {image.digest, *(blob.digest for blob in image.blobs)}


def test_what_a_tag_left_behind_is_removed_and_the_rest_stays_readable(moved, tmp_path):
    layout, before, after = moved
    alone = digests(before) - digests(after)
    assert blobs(layout) == digests(before) | digests(after)
    report = told(layout, "--dry-run", cwd=tmp_path)
    assert report["dry_run"] and report["removed"] == len(alone) and alone <= blobs(layout)
    report = told(layout, cwd=tmp_path)
    assert report["removed"] == len(alone) and report["kept"] == len(digests(after))
    assert blobs(layout) == digests(after)
    readers.skopeo("copy", f"oci:{layout}:x:1", f"oci:{tmp_path}/again:x", home=tmp_path)
    assert told(layout, cwd=tmp_path)["removed"] == 0


@pytest.mark.parametrize("form", ["blanks", "escapes"])
def test_document_in_an_odd_form_keeps_what_it_names(form, tmp_path):
    layout, image = tmp_path / "layout", images.Image([images.Layer("odd")])
    images.write_layout(layout, {"x:1": image})
    data = image.data if form == "escapes" else b" " * 100 + image.data
    if form == "escapes":
        data = data.replace(b"sha256:", b"sha256\\u003a")
    odd = images.Blob(data, image.media_type)
    images.blob_path(layout, odd.digest).write_bytes(data)
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [odd.descriptor()]}))
    assert told(layout, cwd=tmp_path)["removed"] == 1, "the manifest in its other form"
    assert images.blob_path(layout, image.layers[0].digest).exists()


def test_what_is_young_stays(moved, tmp_path):
    layout, before, after = moved
    result = dray.run("gc", f"oci:{layout}", cwd=tmp_path).expect(0).says("removed 0 blobs", "not older than 24h")
    assert blobs(layout) == digests(before) | digests(after) and len(result.stdout.splitlines()) == 1


def test_everything_that_a_reached_document_names_stays(tmp_path):
    """Kinds of documents that dray does not know keep what they name, in an index in an index."""
    layout = tmp_path / "layout"
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def store(data):
        name = hashlib.sha256(data).hexdigest()
        (layout / "blobs/sha256" / name).write_bytes(data)
        return f"sha256:{name}"

    def entry(digest, kind):
        return {"mediaType": kind, "digest": digest, "size": (layout / "blobs/sha256" / digest[7:]).stat().st_size}
    leaf = store(b"\x1f\x8b binary, names sha256:" + b"ab" * 32)
    strange = store(json.dumps({"future": {"parts": [{"at": leaf}]}}).encode())
    inner = store(json.dumps({"schemaVersion": 2, "manifests": [entry(strange, "application/x.strange+json")]}).encode())
    dead = store(b"nobody names this")
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        entry(inner, "application/vnd.oci.image.index.v1+json")]}))
    foreign = layout / "blobs/sha256/notes.txt"
    foreign.write_text("mine")
    assert told(layout, cwd=tmp_path)["removed"] == 1
    assert blobs(layout) == {leaf, strange, inner, "sha256:notes.txt"} and dead not in blobs(layout)


@pytest.mark.parametrize("what", ["cut", "flipped", "a link"])
def test_a_document_that_cannot_be_read_whole_saves_everything(moved, tmp_path, what):
    layout, before, after = moved
    manifest = layout / "blobs/sha256" / after.digest[7:]
    data = manifest.read_bytes()
    manifest.unlink()
    if what == "a link":
        (tmp_path / "elsewhere").write_bytes(data)
        manifest.symlink_to(tmp_path / "elsewhere")
    else:
        manifest.write_bytes(data[:-5] if what == "cut" else data.replace(b"sha256:", b"sha512:", 1))
    held = blobs(layout)
    gc(layout, cwd=tmp_path).expect(4).says("oci:", after.digest[7:19])
    assert blobs(layout) == held


def test_gc_waits_for_no_copy_and_a_copy_for_gc_only(source, repo, moved, tmp_path):
    layout, before, after = moved
    images.push(source, repo, "2", images.Image([images.Layer(f"{repo} slow")]))
    hold = faulty.Hold()
    slow = faulty.Faulty(source.address, lambda method, path: hold if "/blobs/" in path and method == "GET" else None)
    copy = dray.start("copy", f"{slow.address}/{repo}:2", f"oci:{layout}:x:2", cwd=tmp_path)
    assert hold.reached.wait(20)
    gc(layout, cwd=tmp_path).expect(7).says("a copy is writing into it")
    assert blobs(layout) >= digests(before)
    hold.release.set()
    dray.finish(copy).expect(0)
    slow.stop()
    assert told(layout, cwd=tmp_path)["removed"] > 0
    readers.skopeo("inspect", f"oci:{layout}:x:2", home=tmp_path)


def test_a_killed_copy_leaves_nothing_that_gc_does_not_remove(source, repo, moved, tmp_path):
    layout, before, after = moved
    image = images.Image([images.Layer(f"{repo} killed {n}") for n in range(3)])
    images.push(source, repo, "3", image)
    hold, last = faulty.Hold(), image.blobs[-1].digest
    slow = faulty.Faulty(source.address, lambda method, path: hold if last in path and method == "GET" else None)
    copy = dray.start("copy", f"{slow.address}/{repo}:3", f"oci:{layout}:x:3", cwd=tmp_path)
    assert hold.reached.wait(20)
    copy.send_signal(signal.SIGKILL)
    copy.wait()
    hold.release.set()
    slow.stop()
    gc(layout, cwd=tmp_path).expect(0)
    assert blobs(layout) == digests(after)


@pytest.mark.parametrize("operand, code", [("oci:{}/none", 4), ("oci:{}", 4), ("alpine", 2), ("oci:{}/layout:x:1", 2)])
def test_what_is_no_layout_is_refused(moved, tmp_path, operand, code):
    dray.run("gc", operand.format(tmp_path), cwd=tmp_path).expect(code)
    assert os.listdir(moved[0]) and dray.run("gc", "--older-than", "soon", f"oci:{moved[0]}", cwd=tmp_path).code == 2
