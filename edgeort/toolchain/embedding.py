"""A library with the model in it: the plan becomes an object of read-only data, by the assembler's .incbin.

A plan is as large as its model, and of every build another: nothing here is kept in the cache.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeort import zig
from edgeort.errors import OutputError, ToolchainError, UnsupportedError
from edgeort.progress import Progress
from edgeort.targets import Target
from edgeort.toolchain.libraries import STATIC, pieces, static_objects, write_archive
from edgeort.toolchain.objects import cpu

ALIGNMENT = 64  # kAlignment of runtime/core/plan_layout.h
_ROOM, _CODE_BYTES = 3, 4 << 20  # what a link needs: the plan as a file, an object and in the library, and the code
MOST_BYTES = 1 << 30  # code reaches its data by offsets of 32 bits with a sign

# What hides a name that several objects of a library share, and the section of constants, as assemblers have them.
_FORMS = {
    "elf": ('.section .rodata.edgeort_plan,"a",%progbits', ".hidden", ""),
    "macho": (".section __TEXT,__const", ".private_extern", "_"),
    "coff": ('.section .rdata,"dr"', "", ""),
}
_FORM_OF = {"macos": "macho", "ios": "macho", "ios-simulator": "macho", "windows": "coff"}
_NO_STACK = '.section .note.GNU-stack,"",%progbits'  # else linkers take an object of assembler to run code on the stack


def embedded_library(
    to: Target,
    ops: Sequence[str],
    levels: Sequence[str],
    parts: Sequence[str],
    plan: bytes,
    progress: Progress | None = None,
) -> bytes:
    """`library` of a target that is no WebAssembly, with the plan in it; EMBEDDED, which opens it, is in `parts`.

    UnsupportedError for a plan that is too large.
    """
    if to.is_archive:
        return embedded_static_library(to, ops, levels, parts, plan, progress)
    made = pieces(to, ops, levels, parts, progress=progress)

    def write(path: Path, own: Path) -> None:
        zig.run([*made.flags, *map(str, made.objects), str(own), "-o", str(path)])

    return _written(to, plan, made.name, write)


def embedded_static_library(
    to: Target,
    ops: Sequence[str],
    levels: Sequence[str],
    parts: Sequence[str],
    plan: bytes,
    progress: Progress | None = None,
) -> bytes:
    """`static_library` with the plan in it."""
    objects = static_objects(to, ops, levels, parts, progress)
    return _written(to, plan, STATIC, lambda path, own: write_archive(path, [*objects, own]))


def _written(to: Target, plan: bytes, name: str, write: Callable[[Path, Path], None]) -> bytes:
    """What `write(path, object of the plan)` makes at `path`."""
    if len(plan) > MOST_BYTES:
        raise UnsupportedError(
            f"a plan of {len(plan):,} bytes does not fit into a library: {MOST_BYTES:,} do", hint="open it as a file"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
            path = Path(folder) / name
            write(path, _object_of(to, plan, Path(folder)))
            return path.read_bytes()
    except OSError as error:
        raise _no_room(error.strerror or str(error)) from error
    except ToolchainError as error:  # the compiler says little of a full disk, or nothing
        if shutil.disk_usage(tempfile.gettempdir()).free < _ROOM * len(plan) + _CODE_BYTES:
            raise _no_room(os.strerror(errno.ENOSPC)) from error
        raise


def _no_room(reason: str) -> OutputError:
    where = tempfile.gettempdir()
    return OutputError(f"the library cannot be linked in {where}: {reason}", hint="set TMPDIR to a folder with room")


def _object_of(to: Target, plan: bytes, folder: Path) -> Path:
    file, source, made = folder / "model.plan", folder / "plan.s", folder / "plan.o"
    file.write_bytes(plan)
    source.write_text(_assembly(to, file, len(plan)), encoding="utf-8")
    zig.run(["-c", "-g0", "-target", to.exe_triple, *cpu(to), str(source), "-o", str(made)])
    return made


def _assembly(to: Target, plan: Path, size: int) -> str:
    """`edgeort_plan` and `edgeort_plan_bytes`, as runtime/embedded declares them."""
    form = _FORM_OF.get(to.os, "elf")
    section, hide, underscore = _FORMS[form]
    place = str(plan).replace("\\", "\\\\").replace('"', '\\"')
    lines = [section]
    for name, content in (("edgeort_plan_bytes", f".quad {size}"), ("edgeort_plan", f'.incbin "{place}"')):
        label = f"{underscore}{name}"
        lines += [
            f".globl {label}",
            *([f"{hide} {label}"] if hide else []),
            f".balign {ALIGNMENT}",
            f"{label}:",
            content,
        ]
    return "\n".join([*lines, *([_NO_STACK] if form == "elf" else []), ""])
