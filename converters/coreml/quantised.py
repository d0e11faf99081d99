"""QuantizeLinear and DequantizeLinear: stored integers become compressed weights, the rest W8A8 on iOS 17.

    weights       constexpr_affine_dequantize     iOS 16; older: float
    activations   quantize, dequantize            iOS 17: int8 or uint8
    biases        float, as Core ML has them so

Wider activations are clipped to the range of their integers and stay float: float16 has hardly more digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types

from edgeort.converters.coreml.emission import Emission, Refused, Results, cast, is_float, positive
from edgeort.passes import edit

_BYTES = {"int8": types.int8, "uint8": types.uint8}
_WIDE = ("int16", "uint16")
_HALF_LOSS = 2.0**-8  # of a scale that float16 rounds: more would move a whole channel by more than int8 does
_LEAST_HALF = np.float32(2.0**-24)  # the least number of float16, and the distance of those near it


@dataclass(frozen=True)
class Stored:
    """Integers of a constant, `axis` None where one scale is for all; scale and zero point are vectors or scalars."""

    data: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None

    def floats(self) -> np.ndarray:
        """(data - zero_point) * scale."""
        return _spread(self.data.astype(np.float32), self.zero_point, self.scale, self.axis)

    def transposed(self) -> Stored:
        """Of a matrix."""
        axis = None if self.axis is None else 1 - self.axis
        return Stored(np.ascontiguousarray(self.data.T), self.scale, self.zero_point, axis)


def _spread(data: np.ndarray, zero_point: np.ndarray, scale: np.ndarray, axis: int | None) -> np.ndarray:
    if axis is not None:
        shape = [-1 if index == axis else 1 for index in range(data.ndim)]
        zero_point, scale = zero_point.reshape(shape), scale.reshape(shape)
    return (data - zero_point.astype(np.float32)) * scale.astype(np.float32)


def quantize(e: Emission, node: ir.Node) -> Results:
    """QuantizeLinear of what the graph computes."""
    x = e.input(node)
    scale, zero_point, axis = _parameters(e, node, x.rank)
    if zero_point.dtype.name in _WIDE:
        return _clipped(e, node, x, scale, zero_point, axis)
    if zero_point.dtype.name not in _BYTES:
        raise Refused(f"it makes {zero_point.dtype.name}")
    e.needs(17, "int8 for activations (W8A8)")
    given = {} if axis is None else {"axis": axis}
    return mb.quantize(input=x, scale=scale, zero_point=zero_point, output_dtype=zero_point.dtype.name, **given)


def dequantize(e: Emission, node: ir.Node) -> Results:
    """DequantizeLinear of stored integers or of a QuantizeLinear."""
    stored = stored_integers(e, edit.operand(node, 0), node)
    if stored is not None:
        return _weight(e, node, stored)
    x = e.input(node)
    if is_float(x):  # of 16 bits, which stayed so
        return mb.identity(x=x)
    scale, zero_point, axis = _parameters(e, node, x.rank)
    if x.dtype not in _BYTES.values():
        shape = [1] * x.rank if axis is None else [-1 if index == axis else 1 for index in range(x.rank)]
        moved = mb.sub(x=cast(x, types.fp32), y=zero_point.astype(np.float32).reshape(shape))
        return mb.mul(x=moved, y=scale.reshape(shape))
    given = {} if axis is None else {"axis": axis}
    return mb.dequantize(input=x, scale=scale, zero_point=zero_point, **given)


def stored_integers(e: Emission, value: ir.Value | None, node: ir.Node) -> Stored | None:
    """What a DequantizeLinear of a constant widens; None where the graph computes it."""
    data = edit.constant(value)
    if data is None:
        return None
    if edit.integer(node, "block_size", 0):
        return _blocks(e, node, data)
    scale, zero_point, axis = _parameters(e, node, data.ndim, data.dtype)
    return Stored(data, scale, zero_point, axis)


def _blocks(e: Emission, node: ir.Node, data: np.ndarray) -> Stored:
    """A scale for each block: widened to float, which has no scale."""
    axis, block = positive(edit.integer(node, "axis", 1), data.ndim), edit.integer(node, "block_size", 0)
    scale = e.constant(node, 1, "its scale")
    zero_point = edit.constant(edit.operand(node, 2))
    zero_point = np.zeros(scale.shape, np.float32) if zero_point is None else zero_point.astype(np.float32)
    wide = [np.repeat(part, block, axis).take(range(data.shape[axis]), axis) for part in (scale, zero_point)]
    floats = (data.astype(np.float32) - wide[1]) * wide[0].astype(np.float32)
    e.note(node, "weights with a scale for each block are stored as float")
    return Stored(floats, np.array(1, np.float32), np.array(0, np.float32), None)


def weight_matrix(e: Emission, value: ir.Value | None, *, transposed: bool) -> Var | None:
    """A stored matrix as an operand of `linear`; None where it is none or not stored."""
    if value is None:
        return None
    array = edit.constant(value)
    if array is not None and array.ndim == 2 and array.dtype.kind == "f":
        array = e.mil_array(array)
        return mb.const(val=np.ascontiguousarray(array.T)) if transposed else e.var(value)
    producer = value.producer()
    if edit.is_op(producer, "DequantizeLinear") and producer is not None:
        stored = stored_integers(e, edit.operand(producer, 0), producer)
        if stored is not None and stored.data.ndim == 2:
            return _weight(e, producer, stored.transposed()) if transposed else e.var(value)
    return None


def _weight(e: Emission, node: ir.Node, stored: Stored) -> Var:
    """Compressed where Core ML can: bytes of matrices and filters, with scales that float16 holds."""
    if stored.data.dtype.name not in _BYTES or stored.data.ndim < 2:
        return mb.const(val=e.mil_array(stored.floats()))
    if e.options.release < 16:
        e.note(node, f"its int8 weights are stored as float: compressed weights need {e.options.version(16)}")
        return mb.const(val=e.mil_array(stored.floats()))
    if e.options.precision == "float16":
        stored = _on_half_scales(stored)
    return affine(stored.data, stored.scale, stored.zero_point, stored.axis)


def _on_half_scales(stored: Stored) -> Stored:
    """Where float16 has too few digits for a scale, the next larger one that it has, with integers rounded anew."""
    half = stored.scale.astype(np.float16).astype(np.float32)
    larger = np.where(half < stored.scale, half + _LEAST_HALF, half)
    is_poor = np.abs(half - stored.scale) > stored.scale * _HALF_LOSS
    if not np.any(is_poor):
        return stored
    scale = np.where(is_poor, larger, stored.scale).astype(np.float32)
    zero_point = stored.zero_point.astype(np.float32)
    numbers = _spread(stored.data.astype(np.float32), zero_point, stored.scale / scale, stored.axis)
    moved = np.rint(_spread(numbers, -zero_point, np.ones_like(scale), stored.axis))
    return Stored(moved.astype(stored.data.dtype), scale, stored.zero_point, stored.axis)


def affine(data: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, axis: int | None) -> Var:
    """Bytes that Core ML widens when it loads the model."""
    return mb.constexpr_affine_dequantize(
        quantized_data=data, zero_point=zero_point, scale=scale.astype(np.float32), axis=axis or 0
    )


def byte_table(e: Emission, node: ir.Node) -> Var | None:
    """The bytes that a Gather reads and its only readers cast to float, as float numbers stored as bytes; else None."""
    data = edit.constant(edit.operand(node, 0))
    readers = [use.node for use in node.outputs[0].uses()]
    if data is None or data.dtype.name not in _BYTES or e.options.release < 16 or node.outputs[0].is_graph_output():
        return None
    if not readers or not all(_widens(reader) for reader in readers):
        return None
    return affine(data, np.array(1, np.float32), np.array(0, data.dtype), None)


def _widens(node: ir.Node) -> bool:
    floats = (ir.DataType.FLOAT.value, ir.DataType.FLOAT16.value)
    return edit.is_op(node, "Cast") and edit.integer(node, "to", 0) in floats


def _parameters(
    e: Emission, node: ir.Node, rank: int, dtype: np.dtype | None = None
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """Scale float32, zero point in the integers' type, and the axis of a vector of them."""
    scale = e.constant(node, 1, "its scale").astype(np.float32)
    zero_point = edit.constant(edit.operand(node, 2))
    if zero_point is None:
        if edit.operand(node, 2) is not None:
            raise Refused("its zero point is computed by the graph")
        zero_point = np.zeros(scale.shape, dtype or np.uint8)
    if scale.size == 1:
        return scale.reshape(()), zero_point.reshape(()), None
    if scale.ndim > 1:
        raise Refused("it has a scale for each block")
    return scale, zero_point, positive(edit.integer(node, "axis", 1), rank)


def _clipped(e: Emission, node: ir.Node, x: Var, scale: np.ndarray, zero_point: np.ndarray, axis: int | None) -> Var:
    ends = np.iinfo(zero_point.dtype)
    shape = [1] * x.rank if axis is None else [-1 if index == axis else 1 for index in range(x.rank)]
    low, high = ((np.float32(end) - zero_point.astype(np.float32)) * scale for end in (ends.min, ends.max))
    e.note(node, f"{zero_point.dtype.name} activations are computed as float, clipped to their range")
    if axis is None:
        return mb.clip(x=x, alpha=np.float32(low), beta=np.float32(high))
    return mb.minimum(x=mb.maximum(x=x, y=low.reshape(shape)), y=high.reshape(shape))


def dynamic_product(e: Emission, node: ir.Node) -> Results:
    """Our DynamicQuantMatMul: int8 weights, and rows that stay float, as Core ML does not quantise while it runs."""
    x = e.input(node)
    data, scale = (edit.constant(edit.operand(node, index)) for index in (1, 2))
    if data is None or scale is None:
        raise Refused("its weights are computed by the graph")
    e.note(node, "weights are int8, its rows are not quantised")
    stored = Stored(data, scale.astype(np.float32), np.zeros(scale.shape, np.int8), 1)
    if 2 <= x.rank <= 3:
        return mb.linear(x=x, weight=_weight(e, node, stored.transposed()))
    return mb.matmul(x=x, y=_weight(e, node, stored))
