"""Whether A is faster than B, from rounds in which both were measured one after the other.

A round gives one difference, log(time of A / time of B), of the medians of two fresh processes in random order. Runs of
one process are no independent looks: they share where memory was laid and what else the machine did just then. So the
process is what is counted, and a round what is compared. Were A and B the same, chance alone would have decided which
of the two came first, and so the sign of the difference, however the noise is distributed: Wilcoxon's test of signed
ranks is exact for it, and outliers, which other work on the machine makes, weigh no more than their rank.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Numbers of rounds after which it is decided whether to go on.
LOOKS = (10, 20, 36, 60)
ERROR = 0.05  # the chance that an interval misses the truth, over all looks together
LEAST = 0.01  # differences below it are not told from none: the place of a library in memory can make as much
NARROW = 0.02  # an interval within this on both sides of 0 needs no further rounds


@dataclass(frozen=True)
class Difference:
    """The time of A as a share of that of B less 1: `estimate`, and an interval that holds it, `low` to `high`.

    -0.05: A takes 5 % less time.
    """

    estimate: float
    low: float
    high: float
    rounds: int

    @property
    def is_significant(self) -> bool:
        """Whether A and B differ: the interval leaves out 0, and the estimate is at least LEAST."""
        return not self.low <= 0 <= self.high and abs(self.estimate) >= LEAST

    @property
    def is_decided(self) -> bool:
        """Whether more rounds would not change what is said."""
        return self.is_significant or (self.low >= -NARROW and self.high <= NARROW)


def compare(measure_round: Callable[[], float], looks: Sequence[int] = LOOKS) -> Difference:
    """Measures rounds until the difference is decided, or there were as many as the last of `looks`.

    `measure_round` gives log(time of A / time of B) of one. At each of K looks the interval misses with a chance of
    ERROR / K at most (Bonferroni), so that the one of the look at which it stops misses with ERROR at most, wherever
    that is.
    """
    rounds: list[float] = []
    for look in looks:
        rounds += [measure_round() for _ in range(look - len(rounds))]
        found = difference(rounds, ERROR / len(looks))
        if found.is_decided:
            break
    return found


def difference(log_ratios: Sequence[float], error: float) -> Difference:
    """The estimate of Hodges and Lehmann (1963), and its interval by Wilcoxon's test that misses with `error` at most.

    Both are of the n (n + 1) / 2 means of two of the differences, each also with itself (Walsh averages): their
    median, and those from which on the test would reject (Hollander, Wolfe and Chicken 2014, section 3.3). Of too few
    rounds the interval is infinite.
    """
    values = np.asarray(log_ratios, np.float64)
    n = len(values)
    rows, columns = np.triu_indices(n)
    walsh = np.sort((values[rows] + values[columns]) / 2)
    skipped = _rejected(n, error / 2)
    low, high = (walsh[skipped - 1], walsh[-skipped]) if skipped else (-math.inf, math.inf)
    estimate, low, high = (float(np.expm1(value)) for value in (np.median(walsh), low, high))
    return Difference(estimate, low, high, n)


@functools.cache
def _rejected(n: int, tail: float) -> int:
    """How many of the least values of Wilcoxon's statistic of n differences have a probability of `tail` together.

    It is the sum of those ranks 1 to n whose difference is positive, each with a chance of one half.
    """
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return int(np.searchsorted(np.cumsum(ways / 2.0**n), tail, side="right"))
