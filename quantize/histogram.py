"""Histograms of unknown range: the number of bins is fixed, the range doubles when a value falls outside.

The bins are [k w, (k+1) w) for k = -BINS/2 ... BINS/2 - 1, and the width w is a power of two. When the range doubles,
bins 2k and 2k+1 become bin k, so that no count is lost or moved, and the result depends neither on the order of the
data nor on how it was cut: the histogram of all the data is the merge of those of its parts. (Numbers below 2**-126 of
a bin, which float32 has no quotient for, count as zeros.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

BINS = 8192
HALF = BINS // 2
MIN_EXPONENT = -100  # of the range; below it float32 has no 1/w
_AT_ONCE = 32768  # numbers, which stay in a core's cache


@dataclass
class Histogram:
    """Counts of finite numbers in [-2**exponent, 2**exponent); `low` and `high` are the extremes, exactly."""

    exponent: int = MIN_EXPONENT
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    low: float = math.inf
    high: float = -math.inf

    @property
    def width(self) -> float:
        """The width of a bin."""
        return math.ldexp(1.0, self.exponent) / HALF

    @property
    def total(self) -> int:
        """How many numbers were added."""
        return int(self.counts.sum())

    @property
    def centres(self) -> np.ndarray:
        """The middle of every bin, float64."""
        return (np.arange(-HALF, HALF) + 0.5) * self.width

    def add(self, data: np.ndarray) -> None:
        """Counts every number of `data`, float32. Raises ValueError for infinities and NaNs."""
        if not data.size:
            return
        flat = data.reshape(-1)
        low, high = float(flat.min()), float(flat.max())
        if not (math.isfinite(low) and math.isfinite(high)):  # NumPy's min and max hand NaNs on
            raise ValueError("not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._grow(_exponent(max(-low, high)))
        factor = np.float32(1 / self.width)  # exact: w is a power of two
        for start in range(0, flat.size, _AT_ONCE):
            scaled = flat[start : start + _AT_ONCE] * factor
            bins = np.floor(scaled, out=scaled).astype(np.intp)
            bins += HALF
            self.counts += np.bincount(bins, minlength=BINS)

    def merge(self, other: Histogram) -> None:
        """Adds what `other` counted."""
        self._grow(other.exponent)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.counts += rebinned(other.counts, self.exponent - other.exponent)

    def _grow(self, exponent: int) -> None:
        if exponent > self.exponent:
            self.counts = rebinned(self.counts, exponent - self.exponent)
            self.exponent = exponent


def rebinned(counts: np.ndarray, doublings: int) -> np.ndarray:
    """The counts after the range doubled that often."""
    result = np.zeros_like(counts)
    kept = BINS >> doublings
    if kept >= 2:
        result[HALF - kept // 2 : HALF + kept // 2] = counts.reshape(kept, -1).sum(axis=1)
    else:  # all that was counted lies in the two bins beside zero
        result[HALF - 1], result[HALF] = counts[:HALF].sum(), counts[HALF:].sum()
    return result


def _exponent(magnitude: float) -> int:
    """The least e with magnitude < 2**e."""
    return max(math.frexp(magnitude)[1], MIN_EXPONENT) if magnitude > 0 else MIN_EXPONENT
