"""The probe on this machine and on emulated Arm cores, and the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import edgeort
from edgeort import device_profiles, probing, sample, toolchain
from edgeort.bundle import open_bundle
from edgeort.device_profiles import Measured, host
from edgeort.probing import blocks, timing
from tests.cli.support import call

MS = 5
needs_qemu = pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="qemu-user-static is not installed")


def test_this_machine(tmp_path: Path):
    found = probing.probe("local", name="here", milliseconds=MS, kernels=False)
    path = tmp_path / "here.toml"
    path.write_text(found.text)
    profile = device_profiles.load(path)
    detected = device_profiles.load("host")
    assert profile == found.profile
    assert profile.cpu.isa == detected.cpu.isa
    assert [(c.name, c.cores, c.l1d_kb, c.l2_kb) for c in profile.cpu.clusters] == [
        (c.name, c.cores, c.l1d_kb, c.l2_kb) for c in detected.cpu.clusters
    ]
    assert (profile.memory.ram_mb, profile.runtime) == (detected.memory.ram_mb, detected.runtime)
    measured = profile.measured
    assert measured is not None
    assert measured.threads == profile.runtime.threads
    assert 0.1 < measured.float32_gflops < 1000 and measured.float32_gflops < measured.int8_gops
    assert 0.1 < measured.bandwidth_gbs < 1000
    assert profile.memory.bandwidth_gbs == max(measured.bandwidth_gbs, measured.bandwidth_gbs_all)
    assert (measured.kernels, measured.error) == ((), None)
    for line in found.text.splitlines():  # every figure, but those that nothing is to be said of
        if " = " in line and line.split()[0] not in (
            "title",
            "summary",
            "os",
            "arch",
            "kind",
            "hint",
            "l2_shared",
            "on",
        ):
            assert " # " in line, line


def test_a_busy_device_is_told_of():
    idle = Measured("2026-11-29", 4, 10.0, 32.0, 20.0, 64.0, 5.0, 8.0)
    assert probing.busy(idle) == ""
    said = probing.busy(replace(idle, float32_gflops_all=19.0))
    assert said == "busy: 4 threads did 1.9 times what one did; probe it again when nothing else runs"
    assert probing.busy(Measured("2026-11-29", 1, 10.0, 10.0, 20.0, 20.0, 5.0, 5.0)) == ""


@needs_qemu
@pytest.mark.parametrize(
    ("cpu", "levels"),
    [("cortex-a72", ["neon"]), ("cortex-a76", ["neon", "dotprod", "fp16"]), ("cortex-a7", ["neon32"])],
)
def test_an_emulated_core_has_levels_and_no_times(cpu: str, levels: list[str]):
    found = probing.probe(f"emulated:{cpu}", milliseconds=MS)
    assert list(found.profile.cpu.isa) == levels
    assert found.profile.cpu.qemu == cpu
    assert found.profile.measured is None and found.networks == ()
    assert found.text.startswith(
        "# There is no table [measured]: times under an emulator say nothing about the device."
    )
    assert "measured" not in tomllib.loads(found.text)
    assert found.profile.cpu.clusters[0].mhz == host.ASSUMED_MHZ  # not those of this machine
    assert "mhz = 1000 # assumed" in found.text


@pytest.mark.slow
def test_rates_of_kernels_and_what_they_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All blocks on this machine, in little time; a build for the profile predicts, a measurement states the error."""
    monkeypatch.chdir(tmp_path)
    done = call("profiles", "probe", "--on", "local", "-o", "here.toml", "--ms", 20, "--no-engines", "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    profile = device_profiles.load(tmp_path / "here.toml")
    assert profile.measured is not None and profile.measured.error is not None
    threads = {1, profile.runtime.threads}
    assert {rate.threads for rate in profile.measured.kernels} == threads
    assert {"Conv", "WinogradConv", "DepthwiseConv", "Gemm", "Functions"} <= {r.op for r in profile.measured.kernels}
    assert len(found["networks"]) == 2 * len(blocks.WHOLE) * len(threads)

    result = edgeort.build(sample.path(), profile, tmp_path / "b")
    assert result.prediction is not None and result.prediction.latency_ms > 0
    assert not result.prediction.is_estimate
    with open_bundle(tmp_path / "b") as bundle:
        assert bundle.manifest.measured == profile.measured
    benched = call("bench", tmp_path / "b", "--threads", 1, "--no-history", "--json")
    line = json.loads(benched.stdout)
    wrong = line["prediction"]["latency_ms"] / line["latency_ms"]["p50"] - 1
    assert line["prediction"]["error"] == pytest.approx(wrong)
    assert line["prediction"]["known_error"] == profile.measured.error
    assert "of the measured p50" in call("bench", tmp_path / "b", "--threads", 1, "--no-history").stdout


@pytest.mark.slow
@pytest.mark.parametrize("device", ["raspberrypi4", "host"])
def test_blocks_are_lowered_for_every_kind_of_device(device: str):
    """Each node belongs to a branch, and what it costs is known."""
    profile = device_profiles.load(device)
    branches = {f"b{i}" for i in range(len(blocks.BLOCKS))} | {f"w{i}" for i in range(len(blocks.WHOLE))}
    for quantised in (False, True):
        plan = timing.plan(quantised, profile)
        assert {name.partition("/")[0] for name, _, _ in plan.nodes} == branches
        assert all(cost.macs is not None and cost.moved_bytes is not None for _, _, cost in plan.nodes)
        quantised_ops = {op for _, op, _ in plan.nodes if op.startswith("Q") or op == "DynamicQGemm"}
        assert bool(quantised_ops) == quantised


def test_a_build_for_a_device_that_is_not_here_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = call("build", sample.path(), "--device", "raspberrypi4", "-o", "b")
    assert "latency   predicted" in done.stdout and "an estimate: nobody probed such a device" in done.stdout


def test_the_program_refuses_what_it_does_not_know():
    program = toolchain.probe(toolchain.target("linux", device_profiles.load("host").target.arch))
    for arguments in (
        (),
        ("dance",),
        ("peaks", "--ms"),
        ("peaks", "--ms", "0"),
        ("peaks", "--cpu", "x"),
        ("facts", "-v"),
    ):
        done = subprocess.run([program, *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.startswith("usage: edgeort_probe"), arguments


@needs_qemu
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = call("profiles", "probe", "--on", "emulated:cortex-a76", "-o", "a76.toml")
    assert done.exit_code == 0
    assert "nothing: times under an emulator say nothing about the device" in done.stdout
    assert device_profiles.load("./a76.toml").cpu.isa == ("neon", "dotprod", "fp16")
    before = Path("a76.toml").read_text()
    again = call("profiles", "probe", "--on", "emulated:cortex-a72", "-o", "a76.toml")
    assert again.exit_code == 2 and "a76.toml is there already" in again.stderr and "--force" in again.stderr
    assert Path("a76.toml").read_text() == before
    forced = call("profiles", "probe", "--on", "emulated:cortex-a72", "-o", "a76.toml", "--force", "--json")
    assert json.loads(forced.stdout)["profile"]["cpu"]["isa"] == ["neon"]
    assert device_profiles.load("./a76.toml").cpu.isa == ("neon",)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("mine.txt", "a profile's file ends in .toml"),
        ("mine", "a profile's file ends in .toml"),
        ("my board.toml", "letters, digits, '.', '_' and '-' only"),
        ("no/mine.toml", "there is no folder no"),
        ("folder.toml", "folder.toml is there already"),
    ],
)
def test_bad_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str):
    monkeypatch.chdir(tmp_path)
    Path("folder.toml").mkdir()
    done = call("profiles", "probe", "--on", "emulated:cortex-a72", "-o", out, "--force")
    assert done.exit_code == 2 and said in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize(("on", "said"), [("emulated", "which CPU is to be emulated?"), ("toaster", "unknown device")])
def test_bad_places(tmp_path: Path, on: str, said: str):
    done = call("profiles", "probe", "--on", on, "-o", tmp_path / "x.toml")
    assert done.exit_code == 2 and said in done.stderr
    assert not (tmp_path / "x.toml").exists()
