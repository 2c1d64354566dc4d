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
