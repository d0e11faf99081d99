"""edgeort_bench: warm-up, how long it runs, on which cores, and what it tells of the machine meanwhile."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgeort import toolchain
from tests.devices.test_harness import HERE, plan, program, report, run

__all__ = ["plan", "program"]

CPU = str(min(os.sched_getaffinity(0)))
QEMU = ("qemu-aarch64-static", "-cpu", "cortex-a53")
needs_proot = pytest.mark.skipif(shutil.which("proot") is None, reason="needs proot, for a /sys of its own")
needs_two = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")


def lines(program: Path, *arguments: object, prefix: Sequence[str] = ()) -> list[dict]:
    done = run(program, *arguments, "--json", prefix=prefix)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_latency_is_told_in_order(program: Path, plan: tuple[Path, list[str]]):
    found = report(program, plan[0], "--runs", 9, "--warmup", 2)
    times = found["latencies_ms"]
    assert len(times) == 9 and found["every"] == 1 and found["warmup_runs"] == 2
    latency = found["latency_ms"]
    assert latency["p50"] == sorted(times)[4] and latency["p90"] == latency["p99"] == max(times)
    assert latency["min"] == min(times) and latency["mean"] == pytest.approx(np.mean(times), abs=1e-6)


def test_it_runs_for_a_time_and_keeps_some_of_many(program: Path, plan: tuple[Path, list[str]]):
    found = report(program, plan[0], "--time", "400ms", "--threads", 1)
    runs, every, times = found["latency_ms"]["runs"], found["every"], found["latencies_ms"]
    assert math.log2(every).is_integer() and len(times) == math.ceil(runs / every) <= 1 << 16
    assert found["samples"][-1]["at_s"] >= 0.4
    assert found["peak_rss_bytes"] <= found["weights_bytes"] + found["arena_bytes"] + (4 << 20)


def test_warming_up_ends_by_itself(program: Path, plan: tuple[Path, list[str]]):
    assert report(program, plan[0], "--runs", 1)["warmup_runs"] >= 10  # two blocks of five at least


def test_parts_of_the_time_are_told_as_they_end(program: Path, plan: tuple[Path, list[str]]):
    gaps = []
    for _ in range(5):  # other programs may have the cores for as long as a part takes
        *parts, found = lines(program, plan[0], "--time", "300ms", "--interval", "0.1s", "--warmup", 0)
        parts = [line["interval"] for line in parts]
        assert sum(part["runs"] for part in parts) == found["latency_ms"]["runs"]
        for part in parts:
            assert part["end_s"] - part["start_s"] >= 0.0999
            assert part["p25_ms"] <= part["p50_ms"] <= part["p75_ms"]
        text = run(program, plan[0], "--time", "200ms", "--interval", "100ms").stdout
        gaps.append([after["start_s"] - part["end_s"] for part, after in itertools.pairwise(parts)])
        if gaps[-1] and max(gaps[-1]) < 0.1 and text.startswith("     0.1 s  p50 "):
            return
    pytest.fail(f"seconds between parts: {gaps}; then {text}")


def test_threads_are_as_many_as_the_cores_that_it_is_held_to(program: Path, plan: tuple[Path, list[str]]):
    found = report(program, plan[0], "--cores", CPU)
    assert found["cores"] == [int(CPU)] and found["threads"] == 1
    assert report(program, plan[0])["cores"] is None


@needs_two
def test_cores_by_numbers(program: Path, plan: tuple[Path, list[str]]):
    cpus = sorted(os.sched_getaffinity(0))
    for text in (f"{cpus[0]}-{cpus[1]}", f"{cpus[1]},{cpus[0]}"):
        if cpus[1] == cpus[0] + 1 or "," in text:
            assert report(program, plan[0], "--cores", text)["cores"] == cpus[:2]


@pytest.mark.parametrize("text", ["", "x", "0-", "-1", "1-0", "0,", "0;1", "medium", "1024", "99999999999"])
def test_what_names_no_cores_is_refused(program: Path, plan: tuple[Path, list[str]], text: str):
    done = run(program, plan[0], "--cores", text)
    assert done.returncode == 2 and f"--cores {text}: this is not big, little, or numbers" in done.stderr


def test_a_cpu_that_is_not_there_is_refused(program: Path, plan: tuple[Path, list[str]]):
    done = run(program, plan[0], "--cores", "1023")
    assert done.returncode == 2 and "--cores 1023: there is no such CPU here" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--time", "5"), ("--time", "0s"), ("--time", "-1s"), ("--time", "9999h"), ("--time", "s"),
        ("--interval", "1d"), ("--warmup", "automatic"), ("--warmup", "-1"),
    ],
)  # fmt: skip
def test_bad_times_are_refused(program: Path, plan: tuple[Path, list[str]], arguments: tuple[str, str]):
    done = run(program, plan[0], *arguments)
    assert done.returncode == 2 and f"this option needs another value: {arguments[0]}" in done.stderr


def system(folder: Path, files: Mapping[str, object]) -> tuple[str, ...]:
    """How to run a program that sees these files, and nothing else, in /sys."""
    for name in ("devices/system/cpu", "class/thermal", "class/hwmon"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return ("proot", "-b", f"{folder}:/sys")


def cpus(key: str, *values: object) -> dict[str, object]:
    """A file of each CPU that this process may use, the values in turn."""
    allowed = sorted(os.sched_getaffinity(0))
    return {f"devices/system/cpu/cpu{cpu}/{key}": values[i % len(values)] for i, cpu in enumerate(allowed)}


@needs_proot
@needs_two
@pytest.mark.parametrize("key", ["cpu_capacity", "cpufreq/cpuinfo_max_freq"])
def test_big_and_little_are_told_by_the_system(program: Path, plan: tuple[Path, list[str]], tmp_path: Path, key: str):
    allowed = sorted(os.sched_getaffinity(0))
    prefix = system(tmp_path, cpus(key, 400_000, 1_024_000))
    assert report(program, plan[0], "--cores", "little", prefix=prefix)["cores"] == allowed[0::2]
    assert report(program, plan[0], "--cores", "big", prefix=prefix)["cores"] == allowed[1::2]


@needs_proot
@needs_two
def test_one_kind_of_core_is_no_big_ones(program: Path, plan: tuple[Path, list[str]], tmp_path: Path):
    favoured = system(tmp_path / "a", cpus("cpufreq/cpuinfo_max_freq", 5_200_000, 5_700_000))
    done = run(program, plan[0], "--cores", "big", prefix=favoured)
    assert done.returncode == 2 and "--cores big: the cores here are all of one kind" in done.stderr
    silent = run(program, plan[0], "--cores", "little", prefix=system(tmp_path / "b", {}))
    assert silent.returncode == 2 and "does not tell which cores are big" in silent.stderr


ZONES = {
    "class/thermal/thermal_zone0/type": "battery",
    "class/thermal/thermal_zone0/temp": 90_000,
    "class/thermal/thermal_zone1/type": "cpu-thermal",
    "class/thermal/thermal_zone1/temp": 61_300,
    "class/thermal/thermal_zone3/type": "soc-thermal",
    "class/thermal/thermal_zone3/temp": 58_000,
}
PC = {"class/hwmon/hwmon0/name": "nvme", "class/hwmon/hwmon0/temp1_input": 70_000} | {
    "class/hwmon/hwmon2/name": "k10temp",
    "class/hwmon/hwmon2/temp1_input": 44_500,
}
BROKEN = {"class/thermal/thermal_zone0/type": "cpu", "class/thermal/thermal_zone0/temp": -274_000}


@needs_proot
@pytest.mark.parametrize(
    ("files", "celsius"),
    [(ZONES, 61.3), (PC, 44.5), ({**BROKEN, **PC}, 44.5), (dict(list(ZONES.items())[:2]), 90.0), (BROKEN, None)],
    ids=["board", "pc", "broken", "nameless", "none"],
)
def test_the_hottest_sensor_of_the_cpu_counts(
    program: Path, plan: tuple[Path, list[str]], tmp_path: Path, files: Mapping[str, object], celsius: float | None
):
    samples = report(program, plan[0], prefix=system(tmp_path, files))["samples"]
    assert len(samples) >= 2 and {sample["temperature_c"] for sample in samples} == {celsius}
    assert samples[0]["at_s"] <= samples[-1]["at_s"]


def told(found: dict) -> set[tuple[float | None, str | None, float | None]]:
    """What the samples have of clock, governor and temperature."""
    return {(one["mhz"], one["governor"], one["temperature_c"]) for one in found["samples"]}


@needs_proot
def test_clock_and_governor_are_those_of_the_core(program: Path, plan: tuple[Path, list[str]], tmp_path: Path):
    files = {**cpus("cpufreq/scaling_cur_freq", 1_800_000), **cpus("cpufreq/scaling_governor", "schedutil")}
    found = report(program, plan[0], prefix=system(tmp_path, files))
    assert told(found) == {(1800.0, "schedutil", None)}


@needs_proot
def test_what_the_system_does_not_tell_is_null(program: Path, plan: tuple[Path, list[str]], tmp_path: Path):
    assert told(report(program, plan[0], prefix=system(tmp_path, {}))) == {(None, None, None)}


@needs_proot
@pytest.mark.skipif(shutil.which(QEMU[0]) is None or HERE == "aarch64", reason="needs qemu-user on x86")
def test_an_arm_program_does_it_too(plan: tuple[Path, list[str]], tmp_path: Path):
    other = toolchain.harness(toolchain.target("linux", "aarch64"), plan[1])
    files = {**cpus("cpufreq/scaling_cur_freq", 1_400_000), **ZONES}
    arguments = (plan[0], "--time", "300ms", "--interval", "100ms", "--cores", CPU)
    *parts, found = lines(other, *arguments, prefix=(*system(tmp_path, files), *QEMU))
    assert found["cores"] == [int(CPU)] and parts and parts[0]["interval"]["temperature_c"] == 61.3
    assert {sample["mhz"] for sample in found["samples"]} == {1400.0}
