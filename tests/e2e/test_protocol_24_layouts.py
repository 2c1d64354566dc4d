"""Layouts and others (PROTOCOL section 23, 24): one with three repositories that share a tag is read by Debian's readers, what
they write is read by us, and what we wrote survives their writing and their garbage collection."""
import pytest

from support import dray, images, readers


@pytest.fixture
def three(source, repo, tmp_path):
    """{name: image} in a layout; all have the tag `latest`, and a base layer."""
    base = images.Layer(f"{repo} base")
    made = {}
    for n in range(3):
        name = f"{source.address}/{repo}/app{n}:latest"
        made[name] = images.Image([base, images.Layer(f"{repo} {n}")], label=name)
        images.push(source, f"{repo}/app{n}", "latest", made[name])
        dray.run("copy", name, f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0)
    return made


def check(layout, made, home):
    images.check_layout(layout)
    for name, image in made.items():
        assert readers.digest(f"oci:{layout}:{name}", home) == image.digest


# covers: LAY-1, LAY-7, LAY-8, LAY-9
def test_each_is_read_by_its_full_name(three, tmp_path):
    check(tmp_path / "layout", three, tmp_path)
    assert readers.umoci_tags(tmp_path / "layout", tmp_path) == set(three)
    for n, name in enumerate(three):
        readers.umoci_unpack(tmp_path / "layout", name, tmp_path / f"bundle{n}", tmp_path)
        assert len(list((tmp_path / f"bundle{n}/rootfs/data").iterdir())) == 2


# covers: LAY-14
def test_a_tag_that_three_have_is_not_guessed(three, target, repo, tmp_path):
    result = dray.run("copy", f"oci:{tmp_path}/layout:latest", f"{target.address}/{repo}:1", cwd=tmp_path).expect(4)
    result.says("ambiguous", next(iter(three)))


# covers: LAY-13, LAY-8
def test_they_stay_when_others_write_into_the_layout(three, source, repo, tmp_path):
    more = images.Image([images.Layer(f"{repo} more")])
    images.push(source, f"{repo}/more", "1", more)
    readers.skopeo("copy", "--src-tls-verify=false", f"docker://{source.address}/{repo}/more:1", f"oci:{tmp_path}/layout:more",
                   home=tmp_path)
    check(tmp_path / "layout", {**three, "more": more}, tmp_path)
    # umoci makes a second name for one of them, and writes a new image of another.
    first, second, _ = three
    readers.umoci("tag", "--image", f"{tmp_path}/layout:{first}", "alias", home=tmp_path)
    readers.umoci("config", "--image", f"{tmp_path}/layout:{second}", "--tag", "changed", "--config.user", "1000", home=tmp_path)
    check(tmp_path / "layout", {**three, "alias": three[first]}, tmp_path)
    # And dray into theirs.
    dray.run("copy", first, f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0).says("unchanged")
    check(tmp_path / "layout", {**three, "alias": three[first], "more": more}, tmp_path)
    assert "changed" in readers.umoci_tags(tmp_path / "layout", tmp_path)


# covers: LAY-6
def test_they_stay_when_others_collect_garbage(three, repo, source, target, tmp_path):
    index = images.multi_platform(repo)
    images.push(source, f"{repo}/index", "1", index)
    name = f"{source.address}/{repo}/index:1"
    dray.run("copy", name, f"oci:{tmp_path}/layout", cwd=tmp_path).expect(0)
    stray = tmp_path / "layout/blobs/sha256" / images.digest_of(b"stray")[7:]
    stray.write_bytes(b"stray")
    readers.umoci("gc", "--layout", tmp_path / "layout", home=tmp_path)
    assert not stray.exists()
    check(tmp_path / "layout", {**three, name: index}, tmp_path)
    dray.run("copy", f"oci:{tmp_path}/layout:{name}", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
    assert readers.plain_digest(f"{target.address}/{repo}:1", tmp_path) == index.digest


# covers: LAY-10, LAY-8
def test_layout_of_one_repository_has_bare_tags_for_all_of_them(source, target, repo, tmp_path):
    made = {tag: images.Image([images.Layer(f"{repo} {tag}")], label=tag) for tag in ("latest", "1.0")}
    for tag, image in made.items():
        images.push(source, repo, tag, image)
    dray.sync(dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: {source.address}/{repo}, names: tag, target: 'oci:{tmp_path}/layout'}}
""")).expect(0)
    check(tmp_path / "layout", made, tmp_path)
    assert readers.umoci_tags(tmp_path / "layout", tmp_path) == set(made)
    for entry in images.read_layout(tmp_path / "layout").values():
        assert entry["annotations"]["io.containerd.image.name"] == f"{source.address}/{repo}:{entry['annotations'][images.REF_NAME]}"
    # As skopeo and umoci would carry it on, and back.
    readers.skopeo("copy", f"oci:{tmp_path}/layout:1.0", f"oci:{tmp_path}/again:1.0", home=tmp_path)
    dray.run("copy", f"oci:{tmp_path}/again:1.0", f"{target.address}/{repo}:1.0", cwd=tmp_path).expect(0)
    assert readers.plain_digest(f"{target.address}/{repo}:1.0", tmp_path) == made["1.0"].digest
