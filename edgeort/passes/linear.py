"""Conv, ConvTranspose, Gemm and MatMul as what they share: constant weights with one axis (or two) of output channels.

    y = W x + b,  z = s y + t   ->   z = (s W) x + (s b + t)         s, t: one number an output channel

Sums are formed in float64 and rounded once to the weight's dtype. Weights that a DequantizeLinear makes, of a node that
computes in float32, stay integers where their scales can take s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, constant, integer, is_op, new_node, number, only_user, operand
from edgeort.passes.quantised import dequantized, dequantized_constant, numbers_of

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_VECTOR_SCALES = 13  # the first opset whose DequantizeLinear has them


@dataclass(frozen=True)
class Linear:
    """A linear node with constant weights; `bias` has one number an output channel, or is None where there is none."""

    node: ir.Node
    weight: np.ndarray
    bias: np.ndarray | None
    channels: int


def read(node: ir.Node | None) -> Linear | str | None:
    """The node as a Linear; a sentence that says why it cannot be folded into; None when it is another operator."""
    if node is None or not is_op(node, *LINEAR):
        return None
    weight = constant(operand(node, 1)) if dequantized(node.inputs[0]) is not None else numbers_of(operand(node, 1))
    if weight is None:
        return f"the weight of the {node.op_type} before it is not a constant"
    if weight.dtype.kind != "f" or weight.ndim < 2:
        return f"the weight of the {node.op_type} before it is no float matrix or filter"
    if only_user(node.outputs[0]) is None:
        return f"the result of the {node.op_type} before it is used elsewhere too"
    channels = _channels(node, weight)
    value = operand(node, 2)
    if value is None:
        return Linear(node, weight, None, channels)
    bias = constant(value)
    if bias is None:
        return f"the bias of the {node.op_type} before it is not a constant"
    if bias.size not in (1, channels) or (bias.ndim > 1 and bias.shape[-1] != bias.size):
        return f"the bias of the {node.op_type} before it differs from row to row"
    beta = number(node, "beta", 1.0) if node.op_type == "Gemm" else 1.0
    return Linear(node, weight, np.broadcast_to(bias.reshape(-1) * beta, (channels,)), channels)


def rank_of_result(linear: Linear) -> int | None:
    """The rank of the node's output; None for MatMul, whose other operand decides."""
    return None if linear.node.op_type == "MatMul" else linear.weight.ndim


def fold(graph: ir.Graph, linear: Linear, scale: np.ndarray, shift: np.ndarray) -> str | None:
    """Multiplies the node's result by `scale` and adds `shift` (shape (channels,)); a sentence where it cannot."""
    node, weight = linear.node, linear.weight
    if node.op_type == "MatMul" and shift.any():
        return "MatMul has no bias to add to"
    scaled = weight.astype(np.float64) * _along_channels(node, weight, scale.astype(np.float64))
    bias = shift.astype(np.float64) if linear.bias is None else linear.bias.astype(np.float64) * scale + shift
    with np.errstate(over="ignore"):
        new_weight, new_bias = scaled.astype(weight.dtype), bias.astype(weight.dtype)
    if not (np.isfinite(new_weight).all() and np.isfinite(new_bias).all()):
        return "the folded weights would not be finite"
    rescaled = _rescaled(graph, node, scale)
    if rescaled is None:
        replace_constant(graph, node, 1, new_weight, "folded_weight")
    else:
        node.replace_input_with(1, rescaled)
    if node.op_type != "MatMul" and (linear.bias is not None or shift.any()):
        replace_constant(graph, node, 2, new_bias, "folded_bias")
        if node.op_type == "Gemm":
            node.attributes.pop("beta", None)
    return None


def _rescaled(graph: ir.Graph, node: ir.Node, scale: np.ndarray) -> ir.Value | None:
    """The weights of a DequantizeLinear with its scales times `scale`; None where it has, or takes, no such scales."""
    value = node.inputs[1]
    stored, restore = dequantized_constant(value), None if value is None else value.producer()
    if stored is None or restore is None or node.op_type not in ("Conv", "Gemm", "MatMul"):
        return None
    first = node.op_type == "Conv" or (node.op_type == "Gemm" and integer(node, "transB", 0))
    axis, version = 0 if first else stored.stored.ndim - 1, graph.opset_imports.get("", _VECTOR_SCALES)
    if stored.block is None and (stored.axis not in (None, axis) or version < _VECTOR_SCALES):
        return None
    numbers = (stored.scale * _along_channels(node, stored.stored, scale)).astype(np.float32)
    if stored.block is None:
        numbers = numbers.reshape(-1)
    inputs, zero = [restore.inputs[0], add_constant(graph, numbers, f"{restore.name}_scale")], operand(restore, 2)
    if zero is not None and stored.axis is None:
        zeros = np.broadcast_to(np.asarray(constant(zero)).reshape(-1), numbers.shape)
        zero = add_constant(graph, zeros, f"{restore.name}_zero")
    attributes = {"axis": axis} if stored.block is None else dict(restore.attributes)
    inputs += [] if zero is None else [zero]
    made = new_node(graph, "DequantizeLinear", inputs, attributes, stem=f"{restore.name}_rescaled", like=value)
    graph.insert_before(node, made)
    return made.outputs[0]


def _channels(node: ir.Node, weight: np.ndarray) -> int:
    if node.op_type == "ConvTranspose":
        return int(weight.shape[1]) * integer(node, "group", 1)
    if node.op_type == "MatMul":
        return int(weight.shape[-1])
    return int(weight.shape[0 if node.op_type == "Conv" or integer(node, "transB", 0) else 1])


def _along_channels(node: ir.Node, weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """`scale` in a shape that multiplies the output channels of `weight`."""
    spatial = (1,) * (weight.ndim - 2)
    if node.op_type == "Conv":
        return scale.reshape(-1, 1, *spatial)
    if node.op_type == "ConvTranspose":  # weight (in, out/group, ...): input channel i belongs to group i // (in/group)
        groups = integer(node, "group", 1)
        rows = np.repeat(scale.reshape(groups, -1), weight.shape[0] // groups, axis=0)
        return rows.reshape(weight.shape[:2] + spatial)
    return scale.reshape(-1, 1) if node.op_type == "Gemm" and integer(node, "transB", 0) else scale


def replace_constant(graph: ir.Graph, node: ir.Node, index: int, array: np.ndarray, suffix: str) -> None:
    """Makes operand `index`, which may be absent, the constant `array`, named after what it replaces."""
    old = operand(node, index)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, add_constant(graph, array, f"{old.name if old else node.name}_{suffix}"))
