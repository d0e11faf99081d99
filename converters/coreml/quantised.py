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

from edgeort.converters.coreml.emission import Emission, Refused, Results, positive
from edgeort.passes import edit

_BYTES = {"int8": types.int8, "uint8": types.uint8}
_WIDE = ("int16", "uint16")
_LEAST_HALF = 2.0**-14  # scales below have fewer digits in float16


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
    if x.dtype not in _BYTES.values():  # 16 bits, which stayed float
        return mb.identity(x=x)
    scale, zero_point, axis = _parameters(e, node, x.rank)
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
    return Stored(floats, np.float32(1), np.float32(0), None)


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
    """Compressed where Core ML can: bytes, and scales that float16 holds."""
    is_half = e.options.precision == "float16"
    fits = not is_half or float(np.min(stored.scale)) >= _LEAST_HALF
    if stored.data.dtype.name not in _BYTES or stored.data.ndim < 2 or not fits or e.options.release < 16:
        if stored.data.ndim >= 2 and stored.data.dtype.kind != "f":
            why = "scales too small for float16" if not fits else f"min_os {e.options.min_os}"
            e.note(node, f"int8 weights are stored as float: {why}" if fits or is_half else "stored as float")
        return mb.const(val=e.mil_array(stored.floats()))
    return mb.constexpr_affine_dequantize(
        quantized_data=stored.data,
        zero_point=stored.zero_point,
        scale=stored.scale.astype(np.float32),
        axis=0 if stored.axis is None else stored.axis,
    )


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


def _clipped(
    e: Emission, node: ir.Node, x: Var, scale: np.ndarray, zero_point: np.ndarray, axis: int | None
) -> Var:
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
