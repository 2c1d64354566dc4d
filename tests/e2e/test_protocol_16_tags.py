"""Listings of tags (PROTOCOL section 23, 16): complete, or an error; whatever pages, links and entries look like."""
import json

import pytest

from support import dray, images, scripted


@pytest.fixture(scope="module")
def image():
    return images.Image([images.Layer("tags", 1000)])


def full(image, count, **habits):
    """A registry with so many tags of one image."""
    registry = scripted.Registry(**habits)
    registry.push("team/app", "t0000", image)
    tags = registry.store.repositories["team/app"].tags
    for number in range(1, count):
        tags[f"t{number:04}"] = image.digest
    return registry


def listed(registry, directory, code=0):
    result = dray.run("tags", f"{registry.address}/team/app", cwd=directory).expect(code)
    return result.stdout.split(), result


# covers: TAG-1, TAG-4, TAG-5, TAG-6, TAG-8, TAG-9, TAG-11, RFR-10
@pytest.mark.parametrize("count, requests, habits", [
    (7, 1, {}),
    (1000, 2, {}),                                     # full, without a link: there may be more
    (7, 3, {"page_most": 3}),
    (7, 3, {"page_most": 3, "link": "absolute"}),
    (7, 3, {"page_most": 3, "link": "wrong host"}),
    (7, 3, {"page_most": 3, "link_prev": True}),
    (7, 5, {"page_most": 3, "link": "no first component"}),
    (2500, 3, {"link": "none"}),
    (1500, 1, {"ignores_n": True}),
    (7, 4, {"page_most": 3, "page_default": 3, "n_most": 999, "n_refusal": (405, "UNSUPPORTED")}),
    (7, 1, {"reversed_tags": True}),
    (7, 1, {"refuses_manifest_accept": True}),
], ids=lambda value: ",".join(value) if isinstance(value, dict) else str(value))
def test_all_tags_are_listed(count, requests, habits, image, tmp_path):
    with full(image, count, **habits) as registry:
        tags, _ = listed(registry, tmp_path)
        assert sorted(tags) == [f"t{number:04}" for number in range(count)]
        assert registry.count("tags") <= requests


# covers: TAG-2, TAG-3
@pytest.mark.parametrize("body, tags", [
    ('{"name":"team/app","tags":null}', []),
    ('{"name":"team/app"}', []),
    ('{"name":"team/app","tags":[]}', []),
    ('{"name":"team/app","tags":[null,"","a"],"manifest":{"sha256:0":{}},"child":["x"]}', ["a"]),
    (json.dumps({"tags": ["sha256:" + "0" * 64, "b", "-no", "x" * 129]}), ["b"]),
])
def test_entries_that_are_none_are_passed_over(body, tags, image, tmp_path):
    with full(image, 1) as registry:
        registry.on("tags", scripted.body(body, "application/json"))
        assert listed(registry, tmp_path)[0] == tags


# covers: TAG-10, TAG-7, TAG-12, ERR-13
@pytest.mark.parametrize("break_it, says", [
    (scripted.header("Link", lambda request: f'<{request.target}>; rel="next"'), "tags"),
    (lambda request, response: response.set("Link", f'</v2/team/app/tags/list?n=1&x={len(request.target)}>; rel="next"'), "tags"),
    (scripted.html(200), "text/html"),
    (scripted.body('{"tags":', "application/json"), "JSON"),
    (scripted.body('{"tags":{"a":1}}', "application/json"), "tags"),
], ids=["same page", "page without news", "page for people", "cut", "no list"])
def test_listing_that_is_none_is_an_error_and_ends(break_it, says, image, tmp_path):
    with full(image, 1) as registry:
        registry.on("tags", break_it)
        dray.run("tags", f"{registry.address}/team/app", cwd=tmp_path).expect(4, 8).says(says, registry.address)
        assert registry.count("tags") < 30


# covers: TAG-12
def test_cursor_that_is_gone_begins_the_listing_again(image, tmp_path):
    with full(image, 9, page_most=3, unknown_last=404) as registry:
        def remove(request, response):
            registry.store.repositories["team/app"].tags.pop("t0002", None)

        registry.on("tags", remove, nth=1)
        tags, _ = listed(registry, tmp_path)
        assert set(tags) >= {f"t{number:04}" for number in range(9)} - {"t0002"}


# covers: TAG-13
def test_pulling_needs_no_listing(image, tmp_path):
    """Where listing is forbidden and pulling is not, only who lists fails."""
    with full(image, 1) as registry, scripted.Registry() as target:
        registry.on("tags", 403)
        dray.run("copy", f"{registry.address}/team/app:t0000", f"{target.address}/a:1", cwd=tmp_path).expect(0)
        dray.run("copy", f"{registry.address}/team/app:*", f"{target.address}/b", cwd=tmp_path).expect(3, 4, 5).says("403")
        assert target.tags("a") == {"1": image.digest} and not target.tags("b")


# covers: TAG-15
def test_tag_that_goes_between_listing_and_reading_is_a_warning(image, tmp_path):
    with full(image, 3) as registry, scripted.Registry() as target:
        registry.on("HEAD manifest", 404, tag="t0001")
        registry.on("GET manifest", 404, tag="t0001")
        config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: {registry.address}/team/app, target: {target.address}/m}}]\n")
        result = dray.sync(config).expect(0)
        assert result.report["images"]["gone"] == 1 and not result.report["failures"]
        assert set(target.tags("m")) == {"t0000", "t0002"}
