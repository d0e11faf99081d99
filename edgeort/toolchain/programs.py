"""Programs for a device: the harness, which runs a plan and measures it, and the probe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgeort.families import RUNTIME
from edgeort.progress import Progress
from edgeort.targets import Target
from edgeort.toolchain.libraries import library
from edgeort.toolchain.linking import link
from edgeort.toolchain.musl import musl_units
from edgeort.toolchain.objects import (
    SILENT_S,
    SMALL,
    Part,
    Unit,
    compile_all,
    cpu,
    level_flags,
    levels_macro,
    placing,
    runtime_units,
    with_tables,
)


def _harness_units(to: Target, ops: Sequence[str], levels: Sequence[str]) -> list[Part]:
    base = (*placing(to), *cpu(to))
    own = [Unit(path, to.exe_triple, (*base, *SMALL)) for path in sorted((RUNTIME / "harness").glob("*.cc"))]
    return [*runtime_units(to, ops, levels), *own]


def harness(to: Target, ops: Sequence[str], levels: Sequence[str] | None = None) -> Path:
    """The program that loads a plan, runs and measures it: runtime, `ops` and runtime/harness in one file."""
    levels = levels or to.levels
    units = with_tables(_harness_units(to, ops, levels), to, ops, levels)
    return _program(to, to.exe, units)


def _program(to: Target, name: str, units: Sequence[Part]) -> Path:
    libc = musl_units(to)
    flags = ["-target", to.exe_triple, *(("-nostdlib",) if libc else ()), "-s", "-O3", *cpu(to), *to.exe_flags]
    return link(name, flags, compile_all([*units, *libc]))


def library_and_harness(
    to: Target,
    ops: Sequence[str],
    levels: Sequence[str] | None = None,
    parts: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[Path, Path]:
    """Both at once, side by side: the first time for a system without musl, zig compiles its libc for either.

    `progress` hears of what takes long.
    """
    levels = levels or to.levels
    began, libc = time.monotonic(), musl_units(to)
    compile_all([*runtime_units(to, ops, levels, parts), *_harness_units(to, ops, levels), *libc], progress)
    if progress and not libc and time.monotonic() - began > SILENT_S:
        progress("linking: the first time for a system, its C library is compiled, too")
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(library, to, ops, levels, parts), pool.submit(harness, to, ops, levels)
        return made[0].result(), made[1].result()


def probe(to: Target) -> Path:
    """The program that tells what a device is, and measures what its cores do at most (runtime/probe)."""
    base = (*placing(to), *cpu(to))
    core = (RUNTIME / "core" / f"{name}.cc" for name in ("isa", "platform_posix", "platform_windows", "threads"))
    units = [Unit(path, to.exe_triple, base) for path in core]
    for path in sorted((RUNTIME / "probe").glob("*.cc")):
        if path.name.endswith(".isa.cc"):
            units += [Unit(path, to.exe_triple, level_flags(to, level)) for level in to.levels]
        else:
            units.append(Unit(path, to.exe_triple, (*base, levels_macro(to.levels))))
    return _program(to, to.exe.replace("bench", "probe"), units)
