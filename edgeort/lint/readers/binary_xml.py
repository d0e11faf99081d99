"""Android's compiled XML: elements and their attributes.

The format is that of ResourceTypes.h of Android's frameworks/base: chunks, each with type (u16), size of its header
(u16) and size in all (u32).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from edgeort.errors import InputError

Value = str | int | bool | None
Element = tuple[str, dict[str | int, Value]]  # its name, and its attributes by name and by resource

_XML, _STRINGS, _RESOURCES, _START = 0x0003, 0x0001, 0x0180, 0x0102
_UTF8 = 1 << 8
_NONE = 0xFFFFFFFF
_TYPE_STRING, _TYPE_DECIMAL, _TYPE_HEX, _TYPE_BOOLEAN = 0x03, 0x10, 0x11, 0x12
_ATTRIBUTE = struct.Struct("<IIIHBBI")  # namespace, name, raw text, size, 0, type, data


def elements(data: bytes, where: str) -> list[Element]:
    """Every element in order. InputError where the file is damaged."""
    try:
        return list(_elements(data))
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{where}: a damaged binary XML file: {error}") from error


def _elements(data: bytes) -> Iterator[Element]:
    kind, header, size = struct.unpack_from("<HHI", data)
    if kind != _XML or size > len(data):
        raise ValueError("it is no XML chunk, or ends early")
    strings: list[str] = []
    resources: tuple[int, ...] = ()
    at = header
    while at < size:
        kind, header, length = struct.unpack_from("<HHI", data, at)
        if length < 8 or header > length or at + length > size:
            raise ValueError(f"a chunk of {length} bytes at byte {at}")
        chunk = data[at : at + length]
        if kind == _STRINGS:
            strings = _strings(chunk)
        elif kind == _RESOURCES:
            resources = struct.unpack_from(f"<{(length - header) // 4}I", chunk, header)
        elif kind == _START:
            yield _element(chunk, header, strings, resources)
        at += length


def _strings(chunk: bytes) -> list[str]:
    _, header, _, count, _, flags, start, _ = struct.unpack_from("<HHIIIIII", chunk)
    if header + 4 * count > len(chunk):
        raise ValueError(f"{count} strings in {len(chunk)} bytes")
    offsets = struct.unpack_from(f"<{count}I", chunk, header)
    read = _utf8 if flags & _UTF8 else _utf16
    found, left = [], len(chunk)
    for offset in offsets:
        found.append(read(chunk, start + offset))
        left -= len(found[-1])
        if left < 0:  # a small file would take all memory
            raise ValueError("its strings overlap")
    return found


def _utf8(chunk: bytes, at: int) -> str:
    for _ in range(2):  # the length in characters, then that in bytes; each of one byte or two
        length, at = (chunk[at], at + 1) if chunk[at] < 0x80 else ((chunk[at] & 0x7F) << 8 | chunk[at + 1], at + 2)
    return chunk[at : at + length].decode(errors="replace")


def _utf16(chunk: bytes, at: int) -> str:
    (length,) = struct.unpack_from("<H", chunk, at)
    at += 2
    if length & 0x8000:
        length, at = (length & 0x7FFF) << 16 | struct.unpack_from("<H", chunk, at)[0], at + 2
    return chunk[at : at + 2 * length].decode("utf-16-le", errors="replace")


def _element(chunk: bytes, header: int, strings: list[str], resources: tuple[int, ...]) -> Element:
    _, name, start, size, count = struct.unpack_from("<IIHHH", chunk, header)
    found: dict[str | int, Value] = {}
    for index in range(count):
        _, key, raw, _, _, kind, value = _ATTRIBUTE.unpack_from(chunk, header + start + size * index)
        content: Value = None
        if kind == _TYPE_STRING:
            content = strings[value]
        elif kind in (_TYPE_DECIMAL, _TYPE_HEX):
            content = value
        elif kind == _TYPE_BOOLEAN:
            content = value != 0
        elif raw != _NONE:
            content = strings[raw]
        found[strings[key]] = content
        if key < len(resources):
            found[resources[key]] = content  # names may have been taken out; these numbers are what Android reads
    return strings[name], found
