"""What is asked of the servers, counted at the wire."""
import collections
import threading

import pytest

from support import dray, images, scripted


@pytest.mark.parametrize("count", [1, 2, 4])
def test_source_is_read_once_whatever_the_number_of_targets(count, source, target, repo, tmp_path):
    corpus = {f"{repo}/{name}": tags for name, tags in images.corpus(3, 2, seed=repo).items()}
    blobs = images.all_blobs(image for tags in corpus.values() for image in tags.values())
    images.push_all(source, corpus)
    entries = "".join(
        f"  - source: {source.address}/{name}\n"
        f"    targets: {[f'{target.address}/mirror/{name}', *(f'oci:{tmp_path}/t{n}' for n in range(1, count))]}\n".replace("'", "")
        for name in corpus)
    config = dray.write_config(tmp_path / "c.yaml", f"repos:\n{entries}")
    before = source.log()
    result = dray.sync(config)
    result.expect(0)
    log = source.log().since(before)
    assert log.blob_downloads() == collections.Counter(dict.fromkeys(blobs, 1))
    assert sum(r.bytes for r in log.of("GET", "blobs")) == sum(len(blob.data) for blob in blobs.values())
    before = source.log(), target.log()
    dray.sync(config).expect(0)
    images_count = sum(map(len, corpus.values()))
    assert source.log().since(before[0]).summary() == {"GET ping": 1, "GET tags/list": len(corpus), "HEAD manifests": images_count}
    assert target.log().since(before[1]).summary() == {"GET ping": 1, "HEAD manifests": images_count}


# covers: UPL-1, P4
def test_who_waits_for_a_carry_to_another_registry_does_not_ask_again(repo, tmp_path):
    layer = images.Layer(repo, 50_000)
    with scripted.Registry() as source, scripted.Registry() as first, scripted.Registry() as second:
        source.push("a", "1", images.Image([layer], label="a"))
        source.push("b", "1", images.Image([layer], label="b"))
        body, late = scripted.hold(), scripted.hold()

        def is_asked(request, response):
            body.release()
            return response

        source.on("GET blob", body, digest=layer.digest, times=1)
        source.on("HEAD manifest", late, repo="b")
        second.on("HEAD blob", is_asked, digest=layer.digest)
        config = dray.write_config(tmp_path / "c.yaml", f"""
repos:
  - {{source: {source.address}/a, targets: ["{first.address}/a"]}}
  - {{source: {source.address}/b, targets: ["{second.address}/b"]}}
""")
        waits = threading.Thread(target=lambda: (body.reached.wait(30), late.release()))
        waits.start()
        dray.sync(config).expect(0)
        waits.join()
        assert first.count("HEAD blob", digest=layer.digest) == second.count("HEAD blob", digest=layer.digest) == 1


@pytest.mark.parametrize("signed", [False, True])
def test_one_tag_costs_one_question_for_all_tags_that_refer_to_its_manifests(signed, repo, tmp_path):
    index = images.Index([images.Image([images.Layer(f"{repo} {n}")], arch, label=f"{n}")
                          for n, arch in enumerate(("amd64", "arm64", "s390x"))])
    with scripted.Registry() as source, scripted.Registry() as target:
        source.push(repo, "1", index)
        if signed:
            source.push(repo, index.digest.replace(":", "-") + ".sig", images.Image([images.Layer(f"{repo} sig")], label="s"))
        dray.run("copy", f"{source.address}/{repo}:1", f"{target.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert source.count("tags") == 1
        # the tag itself; with a signature also those of four manifests and three kinds, and the signature once it is copied
        assert source.count("HEAD manifest") == (1 if not signed else 1 + 4 * 3 + 1)
        assert len(target.tags(repo)) == 1 + signed
