"""Reductions, Softmax, LogSoftmax and Hardmax (runtime/kernels/reduce)."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import F32, Group, Lowering, integer, integers, unsupported
from edgeort.lowering.params import PARAMS

_WIDE = ("f32", "i32", "i64", "f64", "u32", "u64")
_ALL = (*_WIDE, "u8", "i8")

# Operator -> names of the element types that have a kernel.
_REDUCTIONS: dict[str, tuple[str, ...]] = {
    "ReduceSum": _WIDE,
    "ReduceMean": _WIDE,
    "ReduceMax": (*_ALL, "boolean"),
    "ReduceMin": (*_ALL, "boolean"),
    "ReduceProd": _WIDE,
    "ReduceL1": _WIDE,
    "ReduceL2": ("f32", "f64"),
    "ReduceSumSquare": _WIDE,
    "ReduceLogSum": ("f32",),
    "ReduceLogSumExp": ("f32",),
}


def _reduction(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Axes come as an attribute (old opsets) or as input 1. flag: 1 keeps dimensions, 2 without axes reduces none."""
    name = layout.DTYPES[ctx.code(node.inputs[0])][0]  # type: ignore[arg-type]
    if name not in _REDUCTIONS[node.op_type]:
        raise unsupported(node, f"has no kernel for element type {name}", "convert its operand to float32 with a Cast")
    axes = integers(node, "axes") or []
    if len(axes) > layout.MAX_RANK:
        raise unsupported(node, f"has {len(axes)} axes; the limit is {layout.MAX_RANK}")
    flag = integer(node, "keepdims", 1) | integer(node, "noop_with_empty_axes", 0) << 1
    ctx.emit(node.op_type, node, PARAMS["ListParams"].pack(count=len(axes), values=axes, flag=flag))


def _softmax(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Before opset 13, all axes from `axis` (default 1) on are one; then `axis` alone (default the last)."""
    if ctx.code(node.inputs[0]) != F32:  # type: ignore[arg-type]
        raise unsupported(node, "has a kernel for float32 alone", "convert its operand to float32 with a Cast")
    flatten = ctx.opset < 13
    axis = integer(node, "axis", 1 if flatten else -1)
    ctx.emit(node.op_type, node, PARAMS["AxisParams"].pack(axis=axis, flag=int(flatten)))


HANDLERS: dict[tuple[str, str], Callable[[Lowering, ir.Node, Group], None]] = {
    **{("", name): _reduction for name in _REDUCTIONS},
    ("", "Softmax"): _softmax,
    ("", "LogSoftmax"): _softmax,
    ("", "Hardmax"): _softmax,
}
