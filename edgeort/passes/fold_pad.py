"""Folds a constant Pad of the spatial axes into the pads of the Conv, AveragePool or MaxPool after it.

    Conv<pads p>(Pad<q, value 0>(x))                            ->  Conv<pads p + q>(x)
    AveragePool<pads p, count_include_pad 1>(Pad<q, value 0>)   ->  AveragePool<pads p + q, count_include_pad 1>
    AveragePool<pads 0, count_include_pad 0>(Pad<q, value 0>)   ->  AveragePool<pads q, count_include_pad 1>
    MaxPool<pads p>(Pad<q, value -inf>(x))                      ->  MaxPool<pads p + q>(x)
    MaxPool<pads 0>(Pad<q, value 0>(x)), x >= 0                 ->  MaxPool<pads q>(x)

MaxPool's own padding never wins. A zero that does win, or ties, gives 0 = max(x, 0) only if no x is negative, and
every window must hold an element of x: the pads stay smaller than the window, and dilations are 1. The lowest finite
float32 is taken for -inf: some exporters write it, and it differs for windows of -inf alone.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import constant, integer, ints, is_op, only_user, operand, rank, set_attribute, text

_NON_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Abs", "Exp", "Softplus", "Softmax", "Sqrt")


def fold_pad(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many Pads went away."""
    count = 0
    for node in list(model.graph):
        pad = node.inputs[0].producer() if is_op(node, "Conv", "AveragePool", "MaxPool") and node.inputs[0] else None
        if pad is None or not is_op(pad, "Pad"):
            continue
        found = _read(pad)
        reason = found if isinstance(found, str) else _fold(node, pad, *found)
        if reason:
            ctx.refuse("fold_pad", pad, reason)
            continue
        node.replace_input_with(0, pad.inputs[0])
        model.graph.remove(pad, safe=True)
        count += 1
    return count


def _read(pad: ir.Node) -> tuple[list[int], float] | str:
    """The spatial pads, begins then ends, and the value; or why the Pad stays."""
    if text(pad, "mode", "constant") != "constant":
        return f"it pads by {text(pad, 'mode', 'constant')}, and pads of an operator are constant"
    full, pads = rank(pad.inputs[0]) or rank(pad.outputs[0]), constant(operand(pad, 1))
    value, axes = operand(pad, 2), operand(pad, 3)
    if full is None or pads is None or (value is not None and constant(value) is None):
        return "its pads, its value or the rank of its input are not known before the run"
    if axes is not None and constant(axes) is None:
        return "its axes are not constant"
    array = constant(axes)
    which = range(full) if array is None else [int(a) % full for a in array.reshape(-1)]
    begins, ends = [0] * full, [0] * full
    for i, axis in enumerate(which):
        begins[axis], ends[axis] = int(pads[i]), int(pads[len(pads) // 2 + i])
    if any(begins[:2] + ends[:2]) or min(begins + ends) < 0:
        return "it pads batch or channels, or it crops"
    if only_user(pad.outputs[0]) is None:
        return "its result is used elsewhere too"
    filler = constant(value)
    return begins[2:] + ends[2:], 0.0 if filler is None or not filler.size else float(filler.reshape(-1)[0])


def _fold(node: ir.Node, pad: ir.Node, extra: list[int], filler: float) -> str | None:
    """Adds `extra` to the node's pads; why not, where the result would differ."""
    if text(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return f"the {node.op_type} after it chooses its pads by itself"
    own = ints(node, "pads", [0] * len(extra))
    if node.op_type != "Conv":
        reason = _pool_reason(node, pad, extra, own, filler)
        if reason:
            return reason
        if node.op_type == "AveragePool":
            set_attribute(node, "count_include_pad", 1)
    elif filler != 0:
        return f"its value is {filler:g}, and Conv pads with 0"
    node.attributes.pop("auto_pad", None)
    set_attribute(node, "pads", [a + b for a, b in zip(own, extra, strict=True)])
    return None


def _pool_reason(node: ir.Node, pad: ir.Node, extra: list[int], own: list[int], filler: float) -> str | None:
    kernel = ints(node, "kernel_shape", ())
    total = [a + b for a, b in zip(own, extra, strict=True)]
    dilated = any(d != 1 for d in ints(node, "dilations", (1,)))
    if dilated or any(p >= k for p, k in zip(total, kernel * 2, strict=True)):
        return f"a window of the {node.op_type} after it could lie wholly in the padding"
    if integer(node, "ceil_mode", 0):
        return f"the {node.op_type} after it rounds its size up, which counts the padding differently"
    if node.op_type == "AveragePool":
        exact = filler == 0 and (not any(own) or integer(node, "count_include_pad", 0) == 1)
        return None if exact else "its elements count in the average, and those of the pool's own padding do not"
    if len(node.outputs) > 1 and node.outputs[1].uses():
        return "the indices of the MaxPool after it are used"
    if filler <= float(np.finfo(np.float32).min) or (filler == 0 and not any(own) and _non_negative(pad.inputs[0])):
        return None
    return f"its value {filler:g} could be the largest of a window, and MaxPool's padding never is"


def _non_negative(value: ir.Value | None) -> bool:
    node = None if value is None else value.producer()
    if is_op(node, "Clip") and node is not None:
        low = constant(operand(node, 1))
        return low is not None and float(low.reshape(-1)[0]) >= 0
    return is_op(node, *_NON_NEGATIVE)
