"""What each operator needs to work on channels-last tensors instead of the written ones.

`rule(model, node)` answers None where the operator is tied to the written layout, else a `Flexible`: which inputs
and outputs change layout together, and the edit that makes the node compute the same on the changed tensors.
Inputs and outputs that it does not name stay as written.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.passes import elementwise, layout, layout_shapes
from edgeort.passes.edit import constant, dims, integer, operand, opset, rank, set_attribute, text
from edgeort.passes.layout_edit import (
    Flexible,
    layout_rank,
    nothing,
    permute_input,
    read_axes,
    replace_constant,
    set_axes,
)

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


def _broadcast(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Elementwise with broadcasting: constants are permuted, the other operands must have the full rank."""
    full = layout_rank(node.outputs[0])
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
                replace_constant(model, node, index, layout.permute_constant(array, full))

    return Flexible(tuple(tied), tuple(range(len(node.outputs))), rewrite) if tied else None


def _first_input(model: ir.Model, node: ir.Node) -> Flexible | None:
    """One tensor in, same-shaped tensors out, other inputs are scalars or types only."""
    if layout_rank(node.inputs[0]) is None:
        return None
    return Flexible((0,), tuple(range(len(node.outputs))), nothing)


def _along(default: int) -> Rule:
    """Operators with an attribute `axis`, whose inputs and outputs all have one rank."""

    def build(model: ir.Model, node: ir.Node) -> Flexible | None:
        full = layout_rank(node.outputs[0])
        axis = integer(node, "axis", default)
        if full is None or any(rank(v) != full for v in node.inputs if v is not None):
            return None
        constants = [(i, a) for i, v in enumerate(node.inputs) if (a := constant(v)) is not None]

        def rewrite() -> None:
            set_attribute(node, "axis", layout.last_axis(axis, full))
            for index, array in constants:
                replace_constant(model, node, index, array.transpose(layout.to_last(full)))

        tied = tuple(i for i, v in enumerate(node.inputs) if v is not None and i not in dict(constants))
        return Flexible(tied, tuple(range(len(node.outputs))), rewrite) if tied else None

    return build


def _first_along(default: int) -> Rule:
    """Operators with an attribute `axis` whose first input gives the layout; the others have no layout."""

    def build(model: ir.Model, node: ir.Node) -> Flexible | None:
        full = layout_rank(node.inputs[0])
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
    full, scale = layout_rank(node.inputs[0]), node.inputs[1]
    if full is None or scale is None or rank(scale) not in (0, 1) or integer(node, "block_size", 0):
        return None
    axis = integer(node, "axis", 1)

    def rewrite() -> None:
        if rank(scale) == 1:
            set_attribute(node, "axis", layout.last_axis(axis, full))

    return Flexible((0,), (0,), rewrite)


def _slice(model: ir.Model, node: ir.Node) -> Flexible | None:
    full, starts = layout_rank(node.inputs[0]), operand(node, 1)
    axes, known = read_axes(node, 3)
    if full is None or starts is None or not known or starts.shape is None:
        return None
    if rank(starts) != 1:
        return None
    length = dims(starts)[0]
    if axes is None and not isinstance(length, int):
        return None
    found = list(range(int(length or 0))) if axes is None else axes
    edit = lambda: set_axes(model, node, 3, [layout.last_axis(a, full) for a in found])  # noqa: E731
    return Flexible((0,), (0,), edit)


def _vector(index: int) -> Rule:
    """Tile, Expand: one number an axis in input `index`."""

    def build(model: ir.Model, node: ir.Node) -> Flexible | None:
        full, value = layout_rank(node.inputs[0]), operand(node, index)
        if full is None or value is None or value.shape is None or dims(value) != [full]:
            return None
        return Flexible((0,), (0,), lambda: permute_input(model, node, index, layout.to_last(full)))

    return build


def _pad(model: ir.Model, node: ir.Node) -> Flexible | None:
    full, pads = layout_rank(node.inputs[0]), operand(node, 1)
    axes, known = read_axes(node, 3)
    if full is None or not known or pads is None or pads.shape is None:
        return None
    if axes is not None:
        found = axes
        return Flexible((0,), (0,), lambda: set_axes(model, node, 3, [layout.last_axis(a, full) for a in found]))
    order = layout.to_last(full)
    both = [*order, *(full + a for a in order)]
    return Flexible((0,), (0,), lambda: permute_input(model, node, 1, both)) if dims(pads) == [2 * full] else None


def _resize(model: ir.Model, node: ir.Node) -> Flexible | None:
    """Resize: nearest for all ranks, linear for rank 4 (what ONNX Runtime runs channels-last as well)."""
    full, mode = layout_rank(node.inputs[0]), text(node, "mode", "nearest")
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
            permute_input(model, node, index, layout.to_last(full))

    return Flexible((0,), (0,), rewrite) if given else None


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
    **dict.fromkeys(
        ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"), layout_shapes.reduce
    ),
    **dict.fromkeys(("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"), layout_shapes.reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), layout_shapes.arg),
    "Gather": layout_shapes.gather,
    "Squeeze": layout_shapes.squeeze,
    "Unsqueeze": layout_shapes.unsqueeze,
    "Slice": _slice,
    "Pad": _pad,
    "Resize": _resize,
    "Tile": _vector(1),
    "Expand": _vector(1),
    "Shape": layout_shapes.shape,
    "Flatten": layout_shapes.flatten,
    "Reshape": layout_shapes.reshape,
}
