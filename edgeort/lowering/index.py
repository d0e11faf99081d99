"""Operators whose positions are data: Gather, Scatter, TopK, ArgMax, NonZero, Unique, NonMaxSuppression, ..."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeort.lowering.compressed import FLOAT16, is_half
from edgeort.lowering.context import F32, Group, Lowering, attribute, choice, integer
from edgeort.lowering.move import axis_params, integer_list, operand
from edgeort.lowering.typed import cast

Handler = Callable[[Lowering, ir.Node, Group], None]

_REDUCTIONS = ("none", "add", "mul", "max", "min")
_KEEP_DIMS, _LAST, _LEAST = 1, 2, 4
_EXCLUSIVE, _REVERSE, _PRODUCT = 1, 2, 4
_ALONG, _SORTED = 1, 2


def _with_axis(name: str = "axis", default: int = 0) -> Handler:
    def handler(ctx: Lowering, node: ir.Node, group: Group) -> None:
        ctx.emit(node.op_type, node, axis_params(axis=integer(node, name, default)))

    return handler


def gather(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Gather; from a constant table of numbers that all are float16, those, and then it makes float32 of them."""
    table, params = ctx.constant(node.inputs[0]), axis_params(axis=integer(node, "axis", 0))
    if table is None or not ctx.is_f32(node.inputs[0]) or table.ndim < 2 or not is_half(table):
        ctx.emit("Gather", node, params)
        return
    halves = ctx.weights(f"{node.inputs[0].name}.half", table.astype(np.float16), FLOAT16)  # type: ignore[union-attr]
    gathered = ctx.plan.activation(f"{node.name}.half", FLOAT16)
    ctx.emit("Gather", node, params, inputs=[halves, ctx.value(node.inputs[1])], outputs=[gathered])
    cast(ctx, node, gathered, F32, ctx.result(node.outputs[0]))


def _scatter(op: str) -> Handler:
    def handler(ctx: Lowering, node: ir.Node, group: Group) -> None:
        reduction = choice(node, "reduction", _REDUCTIONS, "none")
        ctx.emit(op, node, axis_params(axis=integer(node, "axis", 0), flag=reduction))

    return handler


def topk(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """TopK, its k an input or (opset < 10) an attribute."""
    given = operand(node, 1)
    k = integer_list(ctx, node, "k", [integer(node, "k", 0)]) if given is None else ctx.value(given)
    params = axis_params(axis=integer(node, "axis", -1), flag=integer(node, "largest", 1))
    ctx.emit("TopK", node, params, inputs=[ctx.value(node.inputs[0]), k])


def _arg(least: int) -> Handler:
    def handler(ctx: Lowering, node: ir.Node, group: Group) -> None:
        flag = least
        flag |= _KEEP_DIMS if integer(node, "keepdims", 1) else 0
        flag |= _LAST if integer(node, "select_last_index", 0) else 0
        ctx.emit("ArgMax", node, axis_params(axis=integer(node, "axis", 0), flag=flag))

    return handler


def _cumulate(product: int) -> Handler:
    def handler(ctx: Lowering, node: ir.Node, group: Group) -> None:
        flag = product
        flag |= _EXCLUSIVE if integer(node, "exclusive", 0) else 0
        flag |= _REVERSE if integer(node, "reverse", 0) else 0
        ctx.emit("Cumulate", node, axis_params(flag=flag))

    return handler


def compress(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Compress; without an axis the input is flat."""
    along = attribute(node, "axis") is not None
    ctx.emit("Compress", node, axis_params(axis=integer(node, "axis", 0), flag=int(along)))


def unique(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """Unique; without an axis the input is flat."""
    flag = (_ALONG if attribute(node, "axis") is not None else 0) | (_SORTED if integer(node, "sorted", 1) else 0)
    ctx.emit("Unique", node, axis_params(axis=integer(node, "axis", 0), flag=flag))


def non_max_suppression(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """NonMaxSuppression."""
    ctx.emit("NonMaxSuppression", node, axis_params(flag=integer(node, "center_point_box", 0)))


def non_zero(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """NonZero."""
    ctx.emit("NonZero", node)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("", "Gather"): gather,
    ("", "GatherElements"): _with_axis(),
    ("", "GatherND"): _with_axis("batch_dims"),
    ("", "Scatter"): _scatter("ScatterElements"),
    ("", "ScatterElements"): _scatter("ScatterElements"),
    ("", "ScatterND"): _scatter("ScatterND"),
    ("", "TopK"): topk,
    ("", "ArgMax"): _arg(0),
    ("", "ArgMin"): _arg(_LEAST),
    ("", "NonZero"): non_zero,
    ("", "OneHot"): _with_axis(default=-1),
    ("", "Compress"): compress,
    ("", "Unique"): unique,
    ("", "CumSum"): _cumulate(0),
    ("", "CumProd"): _cumulate(_PRODUCT),
    ("", "NonMaxSuppression"): non_max_suppression,
}
