"""As much of Apple's file formats as the tests look at: objects and libraries (Mach-O), archives, universal files.

<mach-o/loader.h>, <mach-o/nlist.h>, <mach-o/fat.h>, <ar.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MACOS, IOS, IOS_SIMULATOR = 1, 2, 7  # <mach-o/loader.h>: PLATFORM_
ARM64, X86_64 = 0x0100000C, 0x01000007
_SEGMENT = 0x19
_SYMTAB, _LOAD_DYLIB, _ID_DYLIB, _RPATH, _BUILD_VERSION = 0x2, 0xC, 0xD, 0x8000001C, 0x32
_EXTERNAL, _PRIVATE, _TYPE, _STAB = 0x01, 0x10, 0x0E, 0xE0


@dataclass
class MachO:
    """A file for one architecture. `names`: symbols that other files see, of a library those that it exports."""

    cpu: int
    kind: int
    platform: int = 0
    min_os: str = ""
    install_name: str = ""
    needed: list[str] = field(default_factory=list)
    rpaths: list[str] = field(default_factory=list)
    undefined: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)  # visible until the file is linked


def read(data: bytes) -> MachO:
    """The 64-bit little-endian Mach-O file in `data`."""
    magic, cpu, _, kind = struct.unpack_from("<4I", data)
    assert magic == 0xFEEDFACF
    found = MachO(cpu, kind)
    for command, at in _commands(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        if command == _BUILD_VERSION:
            found.platform, version = struct.unpack_from("<2I", data, at + 8)
            found.min_os = f"{version >> 16}.{version >> 8 & 255}"
        elif command == _SYMTAB:
            _read_symbols(data, at, found)
        elif command in (_ID_DYLIB, _LOAD_DYLIB, _RPATH):
            (offset,) = struct.unpack_from("<I", data, at + 8)
            text = data[at + offset : at + size].split(b"\0")[0].decode()
            if command == _ID_DYLIB:
                found.install_name = text
            else:
                (found.needed if command == _LOAD_DYLIB else found.rpaths).append(text)
    return found


def _read_symbols(data: bytes, at: int, found: MachO) -> None:
    symbols, count, strings, _ = struct.unpack_from("<4I", data, at + 8)
    for index in range(count):
        name_at, kind = struct.unpack_from("<IB", data, symbols + 16 * index)
        if kind & _STAB or not kind & _EXTERNAL:
            continue
        name = data[strings + name_at : data.index(b"\0", strings + name_at)].decode()
        group = found.undefined if not kind & _TYPE else found.private if kind & _PRIVATE else found.names
        group.add(name)


def _commands(data: bytes) -> Iterator[tuple[int, int]]:
    """Kinds of the load commands, and where they are."""
    (count,) = struct.unpack_from("<I", data, 16)
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<2I", data, at)
        yield command, at
        at += size


def segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Address, size in memory and content of what a library has to be loaded."""
    for command, at in _commands(data):
        if command == _SEGMENT:
            address, size, offset, held = struct.unpack_from("<4Q", data, at + 24)
            yield address, size, data[offset : offset + held]


def addresses(data: bytes) -> dict[str, int]:
    """Where the symbols are that a library exports."""
    found = {}
    for command, at in _commands(data):
        if command == _SYMTAB:
            symbols, count, strings, _ = struct.unpack_from("<4I", data, at + 8)
            for index in range(count):
                name, kind, _, _, value = struct.unpack_from("<IBBHQ", data, symbols + 16 * index)
                if kind & _EXTERNAL and kind & _TYPE:
                    found[data[strings + name : data.index(b"\0", strings + name)].decode()] = value
    return found


def members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of what is in a static library, its table of symbols included."""
    assert archive.startswith(b"!<arch>\n")
    at = 8
    while at < len(archive):
        head = archive[at : at + 60]
        size = int(head[48:58])
        assert head[58:] == b"`\n"
        name, body = head[:16].decode().strip(), archive[at + 60 : at + 60 + size]
        if name.startswith("#1/"):  # as BSD writes long names
            length = int(name[3:])
            name, body = body[:length].rstrip(b"\0").decode(), body[length:]
        yield name, body
        at += 60 + size + size % 2


def slices(data: bytes) -> dict[int, bytes]:
    """The files of a universal file by architecture."""
    magic, count = struct.unpack_from(">2I", data)
    assert magic == 0xCAFEBABE
    entries = [struct.unpack_from(">5I", data, 8 + 20 * index) for index in range(count)]
    assert all(offset % (1 << align) == 0 for _, _, offset, _, align in entries)
    return {cpu: data[offset : offset + size] for cpu, _, offset, size, _ in entries}
