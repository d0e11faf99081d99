"""From a histogram of a tensor to the range [low, high] that eight bits cover. Every range holds zero.

`METHODS` is the list; a method is a function of a histogram. Numbers outside the range saturate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeort.quantize.entropy import entropy
from edgeort.quantize.histogram import Histogram

Range = tuple[float, float]
Method = Callable[[Histogram], Range]

LEVELS = 255  # steps between the lowest and the highest of 256 numbers
TAIL = 1e-5  # of the numbers, on each side, that "percentile" lets saturate
COARSE = np.linspace(1.0, 0.1, 37)  # times an extreme, as "mse" tries them first
FINE = np.linspace(0.97, 1.03, 13)  # times the best end so far


def minmax(histogram: Histogram) -> Range:
    """The extremes, so that nothing saturates."""
    return min(histogram.low, 0.0), max(histogram.high, 0.0)


def percentile(histogram: Histogram) -> Range:
    """The range that leaves out `TAIL` of all numbers on each side."""
    low, high = minmax(histogram)
    below = np.cumsum(histogram.counts)
    first, last = np.searchsorted(below, [TAIL * below[-1], (1 - TAIL) * below[-1]])
    edges = (first - len(below) // 2) * histogram.width, (last + 1 - len(below) // 2) * histogram.width
    return min(max(low, edges[0]), 0.0), max(min(high, edges[1]), 0.0)


def mse(histogram: Histogram) -> Range:
    """The range of least mean squared error, found for one end at a time: coarsely, then nearby.

    A number inside the range is off by its distance to the grid, one outside by its distance to the range.
    (Choukroun et al. 2019, "Low-bit quantization of neural networks for efficient inference", section 3.)
    """
    low, high = minmax(histogram)
    used = np.flatnonzero(histogram.counts)
    values, weights = histogram.centres[used], histogram.counts[used].astype(np.float64)
    ends = low, high
    for factors in (COARSE, FINE, FINE):
        for end in (0, 1):
            tried = np.clip(ends[end] * factors, low, high)
            candidates = [(float(x), ends[1]) if end == 0 else (ends[0], float(x)) for x in tried]
            ends = min(candidates, key=lambda pair: _squared_error(values, weights, pair))
    return ends


def squared_error(histogram: Histogram, ends: Range) -> float:
    """The sum of the squared errors of all numbers counted, when they are quantised to the range."""
    used = np.flatnonzero(histogram.counts)
    return _squared_error(histogram.centres[used], histogram.counts[used].astype(np.float64), ends)


def _squared_error(values: np.ndarray, weights: np.ndarray, ends: Range) -> float:
    low, high = ends
    if high <= low:
        return float(weights @ values**2)
    step = (high - low) / LEVELS
    zero = np.round(-low / step)
    grid = (np.clip(np.round(values / step) + zero, 0, LEVELS) - zero) * step
    return float(weights @ (values - grid) ** 2)


METHODS: dict[str, Method] = {"mse": mse, "minmax": minmax, "percentile": percentile, "entropy": entropy}
