"""Local clean-up of Transposes.

Transpose<p>(constant)                      ->  constant
Transpose<identity>(x)                      ->  x
Transpose<q>(Transpose<p>(x))               ->  Transpose<p[q]>(x)          out[i] = x[p[q[i]]]
two Transpose<p>(x)                         ->  one
Transpose<p>(x), p moves only 1-dimensions  ->  Reshape(x), or Unsqueeze(Squeeze(x))  (`reshape_transposes`)
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.context import PassContext
from edgeort.passes.edit import (
    add_constant,
    bypass,
    constant,
    dims,
    ints,
    is_op,
    new_node,
    opset,
    rank,
    replace_node,
    set_attribute,
)


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
        if x is None or perm is None or rank(x) != len(perm) or not layout.keeps_order(dims(x), perm):
            continue
        _move_nothing(model.graph, node, x, perm, opset(model))
        count += 1
    return count


def _move_nothing(graph: ir.Graph, node: ir.Node, x: ir.Value, perm: list[int], version: int) -> None:
    """A Reshape, or Squeeze and Unsqueeze of the 1-dimensions where more than one size is only known at run time."""
    stem = node.name or "transpose"
    target = reshape_target(layout.permute(dims(x), perm), keeps_first=perm[0] == 0)
    if target is not None:
        shape = add_constant(graph, np.array(target, np.int64), f"{stem}_shape")
        replace_node(graph, node, new_node(graph, "Reshape", [x, shape], stem=f"{stem}_reshape"))
        return
    ones = [axis for axis, size in enumerate(dims(x)) if size == 1]
    kept = [d for d in x.shape or () if d != 1]
    squeeze = _with_axes(graph, "Squeeze", x, ones, stem, version)
    squeeze.outputs[0].type, squeeze.outputs[0].shape = x.type, ir.Shape(kept)
    graph.insert_before(node, squeeze)
    places = [place for place, axis in enumerate(perm) if axis in ones]
    replace_node(graph, node, _with_axes(graph, "Unsqueeze", squeeze.outputs[0], places, stem, version))


def _with_axes(graph: ir.Graph, op_type: str, x: ir.Value, axes: list[int], stem: str, version: int) -> ir.Node:
    """Squeeze or Unsqueeze; `axes` is an attribute before opset 13."""
    if version < 13:
        return new_node(graph, op_type, [x], {"axes": axes}, stem=f"{stem}_{op_type.lower()}")
    value = add_constant(graph, np.array(axes, np.int64), f"{stem}_axes")
    return new_node(graph, op_type, [x, value], stem=f"{stem}_{op_type.lower()}")


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
