"""Objects: a source of the runtime, the target and ISA level that it is compiled for, and its flags."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgeort import zig
from edgeort.cache import cached
from edgeort.families import RUNTIME, families_of, family_levels, tables
from edgeort.targets import LEVELS, Target

COMPILE = (
    "-c", "-x", "c++", "-std=c++17", "-O3", "-g0", "-nostdlib++", "-fno-exceptions", "-fno-rtti",
    "-fno-threadsafe-statics", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-ffunction-sections",
    "-fdata-sections", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-sanitize=all",
    "-fno-stack-protector", "-Wall", "-Wextra",
    "-fno-builtin-bcmp", # bionic has none, and memcmp(...) == 0 would become one
)  # fmt: skip
SMALL = ("-Os",)  # of the harness's own code, which is in every bundle and in no timed run
C = ("-x", "c", "-std=gnu11")  # behind COMPILE


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
        key: tuple[str | bytes, ...] = (self.source.read_bytes(), _sources_hash(), *flags)
        includes = ("-I", str(RUNTIME / "include"), "-I", str(RUNTIME / "core"), *_system_headers(self.triple))

        def make(path: Path) -> None:
            zig.run([*flags, *includes, str(self.source), "-o", str(path)])

        return cached(f"{self.source.stem.replace('.', '_')}.o", key, make)


def _system_headers(triple: str) -> tuple[str, ...]:
    """iOS has the libc of macOS, and zig ships only the latter's headers; they tell the two apart by the target."""
    if "-ios" not in triple:
        return ()
    return ("-idirafter", str(Path(zig.program()).parent / "lib/libc/include/any-darwin-any"))


def object_triple(to: Target, triple: str) -> str:
    """What is compiled for, in a file of that triple."""
    # Android has no libc headers here. The runtime keeps to what musl and bionic share (platform_posix.cc).
    return to.exe_triple if to.os == "android" else triple


def placing(to: Target) -> tuple[str, ...]:
    """Flags of every object: where its code may be loaded, and the target's own."""
    return (*(() if to.os == "windows" or to.is_wasm else ("-fPIC",)), *to.compile_flags)


def cpu(to: Target) -> tuple[str, ...]:
    """Flags of what is no kernel: the CPU, where the system's own is not meant."""
    return (f"-mcpu={to.cpu}",) if to.cpu else ()


def levels_macro(levels: Sequence[str]) -> str:
    """The flag that tells a source the levels of its kernels (core/dispatch.h)."""
    return "-DEDGEORT_LEVELS(X, ...)=" + " ".join(f"X({level}, __VA_ARGS__)" for level in levels)


def runtime_units(
    to: Target, ops: Sequence[str], triple: str, levels: Sequence[str], parts: Sequence[str] = ()
) -> list[Unit]:
    """The runtime and the families of `ops`, for a library or program of that triple."""
    kernels_triple = object_triple(to, to.triple)
    base = (*placing(to), *cpu(to))
    sources = (path for part in ("core", *parts) for path in sorted((RUNTIME / part).glob("*.cc")))
    units = [Unit(path, object_triple(to, triple), base) for path in sources]
    for family in families_of(ops):
        own = family_levels(family, levels)
        for path in sorted((RUNTIME / "kernels" / family).glob("*.cc")):
            if not path.name.endswith(".isa.cc"):
                units.append(Unit(path, kernels_triple, (*base, levels_macro(own))))
                continue
            for level in own:
                units.append(Unit(path, kernels_triple, level_flags(to, level)))
    return units


def level_flags(to: Target, level: str) -> tuple[str, ...]:
    """Of a kernel at an ISA level."""
    own = (f"-mcpu={LEVELS[level]}",) if LEVELS[level] else cpu(to)
    return (*placing(to), *own, f"-DEDGEORT_ISA={level}")


def compile_all(units: Iterable[Unit]) -> list[Path]:
    """The objects, in that order, made on all cores."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(Unit.compile, units))


def with_tables(
    units: Sequence[Unit], to: Target, ops: Sequence[str], triple: str, levels: Sequence[str]
) -> list[Unit]:
    """The same, and the source that names what is to be linked."""
    text = tables(ops, levels)
    table = cached("ops.cc", (text,), lambda path: write(path, text))
    return [*units, Unit(table, object_triple(to, triple), placing(to))]


def write(path: Path, text: str) -> None:
    """For `cached`."""
    path.write_text(text)
