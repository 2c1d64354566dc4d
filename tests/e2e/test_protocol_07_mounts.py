"""Mounts (PROTOCOL section 23, 7): whatever comes of one, the blob arrives, in the cheapest way that is left."""
import pytest

from conftest import PASSWORD, USER
from support import dray, images, scripted


@pytest.fixture
def shared(repo):
    return images.Layer(f"{repo} shared", 30_000)


@pytest.fixture
def source(shared, repo):
    """Two repositories that share a layer."""
    with scripted.Registry() as server:
        server.images = {name: images.Image([shared, images.Layer(f"{repo} {name}")], label=name) for name in "ab"}
        for name, image in server.images.items():
            server.push(name, "1", image)
        yield server


def mirror(source, target, directory):
    """One repository after the other, so that the second finds at the target what the first has brought."""
    config = dray.write_config(directory / "c.yaml", f"""\
registries:
  {target.address}: {{credentials: {{username: {USER}, password: "{PASSWORD}"}}}}
limits: {{images-in-flight: 1}}
repos:
  - {{source: {source.address}/a, target: {target.address}/m/a}}
  - {{source: {source.address}/b, target: {target.address}/m/b}}
""")
    result = dray.sync(config).expect(0)
    for name, image in source.images.items():
        assert target.holds(f"m/{name}", image) and target.tags(f"m/{name}") == {"1": image.digest}
    return result


def asked_to_mount(target, digest):
    return [request for request in target.of("POST upload") if request.query.get("mount") == digest]


# covers: UPL-2, TOK-3, TOK-5
@pytest.mark.parametrize("status", [404, 403, 400])
def test_token_server_that_knows_no_second_scope_costs_the_mount_alone(status, shared, source, tmp_path):
    def one_scope(scopes, user):
        if len({scope.split(":")[1] for scope in scopes}) > 1:
            return scripted.error(status, "NOT_FOUND", "unknown path")

    with scripted.Registry(auth=scripted.Token({USER: PASSWORD}), refuses_scopes=one_scope) as target:
        report = mirror(source, target, tmp_path).report
        assert report["blobs"]["mounted"] == 0 and report["blobs"]["downloaded"] == report["blobs"]["unique"]
        refused = [request for request in target.of("token") if request.status == status]
        assert [len([v for k, v in request.queries if k == "scope"]) for request in refused] in ([], [2]), refused


# covers: UPL-2, UPL-3, UPL-5, UPL-9
@pytest.mark.parametrize("answer, mounted, posts", [
    (201, 1, 1),
    (202, 0, 1),  # the session that came instead of the mount is the one that is used
    (401, 0, 2),
    (405, 0, 2),
])
def test_answer_to_a_mount(answer, mounted, posts, shared, source, tmp_path):
    with scripted.Registry(mount=answer) as target:
        report = mirror(source, target, tmp_path).report
        assert report["blobs"]["mounted"] == mounted
        assert all(request.query.get("from") for request in target.of("POST upload") if "mount" in request.query)
        second = asked_to_mount(target, shared.digest)[0].repo
        first = ({"m/a", "m/b"} - {second}).pop()
        assert asked_to_mount(target, shared.digest)[0].query["from"] == first
        # One session for each blob that goes up into the second repository, and the mount's own.
        assert target.count("POST upload", repo=second) == 2 + posts
        assert target.count("PUT blob", repo=second) == 3 - mounted
        assert source.count("GET blob", digest=shared.digest) == 1


# covers: UPL-4, PSH-7, T-53
def test_mount_that_did_nothing_is_found_out(shared, source, tmp_path):
    """201 is taken at its word; the manifest tells better, and the blob is sent."""
    with scripted.Registry(auth=scripted.Basic({USER: PASSWORD})) as target:
        target.on("POST upload", scripted.status(201), digest=shared.digest)
        mirror(source, target, tmp_path)
        assert target.count("PUT blob", digest=shared.digest) == 2
