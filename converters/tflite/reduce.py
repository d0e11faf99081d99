"""Reductions, arg-reductions, running sums, the largest elements, softmax and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite import schema
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.weights import Weights
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.edit import constant, integer, ints, number, operand, opset

REDUCE: dict[str, str] = {
    "ReduceMean": "MEAN", "ReduceSum": "SUM", "ReduceMax": "REDUCE_MAX", "ReduceMin": "REDUCE_MIN",
    "ReduceProd": "REDUCE_PROD",
}  # fmt: skip
_BEFORE: dict[str, str] = {"ReduceL1": "ABS", "ReduceL2": "SQUARE", "ReduceSumSquare": "SQUARE", "ReduceLogSum": ""}
_AFTER: dict[str, str] = {"ReduceL2": "SQRT", "ReduceLogSum": "LOG"}


def _axes(ctx: Writer, node: ir.Node) -> tuple[int, ...]:
    rank, value = len(ctx.shape(node.inputs[0])), operand(node, 1)
    array = constant(value)
    if value is not None and array is None:
        raise Refuse("its axes are computed as the model runs")
    given = ints(node, "axes", ()) if array is None else [int(a) for a in array.reshape(-1)]
    if not given and integer(node, "noop_with_empty_axes", 0):
        return ()
    return tuple(sorted(a % rank for a in given)) if given else tuple(range(rank))


def reduce(ctx: Writer, node: ir.Node) -> None:
    """One of REDUCE; a mean of integers gives integers of any scale."""
    axes = _axes(ctx, node)
    if not axes:
        ctx.same(node, ctx.tensor(node.inputs[0]))
        return
    x = ctx.integers(node.inputs[0]) if node.op_type == "ReduceMean" else None
    site = ctx.site(node, integers=x is not None)
    source = ctx.tensor(node.inputs[0]) if site.quant is None or x is None else x
    ctx.write(site, REDUCE[node.op_type], [source, ctx.ints(axes)], keep_dims=bool(integer(node, "keepdims", 1)))


def reduce_function(ctx: Writer, node: ir.Node) -> None:
    """ReduceL1, L2, SumSquare, LogSum: a SUM between functions of one element."""
    x, axes = ctx.tensor(node.inputs[0]), _axes(ctx, node)
    before, after = _BEFORE[node.op_type], _AFTER.get(node.op_type, "")
    x = ctx.step(before, [x]) if before else x
    x = ctx.step("SUM", [x, ctx.ints(axes)], ctx.shape(node.outputs[0]), keep_dims=bool(integer(node, "keepdims", 1)))
    ctx.same(node, ctx.step(after, [x]) if after else x)


def arg(ctx: Writer, node: ir.Node) -> None:
    """ARG_MAX and ARG_MIN, which drop the axis and take the first of equals."""
    if integer(node, "select_last_index", 0):
        raise Refuse("it takes the last of equal elements, and LiteRT the first")
    shape = ctx.shape(node.inputs[0])
    axis = integer(node, "axis", 0) % len(shape)
    name = "ARG_MAX" if node.op_type == "ArgMax" else "ARG_MIN"
    made = ctx.graph.tensor(f"{node.name}_places", (*shape[:axis], *shape[axis + 1 :]), "int64")
    inputs = [ctx.tensor(node.inputs[0]), ctx.number(axis, "int32")]
    ctx.graph.add(name, inputs, [made], output_type=schema.TYPES["int64"])
    ctx.same(node, made)


def cumsum(ctx: Writer, node: ir.Node) -> None:
    """CUMSUM."""
    axis = constant(node.inputs[1])
    if axis is None:
        raise Refuse("its axis is computed as the model runs")
    options: dict[str, Any] = {name: bool(integer(node, name, 0)) for name in ("exclusive", "reverse")}
    where = ctx.number(int(axis.reshape(())) % len(ctx.shape(node.inputs[0])), "int32")
    ctx.write(ctx.site(node), "CUMSUM", [ctx.tensor(node.inputs[0]), where], **options)


def top_k(ctx: Writer, node: ir.Node) -> None:
    """TOPK_V2, which sorts the largest along the last axis; the least by the negated input."""
    shape = ctx.shape(node.inputs[0])
    count = constant(node.inputs[1])
    if count is None or integer(node, "axis", -1) % len(shape) != len(shape) - 1:
        raise Refuse("it works along another than the last axis, or its k is computed as the model runs")
    x, largest = ctx.tensor(node.inputs[0]), integer(node, "largest", 1)
    x = x if largest else ctx.step("NEG", [x])
    out = ctx.shape(node.outputs[0])
    values = ctx.temporary(f"{node.name}_values", out, x)
    places = ctx.graph.tensor(f"{node.name}_places", out, "int32")
    ctx.graph.add("TOPK_V2", [x, ctx.number(int(count.reshape(-1)[0]), "int32")], [values, places])
    ctx.put(node.outputs[0], values if largest else ctx.step("NEG", [values]))
    wide = ctx.graph.tensor(str(node.outputs[1].name), out, "int64")
    kinds = {"in_data_type": schema.TYPES["int32"], "out_data_type": schema.TYPES["int64"]}
    ctx.graph.add("CAST", [places], [wide], **kinds)
    ctx.put(node.outputs[1], wide)


def softmax(ctx: Writer, node: ir.Node) -> None:
    """SOFTMAX and LOG_SOFTMAX work along the last axis: another is transposed. Before opset 13: over all from it."""
    shape = ctx.shape(node.inputs[0])
    old = opset(ctx.model) < 13
    axis = integer(node, "axis", 1 if old else -1) % max(len(shape), 1)
    name = "SOFTMAX" if node.op_type == "Softmax" else "LOG_SOFTMAX"
    options: dict[str, Any] = {"beta": 1.0} if name == "SOFTMAX" else {}
    source = ctx.tensor(node.inputs[0])
    if axis == len(shape) - 1:
        ctx.write(ctx.site(node), name, [source], **options)
        return
    if old:
        flat = (int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))
        source = ctx.step("RESHAPE", [source, ctx.ints(flat)], flat, new_shape=flat)
        ctx.same(node, ctx.step(name, [source], **options))
        return
    perm = [*(a for a in range(len(shape)) if a != axis), axis]
    source = ctx.step("TRANSPOSE", [source, ctx.ints(perm)], [shape[p] for p in perm])
    source = ctx.step(name, [source], **options)
    back = [perm.index(a) for a in range(len(shape))]
    ctx.write(ctx.site(node), "TRANSPOSE", [source, ctx.ints(back)])


def layer_norm(ctx: Writer, node: ir.Node) -> None:
    """(x - MEAN(x)) * RSQRT(MEAN((x - MEAN(x))^2) + epsilon) * scale + bias, from an axis to the last."""
    rank = len(ctx.shape(node.inputs[0]))
    axes = range(integer(node, "axis", -1) % rank, rank)
    normal = normalised(ctx, ctx.tensor(node.inputs[0]), axes, number(node, "epsilon", 1e-5))
    _scaled(ctx, node, normal, ctx.tensor(node.inputs[1]), _optional(ctx, operand(node, 2)))


def rms_norm(ctx: Writer, node: ir.Node) -> None:
    """x * RSQRT(MEAN(x^2) + epsilon) * scale."""
    rank = len(ctx.shape(node.inputs[0]))
    axes = range(integer(node, "axis", -1) % rank, rank)
    x = ctx.tensor(node.inputs[0])
    factor = _factor(ctx, ctx.step("SQUARE", [x]), axes, number(node, "epsilon", 1e-5))
    _scaled(ctx, node, _plain(ctx, "MUL", x, factor), ctx.tensor(node.inputs[1]), None)


def instance_norm(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.InstanceNormalization: each channel of each image by itself."""
    axes = range(1, len(ctx.shape(node.inputs[0])) - 1)
    normal = normalised(ctx, ctx.tensor(node.inputs[0]), axes, number(node, "epsilon", 1e-5))
    _scaled(ctx, node, normal, ctx.tensor(node.inputs[1]), ctx.tensor(node.inputs[2]))


def batch_norm(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.BatchNormalization that no convolution takes: a factor and a summand for each channel."""
    scale, shift, mean, variance = (Weights.of(value).numbers.astype(np.float64) for value in node.inputs[1:5])
    factor = scale / np.sqrt(variance + number(node, "epsilon", 1e-5))
    made = ctx.constant(f"{node.name}_scale", factor.astype(np.float32))
    moved = ctx.constant(f"{node.name}_shift", (shift - mean * factor).astype(np.float32))
    _scaled(ctx, node, ctx.tensor(node.inputs[0]), made, moved)


def normalised(ctx: Writer, x: int, axes: Sequence[int], epsilon: float) -> int:
    """x less its mean along the axes, over its deviation."""
    shape = [1 if a in axes else d for a, d in enumerate(ctx.about(x).shape)]
    mean = ctx.step("MEAN", [x, ctx.ints(axes)], shape, keep_dims=True)
    centred = _plain(ctx, "SUB", x, mean)
    return _plain(ctx, "MUL", centred, _factor(ctx, ctx.step("SQUARE", [centred]), axes, epsilon))


def _factor(ctx: Writer, squares: int, axes: Sequence[int], epsilon: float) -> int:
    shape = [1 if a in axes else d for a, d in enumerate(ctx.about(squares).shape)]
    mean = ctx.step("MEAN", [squares, ctx.ints(axes)], shape, keep_dims=True)
    return ctx.step("RSQRT", [_plain(ctx, "ADD", mean, ctx.number(epsilon))])


def _scaled(ctx: Writer, node: ir.Node, x: int, scale: int, shift: int | None) -> None:
    """x * scale + shift is the node's value."""
    if shift is not None:
        x = _plain(ctx, "MUL", x, scale)
    site = ctx.site(node, fuses=True)
    ctx.write(site, "MUL" if shift is None else "ADD", [x, scale if shift is None else shift], **site.fused)


def _plain(ctx: Writer, name: str, left: int, right: int) -> int:
    return ctx.step(name, [left, right])


def _optional(ctx: Writer, value: ir.Value | None) -> int | None:
    return None if value is None else ctx.tensor(value)
