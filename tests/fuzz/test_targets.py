"""The fuzzers' own inputs, valid ones and those that once crashed something: `python -m tests.fuzz` looks for more."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from edgeort.model import modernising
from tests.fuzz import build, converting
from tests.fuzz.running import SANITIZERS, Ended, record, start, sums
from tests.fuzz.targets import CRASHES, TARGETS, Target, named
from tests.reference.build import ROOT

IN_PYTHON = [target for target in TARGETS if target.modules]
IN_C = [target for target in TARGETS if not target.modules]


def known(target: Target, folder: Path) -> list[Path]:
    start(target, folder / "start")
    return sorted(path for path in (folder / "start").iterdir() if path.is_file())


def test_every_folder_of_crashes_is_a_targets() -> None:
    assert {path.name for path in CRASHES.glob("*")} <= {target.name for target in TARGETS}


@pytest.mark.slow
@pytest.mark.parametrize("target", IN_PYTHON, ids=lambda target: target.name)
def test_inputs_of_python(target: Target, tmp_path: Path) -> None:
    one = importlib.import_module(f"tests.fuzz.{target.name}_target").one
    found = known(target, tmp_path)
    assert found
    for path in found:
        one(path.read_bytes())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the programs are built for Linux")
@pytest.mark.parametrize("target", [one for one in IN_C if one.name != "plan"], ids=lambda target: target.name)
def test_inputs_of_programs(target: Target, tmp_path: Path) -> None:
    run(target, known(target, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the programs are built for Linux")
def test_plans_that_once_crashed(tmp_path: Path) -> None:
    (plan,) = (target for target in IN_C if target.name == "plan")
    if not plan.crashes:
        pytest.skip("there are none")
    run(plan, plan.crashes, tmp_path)


def run(target: Target, inputs: list[Path], folder: Path) -> None:
    """What is slow or crashes is copied to the folder."""
    if build.compiler() is None:
        pytest.skip(
            "needs a clang of version 18 or later with its sanitizers: apt-get install clang-19 libclang-rt-19-dev"
        )
    command = [*target.command(), f"-artifact_prefix={folder}/", *map(str, inputs)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **SANITIZERS})
    assert done.returncode == 0, done.stderr[-6000:]
    assert done.stderr.count("Executed ") == len(inputs)


def test_sums_of_runs(tmp_path: Path) -> None:
    runs = tmp_path / "runs.md"
    runs.write_text(
        "| day | commit | target | executions | seconds | edges | crashes |\n|---|---|---|---|---|---|---|\n"
    )
    for commit, executions in (("a", 1234567), ("a", 3), ("b", 10)):
        record(Ended("plan", commit, executions, 2.4, 7, 1, (), ""), runs)
    record(Ended("npy", "b", 5, 1.0, 7, 1, (tmp_path,), ""), runs)
    assert sums(runs).splitlines() == [
        "plan: 1,234,580 executions in 6 s, 3 runs at 2 commits, 0 crashes",
        "npy: 5 executions in 1 s, 1 runs at 1 commits, 1 crashes",
    ]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the programs are built for Linux")
@pytest.mark.parametrize("target", ["npy", "recipe"])
def test_a_run_that_is_ended_tells_what_it_did(target: str, tmp_path: Path) -> None:
    if named(target).modules:
        pytest.importorskip("atheris")
    elif build.compiler() is None:
        pytest.skip("needs a clang of version 18 or later with its sanitizers")
    runs = tmp_path / "runs.md"
    command = [sys.executable, "-m", "tests.fuzz", target, "--seconds", "600", "--record", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            log = Path(process.stdout.readline().split("; ")[1].strip())
            while "INITED" not in log.read_text(errors="replace") and process.poll() is None:
                time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
    assert process.returncode == 0, said
    assert int(runs.read_text().split("|")[4].replace(",", "")) > 0


@pytest.mark.slow
def test_models_are_converted_as_ever() -> None:
    text = '<ir_version: 3, opset_import: ["": 6]> old (float[2] x) => (float[2] y) { y = Relu (x) }'
    old = onnx.parser.parse_model(text).SerializeToString()
    fatal = (CRASHES / "model/converter-of-undefined-input.onnx").read_bytes()
    for _ in range(2):
        with pytest.raises(modernising.Unconverted):
            converting.convert(fatal, 7)
        assert converting.convert(old, 7) == modernising.convert(old, 7)
