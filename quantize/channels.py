"""A scale for every channel of a tensor that only depthwise convolutions read.

Such a convolution keeps channels apart, so its kernel multiplies by one number for each channel anyway, and the scale
is part of that. The zero point is one for the tensor, which is what padding reads. ONNX writes it with an axis;
runtimes that fuse QuantizeLinear into convolutions do not take it, hence it is for edgeort's own (`Options.runtime`).

Few samples do not show the largest number of every channel: a channel gets `MARGIN` of room, at least `FLOOR` of the
tensor's range, and never more than that.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.passes.edit import constant, integer, is_op, operand
from edgeort.quantize.parameters import LEVELS, Quantity, activation
from edgeort.quantize.ranges import Range

MARGIN, FLOOR = 2.0, 1 / 16
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


def weight_sizes(value: ir.Value) -> np.ndarray:
    """The root of the sum of squares of the weights that multiply each channel of such a tensor."""
    weights = [constant(operand(use.node, 1)) for use in value.uses()]
    squares = [
        (w.astype(np.float64) ** 2).reshape(integer(use.node, "group", 1), -1).sum(axis=1)
        for w, use in zip(weights, value.uses(), strict=True)
        if w is not None
    ]
    return np.sqrt(np.sum(squares, axis=0))


def quantity(whole: Range, lows: np.ndarray, highs: np.ndarray, sizes: np.ndarray) -> Quantity:
    """Of a tensor with the range `whole`, whose channels' extremes are `lows` and `highs`.

    The zero point is that of the least noise behind the weights, whose `sizes` are given.
    """
    lows = np.clip(np.minimum(MARGIN * lows, FLOOR * whole[0]), whole[0], 0).astype(np.float64)
    highs = np.clip(np.maximum(MARGIN * highs, FLOOR * whole[1]), 0, whole[1]).astype(np.float64)
    if not (lows.any() or highs.any()):
        return activation(*whole)
    zeros = np.arange(LEVELS + 1)[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(lows < 0, -lows / zeros, 0)  # steps that reach down to the lowest number
        above = np.where(highs > 0, highs / (LEVELS - zeros), 0)
    steps = np.maximum(below, above)
    best = int(((steps * np.maximum(sizes, _TINY)) ** 2).sum(axis=1).argmin())
    return Quantity(np.maximum(steps[best], _TINY).astype(np.float32), best)
