"""Winograd convolution of a 7x7 first layer of stride 2: whether it pays, and its weights, transformed.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4. Along a dimension it is F(4, 4) of
the even pixels, whose taps are 0, 2, 4 and 6, and F(4, 3) of the odd ones (runtime/kernels/conv/winograd_stem.h): 4x4
outputs take 507 products a column instead of 2352.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.winograd import OUT, UNKNOWN

POINTS = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)  # and infinity, for four taps
KERNEL = 7
TERMS = 507  # (4 + 3)^2 of them at 3 channels are those of whole points
_EVEN_TAPS = 4

# In multiply-adds of one lane, fitted to counted instructions: the transforms of a column of a tile and of a tile's
# pixels; and a transformed weight, of which there are more to read.
_OUTPUT, _INPUT, _WEIGHT = 240, 5000, 16
_WORTH = 0.8


def pack(weight: np.ndarray) -> np.ndarray:
    """[o, 3, 7, 7] -> float32 panels [ceil(o / PANEL), TERMS, PANEL], flat; outputs beyond o are zero.

    Computed in float64, by operations that round alike everywhere, and rounded once. Terms stand position by position
    (y, then x), and at each in the order of lines (even, odd), columns (even, odd) and channels, where they exist.
    """
    out, channels = weight.shape[:2]
    padded = np.zeros((-(-out // layout.PANEL) * layout.PANEL, channels, KERNEL, KERNEL))
    padded[:out] = weight
    phases = [[_evaluate(_evaluate(padded[:, :, y::2, x::2], 2), 3) for x in (0, 1)] for y in (0, 1)]
    count = len(POINTS) + 1
    terms = [
        phases[odd_y][odd_x][:, :, y, x]
        for y in range(count)
        for x in range(count)
        for odd_y in range(2 if y < len(POINTS) else 1)
        for odd_x in range(2 if x < len(POINTS) else 1)
    ]
    rows = np.concatenate(terms, axis=1).astype(np.float32)
    return rows.reshape(-1, layout.PANEL, TERMS).transpose(0, 2, 1).reshape(-1)


def _evaluate(taps: np.ndarray, axis: int) -> np.ndarray:
    """The polynomials along an axis at all points, with the factors of the interpolation; at infinity the last tap."""
    first, *rest = np.moveaxis(taps, axis, 0)[::-1]
    values = []
    for point in POINTS:
        value = first
        for tap in rest:
            value = value * point + tap
        values.append(value / math.prod(point - other for other in POINTS if other != point))
    if len(rest) + 1 == _EVEN_TAPS:
        values.append(first)
    return np.stack(values, axis)


def pays(weight: np.ndarray, y: ir.Value) -> bool:
    """Whether the first layer with output y, channels last, is 7x7 and cheaper by Winograd."""
    if weight.shape[1:] != (3, KERNEL, KERNEL):
        return False
    sizes = y.shape[1:3] if y.shape is not None and len(y.shape) == 4 else (None, None)
    height, width = (size if isinstance(size, int) else UNKNOWN for size in sizes)
    columns = -(-weight.shape[0] // layout.PANEL) * layout.PANEL
    tiles = -(-height // OUT) * -(-width // OUT)
    fast = tiles * ((TERMS + _OUTPUT) * columns + _INPUT) + _WEIGHT * TERMS * columns
    return fast < _WORTH * height * width * KERNEL * KERNEL * 3 * columns
