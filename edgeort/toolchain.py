"""Compiles the runtime and the kernels that a plan uses, for any target, with the clang inside PyPI's ziglang.

Objects and libraries are cached by the hash of everything that goes into them. Link flags are fixed per target: every
other choice would make zig rebuild its libc (13 to 50 CPU seconds); a kernel's ISA level is a matter of its object
alone.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgeort import symbols, zig
from edgeort.cache import cached
from edgeort.families import (
    RUNTIME,
    all_kernels,
    families,
    families_of,
    family_levels,
    held_levels,
    tables,
)
from edgeort.targets import BIONIC, BIONIC_ENGINES, LEVELS, TARGETS, Target, target

__all__ = [
    "BIONIC", "Binding", "LEVELS", "RUNTIME", "SIGNATURE", "TARGETS", "TEXT", "Target", "adapter_and_harness",
    "all_kernels", "families", "family_levels", "harness", "held_levels", "import_library",
    "library", "library_and_harness", "probe", "tables", "target",
]  # fmt: skip

# Parts of the runtime that few bundles need: the folder, which is the rest of the name of the header, too.
TEXT, SIGNATURE = "text", "signature"

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
class _Unit:
    """One object: a source, the target it is compiled for, and its flags."""

    source: Path
    triple: str
    flags: tuple[str, ...]

    def compile(self) -> Path:
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


@dataclass(frozen=True)
class Binding:
    """Another language's API over the C API, in the same library: a folder of C, its flags, the library's file name."""

    folder: Path
    flags: tuple[str, ...]
    library: str


def _object_triple(to: Target, triple: str) -> str:
    # Android has no libc headers here. The runtime keeps to what musl and bionic share (platform_posix.cc).
    return to.exe_triple if to.os == "android" else triple


def _units(
    to: Target, ops: Sequence[str], triple: str, levels: Sequence[str], parts: Sequence[str] = ()
) -> list[_Unit]:
    kernels_triple = _object_triple(to, to.triple)
    pic = _pic(to)
    base = (*pic, *_cpu(to))
    sources = (path for part in ("core", *parts) for path in sorted((RUNTIME / part).glob("*.cc")))
    units = [_Unit(path, _object_triple(to, triple), base) for path in sources]
    for family in families_of(ops):
        own = family_levels(family, levels)
        macro = "-DEDGEORT_LEVELS(X, ...)=" + " ".join(f"X({level}, __VA_ARGS__)" for level in own)
        for path in sorted((RUNTIME / "kernels" / family).glob("*.cc")):
            if not path.name.endswith(".isa.cc"):
                units.append(_Unit(path, kernels_triple, (*base, macro)))
                continue
            for level in own:
                cpu = (f"-mcpu={LEVELS[level]}",) if LEVELS[level] else _cpu(to)
                units.append(_Unit(path, kernels_triple, (*pic, *cpu, f"-DEDGEORT_ISA={level}")))
    return units


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _compile(units: Sequence[_Unit], to: Target, ops: Sequence[str], triple: str, levels: Sequence[str]) -> list[Path]:
    text = tables(ops, levels)
    table = cached("ops.cc", (text,), lambda path: _write(path, text))
    pic = _pic(to)
    units = [*units, _Unit(table, _object_triple(to, triple), pic)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(_Unit.compile, units))


def library(
    to: Target,
    ops: Sequence[str],
    levels: Sequence[str] | None = None,
    parts: Sequence[str] = (),
    binding: Binding | None = None,
    prefix: str = "",
) -> Path:
    """The stripped library that holds the runtime and `ops`, for `levels` (default: all of the target's).

    `parts` are of those that few need: TEXT, SIGNATURE. With a `binding` it is that library. `prefix` stands before
    each name in a static library for Apple's systems, which can then be linked beside another one.
    """
    levels = levels or to.levels
    units, name = _units(to, ops, to.triple, levels, parts), to.library
    flags = ["-target", to.triple, *to.linked_as, "-s", "-O3", *_cpu(to), *to.library_flags]
    if binding:
        name = binding.library
        flags.append(f"-Wl,-soname,{name}")
        triple, base = _object_triple(to, to.triple), (*_pic(to), *_cpu(to), *SMALL, *C, *binding.flags)
        units += [_Unit(path, triple, base) for path in sorted(binding.folder.glob("*.c"))]
    objects = _compile(units, to, ops, to.triple, levels)
    if not to.exe:
        return _archive(to, objects, prefix)

    if to.os == "android":
        flags += ["-nostdlib", "-Wl,--as-needed"]
        objects = [*objects, *(_bionic_stub(to, *names) for names in BIONIC.items()), *_builtins(to)]

    def make(path: Path) -> None:
        zig.run([*flags, *(str(o) for o in objects), "-o", str(path)])

    return cached(name, (*flags, *(o.name for o in objects)), make)


def _archive(to: Target, objects: Sequence[Path], prefix: str) -> Path:
    """The static library of those objects, without times and owners.

    Members are numbered: names in the cache depend on the compiler's flags, not on what is in them.
    """

    def make(path: Path) -> None:
        members = [path.with_name(f"edgeort{index:03}.o") for index in range(len(objects))]
        contents = [made.read_bytes() for made in objects]
        for member, content in zip(members, symbols.prefixed(contents, prefix) if prefix else contents, strict=True):
            member.write_bytes(content)
        zig.run(["rcsD", str(path), *map(str, members)], tool="ar")

    return cached(to.library, (to.triple, prefix, *(o.name for o in objects)), make)


def import_library(to: Target, names: Sequence[str]) -> Path:
    """What linkers for Windows find the functions `names` of `to.library` by: MSVC's, MinGW's and LLVM's."""
    text = f"LIBRARY {to.library}\nEXPORTS\n" + "".join(f"  {name}\n" for name in names)
    machine = {"x86_64": "i386:x86-64", "aarch64": "arm64"}[to.arch]
    definitions = cached("exports.def", (text,), lambda path: _write(path, text))

    def make(path: Path) -> None:
        zig.run(["-m", machine, "-d", str(definitions), "-l", str(path)], tool="dlltool")

    return cached("edgeort.lib", (text, machine), make)


def _bionic_stub(to: Target, library: str, names: Sequence[str]) -> Path:
    """A library of Android with nothing but these names."""
    text = "".join(f"void {name}(void) {{}}\n" for name in names)
    soname = f"-Wl,-soname,{library}.so"
    flags = ("-target", to.triple, "-nostdlib", "-fno-builtin", "-w", "-shared", "-fPIC", soname)

    source = cached("stub.c", (text,), lambda path: _write(path, text))
    return cached(f"{library}.so", (text, *flags), lambda path: zig.run([*flags, str(source), "-o", str(path)]))


def _builtins(to: Target) -> list[Path]:
    """What 32-bit Arm has no instructions for, such as divisions of 64 bits: with -nostdlib nothing links it."""
    if to.arch != "armv7":
        return []
    flags = (
        "-target",
        to.exe_triple,
        f"-mcpu={to.cpu}",
        "-O",
        "ReleaseFast",
        "-fPIC",
        "-fstrip",
        "-ffunction-sections",
    )

    def make(path: Path) -> None:
        zig.run([*flags, str(Path(zig.program()).parent / "lib/compiler_rt.zig"), f"-femit-bin={path}"], "build-lib")

    return [cached("compiler_rt.a", (zig.version(), *flags), make)]


def _pic(to: Target) -> tuple[str, ...]:
    return (*(() if to.os == "windows" or to.is_wasm else ("-fPIC",)), *to.compile_flags)


def _cpu(to: Target) -> tuple[str, ...]:
    return (f"-mcpu={to.cpu}",) if to.cpu else ()


def _harness_units(to: Target, ops: Sequence[str], levels: Sequence[str]) -> list[_Unit]:
    pic = _pic(to)
    base = (*pic, *_cpu(to))
    triple = _object_triple(to, to.exe_triple)
    own = [_Unit(path, triple, (*base, *SMALL)) for path in sorted((RUNTIME / "harness").glob("*.cc"))]
    return [*_units(to, ops, to.exe_triple, levels), *own]


def harness(to: Target, ops: Sequence[str], levels: Sequence[str] | None = None) -> Path:
    """The program that loads a plan, runs and measures it: runtime, `ops` and runtime/harness in one file."""
    levels = levels or to.levels
    return _program(to, to.exe, _compile(_harness_units(to, ops, levels), to, ops, to.exe_triple, levels))


def _program(to: Target, name: str, objects: Sequence[Path]) -> Path:
    flags = ["-target", to.exe_triple, "-s", "-O3", *_cpu(to), *to.exe_flags]

    def make(path: Path) -> None:
        zig.run([*flags, *(str(o) for o in objects), "-o", str(path)])

    return cached(name, (*flags, *(o.name for o in objects)), make)


def probe(to: Target) -> Path:
    """The program that tells what a device is, and measures what its cores do at most (runtime/probe)."""
    triple = _object_triple(to, to.exe_triple)
    base = (*_pic(to), *_cpu(to))
    macro = "-DEDGEORT_LEVELS(X, ...)=" + " ".join(f"X({level}, __VA_ARGS__)" for level in to.levels)
    core = (RUNTIME / "core" / f"{name}.cc" for name in ("isa", "platform_posix", "platform_windows", "threads"))
    units = [_Unit(path, triple, base) for path in core]
    for path in sorted((RUNTIME / "probe").glob("*.cc")):
        if path.name.endswith(".isa.cc"):
            levels = ((*_pic(to), f"-mcpu={LEVELS[level]}", f"-DEDGEORT_ISA={level}") for level in to.levels)
            units += [_Unit(path, triple, flags) for flags in levels]
        else:
            units.append(_Unit(path, triple, (*base, macro)))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        objects = list(pool.map(_Unit.compile, units))
    return _program(to, to.exe.replace("bench", "probe"), objects)


def adapter_and_harness(to: Target, engine: str) -> tuple[Path, Path]:
    """A library with the C API of edgeort.h over another engine (runtime/adapters), and the harness on the same.

    Neither is static: they load the engine's own library when a model is opened.
    """
    pic = _pic(to)
    base = (*pic, *_cpu(to))
    adapters = RUNTIME / "adapters"
    platform = sorted((RUNTIME / "core").glob("platform_*.cc"))
    shared_parts = (adapters / f"{name}.cc" for name in ("adapter", "loading", "settings"))
    own = [*shared_parts, *sorted(adapters.glob(f"{engine}*.cc")), *platform]
    rest = sorted((RUNTIME / "harness").glob("*.cc"))
    triple = _object_triple(to, to.triple)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        objects = list(pool.map(lambda path: _Unit(path, triple, base).compile(), [*own, *rest]))
    shared = ["-target", to.triple, "-shared", "-s", "-O3", *to.library_flags]
    program = ["-target", to.triple, "-s", "-O3", *(flag for flag in to.exe_flags if flag != "-static")]
    ends: list[Path] = []
    if to.os == "android":
        start = _Unit(adapters / "start_android.cc", triple, base).compile()
        ends = [_bionic_stub(to, *names) for names in BIONIC_ENGINES.items()]
        shared.append("-nostdlib")
        program += [
            "-nostdlib",
            "-pie",
            "-Wl,-dynamic-linker=/system/bin/linker64",
            "-Wl,-z,max-page-size=16384",
            str(start),
        ]

    def link(name: str, flags: Sequence[str], parts: Sequence[Path]) -> Path:
        made: Callable[[Path], None] = lambda path: zig.run([*flags, *map(str, parts), "-o", str(path)])  # noqa: E731
        return cached(name, (*flags, *(part.name for part in parts)), made)

    return link(to.library, shared, [*objects[: len(own)], *ends]), link(to.exe, program, [*objects, *ends])


def library_and_harness(
    to: Target, ops: Sequence[str], levels: Sequence[str] | None = None, parts: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Both at once: objects are compiled once, and the libcs that zig may have to build are built side by side."""
    levels = levels or to.levels
    units = dict.fromkeys([*_units(to, ops, to.triple, levels, parts), *_harness_units(to, ops, levels)])
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        for _ in pool.map(_Unit.compile, units):
            pass
        made = pool.submit(library, to, ops, levels, parts), pool.submit(harness, to, ops, levels)
        return made[0].result(), made[1].result()
