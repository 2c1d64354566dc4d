"""dray verify: what stands at a target is looked at, found wrong where it is, and put right again.

covers: T-61, T-86
"""
import json
import pathlib
import signal
import subprocess

import pytest

from support import dray, faulty, images


def verify(directory, *arguments, **more):
    return dray.run("verify", "--json", *arguments, cwd=directory, **more)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def remove(path):
    path.unlink()


def kinds(result):
    return {(failure["stage"], failure["kind"]) for failure in result.report["failures"]}


# What is damaged, how, how a look finds it (None: it does not), and how a deep look does.
DAMAGE = [
    ("layer", remove, ("blob", "not_found"), ("blob", "not_found")),
    ("layer", cut, ("blob", "corrupt"), ("blob", "corrupt")),
    ("layer", flip, None, ("blob", "corrupt")),
    ("config", remove, ("blob", "not_found"), ("blob", "not_found")),
    ("config", flip, None, ("blob", "corrupt")),
    ("child", remove, ("manifest", "not_found"), ("manifest", "not_found")),
    ("child", flip, ("manifest", "corrupt"), ("manifest", "corrupt")),
    ("root", remove, ("manifest", "not_found"), ("manifest", "not_found")),
    ("root", flip, ("manifest", "corrupt"), ("manifest", "corrupt")),
]
DAMAGED = pytest.mark.parametrize("part, damage, look, deep", DAMAGE, ids=[f"{d.__name__} {p}" for p, d, *_ in DAMAGE])


class Mirrored:
    """An index and an image with which it shares a layer, mirrored into a layout and a registry; and what they are made of."""

    def __init__(self, source, target, repo, directory):
        self.directory, self.source, self.target, self.repo = directory, source, target, repo
        self.index = images.multi_platform(repo, ("amd64", "arm64"))
        self.other = images.Image([self.index.children[0].layers[0], images.Layer(f"{repo} other", 1 << 20)])
        images.push(source, repo, "multi", self.index)
        images.push(source, repo, "other", self.other)
        self.layout = directory / "layout"
        self.name = f"oci:{self.layout}"
        self.place = f"{target.address}/{repo}"
        self.config = dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    targets: ['{self.name}', '{self.place}']
""")
        dray.sync(self.config).expect(0)
        child = self.index.children[0]
        self.digests = {"layer": child.layers[1].digest, "config": child.config.digest, "child": child.digest,
                        "root": self.index.digest}

    def path(self, part):
        return images.blob_path(self.layout, self.digests[part])

    def unique(self):
        return images.all_blobs([self.index, self.other])


@pytest.fixture
def mirrored(source, target, repo, tmp_path):
    return Mirrored(source, target, repo, tmp_path)


# --- what is sound -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("where", ["layout", "registry", "catalog"])
def test_what_is_sound_is_seen_to_be(where, mirrored, tmp_path):
    name = {"layout": mirrored.name, "registry": mirrored.place + ":*", "catalog": mirrored.place + "/*"}[where]
    if where == "catalog":
        for n in range(2):
            images.push(mirrored.target, f"{mirrored.repo}/{n}", "1", mirrored.other)
    before = mirrored.target.log()
    look = verify(tmp_path, name).expect(0).report
    count = {"layout": 2, "registry": 2, "catalog": 2}[where]
    assert look["images"] == {**look["images"], "total": count, "sound": count, "repaired": 0, "failed": 0}
    assert look["exit_code"] == 0 and look["failures"] == []
    if where == "registry":
        assert look["bytes"]["downloaded"] == look["blobs"]["downloaded"] == 0
        assert not mirrored.target.log().since(before).of("GET", "blobs")
        assert look["blobs"]["present"] == len(mirrored.unique())


def test_a_deep_look_reads_each_blob_once_and_proves_it(mirrored, tmp_path):
    other = f"{mirrored.repo}/again"
    images.push(mirrored.target, other, "1", mirrored.other)
    images.push(mirrored.target, other, "2", mirrored.other)
    layers = {layer.digest for image in [*mirrored.index.children[:2], mirrored.other] for layer in image.layers}
    for name in (mirrored.name, f"{mirrored.target.address}/{mirrored.repo}:*", f"{mirrored.target.address}/*"):
        before = mirrored.target.log()
        deep = verify(tmp_path, "--deep", name).expect(0).report
        read = mirrored.target.log().since(before).blob_downloads()
        if name.endswith("/*"):
            again = [digest for digest in read if digest in layers]
            assert len(again) == len(set(again)) and set(again) == layers, "each layer once"
            continue
        assert deep["bytes"]["downloaded"] == sum(len(blob.data) for blob in mirrored.unique().values())
        assert deep["verified"]["diff_ids"] == len(layers) and deep["verified"]["diff_ids_remembered"] == 0


def test_one_image_alone(mirrored, tmp_path):
    images.blob_path(mirrored.layout, mirrored.other.layers[1].digest).unlink()
    for name in (f"{mirrored.name}:{mirrored.source.address}/{mirrored.repo}:multi", f"{mirrored.place}:multi",
                 f"{mirrored.place}@{mirrored.index.digest}"):
        assert verify(tmp_path, name, "--deep").expect(0).report["images"]["total"] == 1
    verify(tmp_path, f"{mirrored.name}:{mirrored.source.address}/{mirrored.repo}:other").expect(4)
    # A path that is not absolute means the same.
    verify(tmp_path, f"oci:layout:{mirrored.source.address}/{mirrored.repo}:other").expect(4).says(str(mirrored.layout))


def test_text_says_a_line_for_each_image(mirrored, tmp_path):
    said = dray.run("verify", mirrored.name, cwd=tmp_path, verbose=False).expect(0).stdout.splitlines()
    assert len([line for line in said if line.startswith("sound ")]) == 2 and len(said) == 3
    assert said[2].startswith("2 images: 2 sound, 0 repaired, 0 failed; ")
    assert dray.run("verify", "--quiet", mirrored.name, cwd=tmp_path).expect(0).stdout == ""


# --- what is not ---------------------------------------------------------------------------------------------------

@DAMAGED
def test_damage_is_found_and_repaired(part, damage, look, deep, mirrored, tmp_path):
    index = (mirrored.layout / "index.json").read_bytes()
    damage(mirrored.path(part))
    found = verify(tmp_path, mirrored.name).expect(1 if look else 0)
    assert kinds(found) == ({look} if look else set())
    assert found.report["images"]["failed"] == (1 if look else 0) and found.report["images"]["sound"] == (1 if look else 2)
    found = verify(tmp_path, "--deep", mirrored.name).expect(1)
    assert kinds(found) == {deep}
    failure, = found.report["failures"]
    assert failure["source"].endswith(":multi") and mirrored.digests[part][7:19] in failure["message"]
    assert failure["exit_class"] == 4
    repaired = verify(tmp_path, "--deep", "--repair", "--config", mirrored.config, mirrored.name).expect(0).report
    assert repaired["images"] == {**repaired["images"], "total": 2, "sound": 1, "repaired": 1, "failed": 0}
    assert repaired["failures"] == [] and repaired["blobs"]["uploaded"] == (1 if part in ("layer", "config") else 0)
    images.check_layout(mirrored.layout)
    assert (mirrored.layout / "index.json").read_bytes() == index, "the tag stays as it is"
    assert verify(tmp_path, "--deep", mirrored.name).expect(0).report["images"]["sound"] == 2
    assert dray.sync(mirrored.config).expect(0).report["images"]["unchanged"] == 2


def test_all_that_is_wrong_with_an_image_is_told(mirrored, tmp_path):
    for layer in mirrored.other.layers:
        flip(images.blob_path(mirrored.layout, layer.digest))
    failures = verify(tmp_path, "--deep", mirrored.name).expect(4).report["failures"]
    assert len(failures) == 3, "the layer that both images have fails both"
    verify(tmp_path, "--deep", "--repair", "--config", mirrored.config, mirrored.name).expect(0)
    images.check_layout(mirrored.layout)


def test_a_config_that_lies_is_found_by_a_deep_look(repo, tmp_path):
    image = images.Image([images.Layer(repo), images.Layer(f"{repo} 2")])
    document = json.loads(image.config.data)
    document["rootfs"]["diff_ids"].reverse()
    lying = images.Blob(images.to_json(document), image.config.media_type)
    manifest = json.loads(image.data)
    manifest["config"] = lying.descriptor()
    made = images.Blob(images.to_json(manifest), image.media_type)
    made.blobs, made.children = [lying, *image.layers], []
    images.write_layout(tmp_path / "layout", {"name:1": made})
    verify(tmp_path, f"oci:{tmp_path}/layout").expect(0)
    found = verify(tmp_path, f"oci:{tmp_path}/layout", "--deep").expect(4).says("diff_id")
    assert kinds(found) == {("verify", "corrupt")}


# --- registries ----------------------------------------------------------------------------------------------------

def repositories(registry):
    return registry.root / "docker/registry/v2/repositories"


def link(registry, repository, digest):
    return repositories(registry) / repository / "_layers" / digest.replace(":", "/") / "link"


def revision(registry, repository, digest):
    return repositories(registry) / repository / "_manifests/revisions" / digest.replace(":", "/") / "link"


@pytest.mark.parametrize("part", ["layer", "config", "child"])
def test_what_is_missing_in_a_registry_is_found_in_its_repository_and_repaired(part, mirrored, tmp_path):
    digest = mirrored.digests[part]
    (revision if part == "child" else link)(mirrored.target, mirrored.repo, digest).unlink()
    assert dray.sync(mirrored.config).expect(0).report["images"]["unchanged"] == 2, "a sync asks for tags alone"
    found = verify(tmp_path, f"{mirrored.place}:*").expect(1)
    assert kinds(found) == {("manifest" if part == "child" else "blob", "not_found")}
    report = verify(tmp_path, f"{mirrored.place}:*", "--repair", "--config", mirrored.config).expect(0).report
    assert report["images"]["repaired"] == 1 and report["images"]["sound"] == 1
    verify(tmp_path, f"{mirrored.place}:*", "--deep").expect(0)
    assert mirrored.target.tags(mirrored.repo)["multi"] == mirrored.index.digest


def test_a_layer_is_looked_for_in_each_repository(mirrored, tmp_path):
    for n in range(3):
        images.push(mirrored.target, f"{mirrored.repo}/{n}", "1", mirrored.other)
    link(mirrored.target, f"{mirrored.repo}/1", mirrored.other.layers[0].digest).unlink()
    found = verify(tmp_path, f"{mirrored.place}/*", "--deep").expect(1)
    failure, = found.report["failures"]
    assert failure["source"] == f"{mirrored.place}/1:1" and found.report["images"]["sound"] == 2


def test_what_a_registry_does_not_let_go_of_stays_wrong_and_is_told(mirrored, tmp_path):
    """docker-registry takes an upload of what it has for done, and keeps the file."""
    flip(mirrored.target.blob_path(mirrored.other.layers[1].digest))
    found = verify(tmp_path, f"{mirrored.place}:other", "--deep", "--repair", "--config", mirrored.config).expect(4)
    assert kinds(found) == {("blob", "corrupt")} and found.report["images"]["repaired"] == 0
    assert found.report["blobs"]["uploaded"] >= 1


def test_a_tag_that_is_gone_is_put_back(mirrored, tmp_path):
    (repositories(mirrored.target) / mirrored.repo / "_manifests/tags/other/current/link").unlink()
    verify(tmp_path, f"{mirrored.place}:other").expect(4)
    verify(tmp_path, f"{mirrored.place}:other", "--repair", "--config", mirrored.config).expect(0)
    assert mirrored.target.tags(mirrored.repo)["other"] == mirrored.other.digest


def test_an_index_that_was_cut_is_repaired_as_such(source, target, repo, tmp_path):
    index = images.multi_platform(repo, ("amd64", "arm64"))
    images.push(source, repo, "1", index)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: {source.address}/{repo}, platforms: [linux/arm64], target: {target.address}/{repo}}}
""")
    dray.sync(config).expect(0)
    written = target.tags(repo)["1"]
    link(target, repo, index.children[1].layers[1].digest).unlink()
    verify(tmp_path, f"{target.address}/{repo}:1").expect(4)
    verify(tmp_path, f"{target.address}/{repo}:1", "--repair", "--config", config).expect(0)
    assert target.tags(repo) == {"1": written} and written != index.digest
    assert dray.sync(config).expect(0).report["images"]["unchanged"] == 1


# --- what cannot be repaired ---------------------------------------------------------------------------------------

# covers: T-82
def test_what_somebody_else_has_put_there_is_left_alone(mirrored, tmp_path):
    theirs = images.Image([images.Layer(f"{mirrored.repo} theirs")])
    images.push(mirrored.target, mirrored.repo, "other", theirs)
    link(mirrored.target, mirrored.repo, theirs.layers[0].digest).unlink()
    found = verify(tmp_path, f"{mirrored.place}:other", "--repair", "--config", mirrored.config).expect(4, 3)
    assert ("repair", "denied") in kinds(found)
    found.says("somebody has changed that")
    assert mirrored.target.tags(mirrored.repo)["other"] == theirs.digest


def test_what_nobody_remembers_is_not_repaired(mirrored, tmp_path):
    mirrored.path("layer").unlink()
    mirrored.config.with_suffix(".db").unlink()
    found = verify(tmp_path, mirrored.name, "--repair", "--config", mirrored.config).expect(1)
    assert kinds(found) == {("blob", "not_found"), ("repair", "not_found")}
    found.says("not repaired: the state does not know where it came from")


def test_a_source_that_is_gone_is_told(mirrored, tmp_path):
    mirrored.path("layer").unlink()
    revision(mirrored.source, mirrored.repo, mirrored.index.digest).unlink()
    found = verify(tmp_path, mirrored.name, "--repair", "--config", mirrored.config).expect(1).says("not repaired")
    assert kinds(found) == {("blob", "not_found"), ("repair", "not_found")}


def test_repair_needs_a_state(mirrored, tmp_path):
    verify(tmp_path, mirrored.name, "--repair").expect(2).says("--repair needs --config")
    config = tmp_path / "stateless.yaml"
    config.write_text(f"version: 1\nrepos: [{{source: a, target: {mirrored.place}}}]\n")
    verify(tmp_path, mirrored.name, "--repair", "--config", config).expect(2).says("has no state")


# --- ends ----------------------------------------------------------------------------------------------------------

def test_nothing_there_is_no_good_news(repo, target, tmp_path):
    images.write_layout(tmp_path / "empty", {})
    verify(tmp_path, f"oci:{tmp_path}/empty").expect(4).says("nothing was verified")
    verify(tmp_path, f"oci:{tmp_path}/none").expect(4)
    verify(tmp_path, f"{target.address}/{repo}/none:*").expect(4)
    verify(tmp_path, f"{target.address}/{repo}/none/*").expect(4).says("nothing was verified")
    verify(tmp_path, f"{target.address}/{repo}:none").expect(4)


def test_a_refusal_is_no_damage(mirrored, tmp_path):
    refusing = faulty.Faulty(mirrored.target.address, lambda method, path: 401 if "/manifests/" in path else None)
    found = verify(tmp_path, f"{refusing.address}/{mirrored.repo}:*").expect(3)
    assert kinds(found) == {("resolve", "unauthorized")}
    refusing.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_stops_it(number, mirrored, tmp_path):
    hold = faulty.Hold()
    digest = mirrored.other.layers[1].digest
    slow = faulty.Faulty(mirrored.target.address, lambda method, path: hold if method == "GET" and digest in path else None)
    process = dray.start("verify", "--deep", "--json", "--grace", "0s", f"{slow.address}/{mirrored.repo}:*", cwd=tmp_path)
    assert hold.reached.wait(60)
    process.send_signal(number)
    report = dray.finish(process, 12).expect(128 + number).report
    assert report["images"]["stopped"] >= 1 and report["images"]["failed"] == 0
    hold.release.set()
    slow.stop()


def test_it_changes_nothing(mirrored, tmp_path):
    def listing():
        return subprocess.run(["find", ".", "-type", "f", "-printf", "%p %s %T@ %i\n"], cwd=tmp_path, check=True,
                              capture_output=True).stdout
    before = listing()
    verify(tmp_path, mirrored.name, "--deep").expect(0)
    verify(tmp_path, mirrored.name, "--deep", "--config", mirrored.config).expect(0)
    assert listing() == before
    assert pathlib.Path(mirrored.layout).exists()
