"""Axes: round ticks, and places between 0 and 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST = 1e300  # what is beyond stands there: the largest numbers are further apart than a number can say


@dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high`."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        return (_held(value) - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values within the axis, about as many as wanted (steps of 1, 2 or 5 times a power of ten)."""
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = _round_step(span / wanted)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


def from_zero(values: list[float]) -> Scale:
    """From 0 to a tick at or above the largest."""
    most = _held(max(values, default=0.0))
    step = _round_step(most / 4) if most > 1e-300 else 1.0  # no logarithm of a quarter of the least number
    return Scale(0.0, max(math.ceil(most / step - 1e-9), 1) * step)


def around(values: list[float], *, margin: float = 0.06) -> Scale:
    """From a little below the least to a little above the largest."""
    low, high = _held(min(values)), _held(max(values))
    room = (high - low) * margin or abs(high) * margin or 1.0
    return Scale(low - room, high + room)


def _held(value: float) -> float:
    return min(max(value, -_MOST), _MOST)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))
