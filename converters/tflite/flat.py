"""Tables of `schema` as the bytes of a FlatBuffer (https://flatbuffers.dev, internals).

A table is a dictionary from field to value; fields that it lacks are absent from the file. The same tables give the
same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeort.converters.tflite import schema
from edgeort.errors import MissingExtraError, OutputError

ALIGNMENT = 16  # of the data of buffers, in bytes: what the schema forces
LIMIT = 2**31 - 1  # bytes of a FlatBuffer, whose offsets are 32 bits
_SLACK = 1 << 20

Fields = Mapping[str, Any]


def encode(root: str, fields: Fields) -> bytes:
    """The table `root` as a file. MissingExtraError without flatbuffers, OutputError beyond 2 GB."""
    return _Encoder(_weight(fields)).finish(root, fields)


def _weight(fields: Fields) -> int:
    """Bytes of the buffers: the builder's memory would double on the way there otherwise."""
    return sum(len(entry.get("data", b"")) + 64 for entry in fields.get("buffers", ()))


class _Encoder:
    def __init__(self, weight: int) -> None:
        try:
            import flatbuffers
        except ImportError as error:
            raise MissingExtraError(
                "a .tflite file is written with flatbuffers, which is not installed",
                hint="pip install 'edgeort[litert]'",
            ) from error
        if weight > LIMIT - _SLACK:
            raise OutputError(
                f"{weight / 1e9:.1f} GB of weights do not fit into a .tflite file, which holds 2 GB",
                hint="store smaller weights: edgeort quantize MODEL -o int8.onnx --activations float",
            )
        self.builder = flatbuffers.Builder(weight + _SLACK)
        self.strings: dict[str, int] = {}

    def finish(self, root: str, fields: Fields) -> bytes:
        """The file."""
        self.builder.Finish(self._table(root, fields), file_identifier=schema.IDENTIFIER)
        return bytes(self.builder.Output())

    def _table(self, name: str, fields: Fields) -> int:
        slots = schema.TABLES[name]
        made = {field: self._made(slots[field][1], value) for field, value in fields.items()}
        self.builder.StartObject(1 + max((slot for slot, _ in slots.values()), default=-1))
        for field, value in made.items():
            slot, kind = slots[field]
            if kind in _SCALARS:
                default = schema.DEFAULTS.get((name, field), 0)
                getattr(self.builder, f"Prepend{kind.title()}Slot")(slot, value, default)
            else:
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return self.builder.EndObject()

    def _made(self, kind: str, value: Any) -> Any:
        """The value of a scalar, or where what a field refers to stands: that comes before the table itself."""
        if kind in _SCALARS:
            return value
        if kind == "string":
            if value not in self.strings:
                self.strings[value] = self.builder.CreateString(value)
            return self.strings[value]
        if kind == "data":
            return self._data(value)
        if kind == "union":
            return self._table(*value)
        if not kind.startswith("["):
            return self._table(kind, value)
        return self._vector(kind[1:-1], value)

    def _vector(self, kind: str, values: Sequence[Any]) -> int:
        if kind in _SCALARS:
            return self.builder.CreateNumpyVector(np.asarray(values, kind))
        places = [self._made(kind, value) for value in values]
        self.builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.builder.PrependUOffsetTRelative(place)
        return self.builder.EndVector()

    def _data(self, data: bytes) -> int:
        self.builder.StartVector(1, len(data), ALIGNMENT)
        head = self.builder.head = self.builder.head - len(data)
        self.builder.Bytes[head : head + len(data)] = data
        return self.builder.EndVector()


_SCALARS = frozenset(("bool", "int8", "uint8", "int32", "uint32", "int64", "float32"))
