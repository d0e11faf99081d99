"""Gives every operator of CHANNELS_LAST its channels-last form between two Transposes.

    y = Conv(x, w, b)   ->   t = Transpose<to_last>(x)
                             u = edgeort.nhwc.Conv(t, w, b)     (b = zeros where it was absent)
                             y = Transpose<to_first>(u)

The body of `edgeort.nhwc.Conv` is Transpose<to_first>, Conv, Transpose<to_last>, so that the two pairs are
identities and y is unchanged. Inputs of rank 3, 4 and 5; weights stay in ONNX's layout. The pass only adds
Transposes: `cancel_transposes` removes them.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import functions, layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, integer, is_op, new_node, operand, rank, unique_name

# operator -> how many inputs its channels-last form takes
CHANNELS_LAST: dict[str, int] = {
    "Conv": 3,
    "ConvTranspose": 3,
    "MaxPool": 1,
    "AveragePool": 1,
    "GlobalAveragePool": 1,
    "GlobalMaxPool": 1,
    "LpPool": 1,
    "GlobalLpPool": 1,
    "InstanceNormalization": 3,
    "GroupNormalization": 3,
    "BatchNormalization": 5,
    "LRN": 1,
    "DepthToSpace": 1,
    "SpaceToDepth": 1,
}


def to_nhwc(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph's operators; returns how many."""
    graph, count = model.graph, 0
    transposed: dict[ir.Value, ir.Value] = {}
    for node in list(graph):
        if not is_op(node, *CHANNELS_LAST):
            continue
        reason = _refusal(node)
        if reason:
            ctx.refuse("to_nhwc", node, reason)
            continue
        _rewrite(model, node, transposed)
        count += 1
    return count


def _refusal(node: ir.Node) -> str | None:
    x = node.inputs[0]
    if rank(x) is None:
        return "the rank of its input is unknown, so it keeps ONNX's layout"
    if rank(x) not in layout.RANKS:
        return f"its input has rank {rank(x)}, and channels-last is defined for ranks 3 to 5"
    if any(out.uses() or out.is_graph_output() for out in node.outputs[1:]):
        return "more than its first output is used, and the others are defined on ONNX's layout"
    if is_op(node, "Conv", "ConvTranspose") and operand(node, 2) is None and _channels(node) is None:
        return "it has no bias, and the shape of its weight is unknown"
    if integer(node, "training_mode", 0):
        return "it is in training mode"
    return None


def _channels(node: ir.Node) -> int | None:
    """The number of output channels of a convolution, from its weight's shape."""
    weight = node.inputs[1]
    if weight is None or weight.shape is None or weight.dtype is None:
        return None
    size = weight.shape[0] if node.op_type == "Conv" else weight.shape[1]
    return size * (1 if node.op_type == "Conv" else integer(node, "group", 1)) if isinstance(size, int) else None


def _rewrite(model: ir.Model, node: ir.Node, transposed: dict[ir.Value, ir.Value]) -> None:
    graph, x, out = model.graph, node.inputs[0], node.outputs[0]
    assert x is not None and x.shape is not None
    dims = len(x.shape)
    last, first = layout.to_last(dims), layout.to_first(dims)
    stem = node.name or out.name or node.op_type
    if x not in transposed:
        before = new_node(graph, "Transpose", [x], {"perm": last}, stem=f"{x.name}_nhwc", like=x)
        before.outputs[0].shape = ir.Shape(layout.permute(list(x.shape), last))
        graph.insert_before(node, before)
        transposed[x] = before.outputs[0]
    inputs: list[ir.Value | None] = [transposed[x], *node.inputs[1:]]
    arity = CHANNELS_LAST[node.op_type]
    if is_op(node, "Conv", "ConvTranspose") and operand(node, 2) is None:
        weight, channels = node.inputs[1], _channels(node)
        assert weight is not None and weight.dtype is not None and channels is not None
        inputs[2:] = [add_constant(graph, np.zeros(channels, weight.dtype.numpy()), f"{stem}_bias")]
    domain = functions.channels_last(model, node.op_type, arity)
    attributes = {**node.attributes, "to_nchw": first, "to_nhwc": last}
    call = new_node(graph, node.op_type, inputs, attributes, stem=f"{stem}_nhwc", domain=domain, like=out)
    if out.shape is not None:
        call.outputs[0].shape = ir.Shape(layout.permute(list(out.shape), last))
    after = new_node(graph, "Transpose", call.outputs, {"perm": first}, stem=f"{stem}_nchw", like=out)
    graph.insert_before(node, [call, after])
    name = out.name
    out.replace_all_uses_with(after.outputs[0], replace_graph_outputs=True)
    graph.remove(node, safe=True)
    out.name = unique_name(graph, f"{name}_written")
    after.outputs[0].name = name
