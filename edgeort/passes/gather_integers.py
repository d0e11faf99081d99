"""Gathers the integers of a table, and dequantises what was gathered.

    Gather(DequantizeLinear(w8, s, z), i)   ->   (Cast(Gather(w8, i)) - Gather(Cast(z), i)) * Gather(s, i)

for constants with a scale for each slice of an axis; along another axis than the one that is gathered from, s and z are
only reshaped. The bits are the same. Tables with one scale are a matter of `move_integers`. Runs before
`fold_dequantized`, which would make float32 of the table.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, integer, is_op, new_node, rank, replace_node
from edgeort.passes.quantised import BYTES, Constant, dequantized_constant


def gather_integers(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many tables stay integers."""
    count = 0
    for node in list(model.graph):
        stored = dequantized_constant(node.inputs[0]) if is_op(node, "Gather") else None
        if stored is None or stored.axis is None or node.inputs[0] is None:
            continue
        restore = node.inputs[0].producer()
        if restore is None or restore.inputs[0] is None or restore.inputs[0].dtype not in BYTES:
            ctx.refuse("gather_integers", node, "its table is not of 8 bits")
        elif stored.block is not None or rank(node.inputs[1]) is None:
            ctx.refuse("gather_integers", node, "its table has blocks, or its indices have no known rank")
        else:
            _rewrite(model.graph, node, restore.inputs[0], stored)
            count += 1
    return count


def _rewrite(graph: ir.Graph, node: ir.Node, table: ir.Value, stored: Constant) -> None:
    axis, indices, out = integer(node, "axis", 0) % stored.stored.ndim, node.inputs[1], node.outputs[0]

    def add(
        op_type: str, *inputs: ir.Value | None, dtype: ir.DataType = ir.DataType.FLOAT, **attributes: int
    ) -> ir.Value:
        made = new_node(graph, op_type, inputs, attributes, stem=f"{node.name}_{op_type.lower()}")
        made.outputs[0].dtype = dtype
        graph.insert_before(node, made)
        return made.outputs[0]

    def gathered(numbers: np.ndarray, name: str) -> ir.Value:
        if axis == stored.axis:
            return add("Gather", add_constant(graph, numbers, f"{node.name}_{name}"), indices, axis=axis)
        shape = numbers.shape[:axis] + (1,) * (rank(indices) or 0) + numbers.shape[axis + 1 :]
        return add_constant(graph, numbers.reshape(shape), f"{node.name}_{name}")

    integers = add("Gather", table, indices, axis=axis)
    integers.type, integers.shape = table.type, out.shape
    numbers = add("Cast", integers, to=ir.DataType.FLOAT.value)
    if stored.zero.any():
        zero = np.broadcast_to(stored.zero.astype(np.float32), stored.scale.shape)
        numbers = add("Sub", numbers, gathered(zero, "zero"))
    scale = gathered(stored.scale, "scale")
    replace_node(graph, node, new_node(graph, "Mul", [numbers, scale], stem=f"{node.name}_restored"))
