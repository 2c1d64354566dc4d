"""Shapes that are odd and legal: each goes from a registry into a registry and a layout, and from there back into a registry,
byte for byte and under its own media type.
"""
import json

from support import dray, images, scripted, shapes

CONFIG_JSON = {"architecture": "amd64", "os": "linux"}


def pretty(**how):
    """The manifest of an image in another spelling."""
    def make(seed):
        image = images.Image([images.Layer(seed)])
        return shapes.Document(json.dumps(json.loads(image.data), **how).encode(), blobs=image.blobs)
    return make


def edited(edit):
    """The manifest of an image after `edit(document)`."""
    def make(seed):
        image = images.Image([images.Layer(seed)])
        document = json.loads(image.data)
        edit(document)
        return shapes.Document(document, blobs=image.blobs)
    return make


def respelt(change):
    """The manifest of an image, changed as bytes."""
    def make(seed):
        image = images.Image([images.Layer(seed)])
        return shapes.Document(change(image.data), blobs=image.blobs)
    return make


def with_config(config):
    """An image with this config document, of one layer."""
    def make(seed):
        layer = images.Layer(seed)
        document = config(layer) if callable(config) else config
        return shapes.artifact([layer], images.Blob(images.to_json(document), images.CONFIG))
    return make


def no_layers(config):
    return lambda seed: shapes.artifact([], images.Blob(images.to_json(config), images.CONFIG), annotations={"seed": seed})


def thing(*layers, config=shapes.EMPTY, **more):
    return lambda seed: shapes.artifact(list(layers), config, annotations={"seed": seed}, **more)


def entry(**more):
    """An index with one image, whose entry has these keys."""
    def make(seed):
        child = images.Image([images.Layer(seed)])
        child.entry = more
        return shapes.index([child])
    return make


def of_images(count, **more):
    def make(seed):
        children = [images.Image([images.Layer(f"{seed} {n}", 500)], f"a{n}") for n in range(count)]
        return shapes.index(children, annotations={"seed": seed}, **more)
    return make


def indexes(depth):
    """An index in an index in an index."""
    def make(seed):
        inner = images.Image([images.Layer(seed)])
        for _ in range(depth):
            inner = shapes.index([inner])
        return inner
    return make


def opaque(media_type):
    def make(seed):
        child, blob = images.Image([images.Layer(seed)]), images.Blob(seed.encode(), media_type)
        return shapes.Document({"schemaVersion": 2, "mediaType": images.INDEX, "manifests": [child.descriptor(), blob.descriptor()]},
                               images.INDEX, blobs=[blob], children=[child])
    return make


def withdrawn(seed):
    """The artifact manifest that was in OCI 1.1 before its release."""
    blob = images.Blob(seed.encode(), "text/plain")
    kind = "application/vnd.oci.artifact.manifest.v1+json"
    return shapes.Document({"mediaType": kind, "artifactType": "application/vnd.example", "blobs": [blob.descriptor()]}, kind, blobs=[blob])


def repeated_child(seed):
    child = images.Image([images.Layer(seed)])
    return shapes.index([child, child, child])


def repeated_layer(seed):
    layer = images.Layer(seed)
    return shapes.image([layer, layer, layer, layer])


def config_as_layer(seed):
    blob = images.Blob(seed.encode(), "text/plain")
    return shapes.artifact([blob, blob], blob)


def sha512(seed):
    return shapes.image([images.Layer(seed, algorithm="sha512"), images.Layer(f"{seed} 2")])


def with_subject(seed):
    return shapes.attestation(images.Image([images.Layer(f"{seed} somewhere else")]))


SHAPES = {
    "plain": pretty(separators=(",", ":")),
    "indented": pretty(indent=3),
    "tabs and CRLF": respelt(lambda data: data.replace(b",", b",\r\n\t")),
    "newline behind it": respelt(lambda data: data + b"\n"),
    "blanks before and behind it": respelt(lambda data: b" \n\t" + data + b" \r\n \n"),
    "keys sorted": pretty(sort_keys=True),
    "keys in reverse": edited(lambda d: [d.__setitem__(key, d.pop(key)) for key in list(d)[::-1]]),
    "escaped letters": respelt(lambda data: data.replace(b"sha256", b"sh\\u0061256")),
    "escaped slashes": respelt(lambda data: data.replace(b"/", b"\\/")),
    "other alphabets": edited(lambda d: d.update(annotations={"\u0416": "\u4e2d\u6587 \U0001f600", "a": "\u202e\x7f"})),
    "unknown keys": edited(lambda d: d.update({"x": {"deep": [1, -2.5, 1e-7, None, True]}, "": "", "mediaTypes": []})),
    "large numbers where nobody looks": respelt(lambda data: data.replace(b"{", b'{"x":[123456789012345678,1.10,1E5],', 1)),
    "no mediaType": edited(lambda d: d.pop("mediaType")),
    "empty annotations": edited(lambda d: d.update(annotations={})),
    "null where there may be nothing": edited(lambda d: d.update(annotations=None, subject=None, artifactType=None)),
    "annotations that are no text": edited(lambda d: d["layers"][0].update(annotations={"a": 1, "b": [], "c": None})),
    "annotation without a name": edited(lambda d: d["layers"][0].update(annotations={"": ""})),
    "long annotation": edited(lambda d: d.update(annotations={"a": "x" * 100_000})),
    "platform of a layer": edited(lambda d: d["layers"][0].update(platform={"os": "linux", "architecture": "amd64"})),
    "artifactType of an image": edited(lambda d: d.update(artifactType="application/vnd.example.image")),
    "layer types with parameters": edited(lambda d: d["layers"][0].update(mediaType=shapes.GZIP_LAYER + "; charset=x")),
    "urls on a layer that is there": edited(lambda d: d["layers"][0].update(urls=["https://example.invalid/x"])),
    "empty urls": edited(lambda d: d["layers"][0].update(urls=[])),
    "docker": lambda seed: images.Image([images.Layer(seed, compression="docker")], docker=True),
    "docker with zstd": edited(lambda d: None),
    "no layers": no_layers({**CONFIG_JSON, "rootfs": {"type": "layers", "diff_ids": []}}),
    "no layers and no rootfs": no_layers(CONFIG_JSON),
    "empty config document": no_layers({}),
    "rootfs without diff_ids": no_layers({**CONFIG_JSON, "rootfs": {"type": "layers"}}),
    "diff_ids of null": no_layers({**CONFIG_JSON, "rootfs": {"type": "layers", "diff_ids": None}}),
    "config without a platform": with_config(lambda layer: {"rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}),
    "config with history": with_config(lambda layer: {**CONFIG_JSON, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
                                                      "history": [{"empty_layer": True}, {}, {"empty_layer": True}, {}]}),
    "config with a variant": with_config(lambda layer: {**CONFIG_JSON, "variant": "v9", "os.version": "10.0.17763.1",
                                                        "os.features": ["win32k"], "rootfs": {"diff_ids": [layer.diff_id]}}),
    "the same layer four times": repeated_layer,
    "config that is a layer, too": config_as_layer,
    "sha512 layer": sha512,
    "artifact of nothing": thing(artifactType="application/vnd.example.flag"),
    "artifact of the empty blob twice": thing(shapes.EMPTY, shapes.EMPTY, artifactType="application/vnd.example.flag"),
    "artifact of a blob without bytes": thing(images.Blob(b"", "application/octet-stream")),
    "artifact of one byte": thing(images.Blob(b"x", "text/plain")),
    "artifact without an artifactType": thing(images.Blob(b"y", "text/plain"), config=images.Blob(b"{}", "application/vnd.example.config")),
    "artifact with a media type of nonsense": thing(images.Blob(b"z", "!! no/type \u00e9")),
    "artifact whose layer has no type": thing(images.Blob(b"w", "")),
    "many small layers": thing(*[images.Blob(b"%d" % n, "text/plain") for n in range(127)]),
    "withdrawn artifact manifest": withdrawn,
    "attestation of something that is not there": with_subject,
    "signature": lambda seed: shapes.signature(images.Image([images.Layer(seed)])),
    "index of nothing": of_images(0),
    "index of null": lambda seed: shapes.Document(b'{"schemaVersion":2,"mediaType":"%s","manifests":null,"annotations":{"s":"%s"}}' % (
        images.INDEX.encode(), seed.encode()), images.INDEX),
    "index of one": of_images(1),
    "index of fifty": of_images(50),
    "index with an artifactType": of_images(2, artifactType="application/vnd.example.set"),
    "index without a platform in its entry": entry(),
    "index with an empty platform": entry(platform={}),
    "index with a platform of other keys": entry(platform={"os": "windows", "architecture": "amd64", "os.version": "10", "features": ["sse4"]}),
    "index with everything in its entry": entry(platform={"os": "linux", "architecture": "arm", "variant": "v7"}, artifactType="a/b",
                                                urls=["https://example.invalid"], annotations={"org.opencontainers.image.ref.name": "x y"}),
    "index with the same child three times": repeated_child,
    "index in an index": indexes(2),
    "index eight deep": indexes(8),
    "docker list": lambda seed: images.Index([images.Image([images.Layer(seed, compression="docker")], docker=True)], docker=True),
    "index of docker images": lambda seed: images.Index([images.Image([images.Layer(seed, compression="docker")], docker=True)]),
    "index as BuildKit writes it": images.multi_platform,
    "index with a blob in it": opaque("application/xml"),
    "index with a blob of an unknown kind": opaque("application/vnd.example.thing.v9+cbor"),
}


def tag(name):
    return "t" + str(list(SHAPES).index(name))


def is_whole(registry, repo, made):
    return all(registry.manifest(repo, part.digest) and registry.manifest(repo, part.digest).data == part.data
               and registry.manifest(repo, part.digest).media_type == part.media_type for part in images.tree(made)) \
        and registry.holds(repo, made)


def in_layout(layout, made):
    return all(images.blob_path(layout, blob.digest).read_bytes() == blob.data for part in images.tree(made) for blob in [part, *part.blobs])


# covers: T-35, T-36, IDX-3, IDX-10, IDX-12, IDX-14, MAN-19
def test_every_shape_both_ways(repo, tmp_path):
    made = {name: make(name) for name, make in SHAPES.items()}
    layout = tmp_path / "layout"
    assert len(made) >= 50
    with scripted.Registry() as source, scripted.Registry() as target, scripted.Registry() as back:
        for name, artifact in made.items():
            source.push(repo, tag(name), artifact)
        config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - {{source: {source.address}/{repo}, targets: [{target.address}/{repo}, 'oci:{layout}'], names: tag}}
""")
        result = dray.sync(config, seconds=120)
        assert result.report["failures"] == [] and result.code == 0, result
        assert [name for name, artifact in made.items() if not is_whole(target, repo, artifact)] == []
        assert target.tags(repo) == {tag(name): artifact.digest for name, artifact in made.items()}
        images.check_layout(layout)
        entries = images.read_layout(layout)
        assert [name for name, artifact in made.items() if entries[tag(name)]["digest"] != artifact.digest
                or entries[tag(name)]["mediaType"] != artifact.media_type or not in_layout(layout, artifact)] == []
        dray.run("copy", f"oci:{layout}", f"{back.address}/back", cwd=tmp_path, seconds=120).expect(0)
        (name_there,) = back.store.repositories
        assert back.tags(name_there) == target.tags(repo)
        assert [name for name, artifact in made.items() if not is_whole(back, name_there, artifact)] == []
        result = dray.sync(config).expect(0)
        assert result.report["images"]["unchanged"] == len(made)
