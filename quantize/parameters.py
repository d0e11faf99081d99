"""Scales and zero points, and rounding to them.

    activations  q = clip(round(x / s) + z, 0, 255)         uint8, one s and z a tensor; uint16 up to 65535
    weights      q = clip(round(w / s), -127, 127)          int8, one s a channel; int16 up to 32639
    bias         q = round(b / (s_x s_w))                   int32, so that it adds to the sum of products as it is

round is to the nearest, ties to even, as in ONNX's QuantizeLinear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS, WIDE_LEVELS = 255, 65535
WEIGHT_MAX = 127
FINE_MAX = 256 * 127 + 127  # so that both bytes of a 16-bit weight are signed ones
BIAS_LIMIT = 2.0**29  # of a bias in int32, a quarter of the room: the rest is for the products


@dataclass(frozen=True)
class Quantity:
    """The scale, float32, and zero point of an activation. There may be a scale for each channel, in an array.

    `levels` is the largest integer.
    """

    scale: np.float32 | np.ndarray
    zero: int
    levels: int = LEVELS

    @property
    def dtype(self) -> np.dtype:
        """Of the integers."""
        return np.dtype(np.uint8 if self.levels == LEVELS else np.uint16)

    @property
    def low(self) -> float:
        """The number that 0 stands for, in the channel where it is lowest."""
        return -self.zero * float(np.max(self.scale))

    @property
    def high(self) -> float:
        """The number that the largest integer stands for, in the channel where it is highest."""
        return (self.levels - self.zero) * float(np.max(self.scale))

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """Integers of `dtype`."""
        return np.clip(np.rint(x / self.scale) + self.zero, 0, self.levels).astype(self.dtype)

    def dequantize(self, q: np.ndarray) -> np.ndarray:
        """float32."""
        return (q.astype(np.float32) - self.zero) * self.scale


def activation(low: float, high: float, levels: int = LEVELS) -> Quantity:
    """For numbers in [low, high], widened to hold zero, which becomes exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / levels)
    if not scale >= np.finfo(np.float32).tiny:  # nothing but zeros
        return Quantity(np.float32(1.0), 0, levels)
    return Quantity(scale, int(np.clip(np.rint(-low / float(scale)), 0, levels)), levels)


def weight_scales(
    weight: np.ndarray,
    axis: int,
    bias: np.ndarray | None,
    input_scale: np.float32 | np.ndarray,
    most: int = WEIGHT_MAX,
) -> np.ndarray:
    """float32, one a channel: max |w| / `most`, more where w is tiny so that the bias fits int32.

    `input_scale` is one number, or one a channel.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scales = np.abs(weight).max(axis=others, initial=0.0).astype(np.float64) / most
    if bias is not None:
        groups = np.abs(bias.astype(np.float64)).reshape(-1, len(scales)).max(axis=0)
        scales = np.maximum(scales, groups / (BIAS_LIMIT * np.asarray(input_scale, np.float64)))
    return np.where(scales > np.finfo(np.float32).tiny, scales, 1.0).astype(np.float32)


def quantize_weight(weight: np.ndarray, axis: int, scales: np.ndarray, most: int = WEIGHT_MAX) -> np.ndarray:
    """int8, or int16 where `most` is more than that holds; each number rounded by itself."""
    shape = [1] * weight.ndim
    shape[axis] = -1
    rounded = np.clip(np.rint(weight / scales.reshape(shape)), -most, most)
    return rounded.astype(np.int8 if most == WEIGHT_MAX else np.int16)


def quantize_bias(bias: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """int32; `scales` are s_x s_w of every output channel. A bias beyond its room saturates."""
    return np.clip(np.rint(bias.astype(np.float64) / scales), -2 * BIAS_LIMIT, 2 * BIAS_LIMIT).astype(np.int32)
