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
SHRINK = np.concatenate([np.linspace(0.1, 0.9, 33)[:-1], np.linspace(0.9, 1.0, 21)])  # of an end, as "mse" tries them
ROUNDS = 3


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
    """The range of least mean squared error, found for one end at a time.

    A number inside the range is off by its distance to the grid, one outside by its distance to the range.
    (Choukroun et al. 2019, "Low-bit quantization of neural networks for efficient inference", section 3.)
    """
    low, high = minmax(histogram)
    used = np.flatnonzero(histogram.counts)
    values, weights = histogram.centres[used], histogram.counts[used].astype(np.float64)
    best = low, high
    for _ in range(ROUNDS):
        before = best
        for tried in ([(low * f, best[1]) for f in SHRINK], [(best[0], high * f) for f in SHRINK]):
            best = min(tried, key=lambda ends: _squared_error(values, weights, ends))
        if best == before:
            break
    return float(best[0]), float(best[1])


def _squared_error(values: np.ndarray, weights: np.ndarray, ends: Range) -> float:
    low, high = ends
    if high <= low:
        return float(weights @ values**2)
    step = (high - low) / LEVELS
    zero = np.round(-low / step)
    grid = (np.clip(np.round(values / step) + zero, 0, LEVELS) - zero) * step
    return float(weights @ (values - grid) ** 2)


METHODS: dict[str, Method] = {"mse": mse, "minmax": minmax, "percentile": percentile, "entropy": entropy}
