"""Downloads that break go on at the byte that is missing (PROTOCOL section 23, 13 and 14)."""
import pytest

from support import dray, images, scripted

MIB = 1 << 20


@pytest.fixture(scope="module")
def image():
    return images.Image([images.Layer("resume", 1_500_000)])


def copy(registry, repo, directory):
    return dray.run("copy", f"{registry.address}/{repo}:1", f"oci:{directory}/out", cwd=directory)


def answer(kind, size):
    """How the ranged request, the second, is answered."""
    wrong = {
        "wrong start": lambda request, response: response.set("Content-Range", f"bytes 5-{size - 1}/{size}"),
        "wrong bytes": lambda request, response: setattr(response, "body", response.body[::-1]) or
        response.set("Content-Range", f"bytes 0-{len(response.body) - 1}/{size}"),
        "no range": scripted.drop_header("Content-Range"),
        "416": 416,
        "403": 403,
        "400": 400,
        "503": 503,
    }
    return wrong[kind]


def ranges(requests):
    return [request.header("range") for request in requests]


# covers: BLB-4, BLB-5, BLB-6, BLB-7, BLB-8, RED-7, RED-10, T-1, T-4
@pytest.mark.parametrize("kind, asked", [
    ("206", ["", "R"]), ("200", ["", "R"]), ("wrong start", ["", "R", ""]), ("wrong bytes", ["", "R", ""]),
    ("no range", ["", "R", ""]), ("416", ["", "R", ""]), ("403", ["", "R", "R"]), ("400", ["", "R", "R"]),
    ("503", ["", "R", "R"]),
])
def test_cut_at_sixty_percent(kind, asked, image, repo, tmp_path):
    layer = image.layers[0]
    size, at = len(layer.data), int(len(layer.data) * 0.6)
    with scripted.together(scripted.Registry(redirects_blobs=307), scripted.Storage()) as (registry, storage):
        registry.storage = storage
        registry.push(repo, "1", image)
        storage.on("any", scripted.drop_header("Accept-Ranges"))
        if kind == "200":
            storage.on("GET blob", lambda request, response: request.has("range") and full(response, layer), digest=layer.digest)
        elif kind != "206":
            storage.on("GET blob", answer(kind, size), digest=layer.digest, nth=1)  # it does not see the first
        storage.on("GET blob", scripted.cut(at), digest=layer.digest, nth=1)
        copy(registry, repo, tmp_path).expect(0)
        want = [text.replace("R", f"bytes={at}-{size - 1}") for text in asked]
        got = storage.of("GET blob", digest=layer.digest)
        assert ranges(got) == want == ranges(registry.of("GET blob", digest=layer.digest))
        # A signed URL is good for one request: each came from the registry.
        assert len({request.query["X-Amz-Signature"] for request in got}) == len(got)
        assert not any(request.has("if-range") for request in registry.requests)
    images.check_layout(tmp_path / "out")


def full(response, layer):
    response.status, response.body = 200, layer.data
    response.drop("Content-Range")


# covers: T-1, T-2, HTTP-12
@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("tls", [False, True])
def test_cut_at_every_place(with_reset, tls, repo, tmp_path, authority):
    """After byte 0, 1, half of it and all but one, with three blobs in flight, by FIN and by RST."""
    image = images.Image([images.Layer(f"{repo} {n}", 300_000) for n in range(4)])
    registries = {"tls": authority} if tls else {}
    with scripted.Registry(name="localhost", **registries) as registry:
        registry.push(repo, "1", image)
        cuts = {}
        for number, layer in enumerate(image.layers):
            size = len(layer.data)
            cuts[layer.digest] = at = [0, 1, size // 2, size - 1][number]
            registry.on("GET blob", scripted.cut(at, reset=with_reset), digest=layer.digest, times=1)
        settings = f"registries: {{'{registry.address}': {{tls: {{ca: {authority.certificate}}}}}}}\n" if tls else ""
        config = dray.write_config(tmp_path / "c.yaml",
                                   f"{settings}repos: [{{source: '{registry.address}/{repo}', target: 'oci:{tmp_path}/out'}}]\n")
        report = dray.sync(config).expect(0).report
        for layer in image.layers:
            asked = registry.of("GET blob", digest=layer.digest)
            assert len(asked) == 2
            text = asked[1].header("range")
            first = int(text.removeprefix("bytes=").partition("-")[0]) if text else 0
            # What a RST swallows of what was on its way is asked for again, and never more (RESUME).
            assert first <= cuts[layer.digest] if with_reset else first == cuts[layer.digest]
            assert not text or text.endswith(f"-{len(layer.data) - 1}")
        assert report["blobs"]["reread"] == 0
    images.check_layout(tmp_path / "out")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    from support import pki
    return pki.Authority(tmp_path_factory.mktemp("ca"))


# covers: BLB-5
def test_source_that_always_begins_anew_is_given_up(image, repo, tmp_path):
    """Each time it comes a little further, and sends what we have once more: that would be the square of the size."""
    layer = image.layers[0]
    with scripted.Registry(ranges="ignored") as registry:
        registry.push(repo, "1", image)
        for number in range(1, 40):
            registry.on("GET blob", scripted.cut(0.02 * number), digest=layer.digest, nth=number)
        copy(registry, repo, tmp_path).expect(1, 4, 8).says("begins anew", "given up after 3 times")
        assert 4 <= registry.count("GET blob", digest=layer.digest) <= 6


# covers: BLB-4
def test_source_that_breaks_often_and_goes_on_is_followed(image, repo, tmp_path):
    layer = image.layers[0]
    with scripted.Registry() as registry:
        registry.push(repo, "1", image)
        for number in range(1, 9):
            registry.on("GET blob", scripted.cut(0.3), digest=layer.digest, nth=number)
        copy(registry, repo, tmp_path).expect(0)
        starts = [int(text.removeprefix("bytes=").partition("-")[0]) for text in ranges(registry.of("GET blob", digest=layer.digest))[1:]]
        assert starts == sorted(set(starts)) and len(starts) == 8
    images.check_layout(tmp_path / "out")


class Ends(scripted.Action):
    """The connection ends before the last byte, and nothing comes of what a resume asks for."""

    def __init__(self, at, length):
        self.at, self.length = at, length

    async def send(self, request, response, stream):
        response.length = len(response.body) if self.length is None else self.length
        await stream.write(response.head() + response.body[:0 if request.has("range") else self.at])
        stream.close()
        return True


# covers: BLB-3, HTTP-12, T-2, T-3
@pytest.mark.parametrize("how", ["short", "length says all", "no length", "half as html"])
def test_body_that_is_short_for_ever_never_gets_the_blobs_name(how, image, repo, tmp_path):
    layer = image.layers[0]
    size = len(layer.data)
    with scripted.Registry() as registry:
        registry.push(repo, "1", image)
        registry.on("GET blob", {
            "short": scripted.short(size - 1), "length says all": Ends(size - 1, None), "no length": Ends(size - 1, ""),
            "half as html": scripted.html()}[how], digest=layer.digest)
        result = copy(registry, repo, tmp_path)
        assert result.code in (4, 8), result
        assert not any(path.name == layer.digest.partition(":")[2] for path in (tmp_path / "out").rglob("*"))
        assert registry.count("GET blob", digest=layer.digest) <= 8
