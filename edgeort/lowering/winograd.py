"""Winograd convolution of 3x3 layers: which ones it pays for, and how their weights lie.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4: 4x4 outputs take 36 products a
channel pair instead of 144, or 81 at stride 2, and three transforms (runtime/kernels/conv/winograd.h). The choice is
made here, so that a plan gives the same bytes anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgeort.lowering import layout
from edgeort.lowering.context import integer, integers

OUT = 4  # outputs of a tile along a dimension; fewer at the end
TILES_PER_RUN = 48  # that share a transform of the weights (runtime/kernels/conv/winograd.cc)
UNKNOWN = 16  # outputs along a dimension that only the runtime knows


@dataclass(frozen=True)
class _Costs:
    """In fused multiply-adds of one lane, fitted to measured kernels: the transforms of one channel of a tile, and of
    one channel pair's weights."""

    input: int
    output: int
    weight: int


_COSTS = {1: _Costs(320, 280, 115), 2: _Costs(500, 200, 80)}
_WORTH = 0.8


def pack(weight: np.ndarray, stride: int) -> np.ndarray:
    """[o, c, 3, 3] -> float32 panels of outputs, flat; outputs beyond o are zero.

    Stride 1: [ceil(o / PANEL), c, 9, PANEL]. Stride 2: in each panel the taps that meet even lines and columns of the
    padded image [c, 4, PANEL], even lines and odd columns [c, 2, PANEL], odd and even [c, 2, PANEL], odd [c, 1, PANEL].
    """
    out, channels = weight.shape[:2]
    padded = np.zeros((-(-out // layout.PANEL) * layout.PANEL, channels, 3, 3), np.float32)
    padded[:out] = weight
    panels = padded.reshape(-1, layout.PANEL, channels, 3, 3).transpose(0, 2, 3, 4, 1)
    phases = [panels[:, :, y::stride, x::stride] for y in range(stride) for x in range(stride)]
    return np.concatenate([phase.reshape(len(panels), -1) for phase in phases], axis=1).reshape(-1)


def pays(node: ir.Node, weight: np.ndarray, y: ir.Value) -> bool:
    """Whether an edgeort.nhwc.Conv with output y is 3x3 of stride 1 or 2 and cheaper by Winograd."""
    return multiply_adds(node, weight, y) is not None


def multiply_adds(node: ir.Node, weight: np.ndarray, y: ir.Value) -> float | None:
    """What Winograd takes for one image of it, the transforms included; None where it does not pay."""
    if weight.shape[2:] != (3, 3) or integer(node, "group", 1) != 1 or set(integers(node, "dilations") or [1]) != {1}:
        return None
    strides = set(integers(node, "strides") or [1])
    if strides not in ({1}, {2}):
        return None
    stride = strides.pop()
    sizes = y.shape[1:3] if y.shape is not None and len(y.shape) == 4 else (None, None)
    height, width = (size if isinstance(size, int) else UNKNOWN for size in sizes)
    out, channels = weight.shape[:2]
    tiles, pairs = -(-height // OUT) * -(-width // OUT), out * channels
    cost = _COSTS[stride]
    fast = _positions(height, stride) * _positions(width, stride) * pairs
    fast += tiles * (cost.input * channels + cost.output * out) + max(1, tiles / TILES_PER_RUN) * cost.weight * pairs
    return fast if fast < _WORTH * height * width * 9 * pairs else None


def _positions(outputs: int, stride: int) -> int:
    """Products along a dimension: a tile of m outputs takes m + 2, and 2 m + 1 at stride 2."""
    tiles = -(-outputs // OUT)
    return outputs + 2 * tiles if stride == 1 else 2 * outputs + tiles
