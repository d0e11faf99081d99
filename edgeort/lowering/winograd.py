"""Winograd convolution F(4x4, 3x3): which layers it pays for, and how their weights lie.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.2: 4x4 outputs take 36 products a
channel pair instead of 144, and three transforms. The choice is made here, so that a plan gives the same bytes
anywhere.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import integer, integers

OUT = 4  # outputs of a tile along a dimension; fewer at the end
TILES_PER_RUN = 48  # that share a transform of the weights (runtime/kernels/conv/winograd.cc)
UNKNOWN = 16  # outputs along a dimension that only the runtime knows

# Costs in fused multiply-adds of one lane, fitted to measured kernels: the transforms of one channel of a tile, and of
# one channel pair's weights.
_INPUT_COST = 320
_OUTPUT_COST = 280
_WEIGHT_COST = 115
_WORTH = 0.8


def pack(weight: np.ndarray) -> np.ndarray:
    """[o, c, 3, 3] -> float32 panels of outputs [ceil(o / PANEL), c, 9, PANEL], flat; outputs beyond o are zero."""
    out, channels = weight.shape[:2]
    padded = np.zeros((-(-out // layout.PANEL) * layout.PANEL, channels, 9), np.float32)
    padded[:out] = weight.reshape(out, channels, 9)
    return np.ascontiguousarray(padded.reshape(-1, layout.PANEL, channels, 9).transpose(0, 2, 3, 1)).reshape(-1)


def pays(node: ir.Node, weight: np.ndarray, y: ir.Value) -> bool:
    """Whether an edgeort.nhwc.Conv with output y is 3x3 of stride 1 and cheaper by Winograd."""
    if weight.shape[2:] != (3, 3) or integer(node, "group", 1) != 1:
        return False
    if set(integers(node, "strides") or [1]) | set(integers(node, "dilations") or [1]) != {1}:
        return False
    sizes = y.shape[1:3] if y.shape is not None and len(y.shape) == 4 else (None, None)
    height, width = (size if isinstance(size, int) else UNKNOWN for size in sizes)
    out, channels = weight.shape[:2]
    tiles, pairs = -(-height // OUT) * -(-width // OUT), out * channels
    fast = _positions(height) * _positions(width) * pairs + tiles * (_INPUT_COST * channels + _OUTPUT_COST * out)
    fast += max(1, tiles / TILES_PER_RUN) * _WEIGHT_COST * pairs
    return bool(fast < _WORTH * height * width * 9 * pairs)


def _positions(outputs: int) -> int:
    """Products along a dimension: a tile of m outputs takes m + 2."""
    return outputs + 2 * -(-outputs // OUT)
