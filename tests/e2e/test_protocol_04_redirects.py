"""Redirects to another origin that refuses Authorization, or wants one of its own (PROTOCOL section 23, 4)."""
import json

import pytest

from conftest import PASSWORD, USER
from support import dray, images, scripted


def run(registry, *arguments, cwd, upload_hosts=()):
    """With credentials for `registry` alone."""
    auths = {"auths": {registry.address: {"username": USER, "password": PASSWORD}}}
    hosts = f"upload-hosts: {json.dumps(upload_hosts)}" if upload_hosts else ""
    config = dray.write_config(cwd / "c.yaml", f"registries: {{'{registry.address}': {{{hosts}}}}}\n"
                                               "repos: [{source: x.test/x, target: y.test/y}]\n")
    return dray.run("copy", "--config", config, *arguments, cwd=cwd, env={"DOCKER_AUTH_CONFIG": json.dumps(auths)})


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo, 300_000)])


@pytest.fixture
def private():
    return scripted.Token({USER: PASSWORD}, anonymous=())


# covers: RED-1, RED-4, RED-8, RED-10, T-13, AUTH-4
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_blobs_are_fetched_without_authorization(code, private, image, repo, tmp_path):
    """The storage answers 400 to whoever sends one; its hosts change from request to request."""
    with scripted.together(scripted.Registry(auth=private, redirects_blobs=code, redirects_head=True),
                           scripted.Storage(), scripted.Storage(name="localhost")) as (registry, *storages):
        class InTurn:
            count = 0

            def sign(self, *arguments):
                InTurn.count += 1
                return storages[InTurn.count % 2].sign(*arguments)
        registry.storage = InTurn()
        registry.push(repo, "1", image)
        run(registry, f"{registry.address}/{repo}:1", f"oci:{tmp_path}/out", cwd=tmp_path).expect(0)
        asked = [request for storage in storages for request in storage.of("GET blob")]
        assert len(asked) == 2 and {request.status for request in asked} == {200}
        assert len({request.origin for request in asked}) == 2
        assert all(not request.authorization and request.has("user-agent") for request in asked)
        assert all(request.authorization for request in registry.of("GET blob"))
    images.check_layout(tmp_path / "out")


# covers: RED-9, BLB-11
def test_head_that_storage_refuses_is_not_taken_for_an_answer(private, image, repo, tmp_path):
    """The URL was signed for a GET; so it is not known whether the blob is there, and it is sent."""
    layer = image.layers[0]
    with scripted.together(scripted.Registry(auth=private, redirects_blobs=307, redirects_head=True),
                           scripted.Storage()) as (registry, storage):
        class ForGet:
            @staticmethod
            def sign(name, data, method):
                return storage.sign(name, data, "GET")
        registry.storage = ForGet
        registry.store.add_blob(repo, layer.data, layer.digest)
        with scripted.Registry() as source:
            source.push(repo, "1", image)
            run(registry, f"{source.address}/{repo}:1", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert registry.holds(repo, image)
        heads = storage.of("HEAD blob", digest=layer.digest)
        assert heads and {request.status for request in heads} == {403}
        assert not any(request.authorization for request in heads)
        assert registry.count("PUT blob", digest=layer.digest) == 1


# covers: RED-2, UPL-8, T-14
@pytest.mark.parametrize("code", [307, 308])
def test_upload_that_is_redirected_takes_its_body_there(code, private, image, repo, tmp_path):
    with scripted.together(scripted.Registry(auth=private), scripted.Registry(name="localhost")) as (registry, other):
        def elsewhere(request):
            upload = other.store.open_upload(request.repo)
            return f"{other.url}/v2/{request.repo}/blobs/uploads/{upload.id}?{request.target.partition('?')[2]}"
        registry.on("PUT blob", scripted.redirect(code, elsewhere))
        images.write_layout(tmp_path / "from", {"x:1": image})
        result = run(registry, f"oci:{tmp_path}/from:x:1", f"{registry.address}/{repo}:1", cwd=tmp_path)
        result.expect(9).says(f'upload-hosts: ["{other.address}"]')
        assert not other.of()

        registry.forget()
        registry.habits.needs_children = False  # they are elsewhere
        run(registry, f"oci:{tmp_path}/from:x:1", f"{registry.address}/{repo}:1", cwd=tmp_path,
            upload_hosts=[other.address]).expect(0)
        assert all(other.blob(repo, blob.digest) == blob.data for blob in image.blobs)
        assert all(request.method == "PUT" and not request.authorization for request in other.of())
        assert other.count() == 2 == registry.count("PUT blob")


# covers: RED-1, RED-6, RED-11, T-13, AUTH-4
def test_manifest_of_another_host_with_a_challenge_of_its_own(private, image, repo, tmp_path):
    """registry.k8s.io: 307 to another host and another repository, which wants a token for that."""
    theirs = f"project/images/{repo}"
    with scripted.together(scripted.Registry(auth=private, redirects_manifests=307),
                           scripted.Registry(name="localhost", auth=scripted.Token(service="their"))) as (registry, other):
        registry.elsewhere = lambda request: f"{other.url}/v2/{theirs}/manifests/{request.reference}"
        registry.push(repo, "1", image)
        other.push(theirs, "1", image)
        run(registry, f"{registry.address}/{repo}:1", f"oci:{tmp_path}/out", cwd=tmp_path).expect(0)
        tokens = other.of("token")
        assert tokens and all(not request.authorization and "account" not in request.query for request in tokens)
        assert {request.query["scope"] for request in tokens} == {f"repository:{theirs}:pull"}
        fetched = [request for request in other.of() if request.operation.endswith("manifest")]
        assert [request.status for request in fetched] == [401, 200] * (len(fetched) // 2)
        # A token a request, and nothing of it is kept for the registry.
        assert len(tokens) == len(fetched) // 2
        assert all(request.authorization.removeprefix("Bearer ") in registry.auth.issued
                   for request in registry.of("GET blob"))
    images.check_layout(tmp_path / "out")


# covers: RED-6, RED-11
def test_host_that_wants_a_password_gets_none(private, image, repo, tmp_path):
    with scripted.together(scripted.Registry(auth=private, redirects_manifests=307),
                           scripted.Registry(name="localhost", auth=scripted.Basic({USER: PASSWORD}))) as (registry, other):
        registry.elsewhere = lambda request: f"{other.url}{request.path}"
        registry.push(repo, "1", image)
        run(registry, f"{registry.address}/{repo}:1", f"oci:{tmp_path}/out", cwd=tmp_path).expect(3).says(other.address, "401")
        assert other.of() and not any(request.authorization for request in other.of())


# covers: HTTP-13, RED-7
def test_refusal_of_a_storage_host_is_taken_back_to_the_registry(private, image, repo, tmp_path):
    with scripted.together(scripted.Registry(auth=private, redirects_blobs=307, redirects_manifests=307),
                           scripted.Storage(), scripted.Registry(name="localhost")) as (registry, storage, mirror):
        registry.storage = storage
        registry.elsewhere = lambda request: f"{mirror.url}{request.path}"
        registry.push(repo, "1", image)
        mirror.push(repo, "1", image)
        storage.on("GET blob", 403, digest=image.layers[0].digest, nth=1)
        mirror.on("GET manifest", 403, nth=1)
        run(registry, f"{registry.address}/{repo}:1", f"oci:{tmp_path}/out", "--referrers", "false", cwd=tmp_path).expect(0)
        asked = storage.of("GET blob", digest=image.layers[0].digest)
        assert [request.status for request in asked] == [403, 200]
        assert len({request.query["X-Amz-Signature"] for request in asked}) == 2
        assert [request.status for request in mirror.of("GET manifest")] == [403, 200]
        assert registry.count("GET manifest") == 2 == registry.count("GET blob", digest=image.layers[0].digest)
