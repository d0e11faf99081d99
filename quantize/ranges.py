"""From a histogram of a tensor to the range [low, high] that eight bits cover. Every range holds zero.

`METHODS` is the list; a method is a function of a histogram, and of the function f behind the tensor, where all that
reads it does so through f. Numbers outside the range saturate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from edgeort.quantize.entropy import entropy
from edgeort.quantize.histogram import Histogram

Range = tuple[float, float]
UNBOUNDED: Range = (-math.inf, math.inf)
Function = Callable[[np.ndarray], np.ndarray]  # of one number, on arrays [n]

LEVELS = 255  # steps between the lowest and the highest of 256 numbers
TAIL = 1e-5  # of the numbers, on each side, that "percentile" lets saturate
COARSE = np.linspace(1.0, 0.1, 37)  # times an extreme, as "mse" tries them first
FINE = np.linspace(0.97, 1.03, 13)  # times the best end so far
_LARGE = 1e30  # in place of infinity: float64 holds sums of its fourth powers


def minmax(histogram: Histogram, function: Function | None = None) -> Range:
    """The extremes, so that nothing saturates."""
    return min(histogram.low, 0.0), max(histogram.high, 0.0)


def percentile(histogram: Histogram, function: Function | None = None) -> Range:
    """The range that leaves out `TAIL` of all numbers on each side."""
    low, high = minmax(histogram)
    below = np.cumsum(histogram.counts)
    first, last = np.searchsorted(below, [TAIL * below[-1], (1 - TAIL) * below[-1]])
    edges = (first - len(below) // 2) * histogram.width, (last + 1 - len(below) // 2) * histogram.width
    return min(max(low, edges[0]), 0.0), max(min(high, edges[1]), 0.0)


def mse(histogram: Histogram, function: Function | None = None) -> Range:
    """The range of least mean squared error.

    A number inside the range is off by its distance to the grid, one outside by its distance to the range.
    (Choukroun et al. 2019, "Low-bit quantization of neural networks for efficient inference", section 3.) With f the
    errors are those of f's results: what is below -8 is the same to x * sigmoid(x).
    """
    return _least(histogram, _Error(histogram, function))


def quartic(histogram: Histogram, function: Function | None = None) -> Range:
    """The range of least fourth powers of errors, to which few large numbers matter more.

    Where one position of thousands holds an object, the numbers there are the rare large ones.
    """
    return _least(histogram, _Error(histogram, function, quartic=True))


def _least(histogram: Histogram, error: _Error) -> Range:
    """Found for one end at a time: coarsely, then nearby."""
    low, high = ends = minmax(histogram)
    for factors in (COARSE, FINE, FINE):
        for end in (0, 1):
            tried = np.clip(ends[end] * factors, low, high)
            candidates = [(float(x), ends[1]) if end == 0 else (ends[0], float(x)) for x in tried]
            ends = min(candidates, key=error)
    return ends


def squared_error(histogram: Histogram, ends: Range, function: Function | None = None) -> float:
    """The sum of the squared errors of all numbers counted, or of f of them, when they are quantised to the range."""
    return _Error(histogram, function)(ends)


class _Error:
    """The sum of the errors' squares, or of their fourth powers, as a function of the range."""

    def __init__(self, histogram: Histogram, function: Function | None, *, quartic: bool = False) -> None:
        self._quartic = quartic
        used = np.flatnonzero(histogram.counts)
        self._values, self._counts = histogram.centres[used], histogram.counts[used].astype(np.float64)
        self._function = function
        self._wanted = self._behind(self._values)

    def __call__(self, ends: Range) -> float:
        low, high = ends
        if high <= low:
            levels = np.zeros(1)
            index = np.zeros(len(self._values), np.intp)
        else:
            step = (high - low) / LEVELS
            zero = np.round(-low / step)
            levels = (np.arange(LEVELS + 1) - zero) * step
            index = np.clip(np.round(self._values / step) + zero, 0, LEVELS).astype(np.intp)
        errors = np.square(self._wanted - self._behind(levels)[index])
        return float(self._counts @ (np.square(errors) if self._quartic else errors))

    def _behind(self, numbers: np.ndarray) -> np.ndarray:
        """float64: what the function makes of them, and numbers also where that has none, such as 1 / 0."""
        if self._function is None:
            return numbers
        made = self._function(numbers).astype(np.float64)
        return np.nan_to_num(made, copy=False, nan=0.0, posinf=_LARGE, neginf=-_LARGE)


class Method(Protocol):
    """From a histogram, and maybe the function behind the tensor, to a range."""

    def __call__(self, histogram: Histogram, function: Function | None = None) -> Range:
        """The range."""


# fmt: off
METHODS: dict[str, Method] = {
    "mse": mse, "quartic": quartic, "minmax": minmax, "percentile": percentile, "entropy": entropy,
}
# fmt: on
AUTO = "auto"  # the one of these that leaves less noise at the outputs
CHOICES = ("mse", "quartic")
