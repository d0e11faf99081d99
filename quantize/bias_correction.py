"""Corrects a layer's bias until the channels' means behind its activation are those of the float model.

    b  +=  (E[y] - E[y']) / p       y, y': a channel in the float and in the quantised model, over samples and positions

The means are compared behind the activation, because that is what the next layer reads: with the means before a Relu6
equal, those behind it are not. There the correction acts only through the part p that does not saturate, times what
constants behind the layer multiply by; that is found by trying p = 1. (Nagel et al. 2019, "Data-free quantization
through weight equalization and bias correction", section 4.2.)

A function that falls before it rises, such as x * sigmoid(x), may answer a step by the opposite, and the next one then
leads to where nothing follows any more: so each channel keeps the bias that came nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from edgeort.quantize.calibration import ChannelMean

LEAST_PASSED = 0.25  # of what the means of all channels follow a step of the bias by
LEAST_SLOPE = 1 / 16  # below, on average, they do not follow at all
_TINY = 1e-300


class Biased(Protocol):
    """A layer whose bias can be set; one float64 an output channel."""

    @property
    def real_bias(self) -> np.ndarray:
        """As it is."""

    def set_bias(self, bias: np.ndarray) -> None:
        """Replaces it."""


def correct(layer: Biased, wanted: np.ndarray, measure: Callable[[], ChannelMean], *, is_linear: bool = False) -> None:
    """Sets the bias of `layer`. `wanted` are the float means, `measure` finds those of the layer as it is.

    `is_linear` says that no activation is in between.
    """
    bias, step = layer.real_bias, wanted - measure().mean
    first = bias + step
    layer.set_bias(first)
    if is_linear:
        return
    left = wanted - measure().mean
    followed = 1 - left / np.where(step == 0, 1.0, step)
    slope = float(np.abs(step) @ followed) / max(float(np.abs(step).sum()), _TINY)
    slope = slope if abs(slope) >= LEAST_SLOPE else 1.0
    second = first + left / (slope * np.maximum(followed / slope, LEAST_PASSED))
    layer.set_bias(second)
    tried, lefts = np.stack([bias, first, second]), np.abs([step, left, wanted - measure().mean])
    layer.set_bias(np.take_along_axis(tried, lefts.argmin(axis=0)[np.newaxis], axis=0)[0])
