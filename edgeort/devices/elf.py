"""What a program of Linux or Android needs before it starts."""

from __future__ import annotations

import struct
from pathlib import Path

_PT_INTERP = 3


def dynamic_linker(program: Path) -> str | None:
    """The path of the dynamic linker that it names; None of a static one, and of a file that is no 64- or 32-bit ELF.

    The layout is that of elf(5): the program headers stand at e_phoff.
    """
    data = program.read_bytes()
    if data[:4] != b"\x7fELF" or data[5:6] != b"\1":
        return None
    wide = data[4] == 2
    try:
        (table,) = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)
        size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
        for at in range(table, table + size * count, size):
            if struct.unpack_from("<I", data, at)[0] == _PT_INTERP:
                offset = struct.unpack_from("<Q" if wide else "<I", data, at + (8 if wide else 4))[0]
                return data[offset : data.index(b"\0", offset)].decode()
    except (struct.error, ValueError, OverflowError):
        pass
    return None
