"""Products of quantised activations by int8 weights: QConv, QDepthwiseConv, QGemm.

Packed weights of a group, [tap][c][n]: panels of PANEL columns, in each [tap][ceil(c / DEPTH)][PANEL columns][DEPTH
channels], so that 64 bytes in a row are what one instruction multiplies; channels and columns beyond are zero. Those of
a depthwise convolution: [tap][channels padded to PANEL].
"""

from __future__ import annotations

import numpy as np

from edgeort.lowering import layout

DEPTH = 4  # channels whose products one instruction sums


def panels(taps: np.ndarray) -> np.ndarray:
    """Packs int8 [tap, channel, column] of one group, flat."""
    count, channels, columns = taps.shape
    depth, wide = -(-channels // DEPTH), -(-columns // layout.PANEL)
    padded = np.zeros((count, depth * DEPTH, wide * layout.PANEL), np.int8)
    padded[:, :channels, :columns] = taps
    split = padded.reshape(count, depth, DEPTH, wide, layout.PANEL)
    return np.ascontiguousarray(split.transpose(3, 0, 1, 4, 2)).reshape(-1)


def depthwise(taps: np.ndarray) -> np.ndarray:
    """Packs int8 [tap, channel], flat."""
    return padded(taps).reshape(-1)


def padded(values: np.ndarray) -> np.ndarray:
    """`values` with zeros behind the last axis, up to whole panels."""
    out = np.zeros((*values.shape[:-1], -(-values.shape[-1] // layout.PANEL) * layout.PANEL), values.dtype)
    out[..., : values.shape[-1]] = values
    return out
