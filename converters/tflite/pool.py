"""Pools over windows and over whole images, channels last.

MaxPool with pads         PADV2 of the least number before it; PAD of zeros where no input is negative
MaxPool with dilations    the maxima of strided slices
AveragePool with pads     PAD of zeros before it; times size / count where padding does not count
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite import schema
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.windows import Window, pad, padded, window
from edgeort.converters.tflite.writer import Site, Writer
from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import integer, ints, is_op
from edgeort.passes.quantised import LOW, quantity

_LOWEST = float(np.finfo(np.float32).min)
_NON_NEGATIVE = frozenset(("Sigmoid", "HardSigmoid", "Abs", "Exp", "Softplus", "Softmax", "Sqrt"))
_KEEPS_SIGN = frozenset(("MaxPool", "Transpose", "Reshape", "Concat", "GlobalAveragePool", "AveragePool"))


def max_pool(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.MaxPool; integers go through as they are."""
    found = window(ctx, node, ints(node, "kernel_shape", ()))
    x = _planes(ctx, ctx.tensor(node.inputs[0]))
    if found.dilations != (1, 1):
        made = _dilated_max(ctx, x, found, _plane_shape(ctx, node))
    else:
        least = 0.0 if _never_negative(node.inputs[0]) else _LOWEST
        x, padding = pad(ctx, x, found, least)
        made = ctx.step("MAX_POOL_2D", [x], _plane_shape(ctx, node), **_options(found, padding))
    ctx.same(node, made)


def _dilated_max(ctx: Writer, x: int, found: Window, out: tuple[int, ...]) -> int:
    """The maximum over the window's positions of the input, each strided from its own start."""
    before, after = found.pads[:2], found.pads[2:]
    if any(p > 0 for p in found.pads):
        ends = ((b, max(a, 0)) for b, a in zip(before, after, strict=True))
        x = padded(ctx, x, [(0, 0), *ends, (0, 0)], _LOWEST)
    best = -1
    steps = ctx.ints((1, *found.strides, 1))
    for row in range(found.kernel[0]):
        for column in range(found.kernel[1]):
            begin = (0, row * found.dilations[0], column * found.dilations[1], 0)
            end = [b + (o - 1) * s + 1 for b, o, s in zip(begin, out, (1, *found.strides, 1), strict=True)]
            part = ctx.step("STRIDED_SLICE", [x, ctx.ints(begin), ctx.ints(end), steps], out)
            best = part if best < 0 else ctx.step("MAXIMUM", [best, part])
    return best


def average_pool(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.AveragePool; the integers of input and output share a scale in LiteRT."""
    found = window(ctx, node, ints(node, "kernel_shape", ()))
    if found.dilations != (1, 1):
        raise Refuse("it averages windows with gaps")
    counted = bool(integer(node, "count_include_pad", 0))
    x = ctx.integers(node.inputs[0])
    before, after = found.pads[:2], found.pads[2:]
    corrected = any(p > 0 for p in found.pads) and not (counted and not integer(node, "ceil_mode", 0))
    if x is not None and corrected:
        x = None  # a correction by position is a product of floats
    site = ctx.site(node, fuses=not corrected, integers=x is not None)
    source = ctx.tensor(node.inputs[0]) if site.quant is None or x is None else x
    source = _planes(ctx, source)
    shape, sizes = _plane_shape(ctx, node), ctx.about(source).shape[1:3]
    if not corrected:
        ends = [(b, max(a, 0)) for b, a in zip(before, after, strict=True)]
        if any(max(pair) for pair in ends):
            source = padded(ctx, source, [(0, 0), *ends, (0, 0)])
        _finish(ctx, site, source, shape, _options(found, "VALID", site.activation))
        return
    source, padding = pad(ctx, source, found)
    made = ctx.step("AVERAGE_POOL_2D", [source], shape, **_options(found, padding))
    if padding == "VALID":  # SAME leaves its own padding out
        factor = _counts(found, sizes, shape[1:3], node)
        made = ctx.step("MUL", [made, ctx.constant(f"{node.name}_counts", factor)])
    _close(ctx, site, made)


def _counts(found: Window, sizes: tuple[int, ...], out: tuple[int, ...], node: ir.Node) -> np.ndarray:
    """[1, h, w, 1] float32: elements of a window over those that count in its average."""
    declared = ints(node, "pads", (0,) * 4) if integer(node, "count_include_pad", 0) else [0] * 4
    declared = declared if len(declared) == 4 else [0, declared[0], 0, declared[1]]
    axes = []
    for axis in range(2):
        starts = np.arange(out[axis]) * found.strides[axis] - found.pads[axis]
        first = np.maximum(starts, -declared[axis])
        last = np.minimum(starts + found.kernel[axis], sizes[axis] + declared[axis + 2])
        axes.append(found.kernel[axis] / np.maximum(last - first, 1))
    return (axes[0][:, None] * axes[1][None, :]).astype(np.float32)[None, :, :, None]


def global_average(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.GlobalAveragePool: MEAN, which may give integers of another scale."""
    x = ctx.integers(node.inputs[0])
    site = ctx.site(node, integers=x is not None)
    source = ctx.tensor(node.inputs[0]) if site.quant is None or x is None else x
    axes = range(1, len(ctx.about(source).shape) - 1)
    ctx.write(site, "MEAN", [source, ctx.ints(axes)], keep_dims=True)


def global_max(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.GlobalMaxPool."""
    x = ctx.tensor(node.inputs[0])
    axes = range(1, len(ctx.about(x).shape) - 1)
    ctx.forward(node, "REDUCE_MAX", [x, ctx.ints(axes)], keep_dims=True)


def _options(found: Window, padding: str, activation: str = "NONE") -> dict[str, int]:
    sizes = {"filter_height": found.kernel[0], "filter_width": found.kernel[1]}
    return found.options(padding) | sizes | {"fused_activation_function": schema.ACTIVATIONS[activation]}


def _finish(ctx: Writer, site: Site, source: int, shape: tuple[int, ...], options: dict[str, int]) -> None:
    quant = ctx.about(source).quant
    if len(ctx.shape(site.value)) == 4:
        ctx.write(site, "AVERAGE_POOL_2D", [source], quant, **options)
    else:
        _close(ctx, site, ctx.step("AVERAGE_POOL_2D", [source], shape, **options))


def _close(ctx: Writer, site: Site, made: int) -> None:
    """RESHAPE to the site's value."""
    shape, quant = ctx.shape(site.value), ctx.about(made).quant
    ctx.write(site, "RESHAPE", [made, ctx.ints(shape)], quant, new_shape=shape)


def _planes(ctx: Writer, x: int) -> int:
    shape = ctx.about(x).shape
    if len(shape) == 4:
        return x
    shape = (shape[0], 1, *shape[1:])
    return ctx.step("RESHAPE", [x, ctx.ints(shape)], shape, new_shape=shape)


def _plane_shape(ctx: Writer, node: ir.Node) -> tuple[int, ...]:
    shape = ctx.shape(node.outputs[0])
    return shape if len(shape) == 4 else (shape[0], 1, *shape[1:])


def _never_negative(value: ir.Value | None) -> bool:
    """Whether what computes a value, or the range of its integers, says that no element is below 0."""
    node = None if value is None else value.producer()
    if node is None:
        return False
    found = quantity(node)
    if found is not None:
        return found.zero_point == LOW
    bounds = clip_bounds(node)
    if bounds is not None:
        return bounds[0] >= 0
    if node.op_type in _KEEPS_SIGN:
        return all(_never_negative(v) for v in node.inputs[: None if node.op_type == "Concat" else 1])
    return is_op(node, *_NON_NEGATIVE)
