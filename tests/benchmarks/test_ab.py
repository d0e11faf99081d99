"""The benchmark of comparisons: what it compares, and that it counts what was said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest

from benchmarks import ab
from benchmarks.counter import Caches, count
from edgeort import compiling, device_profiles, toolchain
from edgeort.bench import Difference


def test_verdicts_are_counted():
    found = [Difference(0.001, -0.01, 0.01, 10), Difference(-0.05, -0.06, -0.04, 10), Difference(0.05, 0.04, 0.06, 10)]
    assert [ab.verdict(one) for one in found] == ["no difference", "faster", "slower"]
    assert ab.Trials("p", "faster", found, 1.0).right == 1 and ab.Trials("p", "no difference", found, 1.0).right == 1


@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="needs qemu-user")
def test_one_layer_more_of_twenty_is_five_percent_more_instructions(tmp_path: Path):
    """On a Cortex-A72, of a run: what two runs execute less what one does."""
    profile = device_profiles.load("raspberrypi4")
    per_run = {}
    for layers in (20, 21):
        onnx.save(ab.chain(layers), tmp_path / "m.onnx")
        plan, _ = compiling.plan_of(tmp_path / "m.onnx", profile)
        (tmp_path / "m.plan").write_bytes(plan.to_bytes())
        program = toolchain.harness(toolchain.target("linux", "aarch64"), plan.ops)
        command = [str(program), str(tmp_path / "m.plan"), "--threads", "1", "--warmup", "0", "--runs"]
        once, thrice = (count([*command, runs], "cortex-a72", Caches())[0].instructions for runs in ("1", "3"))
        per_run[layers] = (thrice - once) / 2
    assert per_run[21] / per_run[20] == pytest.approx(21 / 20, abs=0.002)


def test_a_short_benchmark_says_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert ab.main(["--trials", "1", "--layers", "2", "--json", str(tmp_path / "r.json")]) == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert [one["pair"] for one in found["results"]] == ["chain2 against chain2", "chain2 against chain3"]
    assert all(len(one["found"]) == 1 and one["found"][0]["rounds"] >= 10 for one in found["results"])
    assert "chain2 against chain3" in capsys.readouterr().out
