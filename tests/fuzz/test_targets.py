"""The fuzzers' own inputs, valid ones and those that once crashed something: `python -m tests.fuzz` looks for more."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import build
from tests.fuzz.running import SANITIZERS, start
from tests.fuzz.targets import CRASHES, TARGETS, Target

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
    run(target, known(target, tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the programs are built for Linux")
def test_plans_that_once_crashed() -> None:
    (plan,) = (target for target in IN_C if target.name == "plan")
    if not plan.crashes:
        pytest.skip("there are none")
    run(plan, plan.crashes)


def run(target: Target, inputs: list[Path]) -> None:
    if build.compiler() is None:
        pytest.skip(
            "needs a clang of version 18 or later with its sanitizers: apt-get install clang-19 libclang-rt-19-dev"
        )
    command = [*target.command(), *map(str, inputs)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **SANITIZERS})
    assert done.returncode == 0, done.stderr[-6000:]
    assert done.stderr.count("Executed ") == len(inputs)
