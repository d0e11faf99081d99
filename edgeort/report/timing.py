"""Latencies as a report shows them: how often each occurs, and how they go along the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeort.bench import Measurement

MOST_BINS, LEAST_BINS = 40, 8
MOST_STEPS = 240  # of the curve along the runs


def timing(found: Measurement) -> dict[str, Any]:
    """The latencies of a real device: `summary`, `histogram`, `along` the runs, what was sampled between them."""
    times = found.latencies_ms
    return {
        "summary": found.latency_ms,
        "first_run_ms": found.first_run_ms,
        "load_ms": found.load_ms,
        "warmup_runs": found.warmup_runs,
        "every": found.every,
        "latencies_ms": times,
        "histogram": histogram(times),
        "along": along(times, found.every),
        "samples": found.samples,
        "intervals": found.intervals,
    }


def histogram(times_ms: Sequence[float]) -> dict[str, Any]:
    """`counts` between `edges_ms`, of bins as wide as Freedman and Diaconis (1981) advise: 2 IQR / n^(1/3).

    What lies far behind the rest is counted as `beyond`, so that one slow run does not flatten all others.
    """
    times = np.sort(np.asarray(times_ms, np.float64))
    low, q1, p50, q3, p90, high = np.percentile(times, (0, 25, 50, 75, 90, 100))
    end = min(high, max(p90 + 4 * (p90 - p50), 1.02 * p50))
    end = end if end > low else low + max(abs(low) * 0.02, 1e-6)
    width = 2 * (q3 - q1) / len(times) ** (1 / 3)
    bins = int(np.clip(np.ceil((end - low) / width) if width > 0 else LEAST_BINS, LEAST_BINS, MOST_BINS))
    counts, edges = np.histogram(times, bins, (low, end))
    return {"edges_ms": edges.tolist(), "counts": counts.tolist(), "beyond": int((times > end).sum())}


def along(times_ms: Sequence[float], every: int) -> list[dict[str, Any]]:
    """Runs in order, as many together as leave MOST_STEPS rows: `first` and `last` run, their median, and between which
    nine of ten of them lie: `low_ms` and `high_ms`, the 5th and the 95th percentile."""
    group = -(-len(times_ms) // MOST_STEPS)
    rows = []
    for at in range(0, len(times_ms), group or 1):
        part = np.asarray(times_ms[at : at + group], np.float64)
        low, median, high = (float(value) for value in np.percentile(part, (5, 50, 95)))
        last = (at + len(part) - 1) * every
        rows.append({"first": at * every, "last": last, "low_ms": low, "median_ms": median, "high_ms": high})
    return rows
