"""Folds Mul, Div, Add and Sub by constants, one number an output channel or one for all, into the linear node before.

    Mul(Conv(x, w, b), c)  ->  Conv(x, c w, c b)           Div: c -> 1 / c
    Add(Conv(x, w, b), c)  ->  Conv(x, w, b + c)           Sub: c -> -c;  c - y  ->  -y + c
    the same for ConvTranspose and Gemm;  Mul and Div for MatMul(x, w) with constant w

An Add after MatMul stays: it becomes part of the MatMul's epilogue.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import linear
from edgeort.passes.context import PassContext
from edgeort.passes.edit import bypass, constant, is_op, rank


def fold_scale(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph front to back, so that chains fold whole; returns how many nodes went away."""
    count = 0
    for node in list(model.graph):
        if not is_op(node, "Mul", "Div", "Add", "Sub") or len(node.inputs) != 2:
            continue
        for index in (0, 1):
            value, other = node.inputs[index], constant(node.inputs[1 - index])
            before = linear.read(value.producer()) if value is not None else None
            if value is None or other is None or before is None or _is_matmul_bias(node, value):
                continue
            reason = before if isinstance(before, str) else _fold(model.graph, node, before, other, index)
            if reason:
                ctx.refuse("fold_scale", node, reason)
            else:
                bypass(model.graph, node, value)
                count += 1
            break
    return count


def _is_matmul_bias(node: ir.Node, value: ir.Value) -> bool:
    """MatMul + constant is no match: MatMul has no bias, and the sum is part of its epilogue."""
    return is_op(node, "Add", "Sub") and is_op(value.producer(), "MatMul")


def _fold(graph: ir.Graph, node: ir.Node, before: linear.Linear, other: np.ndarray, index: int) -> str | None:
    """Folds `node`, whose operand `index` is the linear node's result; why not, where it does not."""
    full = linear.rank_of_result(before) or rank(before.node.outputs[0])
    if full is None or other.ndim > full:
        return "its constant has a higher rank than the tensor, or that rank is unknown"
    axis = 1 if before.node.op_type in ("Conv", "ConvTranspose") else full - 1
    padded = (1,) * (full - other.ndim) + other.shape
    if other.size != 1 and (other.size != before.channels or padded[axis] != other.size):
        return "its constant does not have one number an output channel"
    numbers = np.broadcast_to(other.reshape(-1).astype(np.float64), (before.channels,))
    one, zero = np.ones(before.channels), np.zeros(before.channels)
    if node.op_type == "Mul":
        return linear.fold(graph, before, numbers, zero)
    if node.op_type == "Add":
        return linear.fold(graph, before, one, numbers)
    if node.op_type == "Sub":
        return linear.fold(graph, before, one, -numbers) if index == 0 else linear.fold(graph, before, -one, numbers)
    if index == 1 or not numbers.all():
        return "it divides by the linear node's result, or by zero"
    return linear.fold(graph, before, 1.0 / numbers, zero)
