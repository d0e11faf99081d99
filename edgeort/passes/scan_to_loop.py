"""Writes Scan as the Loop that it is: the body picks its slices itself.

    y... = Scan<body, n scan inputs>(state..., x...)   ->   Loop(Size of x along its axis, none, state...), whose body
    begins with slice = Gather<axis>(x, trip), or Gather<axis>(x, size - 1 - trip) for a reversed input

and what is scanned is transposed where its axis is not the first, and read backwards where it is reversed.
(ONNX specification of Scan, from opset 9 on.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, ints, is_op, new_node, opset, rank

_I64 = ir.TensorType(ir.DataType.INT64)


def scan_to_loop(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many nodes it rewrote."""
    count = 0
    for node in list(model.graph):
        if not is_op(node, "Scan"):
            continue
        if opset(model) < 9:
            ctx.refuse("scan_to_loop", node, "Scan had another form before opset 9")
            continue
        reason = _rewrite(model.graph, node)
        if reason:
            ctx.refuse("scan_to_loop", node, reason)
        else:
            count += 1
    return count


def _rewrite(graph: ir.Graph, node: ir.Node) -> str | None:
    body = node.attributes["body"].as_graph()
    scanned = node.attributes["num_scan_inputs"].as_int()
    states = len(node.inputs) - scanned
    sources = node.inputs[states:]
    if not sources or any(source is None for source in node.inputs):
        return "it has no scan input"
    axes = ints(node, "scan_input_axes", [0] * scanned)
    directions = ints(node, "scan_input_directions", [0] * scanned)
    stem = node.name or "scan"

    shape = _add(graph, "Shape", [sources[0]], _I64, f"{stem}_shape")
    axis = add_constant(graph, np.array(axes[0]), f"{stem}_axis")
    trips = _add(graph, "Gather", [shape.outputs[0], axis], _I64, f"{stem}_trips", axis=0)
    one = add_constant(graph, np.array(1), f"{stem}_one")
    last = _add(graph, "Sub", [trips.outputs[0], one], _I64, f"{stem}_last")
    graph.insert_before(node, [shape, trips, last])

    inside = f"{stem}_{body.name}"  # names of a body may not be those of the graph around it
    trip = ir.Value(name=f"{inside}_trip", type=_I64, shape=ir.Shape([]))
    go = ir.Value(name=f"{inside}_go", type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([]))
    first = []
    for slice_, source, along, reversed_ in zip(list(body.inputs[states:]), sources, axes, directions, strict=True):
        at = trip
        if reversed_:
            back = _add(body, "Sub", [last.outputs[0], trip], _I64, f"{inside}_back")
            first.append(back)
            at = back.outputs[0]
        assert source is not None
        pick = _add(body, "Gather", [source, at], source.type, f"{inside}_slice", axis=along)
        pick.outputs[0].shape = slice_.shape
        slice_.replace_all_uses_with(pick.outputs[0], replace_graph_outputs=True)
        first.append(pick)
    if len(body):
        body.insert_before(body[0], first)
    else:
        body.extend(first)
    del body.inputs[states:]
    body.inputs[:0] = [trip, go]
    still = _add(body, "Identity", [go], go.type, f"{inside}_still")
    body.append(still)
    body.outputs.insert(0, still.outputs[0])
    _replace(graph, node, body, trips.outputs[0], states)
    return None


def _add(
    graph: ir.Graph, op_type: str, inputs: Sequence[ir.Value | None], kind: object, stem: str, **attributes: Any
) -> ir.Node:
    made = new_node(graph, op_type, inputs, attributes, stem=stem)
    made.outputs[0].type = kind  # type: ignore[assignment]
    return made


def _replace(graph: ir.Graph, node: ir.Node, body: ir.Graph, trips: ir.Value, states: int) -> None:
    node.attributes.pop("body")
    inputs = [trips, None, *node.inputs[:states]]
    loop = ir.Node("", "Loop", inputs, [ir.AttrGraph("body", body)], num_outputs=len(node.outputs), name=node.name)
    graph.insert_before(node, loop)
    count = len(node.outputs) - states
    axes = ints(node, "scan_output_axes", [0] * count)
    directions = ints(node, "scan_output_directions", [0] * count)
    for index, (old, new) in enumerate(zip(node.outputs, loop.outputs, strict=True)):
        new.type, value = old.type, new
        scan = index - states
        if scan < 0 or not (axes[scan] or directions[scan]):
            new.shape = old.shape
        else:
            value = _arranged(graph, node, new, rank(old), axes[scan], bool(directions[scan]))
        name, value.shape = old.name, old.shape
        old.replace_all_uses_with(value, replace_graph_outputs=True)
        old.name, value.name = f"{name}.scan", name
    graph.remove(node, safe=True)


def _arranged(
    graph: ir.Graph, node: ir.Node, value: ir.Value, full: int | None, axis: int, backwards: bool
) -> ir.Value:
    """The scanned elements, which lie along the first axis, along `axis` and in the order that was asked for."""
    if backwards:
        ends = [add_constant(graph, np.array([v]), f"{node.name}_end") for v in (-1, -(2**63), 0, -1)]
        made = _add(graph, "Slice", [value, *ends], value.type, f"{node.name}_backwards")
        graph.insert_before(node, made)
        value = made.outputs[0]
    if axis and full:
        perm = list(range(1, full))
        perm.insert(axis % full, 0)
        made = _add(graph, "Transpose", [value], value.type, f"{node.name}_along", perm=perm)
        graph.insert_before(node, made)
        value = made.outputs[0]
    return value
