"""Makes a DequantizeLinear of constants a float32 constant where what reads it computes in float32 anyway.

    Conv(x, DequantizeLinear(w8))                         ->  Conv(x, w)
    Conv(DequantizeLinear(x8), DequantizeLinear(w8))      stays: it is a product of integers
    Gather(DequantizeLinear(w8), i), one scale            stays: `move_integers` gathers integers

Storing what the node would compute changes no bit. Runs before the passes that look for constants.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, is_op
from edgeort.passes.quantised import dequantized, dequantized_constant, quantity

PRODUCTS = ("Conv", "Gemm", "MatMul")


def fold_dequantized(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many operands became constants."""
    graph, count = model.graph, 0
    for node in list(graph):
        out = node.outputs[0]
        constant = dequantized_constant(out) if is_op(node, "DequantizeLinear") else None
        uses = [use for use in out.uses() if not _stays(node, use.node)]
        if constant is None or not uses or out.dtype != ir.DataType.FLOAT:
            continue
        value = add_constant(graph, constant.numbers, str(out.name))
        for use in uses:
            use.node.replace_input_with(use.idx, value)
        count += len(uses)
        if not out.uses() and not out.is_graph_output():
            graph.remove(node, safe=True)
    return count


def _stays(node: ir.Node, reader: ir.Node) -> bool:
    if is_op(reader, "Gather"):
        return quantity(node) is not None
    return is_op(reader, *PRODUCTS) and dequantized(reader.inputs[0]) is not None
