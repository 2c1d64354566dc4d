"""Lost replies (PROTOCOL section 23, 10): a PUT that nothing is known of is settled by asking, never by sending again."""
import pytest

from support import dray, images, scripted

SIZE = 100_000


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo, SIZE)])


@pytest.fixture
def layout(image, tmp_path):
    images.write_layout(tmp_path / "from", {"x:1": image})
    return f"oci:{tmp_path}/from:x:1"


def settled(registry, image, layout, directory):
    """The layer's PUTs, after a copy that ended well."""
    dray.run("copy", layout, f"{registry.address}/t/app:1", cwd=directory).expect(0)
    assert registry.holds("t/app", image) and registry.tags("t/app") == {"1": image.digest}
    return [request for request in registry.of("PUT blob") if request.query["digest"] == image.layers[0].digest]


# covers: UPL-21, ERR-6, T-45
@pytest.mark.parametrize("fault", [
    scripted.reset("after"), scripted.raw(b""), scripted.status(404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'), 500, 502, 504,
], ids=["reset", "closed", "404 upload unknown", "500", "502", "504"])
def test_blob_that_is_there_is_not_sent_again(fault, image, layout, tmp_path):
    """The registry keeps it and says otherwise, or nothing."""
    def keeps(request, response):
        if isinstance(fault, int):
            return scripted.Response(fault, b"")
        return scripted.Response(404, fault.body) if isinstance(fault, scripted.status) else response

    with scripted.Registry() as registry:
        registry.on("PUT blob", fault if not isinstance(fault, (int, scripted.status)) else keeps,
                    digest=image.layers[0].digest, times=1)
        puts = settled(registry, image, layout, tmp_path)
        assert len(puts) == 1
        # Before it, to see whether it is needed, and after it, to see what became of it.
        assert registry.count("HEAD blob", digest=image.layers[0].digest) == 2


# covers: UPL-21, UPL-22, ERR-6, T-45
@pytest.mark.parametrize("fault", [
    scripted.reset("before"), scripted.reset("early", SIZE // 4),
    scripted.status(404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'), scripted.status(503)],
    ids=["reset", "reset in the middle", "404 upload unknown", "503"])
def test_blob_that_is_not_there_goes_into_a_new_session(fault, image, layout, tmp_path):
    with scripted.Registry() as registry:
        registry.on("PUT blob", fault, digest=image.layers[0].digest, times=1)
        puts = settled(registry, image, layout, tmp_path)
        assert len(puts) == 2 and puts[0].path != puts[1].path


# covers: UPL-24
def test_session_that_is_always_gone_ends(layout, image, tmp_path):
    with scripted.Registry() as registry:
        registry.on("PUT blob", scripted.status(404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'), digest=image.layers[0].digest)
        dray.run("copy", layout, f"{registry.address}/t/app:1", cwd=tmp_path).expect(8, 5).says("404")
        assert registry.tags("t/app") == {}
        sessions = {request.path for request in registry.of("PUT blob", digest=image.layers[0].digest)}
        assert len(sessions) == 4, "the first one, and three more"


# covers: UPL-23
@pytest.mark.parametrize("times, code", [(1, 0), (None, 5)])
def test_digest_that_a_registry_disputes_is_sent_once_more(times, code, layout, image, tmp_path):
    """Our bytes are proven, so it is the way that spoilt them, once."""
    with scripted.Registry() as registry:
        registry.on("PUT blob", scripted.status(400, body=b'{"errors":[{"code":"DIGEST_INVALID","message":"other bytes"}]}'),
                    digest=image.layers[0].digest, times=times)
        dray.run("copy", layout, f"{registry.address}/t/app:1", cwd=tmp_path).expect(code)
        sent = registry.of("PUT blob", digest=image.layers[0].digest)
        assert len(sent) == 2 and sent[0].path != sent[1].path
