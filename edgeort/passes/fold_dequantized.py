"""Makes a DequantizeLinear of constants a float32 constant where what reads it computes in float32 anyway.

    ConvTranspose(x, DequantizeLinear(w8))                ->  ConvTranspose(x, w)
    Conv(DequantizeLinear(x8), DequantizeLinear(w8))      stays: it is a product of integers
    MatMul(x, DequantizeLinear(w8))                       stays: its weights are stored as they are
    LSTM(x, DequantizeLinear(w8), DequantizeLinear(r8))   stays, as do GRU and RNN, but not in a body
    Gather(DequantizeLinear(w8), i), one scale            stays: `move_integers` gathers integers

Storing what the node would compute changes no bit. Runs before the passes that look for constants.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, integer, is_op
from edgeort.passes.quantised import Constant, dequantized, dequantized_constant, numbers_of, quantity

PRODUCTS = ("Conv", "Gemm", "MatMul")
_RECURRENT, _WEIGHTS = ("GRU", "LSTM", "RNN"), (1, 2)  # of the input and of the state


def fold_dequantized(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many operands became constants."""
    graph, count = model.graph, 0
    for node in list(graph):
        out = node.outputs[0]
        constant = dequantized_constant(out) if is_op(node, "DequantizeLinear") else None
        if constant is None or out.dtype != ir.DataType.FLOAT:
            continue
        uses = [use for use in out.uses() if not _stays(node, constant, use.node, use.idx)]
        if not uses:
            continue
        value = add_constant(graph, constant.numbers, str(out.name))
        for use in uses:
            use.node.replace_input_with(use.idx, value)
        count += len(uses)
        if not out.uses() and not out.is_graph_output():
            graph.remove(node, safe=True)
    return count


def _stays(node: ir.Node, stored: Constant, reader: ir.Node, index: int) -> bool:
    if is_op(reader, "Gather"):
        return quantity(node) is not None
    if is_op(reader, *_RECURRENT):
        return index in _WEIGHTS and reader.graph is node.graph and _has_constant_weights(reader)
    if not is_op(reader, *PRODUCTS):
        return False
    depthwise = is_op(reader, "Conv") and stored.stored.shape[:2] == (integer(reader, "group", 1), 1)
    return dequantized(reader.inputs[0]) is not None or (index == 1 and not depthwise)


def _has_constant_weights(recurrent: ir.Node) -> bool:
    """Lowering stores both or neither as they are; the one that it does not store would be computed in each run."""
    return all(numbers_of(recurrent.inputs[index]) is not None for index in _WEIGHTS)
