"""Resize: RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR where their positions are those of ONNX, else GATHER, products.

Every other resize is linear along each axis: FULLY_CONNECTED by a constant matrix, with the axis last.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite.move import gathered, turned
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.writer import Writer
from edgeort.passes.edit import constant, integer, operand, opset, text

_MODES = ((False, False), (False, True), (True, False))  # (align_corners, half_pixel_centers)


def resize(ctx: Writer, node: ir.Node) -> None:
    """Resize along any axes, for scales or sizes that are constant."""
    shape, out = ctx.shape(node.inputs[0]), ctx.shape(node.outputs[0])
    scales = _scales(node, shape, out, _is_old(ctx, node))
    policy = text(node, "keep_aspect_ratio_policy", "stretch")
    if integer(node, "antialias", 0) or "axes" in node.attributes or policy != "stretch":
        raise Refuse("it has antialias, axes or an aspect ratio")
    mode = text(node, "mode", "nearest")
    # ONNX Runtime copies where no size changes, and else uses every scale.
    axes = [] if shape == out else [a for a, scale in enumerate(scales) if shape[a] != out[a] or scale != 1]
    if mode == "nearest":
        _nearest(ctx, node, axes, scales)
    elif mode == "linear":
        _linear(ctx, node, axes, scales)
    else:
        raise Refuse(f"it interpolates by {mode}, and LiteRT only linearly or not at all")


def _is_old(ctx: Writer, node: ir.Node) -> bool:
    """Upsample and the first Resize, whose coordinates are asymmetric and rounded down."""
    return node.op_type == "Upsample" or opset(ctx.model) < 11


def _scales(node: ir.Node, shape: tuple[int, ...], out: tuple[int, ...], old: bool) -> list[float]:
    value = operand(node, 1 if old else 2)
    given = constant(value)
    if given is not None and given.size == len(shape):
        return [float(s) for s in given.reshape(-1)]
    if value is not None and given is None:
        raise Refuse("its scales are computed as the model runs")
    return [o / max(s, 1) for s, o in zip(shape, out, strict=True)]


def _positions(ctx: Writer, node: ir.Node, size: int, out: int, scale: float) -> np.ndarray:
    """Where output elements lie in the input, float64 (ONNX Resize, coordinate_transformation_mode)."""
    x = np.arange(out, dtype=np.float64)
    mode = "asymmetric" if _is_old(ctx, node) else text(node, "coordinate_transformation_mode", "half_pixel")
    formulas: dict[str, Callable[[], np.ndarray]] = {
        "half_pixel": lambda: (x + 0.5) / scale - 0.5,
        "half_pixel_symmetric": lambda: size / 2 * (1 - out / (scale * size)) + (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel": lambda: (x + 0.5) / scale - 0.5 if out > 1 else np.zeros(1),
        "asymmetric": lambda: x / scale,
        "align_corners": lambda: x * (size - 1) / (out - 1) if out > 1 else np.zeros(1),
    }
    if mode not in formulas:
        raise Refuse(f"its coordinates are {mode}")
    return formulas[mode]()


def _nearest(ctx: Writer, node: ir.Node, axes: list[int], scales: list[float]) -> None:
    shape, out = ctx.shape(node.inputs[0]), ctx.shape(node.outputs[0])
    maps = {a: _indices(ctx, node, shape[a], out[a], scales[a]) for a in axes}
    x = ctx.tensor(node.inputs[0])
    for align, half in _MODES if _is_planes(shape, axes) else ():
        if all(np.array_equal(maps[a], _litert_nearest(shape[a], out[a], align, half)) for a in axes):
            _on_planes(ctx, node, "RESIZE_NEAREST_NEIGHBOR", max(axes), align, half)
            return
    for axis in axes:
        x = gathered(ctx, x, axis, maps[axis])
    ctx.same(node, x)


def _is_planes(shape: tuple[int, ...], axes: list[int]) -> bool:
    return len(shape) == 4 and bool(axes) and (set(axes) <= {1, 2} or set(axes) <= {2, 3})


def _on_planes(ctx: Writer, node: ir.Node, name: str, last: int, align: bool, half: bool) -> None:
    """LiteRT's operator, which resizes axes 1 and 2; axes 2 and 3 between two TRANSPOSEs."""
    x, out = ctx.tensor(node.inputs[0]), ctx.shape(node.outputs[0])
    options = {"align_corners": align, "half_pixel_centers": half}
    if last == 2:
        ctx.forward(node, name, [x, ctx.ints(out[1:3])], **options)
        return
    shape = (out[0], *out[2:], out[1])
    made = ctx.step(name, [turned(ctx, x, last=True), ctx.ints(out[2:])], shape, **options)
    ctx.same(node, turned(ctx, made, last=False))


def _indices(ctx: Writer, node: ir.Node, size: int, out: int, scale: float) -> np.ndarray:
    """The input element of each output element."""
    x = np.float32(_positions(ctx, node, size, out, scale)).astype(np.float64)
    rounding = "floor" if _is_old(ctx, node) else text(node, "nearest_mode", "round_prefer_floor")
    if rounding == "floor":
        found = np.floor(x)
    elif rounding == "ceil":
        found = np.ceil(x)
    elif rounding == "round_prefer_floor":
        found = np.ceil(x - 0.5)
    else:
        found = np.floor(x + 0.5)
    return np.clip(found, 0, size - 1).astype(np.int64)


def _litert_nearest(size: int, out: int, align: bool, half: bool) -> np.ndarray:
    """The same of LiteRT's kernel, in float32 as it computes."""
    scale = np.float32(size - 1) / np.float32(out - 1) if align and out > 1 else np.float32(size) / np.float32(out)
    x = (np.arange(out, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    return np.clip(np.floor(x + np.float32(0.5)) if align else np.floor(x), 0, size - 1).astype(np.int64)


def _linear(ctx: Writer, node: ir.Node, axes: list[int], scales: list[float]) -> None:
    shape, out = ctx.shape(node.inputs[0]), ctx.shape(node.outputs[0])
    x = ctx.tensor(node.inputs[0])
    for align, half in _MODES if _is_planes(shape, axes) else ():
        if all(_same_places(ctx, node, shape[a], out[a], scales[a], align, half) for a in axes):
            _on_planes(ctx, node, "RESIZE_BILINEAR", max(axes), align, half)
            return
    if ctx.about(x).quant is not None:
        raise Refuse("it interpolates integers at positions that LiteRT has not")
    for axis in axes:
        x = _multiplied(ctx, x, axis, _matrix(_positions(ctx, node, shape[axis], out[axis], scales[axis]), shape[axis]))
    ctx.same(node, x)


def _same_places(ctx: Writer, node: ir.Node, size: int, out: int, scale: float, align: bool, half: bool) -> bool:
    step = (size - 1) / (out - 1) if align and out > 1 else size / out
    x = np.arange(out, dtype=np.float64)
    theirs = (x + 0.5) * step - 0.5 if half else x * step
    ours = np.clip(_positions(ctx, node, size, out, scale), 0, size - 1)
    return bool(np.abs(ours - np.clip(theirs, 0, size - 1)).max(initial=0) < 1e-6 * max(size, 1))


def _matrix(positions: np.ndarray, size: int) -> np.ndarray:
    """[outputs, inputs] float32: the weights of the two neighbours of each position."""
    x = np.clip(positions, 0, size - 1)
    low = np.floor(x).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    made = np.zeros((len(x), size), np.float64)
    rows = np.arange(len(x))
    np.add.at(made, (rows, low), 1 - (x - low))
    np.add.at(made, (rows, high), x - low)
    return made.astype(np.float32)


def _multiplied(ctx: Writer, x: int, axis: int, matrix: np.ndarray) -> int:
    """The axis multiplied by a matrix."""
    shape = ctx.about(x).shape
    perm = [*(a for a in range(len(shape)) if a != axis), axis]
    back = [perm.index(a) for a in range(len(shape))]
    moved = [shape[p] for p in perm]
    turned = ctx.step("TRANSPOSE", [x, ctx.ints(perm)], moved)
    made = (*moved[:-1], len(matrix))
    stored = ctx.constant("interpolation", matrix)
    turned = ctx.step("FULLY_CONNECTED", [turned, stored], made, keep_num_dims=True)
    final = [made[b] for b in back]
    assert math.prod(final) == math.prod(made)
    return ctx.step("TRANSPOSE", [turned, ctx.ints(back)], final)
