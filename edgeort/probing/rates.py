"""From times of blocks to rates of kernels.

A block's time is the sum over its kernels of us + multiply-adds / rate + bytes / rate, and of the functions that
programs evaluate: linear in what the kernels cost, with coefficients that are not negative (Lawson and Hanson 1974,
"Solving Least Squares Problems", chapter 23). Blocks count by their relative error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Literal

import numpy as np

from edgeort.bench.predicting import FUNCTIONS, predict
from edgeort.device_profiles import KernelRate, Measured
from edgeort.lowering.costs import Cost
from edgeort.probing.blocks import is_whole
from edgeort.providers import Node

_CLOCK_US = 2.0  # what a block's time is not certain to
_SLOWEST, _FASTEST = 1e-3, 1e6  # of rates that a profile may have

Kind = Literal["macs", "bytes", "calls"]
Feature = tuple[str, Kind]


@dataclass(frozen=True)
class Timed:
    """A block: its kernels with what they cost, and its time."""

    name: str
    kernels: tuple[tuple[str, Cost], ...]
    us: float

    @property
    def is_whole(self) -> bool:
        """Whether it is a small network, which rates are not to be found on."""
        return is_whole(self.name.partition("/")[2])


def features(op: str, cost: Cost) -> dict[Feature, float]:
    """What a kernel's call counts as: millions of multiply-adds and functions, kilobytes, calls."""
    found: dict[Feature, float] = {}
    if cost.macs:
        found[op, "macs"] = cost.macs * 1e-6
    if cost.moved_bytes:
        found[op, "bytes"] = cost.moved_bytes * 1e-3
        found[op, "calls"] = 1.0
    if cost.functions:
        found[FUNCTIONS, "macs"] = cost.functions * 1e-6
    return found


@dataclass(frozen=True)
class Explained:
    """Rates for each number of threads, and what their predictions of small networks that they were not found on are
    off by: name, threads, and by what share each was too long; `error` is the median of these, without their signs."""

    kernels: tuple[KernelRate, ...]
    networks: tuple[tuple[str, int, float], ...]

    @property
    def error(self) -> float:
        return float(f"{median(abs(error) for _, _, error in self.networks):.3g}")


def explain(timed: Mapping[int, Sequence[Timed]], measured: Measured) -> Explained:
    """The rates behind the times of blocks and networks with so many threads. Of `measured` only peaks are read."""
    kernels: list[KernelRate] = []
    for threads, blocks in timed.items():
        kernels += fit([block for block in blocks if not block.is_whole], threads)
    found = replace(measured, kernels=tuple(kernels))
    networks = [
        (block.name, threads, _error(block, found, threads))
        for threads, blocks in timed.items()
        for block in blocks
        if block.is_whole
    ]
    return Explained(found.kernels, tuple(networks))


def _error(block: Timed, measured: Measured, threads: int) -> float:
    nodes = [Node(str(index), op, "", "", **asdict(cost)) for index, (op, cost) in enumerate(block.kernels)]
    return predict(nodes, measured, threads).error_of(block.us * 1e-3)


def fit(blocks: Sequence[Timed], threads: int) -> list[KernelRate]:
    """The rates that explain the blocks' times best."""
    rows = [_sum(block) for block in blocks]
    columns = sorted({feature for row in rows for feature in row})
    matrix = np.array([[row.get(feature, 0.0) for feature in columns] for row in rows])
    times = np.array([block.us for block in blocks])
    weights = 1 / (times + _CLOCK_US)
    us = dict(zip(columns, nonnegative(matrix * weights[:, None], times * weights), strict=True))
    found = (_rate(op, threads, us) for op in dict.fromkeys(op for op, _ in columns))
    return [rate for rate in found if rate.us or rate.gmacs or rate.gbs]  # another kernel's took the time of the others


def _sum(block: Timed) -> dict[Feature, float]:
    total: dict[Feature, float] = {}
    for op, cost in block.kernels:
        for feature, amount in features(op, cost).items():
            total[feature] = total.get(feature, 0.0) + amount
    return total


def _rate(op: str, threads: int, us: Mapping[Feature, float]) -> KernelRate:
    macs, kilobytes, calls = (us.get((op, kind), 0.0) for kind in ("macs", "bytes", "calls"))
    return KernelRate(op, threads, _rounded(calls), _rate_of(1e3, macs), _rate_of(1.0, kilobytes))


def _rate_of(thousands: float, us: float) -> float | None:
    """10^9 a second, of so many thousands in so many microseconds; None where they take no time."""
    return None if us * _FASTEST <= thousands else _rounded(max(thousands / us, _SLOWEST))


def _rounded(number: float) -> float:
    """To four digits, which is more than was measured."""
    return float(f"{number:.4g}")


def nonnegative(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """x >= 0 with the least |matrix x - wanted|; matrix [m, n], wanted [m], x [n]."""
    lengths = np.linalg.norm(matrix, axis=0)
    lengths[lengths == 0] = 1.0
    scaled = matrix / lengths
    products, right = scaled.T @ scaled, scaled.T @ wanted
    x, free = np.zeros(len(right)), np.zeros(len(right), bool)
    for _ in range(3 * len(right)):
        gradient = np.where(free, -np.inf, right - products @ x)
        if gradient.max(initial=-np.inf) <= 1e-10:
            break
        free[int(np.argmax(gradient))] = True
        while True:
            step = np.zeros(len(right))
            step[free] = np.linalg.lstsq(products[np.ix_(free, free)], right[free], rcond=None)[0]
            if (step[free] > 0).all():
                x = step
                break
            falling = free & (step <= 0)
            x += np.min(x[falling] / (x[falling] - step[falling])) * (step - x)
            free &= x > 1e-12
            x[~free] = 0.0
    return x / lengths
