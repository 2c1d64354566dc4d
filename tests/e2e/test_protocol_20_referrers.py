"""Referrers (PROTOCOL section 23, 20): what refers to an image comes with it, before its tag, however either side tells of it."""
import json
import threading

import pytest

from conftest import served  # noqa: F401
from support import dray, images, registry as registries, scripted

API, NONE = "zot", "registry3"


def tag_of(subject, suffix=""):
    return subject.digest.replace(":", "-") + suffix


def plant(registry, repo, tag, image, referrers, api):
    """The image, and what refers to it, as another client leaves them there."""
    registry.push(repo, tag, image)
    for one in referrers:
        registry.push(repo, None, one)
    if not api:
        listed = images.list_of(referrers)
        registry.store.add_manifest(repo, listed.data, listed.media_type, tag_of(image), listed.digest)


def listed(registry, repo, subject):
    """What the tag lists: {digest: entry}."""
    found = registry.manifest(repo, tag_of(subject))
    return {entry["digest"]: entry for entry in json.loads(found.data)["manifests"]} if found else {}


def copy(source, target, repo, directory, *options, **more):
    return dray.run("copy", "--json", *options, f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=directory, **more)


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo)])


@pytest.fixture
def sbom(image):
    return images.Referrer(image)


@pytest.fixture
def signature(image):
    return images.Referrer(image, "application/vnd.example.signature", "signed")


# covers: RFR-1, RFR-3, RFR-4, RFR-6, RFR-8, RFR-14, PSH-4
@pytest.mark.parametrize("to", [API, NONE])
@pytest.mark.parametrize("of", [API, NONE])
def test_they_come_before_the_tag(of, to, image, sbom, signature, repo, tmp_path):
    with scripted.Registry(of) as source, scripted.Registry(to) as target:
        plant(source, repo, "1", image, [sbom, signature], of == API)
        report = copy(source, target, repo, tmp_path).expect(0).report
        assert report["referrers"] == 2 and report["images"]["copied"] == 1
        assert target.holds(repo, sbom) and target.holds(repo, signature)
        assert target.tags(repo)["1"] == image.digest
        puts = [request.reference for request in target.of("PUT manifest")]
        assert puts[0] == image.digest and puts[-1] == "1", "the subject first, the tag last"
        if to == API:
            assert tag_of(image) not in target.tags(repo)
        else:
            entries = listed(target, repo, image)
            assert {digest: (entry["artifactType"], entry["annotations"]) for digest, entry in entries.items()} == {
                one.digest: (one.kind, one.annotations) for one in (sbom, signature)}
        # Nothing is new: two requests, and no more.
        source.forget(), target.forget()
        copy(source, target, repo, tmp_path).expect(0)
        assert source.count("HEAD manifest") == 1 and not source.of("referrers") and not target.of("PUT manifest")


# covers: RFR-2, RFR-4
@pytest.mark.parametrize("answer", [404, 405, 501, scripted.html(), scripted.redirect(303, "https://other.test/api")],
                         ids=["404", "405", "501", "html", "redirect"])
def test_whatever_is_no_list_is_no_api(answer, image, sbom, repo, tmp_path):
    with scripted.Registry() as source, scripted.Registry(NONE) as target:
        source.on("referrers", answer)
        plant(source, repo, "1", image, [sbom], False)
        copy(source, target, repo, tmp_path).expect(0)
        assert target.holds(repo, sbom) and list(listed(target, repo, image)) == [sbom.digest]
        assert source.count("referrers") == 1, "asked once, then known"


# covers: RFR-1, T-51
def test_list_that_is_broken_is_the_sources_fault(image, sbom, repo, tmp_path):
    with scripted.Registry(API, referrers_page=1) as source, scripted.Registry(API) as target:
        plant(source, repo, "1", image, [sbom, images.Referrer(image, label="2")], True)
        source.on("referrers", scripted.html(), nth=2)
        result = copy(source, target, repo, tmp_path).expect(4).says("what refers to it")
        assert [failure["stage"] for failure in result.report["failures"]] == ["referrer"]
        assert target.tags(repo) == {}


# covers: RFR-4
def test_target_that_says_it_has_an_api_and_has_none(image, sbom, repo, tmp_path):
    """OCI-Subject in the reply to the PUT, as Docker Hub sent it."""
    with scripted.Registry(API) as source, scripted.Registry(NONE, says_subject=True) as target:
        plant(source, repo, "1", image, [sbom], True)
        copy(source, target, repo, tmp_path).expect(0)
        assert list(listed(target, repo, image)) == [sbom.digest]


# covers: RFR-10, RFR-11
def test_pages(image, repo, tmp_path):
    many = [images.Referrer(image, label=str(n)) for n in range(5)]
    with scripted.Registry(API, referrers_page=2) as source, scripted.Registry(API) as target:
        def with_previous(request, response):
            nexts = [value for name, value in response.headers if name == "Link"]
            return response.set("Link", f'<{request.path}?from=0>; rel="prev", {nexts[0]}') if nexts else response

        source.on("referrers", with_previous)
        plant(source, repo, "1", image, many, True)
        copy(source, target, repo, tmp_path).expect(0)
        assert all(target.holds(repo, one) for one in many)


# covers: RFR-7, RFR-8
def test_list_at_the_target_is_added_to(image, sbom, signature, repo, tmp_path):
    with scripted.Registry(API) as source, scripted.Registry(NONE) as target:
        plant(source, repo, "1", image, [sbom], True)
        plant(target, repo, "0", image, [signature], False)
        copy(source, target, repo, tmp_path).expect(0)
        assert set(listed(target, repo, image)) == {sbom.digest, signature.digest}


# covers: RFR-7
def test_two_who_write_one_list(image, sbom, signature, repo, tmp_path):
    """Somebody else's PUT comes between our reading and our writing: once more, and both are in it."""
    with scripted.Registry(API) as source, scripted.Registry(NONE) as target:
        plant(source, repo, "1", image, [sbom], True)

        def overwrite(request, response):
            target.push(repo, None, signature)
            theirs = images.list_of([signature])
            target.store.add_manifest(repo, theirs.data, theirs.media_type, tag_of(image), theirs.digest)
            return response

        target.on("PUT manifest", overwrite, tag=tag_of(image), times=1)
        copy(source, target, repo, tmp_path).expect(0)
        assert set(listed(target, repo, image)) == {sbom.digest, signature.digest}


# covers: RFR-6
def test_tag_that_is_no_list_is_left_as_it_is(image, sbom, repo, tmp_path):
    other = images.Image([images.Layer(f"{repo} other")])
    with scripted.Registry(API) as source, scripted.Registry(NONE) as target:
        plant(source, repo, "1", image, [sbom], True)
        target.push(repo, tag_of(image), other)
        copy(source, target, repo, tmp_path).expect(0).says("the list of referrers")
        assert target.tags(repo) == {"1": image.digest, tag_of(image): other.digest} and target.holds(repo, sbom)


# covers: RFR-12
def test_list_that_lies(image, sbom, repo, tmp_path):
    """It names what refers to something else, and what is not there; the image comes all the same."""
    other = images.Image([images.Layer(f"{repo} other")])
    stray, gone = images.Referrer(other), images.Referrer(image, label="gone")
    with scripted.Registry(NONE) as source, scripted.Registry(NONE) as target:
        plant(source, repo, "1", image, [sbom, stray], False)
        theirs = images.list_of([sbom, stray, gone])
        source.store.add_manifest(repo, theirs.data, theirs.media_type, tag_of(image), theirs.digest)
        result = copy(source, target, repo, tmp_path).expect(0).says("it refers to something else", gone.digest[:19])
        assert result.report["left_out"]["referrers"] == 2 and result.report["referrers"] == 1
        assert list(listed(target, repo, image)) == [sbom.digest] and not target.manifest(repo, stray.digest)


# covers: RFR-13, RFR-15
@pytest.mark.parametrize("to", [API, NONE])
def test_children_and_referrers_have_some_of_their_own(to, repo, tmp_path):
    index = images.multi_platform(repo, ("amd64", "arm64"), attested=False)
    of_index, of_child = images.Referrer(index), images.Referrer(index.children[1])
    of_both = [images.Referrer(one, "application/vnd.example.signature") for one in (of_index, of_child)]
    with scripted.Registry(API) as source, scripted.Registry(to) as target:
        source.push(repo, "1", index)
        for one in (of_index, of_child, *of_both):
            source.push(repo, None, one)
        assert copy(source, target, repo, tmp_path).expect(0).report["referrers"] == 4
        assert all(target.holds(repo, one) for one in (index, of_index, of_child, *of_both))
        if to == NONE:
            assert [list(listed(target, repo, one)) for one in (index, index.children[1], of_index, of_child)] == [
                [of_index.digest], [of_child.digest], [of_both[0].digest], [of_both[1].digest]]


# covers: RFR-16, RFR-17, PSH-4
@pytest.mark.parametrize("listing", [False, True])
def test_tags_of_cosign(listing, image, repo, tmp_path):
    made = {suffix: images.Image([images.Layer(f"{repo} {suffix}")], label=suffix) for suffix in (".sig", ".att", ".sbom")}
    with scripted.Registry(NONE) as source, scripted.Registry(NONE) as target:
        source.push(repo, "1", image)
        for suffix, one in made.items():
            source.push(repo, tag_of(image, suffix), one)
        if listing:
            dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
        else:
            copy(source, target, repo, tmp_path).expect(0)
            assert target.of("PUT manifest")[-1].reference == "1"
        assert target.tags(repo) == {"1": image.digest, **{tag_of(image, s): one.digest for s, one in made.items()}}


# covers: RFR-8, RFR-17
def test_list_of_tags_never_replaces_a_list_of_referrers(image, sbom, signature, repo, tmp_path):
    with scripted.Registry(NONE) as source, scripted.Registry(NONE) as target:
        plant(source, repo, "1", image, [sbom], False)
        plant(target, repo, "0", image, [signature], False)
        for _ in range(2):
            dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
            assert set(listed(target, repo, image)) == {sbom.digest, signature.digest}
        assert target.tags(repo)["1"] == image.digest


# covers: RFR-17
def test_list_of_tags_that_has_none_saves_the_questions(image, repo, tmp_path):
    with scripted.Registry(NONE) as source, scripted.Registry(NONE) as target:
        for n in range(5):
            source.push(repo, str(n), images.Image(image.layers, label=str(n)))
        dray.run("copy", f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(0)
        assert source.count("referrers") == 1 and source.count("HEAD manifest") == 5 == source.count("GET manifest")
        assert not target.of("referrers")


# covers: RFR-14
@pytest.mark.parametrize("fault, code", [(503, 8), (415, 0)])
def test_what_fails_and_what_is_refused(fault, code, image, sbom, repo, tmp_path):
    """A target that takes no such manifest gets the image without it; one that fails gets no tag."""
    with scripted.Registry(API) as source, scripted.Registry(API) as target:
        plant(source, repo, "1", image, [sbom], True)
        target.on("PUT manifest", scripted.status(fault), digest=sbom.digest)
        result = copy(source, target, repo, tmp_path).expect(code)
        assert target.tags(repo) == ({"1": image.digest} if code == 0 else {})
        assert result.report["left_out"]["referrers"] == (code == 0)


# covers: RFR-3
@pytest.mark.parametrize("referrers, copied", [("false", 0), ("true", 0), ("always", 1)])
def test_those_that_come_later(referrers, copied, image, sbom, repo, tmp_path):
    with scripted.Registry(API) as source, scripted.Registry(API) as target:
        source.push(repo, "1", image)
        copy(source, target, repo, tmp_path).expect(0)
        source.push(repo, None, sbom)
        report = copy(source, target, repo, tmp_path, "--referrers", referrers).expect(0).report
        assert report["referrers"] == copied and report["images"]["unchanged"] == 1
        assert target.holds(repo, sbom) == bool(copied)


# covers: RFR-18, LAY-6
def test_through_a_layout_and_back(image, sbom, signature, repo, tmp_path):
    with scripted.Registry(API) as source, scripted.Registry(NONE) as target:
        plant(source, repo, "1", image, [sbom, signature], True)
        config = dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: '{source.address}/{repo}', targets: ['oci:layout']}}]\n")
        dray.sync(config).expect(0)
        images.check_layout(tmp_path / "layout")
        named = images.read_layout(tmp_path / "layout")
        assert {name.rpartition(":")[2] for name in named} == {"1", tag_of(image)}
        dray.run("copy", f"oci:{tmp_path}/layout", f"{target.address}/back", cwd=tmp_path).expect(0)
        there = f"back/{repo}"
        assert target.holds(there, image) and target.holds(there, sbom) and target.holds(there, signature)
        assert set(listed(target, there, image)) == {sbom.digest, signature.digest}


# covers: RFR-4, RFR-6, RFR-7, RFR-8
def test_docker_registry(source, target, image, sbom, signature, repo, tmp_path):
    """From one that has no API to another, by lists under tags; two runs write the same list at once."""
    images.push(source, repo, "1", image)
    for one in (sbom, signature):
        images.push(source, repo, None, one)
    images.Pusher(source).manifest(repo, tag_of(image), images.list_of([sbom, signature]))
    threads = [threading.Thread(target=lambda: copy(source, target, repo, tmp_path).expect(0)) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert target.tags(repo)["1"] == image.digest
    status, _, body = registries.request(target.address, "GET", f"/v2/{repo}/manifests/{tag_of(image)}",
                                         headers={"Accept": images.INDEX})
    assert status == 200
    assert {e["digest"]: e["annotations"] for e in json.loads(body)["manifests"]} == {
        one.digest: one.annotations for one in (sbom, signature)}
    assert {sbom.digest, signature.digest} <= target.manifests(repo)
