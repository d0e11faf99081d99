"""What the channels of a tensor hold: some numbers of each, and how far they reach, on the samples seen and on others.

Few samples do not show the largest number of a channel. How much more there may be is told by how much the largest
numbers of samples differ: with X_1 >= ... >= X_k the largest ones of k samples,

    xi = mean over i < k of ln(X_i / X_k)                   X_1 * MORE^xi

is what `MORE` times as many samples reach. (Hill 1975, "A simple general approach to inference about the tail of a
distribution".) A channel that every sample fills alike gets next to no room, one that few samples wake gets `MOST`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

DRAWN_FROM, DRAWN = 64, 16  # samples, and numbers of every channel of each, that are kept
KEPT = 10  # samples with the largest numbers: k
MORE = 10.0
MOST = 4.0
_TINY = 1e-30


@dataclass(frozen=True)
class Reach:
    """Of every channel the lowest and the highest number to expect, and `drawn` [channels, n], some of its numbers."""

    lows: np.ndarray
    highs: np.ndarray
    drawn: np.ndarray

    def divided(self, s: np.ndarray) -> Reach:
        """That of the tensor whose channels are divided by s."""
        return Reach(self.lows / s, self.highs / s, self.drawn / s[:, np.newaxis])


@dataclass
class Extremes:
    """Of a tensor whose channels are axis 1: of each channel the `KEPT` largest and, negated, smallest of samples.

    `drawn` are [channels, up to `DRAWN`] by the number of the sample, which may come in any order.
    """

    sides: list[np.ndarray] = field(default_factory=list)
    drawn: dict[int, np.ndarray] = field(default_factory=dict)

    def add(self, array: np.ndarray, index: int) -> None:
        """Sample number `index`; numbers that are below zero do not count as largest ones."""
        if index < DRAWN_FROM:
            rows = np.moveaxis(array, 1, 0).reshape(array.shape[1], -1)
            places = np.unique(((np.arange(DRAWN) + 0.5) * rows.shape[1] / DRAWN).astype(np.intp))
            self.drawn[index] = rows[:, places]
        others = tuple(i for i in range(array.ndim) if i != 1)
        new = [np.maximum(side, 0)[np.newaxis] for side in (-array.min(axis=others), array.max(axis=others))]
        if self.sides:
            new = [np.concatenate(both) for both in zip(self.sides, new, strict=True)]
        self.sides = [-np.sort(-side, axis=0)[:KEPT] for side in new]

    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest number of every channel; zero counts as seen."""
        return -self.sides[0][0], self.sides[1][0]

    def reach(self) -> Reach:
        """What may be on other samples."""
        below, above = (side[0] * room(side) for side in self.sides)
        return Reach(-below, above, np.concatenate([self.drawn[index] for index in sorted(self.drawn)], axis=1))


def room(largest: np.ndarray) -> np.ndarray:
    """What to multiply the largest number of every channel by; `largest` [k, channels], falling."""
    ratios = np.log(np.maximum(largest[:-1], _TINY) / np.maximum(largest[-1:], _TINY))
    spread = ratios.mean(axis=0) if len(ratios) else np.full(largest.shape[1], np.inf)
    return np.asarray(np.minimum(MORE ** np.minimum(spread, 1.0), MOST), np.float32)
