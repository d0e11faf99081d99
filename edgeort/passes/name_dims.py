"""Gives dimensions that ONNX's shape inference leaves open a name, so that later passes can tell equal ones.

    x [N,3,?,?]  ->  x [N,3,x_dim2,x_dim3]
    Conv<3x3, strides 2, pads 1>(x)  ->  [N,16,floor((x_dim2 - 1)/2) + 1,...]     a 3x3 with stride 1: as its input
    Reshape(x, Concat(Shape(x)[0:1], [12, -1]))  ->  Reshape(x, [0, 12, -1])

Two dimensions with the same name are equal for every input; nothing is said of dimensions with different names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgeort.model import infer_shapes
from edgeort.passes.context import PassContext
from edgeort.passes.dim_rules import Dim, output_dims
from edgeort.passes.edit import add_constant, constant, dims, integer, is_op, rank

ROUNDS = 16  # every round reaches past one more Reshape whose target depends on the one before


def name_dims(model: ir.Model, ctx: PassContext) -> int:
    """Names dimensions of the main graph; returns how many Reshapes got a constant target."""
    for value in model.graph.inputs:
        if value.shape is not None:
            value.shape = _named(value)
    count = 0
    for _ in range(ROUNDS):
        unranked = _unranked(model.graph)
        count += _name_once(model)
        if _unranked(model.graph) in (0, unranked):
            break
        infer_shapes(model)
    return count


def _unranked(graph: ir.Graph) -> int:
    return sum(value.shape is None for node in graph for value in node.outputs)


def _name_once(model: ir.Model) -> int:
    """One walk from front to back."""
    count = 0
    for node in model.graph:
        for value, found in zip(node.outputs, output_dims(node), strict=False):
            _fill(value, found)
        for value in node.outputs:
            if value.shape is not None:
                value.shape = _named(value)
        count += _materialize_reshape(model, node)
    return count


def _named(value: ir.Value) -> ir.Shape:
    """The shape of a value, with its own name and the axis for dimensions that are still unknown."""
    return ir.Shape([d if d is not None else f"{value.name}_dim{i}" for i, d in enumerate(dims(value))])


def _fill(value: ir.Value, found: Sequence[Dim] | None) -> None:
    if found is None or (value.shape is not None and len(value.shape) != len(found)):
        return
    known = dims(value) if value.shape is not None else [None] * len(found)
    # what an exporter declares of an output is a name of its own for a size that has one already
    override = value.is_graph_output()
    merged = [
        new if isinstance(new, int) or old is None or (override and new is not None) else old
        for old, new in zip(known, found, strict=True)
    ]
    value.shape = ir.Shape(merged)


def _materialize_reshape(model: ir.Model, node: ir.Node) -> int:
    """A Reshape whose target is computed, but known up to one dimension, gets a constant target."""
    if not is_op(node, "Reshape") or constant(node.inputs[1]) is not None or integer(node, "allowzero", 0):
        return 0
    x, out = node.inputs[0], node.outputs[0]
    if x is None or rank(out) is None:
        return 0
    source = dims(x) if x.shape is not None else []
    target = []
    for axis, size in enumerate(dims(out)):
        same = isinstance(size, str) and axis < len(source) and source[axis] == size
        target.append(size if isinstance(size, int) else 0 if same else -1)
    if target.count(-1) > 1 or any(size == 0 for size in dims(out)):
        return 0
    node.replace_input_with(1, add_constant(model.graph, np.array(target, np.int64), f"{node.name}_shape"))
    return 1
