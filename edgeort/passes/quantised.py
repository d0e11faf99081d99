"""What QuantizeLinear and DequantizeLinear nodes say.

    q = clip(round(x / scale) + zero_point)        x = (q - zero_point) * scale

Zero points are canonical here: an uint8's is less 128, as if the integers were int8.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import constant, integer, is_op, operand

UNSIGNED_BIAS = 128
LOW, HIGH = -128, 127  # canonical integers
BYTES = (ir.DataType.UINT8, ir.DataType.INT8)
_INTEGERS = (*BYTES, *(ir.DataType[name] for name in ("INT4", "UINT4", "INT16", "UINT16", "INT32")))


@dataclass(frozen=True)
class Quantity:
    """One scale, a float32 number, and one canonical zero point, of 8-bit integers of that ONNX type."""

    scale: float
    zero_point: int
    dtype: ir.DataType

    def quantize(self, x: float) -> int:
        """The canonical integer of a number, as the runtime rounds it."""
        scaled = np.rint(np.float32(x) * self.factor) + np.float32(self.zero_point)
        return int(np.clip(scaled, LOW, HIGH))

    def dequantize(self, q: int) -> float:
        """The float32 number that a canonical integer stands for."""
        return float(np.float32(q - self.zero_point) * np.float32(self.scale))

    @property
    def factor(self) -> np.float32:
        """1 / scale, which the runtime multiplies by."""
        return np.float32(1) / np.float32(self.scale)


def quantity(node: ir.Node | None) -> Quantity | None:
    """Of a QuantizeLinear or DequantizeLinear of float32 and 8 bits with one constant scale; None of any other node."""
    if node is None or not is_op(node, "QuantizeLinear", "DequantizeLinear"):
        return None
    value = node.inputs[0] if node.op_type == "QuantizeLinear" else node.outputs[0]
    dtype, scale, zero = integers_of(node).dtype, constant(operand(node, 1)), _zero_points(node)
    if dtype is None or dtype not in BYTES or value is None or value.dtype != ir.DataType.FLOAT:
        return None
    if scale is None or zero is None or scale.dtype != np.float32 or (scale.size, zero.size) != (1, 1):
        return None
    if not 0 < float(scale.reshape(())) < np.inf:
        return None
    bias = UNSIGNED_BIAS if dtype == ir.DataType.UINT8 else 0
    return Quantity(float(scale.reshape(())), int(zero.reshape(())) - bias, dtype)


def integers_of(node: ir.Node) -> ir.Value:
    """The integer side of a QuantizeLinear or DequantizeLinear."""
    value = node.inputs[0] if node.op_type == "DequantizeLinear" else node.outputs[0]
    assert value is not None
    return value


def dequantized(value: ir.Value | None) -> ir.Node | None:
    """The DequantizeLinear with one constant scale that makes a value from 8-bit integers that are no constants."""
    node = None if value is None else value.producer()
    if node is None or not is_op(node, "DequantizeLinear") or quantity(node) is None:
        return None
    return node if constant(node.inputs[0]) is None else None


@dataclass(frozen=True)
class Constant:
    """A DequantizeLinear of constants: integers, scales, and what it stands for."""

    stored: np.ndarray
    zero: np.ndarray  # int32, broadcasts to the integers, as the scale does
    scale: np.ndarray  # float32; where there are blocks, one of its slices to each
    axis: int | None  # of `scale`, where there is one a slice or a block
    block: int | None = None  # slices of the axis that share a scale

    @functools.cached_property
    def integers(self) -> np.ndarray:
        """Of zero point 0, int32."""
        return self.stored.astype(np.int32) - self._spread(self.zero)

    @property
    def scales(self) -> np.ndarray:
        """float32, which broadcast to the integers."""
        return self._spread(self.scale)

    @property
    def numbers(self) -> np.ndarray:
        """float32."""
        return np.asarray(self.integers.astype(np.float32) * self.scales, np.float32)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        if self.axis is None or self.block is None or not values.ndim:
            return values
        return np.take(values, np.arange(self.stored.shape[self.axis]) // self.block, axis=self.axis)


def dequantized_constant(value: ir.Value | None) -> Constant | None:
    """The constant behind a value that a DequantizeLinear makes, of any integer type, per tensor, axis or block."""
    node = None if value is None else value.producer()
    if node is None or not is_op(node, "DequantizeLinear") or (stored := operand(node, 0)) is None:
        return None
    array, scale, zero = constant(stored), constant(operand(node, 1)), _zero_points(node)
    if array is None or scale is None or zero is None:
        return None
    if scale.dtype != np.float32 or stored.dtype not in _INTEGERS:
        return None
    axis, block, zero = integer(node, "axis", 1), integer(node, "block_size", 0), zero.astype(np.int32)
    if scale.size == 1 and not block:
        return Constant(array, zero.reshape(-1)[0], scale.reshape(()), None)
    if not -array.ndim <= axis < array.ndim:
        return None
    axis %= array.ndim
    if block:
        blocks = (*array.shape[:axis], -(-array.shape[axis] // block), *array.shape[axis + 1 :])
        fits = block > 0 and scale.shape == blocks and zero.shape in ((), blocks)
        return Constant(array, zero, scale, axis, block) if fits else None
    if scale.ndim != 1 or array.shape[axis] != scale.size:
        return None
    shape = [1] * array.ndim
    shape[axis] = -1
    return Constant(array, zero.reshape(() if zero.size == 1 else shape), scale.reshape(shape), axis)


def numbers_of(value: ir.Value | None) -> np.ndarray | None:
    """The array behind a value: a constant, or what makes float32 of one that is stored in fewer bits; else None."""
    array, node = constant(value), None if value is None else value.producer()
    if array is not None or node is None:
        return array
    folded = dequantized_constant(value)
    if folded is not None:
        return folded.numbers
    return None if not widens_constant(node) else constant(node.inputs[0]).astype(np.float32)  # type: ignore[union-attr]


def widens_constant(node: ir.Node) -> bool:
    """Whether it makes float32 of a constant: a DequantizeLinear, or a Cast of float16."""
    if dequantized_constant(node.outputs[0]) is not None:
        return True
    if not is_op(node, "Cast") or integer(node, "to", 0) != ir.DataType.FLOAT.value:
        return False
    source = node.inputs[0]
    return source is not None and source.dtype == ir.DataType.FLOAT16 and constant(source) is not None


def _zero_points(node: ir.Node) -> np.ndarray | None:
    """0 where there is none; None where they are not constant."""
    return np.zeros((), np.int64) if operand(node, 2) is None else constant(node.inputs[2])
