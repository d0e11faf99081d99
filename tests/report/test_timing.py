"""Latencies: no run is lost, and one slow run does not flatten the others."""

from __future__ import annotations

import numpy as np
import pytest

from edgeort.report.timing import LEAST_BINS, MOST_BINS, MOST_STEPS, along, histogram

RNG = np.random.default_rng(0)
RUNS = {
    "one": [3.0],
    "equal": [2.0] * 50,
    "two": [1.0, 2.0],
    "normal": RNG.normal(10, 0.1, 1000).tolist(),
    "one slow": [*RNG.normal(10, 0.1, 199).tolist(), 500.0],
    "two speeds": [1.0] * 100 + [9.0] * 100,
    "tiny": (RNG.random(100) * 1e-5).tolist(),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_histogram_counts_every_run_once(name: str):
    found = histogram(RUNS[name])
    edges = np.array(found["edges_ms"])
    assert sum(found["counts"]) + found["beyond"] == len(RUNS[name])
    assert len(edges) == len(found["counts"]) + 1 and LEAST_BINS <= len(found["counts"]) <= MOST_BINS
    assert (np.diff(edges) > 0).all()
    for low, high, count in zip(edges, edges[1:], found["counts"], strict=False):
        last = high == edges[-1]
        assert count == sum(low <= run < high or (last and run == high) for run in RUNS[name])


def test_one_slow_run_is_beyond():
    found = histogram(RUNS["one slow"])
    assert found["beyond"] == 1 and found["edges_ms"][-1] < 20


def test_the_course_has_every_run():
    times = RNG.random(MOST_STEPS).tolist()
    rows = along(times, 1)
    assert [row["median_ms"] for row in rows] == times and [row["first"] for row in rows] == list(range(MOST_STEPS))


@pytest.mark.parametrize("runs, every", [(241, 1), (10_000, 1), (1000, 7)])
def test_many_runs_are_grouped(runs: int, every: int):
    times = RNG.random(runs)
    rows = along(times.tolist(), every)
    assert len(rows) <= MOST_STEPS
    assert rows[0]["first"] == 0 and rows[-1]["last"] == (runs - 1) * every
    for before, after in zip(rows, rows[1:], strict=False):
        assert after["first"] == before["last"] + every
    for row in rows:
        part = times[row["first"] // every : row["last"] // every + 1]
        assert sum((part >= row["low_ms"]) & (part <= row["high_ms"])) >= 0.9 * len(part) - 2
        assert part.min() <= row["low_ms"] <= row["median_ms"] <= row["high_ms"] <= part.max()
        assert row["median_ms"] == np.median(part)
