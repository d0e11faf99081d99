"""Writes a channel shuffle so that it works on channels-last tensors (Zhang et al. 2018, arXiv:1707.01083, figure 1).

    [N,C,H,W] -Reshape-> [N,g,C/g,H,W] -Transpose<0,2,1,3,4>-> [N,C/g,g,H,W] -Reshape-> [N,C,H,W]
  ->
    Transpose<0,2,3,1> [N,H,W,C] -Reshape-> [N,H,W,g,C/g] -Transpose<0,1,2,4,3>-> [N,H,W,C/g,g] -Reshape-> [N,H,W,C]
    Transpose<0,3,1,2>

Both move channel i to place (i mod C/g) g + i div C/g. `cancel_transposes` then removes the outer two.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, dims, is_op, new_node, only_user, rank, replace_node
from edgeort.passes.merge_transposes import perm_of


def channel_shuffle(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the channel shuffles of the main graph; returns how many."""
    count = 0
    for node in list(model.graph):
        inner = only_user(node.outputs[0]) if is_op(node, "Reshape") else None
        outer = only_user(inner.outputs[0]) if inner is not None and is_op(inner, "Transpose") else None
        if inner is None or outer is None or not is_op(outer, "Reshape") or perm_of(inner) != [0, 2, 1, 3, 4]:
            continue
        groups = _groups(node, outer)
        if groups is None:
            ctx.refuse("channel_shuffle", node, "the sizes around it are not known to be those of a channel shuffle")
            continue
        _replace(model.graph, node, outer, *groups)
        model.graph.remove([inner, node], safe=True)
        count += 1
    return count


def _groups(first: ir.Node, last: ir.Node) -> tuple[int, int] | None:
    """g and C/g, when first splits the channels and last merges them again, and nothing else changes."""
    x, split, out = first.inputs[0], first.outputs[0], last.outputs[0]
    if x is None or rank(x) != 4 or rank(split) != 5 or rank(out) != 4:
        return None
    source, middle, result = dims(x), dims(split), dims(out)
    groups, size = middle[1], middle[2]
    if not isinstance(groups, int) or not isinstance(size, int) or source[1] != groups * size:
        return None
    kept = [middle[0], source[1], *middle[3:]]
    return (groups, size) if None not in source and source == kept == result else None


def _replace(graph: ir.Graph, first: ir.Node, last: ir.Node, groups: int, size: int) -> None:
    x, stem = first.inputs[0], first.name or "shuffle"
    split = add_constant(graph, np.array([0, 0, 0, groups, size], np.int64), f"{stem}_split")
    merge = add_constant(graph, np.array([0, 0, 0, groups * size], np.int64), f"{stem}_merge")
    value, nodes = x, []
    for op_type, extra, perm in (
        ("Transpose", [], layout.to_last(4)),
        ("Reshape", [split], None),
        ("Transpose", [], (0, 1, 2, 4, 3)),
        ("Reshape", [merge], None),
    ):
        attributes = {} if perm is None else {"perm": perm}
        node = new_node(graph, op_type, [value, *extra], attributes, stem=f"{stem}_nhwc")
        node.outputs[0].type = last.outputs[0].type
        nodes.append(node)
        value = node.outputs[0]
    _set_shapes(nodes, first, groups, size)
    graph.insert_before(last, nodes)
    replace_node(graph, last, new_node(graph, "Transpose", [value], {"perm": layout.to_first(4)}, stem=f"{stem}_nchw"))


def _set_shapes(nodes: list[ir.Node], first: ir.Node, groups: int, size: int) -> None:
    assert first.inputs[0] is not None
    n, c, h, w = dims(first.inputs[0])
    shapes = ([n, h, w, c], [n, h, w, groups, size], [n, h, w, size, groups], [n, h, w, c])
    for node, shape in zip(nodes, shapes, strict=True):
        node.outputs[0].shape = ir.Shape(shape)
