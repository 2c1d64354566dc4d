"""Layouts are read and written by others too."""
import pytest

from support import dray, images, readers


def gzipped(repo, count=2):
    """umoci of Debian 12 knows gzip and plain tar."""
    return images.Image([images.Layer(f"{repo} {n}") for n in range(count)])


def test_umoci_reads_what_dray_wrote(source, repo, tmp_path):
    image = gzipped(repo)
    images.push(source, repo, "1", image)
    name = f"{source.address}/{repo}:1"
    dray.run("copy", name, f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0)
    assert readers.umoci_tags(tmp_path / "layout", tmp_path) == {name}
    assert len(readers.umoci_stat(tmp_path / "layout", name, tmp_path)["history"]) == 2
    readers.umoci_unpack(tmp_path / "layout", name, tmp_path / "bundle", tmp_path)
    assert list((tmp_path / "bundle/rootfs/data").iterdir())


def test_bare_tags_where_one_repository_has_a_layout(source, repo, tmp_path):
    image = gzipped(repo)
    images.push(source, repo, "1", image)
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    names: tag
    targets: ['oci:{tmp_path}/layout']
""")
    dray.sync(config).expect(0)
    assert readers.digest(f"oci:{tmp_path}/layout:1", tmp_path) == image.digest
    assert dray.sync(config).expect(0).report["images"]["unchanged"] == 1


def test_skopeo_reads_what_dray_wrote(source, repo, tmp_path):
    image = images.Image([images.Layer(f"{repo} {c}", compression=c) for c in ("gzip", "zstd", "plain")])
    images.push(source, repo, "1", image)
    dray.run("copy", f"{source.address}/{repo}:1", f"oci:{tmp_path}/layout:x:1", cwd=tmp_path).expect(0)
    readers.skopeo("copy", "--preserve-digests", f"oci:{tmp_path}/layout:x:1", f"oci:{tmp_path}/again:x",
                   home=tmp_path)
    assert readers.digest(f"oci:{tmp_path}/again:x", tmp_path) == image.digest


def test_dray_reads_what_skopeo_wrote(source, target, repo, tmp_path):
    index = images.multi_platform(repo)
    images.push(source, repo, "1", index)
    readers.skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{source.address}/{repo}:1",
                   f"oci:{tmp_path}/layout:some/name:1", home=tmp_path)
    dray.run("copy", f"oci:{tmp_path}/layout:some/name:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
    assert readers.plain_digest(f"{target.address}/{repo}:1", tmp_path) == index.digest


def test_dray_reads_what_umoci_wrote(target, repo, tmp_path):
    layout = tmp_path / "layout"
    readers.umoci("init", "--layout", layout, home=tmp_path)
    readers.umoci("new", "--image", f"{layout}:one", home=tmp_path)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text(repo)
    readers.umoci("insert", "--rootless", "--image", f"{layout}:one", tmp_path / "tree", "/tree", home=tmp_path)
    dray.run("copy", f"oci:{layout}:one", f"{target.address}/{repo}:one", cwd=tmp_path).expect(0)
    assert (readers.plain_digest(f"{target.address}/{repo}:one", tmp_path)
            == images.read_layout(layout)["one"]["digest"])


def test_layout_keeps_what_others_put_into_it(source, repo, tmp_path):
    mine, theirs = gzipped(repo), gzipped(f"{repo} theirs")
    images.write_layout(tmp_path / "layout", {"theirs": theirs})
    images.push(source, repo, "1", mine)
    name = f"{source.address}/{repo}:1"
    dray.run("copy", name, f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0)
    assert {n: e["digest"] for n, e in images.read_layout(tmp_path / "layout").items()} == {
        "theirs": theirs.digest, name: mine.digest}
    images.check_layout(tmp_path / "layout")


def test_moved_tag_moves_in_the_layout(source, repo, tmp_path):
    name = f"{source.address}/{repo}:1"
    for image in (gzipped(repo), gzipped(f"{repo} newer")):
        images.push(source, repo, "1", image)
        dray.run("copy", name, f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0)
        assert readers.digest(f"oci:{tmp_path}/layout:{name}", tmp_path) == image.digest


def test_layout_as_source_of_a_sync(target, repo, tmp_path):
    image = gzipped(repo)
    images.write_layout(tmp_path / "layout", {"some/thing:1": image})
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: oci:{tmp_path}/layout
    targets: [{target.address}/{repo}]
""")
    dray.sync(config).expect(0)
    assert dray.sync(config).expect(0).report["images"]["unchanged"] == 1


def test_blob_that_a_crash_left_short_is_replaced(source, repo, tmp_path):
    image = gzipped(repo)
    images.push(source, repo, "1", image)
    blob = tmp_path / "layout/blobs/sha256" / image.layers[0].digest[7:]
    blob.parent.mkdir(parents=True)
    blob.write_bytes(image.layers[0].data[:100])
    dray.run("copy", f"{source.address}/{repo}:1", f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0)
    images.check_layout(tmp_path / "layout")


def test_directory_that_is_no_layout(target, repo, tmp_path):
    (tmp_path / "empty").mkdir()
    dray.run("copy", f"oci:{tmp_path}/empty:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(4)
    dray.run("copy", f"oci:{tmp_path}/none:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(4)


# Debian's registry knows sha256 alone.
def test_sha512_goes_from_layout_to_layout(repo, tmp_path):
    image = images.Image([images.Layer(f"{repo} {a}", algorithm=a) for a in ("sha512", "sha256")])
    images.write_layout(tmp_path / "from", {"some/name:1": image})
    dray.run("copy", f"oci:{tmp_path}/from:some/name:1", f"oci:{tmp_path}/to:some/name:1", cwd=tmp_path).expect(0)
    assert images.read_layout(tmp_path / "to")["some/name:1"]["digest"] == image.digest
    images.check_layout(tmp_path / "to")
    for layer in image.layers:
        assert images.blob_path(tmp_path / "to", layer.digest).read_bytes() == layer.data


def test_sha512_that_lies_is_found_out(repo, tmp_path):
    image = images.Image([images.Layer(repo, algorithm="sha512")])
    images.write_layout(tmp_path / "from", {"some/name:1": image})
    path = images.blob_path(tmp_path / "from", image.layers[0].digest)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    dray.run("copy", f"oci:{tmp_path}/from:some/name:1", f"oci:{tmp_path}/to:some/name:1",
             cwd=tmp_path).expect(4).says("sha512")
    assert not images.blob_path(tmp_path / "to", image.layers[0].digest).exists()


# --- names ---------------------------------------------------------------------------------------------------------

NAMES = ["name:7", "name:latest", "deep/er/name:1.0", "7", "latest"]


@pytest.mark.parametrize("name", NAMES)
def test_name_goes_from_a_registry_into_a_layout_and_back(name, source, target, repo, tmp_path):
    image = gzipped(repo)
    images.push(source, repo, "1", image)
    layout = tmp_path / "layout"
    for _ in range(2):
        dray.run("copy", f"{source.address}/{repo}:1", f"oci:{layout}:{name}", cwd=tmp_path).expect(0)
        assert {n: e["digest"] for n, e in images.read_layout(layout).items()} == {name: image.digest}
    assert readers.umoci_tags(layout, tmp_path) == {name}
    dray.run("inspect", f"oci:{layout}:{name}", cwd=tmp_path).expect(0).says(image.digest)
    dray.run("copy", f"oci:{layout}:{name}", f"{target.address}/{repo}:back", cwd=tmp_path).expect(0)
    assert target.tags(repo) == {"back": image.digest}


@pytest.mark.parametrize("of", NAMES)
@pytest.mark.parametrize("to", NAMES)
def test_name_goes_from_layout_to_layout(of, to, repo, tmp_path):
    image, other = gzipped(repo), gzipped(f"{repo} other")
    images.write_layout(tmp_path / "from", {of: image, "some/other:2": other})
    images.write_layout(tmp_path / "to", {"some/other:2": other})
    for _ in range(2):
        dray.run("copy", f"oci:{tmp_path}/from:{of}", f"oci:{tmp_path}/to:{to}", cwd=tmp_path).expect(0)
        assert {n: e["digest"] for n, e in images.read_layout(tmp_path / "to").items()} == {
            to: image.digest, "some/other:2": other.digest}
    images.check_layout(tmp_path / "to")


# Taken whole, names are references as docker writes them; what is a tag alone stays one.
CANONICAL = {"name:7": "docker.io/library/name:7", "name:latest": "docker.io/library/name:latest",
             "deep/er/name:1.0": "docker.io/deep/er/name:1.0", "host.example:5000/x:1": "host.example:5000/x:1"}


def test_names_of_a_whole_layout_arrive_below_the_target(target, repo, tmp_path):
    made = {name: gzipped(f"{repo} {name}") for name in CANONICAL}
    images.write_layout(tmp_path / "layout", made)
    dray.run("copy", f"oci:{tmp_path}/layout", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
    assert target.tags(f"{repo}/library/name") == {"7": made["name:7"].digest, "latest": made["name:latest"].digest}
    assert target.tags(f"{repo}/deep/er/name") == {"1.0": made["deep/er/name:1.0"].digest}
    assert target.tags(f"{repo}/x") == {"1": made["host.example:5000/x:1"].digest}


def test_whole_layout_goes_to_a_host(target, repo, tmp_path):
    """Without a prefix: each image keeps its own path."""
    image = gzipped(repo)
    images.write_layout(tmp_path / "layout", {f"r.test/{repo}/host:1": image})
    dray.run("copy", f"oci:{tmp_path}/layout", target.address, cwd=tmp_path).expect(0)
    assert target.tags(f"{repo}/host") == {"1": image.digest}
    alone = dray.run("copy", f"oci:{tmp_path}/layout:r.test/{repo}/host:1", target.address, cwd=tmp_path)
    alone.expect(2).says("a target is HOST/REPOSITORY")


def test_names_of_a_whole_layout_are_canonical_in_another(repo, tmp_path):
    made = {name: gzipped(f"{repo} {name}") for name in (*CANONICAL, "7")}
    images.write_layout(tmp_path / "from", made)
    listed = dray.run("tags", f"oci:{tmp_path}/from", cwd=tmp_path).expect(0).stdout.split()
    assert listed == sorted([*CANONICAL.values(), "7"])
    for _ in range(2):
        dray.run("copy", f"oci:{tmp_path}/from", f"oci:{tmp_path}/to", cwd=tmp_path).expect(0)
        assert {n: e["digest"] for n, e in images.read_layout(tmp_path / "to").items()} == {
            CANONICAL.get(name, name): image.digest for name, image in made.items()}
