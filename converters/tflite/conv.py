"""Convolutions, plain, depthwise and transposed, of one or two spatial axes.

ONNX's weights [O, I/g, kh, kw] become OHWI, depthwise ones [1, kh, kw, O], transposed ones [I, O/g, kh, kw] OHWI.
Pads that are neither those of SAME nor zero become a PAD before the operator, which XNNPACK takes into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from edgeort.converters.tflite.graph import Quant
from edgeort.converters.tflite.refusal import Refuse
from edgeort.converters.tflite.weights import Weights, bias
from edgeort.converters.tflite.windows import pad, same_begin, window
from edgeort.converters.tflite.writer import Site, Writer
from edgeort.passes.edit import integer, operand
from edgeort.passes.quantised import numbers_of


@dataclass(frozen=True)
class _Operands:
    """`x` is float32 or int8, with weights and bias to it."""

    site: Site
    x: int
    weights: int
    bias: int


def conv(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.Conv: CONV_2D or DEPTHWISE_CONV_2D."""
    weights = Weights.of(node.inputs[1])
    found = window(ctx, node, weights.numbers.shape[2:])
    weights = _planes(weights)
    groups, channels = integer(node, "group", 1), ctx.shape(node.inputs[0])[-1]
    depthwise = groups == channels and groups > 1
    if depthwise:
        weights = weights.transpose((1, 2, 3, 0))  # [O, 1, kh, kw] -> [1, kh, kw, O]
    else:
        weights = weights.transpose((0, 2, 3, 1))
    given = _operands(ctx, node, weights, 3 if depthwise else 0)
    x, padding = pad(ctx, _spread(ctx, given.x), found)
    options = found.options(padding) | given.site.fused
    options |= {"dilation_h_factor": found.dilations[0], "dilation_w_factor": found.dilations[1]}
    if depthwise:
        options["depth_multiplier"] = weights.numbers.shape[3] // channels
    _write(ctx, node, "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, given.weights, given.bias], given, options)


def transposed(ctx: Writer, node: ir.Node) -> None:
    """edgeort.nhwc.ConvTranspose: TRANSPOSE_CONV, and a SLICE where SAME does not crop as the pads do."""
    weights = Weights.of(node.inputs[1])
    found = window(ctx, node, weights.numbers.shape[2:], transposed=True)
    weights = _dilated(_dense(_planes(weights), integer(node, "group", 1)), found.dilations)
    kernel = weights.numbers.shape[2:]
    given = _operands(ctx, node, weights.transpose((1, 2, 3, 0)), 0, fuses=False)  # readers of before 2023 ignore it
    x = _spread(ctx, given.x)
    batch, *sizes, _ = ctx.about(x).shape
    out = _plane_shape(ctx, node)
    crop = list(found.pads[:2])
    same = all(o == s * i for o, s, i in zip(out[1:3], found.strides, sizes, strict=True))
    same = same and [same_begin(o, k, s) for o, k, s in zip(out[1:3], kernel, found.strides, strict=True)] == crop
    whole = [max((i - 1) * s + k, c + o) for i, s, k, c, o in
             zip(sizes, found.strides, kernel, crop, out[1:3], strict=True)]  # fmt: skip
    shape = out if same or list(out[1:3]) == whole else (batch, *whole, out[3])
    options = found.options("SAME" if same else "VALID")
    inputs = [ctx.ints(shape), given.weights, x, given.bias]
    if shape == out:
        _write(ctx, node, "TRANSPOSE_CONV", inputs, given, options)
        return
    made = ctx.temporary(f"{node.name}_whole", shape, given.x, given.site.quant)
    ctx.graph.add("TRANSPOSE_CONV", inputs, [made], **options)
    _write(ctx, node, "SLICE", [made, ctx.ints((0, *crop, 0)), ctx.ints(out)], given, {})


def _operands(ctx: Writer, node: ir.Node, weights: Weights, axis: int, *, fuses: bool = True) -> _Operands:
    """Integers where input, weights and output are, with the output's slices along `axis`."""
    x, name = ctx.integers(node.inputs[0]), str(node.inputs[1].name if node.inputs[1] else node.name)
    site = ctx.site(node, fuses=fuses, integers=x is not None and weights.fits(axis))
    value = operand(node, 2)
    numbers = np.zeros(weights.numbers.shape[axis], np.float32) if value is None else numbers_of(value)
    if numbers is None:
        raise Refuse("its bias is computed as the model runs")
    if site.quant is None or x is None:
        stored = weights if weights.fits(axis) else weights.floats()
        return _Operands(
            site, ctx.tensor(node.inputs[0]), stored.tensor(ctx, name), bias(ctx, f"{name}_bias", numbers, None)
        )
    return _Operands(
        site, x, weights.raw(ctx, name), bias(ctx, f"{name}_bias", numbers, product_scale(ctx, x, weights))
    )


def product_scale(ctx: Writer, x: int, weights: Weights) -> np.ndarray:
    """Of the sums of products, float32, one number or one for each slice of the weights."""
    quant = ctx.about(x).quant
    assert isinstance(quant, Quant) and weights.scale is not None
    return np.asarray(np.float32(quant.scale[0]) * weights.scale, np.float32)


def _write(ctx: Writer, node: ir.Node, name: str, inputs: list[int], given: _Operands, options: dict[str, Any]) -> None:
    """The operator on planes; a value with one spatial axis is reshaped behind it."""
    shape = ctx.shape(node.outputs[0])
    if len(shape) == 4:
        ctx.write(given.site, name, inputs, **options)
        return
    made = ctx.temporary(f"{node.name}_planes", _plane_shape(ctx, node), given.x, given.site.quant)
    ctx.graph.add(name, inputs, [made], **options)
    ctx.write(given.site, "RESHAPE", [made, ctx.ints(shape)], new_shape=shape)


def _plane_shape(ctx: Writer, node: ir.Node) -> tuple[int, ...]:
    shape = ctx.shape(node.outputs[0])
    return shape if len(shape) == 4 else (shape[0], 1, *shape[1:])


def _spread(ctx: Writer, x: int) -> int:
    """The input with two spatial axes: [N, L, C] becomes [N, 1, L, C]."""
    shape = ctx.about(x).shape
    if len(shape) == 4:
        return x
    shape = (shape[0], 1, *shape[1:])
    return ctx.step("RESHAPE", [x, ctx.ints(shape)], shape, new_shape=shape)


def _planes(weights: Weights) -> Weights:
    """Weights with two spatial axes."""
    shape = weights.numbers.shape
    return weights if len(shape) == 4 else weights.reshape((*shape[:2], 1, shape[2]), weights.axis)


def _dense(weights: Weights, groups: int) -> Weights:
    """Transposed weights [I, O/g, kh, kw] of groups as those of one group, zero between groups."""
    if groups == 1:
        return weights
    wide, (inputs, outputs, *kernel) = weights.numbers, weights.numbers.shape
    made = np.zeros((inputs, outputs * groups, *kernel), np.float32)
    step = inputs // groups
    for g in range(groups):
        made[g * step : (g + 1) * step, g * outputs : (g + 1) * outputs] = wide[g * step : (g + 1) * step]
    return Weights(made)


def _dilated(weights: Weights, dilations: tuple[int, ...]) -> Weights:
    """Transposed weights with the zeros of a dilated kernel between them."""
    if dilations == (1, 1):
        return weights
    wide = weights.numbers
    kernel = [(k - 1) * d + 1 for k, d in zip(wide.shape[2:], dilations, strict=True)]
    made = np.zeros((*wide.shape[:2], *kernel), np.float32)
    made[:, :, :: dilations[0], :: dilations[1]] = wide
    return Weights(made)
