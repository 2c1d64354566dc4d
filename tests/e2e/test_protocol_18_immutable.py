"""Tags that cannot be moved (PROTOCOL section 23, 18)."""
import pytest

from support import dray, images, scripted

WAYS = {  # status, code, message, and whether even the same digest is refused
    "ecr": (400, "TAG_INVALID", "The image tag '1' already exists and cannot be overwritten because the tag is immutable.", True),
    "quay": (409, "TAG_IMMUTABLE", "tag is immutable", False),
    "harbor": (412, "PRECONDITION", "Failed to process request due to 'app:1' configured as immutable.", False),
    "gar": (403, "DENIED", "The tag 1 is immutable", True),
}


@pytest.fixture(params=WAYS)
def target(request):
    with scripted.Registry(immutable=True) as server:
        server.habits.immutable = WAYS[request.param]
        yield server


def tag_puts(registry, tag):
    return [request.status for request in registry.of("PUT manifest") if request.reference == tag]


def sync(source, target, repo, directory, *more):
    config = dray.write_config(directory / "c.yaml", f"""\
repos:
  - source: {source.address}/{repo}
    targets: [{', '.join([f'{target.address}/{repo}', *more])}]
""")
    return dray.sync(config)


# covers: MAN-24, PSH-5, T-50
def test_same_digest_is_a_success_without_a_put(target, repo, tmp_path):
    image = images.multi_platform(repo)
    with scripted.Registry() as source:
        source.push(repo, "1", image)
        target.push(repo, "1", image)
        result = sync(source, target, repo, tmp_path).expect(0)
    assert result.report["images"]["unchanged"] == 1
    assert [request.operation for request in target.requests] == ["ping", "HEAD manifest"]
    assert not source.of("GET manifest") and not source.of("GET blob")


# covers: MAN-24, PSH-10, PSH-12, T-50
def test_another_digest_is_one_clear_error_and_the_other_tags_go_on(target, repo, tmp_path):
    old, new = images.multi_platform(f"{repo} old"), images.multi_platform(f"{repo} new")
    others = {f"2.{n}": images.Image([images.Layer(f"{repo} {n}")]) for n in range(5)}
    layout = tmp_path / "layout"
    with scripted.Registry() as source:
        for tag, image in {"1": new, **others}.items():
            source.push(repo, tag, image)
        target.push(repo, "1", old)
        result = sync(source, target, repo, tmp_path, f"'oci:{layout}'").expect(1)
    (failure,) = result.report["failures"]
    assert failure["exit_class"] == 5 and failure["kind"] == "denied" and failure["target"].endswith(f"{repo}:1")
    assert f"the tag 1 is immutable, and stays at {old.digest}" in failure["message"]
    assert target.habits.immutable[2].partition("'")[0] in failure["message"]  # and the registry's own words
    assert target.tags(repo) == {"1": old.digest, **{tag: image.digest for tag, image in others.items()}}
    assert len(tag_puts(target, "1")) == 1 and all(tag_puts(target, tag) == [201] for tag in others)
    assert not [request for request in target.requests if request.method == "DELETE"]
    assert images.read_layout(layout)[f"{source.address}/{repo}:1"]["digest"] == new.digest  # the other target has it


# covers: MAN-24
def test_it_alone_ends_in_the_class_of_targets_that_refuse(target, repo, tmp_path):
    with scripted.Registry() as source:
        source.push(repo, "1", images.Image([images.Layer(f"{repo} new")]))
        target.push(repo, "1", images.Image([images.Layer(f"{repo} old")]))
        sync(source, target, repo, tmp_path).expect(5).says("immutable")


# covers: MAN-24, T-45
def test_reply_to_the_put_is_lost_and_the_tag_cannot_be_put_again(target, repo, tmp_path):
    """The second PUT is refused although the tag has what it is to have."""
    image = images.Image([images.Layer(repo)])
    target.on("PUT manifest", scripted.reset("after"), tag="1", times=1)
    with scripted.Registry() as source:
        source.push(repo, "1", image)
        sync(source, target, repo, tmp_path).expect(0)
    assert target.tags(repo) == {"1": image.digest}
    assert len(tag_puts(target, "1")) == 2


# covers: MAN-25, PSH-5
def test_tag_that_is_missing_is_put_although_the_digest_is_there(target, repo, tmp_path):
    image = images.Image([images.Layer(repo)])
    with scripted.Registry() as source:
        source.push(repo, "2", image)
        target.push(repo, "1", image)
        sync(source, target, repo, tmp_path).expect(0)
    assert target.tags(repo) == {"1": image.digest, "2": image.digest}
    assert tag_puts(target, "2") == [201] and not target.of("PUT blob") and not source.of("GET blob", digest=image.layers[0].digest)
