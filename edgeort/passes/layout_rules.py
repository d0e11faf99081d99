"""What each operator needs to work on channels-last tensors instead of the written ones.

`rule(model, node)` answers None where the operator is tied to the written layout, else a `Flexible`: which inputs
and outputs change layout together, and the edit that makes the node compute the same on the changed tensors.
Inputs and outputs that it does not name stay as written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.passes import elementwise, layout
from edgeort.passes.edit import (
    add_constant,
    constant,
    dims,
    integer,
    ints,
    new_node,
    operand,
    opset,
    rank,
    set_attribute,
    text,
)


@dataclass(frozen=True)
class Flexible:
    """Indices of the inputs and outputs that become channels-last together, and the edit that does it."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    rewrite: Callable[[], None]


Rule = Callable[[ir.Model, ir.Node], "Flexible | None"]


def rule(model: ir.Model, node: ir.Node) -> Flexible | None:
    """The rule of `node`, None when it only works on the written layout."""
    if any(attr.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for attr in node.attributes.values()):
        return None
    if node.domain == "" and node.op_type in RULES:
        return RULES[node.op_type](model, node)
    if elementwise.is_program_operator(node):
        return _broadcast(model, node)
    return None


def _nothing() -> None:
    """The edit of operators that work on any layout as they are."""


def _layout_rank(value: ir.Value | None) -> int | None:
    found = rank(value)
    return found if found in layout.RANKS else None


def _broadcast(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Elementwise with broadcasting: constants are permuted, the other operands must have the full rank."""
    full = _layout_rank(node.outputs[0])
    if full is None:
        return None
    tied, constants = [], []
    for index, value in enumerate(node.inputs):
        if value is None:
            continue
        array = constant(value)
        if array is not None:
            constants.append((index, array))
        elif rank(value) == full:
            tied.append(index)
        elif rank(value) is None or any(d != 1 for d in dims(value)):
            return None

    def rewrite() -> None:
        for index, array in constants:
            if array.size != 1:
                _replace_constant(model, node, index, layout.permute_constant(array, full))

    return Flexible(tuple(tied), tuple(range(len(node.outputs))), rewrite) if tied else None


def _replace_constant(model: ir.Model, node: ir.Node, index: int, array: np.ndarray) -> None:
    old = node.inputs[index]
    assert old is not None
    node.replace_input_with(index, add_constant(model.graph, array, f"{old.name}_nhwc"))


def _first_input(model: ir.Model, node: ir.Node) -> Flexible | None:
    """One tensor in, same-shaped tensors out, other inputs are scalars or types only."""
    if _layout_rank(node.inputs[0]) is None:
        return None
    return Flexible((0,), tuple(range(len(node.outputs))), _nothing)


def _along(default: int) -> Rule:
    """Operators with an attribute `axis`, whose inputs and outputs all have one rank."""

    def build(model: ir.Model, node: ir.Node) -> Flexible | None:
        full = _layout_rank(node.outputs[0])
        axis = integer(node, "axis", default)
        if full is None or any(rank(v) != full for v in node.inputs if v is not None):
            return None
        constants = [(i, a) for i, v in enumerate(node.inputs) if (a := constant(v)) is not None]

        def rewrite() -> None:
            set_attribute(node, "axis", layout.last_axis(axis, full))
            for index, array in constants:
                _replace_constant(model, node, index, array.transpose(layout.to_last(full)))

        tied = tuple(i for i, v in enumerate(node.inputs) if v is not None and i not in dict(constants))
        return Flexible(tied, tuple(range(len(node.outputs))), rewrite) if tied else None

    return build


def _first_along(default: int) -> Rule:
    """Operators with an attribute `axis` whose first input gives the layout; the others have no layout."""

    def build(model: ir.Model, node: ir.Node) -> Flexible | None:
        full = _layout_rank(node.inputs[0])
        axis = integer(node, "axis", default)
        if full is None:
            return None
        return Flexible(
            (0,), tuple(range(len(node.outputs))), lambda: set_attribute(node, "axis", layout.last_axis(axis, full))
        )

    return build


def _softmax(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Before opset 13 Softmax flattens to a matrix at `axis`, which has no channels-last form."""
    return _along(-1)(model, node) if opset(model) >= 13 else None


def _quantize(model: ir.Model, node: ir.Node) -> Flexible | None:
    """QuantizeLinear, DequantizeLinear: per tensor, or per axis with one-dimensional scales."""
    full, scale = _layout_rank(node.inputs[0]), node.inputs[1]
    if full is None or scale is None or rank(scale) not in (0, 1) or integer(node, "block_size", 0):
        return None
    axis = integer(node, "axis", 1)

    def rewrite() -> None:
        if rank(scale) == 1:
            set_attribute(node, "axis", layout.last_axis(axis, full))

    return Flexible((0,), (0,), rewrite)


def _axes(model: ir.Model, node: ir.Node, index: int) -> tuple[list[int] | None, bool]:
    """The `axes` of a node from its attribute or constant input; (None, True) when they are absent."""
    if "axes" in node.attributes:
        return ints(node, "axes", ()), True
    value = operand(node, index)
    if value is None:
        return None, True
    array = constant(value)
    return (None, False) if array is None else ([int(a) for a in array.reshape(-1)], True)


def _set_axes(model: ir.Model, node: ir.Node, index: int, axes: Sequence[int]) -> None:
    if "axes" in node.attributes:
        set_attribute(node, "axes", list(axes))
        return
    old = operand(node, index)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    stem = f"{old.name if old is not None else node.name}_nhwc"
    typed = operand(node, 1) if node.op_type == "Slice" else old  # Slice wants one type for all its indices
    dtype = np.int64 if typed is None or typed.dtype is None else typed.dtype.numpy()
    node.replace_input_with(index, add_constant(model.graph, np.array(axes, dtype), stem))


def _removed_dims(full: int, axes: Sequence[int], outputs: int) -> tuple[int, ...] | None:
    """Which outputs change layout when `axes` of a rank-`full` tensor go away; None: neither layout fits."""
    gone = {a % full for a in axes}
    left = [a for a in layout.to_last(full) if a not in gone]
    order = [sorted(left).index(a) for a in left]
    if order == sorted(order):
        return ()
    return tuple(range(outputs)) if len(order) in layout.RANKS and order == list(layout.to_last(len(order))) else None


def _reduce(model: ir.Model, node: ir.Node) -> Flexible | None:
    full = _layout_rank(node.inputs[0])
    axes, known = _axes(model, node, 1)
    if full is None or not known:
        return None
    keep = integer(node, "keepdims", 1)
    if axes is None or not axes:
        same = bool(keep or integer(node, "noop_with_empty_axes", 0))
        return Flexible((0,), (0,) if same else (), _nothing)
    outputs = (0,) if keep else _removed_dims(full, axes, 1)
    found = axes

    def rewrite() -> None:
        _set_axes(model, node, 1, sorted(layout.last_axis(a, full) for a in found))

    return None if outputs is None else Flexible((0,), outputs, rewrite)


def _arg(model: ir.Model, node: ir.Node) -> Flexible | None:
    """ArgMax, ArgMin."""
    full, axis = _layout_rank(node.inputs[0]), integer(node, "axis", 0)
    if full is None:
        return None
    outputs = (0,) if integer(node, "keepdims", 1) else _removed_dims(full, [axis], 1)
    edit = lambda: set_attribute(node, "axis", layout.last_axis(axis, full))  # noqa: E731
    return None if outputs is None else Flexible((0,), outputs, edit)


def _gather(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Gather with a scalar index drops its axis, with a vector of indices keeps the rank."""
    full, axis, index_rank = _layout_rank(node.inputs[0]), integer(node, "axis", 0), rank(operand(node, 1))
    if full is None or index_rank not in (0, 1):
        return None
    outputs = (0,) if index_rank == 1 else _removed_dims(full, [axis], 1)
    edit = lambda: set_attribute(node, "axis", layout.last_axis(axis, full))  # noqa: E731
    return None if outputs is None else Flexible((0,), outputs, edit)


def _squeeze(model: ir.Model, node: ir.Node) -> Flexible | None:
    full = _layout_rank(node.inputs[0])
    axes, _ = _axes(model, node, 1)
    if full is None or axes is None:
        return None
    outputs, found = _removed_dims(full, axes, 1), axes
    edit = lambda: _set_axes(model, node, 1, sorted(layout.last_axis(a, full) for a in found))  # noqa: E731
    return None if outputs is None else Flexible((0,), outputs, edit)


def _unsqueeze(model: ir.Model, node: ir.Node) -> Flexible | None:
    full, axes = _layout_rank(node.outputs[0]), _axes(model, node, 1)[0]
    if full is None or axes is None:
        return None
    kept = _removed_dims(full, axes, 1)
    found = axes
    edit = lambda: _set_axes(model, node, 1, sorted(layout.last_axis(a, full) for a in found))  # noqa: E731
    return None if kept is None else Flexible(kept, (0,), edit)


def _slice(model: ir.Model, node: ir.Node) -> Flexible | None:
    full, starts = _layout_rank(node.inputs[0]), operand(node, 1)
    axes, known = _axes(model, node, 3)
    if full is None or starts is None or not known or starts.shape is None:
        return None
    length = dims(starts)[0]
    if axes is None and not isinstance(length, int):
        return None
    found = list(range(int(length or 0))) if axes is None else axes
    edit = lambda: _set_axes(model, node, 3, [layout.last_axis(a, full) for a in found])  # noqa: E731
    return Flexible((0,), (0,), edit)


def _permute_input(model: ir.Model, node: ir.Node, index: int, order: Sequence[int]) -> None:
    """Reorders a one-dimensional input (sizes, repeats, ...): a constant at once, else by a Gather."""
    value = node.inputs[index]
    assert value is not None
    array = constant(value)
    if array is not None:
        _replace_constant(model, node, index, array[list(order)])
        return
    indices = add_constant(model.graph, np.array(order, np.int64), f"{node.name}_order")
    gather = new_node(model.graph, "Gather", [value, indices], {"axis": 0}, stem=f"{value.name}_nhwc", like=value)
    model.graph.insert_before(node, gather)
    node.replace_input_with(index, gather.outputs[0])


def _vector(index: int) -> Rule:
    """Tile, Expand: one number an axis in input `index`."""

    def build(model: ir.Model, node: ir.Node) -> Flexible | None:
        full, value = _layout_rank(node.inputs[0]), operand(node, index)
        if full is None or value is None or value.shape is None or dims(value) != [full]:
            return None
        return Flexible((0,), (0,), lambda: _permute_input(model, node, index, layout.to_last(full)))

    return build


def _pad(model: ir.Model, node: ir.Node) -> Flexible | None:
    full, pads = _layout_rank(node.inputs[0]), operand(node, 1)
    axes, known = _axes(model, node, 3)
    if full is None or not known or pads is None or pads.shape is None:
        return None
    if axes is not None:
        found = axes
        return Flexible(
            (0,), (0,), lambda: _set_axes(model, node, 3, [layout.last_axis(a, full) for a in found])
        )
    order = layout.to_last(full)
    both = [*order, *(full + a for a in order)]
    return Flexible((0,), (0,), lambda: _permute_input(model, node, 1, both)) if dims(pads) == [2 * full] else None


def _resize(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Resize: nearest for all ranks, linear for rank 4 (what ONNX Runtime runs channels-last as well)."""
    full, mode = _layout_rank(node.inputs[0]), text(node, "mode", "nearest")
    if full is None or opset(model) < 11 or "axes" in node.attributes or integer(node, "antialias", 0):
        return None
    if mode not in ("nearest", "linear") or (mode == "linear" and full != 4):
        return None
    if text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return None
    given = []
    for index in (2, 3):
        value = operand(node, index)
        if value is not None and (value.shape is None or dims(value) not in ([0], [full])):
            return None
        if value is not None and dims(value) == [full]:
            given.append(index)

    def rewrite() -> None:
        for index in given:
            _permute_input(model, node, index, layout.to_last(full))

    return Flexible((0,), (0,), rewrite) if given else None


def _shape(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Shape(x) -> Gather(Shape(channels-last x), where the written axes stand)."""
    full = _layout_rank(node.inputs[0])
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


def _flatten(model: ir.Model, node: ir.Node) -> Flexible | None:
    full = _layout_rank(node.inputs[0])
    x = node.inputs[0]
    if full is None or x is None or integer(node, "axis", 1) != 1 or not layout.keeps_order(dims(x), layout.to_last(full)):
        return None
    return Flexible((0,), (), _nothing)


def _reshape(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Reshapes that move no element of the channels-last tensor, or that only split or merge the spatial axes."""
    x, out, target = node.inputs[0], node.outputs[0], constant(operand(node, 1))
    if x is None or x.shape is None or out.shape is None or target is None or integer(node, "allowzero", 0):
        return None
    before, after = _layout_rank(x), _layout_rank(out)
    source, result = dims(x), dims(out)
    spatial = before and after and None not in (source[1], result[1]) and source[:2] == result[:2]
    first_kept = source[0] is not None or int(target[0]) == 0
    if spatial and first_kept:
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
    return Flexible(inputs, outputs, lambda: _replace_constant(model, node, 1, shape))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Not", "IsNaN", "IsInf", "Where", "Equal", "Less", "LessOrEqual", "Greater"), _broadcast),
    **dict.fromkeys(("GreaterOrEqual", "And", "Or", "Xor", "Mod", "BitShift", "Sum", "Mean"), _broadcast),
    **dict.fromkeys(("Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Shrink"), _broadcast),
    **dict.fromkeys(("Cast", "CastLike", "Identity", "Dropout"), _first_input),
    **dict.fromkeys(("Concat", "LpNormalization"), _along(-1)),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    "GatherElements": _along(0),
    "Split": _first_along(0),
    "TopK": _first_along(-1),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantize),
    **dict.fromkeys(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"), _reduce),
    **dict.fromkeys(("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"), _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    "Gather": _gather,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Pad": _pad,
    "Resize": _resize,
    "Tile": _vector(1),
    "Expand": _vector(1),
    "Shape": _shape,
    "Flatten": _flatten,
    "Reshape": _reshape,
}
