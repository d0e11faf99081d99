"""Lets the first layer of a network for pictures read its planes as they come.

    t = Transpose<to_last>(x)                      ->  y = edgeort.nhwc.Conv<to_nchw = identity>(x, w, b)
    y = edgeort.nhwc.Conv<to_nchw = to_first>(t, w, b)

for a convolution that the runtime has a kernel for: 3 channels, 3x3 or 7x7, stride 2. `eliminate_dead` removes the
Transpose when nothing else reads it.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import integer, ints, is_op, set_attribute
from edgeort.passes.functions import NHWC
from edgeort.passes.quantised import numbers_of

_WEIGHTS = ((3, 3, 3), (3, 7, 7))  # of one output channel
_RANK = 4


def read_planes(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many convolutions read planes."""
    count = 0
    for node in model.graph:
        if not is_op(node, "Conv", domain=NHWC) or not _fits(node):
            continue
        before = node.inputs[0].producer() if node.inputs[0] is not None else None
        if before is None or not is_op(before, "Transpose") or tuple(ints(before, "perm", ())) != layout.to_last(_RANK):
            continue
        node.replace_input_with(0, before.inputs[0])
        set_attribute(node, "to_nchw", list(range(_RANK)))
        count += 1
    return count


def reads_planes(node: ir.Node) -> bool:
    """Whether an edgeort.nhwc.Conv takes its input channels first."""
    return ints(node, "to_nchw", ()) == list(range(_RANK))


def _fits(node: ir.Node) -> bool:
    weight = numbers_of(node.inputs[1])
    return (
        weight is not None
        and weight.shape[1:] in _WEIGHTS
        and integer(node, "group", 1) == 1
        and list(ints(node, "strides", (1, 1))) == [2, 2]
        and list(ints(node, "dilations", (1, 1))) == [1, 1]
        and min(ints(node, "pads", (0,))) >= 0
        and node.inputs[0] is not None
        and node.inputs[0].dtype == ir.DataType.FLOAT
    )
