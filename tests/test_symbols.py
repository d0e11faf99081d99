"""Names in objects for Apple's systems get a prefix where one of the objects defines them."""

from __future__ import annotations

import struct

import pytest

from edgeort import symbols

DEFINED, ASKED, LOCAL = 0x0F, 0x01, 0x0E  # n_type


def made(*names: tuple[str, int]) -> bytes:
    """An object of nothing but names: header, another command, LC_SYMTAB, the entries, the names."""
    texts, entries, first = b"\0", b"", 32 + 16 + 24
    for name, kind in names:
        entries += struct.pack("<IBBHQ", len(texts), kind, 0, 0, 7)
        texts += name.encode() + b"\0"
    table = struct.pack("<6I", 2, 24, first, len(names), first + len(entries), len(texts))
    head = struct.pack("<8I", 0xFEEDFACF, 0, 0, 1, 2, 40, 0, 0)
    return head + struct.pack("<4I", 0x32, 16, 0, 0) + table + entries + texts


def names(data: bytes) -> list[tuple[str, int]]:
    return [(name.decode(), kind) for name, kind in symbols._symbols(data)]


def test_what_one_defines_is_renamed_in_all():
    objects = [
        made(("_f", DEFINED), ("_g", ASKED), ("_malloc", ASKED)),
        made(("_g", DEFINED), ("_f", LOCAL), ("", LOCAL)),
        struct.pack("<8I", 0xFEEDFACF, 0, 0, 1, 0, 0, 0, 0),  # without a table
    ]
    one, other, empty = symbols.prefixed(objects, "net")
    assert names(one) == [("_net_f", DEFINED), ("_net_g", ASKED), ("_malloc", ASKED)]
    assert names(other) == [("_net_g", DEFINED), ("_f", LOCAL), ("", LOCAL)]
    assert empty == objects[2]
    assert struct.unpack_from("<I", one, 32 + 16 + 20)[0] == len(one) - struct.unpack_from("<I", one, 32 + 16 + 16)[0]


def test_nothing_behind_the_names_is_cut_off():
    with pytest.raises(AssertionError):
        symbols.prefixed([made(("_f", DEFINED)) + b"more"], "net")
