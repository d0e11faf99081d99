"""DepthToSpace and SpaceToDepth between two Transposes that remained work on planes after all.

    Transpose -> edgeort.nhwc.DepthToSpace -> Transpose    ->    DepthToSpace

Both forms have kernels, and all that these three do is to move pixels.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import is_op, new_node, only_user, replace_node
from edgeort.passes.functions import NHWC
from edgeort.passes.merge_transposes import perm_of


def rearrange_planes(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites them; returns how many."""
    graph, count = model.graph, 0
    for node in list(graph):
        after = only_user(node.outputs[0]) if is_op(node, "DepthToSpace", "SpaceToDepth", domain=NHWC) else None
        before = None if after is None or node.inputs[0] is None else node.inputs[0].producer()
        if before is None or after is None or not (is_op(before, "Transpose") and is_op(after, "Transpose")):
            continue
        if perm_of(before) != [*layout.to_last(4)] or perm_of(after) != [*layout.to_first(4)]:
            continue
        attributes = {name: a.value for name, a in node.attributes.items() if name not in ("to_nchw", "to_nhwc")}
        made = new_node(graph, node.op_type, [before.inputs[0]], attributes, stem=f"{node.name}_planes")
        replace_node(graph, after, made)
        graph.remove(node, safe=True)
        if not before.outputs[0].uses() and not before.outputs[0].is_graph_output():
            graph.remove(before, safe=True)
        count += 1
    return count
