"""Programs for a device: the harness, which runs a plan and measures it, and the probe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgeort.families import RUNTIME
from edgeort.targets import Target
from edgeort.toolchain.libraries import library
from edgeort.toolchain.linking import link
from edgeort.toolchain.objects import (
    SMALL,
    Unit,
    compile_all,
    cpu,
    level_flags,
    levels_macro,
    object_triple,
    placing,
    runtime_units,
    with_tables,
)


def _harness_units(to: Target, ops: Sequence[str], levels: Sequence[str]) -> list[Unit]:
    base = (*placing(to), *cpu(to))
    triple = object_triple(to, to.exe_triple)
    own = [Unit(path, triple, (*base, *SMALL)) for path in sorted((RUNTIME / "harness").glob("*.cc"))]
    return [*runtime_units(to, ops, to.exe_triple, levels), *own]


def harness(to: Target, ops: Sequence[str], levels: Sequence[str] | None = None) -> Path:
    """The program that loads a plan, runs and measures it: runtime, `ops` and runtime/harness in one file."""
    levels = levels or to.levels
    units = with_tables(_harness_units(to, ops, levels), to, ops, to.exe_triple, levels)
    return _program(to, to.exe, compile_all(units))


def _program(to: Target, name: str, objects: Sequence[Path]) -> Path:
    return link(name, ["-target", to.exe_triple, "-s", "-O3", *cpu(to), *to.exe_flags], objects)


def library_and_harness(
    to: Target, ops: Sequence[str], levels: Sequence[str] | None = None, parts: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Both at once: objects are compiled once, and the libcs that zig may have to build are built side by side."""
    levels = levels or to.levels
    units = dict.fromkeys([*runtime_units(to, ops, to.triple, levels, parts), *_harness_units(to, ops, levels)])
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        for _ in pool.map(Unit.compile, units):
            pass
        made = pool.submit(library, to, ops, levels, parts), pool.submit(harness, to, ops, levels)
        return made[0].result(), made[1].result()


def probe(to: Target) -> Path:
    """The program that tells what a device is, and measures what its cores do at most (runtime/probe)."""
    triple = object_triple(to, to.exe_triple)
    base = (*placing(to), *cpu(to))
    core = (RUNTIME / "core" / f"{name}.cc" for name in ("isa", "platform_posix", "platform_windows", "threads"))
    units = [Unit(path, triple, base) for path in core]
    for path in sorted((RUNTIME / "probe").glob("*.cc")):
        if path.name.endswith(".isa.cc"):
            units += [Unit(path, triple, level_flags(to, level)) for level in to.levels]
        else:
            units.append(Unit(path, triple, (*base, levels_macro(to.levels))))
    return _program(to, to.exe.replace("bench", "probe"), compile_all(units))
