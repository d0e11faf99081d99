"""Names in objects for Apple's systems (Mach-O), changed so that two runtimes can be in one program.

Static libraries share one space of names when an app is linked: of two that have the same, the linker takes the first,
whose table of kernels is that of another model. The layout is that of <mach-o/loader.h> and <mach-o/nlist.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_SYMTAB = 0x2
_HEADER = 32
_ENTRY = 16  # nlist_64
_EXTERNAL, _TYPE = 0x01, 0x0E  # of n_type; type 0: undefined


def prefixed(objects: Sequence[bytes], prefix: str) -> list[bytes]:
    """The objects with `prefix` before each name that one of them defines for the others, C's underscore kept first.

    `objects` are 64-bit little-endian, with their names at the end, as clang writes them. What they ask of the system
    keeps its name.
    """
    own = {name for data in objects for name, kind in _symbols(data) if kind & _EXTERNAL and kind & _TYPE}
    return [_renamed(data, {name: b"_" + prefix.encode() + name for name in own}) for data in objects]


def _renamed(data: bytes, names: dict[bytes, bytes]) -> bytes:
    at = _table(data)
    if at is None:
        return data
    first, _, strings, size = struct.unpack_from("<4I", data, at + 8)
    assert strings + size == len(data), "there is something behind the names"
    made, texts = bytearray(data[:strings]), bytearray(b"\0")
    for index, (name, kind) in enumerate(_symbols(data)):
        struct.pack_into("<I", made, first + _ENTRY * index, len(texts))
        texts += (names.get(name, name) if kind & _EXTERNAL else name) + b"\0"
    texts += bytes(-len(texts) % 8)
    struct.pack_into("<I", made, at + 20, len(texts))
    return bytes(made + texts)


def _symbols(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(name, n_type) of each."""
    at = _table(data)
    if at is None:
        return
    first, count, strings, _ = struct.unpack_from("<4I", data, at + 8)
    for index in range(count):
        name, kind = struct.unpack_from("<IB", data, first + _ENTRY * index)
        yield data[strings + name : data.index(b"\0", strings + name)], kind


def _table(data: bytes) -> int | None:
    """Where the load command LC_SYMTAB is; objects of nothing have none."""
    (count,) = struct.unpack_from("<I", data, 16)
    at = _HEADER
    for _ in range(count):
        command, size = struct.unpack_from("<2I", data, at)
        if command == _SYMTAB:
            return at
        at += size
    return None
