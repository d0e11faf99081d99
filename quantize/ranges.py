"""From a histogram of a tensor to the range [low, high] that eight bits cover. Every range holds zero.

`METHODS` is the list; a method is a function of a histogram. Numbers outside the range saturate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgeort.quantize.entropy import entropy
from edgeort.quantize.histogram import Histogram

Range = tuple[float, float]
UNBOUNDED: Range = (-math.inf, math.inf)
Function = Callable[[np.ndarray], np.ndarray]  # of float32 [n] to [n]
Method = Callable[[Histogram], Range]

LEVELS = 255  # steps between the lowest and the highest of 256 numbers
TAIL = 1e-5  # of the numbers, on each side, that "percentile" lets saturate
COARSE = np.linspace(1.0, 0.1, 37)  # times an extreme, as "mse" tries them first
FINE = np.linspace(0.97, 1.03, 13)  # times the best end so far
POINTS = 4 * 8192  # between the extremes, that a function is tabulated at


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


def mse(histogram: Histogram, function: Function | None = None) -> Range:
    """The range of least mean squared error, found for one end at a time: coarsely, then nearby.

    A number inside the range is off by its distance to the grid, one outside by its distance to the range.
    (Choukroun et al. 2019, "Low-bit quantization of neural networks for efficient inference", section 3.) Where there
    is a `function`, the error is that of its results: x * sigmoid(x) does not ask how far below zero x is.
    """
    low, high = minmax(histogram)
    error, ends = _errors(histogram, function), (low, high)
    for factors in (COARSE, FINE, FINE):
        for end in (0, 1):
            tried = np.clip(ends[end] * factors, low, high)
            candidates = [(float(x), ends[1]) if end == 0 else (ends[0], float(x)) for x in tried]
            ends = min(candidates, key=error)
    return ends


def squared_error(histogram: Histogram, ends: Range) -> float:
    """The sum of the squared errors of all numbers counted, when they are quantised to the range."""
    return _errors(histogram)(ends)


def _errors(histogram: Histogram, function: Function | None = None) -> Callable[[Range], float]:
    """The sum of the squared errors behind the function for a range, a function of the range."""
    used = np.flatnonzero(histogram.counts)
    values, weights = histogram.centres[used], histogram.counts[used].astype(np.float64)
    curve: Function = lambda x: x  # noqa: E731
    if function is not None:
        places = np.linspace(*minmax(histogram), POINTS)
        made = function(places).astype(np.float64)
        curve = lambda x: np.interp(x, places, made)  # noqa: E731
    wanted = curve(values)

    def error(ends: Range) -> float:
        low, high = ends
        if high <= low:
            return float(weights @ (wanted - curve(np.zeros(1))) ** 2)
        step = (high - low) / LEVELS
        zero = np.round(-low / step)
        grid = curve((np.arange(LEVELS + 1) - zero) * step)
        found = grid[np.clip(np.round(values / step) + zero, 0, LEVELS).astype(np.intp)]
        return float(weights @ (wanted - found) ** 2)

    return error


METHODS: dict[str, Method] = {"mse": mse, "minmax": minmax, "percentile": percentile, "entropy": entropy}


def best(method: str, histogram: Histogram, function: Function | None) -> Range:
    """By a key of `METHODS`, for a tensor that goes through that function and nowhere else; None: any tensor."""
    return mse(histogram, function) if method == "mse" else METHODS[method](histogram)
