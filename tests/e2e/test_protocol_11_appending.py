"""A server that appends (PROTOCOL section 23, 11): registry:2 takes whatever comes as the next bytes of the session."""
import pytest

from support import dray, images, scripted


# covers: UPL-18, UPL-20, UPL-22, T-45
@pytest.mark.parametrize("ends", ["late", "reset"])
def test_part_without_a_reply_is_never_sent_into_its_session_again(ends, repo, tmp_path):
    """It was taken; the reply comes too late, or never. Sent again, it would be there twice."""
    image = images.Image([images.Layer(repo, 5 << 20)])
    images.write_layout(tmp_path / "from", {"x:1": image})
    held = scripted.hold()
    with scripted.Registry("registry2", body_most=2 << 20) as registry:
        registry.on("PATCH upload", held if ends == "late" else scripted.reset("after"), nth=2)
        config = dray.write_config(tmp_path / "c.yaml", f"""\
limits: {{stall-timeout: 1s}}
repos:
  - {{source: 'oci:{tmp_path}/from', target: {registry.address}/t}}
""")
        dray.sync(config).expect(0)
        held.release()
        assert registry.holds("t/library/x", image)
        parts = [request for request in registry.of("PATCH upload") if request.status != 413]
        begun = [(request.path, request.header("content-range")) for request in parts]
        assert len(set(begun)) == len(begun), begun
        assert len({path for path, _ in begun}) > 1


# covers: T-46, T-47, UPL-22, UPL-24
@pytest.mark.parametrize("fault, nth", [
    (scripted.reset("before"), 2),
    (scripted.status(416, {"Range": "0-99"}), 2),
    (scripted.status(404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'), 3),  # the session is lost after the second part
    (503, 2),
], ids=["reset before it was taken", "416", "session gone", "503"])
def test_part_that_fails_costs_the_session_and_no_more(fault, nth, repo, tmp_path):
    image = images.Image([images.Layer(repo, 5 << 20, "plain")])
    images.write_layout(tmp_path / "from", {"x:1": image})
    with scripted.Registry("registry2", body_most=2 << 20) as registry:
        registry.on("PATCH upload", fault, nth=nth)
        dray.run("copy", f"oci:{tmp_path}/from:x:1", f"{registry.address}/t/x:1", cwd=tmp_path).expect(0)
        assert registry.holds("t/x", image)


# covers: T-47, UPL-23
def test_parts_that_are_taken_and_dropped_are_found_out_by_the_digest(repo, tmp_path):
    """ECR has been seen to answer 201 to the second part, and to keep the first alone."""
    image = images.Image([images.Layer(repo, 5 << 20, "plain")])
    images.write_layout(tmp_path / "from", {"x:1": image})

    def drops(request, response):
        upload = registry.store.uploads[request.reference]
        if not request.header("content-range").startswith("0-"):
            upload.data = upload.data[:-len(request.body)]

    with scripted.Registry("ecr", body_most=2 << 20, part_least=None, checks_ranges=False) as registry:
        registry.store.repository("t/x")
        registry.on("PATCH upload", drops)
        dray.run("copy", f"oci:{tmp_path}/from:x:1", f"{registry.address}/t/x:1", cwd=tmp_path).expect(5).says("DIGEST_INVALID")
        assert registry.tags("t/x") == {} and registry.blob("t/x", image.layers[0].digest) is None
