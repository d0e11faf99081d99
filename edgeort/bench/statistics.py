"""What is said of the latencies of one measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

RESAMPLES = 10_000
THROTTLED = 0.05
_SEED = 20_110_617


def summary(latencies_ms: Sequence[float] | np.ndarray) -> dict[str, float]:
    """`min`, `mean`, `p50`, `p90`, `p99`, `std`, and the 95 % interval of the median, `low` to `high`; all in ms.

    Percentiles are those of nearest rank (the least value that so many percent of all do not exceed), `std` is that
    of a sample (n - 1 below the root; 0 of one value). Raises ValueError for no latencies.
    """
    times = np.asarray(latencies_ms, np.float64)
    if not times.size:
        raise ValueError("there are no latencies")
    p50, p90, p99 = np.percentile(times, (50, 90, 99), method="inverted_cdf")
    low, high = median_interval(times)
    return {
        "min": float(times.min()),
        "mean": float(times.mean()),
        "p50": float(p50),
        "p90": float(p90),
        "p99": float(p99),
        "std": float(times.std(ddof=1)) if times.size > 1 else 0.0,
        "low": low,
        "high": high,
    }


def median_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of the median (Efron and Tibshirani 1993, chapter 13), of a fixed seed.

    The median of n values drawn with replacement from the sorted x is x[j], j = ceil(n u) - 1, where u is the m-th
    smallest of n uniform numbers, m = ceil(n / 2): a number of the distribution Beta(m, n - m + 1). So RESAMPLES
    such numbers are drawn, and no values: the bootstrap is the same, and its cost does not grow with n.

    It takes the values as independent. Those of one process share its memory and its moment: the interval is that of
    another look at this process, not of another process, for which `compare` measures several.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    n = ordered.size
    rank = (n + 1) // 2
    drawn = np.random.default_rng(_SEED).beta(rank, n - rank + 1, RESAMPLES)
    medians = ordered[np.minimum(np.ceil(n * drawn).astype(np.int64), n) - 1]
    low, high = np.quantile(medians, ((1 - level) / 2, (1 + level) / 2), method="inverted_cdf")
    return float(low), float(high)


def throttles_from(intervals: Sequence[Mapping[str, Any]]) -> int | None:
    """The index of the interval of a sustained run from which on the device is throttled; None: it is not.

    It is the first whose median is THROTTLED or more above that of the first interval, and whose lower quartile lies
    above the upper quartile of the first: three of four runs are then slower than three of four were at the start, so
    that neither noise nor a few disturbed runs make it.
    """
    if not intervals:
        return None
    first = intervals[0]
    for index, one in enumerate(intervals):
        if one["p50_ms"] >= first["p50_ms"] * (1 + THROTTLED) and one["p25_ms"] > first["p75_ms"]:
            return index
    return None
