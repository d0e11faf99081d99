"""Layout rules of the operators whose outputs have other axes than their inputs (see layout_rules)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgeort.passes import layout
from edgeort.passes.edit import add_constant, constant, dims, integer, new_node, operand, rank, set_attribute
from edgeort.passes.layout_edit import Flexible, layout_rank, nothing, read_axes, replace_constant, set_axes


def _removed_dims(full: int, axes: Sequence[int], outputs: int) -> tuple[int, ...] | None:
    """Which outputs change layout when `axes` of a rank-`full` tensor go away; None: neither layout fits."""
    gone = {a % full for a in axes}
    left = [a for a in layout.to_last(full) if a not in gone]
    order = [sorted(left).index(a) for a in left]
    if order == sorted(order):
        return ()
    return tuple(range(outputs)) if len(order) in layout.RANKS and order == list(layout.to_last(len(order))) else None


def reduce(model: ir.Model, node: ir.Node) -> Flexible | None:
    full = layout_rank(node.inputs[0])
    axes, known = read_axes(node, 1)
    if full is None or not known:
        return None
    keep = integer(node, "keepdims", 1)
    if axes is None or not axes:
        same = bool(keep or integer(node, "noop_with_empty_axes", 0))
        return Flexible((0,), (0,) if same else (), nothing)
    outputs = (0,) if keep else _removed_dims(full, axes, 1)
    found = axes

    def rewrite() -> None:
        set_axes(model, node, 1, sorted(layout.last_axis(a, full) for a in found))

    return None if outputs is None else Flexible((0,), outputs, rewrite)


def arg(model: ir.Model, node: ir.Node) -> Flexible | None:
    """ArgMax, ArgMin."""
    full, axis = layout_rank(node.inputs[0]), integer(node, "axis", 0)
    if full is None:
        return None
    outputs = (0,) if integer(node, "keepdims", 1) else _removed_dims(full, [axis], 1)
    edit = lambda: set_attribute(node, "axis", layout.last_axis(axis, full))  # noqa: E731
    return None if outputs is None else Flexible((0,), outputs, edit)


def gather(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Gather with a scalar index drops its axis, with a vector of indices keeps the rank."""
    full, axis, index_rank = layout_rank(node.inputs[0]), integer(node, "axis", 0), rank(operand(node, 1))
    if full is None or index_rank not in (0, 1):
        return None
    outputs = (0,) if index_rank == 1 else _removed_dims(full, [axis], 1)
    edit = lambda: set_attribute(node, "axis", layout.last_axis(axis, full))  # noqa: E731
    return None if outputs is None else Flexible((0,), outputs, edit)


def squeeze(model: ir.Model, node: ir.Node) -> Flexible | None:
    full = layout_rank(node.inputs[0])
    axes, _ = read_axes(node, 1)
    if full is None or axes is None:
        return None
    outputs, found = _removed_dims(full, axes, 1), axes
    edit = lambda: set_axes(model, node, 1, sorted(layout.last_axis(a, full) for a in found))  # noqa: E731
    return None if outputs is None else Flexible((0,), outputs, edit)


def unsqueeze(model: ir.Model, node: ir.Node) -> Flexible | None:
    full, axes = layout_rank(node.outputs[0]), read_axes(node, 1)[0]
    if full is None or axes is None:
        return None
    kept = _removed_dims(full, axes, 1)
    found = axes
    edit = lambda: set_axes(model, node, 1, sorted(layout.last_axis(a, full) for a in found))  # noqa: E731
    return None if kept is None else Flexible(kept, (0,), edit)


def shape(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Shape(x) -> Gather(Shape(channels-last x), where the written axes stand)."""
    full = layout_rank(node.inputs[0])
    if full is None:
        return None
    start, end = node.attributes.get("start"), node.attributes.get("end")
    order = list(layout.to_first(full))[slice(start.as_int() if start else None, end.as_int() if end else None)]

    def rewrite() -> None:
        out = node.outputs[0]
        users, name = list(out.uses()), out.name
        indices = add_constant(model.graph, np.array(order, np.int64), f"{node.name}_order")
        gather = new_node(model.graph, "Gather", [out, indices], {"axis": 0}, stem=f"{name}_written", like=out)
        model.graph.insert_after(node, gather)
        for user, index in users:
            user.replace_input_with(index, gather.outputs[0])
        node.attributes.pop("start", None)
        node.attributes.pop("end", None)
        out.shape = ir.Shape([full])

    return None if node.outputs[0].is_graph_output() else Flexible((0,), (), rewrite)


def flatten(model: ir.Model, node: ir.Node) -> Flexible | None:
    full = layout_rank(node.inputs[0])
    x = node.inputs[0]
    if (
        full is None
        or x is None
        or integer(node, "axis", 1) != 1
        or not layout.keeps_order(dims(x), layout.to_last(full))
    ):
        return None
    return Flexible((0,), (), nothing)


def reshape(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Reshapes that move no element of the channels-last tensor, or that only split or merge the spatial axes."""
    x, out, target = node.inputs[0], node.outputs[0], constant(operand(node, 1))
    if x is None or x.shape is None or out.shape is None or target is None or integer(node, "allowzero", 0):
        return None
    before, after = layout_rank(x), layout_rank(out)
    source, result = dims(x), dims(out)
    spatial = before and after and None not in (source[1], result[1]) and source[:2] == result[:2]
    if spatial and (source[0] is not None or int(target[0]) == 0):
        return _reshape_rule(model, node, target, (0,), (0,))
    if before and layout.keeps_order(source, layout.to_last(before)):
        return _reshape_rule(model, node, target, (0,), ())
    if after and layout.keeps_order(result, layout.to_last(after)):
        return _reshape_rule(model, node, target, (), (0,))
    return None


def _reshape_rule(
    model: ir.Model, node: ir.Node, target: np.ndarray, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> Flexible | None:
    """Writes 0 (copy) as the dimension itself, which is only needed away from axis 0, and reorders the target."""
    result = dims(node.outputs[0])
    if len(result) != target.size:
        return None
    entries: list[int] = []
    for axis, entry in enumerate(int(e) for e in target.reshape(-1)):
        size = result[axis]
        if axis and entry <= 0 and isinstance(size, int):
            entry = size
        if axis and entry == 0:
            entry = -1
        entries.append(entry)
    if entries.count(-1) > 1:
        return None
    order = layout.to_last(len(entries)) if outputs else range(len(entries))
    shape = np.array(layout.permute(entries, order), np.int64)
    return Flexible(inputs, outputs, lambda: replace_constant(model, node, 1, shape))
