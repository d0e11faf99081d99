"""Archives of objects (.a) and universal files, which hold others.

The formats are those of ar(5), BSD's and GNU's long names, and of <mach-o/fat.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from edgeort.errors import InputError

AR = b"!<arch>\n"
_HEADER = 60
# First number of a universal file -> cputype, cpusubtype, offset, size, align of a part; the wider form has a word more
_FORMS = {0xCAFEBABE: ">8xII4x", 0xCAFEBABF: ">8xQQ8x"}
_MOST_PARTS = 32  # a Java class begins with the bytes of the first, too; its next number is a version of 45 or more


def members(data: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the objects of an archive, without its tables. InputError where it is damaged."""
    at, long_names = len(AR), b""
    while at + _HEADER <= len(data):
        header = data[at : at + _HEADER]
        size_text = header[48:58].strip()
        if header[58:] != b"`\n" or not size_text.isdigit():
            raise InputError(f"{where}: a damaged archive: no header at byte {at}")
        size, start = int(size_text), at + _HEADER
        content, name = data[start : start + size], header[:16].rstrip()
        if len(content) != size:
            raise InputError(f"{where}: a damaged archive: it ends within the file at byte {at}")
        if name.startswith(b"#1/") and name[3:].isdigit():
            length = int(name[3:])
            name, content = content[:length].rstrip(b"\0"), content[length:]
        elif name == b"//":
            long_names = content
        elif name[:1] == b"/" and name[1:].isdigit():
            name = long_names[int(name[1:]) :].split(b"\n", 1)[0]
        if not name.startswith((b"__.SYMDEF", b"//", b"/SYM64")) and name != b"/":
            yield name.rstrip(b"/").decode(errors="replace"), content
        at = start + size + size % 2
    if at < len(data):
        raise InputError(f"{where}: a damaged archive: {len(data) - at} bytes after its last file")


def parts(data: bytes, where: str) -> list[bytes]:
    """The files of a universal file, one an architecture; any other file alone. InputError where it is damaged."""
    if len(data) < 8:
        return [data]
    magic, count = struct.unpack_from(">II", data)
    if magic not in _FORMS or not 0 < count <= _MOST_PARTS:
        return [data]
    form = _FORMS[magic]
    if 8 + struct.calcsize(form) * count > len(data):
        raise InputError(f"{where}: a universal file that ends within its header")
    found = []
    for index in range(count):
        offset, size = struct.unpack_from(form, data, 8 + struct.calcsize(form) * index)
        if offset + size > len(data):
            raise InputError(f"{where}: a universal file that ends within its part {index + 1} of {count}")
        found.append(data[offset : offset + size])
    return found
