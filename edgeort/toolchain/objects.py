"""Objects: a source of the runtime, the target and ISA level that it is compiled for, and its flags."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeort import zig
from edgeort.cache import cached
from edgeort.families import RUNTIME, families_of, family_levels, tables
from edgeort.progress import Progress
from edgeort.targets import LEVELS, Target

COMPILE = (
    "-c", "-x", "c++", "-std=c++17", "-O3", "-g0", "-nostdlib++", "-fno-exceptions", "-fno-rtti",
    "-fno-threadsafe-statics", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-ffunction-sections",
    "-fdata-sections", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-sanitize=all",
    "-fno-stack-protector", "-Wall", "-Wextra",
    "-fno-builtin-bcmp", # bionic has none, and memcmp(...) == 0 would become one
)  # fmt: skip
SMALL = ("-Os",)  # of what computes no element: the runtime around kernels, the harness's own code
C = ("-x", "c", "-std=gnu11")  # behind COMPILE

SILENT_S = 2.0  # between two lines of progress


@functools.cache
def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(RUNTIME.rglob("*")):
        if path.suffix in {".h", ".inc"}:
            digest.update(path.relative_to(RUNTIME).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Unit:
    """One object: a source, the target it is compiled for, and its flags."""

    source: Path
    triple: str
    flags: tuple[str, ...]

    def compile(self) -> Path:
        """The object, from the cache or made."""
        flags = (*COMPILE, "-target", self.triple, *self.flags)
        key: tuple[str | bytes, ...] = (zig.version(), self.source.read_bytes(), _sources_hash(), *flags)
        includes = ("-I", str(RUNTIME / "include"), "-I", str(RUNTIME / "core"), *_system_headers(self.triple))

        def make(path: Path) -> None:
            zig.run([*flags, *includes, str(self.source), "-o", str(path)])

        return cached(f"{self.source.stem.replace('.', '_')}.o", key, make)


def _system_headers(triple: str) -> tuple[str, ...]:
    """iOS has the libc of macOS, and zig ships only the latter's headers; they tell the two apart by the target."""
    if "-ios" not in triple:
        return ()
    return ("-idirafter", str(Path(zig.program()).parent / "lib/libc/include/any-darwin-any"))


def placing(to: Target) -> tuple[str, ...]:
    """Flags of every object: where its code may be loaded, and the target's own."""
    return (*(() if to.os == "windows" or to.is_bare or to.is_wasm else ("-fPIC",)), *to.compile_flags)


def cpu(to: Target) -> tuple[str, ...]:
    """Flags of what is no kernel: the CPU, where the system's own is not meant."""
    return (f"-mcpu={to.cpu}",) if to.cpu else ()


def levels_macro(levels: Sequence[str]) -> str:
    """The flag that tells a source the levels of its kernels (core/dispatch.h)."""
    return "-DEDGEORT_LEVELS(X, ...)=" + " ".join(f"X({level}, __VA_ARGS__)" for level in levels)


def runtime_units(to: Target, ops: Sequence[str], levels: Sequence[str], parts: Sequence[str] = ()) -> list[Unit]:
    """The runtime and the families of `ops`, for libraries and programs alike.

    On Linux those have different libcs, and Android's has no headers here: the runtime keeps to what musl, glibc and
    bionic share (platform_posix.cc), and is compiled against musl's headers.
    """
    base = (*placing(to), *cpu(to))
    units = [Unit(path, to.exe_triple, (*base, *SMALL)) for path in sorted((RUNTIME / "core").glob("*.cc"))]
    units += [Unit(path, to.exe_triple, base) for part in parts for path in sorted((RUNTIME / part).glob("*.cc"))]
    for family in families_of(ops):
        own = family_levels(family, levels)
        for path in sorted((RUNTIME / "kernels" / family).glob("*.cc")):
            if not path.name.endswith(".isa.cc"):
                units.append(Unit(path, to.exe_triple, (*base, levels_macro(own))))
                continue
            for level in own:
                units.append(Unit(path, to.exe_triple, level_flags(to, level)))
    return units


def level_flags(to: Target, level: str) -> tuple[str, ...]:
    """Of a kernel at an ISA level."""
    own = (f"-mcpu={LEVELS[level]}",) if LEVELS[level] else cpu(to)
    return (*placing(to), *own, f"-DEDGEORT_ISA={level}")


class Part(Protocol):
    """What is compiled by itself, and linked."""

    @property
    def source(self) -> Path:
        """What it is compiled from."""

    def compile(self) -> Path:
        """The object or archive, from the cache or made."""


def compile_all(units: Sequence[Part], progress: Progress | None = None) -> list[Path]:
    """The objects, in that order, made on all cores. Where it takes long, `progress` hears how far it is."""
    todo = sorted(dict.fromkeys(units), key=_cost, reverse=True)
    made: dict[Part, Path] = {}
    said_at = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for unit, path in zip(todo, pool.map(lambda unit: unit.compile(), todo), strict=True):
            made[unit] = path
            if progress and time.monotonic() - said_at > SILENT_S:
                said_at = time.monotonic()
                progress(f"compiling: {len(made)} of {len(todo)} sources")
    return [made[unit] for unit in units]


def _cost(unit: Part) -> tuple[int, int]:
    """What to begin with, so that no core is left with a long one at the end: whole libraries, kernels, large files."""
    source = unit.source
    return 2 if source.suffix == ".zig" else int(source.name.endswith(".isa.cc")), source.stat().st_size


def with_tables(units: Sequence[Part], to: Target, ops: Sequence[str], levels: Sequence[str]) -> list[Part]:
    """The same, and the source that names what is to be linked."""
    text = tables(ops, levels)
    table = cached("ops.cc", (text,), lambda path: write(path, text))
    return [*units, Unit(table, to.exe_triple, (*placing(to), *cpu(to)))]


def write(path: Path, text: str) -> None:
    """For `cached`."""
    path.write_text(text)
