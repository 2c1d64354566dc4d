"""Numbers and units as people write them: each is what it says, or is refused with its place, before anything is asked.

covers: T-78
"""
import re

import pytest

from support import dray

NO_DURATIONS = ["", " ", "10", "0", "-1s", "+1s", "1.5s", "1e3s", "0x10s", "s", "1 s", " 1s", "1s ", "1S", "1sec", "1s1s", "1h30m", "1w", "1y",
                "18446744073709551616s", "9223372036854775807s", "99999999999999999999999999ms", "1s\n", "\u0661s", "nan", "inf", "1,5s"]
DURATIONS = ["0s", "500ms", "30s", "5m", "1h", "2d", "007s"]
NO_RUNS = ["0", "-1", "+1", "1.0", "1e1", "0x1", "1x", " 1", "", "18446744073709551616", "9223372036854775808", "\u0661"]
NO_WHOLE_NUMBERS = ["-1", "0", "+3", "1e3", "0x10", "10G", "1.0", "08", "1_000", "18446744073709551616", "1025", "''", "~", "true", "1 2", "yes"]


def test_a_duration_that_is_none_is_refused(tmp_path):
    for text in NO_DURATIONS:
        dray.run("copy", "a.example/a:1", "b.example/b:1", f"--grace={text}", cwd=tmp_path).expect(2).says("--grace", "is not a duration")
        dray.run("gc", f"--older-than={text}", "oci:none", cwd=tmp_path).expect(2).says("--older-than", "is not a duration")


def test_a_duration_that_is_one_is_taken(tmp_path):
    for text in DURATIONS:
        dray.run("gc", f"--older-than={text}", f"oci:{tmp_path}/none", cwd=tmp_path).expect(4).says("none")


def test_a_run_is_a_whole_number_from_one(tmp_path):
    for text in NO_RUNS:
        dray.run("status", "--", text, cwd=tmp_path).expect(2).says("is no number of a run")


def test_a_whole_number_of_the_configuration_is_one_within_its_range(tmp_path):
    """All of them are told at once, each with its line."""
    config = tmp_path / "c.yaml"
    registries = "".join(f"  r{n}.example: {{blob-slots: {text}}}\n" for n, text in enumerate(NO_WHOLE_NUMBERS))
    config.write_text("version: 1\nrepos: [a.example/a]\ndefaults: {target: b.example}\nregistries:\n" + registries)
    told = dray.run("config", "check", config, cwd=tmp_path).expect(2).stderr
    lines = {int(number) for number in re.findall(r"c\.yaml:(\d+):\d+: ", told)}
    assert lines == {5 + n for n in range(len(NO_WHOLE_NUMBERS))}, told


@pytest.mark.parametrize("key, good, bad", [
    ("images-in-flight", ["1", "1024"], ["0", "1025"]), ("manifest-mib", ["1", "64"], ["0", "65"]),
    ("connect-timeout", ["1s", "1h"], ["999ms", "61m"]), ("stall-timeout", ["1000ms", "60m"], ["0s", "2h", "1d"])])
def test_a_limit_has_its_range_and_tells_it(key, good, bad, tmp_path):
    for text in good + bad:
        config = tmp_path / "c.yaml"
        config.write_text(f"version: 1\nrepos: [a.example/a]\ndefaults: {{target: b.example}}\nlimits: {{{key}: {text}}}\n")
        told = dray.run("config", "check", config, cwd=tmp_path).expect(0 if text in good else 2)
        assert text in good or (key in told.stderr and " to " in told.stderr), told
