"""A quota, a file system that turned read-only, an input/output error, in the middle of a blob: one clear line, no other target harmed.

covers: T-55, T-56
"""
import errno
import os

import pytest

from support import dray, images, strike

CODES = {"a quota": errno.EDQUOT, "read-only": errno.EROFS, "a bad disk": errno.EIO, "no room": errno.ENOSPC}


@pytest.mark.parametrize("why", CODES)
def test_what_a_disk_says_fails_what_needs_it_and_nothing_else(why, source, target, repo, tmp_path):
    image = images.Image([images.Layer(f"{repo} {n}", 50_000) for n in range(3)])
    images.push(source, repo, "1", image)
    struck = 0
    for call in ("write", "pwrite64", "openat", "fsync", "renameat", "mkdirat", "fallocate"):
        for number in (1, 2, 4, 7):
            directory = tmp_path / f"{call}{number}"
            place, layout, report = f"{repo}/{call}{number}", directory / "layout", directory / "struck"
            # No state: what fails is below the layout.
            config = directory / "c.yaml"
            directory.mkdir()
            config.write_text(f"version: 1\nrepos: [{{source: {source.address}/{repo}, "
                              f"targets: [{target.address}/{place}, 'oci:{layout}']}}]\n")
            result = dray.sync(config, env=strike.environment(call, number, CODES[why], report))
            if not strike.what_struck(report):
                result.expect(0)
            elif result.code != 0:  # else it struck what can be done without, or what is made anew: a file that could not be synced
                struck += 1
                if result.stdout:
                    result.expect(6)
                    assert {(f["kind"], f["target"][:4]) for f in result.report["failures"]} == {("io", "oci:")}, result
                    assert all(os.strerror(CODES[why]) in f["message"] for f in result.report["failures"]), result
                    assert target.tags(place) == {"1": image.digest}
                else:
                    result.expect(2, 6)  # the configuration could not be read
            if (layout / "index.json").exists():
                images.check_layout(layout)
            dray.sync(config).expect(0)
            images.check_layout(layout)
            assert len(images.read_layout(layout)) == 1
    assert struck >= 6, f"it struck {struck} times"
