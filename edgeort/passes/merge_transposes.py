"""Local clean-up of Transposes.

    Transpose<p>(constant)                      ->  constant
    Transpose<identity>(x)                      ->  x
    Transpose<q>(Transpose<p>(x))               ->  Transpose<p[q]>(x)          out[i] = x[p[q[i]]]
    two Transpose<p>(x)                         ->  one
    Transpose<p>(x), p moves only 1-dimensions  ->  Reshape(x)                  (`reshape_transposes`)
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import add_constant, bypass, constant, dims, ints, is_op, new_node, replace_node, set_attribute


def perm_of(node: ir.Node) -> list[int] | None:
    """The perm of a Transpose; None when it is the default one and the rank is unknown."""
    if "perm" in node.attributes:
        return ints(node, "perm", ())
    x = node.inputs[0]
    return None if x is None or x.shape is None else list(reversed(range(len(x.shape))))


def merge_transposes(model: ir.Model, ctx: PassContext) -> int:
    """Cancels and merges neighbouring Transposes of the main graph; returns how many it removed."""
    count = 0
    seen: dict[tuple[int, tuple[int, ...]], ir.Value] = {}
    kept: list[ir.Value] = []  # holds the values whose ids are keys
    for node in list(model.graph):
        perm = perm_of(node) if is_op(node, "Transpose") else None
        if perm is None:
            continue
        x = node.inputs[0]
        assert x is not None
        inner = x.producer()
        inner_perm = perm_of(inner) if inner is not None and is_op(inner, "Transpose") else None
        if inner is not None and inner_perm is not None:
            perm = layout.permute(inner_perm, perm)
            x = inner.inputs[0]
            assert x is not None
            node.replace_input_with(0, x)
            set_attribute(node, "perm", perm)
            count += 1
        count += _simplify(model.graph, node, x, perm, seen, kept)
    _drop_unused(model.graph)
    return count


def _simplify(
    graph: ir.Graph,
    node: ir.Node,
    x: ir.Value,
    perm: list[int],
    seen: dict[tuple[int, tuple[int, ...]], ir.Value],
    kept: list[ir.Value],
) -> int:
    array = constant(x)
    key = (id(x), tuple(perm))
    is_output = node.outputs[0].is_graph_output()
    if array is not None and not is_output:
        bypass(graph, node, add_constant(graph, array.transpose(perm), f"{x.name}_transposed"))
        return 1
    if perm == sorted(perm) and not (is_output and (x.is_graph_output() or x.producer() is None)):
        bypass(graph, node, x)
        return 1
    if key in seen and not is_output:
        bypass(graph, node, seen[key])
        return 1
    seen[key] = node.outputs[0]
    kept.append(x)
    return 0


def _drop_unused(graph: ir.Graph) -> None:
    for node in reversed(list(graph)):
        if is_op(node, "Transpose") and not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
            graph.remove(node, safe=True)


def reshape_transposes(model: ir.Model, ctx: PassContext) -> int:
    """Turns Transposes that move no element into Reshapes; returns how many."""
    count = 0
    for node in list(model.graph):
        x = node.inputs[0] if is_op(node, "Transpose") else None
        perm = perm_of(node) if x is not None else None
        if x is None or perm is None or x.shape is None or not layout.keeps_order(dims(x), perm):
            continue
        target = reshape_target(layout.permute(dims(x), perm), keeps_first=perm[0] == 0)
        if target is None:
            ctx.refuse("reshape_transposes", node, "it moves no element, but two dimensions of it are only known at run time")
            continue
        shape = add_constant(model.graph, np.array(target, np.int64), f"{node.name}_shape")
        replace_node(model.graph, node, new_node(model.graph, "Reshape", [x, shape], stem=f"{node.name}_reshape"))
        count += 1
    return count


def reshape_target(target: list[int | str | None], *, keeps_first: bool) -> list[int] | None:
    """`target` as the constant second input of Reshape (0: as in the source, -1: the rest); None: impossible.

    `keeps_first` says that dimension 0 of the source is dimension 0 of the target.
    """
    if any(d == 0 for d in target):
        return None
    result = [d if isinstance(d, int) else -1 for d in target]
    if keeps_first and result and result[0] == -1:
        result[0] = 0
    return result if result.count(-1) <= 1 else None
