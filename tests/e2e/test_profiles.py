"""A mirror between every pair of registries as they are met in the field ends with equal digests, or with the refusal that
is on record (PROTOCOL, section 22).
"""
import concurrent.futures
import contextlib

import pytest

from support import dray, images, scripted

NAMES = [name for name in scripted.PROFILES if name]
REPO = "team/app"


def content(seed):
    """What is mirrored: {tag: artifact}; the kinds that registries differ on."""
    shared = images.Layer(f"{seed} shared", 4000)
    plain = images.Image([shared, images.Layer(f"{seed} 1", 3000)], label=seed)
    return {"1": plain, "docker": images.Image([images.Layer(f"{seed} d", 3000, "docker")], docker=True),
            "multi": images.multi_platform(seed), "latest": plain}


# What a target does not take: {profile: {tag: (what its words have, the requirement)}}.
REFUSED = {
    "zot": {"docker": ("415", "MAN-23")},
}
# What cannot be read at a source for what it is: none.


class Field:
    """One source of every profile, full; targets are made for each source."""

    def __init__(self, stack):
        self.stack = stack
        self.sources = {name: self.registry(name) for name in NAMES}
        self.content = {name: content(name) for name in NAMES}
        for name, source in self.sources.items():
            for tag, artifact in self.content[name].items():
                source.push(REPO, tag, artifact)
                for mirror in (source.elsewhere_registry,):
                    if mirror:
                        mirror.push(f"other/{REPO}", tag, artifact)

    def registry(self, name, target=False):
        habits = scripted.PROFILES[name]
        storage = elsewhere = None
        if habits.redirects_blobs:
            storage = self.stack.enter_context(scripted.Storage())
        if habits.redirects_manifests and not target:
            elsewhere = self.stack.enter_context(scripted.Registry())
        needs_token = any((habits.basic_trap, habits.unquoted, habits.scope, habits.opaque_tokens, habits.no_challenge,
                           habits.refuses_scopes, habits.token_key_alone))
        auth = scripted.Token(anonymous=("pull", "push")) if needs_token else None
        made = self.stack.enter_context(scripted.Registry(name, auth=auth, storage=storage, elsewhere=elsewhere and (
            lambda request: f"{elsewhere.url}/v2/other/{request.repo}/manifests/{request.reference}")))
        made.elsewhere_registry = elsewhere
        if not habits.makes_repositories:
            made.store.repository(f"mirror/{REPO}")
        return made


@pytest.fixture(scope="module")
def field():
    with contextlib.ExitStack() as stack:
        yield Field(stack)


def mirror(field, name, directory):
    """From one profile to all; what was not as it should be, one line each."""
    source, wanted = field.sources[name], field.content[name]
    targets = {target: field.registry(target, target=True) for target in NAMES}
    config = dray.write_config(directory / name / "c.yaml", f"""\
repos:
  - source: {source.address}/{REPO}
    targets: [{', '.join(f'{target.address}/mirror/{REPO}' for target in targets.values())}]
""")
    result = dray.sync(config, seconds=120)
    wrong = []
    failures = {(failure["target"], failure["source"].rpartition(":")[2]): failure for failure in result.report["failures"]}
    for target, registry in targets.items():
        for tag, artifact in wanted.items():
            failure = failures.pop((f"{registry.address}/mirror/{REPO}:{tag}", tag), None)
            refusal = REFUSED.get(target, {}).get(tag)
            there = registry.tags(f"mirror/{REPO}").get(tag)
            if refusal:
                if not failure or refusal[0] not in failure["message"] or there:
                    wrong.append(f"{name} -> {target}:{tag}: not refused as in {refusal[1]}: {failure}")
            elif failure or there != artifact.digest or not registry.holds(f"mirror/{REPO}", artifact):
                wrong.append(f"{name} -> {target}:{tag}: {failure['message'] if failure else there}")
    return wrong + [f"{name}: {failure['message']}" for failure in failures.values()]


def test_every_pair_of_registries(field, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [line for lines in pool.map(lambda name: mirror(field, name, tmp_path), NAMES) for line in lines]
    assert not wrong, f"{len(wrong)} of {len(NAMES) ** 2 * 4}:\n" + "\n".join(wrong)
