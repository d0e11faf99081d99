"""The int8 contract (edgeort/runtime/NUMERICS.md) in NumPy.

Activations are canonical int8 (an ONNX uint8 minus 128, its zero point too), weights int8 with zero point 0, biases
and accumulators int32. Images are NHWC, convolution weights in ONNX's layout; the sums are exact, and asserted to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PANEL = 16  # columns
DEPTH = 4  # products that one instruction sums


def requantise(acc: Array, scale: Array, zero_point: int, lo: int = -128, hi: int = 127) -> Array:
    """int8 of int32 sums [..., n] by float32 factors [n] (or one for all)."""
    y = np.rint(acc.astype(np.float32) * np.asarray(scale, np.float32))
    return np.clip(y.astype(np.float64) + zero_point, lo, hi).astype(np.int8)


def is_small(taps: Array, bias: Array, scale: Array, x_zero_point: int | Array) -> bool:
    """Whether no sum of a product by int8 [tap, channel, n] times its scale reaches 2^15."""
    weight = taps.astype(np.float64)
    folded = bias - x_zero_point * weight.sum(axis=(0, 1))
    return bool(((np.abs(folded) + 128 * np.abs(weight).sum(axis=(0, 1))) * scale < 2**15 - 1).all())


def dequantize(q: Array, scale: float, zero_point: int) -> Array:
    """The micro-operation Dequantize of canonical integers: float32."""
    return (q.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def quantize(x: Array, scale: float, zero_point: int) -> Array:
    """The micro-operation Quantize, whose factor is float32(1 / scale): canonical int8. A NaN gives -128."""
    y = np.rint(x.astype(np.float32) * (np.float32(1) / np.float32(scale))) + np.float32(zero_point)
    return np.clip(np.where(np.isnan(y), np.float32(-128), y), -128, 127).astype(np.int8)


def qgemm(x: Array, weight: Array, bias: Array, x_zero_point: int) -> Array:
    """x [..., k], weight [k, n], bias [n] -> int32 [..., n]."""
    # Products of float64 are exact up to 2^53.
    return _int32((x.astype(np.float64) - x_zero_point) @ weight.astype(np.float64) + bias)


def qconv(
    x: Array,
    weight: Array,
    bias: Array,
    x_zero_point: int | Array,
    *,
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    groups: int = 1,
) -> Array:
    """x [n, h, w, c], weight [o, c / groups, kh, kw], bias [o]; pads top, left, bottom, right. int32 [n, oh, ow, o]."""
    padded = np.pad(x.astype(np.float64) - x_zero_point, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0)))
    o, _, *kernel = weight.shape
    out = [(padded.shape[1 + i] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1 for i in (0, 1)]
    y = np.zeros((len(x), *out, o))
    xs, ws, ys = np.split(padded, groups, -1), np.split(weight.astype(np.float64), groups), np.split(y, groups, -1)
    for part, w, to in zip(xs, ws, ys, strict=True):
        for ky, kx in np.ndindex(*kernel):
            at = [
                slice(k * d, k * d + (size - 1) * s + 1, s)
                for k, d, size, s in zip((ky, kx), dilations, out, strides, strict=True)
            ]
            to += part[:, at[0], at[1]] @ w[:, :, ky, kx].T
    return _int32(y + bias)


def qdepthwise(x: Array, weight: Array, bias: Array, x_zero_point: int | Array, **window: Any) -> Array:
    """x [n, h, w, c], weight [c, 1, kh, kw], bias [c]; as `qconv` with a channel a group."""
    return qconv(x, weight, bias, x_zero_point, groups=x.shape[-1], **window)


def unpack_panels(packed: Array, taps: int, channels: int, n: int) -> Array:
    """One group's weights [tap, channel, n] from [panel][tap][ceil(channels / 4)][16 columns][4 channels]."""
    depth = -(-channels // DEPTH)
    panels = packed.reshape(-1, taps, depth, PANEL, DEPTH).transpose(1, 2, 4, 0, 3)
    return panels.reshape(taps, depth * DEPTH, -1)[:, :channels, :n]


def unpack_depthwise(packed: Array, taps: int, channels: int) -> Array:
    """Weights [tap, channel] from [tap][channels padded to 16]."""
    return packed.reshape(taps, -1)[:, :channels]


def _int32(sums: Array) -> Array:
    assert (np.abs(sums) < 2**31).all()
    return sums.astype(np.int32)
