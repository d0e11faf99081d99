"""As much of a little-endian ELF file, of 32 or 64 bits, as the tests look at; elf(5) has the layouts."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_NEEDED, _SONAME, _TEXTREL, _FLAGS = 1, 14, 22, 30
_LOAD, _DYNSYM, _DYNAMIC = 1, 11, 6
_DF_TEXTREL = 4
MACHINES = {40: "arm", 62: "x86_64", 183: "aarch64"}


@dataclass
class Elf:
    """`alignments` and `protections` are of each PT_LOAD."""

    machine: str
    alignments: list[int]
    protections: list[int]
    needed: list[str]
    soname: str
    undefined: set[str]
    defined: set[str]
    has_text_relocations: bool


def read_elf(data: bytes | Path) -> Elf:
    """The file, or its content."""
    data = data.read_bytes() if isinstance(data, Path) else data
    assert data[:4] == b"\x7fELF" and data[5] == 1
    wide = data[4] == 2
    heads_at, sections_at = struct.unpack_from("<QQ" if wide else "<II", data, 32 if wide else 28)
    sizes = struct.unpack_from("<HHHH", data, 54 if wide else 42)
    heads = [
        struct.unpack_from("<IIQQQQQQ" if wide else "<IIIIIIII", data, heads_at + i * sizes[0]) for i in range(sizes[1])
    ]
    head = "<IIQQQQIIQQ" if wide else "<IIIIIIIIII"
    sections = [struct.unpack_from(head, data, sections_at + i * sizes[2]) for i in range(sizes[3])]
    (symbols,) = [s for s in sections if s[1] == _DYNSYM]
    (dynamic,) = [s for s in sections if s[1] == _DYNAMIC]
    strings = sections[symbols[6]][4]

    def text(offset: int) -> str:
        return data[strings + offset : data.index(b"\0", strings + offset)].decode()

    names: dict[bool, set[str]] = {True: set(), False: set()}
    size = 24 if wide else 16
    for at in range(symbols[4] + size, symbols[4] + symbols[5], size):
        name = struct.unpack_from("<I", data, at)[0]
        section = struct.unpack_from("<H", data, at + (6 if wide else 14))[0]
        names[section == 0].add(text(name))
    pair, step = ("<QQ", 16) if wide else ("<II", 8)
    tags = [struct.unpack_from(pair, data, at) for at in range(dynamic[4], dynamic[4] + dynamic[5], step)]
    loads = [row for row in heads if row[0] == _LOAD]
    return Elf(
        machine=MACHINES[struct.unpack_from("<H", data, 18)[0]],
        alignments=[row[7] for row in loads],
        protections=[row[1] if wide else row[6] for row in loads],
        needed=[text(value) for tag, value in tags if tag == _NEEDED],
        soname=next((text(value) for tag, value in tags if tag == _SONAME), ""),
        undefined=names[True],
        defined=names[False],
        has_text_relocations=any(tag == _TEXTREL or (tag == _FLAGS and value & _DF_TEXTREL) for tag, value in tags),
    )
