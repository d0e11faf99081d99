"""C structs without implicit padding, packed and unpacked here and declared in C by header.py."""

from __future__ import annotations

import struct as _struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeort.errors import UnsupportedError

_FORMATS = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f"}

Field = tuple[
    str, str, int
]  # name, C type or the name of an earlier Struct (given as packed bytes), number of elements
_STRUCTS: dict[str, Struct] = {}


@dataclass(frozen=True)
class Struct:
    """A C struct without implicit padding: `fields` are (name, type, element count)."""

    name: str
    doc: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        offset = 0
        for name, ctype, count in self.fields:
            size = _STRUCTS[ctype].size if ctype in _STRUCTS else _struct.calcsize(_FORMATS[ctype])
            if offset % min(size, 8):
                raise ValueError(f"{self.name}.{name} at {offset} is not aligned to {size}")
            offset += size * count
        if offset % 8:
            raise ValueError(f"{self.name} has {offset} bytes, not a multiple of 8")
        _STRUCTS[self.name] = self

    @property
    def format(self) -> str:
        """The struct-module format of the whole record."""
        return "<" + "".join(
            f"{_STRUCTS[ctype].size}s" if ctype in _STRUCTS else f"{count}{_FORMATS[ctype]}"
            for _, ctype, count in self.fields
        )

    @property
    def size(self) -> int:
        """Bytes of one record."""
        return _struct.calcsize(self.format)

    def pack(self, **values: int | float | bytes | Sequence[int] | Sequence[float]) -> bytes:
        """The record's bytes. Fields left out are zero, short sequences are padded with zeros.

        UnsupportedError where a field cannot hold its value: values come from a model's attributes.
        """
        flat: list[int | float | bytes] = []
        for name, ctype, count in self.fields:
            value = values.pop(name, b"" if ctype in _STRUCTS else 0)
            items = list(value) if isinstance(value, Sequence) and not isinstance(value, bytes) else [value]
            if len(items) > count:
                raise UnsupportedError(f"its {name} has {len(items)} entries; kernels take {count} at most")
            if ctype in _FORMATS:
                _check(name, ctype, items)
            flat += items + [0] * (count - len(items))
        if values:
            raise ValueError(f"{self.name} has no field {', '.join(values)}")
        return _struct.pack(self.format, *flat)

    def unpack(self, data: bytes | memoryview) -> Mapping[str, tuple[int | float, ...]]:
        """Field name -> elements, of one record's bytes."""
        flat = _struct.unpack(self.format, data)
        out, at = {}, 0
        for name, _, count in self.fields:
            out[name] = flat[at : at + count]
            at += count
        return out


def _check(name: str, ctype: str, items: Sequence[int | float | bytes]) -> None:
    for item in items:
        try:
            _struct.pack(f"<{_FORMATS[ctype]}", item)
        except (_struct.error, OverflowError) as error:
            raise UnsupportedError(f"its {name} is {item!r}; kernels take what {ctype} can hold") from error
