"""Upload locations (PROTOCOL section 23, 8): whatever their form, what is put goes there, byte for byte and `digest=`."""
import pytest

from support import dray, images, pki, scripted

STATE = "_state=aZ09-_%2B%2f%3d%3D~a/b:c&x=%20&&empty=&y"


def last_of(path):
    return path.partition("?")[0].rpartition("/")[2]


FORMS = {
    "absolute": lambda host, path: f"http://{host}{path}",
    "absolute path": lambda host, path: path,
    "relative to the request": lambda host, path: last_of(path) + "?" + path.partition("?")[2],
    "without a scheme": lambda host, path: f"//{host}{path}",
    "host in upper case": lambda host, path: f"HTTP://{host.upper()}{path}",
    "long": lambda host, path: f"{path}&filler={'%2F' * 2000}",
    "without a query": lambda host, path: path.partition("?")[0],
    "with a fragment": lambda host, path: f"{path}#part",
}


def copy(registry, layout, directory, *options):
    return dray.run("copy", *options, layout, f"{registry.address}/t/app:1", cwd=directory)


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo, 3000)])


@pytest.fixture
def layout(image, tmp_path):
    images.write_layout(tmp_path / "from", {"x:1": image})
    return f"oci:{tmp_path}/from:x:1"


def check_puts(registry, told):
    """Each PUT went to what its POST was told."""
    puts = registry.of("PUT blob")
    assert len(puts) == len(told) == 2
    for put in puts:
        path, query = told[put.reference]
        digest = "digest=sha256%3A" + put.query["digest"].partition(":")[2]
        assert put.target == f"{path}?{query}&{digest}" if query else f"{path}?{digest}"


# covers: UPL-6, HTTP-15
@pytest.mark.parametrize("form", FORMS)
def test_location_is_followed_as_it_stands(form, image, layout, tmp_path):
    told = {}

    def location(request, path):
        path = f"{path.partition('?')[0]}?{STATE}"
        said = FORMS[form](request.header("host"), path)
        told[last_of(path)] = (path.partition("?")[0], said.partition("#")[0].partition("?")[2])
        return said

    with scripted.Registry(location=location) as registry:
        copy(registry, layout, tmp_path).expect(0)
        assert registry.holds("t/app", image)
        check_puts(registry, told)


# covers: UPL-7, T-14
@pytest.mark.parametrize("form", [
    lambda host, path: f"http://{host}{path}",
    lambda host, path: f"http://{host.partition(':')[0]}{path}",
    lambda host, path: f"https://{host.partition(':')[0]}{path}",
    lambda host, path: f"https://{host.partition(':')[0]}:1{path}",
], ids=["http behind TLS", "http without our port", "without our port", "an inner port"])
def test_what_a_proxy_garbles_is_put_right(form, image, layout, tmp_path):
    authority = pki.Authority(tmp_path / "ca")
    with scripted.Registry(tls=authority, location=lambda request, path: form(request.header("host"), path)) as registry:
        (tmp_path / "c.yaml").write_text(f"version: 1\nregistries: {{'{registry.address}': {{tls: {{ca: {authority.certificate}}}}}}}\n"
                                         "repos: [alpine]\ndefaults: {target: x.test/y}\n")
        copy(registry, layout, tmp_path, "--config", tmp_path / "c.yaml").expect(0)
        assert registry.holds("t/app", image)


# covers: UPL-8, T-14
def test_another_host_gets_blobs_only_where_the_user_says_so(layout, tmp_path):
    with scripted.Registry(name="localhost") as other, \
            scripted.Registry(location=lambda request, path: f"http://{other.address}{path}") as registry:
        copy(registry, layout, tmp_path).expect(9).says("another host", f'upload-hosts: ["{other.address}"]')
        assert not other.requests


# covers: UPL-5
def test_session_without_a_location_is_an_error(layout, tmp_path):
    with scripted.Registry() as registry:
        registry.on("POST upload", scripted.drop_header("Location"))
        copy(registry, layout, tmp_path).expect(8, 5).says("POST", "Location")
        assert registry.count("PUT blob") == 0
