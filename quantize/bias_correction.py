"""Corrects a layer's bias until the channels' means behind its activation are those of the float model.

    b  +=  (E[y] - E[y']) / p       y, y': a channel in the float and in the quantised model, over samples and positions

The means are compared behind the activation, because that is what the next layer reads: with the means before a Relu6
equal, those behind it are not. There the correction acts only through the part p that does not saturate, times what
constants behind the layer multiply by; that is found by trying p = 1. (Nagel et al. 2019, "Data-free quantization
through weight equalization and bias correction", section 4.2.)

Where few positions wake a channel, or a function falls before it rises, as x * sigmoid(x) does, such steps may lead to
where nothing follows any more. So a channel goes on between the last means on either side of the wanted one, until
the layer is near enough, and keeps the bias that came nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from edgeort.quantize.calibration import ChannelMean

LEAST_PASSED = 0.25  # of what the means of all channels follow a step of the bias by
LEAST_SLOPE = 1 / 16  # below, on average, they do not follow at all
MOST_STEPS = 5  # after the first
ENOUGH = 0.02  # of what the means were off by, that may be left
EDGE = 0.05  # of the way between two biases, that the next one keeps from both
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
    layer.set_bias(bias + step)
    if is_linear:
        return
    search = _Search(bias, step)
    search.add(bias + step, wanted - measure().mean)
    followed = 1 - search.lefts[1] / np.where(step == 0, 1.0, step)
    slope = float(np.abs(step) @ followed) / max(float(np.abs(step).sum()), _TINY)
    slope = slope if abs(slope) >= LEAST_SLOPE else 1.0
    passed = slope * np.maximum(followed / slope, LEAST_PASSED)
    for _ in range(MOST_STEPS):
        tried = search.next(passed)
        layer.set_bias(tried)
        search.add(tried, wanted - measure().mean)
        if np.abs(search.best()[1]).sum() <= ENOUGH * np.abs(step).sum():
            break
    layer.set_bias(search.best()[0])


class _Search:
    """The biases that were tried, and by what each channel's mean fell short; the last ones with too low and with too
    high a mean."""

    def __init__(self, bias: np.ndarray, left: np.ndarray) -> None:
        self.biases, self.lefts = list[np.ndarray](), list[np.ndarray]()
        self._low = self._high = np.full((2, len(bias)), np.nan)
        self.add(bias, left)

    def add(self, bias: np.ndarray, left: np.ndarray) -> None:
        """Of all channels."""
        self.biases.append(bias)
        self.lefts.append(left)
        self._low = np.where(left > 0, [bias, left], self._low)
        self._high = np.where(left > 0, self._high, [bias, left])

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """The biases that came nearest, and by what they fall short."""
        nearest = np.abs(self.lefts).argmin(axis=0)[np.newaxis]
        bias, left = (np.take_along_axis(np.stack(of), nearest, axis=0)[0] for of in (self.biases, self.lefts))
        return bias, left

    def next(self, passed: np.ndarray) -> np.ndarray:
        """Between the last ones on either side, where there are both, else beyond the nearest."""
        (low, short), (high, over) = self._low, self._high
        between = low + np.clip(short / (short - over), EDGE, 1 - EDGE) * (high - low)
        bias, left = self.best()
        return np.where(np.isnan(between), bias + left / passed, between)
