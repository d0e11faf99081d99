"""The inputs and outputs of a model, as sessions, manifests and the command line describe them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    `dtype` is NumPy's name of the element type, or one of BITS; in `shape` a free dimension is its name or None; a
    `shape` of None is not known before a run.
    """

    name: str
    dtype: str
    shape: Dims | None
    bounds: tuple[tuple[int, int, int], ...] = ()  # of free dimensions: axis, least and greatest size

    @property
    def type(self) -> str:
        """The type as ONNX Runtime writes it, such as `tensor(float)`."""
        return _ORT_TYPES.get(self.dtype, f"tensor({self.dtype})")

    @cached_property
    def array_dtype(self) -> np.dtype:
        """The dtype of its arrays."""
        import numpy as np

        return np.dtype(BITS.get(self.dtype, self.dtype))

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


def listed(values: Iterable[Value]) -> str:
    """All values on one line, for messages."""
    return "; ".join(value.text() for value in values) or "none"
