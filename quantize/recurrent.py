"""Weights of recurrent nodes with a scale a column; what they compute with stays float32.

LSTM(x, w, r, ...)     ->     LSTM(x, DequantizeLinear(w8), DequantizeLinear(r8), ...)         also GRU and RNN

Both directions of a node share their columns' scales: DequantizeLinear has one axis. The state goes round through the
weights at every step, so it and the input are not rounded.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, constant, is_op, new_node, operand
from edgeort.quantize import parameters

OPERATORS = ("GRU", "LSTM", "RNN")
NOT_CONSTANT = "it is recurrent, and its weights are not finite float32 constants"
WEIGHTS = (1, 2)  # operands [directions, gates * hidden, k]: of the input and of the state
_COLUMNS = 1


def refusal(node: ir.Node) -> str | None:
    """Why the weights of a recurrent node stay as they are; else None."""
    arrays = [constant(operand(node, at)) for at in WEIGHTS]
    return None if all(map(_fits, arrays)) else NOT_CONSTANT


def _fits(array: np.ndarray | None) -> bool:
    if array is None or array.dtype != np.float32 or array.ndim != 3 or not array.size:
        return False
    return bool(np.isfinite(array).all())


def recurrent(graph: ir.Graph, exclude: Collection[str] = ()) -> list[ir.Node]:
    """The nodes whose weights become int8."""
    return [node for node in graph if is_op(node, *OPERATORS) and node.name not in exclude and refusal(node) is None]


def quantize_recurrent(graph: ir.Graph, exclude: Collection[str] = ()) -> int:
    """Rewrites them; returns how many."""
    found, made = recurrent(graph, exclude), dict[ir.Value, ir.Value]()
    for node in found:
        for at in WEIGHTS:
            value = node.inputs[at]
            assert value is not None
            if value not in made:
                made[value] = _dequantized(graph, node, value)
            node.replace_input_with(at, made[value])
    return len(found)


def _dequantized(graph: ir.Graph, node: ir.Node, value: ir.Value) -> ir.Value:
    """What makes float32 of the integers, before the first node that reads them."""
    array = constant(value)
    assert array is not None
    scales = parameters.weight_scales(array, _COLUMNS, None, np.float32(1))
    operands = [
        add_constant(graph, parameters.quantize_weight(array, _COLUMNS, scales), f"{value.name}_quantized"),
        add_constant(graph, scales, f"{value.name}_scale"),
    ]
    restore = new_node(graph, "DequantizeLinear", operands, {"axis": _COLUMNS}, stem=f"{value.name}_dequantized")
    restore.outputs[0].dtype, restore.outputs[0].shape = ir.DataType.FLOAT, ir.Shape(array.shape)
    graph.insert_before(node, restore)
    return restore.outputs[0]
