"""The library of a bundle: the runtime and the kernels that a plan uses, shared or as an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeort import symbols, zig
from edgeort.cache import cached
from edgeort.families import functions
from edgeort.progress import Progress
from edgeort.targets import BIONIC, Target
from edgeort.toolchain.android import bionic_stub, builtins
from edgeort.toolchain.linking import link
from edgeort.toolchain.objects import (
    SMALL,
    C,
    Unit,
    compile_all,
    cpu,
    placing,
    runtime_units,
    with_tables,
    write,
)

STATIC = "libedgeort_static.a"  # not the name that -ledgeort looks for
_BARE = "-DEDGEORT_BARE"  # runtime/core/platform_bare.cc in the place of a system's


@dataclass(frozen=True)
class Binding:
    """Another language's API over the C API, in the same library: a folder of C, its flags, the library's file name."""

    folder: Path
    flags: tuple[str, ...]
    library: str


@dataclass(frozen=True)
class Pieces:
    """What a library is linked from: `name` of the file, flags of the linker, objects."""

    name: str
    flags: tuple[str, ...]
    objects: tuple[Path, ...]


def library(
    to: Target,
    ops: Sequence[str],
    levels: Sequence[str] | None = None,
    parts: Sequence[str] = (),
    binding: Binding | None = None,
    prefix: str = "",
    progress: Progress | None = None,
) -> Path:
    """The stripped library that holds the runtime and `ops`, for `levels` (default: all of the target's).

    `parts` are of those that few need: TEXT, SIGNATURE. With a `binding` it is that library. `prefix` stands before
    each name in a static library for Apple's systems, which can then be linked beside another one.
    Where it takes long, `progress` hears how far it is.
    """
    levels = levels or to.levels
    if to.is_archive:
        return static_library(to, ops, levels, parts, prefix, progress)
    made = pieces(to, ops, levels, parts, binding, progress)
    return link(made.name, made.flags, made.objects)


def pieces(
    to: Target,
    ops: Sequence[str],
    levels: Sequence[str],
    parts: Sequence[str] = (),
    binding: Binding | None = None,
    progress: Progress | None = None,
) -> Pieces:
    """Of a shared library, compiled."""
    units, name = runtime_units(to, ops, levels, parts), to.library
    flags = ["-target", to.triple, *to.linked_as, "-s", "-O3", *cpu(to), *to.library_flags]
    if binding:
        name = binding.library
        flags.append(f"-Wl,-soname,{name}")
        base = (*placing(to), *cpu(to), *SMALL, *C, *binding.flags)
        units += [Unit(path, to.exe_triple, base) for path in sorted(binding.folder.glob("*.c"))]
    objects = compile_all(with_tables(units, to, ops, levels), progress)
    if to.os == "android":
        flags += ["-nostdlib", "-Wl,--as-needed"]
        objects = [*objects, *(bionic_stub(to, *names) for names in BIONIC.items()), *builtins(to)]
    return Pieces(name, tuple(flags), tuple(objects))


def static_library(
    to: Target,
    ops: Sequence[str],
    levels: Sequence[str] | None = None,
    parts: Sequence[str] = (),
    prefix: str = "",
    progress: Progress | None = None,
) -> Path:
    """The same as an archive of objects, for any target; no C library is in it."""
    objects = static_objects(to, ops, levels or to.levels, parts, progress)
    key = (to.triple, prefix, *(one.name for one in objects))
    return cached(STATIC, key, lambda path: write_archive(path, objects, prefix))


def static_objects(
    to: Target, ops: Sequence[str], levels: Sequence[str], parts: Sequence[str] = (), progress: Progress | None = None
) -> list[Path]:
    """Those of an archive."""
    units = runtime_units(to, ops, levels, parts)
    if not to.is_bare:
        return compile_all(with_tables(units, to, ops, levels), progress)
    units = [replace(unit, flags=(*unit.flags, _BARE)) for unit in units]
    return [_joined(compile_all(with_tables(units, to, ops, levels), progress), parts)]


def _joined(objects: Sequence[Path], parts: Sequence[str]) -> Path:
    """One object with what the API reaches, and nothing else: what links a firmware may not look for that."""
    names = functions(["edgeort.h", *(f"edgeort_{part}.h" for part in ("memory", *parts))])
    flags = (
        "-r",
        "--gc-sections",
        "--force-group-allocation",
        "--strip-debug",
        *(word for name in names for word in ("-u", name)),
    )

    def make(path: Path) -> None:
        zig.run([*flags, *map(str, objects), "-o", str(path)], tool="ld.lld")

    return cached("edgeort.o", (zig.version(), *flags, *(one.name for one in objects)), make)


def write_archive(path: Path, objects: Sequence[Path], prefix: str = "") -> None:
    """The static library of those objects, without times and owners.

    Members are numbered: names in the cache depend on the compiler's flags, not on what is in them.
    """
    members = [path.with_name(f"edgeort{index:03}.o") for index in range(len(objects))]
    contents = [made.read_bytes() for made in objects]
    for member, content in zip(members, symbols.prefixed(contents, prefix) if prefix else contents, strict=True):
        member.write_bytes(content)
    zig.run(["rcsD", str(path), *map(str, members)], tool="ar")


def import_library(to: Target, names: Sequence[str]) -> Path:
    """What linkers for Windows find the functions `names` of `to.library` by: MSVC's, MinGW's and LLVM's."""
    text = f"LIBRARY {to.library}\nEXPORTS\n" + "".join(f"  {name}\n" for name in names)
    machine = {"x86_64": "i386:x86-64", "aarch64": "arm64"}[to.arch]
    definitions = cached("exports.def", (text,), lambda path: write(path, text))

    def make(path: Path) -> None:
        zig.run(["-m", machine, "-d", str(definitions), "-l", str(path)], tool="dlltool")

    return cached("edgeort.lib", (zig.version(), text, machine), make)
