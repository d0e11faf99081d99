"""The thread pool, and the lines that threads share, under stress: all of it once, no race that TSan sees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from edgeort.toolchain import RUNTIME
from tests.fuzz.build import compiler
from tests.reference.build import BUILT, compile_with_zig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the program is built for Linux")

CORE = RUNTIME / "core"
SOURCES = [CORE / "threads.cc", CORE / "platform_posix.cc"]
POOL = [Path(__file__).parent / "pool_stress.cc", *SOURCES]
SHARES = [Path(__file__).parent / "shares_stress.cc", CORE / "shares.cc", *SOURCES]
HEADERS = [CORE / f"{name}.h" for name in ("threads", "shares", "op", "platform", "plan_layout")]
FLAGS = ("-x", "c++", "-std=c++17", "-O2", "-fno-exceptions", "-fno-rtti", f"-I{CORE}", "-lpthread")


def run(program: Path, seed: int, times: int, prefix: Sequence[str] = ()) -> None:
    done = subprocess.run([*prefix, str(program), str(seed), str(times)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"seed {seed}: {done.stdout[-1000:]}{done.stderr[-4000:]}"


@pytest.mark.parametrize("seed", [1, 2])
def test_every_task_runs_once(seed: int) -> None:
    run(compile_with_zig(POOL, FLAGS, depends=HEADERS), seed, 60)


def test_a_caller_pinned_to_the_cpu_of_its_workers_comes_back() -> None:
    run(compile_with_zig(POOL, FLAGS, depends=HEADERS), 3, 20, ("taskset", "-c", "0"))


def test_every_line_is_computed_once() -> None:
    run(compile_with_zig(SHARES, FLAGS, depends=HEADERS), 5, 100_000)


@cache
def sanitized(*sources: Path) -> Path:
    clang = compiler()
    if clang is None:
        pytest.skip("needs a clang with its sanitizers: apt-get install clang-19 libclang-rt-19-dev")
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / f"{sources[0].stem}-tsan"
    flags = [flag for flag in FLAGS if not flag.startswith("-x") and flag != "c++"]
    done = subprocess.run(
        [clang, *flags, "-g", "-fsanitize=thread", *map(str, sources), "-o", str(program)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize(("sources", "times"), [(POOL, 40), (SHARES, 20_000)], ids=["pool", "shares"])
def test_no_race(sources: list[Path], times: int) -> None:
    # Without address randomisation: TSan's shadow has no room for every layout.
    run(sanitized(*sources), 4, times, ("setarch", "-R"))
