"""Objects that become a library or a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeort import zig
from edgeort.cache import cached


def link(name: str, flags: Sequence[str], objects: Sequence[Path]) -> Path:
    """The file of that name, from the cache or made."""

    def make(path: Path) -> None:
        zig.run([*flags, *map(str, objects), "-o", str(path)])

    return cached(name, (*flags, *(one.name for one in objects)), make)
