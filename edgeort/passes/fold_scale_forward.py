"""Folds Mul and Add by constants, one number a channel or one for all, into the convolutions that read the result.

    Conv(x + t, w, b)        ->  Conv(x, w, b + sum(w t))            without pads, which are 0 and take no t
    Conv(s x, w, b)          ->  Conv(x, s w, b)
    Conv(s x + t, w, b)      ->  Conv(x + t / s, s w, b)             with pads

What fold_scale leaves, because an activation comes before: the learnt scales and shifts of PP-LCNet and its kin. Sums
are formed in float64 and rounded once.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import linear
from edgeort.passes.context import PassContext
from edgeort.passes.edit import bypass, constant, dims, integer, ints, is_op, only_user, operand, rank, text

_SMALLEST = 2.0**-64  # that divides a shift: times much smaller ones, weights lose digits


def fold_scale_forward(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph back to front, so that chains fold whole; returns how many nodes went away."""
    count = 0
    for node in reversed(list(model.graph)):
        index = _constant_operand(node)
        if index is None:
            continue
        result = node.outputs[0]
        shift = only_user(result) if node.op_type == "Mul" else None
        if shift is not None and shift.op_type == "Add" and _constant_operand(shift) is not None:
            result = shift.outputs[0]
        convolutions = _readers(result)
        if not convolutions:
            continue
        reason = _fold(model.graph, node, index, convolutions, result)
        if reason:
            ctx.refuse("fold_scale_forward", node, reason)
            continue
        bypass(model.graph, node, node.inputs[1 - index])  # type: ignore[arg-type]
        count += 1
    return count


def _constant_operand(node: ir.Node) -> int | None:
    """Which operand of a Mul or Add is a constant with at most one number a channel, and broadcasts into the other."""
    if not is_op(node, "Mul", "Add") or len(node.inputs) != 2:
        return None
    full = rank(node.outputs[0])
    for index in (0, 1):
        array, other = constant(node.inputs[index]), node.inputs[1 - index]
        if array is None or other is None or full is None or rank(other) != full or array.dtype.kind != "f":
            continue
        shape = (1,) * (full - array.ndim) + array.shape
        if array.size == max(shape[1:2], default=1) and array.size in (1, *dims(other)[1:2]):
            return index
    return None


def _readers(value: ir.Value) -> list[ir.Node]:
    """The convolutions with constant weights that read `value`; none when anything else reads it."""
    uses = list(value.uses())
    fine = all(is_op(use.node, "Conv") and use.idx == 0 and constant(operand(use.node, 1)) is not None for use in uses)
    return [] if value.is_graph_output() or not fine else [use.node for use in uses]


def _fold(graph: ir.Graph, node: ir.Node, index: int, convolutions: list[ir.Node], result: ir.Value) -> str | None:
    """Folds the constant of `node` into all convolutions; why not, where it cannot."""
    numbers = np.asarray(constant(node.inputs[index]), np.float64)
    planned: list[tuple[ir.Node, int, np.ndarray]] = []  # what operand of which node becomes what
    for conv in convolutions:
        weight, bias = np.asarray(constant(conv.inputs[1]), np.float64), constant(operand(conv, 2))
        scaled = weight * _per_input(conv, weight, numbers.reshape(-1))
        if node.op_type == "Mul":
            planned.append((conv, 1, scaled))
        elif any(ints(conv, "pads", ())) or text(conv, "auto_pad", "NOTSET").startswith("SAME"):
            return "the convolution after it pads with 0, which takes no shift"
        elif bias is None and operand(conv, 2) is not None:
            return "the bias of the convolution after it is not a constant"
        else:
            planned.append((conv, 2, scaled.reshape(len(weight), -1).sum(axis=1) + (0 if bias is None else bias)))
    shift = result.producer()
    if shift is not None and shift is not node:
        at = _constant_operand(shift)
        assert at is not None
        if (np.abs(numbers) < _SMALLEST).any():
            return "its scale is 0 or nearly, and the shift after it would be divided by that"
        planned.append((shift, at, np.asarray(constant(shift.inputs[at]), np.float64) / numbers))
    return _replace(graph, planned)


def _per_input(conv: ir.Node, weight: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """`numbers` in a shape that multiplies the input channels of weights [out, in / groups, ...]."""
    if numbers.size == 1:
        return numbers
    groups = integer(conv, "group", 1)
    rows = np.repeat(numbers.reshape(groups, -1), len(weight) // groups, axis=0)
    return rows.reshape(*weight.shape[:2], *(1,) * (weight.ndim - 2))


def _replace(graph: ir.Graph, planned: list[tuple[ir.Node, int, np.ndarray]]) -> str | None:
    """Gives the nodes their new constants, in the dtype of their weights; why not, where that cannot hold one."""
    with np.errstate(over="ignore"):
        arrays = [array.astype(node.outputs[0].dtype.numpy()) for node, _, array in planned]  # type: ignore[union-attr]
    if not all(np.isfinite(array).all() for array in arrays):
        return "the folded constants would not be finite"
    if not all(_keeps(array, wide) for array, (_, _, wide) in zip(arrays, planned, strict=True)):
        return "the folded constants would be too small for their type"
    for (node, index, _), array in zip(planned, arrays, strict=True):
        linear.replace_constant(graph, node, index, array, "forward")
    return None


def _keeps(array: np.ndarray, wide: np.ndarray) -> bool:
    """Whether rounding `wide` to `array` cost no more than its largest number's last digit."""
    error = np.abs(array - wide).max(initial=0)
    return bool(error <= np.finfo(array.dtype).eps * np.abs(wide).max(initial=0))
