"""Tables of embeddings with a scale a row.

Gather(table, i)     ->     Cast(Gather(q, i)) * Gather(s, i)         q int8 [rows, width], s float32 [rows, 1]
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import add_constant, constant, integer, is_op, new_node, operand, replace_node
from edgeort.quantize import parameters

FEWEST = 4096  # numbers of a table: smaller ones are not worth the operators


def tables(graph: ir.Graph, exclude: Collection[str] = ()) -> list[ir.Node]:
    """The Gathers of rows of constant float32 matrices. A table stays as it is where one of its readers is excluded."""
    gathers = [node for node in graph if is_op(node, "Gather") and _table(node) is not None]
    left = {node.inputs[0] for node in gathers if node.name in exclude}
    return [node for node in gathers if node.inputs[0] not in left]


def quantize_tables(graph: ir.Graph, exclude: Collection[str] = ()) -> int:
    """Rewrites them; returns how many."""
    found, made = tables(graph, exclude), dict[ir.Value, tuple[ir.Value, ir.Value]]()
    for node in found:
        value, array = node.inputs[0], _table(node)
        assert value is not None and array is not None
        if value not in made:
            scales = parameters.weight_scales(array, 0, None, np.float32(1))
            integers = parameters.quantize_weight(array, 0, scales)
            made[value] = (
                add_constant(graph, integers, f"{value.name}_quantized"),
                add_constant(graph, scales[:, np.newaxis], f"{value.name}_scale"),
            )
        _rewrite(graph, node, *made[value])
    return len(found)


def _table(node: ir.Node) -> np.ndarray | None:
    array = constant(operand(node, 0))
    if array is None or array.ndim != 2 or array.dtype != np.float32 or array.size < FEWEST or array.shape[1] < 2:
        return None
    return array if integer(node, "axis", 0) in (0, -2) and constant(operand(node, 1)) is None else None


def _rewrite(graph: ir.Graph, node: ir.Node, integers: ir.Value, scales: ir.Value) -> None:
    indices, stem = node.inputs[1], str(node.name)
    rows = new_node(graph, "Gather", [integers, indices], stem=f"{stem}_integers")
    steps = new_node(graph, "Gather", [scales, indices], stem=f"{stem}_scale")
    wide = new_node(graph, "Cast", rows.outputs, {"to": ir.DataType.FLOAT.value}, stem=f"{stem}_float")
    graph.insert_before(node, (rows, steps, wide))
    product = [wide.outputs[0], steps.outputs[0]]
    replace_node(graph, node, new_node(graph, "Mul", product, stem=f"{stem}_row", like=node.outputs[0]))
