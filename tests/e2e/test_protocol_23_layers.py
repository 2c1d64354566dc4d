"""What is in the layers: every way to write one that is met, and every one that must not be looked into (PROTOCOL section
23, 23).
"""
import gzip
import io
import random
import tarfile

import pytest

from support import dray, images, scripted, shapes

HELM = images.Blob(b'{"name":"chart","version":"1.0.0"}', "application/vnd.cncf.helm.config.v1+json")
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
HELM_PROVENANCE = "application/vnd.cncf.helm.chart.provenance.v1.prov"
LIE = images.digest_of(b"a lie")


def tar(seed, padding=0):
    raw, noise = io.BytesIO(), random.Random(seed)
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for n in range(3):
            info = tarfile.TarInfo(f"{seed}/{n}")
            info.size = 6000
            archive.addfile(info, io.BytesIO(noise.randbytes(3000) + bytes(3000)))
    return raw.getvalue() + bytes(padding)


RAW = tar("layer")
GZIP, ZSTD = gzip.compress(RAW, mtime=0), images.zstd(RAW)


def compressed(raw):
    return gzip.compress(raw, mtime=0)


def with_names(raw):
    data = compressed(raw)
    return b"\x1f\x8b\x08\x18" + data[4:10] + b"layer.tar\0" + b"made up\0" + data[10:]


def plain(raw):
    return raw


# How a layer is stored, and what it is called; all of them are proven.
PROVEN = {
    "multi-member gzip": (shapes.members, shapes.GZIP_LAYER),
    "gzip with a file name and a comment": (with_names, shapes.GZIP_LAYER),
    "gzip with an empty member": (lambda raw: compressed(raw) + compressed(b""), shapes.GZIP_LAYER),
    "gzip with zeros behind it": (lambda raw: compressed(raw) + bytes(1024), shapes.GZIP_LAYER),
    "estargz": (shapes.estargz, shapes.GZIP_LAYER),
    "zstd chunked": (shapes.zstd_chunked, shapes.ZSTD_LAYER),
    "zstd with a skippable frame first": (lambda raw: b"\x5f\x2a\x4d\x18\x04\0\0\0abcd" + images.zstd(raw), shapes.ZSTD_LAYER),
    "zstd with a window of 128 MiB": (lambda raw: shapes.zstd_long(raw, 27), shapes.ZSTD_LAYER),
    "plain": (plain, shapes.TAR_LAYER),
    "padded": (lambda raw: compressed(raw), shapes.GZIP_LAYER),
    "docker": (compressed, images.DOCKER_LAYER),
    "docker zstd": (images.zstd, images.DOCKER + "image.rootfs.diff.tar.zstd"),
    "nondistributable without urls": (compressed, images.OCI + "layer.nondistributable.v1.tar+gzip"),
}
MISNAMED = {
    "gzip that is called tar": (compressed, shapes.TAR_LAYER),
    "gzip that is called zstd": (compressed, shapes.ZSTD_LAYER),
    "tar that is called gzip": (plain, shapes.GZIP_LAYER),
    "zstd that is called gzip": (images.zstd, shapes.GZIP_LAYER),
}
# What is not what it says, of the right digest: (how it is stored, its type, words of the error).
BROKEN = {
    "gzip cut short": (GZIP[:-20], shapes.GZIP_LAYER, ""),
    "gzip with something behind it": (GZIP + b"x" * 20, shapes.GZIP_LAYER, ""),
    "second member cut short": (shapes.members(RAW)[:-5], shapes.GZIP_LAYER, ""),
    "gzip with a wrong sum": (GZIP[:-8] + bytes(4) + GZIP[-4:], shapes.GZIP_LAYER, ""),
    "zstd cut short": (ZSTD[:-3], shapes.ZSTD_LAYER, ""),
    "padding left out of the diff_id": (gzip.compress(RAW + bytes(512)), shapes.GZIP_LAYER, "diff_id"),
}


def name(case):
    return case.replace(" ", "-").replace(":", "")


def push_all(source, repo, cases):
    for tag, made in cases.items():
        source.push(repo, name(tag), made)


def copy(source, target, repo, directory, *options):
    return dray.run("copy", "--json", *options, f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=directory, seconds=120)


def failed(result):
    return {failure["source"].rpartition(":")[2]: failure for failure in result.report["failures"]}


@pytest.fixture
def pair():
    with scripted.Registry() as source, scripted.Registry() as target:
        yield source, target


# covers: LYR-2, LYR-3, LYR-4, LYR-5, LYR-6, LYR-11
def test_every_way_to_write_a_layer_is_proven(pair, repo, tmp_path):
    source, target = pair
    annotations = {"io.github.containers.zstd-chunked.manifest-checksum": LIE,
                   "io.github.containers.zstd-chunked.manifest-position": "1:2:3:1",
                   "containerd.io/snapshot/stargz/toc.digest": LIE, "io.containers.estargz.uncompressed-size": "1"}
    cases = {}
    for case, (store, kind) in {**PROVEN, **MISNAMED}.items():
        raw = tar(case, 10240 if case == "padded" else 0)
        cases[case] = shapes.image([shapes.layer(raw, store(raw), kind, annotations=annotations)])
    push_all(source, repo, cases)
    result = copy(source, target, repo, tmp_path).expect(0)
    assert [case for case, made in cases.items() if not target.holds(repo, made)] == []
    assert result.report["verified"]["diff_ids"] == len(cases) and result.report["blobs"]["unproven"] == 0
    warned = [line for line in result.stderr.splitlines() if "is not what its media type" in line]
    assert sorted(line.partition(f"{repo}:")[2].partition(": layer")[0] for line in warned) == sorted(map(name, MISNAMED))


# covers: LYR-4, LYR-5, LYR-11
def test_what_does_not_unpack_to_what_the_config_says_is_refused(pair, repo, tmp_path):
    source, target = pair
    cases = {case: shapes.image([shapes.layer(RAW, data, kind)]) for case, (data, kind, _) in BROKEN.items()}
    lies = {f"lie {case}": shapes.image([shapes.layer(tar(case), shapes.members(tar(case)), shapes.GZIP_LAYER)], [LIE])
            for case in ("one", "two")}
    push_all(source, repo, {**cases, **lies})
    failures = failed(copy(source, target, repo, tmp_path).expect(4))
    assert sorted(failures) == sorted(name(case) for case in {**cases, **lies})
    for case, (_, _, says) in BROKEN.items():
        assert failures[name(case)]["kind"] == "corrupt" and says in failures[name(case)]["message"], failures[name(case)]
    assert target.tags(repo) == {} and not target.of("PUT manifest")


# covers: LYR-5
def test_window_that_is_too_large_is_named(pair, repo, tmp_path):
    source, target = pair
    window = b"\x28\xb5\x2f\xfd\x00" + bytes([(28 - 10) << 3]) + b"\x01\0\0"  # a frame with an empty block
    source.push(repo, "1", shapes.image([shapes.layer(b"", window, shapes.ZSTD_LAYER)]))
    failure = failed(copy(source, target, repo, tmp_path).expect(4))["1"]
    assert failure["kind"] == "too_large" and "window" in failure["message"].lower(), failure


# covers: LYR-7, LYR-9, LYR-10, IDX-10, IDX-11, IDX-13, MSC-4
def test_what_is_no_layer_of_files_is_carried_and_not_looked_into(pair, repo, tmp_path):
    source, target = pair
    base = images.Image([images.Layer(repo)])
    sealed = random.Random(repo).randbytes(5000)
    encrypted = [shapes.layer(RAW, sealed[n:], kind + "+encrypted") for n, kind in
                 enumerate((shapes.GZIP_LAYER, shapes.ZSTD_LAYER, shapes.TAR_LAYER))]
    chart = images.Blob(GZIP, HELM_CHART)
    wrong = images.Blob(b'{"x":1}', "application/vnd.in-toto+json")
    cache = images.Blob(b'{"layers":[]}', "application/vnd.buildkit.cacheconfig.v0")
    cases = {
        "cosign": shapes.signature(base),
        "in-toto": images.Attestation(base),
        "in-toto with another diff_id": shapes.artifact([wrong], shapes.config_of([LIE])),
        "in-toto with too few diff_ids": shapes.artifact([wrong], shapes.config_of([])),
        "buildkit 0.32": shapes.attestation(base),
        "encrypted": shapes.image(encrypted),
        "helm": shapes.artifact([chart], HELM),
        "helm with its provenance": shapes.artifact([chart, images.Blob(b"-----BEGIN PGP SIGNED MESSAGE-----", HELM_PROVENANCE)], HELM),
        "oras": shapes.artifact([images.Blob(b"hello", "text/plain")], artifactType="application/vnd.example.thing"),
        "wasm": shapes.artifact([images.Blob(b"\0asm", "application/wasm")],
                                images.Blob(b"{}", "application/vnd.wasm.config.v0+json")),
        "empty config as its layer": shapes.artifact([shapes.EMPTY], artifactType="application/vnd.example.flag"),
        "no layers": shapes.artifact([], artifactType="application/vnd.example.flag"),
        "buildkit cache": shapes.artifact([images.Blob(GZIP, shapes.GZIP_LAYER)], cache),
        "config of another kind": shapes.artifact([images.Blob(GZIP, shapes.GZIP_LAYER)], images.Blob(b"[", "text/plain")),
    }
    push_all(source, repo, {"base": base, **cases})
    copy(source, target, repo, tmp_path).expect(0)
    assert [case for case, made in cases.items() if not target.holds(repo, made)] == []
    assert target.tags(repo) == source.tags(repo)
    puts = [request.query["digest"] for request in target.of("PUT blob")]
    assert puts.count(shapes.EMPTY.digest) == 1  # IDX-11: like any other, and once


# covers: LYR-8, LYR-12
def test_a_diff_id_may_come_twice_and_under_other_digests(pair, repo, tmp_path):
    source, target = pair
    stored = [(GZIP, shapes.GZIP_LAYER), (gzip.compress(RAW, 1, mtime=0), shapes.GZIP_LAYER), (ZSTD, shapes.ZSTD_LAYER),
              (RAW, shapes.TAR_LAYER), (GZIP, shapes.GZIP_LAYER)]
    layers = [shapes.layer(RAW, *one) for one in stored]
    made = shapes.image(layers)
    source.push(repo, "1", made)
    result = copy(source, target, repo, tmp_path).expect(0)
    assert result.report["verified"]["diff_ids"] == 4 and target.holds(repo, made)
    assert [source.count("GET blob", digest=one.digest) for one in layers] == [1] * 5


# covers: LYR-15
@pytest.mark.parametrize("os, architecture, warns", [("linux", "amd64", False), ("linux", "arm64", True), ("windows", "amd64", True)])
def test_platform_of_the_index_and_of_the_config(pair, os, architecture, warns, repo, tmp_path):
    source, target = pair
    child = images.Image([images.Layer(repo)])
    child.entry = {"platform": {"os": os, "architecture": architecture}}
    made = shapes.index([child])
    source.push(repo, "1", made)
    result = copy(source, target, repo, tmp_path).expect(0)
    assert ("own config says linux/amd64" in result.stderr) is warns, result
    assert target.holds(repo, made)


# covers: LYR-15, T-29
def test_config_that_is_large_is_read_and_one_that_is_too_large_is_not(pair, repo, tmp_path):
    source, target = pair
    layer = images.Layer(repo)
    fine = images.Blob(shapes.config_of([layer.diff_id]).data[:-1] + b" " * (5 << 20) + b"}", images.CONFIG)
    large = images.Blob(shapes.config_of([layer.diff_id]).data[:-1] + b" " * (16 << 20) + b"}", images.CONFIG)
    push_all(source, repo, {"fine": shapes.artifact([layer], fine), "large": shapes.artifact([layer], large)})
    failure = failed(copy(source, target, repo, tmp_path).expect(1))
    assert list(failure) == ["large"] and failure["large"]["kind"] == "too_large"
    assert source.count("GET blob", digest=large.digest) == 0
    copy(source, target, repo, tmp_path, "--verify", "digests").expect(0)  # then it is a blob like any other
    assert target.tags(repo) == source.tags(repo)


# covers: T-43, LYR-5
def test_wide_windows_wait_for_each_other(repo, tmp_path):
    """Only two have 128 MiB at a time; all are proven."""
    layers = []
    for n in range(8):
        raw = tar(f"wide {n}")
        header = b"\x28\xb5\x2f\xfd\x00" + bytes([(27 - 10) << 3])
        layer = images.Blob(header + (len(raw) << 3 | 1).to_bytes(3, "little") + raw, shapes.ZSTD_LAYER)
        layer.diff_id = images.digest_of(raw)
        layers.append(layer)
    image = images.Image(layers)
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", image)
        result = dray.run("copy", "--json", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert target.tags(repo) == {"1": image.digest} and result.report["verified"]["diff_ids"] == 8
