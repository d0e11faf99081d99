"""Operators that move elements: integers go through as they are, with their scale."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite import schema
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.windows import filler
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.edit import constant, integer, ints, operand, text
from edgeort.passes.layout import to_first, to_last

_MOST_DIMS = 5  # of STRIDED_SLICE


def reshape(ctx: Writer, node: ir.Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze, Identity: RESHAPE, as all shapes are known."""
    ctx.same(node, ctx.tensor(node.inputs[0]))


def constant_node(ctx: Writer, node: ir.Node) -> None:
    """An output that is a constant: all others are initializers by now."""
    array = constant(node.outputs[0])
    if array is None:
        raise Refuse("it is no tensor of numbers")
    ctx.put(node.outputs[0], ctx.constant(str(node.outputs[0].name), array))


def transpose(ctx: Writer, node: ir.Node) -> None:
    """TRANSPOSE."""
    rank = len(ctx.shape(node.inputs[0]))
    perm = ints(node, "perm", reversed(range(rank)))
    ctx.forward(node, "TRANSPOSE", [ctx.tensor(node.inputs[0]), ctx.ints(perm)])


def concat(ctx: Writer, node: ir.Node) -> None:
    """CONCATENATION, whose inputs share a scale."""
    inputs = [ctx.tensor(value) for value in node.inputs]
    quants = {ctx.about(i).quant for i in inputs}
    if len(quants) > 1:
        raise Refuse("it joins integers of several scales")
    axis = integer(node, "axis", 0) % len(ctx.shape(node.outputs[0]))
    ctx.forward(node, "CONCATENATION", inputs, axis=axis)


def split(ctx: Writer, node: ir.Node) -> None:
    """SPLIT into equal parts, which XNNPACK has, or SPLIT_V."""
    x, axis = ctx.tensor(node.inputs[0]), integer(node, "axis", 0) % len(ctx.shape(node.inputs[0]))
    shapes = [ctx.shape(out) for out in node.outputs]
    made = [ctx.temporary(str(out.name), shape, x) for out, shape in zip(node.outputs, shapes, strict=True)]
    sizes, where = [shape[axis] for shape in shapes], ctx.number(axis, "int32")
    if len(set(sizes)) == 1:
        ctx.graph.add("SPLIT", [where, x], made, num_splits=len(made))
    else:
        ctx.graph.add("SPLIT_V", [x, ctx.ints(sizes), where], made, num_splits=len(made))
    for out, index in zip(node.outputs, made, strict=True):
        ctx.put(out, index)


def slice_(ctx: Writer, node: ir.Node) -> None:
    """SLICE, or STRIDED_SLICE with steps."""
    shape, out = ctx.shape(node.inputs[0]), ctx.shape(node.outputs[0])
    begin, steps = [0] * len(shape), [1] * len(shape)
    starts = _vector(node, 1)
    axes = _vector(node, 3) if operand(node, 3) is not None else range(len(starts))
    given = _vector(node, 4) if operand(node, 4) is not None else [1] * len(starts)
    for start, axis, step in zip(starts, axes, given, strict=True):
        size, axis = shape[axis], axis % len(shape)
        start = start + size if start < 0 else start
        begin[axis] = min(max(start, 0), size if step > 0 else size - 1)
        steps[axis] = step
    x = ctx.tensor(node.inputs[0])
    if set(steps) == {1}:
        ctx.forward(node, "SLICE", [x, ctx.ints(begin), ctx.ints(out)])
        return
    if len(shape) > _MOST_DIMS:
        raise Refuse(f"it has steps, and more than {_MOST_DIMS} dimensions")
    end = [b + (o - 1) * s + (1 if s > 0 else -1) for b, o, s in zip(begin, out, steps, strict=True)]
    mask = sum(1 << axis for axis, e in enumerate(end) if e < 0)  # an end before 0 cannot be written as a number
    ctx.forward(node, "STRIDED_SLICE", [x, ctx.ints(begin), ctx.ints(end), ctx.ints(steps)], end_mask=mask)


def _vector(node: ir.Node, index: int) -> list[int]:
    array = constant(operand(node, index))
    if array is None:
        raise Refuse("its bounds are computed as the model runs")
    return [int(v) for v in array.reshape(-1)]


def pad(ctx: Writer, node: ir.Node) -> None:
    """PAD of zeros, PADV2 of another number, MIRROR_PAD to reflect; edges are gathered. Negative pads crop before."""
    shape = ctx.shape(node.inputs[0])
    pads = _vector(node, 1)
    axes = [a % len(shape) for a in _vector(node, 3)] if operand(node, 3) is not None else range(len(shape))
    amounts = np.zeros((len(shape), 2), np.int64)
    for i, axis in enumerate(axes):
        amounts[axis] = pads[i], pads[i + len(pads) // 2]
    x = ctx.tensor(node.inputs[0])
    if amounts.min(initial=0) < 0:
        crop = np.maximum(-amounts, 0)
        shape = tuple(int(d - c.sum()) for d, c in zip(shape, crop, strict=True))
        x = ctx.step("SLICE", [x, ctx.ints(crop[:, 0].tolist()), ctx.ints(shape)], shape)
        amounts = np.maximum(amounts, 0)
    mode = text(node, "mode", "constant")
    table = ctx.graph.constant("paddings", amounts.astype(np.int32))
    if mode == "constant":
        _pad_constant(ctx, node, x, table)
    elif mode == "reflect" and all(max(a) < max(d, 1) for a, d in zip(amounts, shape, strict=True)):
        ctx.forward(node, "MIRROR_PAD", [x, table], mode=schema.MIRRORS["REFLECT"])
    else:
        _pad_by_index(ctx, node, x, amounts, {"edge": "edge", "wrap": "wrap", "reflect": "reflect"}[mode])


def _pad_constant(ctx: Writer, node: ir.Node, x: int, table: int) -> None:
    value = operand(node, 2)
    number = 0.0 if value is None else constant(value)
    if number is None:
        raise Refuse("what it pads with is computed as the model runs")
    number = float(np.asarray(number).reshape(-1)[0]) if np.size(number) else 0.0
    quant, stored = ctx.about(x).quant, node.inputs[0].dtype if node.inputs[0] is not None else None
    if quant is not None:  # ONNX pads integers by an integer
        unsigned = 128 if stored == ir.DataType.UINT8 else 0
        number = (number - unsigned - quant.zero_point[0]) * quant.scale[0]
    if number == 0:
        ctx.forward(node, "PAD", [x, table])
    else:
        ctx.forward(node, "PADV2", [x, table, filler(ctx, x, number)])


def _pad_by_index(ctx: Writer, node: ir.Node, x: int, amounts: np.ndarray, mode: str) -> None:
    """GATHER along each padded axis."""
    for axis, (before, after) in enumerate(amounts.tolist()):
        if before or after:
            size = ctx.about(x).shape[axis]
            indices = np.pad(np.arange(size), (before, after), mode=mode)  # type: ignore[call-overload]
            x = gathered(ctx, x, axis, indices)
    ctx.same(node, x)


def gathered(ctx: Writer, x: int, axis: int, indices: np.ndarray) -> int:
    """GATHER of constant indices along an axis."""
    shape = list(ctx.about(x).shape)
    shape[axis : axis + 1] = indices.shape
    table = ctx.graph.constant("indices", indices.astype(np.int32))
    return ctx.step("GATHER", [x, table], shape, axis=axis, batch_dims=0)


def expand(ctx: Writer, node: ir.Node) -> None:
    """BROADCAST_TO."""
    x, shape = ctx.tensor(node.inputs[0]), ctx.shape(node.outputs[0])
    if ctx.about(x).shape == shape:
        ctx.same(node, x)
    else:
        ctx.forward(node, "BROADCAST_TO", [x, ctx.ints(shape)])


def tile(ctx: Writer, node: ir.Node) -> None:
    """TILE."""
    x, out = ctx.tensor(node.inputs[0]), ctx.shape(node.outputs[0])
    shape = ctx.about(x).shape
    ctx.forward(node, "TILE", [x, ctx.ints([o // max(s, 1) for o, s in zip(out, shape, strict=True)])])


def depth_to_space(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.DepthToSpace: the order of LiteRT is DCR; CRD is a RESHAPE, a TRANSPOSE and a RESHAPE."""
    x, block = ctx.tensor(node.inputs[0]), integer(node, "blocksize", 1)
    if text(node, "mode", "DCR") == "DCR":
        ctx.forward(node, "DEPTH_TO_SPACE", [x], block_size=block)
        return
    n, h, w, c = ctx.about(x).shape
    inner = (n, h, w, c // block**2, block, block)
    x = ctx.step("RESHAPE", [x, ctx.ints(inner)], inner, new_shape=inner)
    perm = (0, 1, 4, 2, 5, 3)
    x = ctx.step("TRANSPOSE", [x, ctx.ints(perm)], [inner[p] for p in perm])
    ctx.same(node, x)


def space_to_depth(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.SpaceToDepth, in the order DCR."""
    if text(node, "mode", "DCR") != "DCR":
        raise Refuse("its order is CRD, and LiteRT's DCR")
    ctx.forward(node, "SPACE_TO_DEPTH", [ctx.tensor(node.inputs[0])], block_size=integer(node, "blocksize", 1))


def turned(ctx: Writer, x: int, *, last: bool) -> int:
    """A channels-first tensor channels-last, or back."""
    shape = ctx.about(x).shape
    perm = to_last(len(shape)) if last else to_first(len(shape))
    return ctx.step("TRANSPOSE", [x, ctx.ints(perm)], [shape[p] for p in perm])
