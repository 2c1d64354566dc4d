"""What others see of a target while a mirror writes to it, and how it ends where the target says no."""
import json
import os
import signal

import pytest

from support import dray, images, scripted


def broken_tags(registry):
    """Tags that name something which is not whole."""
    wrong = []
    for name, repository in list(registry.store.repositories.items()):
        for tag, digest in list(repository.tags.items()):
            todo = [digest]
            while todo:
                found = repository.manifests.get(todo.pop())
                if not found:
                    wrong.append(f"{name}:{tag}")
                    break
                document = json.loads(found.data)
                todo += [entry["digest"] for entry in document.get("manifests", [])]
                blobs = document.get("layers", []) + ([document["config"]] if "config" in document else [])
                if any(registry.blob(name, blob["digest"]) is None for blob in blobs):
                    wrong.append(f"{name}:{tag}")
                    break
    return wrong


@pytest.fixture
def generations(repo):
    """What the target has under the tag, and what it is to get: indexes of indexes, with attestations."""
    old, new = (images.Index([images.multi_platform(f"{repo} {age}"), images.Image([images.Layer(f"{repo} {age} x")], "riscv64")])
                for age in ("old", "new"))
    with scripted.Registry() as source:
        source.push("app", "1", new)
        yield old, new, source


# covers: PSH-1, PSH-2, PSH-10, T-49
def test_tag_is_whole_after_every_request_and_moves_with_the_last(generations, tmp_path):
    old, new, source = generations
    with scripted.Registry() as target:
        target.push("app", "1", old)
        seen = []

        def look(request, response):
            seen.append((target.tags("app")["1"], broken_tags(target)))

        target.on("any", look)
        dray.run("copy", f"{source.address}/app:1", f"{target.address}/app:1", cwd=tmp_path).expect(0)
        assert not [wrong for _, wrong in seen if wrong]
        assert [digest for digest, _ in seen] == [old.digest] * (len(seen) - 1) + [new.digest]
        puts = [request.reference for request in target.of("PUT manifest")]
        assert puts[-1] == "1" and puts.count("1") == 1
        assert set(puts[:-1]) >= {part.digest for part in images.tree(new) if part is not new}


# covers: T-49, T-69, PSH-10, PSH-12, P2, P3
def test_tag_is_old_or_new_wherever_the_mirror_is_killed(generations, tmp_path):
    """At the k-th request of the target, for each k, until one run ends by itself; the next one always goes through."""
    old, new, source = generations
    for k in range(1, 200):
        with scripted.Registry() as target:
            target.push("app", "1", old)
            process = None

            def kill(request, response):
                os.kill(process.pid, signal.SIGKILL)

            target.on("any", kill, nth=k)
            process = dray.start("copy", f"{source.address}/app:1", f"{target.address}/app:1", cwd=tmp_path)
            code = dray.finish(process).code
            assert target.tags("app")["1"] in (old.digest, new.digest) and not broken_tags(target)
            if code == 0:
                break
            target.rules.clear()
            dray.run("copy", f"{source.address}/app:1", f"{target.address}/app:1", cwd=tmp_path).expect(0)
            assert target.tags("app")["1"] == new.digest and not broken_tags(target)
    assert code == 0 and k > 20


QUOTA = b'{"errors":[{"code":"DENIED","message":"adding 30 KiB would exceed the quota"}]}'


# covers: T-51, UPL-28
@pytest.mark.parametrize("operation, refusal, says", [
    ("PUT blob", scripted.status(403, body=QUOTA), "exceed the quota"),
    ("POST upload", scripted.status(405, body=b'{"errors":[{"code":"DENIED","message":"namespace is disabled"}]}'), "namespace is disabled"),
    ("POST upload", scripted.status(404, body=b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such project"}]}'), "no such project"),
    ("PUT blob", scripted.status(507), "507"),
])
def test_repository_that_says_no_for_good_gets_nothing_more(operation, refusal, says, repo, tmp_path):
    """From its third image on it has no room; another repository of the same registry is not affected."""
    made = {f"t{n}": images.Image([images.Layer(f"{repo} {n}")]) for n in range(10)}
    with scripted.Registry() as source, scripted.Registry() as target:
        for tag, image in made.items():
            source.push("app", tag, image)
        config = dray.write_config(tmp_path / "c.yaml", f"""\
limits: {{images-in-flight: 1}}
repos:
  - {{source: {source.address}/app, targets: ['{target.address}/small', '{target.address}/large']}}
""")
        target.on(operation, refusal, repo="small")
        target.on(operation, scripted.Action(), repo="small", times=4)  # what two images need
        result = dray.sync(config).expect(1)
        assert target.tags("large") == {tag: image.digest for tag, image in made.items()}
        arrived = target.tags("small")
        failed = {failure["target"].rpartition(":")[2]: failure for failure in result.report["failures"]}
        assert arrived and set(arrived) | set(failed) == set(made) and not set(arrived) & set(failed)
        assert all(failure["exit_class"] == 5 and says in failure["message"] for failure in failed.values())
        refused = [request for request in target.of(operation, repo="small") if request.status >= 400]
        assert 1 <= len(refused) <= 2
        assert sum("nothing more is sent to small in this run" in failure["message"] for failure in failed.values()) >= len(failed) - 2


# covers: T-53, UPL-2
@pytest.mark.parametrize("answer", [401, 403, 404, 500])
def test_mount_that_is_refused_is_an_upload(answer, repo, tmp_path):
    shared = images.Layer(f"{repo} shared")
    made = {name: images.Image([shared, images.Layer(f"{repo} {name}")]) for name in "ab"}
    with scripted.Registry() as source, scripted.Registry(mount=answer) as target:
        for name, image in made.items():
            source.push(f"secret-{name}", "1", image)
        config = dray.write_config(tmp_path / "c.yaml", f"""\
limits: {{images-in-flight: 1}}
repos:
  - {{source: {source.address}/secret-a, target: {target.address}/a}}
  - {{source: {source.address}/secret-b, target: {target.address}/b}}
""")
        dray.sync(config).expect(0)
        assert all(target.holds(name, image) for name, image in made.items())
        assert not [request for request in target.requests if "secret" in request.target]
