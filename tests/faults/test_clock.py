"""The clock on the wall is wrong, or jumps: nothing that is decided depends on it, and what is recorded stays readable.

covers: T-72
"""
import json
import os
import time

import pytest

from support import dray, images, scripted

YEAR = 365 * 86400
NOW = int(time.time())
WRONG = {
    "ten years ago": f"-{10 * YEAR}", "in ten years": f"{10 * YEAR}", "1970": f"-{NOW}",
    "2038": f"{2**31 - 3 - NOW}", "2106": f"{2**32 - 3 - NOW}", "9999": f"{253402300000 - NOW}",
    "it jumps": f"0,{10 * YEAR},-{10 * YEAR},{2**31 - NOW},7200,-7200,1",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_clock_delays_nothing_and_leaves_a_state_that_can_be_used(wrong, tmp_path):
    env = {"LD_PRELOAD": os.environ["CLOCK"], "WRONG_BY": WRONG[wrong]}
    # A token is good for 1 s from when we have got it, whatever our clock says; the layer takes longer than that.
    slow = images.Layer(f"clock {wrong}", 200_000)
    first, second = images.Image([slow]), images.Image([images.Layer(f"clock {wrong} 2")], label="2")
    with scripted.Registry(auth=scripted.Token(life=1)) as source, scripted.Registry() as target:
        source.push("r", "1", first)
        source.on("GET blob", scripted.drip(20_000, 0.15), digest=slow.digest)
        source.on("tags", scripted.status(429, {"Retry-After": "1"}), times=1)
        config = dray.write_config(tmp_path / "c.yaml", f"keep-runs: 5\nrepos: [{{source: {source.address}/r, "
                                                        f"targets: [{target.address}/r, 'oci:{tmp_path}/layout']}}]\n")
        begin = time.monotonic()
        report = dray.sync(config, env=env).expect(0).report
        took = time.monotonic() - begin
        assert took < 15 and 0 < report["duration_ms"] <= took * 1000
        assert target.tags("r") == {"1": first.digest}
        source.push("r", "2", second)
        for clock in (env, {}, env):  # right again, and wrong once more
            told = dray.sync(config, env=clock).expect(0).report["images"]
            assert told["failed"] == 0 and told["unchanged"] >= 1
            status = dray.run("status", "--config", config, "--json", cwd=tmp_path, env=clock).expect(0).stdout
            assert json.loads(status)["exit_code"] == 0
            dray.run("explain", "--config", config, f"{source.address}/r:1", cwd=tmp_path, env=clock).expect(0).says(first.digest)
        images.check_layout(tmp_path / "layout")
        # What is of the future may be young, and is never removed.
        dray.run("gc", f"oci:{tmp_path}/layout", cwd=tmp_path, env=env).expect(0)
        images.check_layout(tmp_path / "layout")
        assert len(images.read_layout(tmp_path / "layout")) == 2
