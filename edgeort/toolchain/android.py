"""What stands in for the parts of an NDK: Android's libraries as stubs, and the compiler's own functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeort import zig
from edgeort.cache import cached
from edgeort.targets import Target
from edgeort.toolchain.musl import compiler_rt
from edgeort.toolchain.objects import write


def bionic_stub(to: Target, library: str, names: Sequence[str]) -> Path:
    """A library of Android with nothing but these names."""
    text = "".join(f"void {name}(void) {{}}\n" for name in names)
    soname = f"-Wl,-soname,{library}.so"
    flags = ("-target", to.triple, "-nostdlib", "-fno-builtin", "-w", "-shared", "-fPIC", soname)

    source = cached("stub.c", (text,), lambda path: write(path, text))
    key = (zig.version(), text, *flags)
    return cached(f"{library}.so", key, lambda path: zig.run([*flags, str(source), "-o", str(path)]))


def builtins(to: Target) -> list[Path]:
    """What 32-bit Arm has no instructions for, such as divisions of 64 bits: with -nostdlib nothing links it."""
    if to.arch != "armv7":
        return []
    return [compiler_rt(to).compile()]
