"""Winograd convolution F(4x4, 3x3): which layers it pays for, and their transformed weights.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4.2: 4x4 outputs take 36 products a
channel pair instead of 144, and two transforms. The choice is made here, so that a plan gives the same bytes anywhere.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeort.lowering.context import integer, integers

OUT = 4
POSITIONS = 36
TILES_PER_BLOCK = 48  # that share one reading of the weights (runtime/kernels/conv/winograd.cc)

# Costs in fused multiply-adds of one lane, fitted to measured kernels: a channel's transforms of one tile, and a weight
# that is read from beyond the caches near the core.
_INPUT_COST = 320
_OUTPUT_COST = 280
_WEIGHT_COST = 32
_WORTH = 0.8

# The transform of a kernel, for the points 0, 1, -1, 2, -2 and infinity.
_G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


def transform(weight: np.ndarray) -> np.ndarray:
    """[o, c, 3, 3] -> float32 [36, c, o]: G g G^T, computed in float64 and rounded once."""
    wide = np.einsum("ij,ocjk,lk->iloc", _G, weight.astype(np.float64), _G)
    return np.ascontiguousarray(wide.reshape(POSITIONS, *weight.shape[:2]).transpose(0, 2, 1)).astype(np.float32)


def pays(node: ir.Node, weight: np.ndarray, x: ir.Value, y: ir.Value) -> bool:
    """Whether an edgeort.nhwc.Conv is 3x3 of stride 1 and cheaper by Winograd; unknown sizes stay direct."""
    if weight.shape[2:] != (3, 3) or integer(node, "group", 1) != 1:
        return False
    if set(integers(node, "strides") or [1]) | set(integers(node, "dilations") or [1]) != {1}:
        return False
    if y.shape is None or len(y.shape) != 4:
        return False
    height, width = y.shape[1], y.shape[2]
    if not isinstance(height, int) or not isinstance(width, int):
        return False
    out, channels = weight.shape[:2]
    tiles = -(-height // OUT) * -(-width // OUT)
    reads = -(-tiles // TILES_PER_BLOCK)
    pairs = out * channels
    fast = (
        tiles * (POSITIONS * pairs + _INPUT_COST * channels + _OUTPUT_COST * out)
        + reads * POSITIONS * pairs * _WEIGHT_COST
    )
    direct = height * width * 9 * pairs + 9 * pairs * _WEIGHT_COST
    return fast < _WORTH * direct
