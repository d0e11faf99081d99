"""Folds scales for channels into what writes a tensor and the depthwise convolutions that read it.

    DepthwiseConv(DequantizeLinear<axis = 1>(QuantizeLinear<axis = 1>(x, s, z), s, z), DequantizeLinear(w, t))  ->
    DepthwiseConv(DequantizeLinear(QuantizeLinear(Mul(x, 1 / s), 1, z), 1, z), DequantizeLinear<axis = 0>(w, s t))

for constants s, one zero point z, and no other readers: such a convolution keeps channels apart. What is left has one
scale; the factor runs in the epilogue of what makes x, or is part of its own scales.

Runs before `fold_dequantized`, which makes float32 of weights that no quantised input multiplies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, constant, integer, is_op, new_node, operand, rank
from edgeort.passes.quantised import BYTES, dequantized_constant


def fold_channel_scales(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many tensors have one scale now."""
    count = 0
    for node in list(model.graph):
        found = _parameters(node) if is_op(node, "QuantizeLinear") else None
        if found is None:
            continue
        reason = _fold(model.graph, node, found)
        if reason is None:
            count += 1
        else:
            ctx.refuse("fold_channel_scales", node, reason)
    return count


@dataclass(frozen=True)
class _Parameters:
    """scale: float32 [channels]; zero_point: the type of the integers, one number."""

    scale: np.ndarray
    zero_point: np.ndarray

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Parameters)
            and np.array_equal(self.scale, other.scale)
            and self.zero_point.dtype == other.zero_point.dtype
            and self.zero_point == other.zero_point
        )


def _parameters(node: ir.Node) -> _Parameters | None:
    """Of a QuantizeLinear or DequantizeLinear of 8 bits with a positive scale for each channel and one zero point."""
    scale, zero = constant(operand(node, 1)), constant(operand(node, 2))
    if scale is None or zero is None or scale.ndim != 1 or scale.size < 2 or scale.shape != zero.shape:
        return None
    if scale.dtype != np.float32 or ir.DataType.from_numpy(zero.dtype) not in BYTES or (zero != zero[0]).any():
        return None
    usable = integer(node, "axis", 1) == 1 and ((scale > 0) & (scale < np.inf)).all()
    return _Parameters(scale, zero[0]) if usable and not integer(node, "block_size", 0) else None


def _fold(graph: ir.Graph, quantize: ir.Node, found: _Parameters) -> str | None:
    """Rewrites one tensor; why not, where it does not."""
    x, integers = quantize.inputs[0], quantize.outputs[0]
    full = rank(x)
    if x is None or x.dtype != ir.DataType.FLOAT or full is None:
        return "its input is not float32 of a known rank"
    restores, convolutions = [use.node for use in integers.uses()], list[ir.Node]()
    if integers.is_graph_output() or not restores:
        return "its integers are a result of the graph"
    for restore in restores:
        if not is_op(restore, "DequantizeLinear") or _parameters(restore) != found:
            return "its integers are read with other scales"
        uses = list(restore.outputs[0].uses())
        if restore.outputs[0].is_graph_output() or not all(_scalable(u.node, u.idx, found.scale.size) for u in uses):
            return "something other than a depthwise convolution by constants reads it"
        convolutions += [use.node for use in uses]
    for node in convolutions:
        _scale_weights(graph, node, found.scale)
    one = add_constant(graph, np.ones((), np.float32), f"{quantize.name}_one")
    zero = add_constant(graph, np.asarray(found.zero_point), f"{quantize.name}_zero")
    factors = add_constant(
        graph, (np.float32(1) / found.scale).reshape(-1, *(1,) * (full - 2)), f"{quantize.name}_factors"
    )
    scaled = new_node(graph, "Mul", [x, factors], stem=f"{quantize.name}_scaled", like=x)
    graph.insert_before(quantize, scaled)
    quantize.replace_input_with(0, scaled.outputs[0])
    for node in (quantize, *restores):
        node.replace_input_with(1, one)
        node.replace_input_with(2, zero)
    return None


def _scalable(node: ir.Node, index: int, channels: int) -> bool:
    """Whether operand `index` is what a depthwise convolution of so many channels by dequantised weights reads."""
    weights = dequantized_constant(operand(node, 1)) if is_op(node, "Conv") and index == 0 else None
    if weights is None or weights.axis not in (None, 0):
        return False
    return integer(node, "group", 1) == channels and weights.integers.shape[1] == 1


def _scale_weights(graph: ir.Graph, node: ir.Node, scale: np.ndarray) -> None:
    """Multiplies the scales of a convolution's weights by those of the channels that they read."""
    value, weights = node.inputs[1], dequantized_constant(node.inputs[1])
    assert value is not None and weights is not None
    restore = value.producer()
    assert restore is not None
    columns = weights.integers.shape[0]
    scales = weights.scale.reshape(-1) * np.repeat(scale, columns // scale.size)
    inputs = [restore.inputs[0], add_constant(graph, scales.astype(np.float32), f"{value.name}_scales")]
    if operand(restore, 2) is not None:
        zero = constant(restore.inputs[2])
        assert zero is not None
        inputs.append(add_constant(graph, np.broadcast_to(zero.reshape(-1), (columns,)), f"{value.name}_zeros"))
    made = new_node(graph, "DequantizeLinear", inputs, {"axis": 0}, stem=f"{value.name}_scaled", like=value)
    graph.insert_before(node, made)
    node.replace_input_with(1, made.outputs[0])
    if not value.uses():
        graph.remove(restore, safe=True)
