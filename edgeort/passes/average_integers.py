"""Makes the mean over an image of dequantised integers a GlobalAveragePool, whose kernel reads the integers.

    ReduceMean<axes = spatial, keepdims = 1>(DequantizeLinear(q))   ->   GlobalAveragePool(DequantizeLinear(q))
    ReduceMean<axes = spatial, keepdims = 0>(DequantizeLinear(q))   ->   Flatten<axis = 1>(GlobalAveragePool(...))

for q of [batch, channels, spatial...]; the two are one sum in one order.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import integer, is_op, new_node, rank, replace_node
from edgeort.passes.layout_edit import read_axes
from edgeort.passes.quantised import dequantized


def average_integers(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many means became pools."""
    count = 0
    for node in list(model.graph):
        x = node.inputs[0] if is_op(node, "ReduceMean") else None
        full = rank(x)
        if x is None or full not in layout.RANKS or dequantized(x) is None:
            continue
        axes, known = read_axes(node, 1)
        if not known or axes is None or sorted(axis % full for axis in axes) != list(range(2, full)):
            continue
        pool = new_node(model.graph, "GlobalAveragePool", [x], stem=node.name or "mean", like=node.outputs[0])
        if integer(node, "keepdims", 1):
            replace_node(model.graph, node, pool)
        else:
            assert x.shape is not None
            pool.outputs[0].shape = ir.Shape([*x.shape[:2], *(1,) * (full - 2)])
            model.graph.insert_before(node, pool)
            flat = new_node(model.graph, "Flatten", pool.outputs, {"axis": 1}, stem=f"{node.name}_flat")
            replace_node(model.graph, node, flat)
        count += 1
    return count
