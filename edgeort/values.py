"""The inputs and outputs of a model, as sessions, manifests and the command line describe them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Dims = Sequence[int | str | None]

# NumPy's name of an element type -> ONNX Runtime's name of the tensor.
_ORT_TYPES = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "float16": "tensor(float16)",
    **{f"{sign}int{bits}": f"tensor({sign}int{bits})" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "tensor(bool)",
}
# Of sequences and optionals: `sequence(float32)`, `optional(sequence(int64))`.
_NESTED = {"sequence(": "seq(", "optional(": "optional("}
# Element types that NumPy lacks -> the integers that its arrays hold: the bits, one element each.
BITS = {
    "bfloat16": "uint16",
    "float8e4m3fn": "uint8",
    "float8e4m3fnuz": "uint8",
    "float8e5m2": "uint8",
    "float8e5m2fnuz": "uint8",
    "float8e8m0": "uint8",
    "float4e2m1": "uint8",
    "int4": "int8",
    "uint4": "uint8",
    "int2": "int8",
    "uint2": "uint8",
}


@dataclass(frozen=True)
class Value:
    """An input or output.

    `dtype` is NumPy's name of the element type, one of BITS, `string`, or such as `sequence(float32)`; in `shape` a
    free dimension is its name or None; a `shape` of None is not known before a run.
    """

    name: str
    dtype: str
    shape: Dims | None
    bounds: tuple[tuple[int, int, int], ...] = ()  # of free dimensions: axis, least and greatest size

    @property
    def type(self) -> str:
        """The type as ONNX Runtime writes it, such as `tensor(float)`."""
        return _ort_type(self.dtype)

    @cached_property
    def array_dtype(self) -> np.dtype:
        """The dtype of its arrays: objects where elements are strings, or arrays."""
        import numpy as np

        plain = self.dtype != "string" and not self.is_nested
        return np.dtype(BITS.get(self.dtype, self.dtype) if plain else object)

    @property
    def is_nested(self) -> bool:
        """Whether it is a list of arrays, or may be None."""
        return self.dtype.startswith(tuple(_NESTED))

    def text(self) -> str:
        """`name: float32 [1, 3, N, 1-128]`, for messages."""
        if self.shape is None:
            return f"{self.name}: {self.dtype} of unknown shape"
        ranges = {axis: f"{least}-{most}" for axis, least, most in self.bounds}
        dims = (ranges.get(axis) or ("?" if dim is None else str(dim)) for axis, dim in enumerate(self.shape))
        return f"{self.name}: {self.dtype} [{', '.join(dims)}]"

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        shape = None if self.shape is None else list(self.shape)
        return {"name": self.name, "dtype": self.dtype, "shape": shape, "bounds": [list(row) for row in self.bounds]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Value:
        """The inverse of `to_dict`."""
        shape = data["shape"]
        bounds = tuple((axis, least, most) for axis, least, most in data["bounds"])
        return cls(data["name"], data["dtype"], None if shape is None else tuple(shape), bounds)


def _ort_type(dtype: str) -> str:
    for ours, theirs in _NESTED.items():
        if dtype.startswith(ours):
            return f"{theirs}{_ort_type(dtype.removeprefix(ours)[:-1])})"
    return _ORT_TYPES.get(dtype, f"tensor({dtype})")


def to_elements(dtype: str, value: Any) -> Any:
    """What the runtime is given of a sequence or an optional, whose None is a list of nothing."""
    if dtype.startswith("optional("):
        return [] if value is None else [to_elements(dtype.removeprefix("optional(")[:-1], value)]
    return value


def from_elements(dtype: str, elements: Any) -> Any:
    """The inverse of `to_elements`."""
    if dtype.startswith("optional("):
        return from_elements(dtype.removeprefix("optional(")[:-1], elements[0]) if elements else None
    return elements


def shapes_text(shapes: Mapping[str, Sequence[int]]) -> str:
    """`x=1x3x224x224, y=1x8`, as --shape takes them."""
    return ", ".join(f"{name}={'x'.join(map(str, dims))}" for name, dims in shapes.items())


def listed(values: Iterable[Value]) -> str:
    """All values on one line, for messages."""
    return "; ".join(value.text() for value in values) or "none"
