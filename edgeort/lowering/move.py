"""Operators that move elements without computing: Transpose, Reshape, Concat, Slice, Pad, ...

What old opsets gave as attributes (axes, pads, sizes) becomes the constant operand that newer ones have, so that every
kernel knows one form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import Group, Lowering, attribute, choice, integer, integers, number, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import dtype_code

_I64 = dtype_code(ir.DataType.INT64.value, "int64")
_PAD_MODES = ("constant", "reflect", "edge", "wrap")
_LAST = 2**63 - 1

Handler = Callable[[Lowering, ir.Node, Group], None]


def axis_params(**fields: int | float) -> bytes:
    """Packed AxisParams."""
    return PARAMS["AxisParams"].pack(**fields)


def operand(node: ir.Node, index: int) -> ir.Value | None:
    """An input, or None where the node has fewer."""
    return node.inputs[index] if index < len(node.inputs) else None


def operand_or_attribute(ctx: Lowering, node: ir.Node, index: int, name: str) -> int:
    """The tensor of input `index`, or of the list attribute that stood in for it; -1 when both are absent."""
    if (value := operand(node, index)) is not None:
        return ctx.value(value)
    values = integers(node, name)
    return -1 if values is None else integer_list(ctx, node, name, values)


def integer_list(ctx: Lowering, node: ir.Node, name: str, values: Sequence[int]) -> int:
    """A constant int64 tensor of rank 1."""
    return ctx.weights(f"{node.name}.{name}", np.array(values, np.int64), _I64)


def _plain(op: str) -> Handler:
    def handler(ctx: Lowering, node: ir.Node, group: Group) -> None:
        ctx.emit(op, node)

    return handler


def transpose(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Transpose; no permutation means the reversed axes."""
    perm = integers(node, "perm") or []
    if len(perm) > layout.MAX_RANK:
        raise unsupported(node, f"has rank {len(perm)}; kernels exist up to {layout.MAX_RANK}")
    ctx.emit("Transpose", node, PARAMS["ListParams"].pack(count=len(perm), values=perm))


def reshape(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Reshape, its shape an input or (opset < 5) an attribute."""
    shape = operand_or_attribute(ctx, node, 1, "shape")
    ctx.emit(
        "Reshape", node, axis_params(flag=integer(node, "allowzero", 0)), inputs=[ctx.value(node.inputs[0]), shape]
    )


def with_axes(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Squeeze and Unsqueeze, their axes an input or (opset < 13) an attribute."""
    ctx.emit(node.op_type, node, inputs=[ctx.value(node.inputs[0]), operand_or_attribute(ctx, node, 1, "axes")])


def with_axis(default: int) -> Handler:
    """Concat and Flatten: every input, and one axis."""

    def handler(ctx: Lowering, node: ir.Node, group: Group) -> None:
        ctx.emit(node.op_type, node, axis_params(axis=integer(node, "axis", default)))

    return handler


def split(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Split; without sizes into as many equal parts as there are outputs."""
    inputs = [ctx.value(node.inputs[0]), operand_or_attribute(ctx, node, 1, "split")]
    ctx.emit("Split", node, axis_params(axis=integer(node, "axis", 0)), inputs=inputs)


def slice_(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Slice, its bounds inputs or (opset < 10) attributes."""
    bounds = [
        operand_or_attribute(ctx, node, 1 + i, name) for i, name in enumerate(("starts", "ends", "axes", "steps"))
    ]
    ctx.emit("Slice", node, inputs=[ctx.value(node.inputs[0]), *bounds])


def pad(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Pad, its pads and value inputs or (opset < 11) attributes."""
    mode = choice(node, "mode", _PAD_MODES, "constant")
    data = node.inputs[0]
    value = -1
    if operand(node, 2) is not None:
        value = ctx.value(node.inputs[2])
    elif attribute(node, "value") is not None:
        assert data is not None and data.dtype is not None
        value = ctx.weights(
            f"{node.name}.value", np.array(number(node, "value", 0.0), data.dtype.numpy()), ctx.code(data)
        )
    pads = operand_or_attribute(ctx, node, 1, "pads")
    axes = -1 if operand(node, 3) is None else ctx.value(node.inputs[3])
    ctx.emit("Pad", node, axis_params(flag=mode), inputs=[ctx.value(data), pads, value, axes])


def shape(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Shape, from axis `start` up to `end`."""
    bounds = [integer(node, "start", 0), integer(node, "end", _LAST)]
    ctx.emit("Shape", node, PARAMS["ListParams"].pack(count=2, values=bounds))


def constant_of_shape(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """ConstantOfShape; the value, float32 zero by default, becomes an operand."""
    given = attribute(node, "value")
    value = np.zeros(1, np.float32) if given is None else given.numpy()  # type: ignore[attr-defined]
    code = dtype_code(1 if given is None else given.dtype.value, f"node {node.name!r}")  # type: ignore[attr-defined]
    ctx.emit(
        "ConstantOfShape", node, inputs=[ctx.value(node.inputs[0]), ctx.weights(f"{node.name}.value", value, code)]
    )


def eye_like(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """EyeLike; a one of the result's type becomes an operand."""
    dtype = ir.DataType(integer(node, "dtype", 0)) or node.inputs[0].dtype  # type: ignore[union-attr]
    code = dtype_code((dtype or ir.DataType.FLOAT).value, f"node {node.name!r}")
    one = ctx.weights(f"{node.name}.one", np.ones(1, (dtype or ir.DataType.FLOAT).numpy()), code)
    ctx.emit("EyeLike", node, axis_params(axis=integer(node, "k", 0)), inputs=[ctx.value(node.inputs[0]), one])


def trilu(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Trilu."""
    ctx.emit("Trilu", node, axis_params(flag=integer(node, "upper", 1)))


def reverse_sequence(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """ReverseSequence."""
    ctx.emit(
        "ReverseSequence", node, axis_params(axis=integer(node, "time_axis", 0), flag=integer(node, "batch_axis", 1))
    )


def dropout(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Dropout outside training: its input, and a mask of ones."""
    training = operand(node, 2)
    constant = ctx.constant(training)
    if training is not None and (constant is None or constant.any()):
        raise unsupported(node, "is in training mode", "export the model for inference (torch: model.eval())")
    ctx.emit("Dropout", node, inputs=[ctx.value(node.inputs[0])])


def col2im(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Col2Im; its attributes become operands."""
    shape = node.inputs[2].shape if node.inputs[2] is not None else None
    if shape is None or not isinstance(shape[0], int):
        raise unsupported(node, "its number of spatial axes is unknown")
    ones = [1] * shape[0]
    lists = {"dilations": ones, "pads": [0, 0] * shape[0], "strides": ones}
    operands = [integer_list(ctx, node, name, integers(node, name, v) or v) for name, v in lists.items()]
    ctx.emit("Col2Im", node, inputs=[*ctx.values(node), *operands])


def constant(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Constant: a tensor of the plan, no node."""
    given = attribute(node, "value")
    if given is not None:
        array, code = given.numpy(), dtype_code(given.dtype.value, f"node {node.name!r}")  # type: ignore[attr-defined]
    elif attribute(node, "value_int") is not None or attribute(node, "value_ints") is not None:
        array, code = np.array(attribute(node, "value_int", attribute(node, "value_ints")), np.int64), _I64
    elif attribute(node, "value_float") is not None or attribute(node, "value_floats") is not None:
        array, code = np.array(attribute(node, "value_float", attribute(node, "value_floats")), np.float32), 0
    else:
        raise unsupported(node, "its value is neither a dense tensor nor numbers")
    ctx.tensors[node.outputs[0]] = ctx.weights(node.outputs[0].name or "", array, code)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "Identity"): _plain("Identity"),
    ("", "Transpose"): transpose,
    ("", "Reshape"): reshape,
    ("", "Flatten"): with_axis(1),
    ("", "Squeeze"): with_axes,
    ("", "Unsqueeze"): with_axes,
    ("", "Concat"): with_axis(0),
    ("", "Split"): split,
    ("", "Slice"): slice_,
    ("", "Pad"): pad,
    ("", "Expand"): _plain("Expand"),
    ("", "Tile"): _plain("Tile"),
    ("", "Shape"): shape,
    ("", "Size"): _plain("Size"),
    ("", "ConstantOfShape"): constant_of_shape,
    ("", "Range"): _plain("Range"),
    ("", "Trilu"): trilu,
    ("", "EyeLike"): eye_like,
    ("", "ReverseSequence"): reverse_sequence,
    ("", "Dropout"): dropout,
    ("", "Col2Im"): col2im,
    ("", "Constant"): constant,
}
