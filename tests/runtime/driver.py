"""Programs of this folder, linked with the runtime and some kernels by a system clang, for its sanitizers."""

from __future__ import annotations

import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgeort import toolchain
from edgeort.families import families_of
from tests.fuzz import build
from tests.reference.build import BUILT


def program(name: str, kernels: tuple[str, ...], flags: tuple[str, ...]) -> Path:
    """NAME.cc with the runtime and those kernels, at one ISA level, compiled with these flags."""
    clang = build.compiler()
    if clang is None:
        pytest.skip("needs a clang with its sanitizers: apt-get install clang-19 libclang-rt-19-dev")
    runtime = toolchain.RUNTIME
    level, march = next(iter(build.LEVELS[platform.machine()].items()))
    tables = build.written(BUILT / "sanitized" / f"{name}-tables.cc", toolchain.tables(kernels, (level,)))
    sources = [path for family in families_of(kernels) for path in sorted((runtime / "kernels" / family).glob("*.cc"))]
    sources += [*sorted((runtime / "core").glob("*.cc")), tables, Path(__file__).parent / f"{name}.cc"]
    command = [clang, "-std=c++17", "-O1", "-g", "-fno-exceptions", "-fno-rtti", "-ffp-contract=off", march, *flags]
    command += [f"-DEDGEORT_ISA={level}", f"-DEDGEORT_LEVELS(X, ...)=X({level}, __VA_ARGS__)"]
    command += [f"-I{runtime / 'core'}", f"-I{runtime / 'include'}"]
    headers = build._headers()
    with ThreadPoolExecutor() as pool:
        objects = list(pool.map(lambda source: build._compile(command, source, headers), sources))
    partial = objects[-1].with_suffix(f".{os.getpid()}")
    linked = subprocess.run(
        [clang, *flags, *map(str, objects), "-lpthread", "-o", str(partial)], capture_output=True, text=True
    )
    assert linked.returncode == 0, linked.stderr
    return partial.replace(objects[-1].with_suffix(""))
