"""Averages an image before a 1x1 convolution rather than after it: both are linear, and the numbers are the same.

    c = Conv<1x1>(x, w, b),  GlobalAveragePool(c)   ->   Conv<1x1>(GlobalAveragePool(x), w, b)

    mean(W x + b) = W mean(x) + b

A squeeze-and-excite block on `c` then no longer waits for all of `c`, so that its scale is applied while `c` is made.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import ints, is_op, new_node, only_user, operand, replace_node
from edgeort.passes.quantised import numbers_of


def average_first(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many averages moved."""
    count = 0
    for pool in list(model.graph):
        value = pool.inputs[0] if is_op(pool, "GlobalAveragePool") else None
        conv = None if value is None else value.producer()
        if conv is None or not is_op(conv, "Conv"):
            continue
        reason = _reason(conv)
        if reason:
            ctx.refuse("average_first", pool, reason)
        else:
            _move(model.graph, pool, conv)
            count += 1
    return count


def _reason(conv: ir.Node) -> str | None:
    """Why the average stays behind the convolution; None where it can come first."""
    weight = numbers_of(operand(conv, 1))
    if weight is None or set(weight.shape[2:]) != {1}:
        return "the convolution before it has a kernel of more than one position, or one that is not constant"
    if set(ints(conv, "strides", (1,))) != {1} or any(ints(conv, "pads", ())):
        return "the convolution before it has strides or pads"
    if weight.shape[1] > weight.shape[0] and only_user(conv.outputs[0]) is None:
        return "the convolution before it reads more channels than it makes"
    return None


def _move(graph: ir.Graph, pool: ir.Node, conv: ir.Node) -> None:
    first = new_node(graph, "GlobalAveragePool", conv.inputs[:1], stem=f"{pool.name}_first")
    graph.insert_before(pool, first)
    attributes = {name: attr.value for name, attr in conv.attributes.items()}
    after = new_node(graph, "Conv", [first.outputs[0], *conv.inputs[1:]], attributes, stem=f"{pool.name}_conv")
    replace_node(graph, pool, after)
    if not conv.outputs[0].uses() and not conv.outputs[0].is_graph_output():
        graph.remove(conv, safe=True)
