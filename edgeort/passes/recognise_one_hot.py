"""Takes rows of a matrix where a graph multiplies it by one-hot vectors, as exports from JAX do for embeddings.

    MatMul(Cast<float>(Equal(i, [0, 1, ..., n - 1])), W)   ->   Gather([0; W; 0], Clip(i + 1, 0, n + 1))
    f(Gather(T, i))                                        ->   Gather(f(T), i)

i has the shape [..., 1], W [n, m] is a finite constant. An index outside W has no one in its vector: its row is 0. f is
an elementwise operator whose other operand is a constant with one number a column. T has fewer rows than i takes.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.context import PassContext
from edgeort.passes.edit import (
    add_constant,
    bypass,
    constant,
    dims,
    is_op,
    new_node,
    only_user,
    opset,
    rank,
    replace_node,
)
from edgeort.passes.elementwise import is_program_operator


def recognise_one_hot(model: ir.Model, ctx: PassContext) -> int:
    """Rewrites the main graph; returns how many products and elementwise nodes went away."""
    if opset(model) < 13:  # Squeeze takes its axes as an operand
        return 0
    count = 0
    for node in list(model.graph):
        rows = _product(model.graph, node, ctx) if is_op(node, "MatMul") else None
        if rows is not None:
            count += 1 + _through_table(model.graph, rows)
    return count


def _product(graph: ir.Graph, node: ir.Node, ctx: PassContext) -> ir.Node | None:
    """The Gather that took the product's place."""
    index = _index(node.inputs[0])
    weight = constant(node.inputs[1])
    if index is None or weight is None or weight.ndim != 2:
        return None
    value, n = index
    if n != len(weight) or not np.isfinite(weight).all():
        ctx.refuse("recognise_one_hot", node, "its matrix has infinite values, or another number of rows")
        return None
    assert value.dtype is not None
    dtype = value.dtype.numpy()

    def add(op: str, inputs: list[ir.Value | None]) -> ir.Value:
        made = new_node(graph, op, inputs, stem=f"{node.name}_{op.lower()}")
        graph.insert_before(node, made)
        return made.outputs[0]

    def number(array: object, stem: str) -> ir.Value:
        return add_constant(graph, np.array(array, dtype), f"{node.name}_{stem}")

    flat = add("Squeeze", [value, add_constant(graph, np.array([-1]), f"{node.name}_last")])
    moved = add("Clip", [add("Add", [flat, number(1, "one")]), number(0, "least"), number(n + 1, "most")])
    table = add_constant(graph, np.pad(weight, ((1, 1), (0, 0))), f"{node.name}_table")
    rows = new_node(graph, "Gather", [table, moved], stem=f"{node.name}_rows")
    replace_node(graph, node, rows)
    return rows


def _index(one_hot: ir.Value | None) -> tuple[ir.Value, int] | None:
    """i [..., 1] and n, where `one_hot` is Cast<float>(Equal(i, [0, ..., n - 1]))."""
    cast = None if one_hot is None else one_hot.producer()
    equal = cast.inputs[0].producer() if cast is not None and is_op(cast, "Cast") and cast.inputs[0] else None
    if equal is None or not is_op(equal, "Equal"):
        return None
    for value, other in (equal.inputs, reversed(equal.inputs)):
        numbers = constant(other)
        if value is None or numbers is None or (rank(value) or 0) < max(1, numbers.ndim) or dims(value)[-1] != 1:
            continue
        counts = numbers.dtype in (np.int32, np.int64) and numbers.ndim > 0 and numbers.size == numbers.shape[-1]
        if counts and np.array_equal(numbers.reshape(-1), np.arange(numbers.size)):
            return value, numbers.size
    return None


def _through_table(graph: ir.Graph, gather: ir.Node) -> int:
    """Moves the elementwise nodes after a Gather before it, if the table has fewer rows; returns how many moved."""
    table, out = constant(gather.inputs[0]), gather.outputs[0]
    rows = 0 if out.shape is None else np.prod([d if isinstance(d, int) else 1 for d in dims(out)[:-1]])
    if table is None or rows < len(table):
        return 0
    count = 0
    while (node := only_user(out)) is not None and is_program_operator(node):
        others = {v: constant(v) for v in node.inputs if v is not out}
        if len(others) > 1 or not all(_is_row(c, table.shape[1], len(dims(out))) for c in others.values()):
            break
        columns = {v: _add_row(graph, c, f"{node.name}_column") for v, c in others.items()}  # type: ignore[arg-type]
        inputs = [gather.inputs[0] if v is out else columns[v] for v in node.inputs]
        attributes = {name: attr.value for name, attr in node.attributes.items()}
        moved = new_node(graph, node.op_type, inputs, attributes, stem=f"{node.name}_table", domain=node.domain)
        graph.insert_before(gather, moved)
        gather.replace_input_with(0, moved.outputs[0])
        bypass(graph, node, out)
        count += 1
    return count


def _is_row(array: np.ndarray | None, columns: int, most: int) -> bool:
    """Whether an array of rank `most` at most is one number, or one a column."""
    return array is not None and array.ndim <= most and (array.size == 1 or array.size == array.shape[-1] == columns)


def _add_row(graph: ir.Graph, array: np.ndarray, stem: str) -> ir.Value:
    """The array without the dimensions of one element before its columns; a scalar where it is one number."""
    return add_constant(graph, array.reshape(-1 if array.size > 1 else ()), stem)
