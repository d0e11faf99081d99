"""Takes a tensor out of a sum with its own scaled self, so that it is read and written once.

    Add(x, Mul(x, s))   ->   Mul(x, Add(s, 1))            s smaller than x: one number a channel, say

x + x s = x (1 + s): the squeeze-and-excite blocks with a residual of PP-OCR's feature pyramid.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, dims, is_op, new_node, only_user, replace_node


def factor_residual(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many sums went away."""
    count = 0
    for node in list(model.graph):
        if not is_op(node, "Add"):
            continue
        for x, scaled in (node.inputs, reversed(node.inputs)):
            scale = _scale(x, scaled)
            if x is not None and scaled is not None and scale is not None:
                _rewrite(model.graph, node, x, scaled, scale)
                count += 1
                break
    return count


def _scale(x: ir.Value | None, scaled: ir.Value | None) -> ir.Value | None:
    """s where `scaled` is x s, nothing else reads it, and s is known to be smaller than x."""
    multiply = None if scaled is None else scaled.producer()
    if x is None or scaled is None or multiply is None or not is_op(multiply, "Mul") or only_user(scaled) is None:
        return None
    left, right = multiply.inputs
    scale = right if left is x else left if right is x else None
    if scale is None or scale is x or scale.shape is None or x.shape is None or len(scale.shape) > len(x.shape):
        return None
    pairs = list(zip([1] * (len(x.shape) - len(scale.shape)) + dims(scale), dims(x), strict=True))
    broadcasts = all(small == 1 or small == full for small, full in pairs)
    return scale if broadcasts and any(small == 1 and full != 1 for small, full in pairs) else None


def _rewrite(graph: ir.Graph, node: ir.Node, x: ir.Value, scaled: ir.Value, scale: ir.Value) -> None:
    assert scale.dtype is not None
    one = add_constant(graph, np.array(1, scale.dtype.numpy()), f"{node.name}_one")
    more = new_node(graph, "Add", [scale, one], stem=f"{node.name}_more", like=scale)
    graph.insert_before(node, more)
    replace_node(graph, node, new_node(graph, "Mul", [x, more.outputs[0]], stem=f"{node.name}_scale"))
    graph.remove(scaled.producer(), safe=True)  # type: ignore[arg-type]
