"""Folds an inference BatchNormalization into the Conv, ConvTranspose or Gemm before it.

y = BatchNormalization(x, gamma, beta, mean, var)  =  s x + t
    s = gamma / sqrt(var + epsilon),  t = beta - mean s                 (Ioffe & Szegedy 2015, algorithm 2)

BatchNormalization(Conv(x, w, b))   ->   Conv(x, s w, s b + t)
BatchNormalization(x)               ->   Add(Mul(x, s), t)              where nothing before it takes s and t
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import linear
from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, bypass, constant, integer, is_op, new_node, number, rank, replace_node


def fold_batchnorm(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites every BatchNormalization of the main graph whose parameters are constants; returns how many."""
    count = 0
    for node in list(model.graph):
        if not is_op(node, "BatchNormalization"):
            continue
        found = _scale_and_shift(node)
        if isinstance(found, str):
            ctx.refuse("fold_batchnorm", node, found)
        elif _fold(model.graph, node, *found, ctx) or _spell_out(model.graph, node, *found, ctx):
            count += 1
    return count


def _scale_and_shift(node: ir.Node) -> tuple[np.ndarray, np.ndarray] | str:
    """s and t in float64, or why there are none."""
    if integer(node, "training_mode", 0) or any(out.uses() for out in node.outputs[1:]):
        return "it is in training mode"
    arrays = [constant(value) for value in node.inputs[1:5]]
    if len(arrays) < 4 or any(a is None for a in arrays):
        return "scale, bias, mean and variance are not all constants"
    gamma, beta, mean, var = (np.asarray(a, np.float64) for a in arrays)
    if not (var + number(node, "epsilon", 1e-5) > 0).all():
        return "its variance plus epsilon is not positive"
    scale = gamma / np.sqrt(var + number(node, "epsilon", 1e-5))
    return scale, beta - mean * scale


def _fold(graph: ir.Graph, node: ir.Node, scale: np.ndarray, shift: np.ndarray, ctx: PassContext) -> bool:
    x = node.inputs[0]
    before = linear.read(x.producer()) if x is not None else None
    if x is None or before is None:
        return False
    reason: str | None = before if isinstance(before, str) else None
    if isinstance(before, linear.Linear):
        known = linear.rank_of_result(before)
        if known is None:
            reason = "MatMul's channels are its last axis, BatchNormalization's the second"
        else:
            reason = linear.fold(graph, before, scale, shift)
    if reason:
        ctx.refuse("fold_batchnorm", node, f"{reason}, so it becomes Mul and Add")
        return False
    bypass(graph, node, x)
    return True


def _spell_out(graph: ir.Graph, node: ir.Node, scale: np.ndarray, shift: np.ndarray, ctx: PassContext) -> bool:
    x, full = node.inputs[0], rank(node.inputs[0])
    if x is None or full is None or full < 2 or x.dtype is None:
        ctx.refuse("fold_batchnorm", node, "the rank or type of its input is unknown")
        return False
    stem, shape, dtype = node.name or "batchnorm", (-1, *(1,) * (full - 2)), x.dtype.numpy()
    factor = add_constant(graph, scale.astype(dtype).reshape(shape), f"{stem}_scale")
    offset = add_constant(graph, shift.astype(dtype).reshape(shape), f"{stem}_shift")
    multiply = new_node(graph, "Mul", [x, factor], stem=f"{stem}_mul", like=node.outputs[0])
    graph.insert_before(node, multiply)
    replace_node(graph, node, new_node(graph, "Add", [multiply.outputs[0], offset], stem=f"{stem}_add"))
    return True
