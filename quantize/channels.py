"""A scale for every channel of a tensor that only depthwise convolutions read.

Such a convolution keeps channels apart, so its kernel multiplies by one number for each channel anyway, and the scale
is part of that. The zero point is one for the tensor, which is what padding reads. ONNX writes it with an axis;
runtimes that fuse QuantizeLinear into convolutions do not take it, hence it is for edgeort's own (`Options.runtime`).

A channel gets what it may reach (extremes.py), at least `FLOOR` of the tensor's range, and never more than that. From
there on its step is widened until the numbers that it mostly holds lie well on the grid: behind a function with a flat
part, or beside one end of the range, they are nearly the same everywhere, and so is their error e. The taps w add it
up,

    |w|^2 Var[e] + (sum of |w|)^2 E[e]^2

and the step of the least sum is taken. (A bias makes up for the second part only where no tap reads padding.)

Behind a layer whose results are cut off at zero, no step is so fine that the layer's largest sum is 2^15 of them:
kernels that need not saturate int16 are faster (lowering/quantised.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from edgeort.passes.algebra import clip_bounds
from edgeort.passes.edit import constant, integer, is_op, operand
from edgeort.quantize.extremes import Reach
from edgeort.quantize.layers import Layer
from edgeort.quantize.parameters import LEVELS, Quantity, activation
from edgeort.quantize.ranges import UNBOUNDED, Range

FLOOR = 1 / 16
MARGIN = 1.05  # of the largest sum: refinement moves weights and biases
WIDER = np.linspace(1.0, 1.3, 31)  # times a step, that are tried
AXIS = 1
_TINY = float(np.finfo(np.float32).tiny)


def is_depthwise(node: ir.Node) -> bool:
    """A Conv whose groups have one input channel each."""
    weight = constant(operand(node, 1)) if is_op(node, "Conv") else None
    return weight is not None and weight.shape[1] == 1 and integer(node, "group", 1) > 1


def keeps_channels_apart(value: ir.Value) -> bool:
    """Whether only depthwise convolutions read it."""
    uses = list(value.uses())
    return bool(uses) and not value.is_graph_output() and all(is_depthwise(u.node) and u.idx == 0 for u in uses)


def readers(value: ir.Value) -> np.ndarray:
    """[channels, n], float64: the weights that multiply each channel of such a tensor."""
    weights = [(constant(operand(use.node, 1)), integer(use.node, "group", 1)) for use in value.uses()]
    return np.concatenate([w.astype(np.float64).reshape(group, -1) for w, group in weights if w is not None], axis=1)


def least_steps(value: ir.Value, layers: Mapping[ir.Node, Layer], found: Mapping[str, Quantity]) -> np.ndarray | float:
    """[channels], float64, of what a layer makes by itself or through a Clip, given its input's quantity; 0 else."""
    node = value.producer()
    if node is not None and clip_bounds(node) is not None:
        node = None if node.inputs[0] is None else node.inputs[0].producer()
    layer = None if node is None else layers.get(node)
    read = None if layer is None else found.get(str(layer.input.name))
    if layer is None or read is None or layer.node.op_type != "Conv" or np.ndim(read.scale) or read.levels != LEVELS:
        return 0.0
    weight = layer.weight.astype(np.float64).reshape(len(layer.weight), -1)
    middle, bias = (LEVELS + 1) / 2, 0.0 if layer.bias is None else layer.bias
    folded = np.abs(bias + (middle - read.zero) * float(read.scale) * weight.sum(axis=1))
    largest = folded + middle * float(read.scale) * np.abs(weight).sum(axis=1)
    return np.asarray(largest * MARGIN / 2**15)


def quantity(
    whole: Range,
    reach: Reach,
    weights: np.ndarray,
    bounds: Range = UNBOUNDED,
    least: np.ndarray | float = 0.0,
) -> Quantity:
    """Of a tensor with the range `whole`; `weights` [channels, n] multiply its channels.

    The zero point is that of the least noise behind them. `bounds` are those of the Clip that makes the tensor, which
    no channel's range exceeds, so that saturation takes its place. Where the zero point is 0, no step is below `least`.
    """
    lows = np.clip(np.minimum(reach.lows, FLOOR * whole[0]), whole[0], 0).astype(np.float64)
    highs = np.clip(np.maximum(reach.highs, FLOOR * whole[1]), 0, whole[1]).astype(np.float64)
    sizes = np.sqrt((weights**2).sum(axis=1))
    if not (lows.any() or highs.any()):
        return activation(*whole)
    zeros = np.arange(LEVELS + 1)[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(lows < 0, -lows / zeros, 0)  # steps that reach down to the lowest number
        above = np.where(highs > 0, highs / (LEVELS - zeros), 0)
    steps = np.maximum(below, above)
    best = int(((steps * np.maximum(sizes, _TINY)) ** 2).sum(axis=1).argmin())
    below_zero, above_zero = max(best, _TINY), max(LEVELS - best, _TINY)
    most = min(-bounds[0] / below_zero if bounds[0] < 0 else math.inf, bounds[1] / above_zero)
    finest = np.maximum(steps[best], np.minimum(least, most) if best == 0 else 0.0)
    return Quantity(_widened(np.maximum(finest, _TINY), most, best, reach.drawn, weights), best)


def _widened(steps: np.ndarray, most: float, zero: int, drawn: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32: every channel's step times that of `WIDER` with the least error of the numbers drawn from it.

    A step does not grow beyond `most`.
    """
    squares, sums = (weights**2).sum(axis=1), np.abs(weights).sum(axis=1)
    best, least = steps, np.full(len(steps), np.inf)
    for factor in WIDER:
        tried = np.maximum(np.minimum(steps * factor, most), steps).astype(np.float32)[:, np.newaxis]
        errors = (np.clip(np.rint(drawn / tried) + zero, 0, LEVELS) - zero) * tried - drawn
        found = squares * errors.var(axis=1) + (sums * errors.mean(axis=1)) ** 2
        best = np.where(found < least, tried[:, 0], best)
        least = np.minimum(found, least)
    return best.astype(np.float32)
